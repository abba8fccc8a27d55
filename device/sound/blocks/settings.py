"""What a preset may say about each block: one checked table a kind."""

import functools
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model

from device.sound.block import Block, Parameter
from device.sound.blocks import cab, nam
from device.sound.blocks.cab import CabBlock
from device.sound.blocks.effects import EFFECTS, EffectBlock
from device.sound.blocks.nam import NamBlock
from device.toml import Table


class BlockSettings(Table):
    """The settings of one block of a chain."""

    block: str
    movable: ClassVar[Mapping[str, Parameter]]
    """Which of the settings can be moved while playing; the others make the block what it is."""

    def build(self, folder: Path, interface_dbu: float | None) -> Block:
        """Make the block; files are relative to ``folder``. Raises what the block raises."""
        raise NotImplementedError


def _movable(row: Parameter) -> Any:
    return Field(row.default, ge=row.minimum, le=row.maximum)


class NamSettings(BlockSettings):
    """``block = "nam"``."""

    movable = nam.PARAMETERS

    block: Literal["nam"]
    file: str = Field(min_length=1)
    input_db: float = _movable(nam.PARAMETERS["input_db"])
    output_db: float = _movable(nam.PARAMETERS["output_db"])
    normalise: nam.Normalise = "none"
    size: float = Field(1.0, ge=0.0, le=1.0)

    def build(self, folder: Path, interface_dbu: float | None) -> Block:
        """Read the capture."""
        return NamBlock(
            folder / self.file,
            input_db=self.input_db,
            output_db=self.output_db,
            normalise=self.normalise,
            size=self.size,
            interface_dbu=interface_dbu,
        )


class CabSettings(BlockSettings):
    """``block = "cab"``."""

    movable = cab.PARAMETERS

    block: Literal["cab"]
    file: str = Field(min_length=1)
    level_db: float = _movable(cab.PARAMETERS["level_db"])
    normalise: cab.Normalise = "energy"

    def build(self, folder: Path, interface_dbu: float | None) -> Block:
        """Read the impulse response."""
        return CabBlock(folder / self.file, level_db=self.level_db, normalise=self.normalise)


class EffectSettings(BlockSettings):
    """A row of ``EFFECTS``; its parameters are added below."""

    def build(self, folder: Path, interface_dbu: float | None) -> Block:
        """Make the effect."""
        return EffectBlock(self.block, self.model_dump(exclude={"block"}))


def _effect_settings(kind: str) -> type[EffectSettings]:
    fields: dict[str, Any] = {
        row.name: (float, _movable(row)) for row in EFFECTS[kind].parameters.values()
    }
    fields["block"] = (Literal[kind], ...)
    settings = create_model(f"{kind.title()}Settings", __base__=EffectSettings, **fields)
    settings.movable = EFFECTS[kind].parameters
    return settings


SETTINGS: tuple[type[BlockSettings], ...] = (
    NamSettings,
    CabSettings,
    *(_effect_settings(kind) for kind in EFFECTS),
)
"""Every kind of block a chain may hold."""

AnyBlock: Any = Annotated[functools.reduce(operator.or_, SETTINGS), Field(discriminator="block")]
"""One of them, told apart by its ``block``."""
