"""How far a run is: a line for each mark, with bench time, percent and what is left of it."""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

_TRUST = 0.03
"""Of the work done, from when on the pace so far counts."""


@dataclass(frozen=True)
class Length:
    """How long a stage is expected to take."""

    bench_s: float
    wall_s: float


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass
class Progress:
    """Of lanes that run side by side, ``at_once`` of them. May be told from several threads."""

    lanes: Sequence[Sequence[str]]
    """Stages that follow on each other, by name."""
    lengths: Mapping[str, Length]
    at_once: int = 1
    say: Callable[[str], None] = _print
    now_s: Callable[[], float] = time.monotonic
    _done: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Begin now."""
        self._start_s = self.now_s()
        self._width = max((len(name) for lane in self.lanes for name in lane), default=0)

    def mark(self, stage: str, bench_s: float, label: str) -> None:
        """Something happened ``bench_s`` after the stage began."""
        length = self.lengths.get(stage)
        share = bench_s / length.bench_s if length is not None and length.bench_s > 0.0 else 0.0
        self._told(stage, min(0.99, share), clock(bench_s), label)

    def part(self, stage: str, done: float, label: str) -> None:
        """A stage without a clock of its own has done so much of its work, 0…1."""
        self._told(stage, min(0.99, done), "", label)

    def ended(self, stage: str, label: str) -> None:
        """A stage has come to its end."""
        self._told(stage, 1.0, "", label)

    def prepared(self, seconds: float) -> None:
        """So long nothing of the work could be done: it says nothing of the pace."""
        with self._lock:
            self._start_s = min(self._start_s + seconds, self.now_s())

    def left_s(self) -> float:
        """Expected wall time until everything has ended, at the pace so far."""
        done_s = self._total(lambda name: self._done.get(name, 0.0))
        lanes_s = [
            sum(self._wall_s(name) * (1.0 - self._done.get(name, 0.0)) for name in lane)
            for lane in self.lanes
        ]
        left_s = max(max(lanes_s, default=0.0), sum(lanes_s) / self.at_once)
        total_s = done_s + sum(lanes_s)
        if done_s <= _TRUST * total_s:
            return left_s
        pace = (self.now_s() - self._start_s) * min(self.at_once, len(self.lanes)) / done_s
        return left_s * max(0.05, min(20.0, pace))

    def percent(self) -> int:
        """Of the expected work."""
        total_s = self._total(lambda name: 1.0)
        done_s = self._total(lambda name: self._done.get(name, 0.0))
        return int(100.0 * done_s / total_s) if total_s > 0.0 else 100

    def _total(self, share: Callable[[str], float]) -> float:
        return sum(self._wall_s(name) * share(name) for lane in self.lanes for name in lane)

    def _wall_s(self, name: str) -> float:
        length = self.lengths.get(name)
        return max(0.1, length.wall_s) if length is not None else 10.0

    def _told(self, stage: str, done: float, at: str, label: str) -> None:
        with self._lock:
            # Never back: a mark may come with less than one that was told before it.
            self._done[stage] = max(done, self._done.get(stage, 0.0))
            left = rough(self.left_s())
            line = f"{self.percent():3d} %  {left:>10}  {stage:{self._width}}  {at:>8}  {label}"
            self.say(line.rstrip())


def clock(seconds: float) -> str:
    """``2:05:10``: hours, minutes, seconds."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def rough(seconds: float) -> str:
    """``3 min left``; no more exact than it can be known."""
    if seconds < 1.0:
        return ""
    if seconds < 90.0:
        return f"{max(5, round(seconds / 5) * 5)} s left"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} left" if minutes >= 100 else f"{minutes} min left"
