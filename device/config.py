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
from device.plain import dataclass, field
from device.script import KnobFault, Script
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
    """Preset files relative to pedal.toml; empty: the bundled ones."""
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

    @property
    def first_preset(self) -> int:
        """Index of the preset that plays first; a preset named on the command line is alone."""
        return self.table.bank.start if len(self.presets) > 1 else 0

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
    """``[studio]`` of a ``pedal.toml``, and the bundle that it names. Raises ``ConfigError``."""
    table = read_table(file, PedalTable, ConfigError, "pedal.toml").studio
    return table, None if table.bundle is None else file.parent / table.bundle


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
    presets = tuple(folder / name for name in table.bank.presets) or bundled_presets()
    if preset is not None:
        presets = (preset,)
    elif table.bank.start >= len(presets):
        raise ConfigError(
            f"{file}: bank.start is {table.bank.start}, but the bank holds {len(presets)} presets"
        )
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
    return Config(table, board or table.board, presets, runtime, bundle)
