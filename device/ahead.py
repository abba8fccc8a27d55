"""A bank made ready ahead of the process that will play it, in a process of its own.

``python -m device.ahead FILE`` reads what is wanted from a file, does all that loading a bank
takes, tries every preset, and leaves what it laid out in a folder and what it found out in another
file. The process that plays waits for nothing but its end: what takes long, takes memory or kills
a process happens here, at the lowest priority.
"""

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from device.plain import asdict, dataclass, field
from device.processes.beside import replace_json
from device.processes.realtime import die_with_parent, quiet_arithmetic
from models.errors import PurgaError

if TYPE_CHECKING:
    from device.config import Config
    from device.slots import Slot
    from device.sound.playable import Playable
    from device.studio import StudioBundle

TRIED_S = 0.3
"""Every preset is played for so long."""
_LOWEST = 19
_FIRST_TO_GO = 800
_SETTLED = 0.25
"""The first part of that is not timed: caches fill."""


@dataclass(frozen=True)
class Wanted:
    """What is to be made ready: ``device.config.Config`` as far as it matters."""

    folder: str
    """Of the slot; empty: the pedal's own."""
    names: tuple[str, ...]
    presets: tuple[str, ...]
    beside: str
    """What names are relative to."""
    named: bool
    bundle: str | None
    bundle_named: bool
    precision: str | None
    hop_frames: int | None
    rate_hz: int
    period_frames: int
    interface_dbu: float | None
    ways: str | None
    """Folder for what is found; None: the cache."""
    kept: str
    """Folder for what is laid out."""
    answer: str
    """File for what was found out."""


@dataclass(frozen=True)
class Ready:
    """What was found out."""

    refused: str = ""
    """Why none of it can be played; then nothing else is said."""
    version: int | None = None
    name: str = ""
    presets: tuple[str, ...] = ()
    stage: str | None = None
    problems: dict[str, str] = field(default_factory=dict)
    """Why a preset cannot be played, by its index."""
    timing: tuple[int, int] | None = None
    """Frames of the studio stream and of a hop, where a preset plays it."""
    bundle: str = ""
    """Which bundle computes it."""
    notice: str | None = None
    """Why the stage engine plays in the studio engine's place, if it does."""
    changes: dict[str, str] = field(default_factory=dict)
    """Files that hold what makes tone B of presets with a direction, by the preset's index."""


def main(arguments: list[str]) -> int:
    """Make ready what the file says; 0 also where nothing of it can be played."""
    die_with_parent()
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _LOWEST)
    with contextlib.suppress(OSError):
        # Where memory runs out this ends, not the process that plays and whose child it is.
        Path("/proc/self/oom_score_adj").write_text(str(_FIRST_TO_GO))
    quiet_arithmetic()
    wanted = Wanted(**_tuples(json.loads(Path(arguments[0]).read_bytes())))
    try:
        ready = make_ready(wanted)
    except PurgaError as problem:
        ready = Ready(refused=str(problem))
    replace_json(Path(wanted.answer), asdict(ready))
    return 0


def read_ready(file: Path) -> Ready:
    """What was found out. Raises ``OSError`` and ``ValueError``."""
    return Ready(**_tuples(json.loads(file.read_bytes())))


def _tuples(found: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}


def make_ready(wanted: Wanted) -> Ready:
    """Load the bank as the stage does, keep what was laid out, and try each preset.

    Raises ``SlotError`` for a slot that cannot be used.
    """
    from device.bank import find_for_stage, made_bank, read_bank, sentence
    from device.kept import KeptNetworks, Store
    from device.slots import read_slot
    from device.sound.dry import DryPath
    from device.sound.playable import prepared_bank

    slot = read_slot(Path(wanted.folder) if wanted.folder else None)
    config = _config(wanted, slot)
    store = Store(Path(wanted.kept))
    networks = KeptNetworks(store, make=True)
    problems: dict[int, str] = {}
    presets = read_bank(config.presets, problems, config.stage, networks)
    ways = None if wanted.ways is None else Path(wanted.ways)
    about = (wanted.rate_hz, wanted.interface_dbu, ways)
    studio = None
    if any(each.plays_studio for each in presets.values()):
        studio = _Studio(config, store)
    find_for_stage(list(presets.values()), *about, studio)
    made = made_bank(config.presets, presets, problems, *about, studio)

    def instead(index: int, problem: Exception) -> "Playable":
        problems[index] = sentence(config.presets[index], problem)
        return DryPath(made[index].name)

    bank = prepared_bank(made, wanted.rate_hz, wanted.period_frames, instead)
    for index, path in enumerate(bank):
        if index not in problems:
            problem = tried(path, wanted.rate_hz, wanted.period_frames)
            if problem:
                problems[index] = f"{config.presets[index]}: {problem}"
    store.trim()
    return Ready(
        version=None if slot is None else slot.version,
        name="" if slot is None else slot.name,
        presets=tuple(str(file) for file in config.presets),
        stage=None if config.stage is None else str(config.stage),
        problems={str(index): problem for index, problem in problems.items()},
        **({} if studio is None else studio.found()),
    )


def tried(
    path: "Playable",
    rate_hz: int,
    period_frames: int,
    clock: Callable[[], int] = time.thread_time_ns,
) -> str:
    """Play a prepared preset for a moment; why it must not be played, empty where it may.

    The guitar is noise that swells to −6 dBFS, the knob goes from end to end and back.
    """
    periods = max(8, round(TRIED_S * rate_hz / period_frames))
    generator = np.random.default_rng(1)
    swell = np.linspace(0.01, 0.5, periods, dtype=np.float32)
    knob = np.abs(np.linspace(-1.0, 1.0, periods + 1, dtype=np.float32))
    wet, dry = (np.zeros((1, period_frames), np.float32) for _ in range(2))
    spent = []
    for index in range(periods):
        guitar = generator.uniform(-1.0, 1.0, (1, period_frames)).astype(np.float32) * swell[index]
        position = np.linspace(knob[index], knob[index + 1], period_frames, dtype=np.float32)
        began = clock()
        try:
            path.process(guitar, position, wet, dry)
        except Exception as error:
            return f"cannot be played ({type(error).__name__}: {error})"
        spent.append(clock() - began)
        if not np.isfinite(wet).all() or path.nan_periods:
            return "gives what is no number; its networks cannot be played"
    took_ns = float(np.median(spent[round(_SETTLED * periods) :]))
    period_ns = 1e9 * period_frames / rate_hz
    if took_ns > period_ns:
        return f"takes {took_ns / 1e6:.2f} ms of every {period_ns / 1e6:.2f} ms; it is too slow"
    return ""


class _Studio:
    """A ``StudioSource`` nobody answers, which remembers what whoever plays has to know."""

    def __init__(self, config: "Config", store: "Any") -> None:
        from device.processes.studio_side import BehindASocket

        self._store = store
        self._source = BehindASocket(config)
        self._changes: dict[str, str] = {}
        self._files = {str(file): index for index, file in enumerate(config.presets)}

    @property
    def network(self) -> "StudioBundle | None":
        return self._source.network

    def change(self, preset: Any, cache: Path | None) -> Any:
        change = self._source.change(preset, cache)
        if change is not None:
            values = np.ascontiguousarray(change, np.float32).tobytes()
            key = self._store.key("change", hashlib.sha256(values).hexdigest())
            self._store.write(key, {}, values)
            self._changes[str(self._files[str(preset.file)])] = key
        return change

    def engine(self, stand_in: Any, change: Any = None) -> Any:
        return self._source.engine(stand_in, change)

    def found(self) -> dict[str, Any]:
        """For ``Ready``."""
        timing = self._source.timing
        return {
            "timing": (timing.stream_frames, timing.hop_frames),
            "bundle": self._source.bundle,
            "notice": self._source.notice,
            "changes": self._changes,
        }


def _config(wanted: Wanted, slot: "Slot | None") -> "Config":
    from device.config import AudioTable, BankTable, Config, PedalTable, StudioTable

    table = PedalTable(
        audio=AudioTable(rate_hz=wanted.rate_hz, period_frames=wanted.period_frames),
        bank=BankTable(presets=wanted.names),
        studio=StudioTable(precision=wanted.precision, hop_frames=wanted.hop_frames),  # type: ignore[arg-type]
    )
    return Config(
        table,
        "simulated",
        tuple(Path(each) for each in wanted.presets),
        # Nobody listens there: what is tried here is not computed by the engine process.
        Path(wanted.kept) / "nobody",
        None if wanted.bundle is None else Path(wanted.bundle),
        folder=Path(wanted.beside),
        named=wanted.named,
        bundle_named=wanted.bundle_named,
    ).with_slot(slot)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
