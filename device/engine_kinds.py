"""The morph engines' names in presets, for those who need no engine."""

from typing import Literal, get_args

EngineKind = Literal["crossfade", "stage", "studio"]
ENGINE_KINDS: tuple[EngineKind, ...] = get_args(EngineKind)
