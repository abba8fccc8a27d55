"""``pedal.toml``: which board, which interface, which presets, where the pedal keeps its files."""

import os
from pathlib import Path
from typing import Annotated, Literal

from device.config_hardware import (
    AdcTable,
    ExpressionTable,
    FootswitchTable,
    HeaterTable,
    KnobKind,
    KnobTable,
    LedsTable,
    MidiTable,
    PinsTable,
    RelayTable,
    SimulatedTable,
)
from device.errors import ConfigError
from device.plain import dataclass, field, replace
from device.script import KnobFault, Script
from device.slots import PREFIX, Slot, slot_in_use
from device.states import Limits
from device.table import Range, Size, read_table

BoardName = Literal["simulated", "jetson"]
Cpus = tuple[Annotated[int, Range(0, 1023)], ...]

ENGINE_FILE = "engine.json"
CONTROL_FILE = "control.json"
BUNDLED_PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class AudioTable:
    """``[audio]``: the interface. ``simulated`` uses its rate and period only."""

    card: Annotated[str, Size(1, 200)] = "default"
    """ALSA name of the interface, stable over unplugging: ``hw:CARD=USB``."""
    rate_hz: Annotated[int, Range(8000, 192000)] = 48000
    period_frames: Annotated[int, Range(16, 4096)] = 64
    periods: Annotated[int, Range(2, 16)] = 2
    input_channel: Annotated[int, Range(0, 31)] = 0
    interface_dbu: Annotated[float, Range(-40.0, 60.0)] | None = None
    """Level in dBu that the interface calls full scale, for ``normalise = "calibrated"``."""
    realtime_priority: Annotated[int, Range(1, 99)] = 80
    cpus: Cpus = ()
    """Processors the audio process is bound to; empty: any."""


@dataclass(frozen=True)
class BankTable:
    """``[bank]``: the presets a player can choose between, all prepared before playing."""

    presets: Annotated[tuple[str, ...], Size(0, 64)] = ()
    """Preset files relative to pedal.toml, ``slot:presets/x.toml`` for one of the models slot;
    empty: those of the slot where it has any, else the bundled ones."""
    start: Annotated[int, Range(0, 63)] = 0


@dataclass(frozen=True)
class StudioTable:
    """``[studio]``: the studio engine, for presets that ask for it."""

    bundle: Annotated[str, Size(1, 4096)] | None = None
    """Folder of its network relative to pedal.toml; without one the stage engine stands in."""
    precision: Literal["fp32", "fp16", "int8"] | None = None
    """By default int8, or what the bundle has that comes next."""
    hop_frames: Annotated[int, Range(1, 4096)] | None = None
    """STFT frames from one window to the next, instead of the bundle's: fewer on a quick module."""
    cpus: Cpus = ()
    """Processors the engine process is bound to; empty: any."""


MODELS_SLOT = Path("/var/lib/purga-update/models/active")
"""Where an update switches what a pedal on stage plays."""


@dataclass(frozen=True)
class SlotsTable:
    """``[slots]``: where updates put what is played."""

    models: Annotated[str, Size(0, 4096)] | None = None
    """The link to the models slot in use, relative to pedal.toml; empty: none. By default
    ``MODELS_SLOT`` on stage, none in a simulation."""


@dataclass(frozen=True)
class PedalTable:
    """The whole file."""

    board: BoardName = "simulated"
    audio: AudioTable = field(default_factory=AudioTable)
    bank: BankTable = field(default_factory=BankTable)
    adc: AdcTable = field(default_factory=AdcTable)
    knob: KnobTable = field(default_factory=KnobTable)
    expression: ExpressionTable = field(default_factory=ExpressionTable)
    midi: MidiTable = field(default_factory=MidiTable)
    footswitch: FootswitchTable = field(default_factory=FootswitchTable)
    relay: RelayTable = field(default_factory=RelayTable)
    heater: HeaterTable = field(default_factory=HeaterTable)
    leds: LedsTable = field(default_factory=LedsTable)
    temperature: Limits = field(default_factory=Limits)
    """``[temperature]``: °C, K and s that the pedal's states are decided by."""
    pins: PinsTable = field(default_factory=PinsTable)
    studio: StudioTable = field(default_factory=StudioTable)
    slots: SlotsTable = field(default_factory=SlotsTable)
    simulated: SimulatedTable = field(default_factory=SimulatedTable)


@dataclass(frozen=True)
class Config:
    """What a process of the pedal needs to know, from file and command line."""

    table: PedalTable
    board: BoardName
    presets: tuple[Path, ...]
    runtime: Path
    """Folder of the sockets and meters."""
    bundle: Path | None = None
    """Folder of the studio engine's network, where there is one."""
    slot_link: Path | None = None
    """The link to the models slot, where updates are played at all."""
    folder: Path = Path()
    """What names in ``pedal.toml`` are relative to."""
    named: bool = False
    """Whether the bank is the file's; else the command line names a preset."""
    bundle_named: bool = False
    """Whether file or command line names the bundle: the slot's is not played then."""
    stage: Path | None = None
    """The stage network; None: the one that ships."""

    @property
    def first_preset(self) -> int:
        """Index of the preset that plays first; a preset named on the command line is alone."""
        start = self.table.bank.start
        return start if self.named and start < len(self.presets) else 0

    def with_slot(self, slot: Slot | None) -> "Config":
        """The same with what lies in a slot; None: with the pedal's own."""
        presets = self.presets
        if self.named:
            names = self.table.bank.presets
            presets = tuple(_preset_file(name, self.folder, slot) for name in names)
            if not presets:
                presets = bundled_presets() if slot is None else slot.presets or bundled_presets()
        bundle = self.bundle
        if not self.bundle_named:
            bundle = None if slot is None else slot.bundle
        return replace(
            self, presets=presets, bundle=bundle, stage=None if slot is None else slot.stage
        )

    @property
    def control_socket(self) -> Path:
        """Where ``audio`` listens for ``control``."""
        return self.runtime / "audio.sock"

    @property
    def clock_socket(self) -> Path:
        """Where the simulated board's virtual time is led from."""
        return self.runtime / "clock.sock"

    @property
    def studio_socket(self) -> Path:
        """Where the engine process listens for ``audio``."""
        return self.runtime / "studio.sock"

    @property
    def engine_state(self) -> Path:
        """What the engine process says of itself."""
        return self.runtime / ENGINE_FILE

    @property
    def control_state(self) -> Path:
        """What the control process says of itself, and goes on with when it is started again."""
        return self.runtime / CONTROL_FILE

    @property
    def meters(self) -> Path:
        """The live meters."""
        return self.runtime / "meters"

    @property
    def knob_kind(self) -> KnobKind:
        """What the knob is: what the file says; else a script where there is one to follow."""
        knob = self.table.knob
        if knob.kind is not None:
            return knob.kind
        return "script" if self.board == "simulated" or knob.scripted else "mcp3008"

    def script(self) -> Script | None:
        """The knob's script, None where the file has none."""
        knob = self.table.knob
        if not knob.scripted:
            return None
        return Script(
            points=knob.points or ((0.0, 0.0),),
            presets=knob.presets,
            bypass=knob.bypass,
            faults=tuple(KnobFault(f.kind, f.from_s, f.to_s) for f in knob.faults),
        )


def bundled_presets() -> tuple[Path, ...]:
    """The project's own presets, in the order a player steps through them."""
    return tuple(sorted(BUNDLED_PRESETS.glob("*.toml")))


def interface_level_dbu(file: Path | None) -> float | None:
    """The interface's measured level of a ``pedal.toml``, None where it has none or there is none.

    Raises ``ConfigError``.
    """
    if file is None:
        return None
    return read_table(file, PedalTable, ConfigError, "pedal.toml").audio.interface_dbu


def studio_of(file: Path) -> tuple[StudioTable, Path | None]:
    """``[studio]`` of a ``pedal.toml``, and the bundle that it names, else the models slot's.

    Raises ``ConfigError``.
    """
    table = read_table(file, PedalTable, ConfigError, "pedal.toml").studio
    if table.bundle is not None:
        return table, file.parent / table.bundle
    slot = _slot_of(file)
    return table, None if slot is None else slot.bundle


def stage_of(file: Path | None) -> Path | None:
    """The stage network that a ``pedal.toml`` plays; None: the one that ships.

    Raises ``ConfigError``.
    """
    slot = None if file is None else _slot_of(file)
    return None if slot is None else slot.stage


def _slot_of(file: Path) -> Slot | None:
    table = read_table(file, PedalTable, ConfigError, "pedal.toml")
    return slot_in_use(_slot_link(table.slots.models, table.board, file.parent))


def default_runtime() -> Path:
    """Folder of sockets and meters: systemd's, the user's, or one below the temporary folder."""
    for variable in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        folder = os.environ.get(variable)
        if folder and Path(folder).is_dir():
            return Path(folder) if variable == "RUNTIME_DIRECTORY" else Path(folder) / "purga"
    import tempfile  # here, because it takes long to import and a unit has a folder

    return Path(tempfile.gettempdir()) / f"purga-{os.getuid()}"


def load_config(
    file: Path | None = None,
    board: BoardName | None = None,
    preset: Path | None = None,
    runtime: Path | None = None,
    bundle: Path | None = None,
) -> Config:
    """Read ``pedal.toml`` (None: defaults); the command line's choices go first.

    Raises ``ConfigError`` with one sentence.
    """
    table = read_table(file, PedalTable, ConfigError, "pedal.toml") if file else PedalTable()
    folder = file.parent if file else Path()
    for name in table.bank.presets:
        inside = Path(name[len(PREFIX) :])
        if name.startswith(PREFIX) and (".." in inside.parts or inside.is_absolute()):
            raise ConfigError(f"{file}: bank.presets: {name:.60} leads out of the slot; mend it")
    runtime = runtime or default_runtime()
    try:
        runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{runtime}: cannot be used for sockets and meters ({error.strerror}); choose "
            "another with --runtime"
        ) from None
    if bundle is None and table.studio.bundle is not None:
        bundle = folder / table.studio.bundle
    board = board or table.board
    config = Config(
        table,
        board,
        () if preset is None else (preset,),
        runtime,
        bundle,
        slot_link=_slot_link(table.slots.models, board, folder),
        folder=folder,
        named=preset is None,
        bundle_named=bundle is not None,
    ).with_slot(None)
    held, start = len(config.presets), table.bank.start
    # How many presets a slot holds is not known yet.
    if config.named and (table.bank.presets or config.slot_link is None) and start >= held:
        raise ConfigError(f"{file}: bank.start is {start}, but the bank holds {held} presets")
    return config


def _slot_link(named: str | None, board: BoardName, folder: Path) -> Path | None:
    if named is None:
        return MODELS_SLOT if board == "jetson" else None
    return folder / named if named else None


def _preset_file(name: str, folder: Path, slot: Slot | None) -> Path:
    """One entry of the bank; the bundled preset of the same name where there is no slot."""
    if not name.startswith(PREFIX):
        return folder / name
    inside = name[len(PREFIX) :]
    return BUNDLED_PRESETS / Path(inside).name if slot is None else slot.folder / inside
