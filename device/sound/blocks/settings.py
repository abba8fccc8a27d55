"""What a preset may say about each block: one checked table a kind."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from device.plain import dataclass, fields
from device.sound.block import Block, Parameter
from device.sound.blocks import cab, nam
from device.sound.blocks.cab import CabBlock
from device.sound.blocks.effects import EFFECTS, EffectBlock
from device.sound.blocks.nam import NamBlock
from device.sound.networks import Networks
from device.table import Range, Size

File = Annotated[str, Size(1, 4096)]


def _range(row: Parameter) -> Range:
    return Range(row.minimum, row.maximum)


@dataclass(frozen=True)
class BlockSettings:
    """The settings of one block of a chain; they come in kinds, told apart by ``block``."""

    movable: ClassVar[Mapping[str, Parameter]]
    """Which of the settings can be moved while playing; the others make the block what it is."""

    block: str

    @staticmethod
    def choose(data: Mapping[str, object]) -> "type[BlockSettings]":
        """The kind of table that this is. Raises ``ValueError``."""
        if "block" not in data:
            raise ValueError('names no block; add block = "…"')
        kind = data["block"]
        if kind == NamBlock.kind:
            return NamSettings
        if kind == CabBlock.kind:
            return CabSettings
        if isinstance(kind, str) and kind in EFFECTS:
            return _effect_settings(kind)
        known = ", ".join(repr(each) for each in (NamBlock.kind, CabBlock.kind, *EFFECTS))
        raise ValueError(f"has block = {kind!r:.60}; known are {known}")

    def build(
        self, folder: Path, interface_dbu: float | None, networks: Networks | None = None
    ) -> Block:
        """Make the block; files are relative to ``folder``. Raises what the block raises.

        ``networks`` is where networks and responses come from, by default from those files.
        """
        raise NotImplementedError

    def values(self) -> dict[str, object]:
        """All settings by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def fixed(self) -> dict[str, object]:
        """Those that cannot be moved."""
        return {name: value for name, value in self.values().items() if name not in self.movable}


@dataclass(frozen=True)
class NamSettings(BlockSettings):
    """``block = "nam"``."""

    movable = nam.PARAMETERS

    file: File
    input_db: Annotated[float, _range(nam.PARAMETERS["input_db"])] = 0.0
    output_db: Annotated[float, _range(nam.PARAMETERS["output_db"])] = 0.0
    normalise: nam.Normalise = "none"
    size: Annotated[float, Range(0.0, 1.0)] = 1.0

    def build(
        self, folder: Path, interface_dbu: float | None, networks: Networks | None = None
    ) -> Block:
        """Read the capture."""
        return NamBlock(
            folder / self.file,
            input_db=self.input_db,
            output_db=self.output_db,
            normalise=self.normalise,
            size=self.size,
            interface_dbu=interface_dbu,
            networks=networks,
        )


@dataclass(frozen=True)
class CabSettings(BlockSettings):
    """``block = "cab"``."""

    movable = cab.PARAMETERS

    file: File
    level_db: Annotated[float, _range(cab.PARAMETERS["level_db"])] = 0.0
    normalise: cab.Normalise = "energy"

    def build(
        self, folder: Path, interface_dbu: float | None, networks: Networks | None = None
    ) -> Block:
        """Read the impulse response."""
        return CabBlock(
            folder / self.file,
            level_db=self.level_db,
            normalise=self.normalise,
            networks=networks,
        )


@dataclass(frozen=True)
class EffectSettings(BlockSettings):
    """A row of ``EFFECTS``; its parameters are added below."""

    def build(
        self, folder: Path, interface_dbu: float | None, networks: Networks | None = None
    ) -> Block:
        """Make the effect."""
        moved = {name: getattr(self, name) for name in self.movable}
        return EffectBlock(self.block, moved)


@functools.cache
def _effect_settings(kind: str) -> type[EffectSettings]:
    """The table of one effect, made when a preset first asks for it: there are many."""
    rows = EFFECTS[kind].parameters
    described: dict[str, Any] = {name: row.default for name, row in rows.items()}
    described["movable"] = rows
    described["__annotations__"] = {
        name: Annotated[float, _range(row)] for name, row in rows.items()
    }
    described["__module__"] = __name__
    return dataclass(frozen=True)(type(f"{kind.title()}Settings", (EffectSettings,), described))
