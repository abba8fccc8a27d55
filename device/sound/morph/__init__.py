"""Morph engines: how two tones become one, by position. One protocol, a table of kinds."""

from collections.abc import Mapping

from device.sound.morph.crossfade import Crossfade
from device.sound.morph.engine import MorphEngine
from device.sound.morph.stage import Stage, StageFit

ENGINES: Mapping[str, type[MorphEngine]] = {engine.kind: engine for engine in (Crossfade, Stage)}
"""The engines by their name in presets."""

__all__ = ["ENGINES", "Crossfade", "MorphEngine", "Stage", "StageFit"]
