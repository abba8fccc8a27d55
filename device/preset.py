"""Presets: two tones, how the knob leads from one to the other, and their levels (TOML)."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from device.engine_kinds import EngineKind
from device.errors import AudioFileError, PresetError
from device.plain import dataclass, field
from device.sound.blocks.settings import BlockSettings, File
from device.sound.chain import ToneChain
from device.sound.follow import Follow, FollowSettings
from device.sound.morph import (
    ENGINES,
    Crossfade,
    MorphEngine,
    Stage,
    StageFit,
    Studio,
)
from device.sound.morph.held import HeldTone
from device.sound.networks import MadeNetworks, Networks
from device.sound.parameter_path import Control, ParameterPath
from device.sound.path import SoundPath
from device.sound.ramp import Curve
from device.sound.scenes import MAXIMUM_SCENES, Scenes, SceneSettings, check_scenes
from device.sound.steering import Steering
from device.sound.trajectory import Trajectory
from device.table import Range, Size, read_table
from models.errors import ModelError

if TYPE_CHECKING:
    from device.sound.morph.studio_feed import Change

MAXIMUM_BLOCKS = 32
"""Longest chain; far more than any pedal board, and a bound for hostile files."""

LevelDb = Annotated[float, Range(-60.0, 36.0)]
Side = Literal["a", "b"]
OnStandIn = Callable[[MorphEngine, "Change | None"], MorphEngine]
"""Makes the studio engine from the engine that stands in for it, and from what is added to tone
A's latents where that makes tone B."""


@dataclass(frozen=True)
class InputTable:
    """``[input]``."""

    gain_db: LevelDb = 0.0


@dataclass(frozen=True)
class ToneTable:
    """``[tone.a]`` and ``[tone.b]``."""

    chain: Annotated[tuple[BlockSettings, ...], Size(0, MAXIMUM_BLOCKS)]
    level_db: LevelDb = 0.0


@dataclass(frozen=True)
class TonesTable:
    """``[tone]``."""

    a: ToneTable
    b: ToneTable


@dataclass(frozen=True)
class DirectionTable:
    """``[morph] direction``: tone B is tone A, changed as one recording is to another."""

    KEYS: ClassVar = {"start": "from"}

    start: File
    """A recording, relative to the preset."""
    to: File
    """Another of the same performance."""
    amount: Annotated[float, Range(-4.0, 4.0)] = 1.0
    """How much of the change at tone B; below 0 it goes the other way."""


@dataclass(frozen=True)
class MorphTable:
    """``[morph]``."""

    engine: EngineKind = "stage"
    path: Literal["drive", "direct"] = "drive"
    law: Literal["linear", "perceptual"] = "linear"
    direction: DirectionTable | None = None
    follow: FollowSettings = field(default_factory=FollowSettings)
    scenes: Annotated[tuple[SceneSettings, ...], Size(0, MAXIMUM_SCENES)] = ()
    scenes_loop: bool = False

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for keys that do not go together."""
        if self.direction is not None and self.engine != Studio.kind:
            raise ValueError('direction needs engine = "studio"')
        check_scenes(self.scenes, self.scenes_loop)


@dataclass(frozen=True)
class OutputTable:
    """``[output]``."""

    level_db: LevelDb = 0.0


@dataclass(frozen=True)
class PresetTable:
    """A preset file, format 1."""

    format: Literal[1]
    name: Annotated[str, Size(1, 80)]
    tone: TonesTable
    input: InputTable = field(default_factory=InputTable)
    morph: MorphTable = field(default_factory=MorphTable)
    output: OutputTable = field(default_factory=OutputTable)

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for tables that do not go together."""
        if self.morph.direction is not None and self.tone.b.chain:
            raise ValueError("morph.direction makes tone B; write tone.b.chain = []")


@dataclass(frozen=True)
class Preset:
    """A preset that has been read and checked; its captures and cabinets not yet."""

    file: Path
    table: PresetTable
    stage: Path | None = None
    """The stage network; None: the one that ships."""
    networks: Networks | None = None
    """Where its networks come from; None: they are made on the spot."""

    @property
    def name(self) -> str:
        """The name a player sees."""
        return self.table.name

    def chain(self, side: Side, interface_dbu: float | None = None) -> ToneChain:
        """Make one tone's chain, unprepared. Raises ``PresetError`` naming the block."""
        tone: ToneTable = getattr(self.table.tone, side)
        blocks = []
        for index, settings in enumerate(tone.chain):
            try:
                blocks.append(settings.build(self.file.parent, interface_dbu, self.networks))
            except (ModelError, AudioFileError, PresetError) as error:
                place = f"tone.{side}.chain[{index}]"
                raise PresetError(f"{self.file}: {place}: {error}") from None
        return ToneChain(blocks, tone.level_db)

    @property
    def one_shape(self) -> bool:
        """Whether the knob turns one chain's own controls."""
        morph = self.table.morph
        return morph.path == "drive" and morph.direction is None and self._controls() is not None

    @property
    def plays_studio(self) -> bool:
        """Whether the studio engine is asked for, by tones that need an engine at all."""
        return self.table.morph.engine == Studio.kind and not self.one_shape

    @property
    def needs_fit(self) -> bool:
        """Whether the stage engine plays, be it to stand in."""
        morph = self.table.morph
        tones = morph.direction is None and not self.one_shape
        return tones and morph.engine in (Stage.kind, Studio.kind)

    @property
    def needs_way(self) -> bool:
        """Whether the knob's way is to be found first (``device.prepare``)."""
        morph = self.table.morph
        if self.one_shape:
            return morph.law != "linear"
        if morph.direction is not None:
            return False
        # A bare blend is the only thing that needs to know nothing of its tones.
        return (morph.path, morph.law, morph.engine) != ("direct", "linear", Crossfade.kind)

    def path(
        self,
        interface_dbu: float | None = None,
        scenes: bool = True,
        trajectory: Trajectory | None = None,
        law: Curve | None = None,
        fit: StageFit | None = None,
        studio: OnStandIn | None = None,
        change: "Change | None" = None,
    ) -> SoundPath | ParameterPath:
        """Make the whole way through the preset, unprepared. Raises ``PresetError``.

        ``scenes = False`` leaves the position to the knob and to ``follow``. ``trajectory`` is
        the way found for a preset that needs one; without it the tones are blended as they are.
        ``law`` is the table of positions for tones of one shape, ``fit`` what was found for the
        stage engine. ``studio`` makes the studio engine; a preset that asks for it is refused
        without. ``change`` is what was found for its ``direction``.
        """
        way = self._way(interface_dbu, trajectory, law, self._engine(fit, studio, change))
        way.steering = self._steering(scenes)
        return way

    def _steering(self, with_scenes: bool) -> Steering | None:
        """What moves the position besides the knob, if anything."""
        table = self.table.morph
        follow = Follow(table.follow, self.table.input.gain_db) if table.follow.depth else None
        scenes = Scenes(table.scenes, table.scenes_loop) if with_scenes and table.scenes else None
        return None if follow is None and scenes is None else Steering(follow, scenes)

    def _way(
        self,
        interface_dbu: float | None,
        trajectory: Trajectory | None,
        law: Curve | None,
        engine: MorphEngine,
    ) -> SoundPath | ParameterPath:
        """The way without what steers it.

        Where both tones have one shape, the knob turns the controls of one chain; ``path =
        "direct"`` asks for the blend all the same.
        """
        table = self.table
        controls = self._controls() if self.one_shape else None
        if controls is not None:
            return ParameterPath(
                name=self.name,
                chain=self.chain("a", interface_dbu),
                controls=controls,
                levels_db=(table.tone.a.level_db, table.tone.b.level_db),
                input_db=table.input.gain_db,
                output_db=table.output.level_db,
                law=law,
            )
        return SoundPath(
            name=self.name,
            tone_a=self.chain("a", interface_dbu),
            tone_b=self.chain("b", interface_dbu),
            morph=engine,
            input_db=self.table.input.gain_db,
            output_db=self.table.output.level_db,
            trajectory=trajectory,
        )

    def _engine(
        self, fit: StageFit | None, studio: OnStandIn | None, change: "Change | None"
    ) -> MorphEngine:
        """The morph engine, unprepared, even where tones of one shape do not need it."""
        if not self.plays_studio:
            return self._stage(fit) if self.needs_fit else Crossfade()
        if studio is None:
            raise PresetError(
                f'{self.file}: morph.engine is "studio", which needs its network; give --bundle '
                "FOLDER, or name one as [studio] bundle in pedal.toml"
            )
        if self.table.morph.direction is not None:
            return studio(HeldTone(), change)
        return studio(self._stage(fit), None)

    def _stage(self, fit: StageFit | None) -> Stage:
        return Stage(fit, partial((self.networks or MadeNetworks()).stage, self.stage))

    def _controls(self) -> list[Control] | None:
        """The controls that differ between tones of one shape; None where the shapes differ."""
        a, b = self.table.tone.a.chain, self.table.tone.b.chain
        if len(a) != len(b):
            return None
        controls = []
        for index, (at_a, at_b) in enumerate(zip(a, b, strict=True)):
            movable = at_a.movable
            if at_a.fixed() != at_b.fixed():
                return None
            controls += [
                Control(index, row, getattr(at_a, name), getattr(at_b, name))
                for name, row in movable.items()
                if getattr(at_a, name) != getattr(at_b, name)
            ]
        return controls

    def single(self, side: Side, interface_dbu: float | None = None) -> SoundPath:
        """Make the way through one tone only: no chain of the other, no morph. Unprepared.

        The other tone is an empty chain, so its latency is less and the sum stays this tone's;
        what the whole preset adds to line both up is silence before the first frame. Raises
        ``PresetError`` for a tone B that only the studio engine can make.
        """
        if side == "b" and self.table.morph.direction is not None:
            raise PresetError(
                f"{self.file}: its tone B is made by the studio engine from tone A; render it "
                "with --position 1"
            )
        return SoundPath(
            name=f"{self.name}, tone {side.upper()}",
            tone_a=self.chain(side, interface_dbu),
            tone_b=ToneChain([]),
            morph=ENGINES["crossfade"](),
            input_db=self.table.input.gain_db,
            output_db=self.table.output.level_db,
        )


def read_preset(file: Path, stage: Path | None = None, networks: Networks | None = None) -> Preset:
    """Read a preset. Raises ``PresetError`` with one sentence: what, where, what to do.

    ``stage`` is the stage network that it plays, ``networks`` where its networks come from.
    """
    table = read_table(file, PresetTable, PresetError, "preset")
    return Preset(file, table, stage, networks)
