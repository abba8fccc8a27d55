"""The morph engines' names in presets, and what they cost, for those who need no engine."""

from enum import IntEnum
from typing import Literal, get_args

EngineKind = Literal["crossfade", "stage", "studio"]
ENGINE_KINDS: tuple[EngineKind, ...] = get_args(EngineKind)


class Ceiling(IntEnum):
    """The costliest engine that may play; a hot pedal lowers it before the sound suffers.

    A preset keeps its latency: what it would have is heard, only by a cheaper engine.
    """

    CROSSFADE = 0
    STAGE = 1
    STUDIO = 2
