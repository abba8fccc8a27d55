"""Morph engines: how two tones become one, by position. One protocol, a table of kinds."""

from collections.abc import Mapping

from device.sound.morph.crossfade import Crossfade
from device.sound.morph.engine import MorphEngine
from device.sound.morph.stage import Stage, StageFit
from device.sound.morph.studio import Studio

ENGINES: Mapping[str, type[MorphEngine]] = {engine.kind: engine for engine in (Crossfade, Stage)}
"""The engines that need nothing else, by their name in presets. The studio engine needs a peer."""

__all__ = ["ENGINES", "Crossfade", "MorphEngine", "Stage", "StageFit", "Studio"]
