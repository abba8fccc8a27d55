"""Probation: how a slot does while it plays, read from what the pedal says of itself."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from deploy.places import Component
from deploy.slots.disk import put
from deploy.trial.unheard import looked
from deploy.trial.verdict import Verdict, one_line
from deploy.trial.watched import (
    Seen,
    Watched,
    WatchLimits,
    begun,
    judged,
    packed,
    step,
    unpacked,
)
from device.config import CONTROL_FILE, ENGINE_FILE
from device.errors import LinkError
from device.processes.bank_report import BankReport, read_bank
from device.processes.control_report import read_report
from device.processes.engine_state import read_state
from device.processes.meters import read_meters

METERS_FILE = "meters"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STALE_S = 10.0
"""Control writes its report once a second; an older one says nothing of now."""
SAVE_S = 10.0
"""Of playing, between two writes of what was seen: so much may be watched twice."""
SAVE_UP_S = 600.0
"""Of not playing, the same: so much may be forgotten at each start."""
_LONGEST_BYTES = 1 << 16

_LIMITS = WatchLimits()


class Probation:
    """Watches one component's active slot; what it has seen outlasts the process and the power.

    ::

        probation = Probation(runtime, state, "models", slot.folder, release_sha256)
        probation.begin()             # while the slot before still plays: how the pedal is
        verdict = probation.look()    # about once a second while it plays; None: still watching

    Whatever is not there, or cannot be read or written, is no verdict.
    """

    def __init__(
        self,
        runtime: Path,
        state: Path,
        component: Component,
        slot: Path,
        release_sha256: str,
        limits: WatchLimits = _LIMITS,
        clock: Callable[[], float] = time.monotonic,
        boot: Callable[[], str] | None = None,
    ) -> None:
        """Read files of ``runtime``, the pedal's folder of meters; keep what was seen in ``state``.

        ``slot`` is the folder that is on trial, ``clock`` the machine's monotonic time in s.
        """
        self._runtime, self._state = runtime, state
        self._component: Component = component
        # As audio names it.
        self._slot = slot.resolve()
        self._limits = limits
        self._clock = clock
        self._boot = boot or _this_boot
        self._release_sha256 = release_sha256
        self._watched = self._kept()
        self._saved = self._watched

    def begin(self) -> None:
        """Note how the pedal is before the slot plays; nothing where that was noted already."""
        if self._watched is None:
            self._watched = begun(self._release_sha256, self._seen(), self._firmware)
            self._save(self._watched)

    def look(self) -> Verdict | None:
        """Look once and judge; None while there is too little to say. Returns at once.

        Not ok and ``again`` where the slot does not play: a newer one may take its place.
        """
        seen = self._seen()
        before = self._watched or begun(self._release_sha256, None, self._firmware)
        watched = before if seen is None else step(before, seen)
        heard = watched.played_s > before.played_s
        since = looked(before.unheard, self._boot(), self._clock(), heard, self._limits.unheard)
        watched = replace(watched, unheard=since)
        verdict = judged(watched, self._limits)
        self._watched = watched
        if (verdict is not None and not verdict.again) or self._matters(watched):
            self._save(watched)
        return verdict

    @property
    def played_s(self) -> float:
        """For how long the slot has played on trial."""
        return 0.0 if self._watched is None else self._watched.played_s

    @property
    def _firmware(self) -> bool:
        return self._component == "firmware"

    def _kept(self) -> Watched | None:
        """What was seen of this release before; None where nothing was."""
        try:
            with self._state.open("rb") as file:
                watched = unpacked(file.read(_LONGEST_BYTES))
        except OSError:
            return None
        fits = watched is not None and watched.release_sha256 == self._release_sha256
        return watched if fits else None

    def _matters(self, watched: Watched) -> bool:
        """Whether what is new must not be forgotten: anything but a little more of the same."""
        saved = self._saved
        if saved is None:
            return True
        new, old = watched.unheard, saved.unheard
        if (new.boots, new.boot) != (old.boots, old.boot) or new.up_s - old.up_s >= SAVE_UP_S:
            return True
        same = replace(watched, played_s=saved.played_s, last=saved.last, hottest_c=saved.hottest_c)
        same = replace(same, fault_s=saved.fault_s, hot_s=saved.hot_s, unheard=old)
        if same != saved or watched.last is None or saved.last is None:
            return same != saved or watched.last != saved.last
        moved = any(watched.last[key] != saved.last[key] for key in ("boot", "pid", "plays"))
        return moved or watched.played_s - saved.played_s >= SAVE_S

    def _save(self, watched: Watched) -> None:
        """On the disk; one that does not take it costs watching again."""
        with contextlib.suppress(OSError):
            put(self._state, packed(watched))
            self._saved = watched

    def _seen(self) -> Seen | None:
        """The pedal at this moment; None where nothing plays that can be read."""
        try:
            reading = read_meters(self._runtime / METERS_FILE)
        except (LinkError, OSError):
            return None
        values = reading.values
        if not values["rate_hz"] or not values["period_frames"]:
            return None
        bank = read_bank(self._runtime)
        if bank is not None and bank.pid != values["pid"]:
            bank = None  # of a process that has ended
        report = self._report()
        engine = read_state(self._runtime / ENGINE_FILE)
        return Seen(
            boot=self._boot(),
            pid=values["pid"],
            counters=dict(values),
            period_s=values["period_frames"] / values["rate_hz"],
            loading=bool(values["loading"]),
            plays=self._plays(bank),
            rejected=self._rejected(bank),
            broken=self._broken(bank),
            state=_text(report, "state"),
            cause=_text(report, "cause") or "",
            hottest_c=_hottest_c(report),
            engine_pid=0 if engine is None else engine.pid,
            engine_nan=0 if engine is None else engine.nan_windows,
        )

    def _plays(self, bank: BankReport | None) -> bool:
        """Whether what is heard comes from the slot; firmware is heard whatever plays."""
        if self._firmware:
            return True
        return bank is not None and self._is_slot(bank.slot)

    def _is_slot(self, named: str) -> bool:
        return bool(named) and Path(named) == self._slot

    def _rejected(self, bank: BankReport | None) -> str:
        """Why audio has sent the slot back, or could not use it at all."""
        if bank is None or self._firmware or not self._is_slot(bank.rejected_slot):
            return ""
        return one_line(bank.rejected, self._slot)

    def _broken(self, bank: BankReport | None) -> str:
        """The first preset of the slot that cannot be played."""
        if bank is None or self._firmware or not self._plays(bank):
            return ""
        for entry in bank.presets:
            if entry.problem and Path(entry.file).is_relative_to(self._slot):
                return one_line(entry.problem, self._slot)
        return ""

    def _report(self) -> Mapping[str, object] | None:
        """Control's report, where it is of now."""
        report = read_report(self._runtime / CONTROL_FILE)
        if report is None:
            return None
        written_s = report.get("monotonic_s")
        fresh = isinstance(written_s, int | float) and -1.0 <= self._clock() - written_s < STALE_S
        return report if fresh else None


def _text(report: Mapping[str, object] | None, key: str) -> str | None:
    value = None if report is None else report.get(key)
    return value if isinstance(value, str) else None


def _hottest_c(report: Mapping[str, object] | None) -> float | None:
    temperatures = None if report is None else report.get("temperatures")
    value = temperatures.get("hottest_c") if isinstance(temperatures, Mapping) else None
    return float(value) if isinstance(value, int | float) else None


def _this_boot() -> str:
    """Which boot this is; the same for all of it."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return f"unknown {os.getppid()}"
