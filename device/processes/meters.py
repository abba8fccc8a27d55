"""Live meters: numbers in a shared file that the audio loop only stores into.

One process writes, any number read, without a lock or a system call on either side. A reader
may see a period's numbers half new, half old: they are for eyes, not for control.
"""

import mmap
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from device.errors import LinkError
from device.plain import dataclass, replace
from device.processes.message import MESSAGE_BYTES

MAGIC = 0x50555247_41000004

COUNTERS: Mapping[str, str] = {
    "periods": "periods played",
    "deadline_misses": "periods whose processing took longer than the period lasts",
    "xruns": "periods the interface lost; the sound goes on with the next",
    "absent_periods": "periods without an interface; it is looked for all the time",
    "input_nan_periods": "periods of guitar that held a NaN and were faded out",
    "tone_nan_periods": "periods in which a tone, or the network between, gave a NaN, was reset",
    "guard_nan_periods": "periods stopped by the last guard because of a NaN",
    "clipped_periods": "periods limited by the last guard to full scale",
    "path_errors": "errors in the sound path; the dry guitar plays until the preset changes",
    "control_lost": "times the control process went away; the last position is held",
    "control_refused": "heartbeats not sent because control did not read them",
    "control_foreign": "packets of control that were stale or foreign and ignored",
    "knob_faults": "readings of the knob that were impossible; the last good one is held",
    "studio_absent_periods": "periods without an engine process; the stage engine stands in",
    "studio_late_periods": "periods without its sound in time; the stage engine stands in",
    "studio_crossfades": "fades from the studio sound to the stage engine",
    "studio_lost": "times the engine process went away; it is looked for all the time",
    "studio_refused": "periods not sent because the engine process did not read them",
    "studio_stale": "studio sound that came too late or twice and was left out",
    "studio_gaps": "studio sound behind a gap, left out until it was steady",
    "studio_nan": "studio sound that held a NaN and was left out",
    "studio_foreign": "packets of the engine process that were foreign and ignored",
    "preset_changes": "preset changes begun",
    "preset_refused": "requests for a preset that the bank does not hold",
    "banks_swapped": "changes to another bank, from another models slot",
    "banks_rejected": "banks that could not be used, or were left again; see status",
    "loading_periods": "periods of dry guitar while the presets were being loaded",
}
"""What is counted, and what each count means."""

GAUGES: Mapping[str, str] = {
    "pid": "process that plays",
    "rate_hz": "frames per second",
    "period_frames": "frames per period",
    "interface_frames": "the interface's buffers, frames",
    "latency_frames": "latency of the preset that plays, frames",
    "preset": "index of the preset that plays",
    "bypass": "1 while the dry sound is asked for",
    "absent": "1 while there is no interface",
    "position_ppm": "position as played, by knob, scenes and follow, millionths",
    "knob_ppm": "where the knob stands, millionths",
    "scenes": "1 while scenes move the position, not the knob",
    "studio": "1 while the preset that plays has a studio engine",
    "studio_alive": "1 while its engine process is there",
    "studio_heard": "1 while the studio sound is heard, 0 while the stage engine stands in",
    "studio_reserve_frames": "studio sound held beyond what was played, frames",
    "peak_ppm": "largest output magnitude before the guard, millionths of full scale",
    "presets": "presets of the bank, broken ones too; 0 while they are being loaded",
    "presets_broken": "presets that cannot be played; the dry guitar plays in their place",
    "loading": "1 while the presets are being loaded",
    "mute": "1 while silence is asked for, as for tuning",
    "ceiling": "the costliest engine that may play: 0 crossfade, 1 stage, 2 studio",
    "dry_after_ms": "from the start of the process to the first period of guitar, ms",
    "wet_after_ms": "from the start of the process to the sound of a preset, ms",
    "total_periods": "length of a simulated run, periods; 0 where it has no end",
}
"""What is shown as it is now."""

FIELDS: Sequence[str] = (*COUNTERS, *GAUGES)
BINS_PER_PERIOD = 200
HISTOGRAM_BINS = 2 * BINS_PER_PERIOD + 1
"""Load histogram: half-percent steps of the period up to 200 %, and one bin for all beyond."""

_WORDS = 1 + len(FIELDS) + HISTOGRAM_BINS
_BYTES = 8 * _WORDS + MESSAGE_BYTES


class Meters:
    """The writer's side: attributes by ``store``, counts by ``count``, one histogram."""

    def __init__(self, path: Path) -> None:
        """Create the file afresh, all zero. Raises ``LinkError``."""
        try:
            temporary = path.with_name(path.name + ".new")
            temporary.write_bytes(b"\0" * _BYTES)
            with temporary.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), _BYTES)
            temporary.replace(path)
        except OSError as error:
            raise LinkError(
                f"{path}: meters cannot be written there ({error.strerror}); choose another "
                "runtime folder with --runtime"
            ) from None
        self._words = memoryview(self._map)[: 8 * _WORDS].cast("q")
        self._message = ""
        self._at = {name: index + 1 for index, name in enumerate(FIELDS)}
        self._histogram_at = 1 + len(FIELDS)
        self._words[0] = MAGIC
        self.store("pid", os.getpid())

    def store(self, name: str, value: int) -> None:
        """Put a number."""
        self._words[self._at[name]] = value

    def count(self, name: str, by: int = 1) -> None:
        """Add to a number."""
        self._words[self._at[name]] += by

    def load(self, busy_ns: int, period_ns: int) -> None:
        """Count one period's processing time in the histogram, and as a miss if too long."""
        index = busy_ns * BINS_PER_PERIOD // period_ns
        self._words[self._histogram_at + min(index, HISTOGRAM_BINS - 1)] += 1
        if busy_ns > period_ns:
            self.count("deadline_misses")

    def say(self, message: str | None) -> None:
        """Put a line of text, cut to ``MESSAGE_BYTES``; free while it stays the same."""
        if message is None or message is self._message:
            return
        self._message = message
        text = message.encode()[:MESSAGE_BYTES]
        self._map[8 * _WORDS : _BYTES] = text.ljust(MESSAGE_BYTES, b"\0")


@dataclass(frozen=True)
class Reading:
    """The meters at one moment."""

    values: Mapping[str, int]
    histogram: np.ndarray
    """Periods per half percent of the period, int64, shape ``(HISTOGRAM_BINS,)``."""
    message: str
    """Why the interface was last lost, empty if it never was."""

    def resident_mib(self) -> float | None:
        """Memory that the process which plays holds now, MiB; None when it no longer runs."""
        return resident_mib(self.values["pid"])

    def since(self, before: "Reading | None") -> "Reading":
        """This reading with the loads of the time since an earlier one; whole without one."""
        if before is None or before.values["pid"] != self.values["pid"]:
            return self
        return replace(self, histogram=self.histogram - before.histogram)

    def load_percentile(self, percent: float) -> float:
        """Upper edge of the bin that holds this percentile of load, % of the period.

        That of 100 is the highest load; all beyond 200 % counts as 200.5.
        """
        total = int(self.histogram.sum())
        if total == 0:
            return 0.0
        index = int(np.searchsorted(np.cumsum(self.histogram), percent / 100.0 * total))
        return (index + 1) * 100.0 / BINS_PER_PERIOD


def resident_mib(pid: int) -> float | None:
    """Memory that a process holds now, MiB; None when it no longer runs."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def read_meters(path: Path) -> Reading:
    """Read the meters of a pedal. Raises ``LinkError`` where none has played."""
    try:
        data = path.read_bytes()
    except OSError:
        raise LinkError(
            f"{path}: no pedal has written meters there; start one with python -m device run, "
            "or name its folder with --runtime"
        ) from None
    words = np.frombuffer(data[: 8 * (len(data) // 8)], np.int64)[:_WORDS]
    if len(data) != _BYTES or words[0] != MAGIC:
        raise LinkError(f"{path}: is not a meters file of this version; restart the pedal")
    values = {name: int(words[index + 1]) for index, name in enumerate(FIELDS)}
    message = data[8 * _WORDS :].rstrip(b"\0").decode(errors="replace")
    return Reading(values, words[1 + len(FIELDS) :].copy(), message)
