"""``pedal.toml``: which board, which interface, which presets, where the pedal keeps its files."""

import itertools
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from device.errors import ConfigError
from device.script import FaultKind, KnobFault, Script
from device.toml import Table, read_toml
from models.facts import Precision

BoardName = Literal["simulated", "jetson"]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0, le=1e6)]
Index = Annotated[int, Field(ge=0)]
# TOML has arrays only: a pair of unlike values is a tuple here.
Pair = Strict(False)

ENGINE_FILE = "engine.json"
BUNDLED_PRESETS = Path(__file__).parent / "presets"


class AudioTable(Table):
    """``[audio]``: the interface. ``simulated`` uses its rate and period only."""

    card: str = Field("default", min_length=1)
    """ALSA name of the interface, stable over unplugging: ``hw:CARD=USB``."""
    rate_hz: int = Field(48000, ge=8000, le=192000)
    period_frames: int = Field(64, ge=16, le=4096)
    periods: int = Field(2, ge=2, le=16)
    input_channel: int = Field(0, ge=0, le=31)
    interface_dbu: float | None = Field(None, ge=-40.0, le=60.0)
    """Level in dBu that the interface calls full scale, for ``normalise = "calibrated"``."""
    realtime_priority: int = Field(80, ge=1, le=99)
    cpus: list[Annotated[int, Field(ge=0, le=1023)]] = Field(default=[])
    """Processors the audio process is bound to; empty: any."""


class BankTable(Table):
    """``[bank]``: the presets a player can choose between, all prepared before playing."""

    presets: list[str] = Field(default=[], max_length=64)
    """Preset files relative to pedal.toml; empty: the bundled ones."""
    start: int = Field(0, ge=0)


class FaultTable(Table):
    """One entry of ``[[knob.faults]]``; simulated board only."""

    kind: FaultKind
    from_s: Seconds
    to_s: Seconds


class KnobTable(Table):
    """``[knob]``: a script in place of a potentiometer, (s, 0…1) pairs; empty: it rests."""

    points: list[Annotated[tuple[Seconds, Unit], Pair]] = Field(default=[])
    presets: list[Annotated[tuple[Seconds, Index], Pair]] = Field(default=[])
    bypass: list[Annotated[tuple[Seconds, bool], Pair]] = Field(default=[])
    faults: list[FaultTable] = Field(default=[])

    @model_validator(mode="after")
    def _times_rise(self) -> "KnobTable":
        for name in ("points", "presets", "bypass"):
            times = [entry[0] for entry in getattr(self, name)]
            if any(later <= earlier for earlier, later in itertools.pairwise(times)):
                raise ValueError(f"the times of {name} must rise from entry to entry")
        return self


class StudioTable(Table):
    """``[studio]``: the studio engine, for presets that ask for it."""

    bundle: str | None = Field(None, min_length=1)
    """Folder of its network relative to pedal.toml; without one the stage engine stands in."""
    precision: Precision | None = None
    """By default int8, or what the bundle has that comes next."""
    hop_frames: int | None = Field(None, ge=1, le=4096)
    """STFT frames from one window to the next, instead of the bundle's: fewer on a quick module."""
    cpus: list[Annotated[int, Field(ge=0, le=1023)]] = Field(default=[])
    """Processors the engine process is bound to; empty: any."""


class SimulatedTable(Table):
    """``[simulated]``: faults of the simulated interface, by period index."""

    capture_xruns: list[int] = Field(default=[])
    playback_xruns: list[int] = Field(default=[])
    absent: list[int] = Field(default=[])


class PedalTable(Table):
    """The whole file."""

    board: BoardName = "simulated"
    audio: AudioTable = AudioTable()
    bank: BankTable = BankTable()
    knob: KnobTable = KnobTable()
    studio: StudioTable = StudioTable()
    simulated: SimulatedTable = SimulatedTable()


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
    def meters(self) -> Path:
        """The live meters."""
        return self.runtime / "meters"

    def script(self) -> Script | None:
        """The knob's script, None where the file has none."""
        knob = self.table.knob
        if not (knob.points or knob.presets or knob.bypass or knob.faults):
            return None
        return Script(
            points=tuple(knob.points) or ((0.0, 0.0),),
            presets=tuple(knob.presets),
            bypass=tuple(knob.bypass),
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
    return read_toml(file, PedalTable, ConfigError, "pedal.toml").audio.interface_dbu


def studio_of(file: Path) -> tuple[StudioTable, Path | None]:
    """``[studio]`` of a ``pedal.toml``, and the bundle that it names. Raises ``ConfigError``."""
    table = read_toml(file, PedalTable, ConfigError, "pedal.toml").studio
    return table, None if table.bundle is None else file.parent / table.bundle


def default_runtime() -> Path:
    """Folder of sockets and meters: systemd's, the user's, or one below the temporary folder."""
    for variable in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        folder = os.environ.get(variable)
        if folder and Path(folder).is_dir():
            return Path(folder) if variable == "RUNTIME_DIRECTORY" else Path(folder) / "purga"
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
    table = read_toml(file, PedalTable, ConfigError, "pedal.toml") if file else PedalTable()
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
