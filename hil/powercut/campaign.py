"""Many power cuts: at every write boundary, and at random moments; each disk is then looked at.

What the kernel does meanwhile by itself decides what a cut finds, so it is part of the trial:
``lazy`` writes nothing back that is not asked for; ``commit`` lets the journal commit before every
cut; ``mixed`` does one, the other, or writes back some pages of some file, at random. A kernel may
do any of these at any time.
"""

import contextlib
import json
import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from hil.powercut.disk import LiveDisk, Rig
from hil.powercut.errors import PowerCutError
from hil.powercut.subject import Fault, Progress, Subject
from hil.powercut.trace import Tracer, forked

Kernel = Literal["lazy", "commit", "mixed"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)
CUTS_A_RUN = 10
"""Random cuts of one run of the subject."""
_MOST_EXAMPLES = 8


@dataclass(frozen=True)
class _Cut:
    image: Path | None
    """None where the disk is the same as at the cut before."""
    step: int
    where: str


@dataclass
class Tally:
    """What came of it."""

    cuts: int = 0
    states: int = 0
    """Different disks among them."""
    sound: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    """Cuts by the first thing that is wrong with them."""
    examples: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    """Boundaries by system call."""

    def add(self, faults: list[Fault], where: str) -> None:
        """One more cut."""
        self.cuts += 1
        if not faults:
            self.sound += 1
            return
        self.faults[faults[0].kind] += 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(f"{where}: {faults[0].kind}: {faults[0].sentence}")


class Campaign:
    """Cuts one subject on one rig. ``seed`` decides what is random, up to the moments of cuts."""

    def __init__(self, rig: Rig, subject: Subject, seed: int) -> None:
        """Writes the first disk. Raises ``PowerCutError``."""
        self._rig = rig
        self._subject = subject
        self._rng = random.Random(seed)
        self._took_s = 0.0
        self._last: tuple[tuple[int, int], int] | None = None
        self.tally = Tally()
        with rig.mounted(rig.clean) as folder:
            _in_child(lambda: subject.prepare(folder))

    def every_boundary(self, kernel: Kernel) -> None:
        """One run, cut behind each system call that changes the disk."""
        with self._running() as (live, reached, cuts, image):

            def at(name: str) -> None:
                self._let(kernel, live)
                self.tally.calls[name] += 1
                self._cut(live, reached, cuts, image, f"{kernel}, behind {name} {len(cuts)}")

            tracer = Tracer(str(live.folder), at)
            code = tracer.run(lambda: self._subject.run(live.folder, reached))
            _check_end(code)
        self._look(cuts)

    def at_random(self, count: int) -> None:
        """Runs, cut at ``count`` random moments, the kernel doing anything."""
        left = count
        self._measure()
        while left > 0:
            left -= self._one_random(min(left, CUTS_A_RUN))

    def _one_random(self, count: int) -> int:
        with self._running() as (live, reached, cuts, image):
            moments = sorted(self._rng.uniform(0, self._took_s) for _ in range(count))
            pid = forked(lambda: self._subject.run(live.folder, reached), first=os.setsid)
            started, stood = time.monotonic(), 0.0
            for moment in moments:
                while time.monotonic() - started - stood < moment and not _has_ended(pid):
                    time.sleep(0.0005)
                stop = time.monotonic()
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGSTOP)
                self._let("mixed", live)
                self._cut(live, reached, cuts, image, f"at {1000 * moment:.1f} ms")
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGCONT)
                stood += time.monotonic() - stop
            _, status = os.waitpid(pid, 0)
            _check_end(os.waitstatus_to_exitcode(status))
        self._look(cuts)
        return len(moments)

    def _measure(self) -> None:
        """How long a run takes when nobody cuts it."""
        with self._running() as (live, reached, _, _):
            started = time.monotonic()
            _in_child(lambda: self._subject.run(live.folder, reached))
            self._took_s = time.monotonic() - started

    @contextlib.contextmanager
    def _running(self) -> Iterator[tuple[LiveDisk, Progress, list[_Cut], Path]]:
        """A fresh disk, mounted; no progress and no cuts yet; the disk's image."""
        image = self._rig.copy_of(self._rig.clean, "live.img")
        with self._rig.mounted(image) as folder:
            yield LiveDisk(folder, self._rng), Progress(), [], image

    def _let(self, kernel: Kernel, live: LiveDisk) -> None:
        dice = self._rng.random() if kernel == "mixed" else 0.0
        if kernel == "commit" or dice > 0.75:
            live.commit()
        elif dice > 0.4:
            live.write_back_some()

    def _cut(
        self, live: LiveDisk, reached: Progress, cuts: list[_Cut], image: Path, where: str
    ) -> None:
        step = reached.step
        before = live.written()
        if cuts and before is not None and self._last == (before, step):
            cuts.append(_Cut(None, step, where))
            return
        clone = self._rig.copy_of(image, f"cut-{len(cuts)}.img")
        after = live.written()
        self._last = None if before is None or before != after else (before, step)
        cuts.append(_Cut(clone, step, where))

    def _look(self, cuts: list[_Cut]) -> None:
        faults: list[Fault] = []
        for cut in cuts:
            if cut.image is not None:
                self.tally.states += 1
                faults = self._found(cut.image, cut.step)
                cut.image.unlink()
            self.tally.add(faults, cut.where)

    def _found(self, image: Path, step: int) -> list[Fault]:
        try:
            with self._rig.mounted(image, found=True) as folder:
                return _asked(lambda: self._subject.check(folder, step))
        except PowerCutError as error:
            return [Fault("unbootable", str(error))]


def _in_child(what: Callable[[], None]) -> None:
    _, status = os.waitpid(forked(what), 0)
    _check_end(os.waitstatus_to_exitcode(status))


def _asked(what: Callable[[], list[Fault]]) -> list[Fault]:
    """What a child of its own says, whose files are closed when it has ended."""
    reader, writer = os.pipe()

    def ask() -> None:
        os.close(reader)
        try:
            faults = what()
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
            faults = [Fault("unbootable", said)]
        with os.fdopen(writer, "w") as out:
            json.dump([(fault.kind, fault.sentence) for fault in faults], out)

    pid = forked(ask)
    os.close(writer)
    with os.fdopen(reader) as answers:
        text = answers.read()
    os.waitpid(pid, 0)
    if not text:
        return [Fault("unbootable", "what looks at the disk died")]
    return [Fault(kind, sentence) for kind, sentence in json.loads(text)]


def _check_end(code: int) -> None:
    if code != 0:
        raise PowerCutError(f"what is cut does not even run uncut: it ended with {code}")


def _has_ended(pid: int) -> bool:
    done = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return done is not None
