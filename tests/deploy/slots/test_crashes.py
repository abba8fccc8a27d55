"""Whatever is done to the slots, and whichever call to the system was the last: one still plays.

What was not synced is not lost here; the power cuts of tests/hil/powercut see to that.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from deploy.places import Component
from deploy.slots import MOST_BOOTS, Slots, disk
from deploy.slots.whole import is_whole
from tests.deploy.memory import MEMORY
from tests.deploy.slots.releases import contents, release_json, sha256_of

CALLS = ("open", "write", "replace", "symlink", "unlink", "mkdir", "rmdir", "chmod", "fchmod")
NEVER = 10_000
CUTS = st.integers(0, 70) | st.just(NEVER)


class PowerCutError(BaseException):
    """Nothing handles it: the process is gone."""


@contextmanager
def cut_at(number: int) -> Iterator[None]:
    """Let so many calls that change the disk through, and no further one."""
    left = number
    kept: dict[str, Any] = {name: getattr(os, name) for name in (*CALLS, "fsync")}
    sync_below = disk.sync_below

    def counted(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def do(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            reads = name == "open" and not arguments[1] & os.O_CREAT
            if not reads:
                if left == 0:
                    raise PowerCutError
                left -= 1
            return call(*arguments, **named)

        return do

    try:
        for name in CALLS:
            setattr(os, name, counted(kept[name], name))
        os.fsync = counted(lambda handle: None, "fsync")
        disk.sync_below = counted(lambda folder: None, "syncfs")
        yield
    finally:
        for name, call in kept.items():
            setattr(os, name, call)
        disk.sync_below = sync_below


class Crashes(RuleBasedStateMachine):
    """One component's slots, and what must be true of them by what was asked."""

    component: Component = "models"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="slots-", dir=MEMORY))
        self.slots = Slots(self.folder / self.component, self.component)
        self.next = 1
        self.may_play: set[int | None] = {None}
        """Versions that may be active; None is the factory's content."""
        self.proven: set[int] = set()
        self.was_cut = False

    def teardown(self) -> None:
        self.slots._release()
        shutil.rmtree(self.folder)

    def do(self, what: Callable[[], object], cut: int, to: set[int | None]) -> bool:
        """Do it, or the first calls of it; the active slot is then one of ``to`` or as before."""
        before = self.playing()
        self.may_play = {before} | to
        try:
            with cut_at(cut):
                what()
        except PowerCutError:
            self.was_cut = True
            self.check_link()
            self.reboot(cut)
            return False
        self.may_play = to
        return True

    def check_link(self) -> None:
        """What plays at boot follows the link before anybody has repaired anything."""
        link = self.slots.folder / "active"
        if None not in self.may_play:
            assert is_whole(link)

    def reboot(self, cut: int) -> None:
        """The process ends; the next one recovers, and may be cut off in that too."""
        self.slots._release()
        self.slots = Slots(self.slots.folder, self.component)
        for again in (cut // 7, cut // 3, NEVER):
            try:
                with cut_at(again):
                    self.slots.recover()
                break
            except PowerCutError:
                self.slots = Slots(self.slots.folder, self.component)
        assert self.slots.recover() == []

    def playing(self) -> int | None:
        active = self.slots.active
        return None if active is None else active.version

    def on_trial(self) -> bool:
        active = self.slots.active
        return active is not None and active.state == "trial"

    def fallback(self) -> int | None:
        """What a roll back leads to."""
        inactive = self.slots.inactive
        return inactive.version if inactive.state == "good" else None

    # ---- what is done ---------------------------------------------------------------------------

    @initialize(cut=CUTS)
    def start(self, cut: int) -> None:
        if self.do(self.slots.recover, cut, {None}):
            assert self.slots.active is None

    @precondition(lambda self: not self.on_trial())
    @rule(cut=CUTS)
    def fill(self, cut: int) -> None:
        version, self.next = self.next, self.next + 1

        def what() -> None:
            folder = self.slots.begin(version, sha256_of(version, self.component))
            for path, content in contents(version, self.component).items():
                disk.make_folder((folder / path).parent)
                disk.put(folder / path, content)
            disk.put(folder / "release.json", release_json(version, self.component))
            self.slots.ready()

        if self.do(what, cut, {self.playing()}):
            assert (self.slots.inactive.version, self.slots.inactive.state) == (version, "ready")

    @precondition(lambda self: self.slots.inactive.state == "ready")
    @rule(cut=CUTS)
    def activate(self, cut: int) -> None:
        if self.do(self.slots.activate, cut, {self.slots.inactive.version}):
            assert self.on_trial()

    @precondition(lambda self: self.on_trial())
    @rule(cut=CUTS)
    def mark_good(self, cut: int) -> None:
        version = self.playing()
        assert version is not None
        self.proven.add(version)  # perhaps: either way it plays on
        self.do(self.slots.mark_good, cut, {version})

    @precondition(lambda self: self.slots.active is not None)
    @rule(cut=CUTS)
    def roll_back(self, cut: int) -> None:
        left = self.slots.active
        assert left is not None
        if self.do(lambda: self.slots.roll_back("so"), cut, {self.fallback()}):
            assert self.slots.refused(left.release_sha256 or "") == "so"

    @precondition(lambda self: self.slots.inactive.state == "ready")
    @rule(cut=CUTS, reject=st.booleans())
    def give_up(self, cut: int, reject: bool) -> None:
        what = (lambda: self.slots.reject("so")) if reject else self.slots.abandon
        self.do(what, cut, {self.playing()})

    @rule(cut=CUTS)
    def boot(self, cut: int) -> None:
        to = {self.playing()}
        if self.component == "firmware" and self.on_trial():
            to.add(self.fallback())
        self.do(self.slots.boot, cut, to)

    @rule(cut=CUTS)
    def alive(self, cut: int) -> None:
        self.do(self.slots.alive, cut, {self.playing()})

    @rule(cut=CUTS)
    def restart(self, cut: int) -> None:
        self.reboot(cut)

    # ---- what holds -----------------------------------------------------------------------------

    @invariant()
    def one_whole_release_plays(self) -> None:
        active = self.slots.active
        assert (None if active is None else active.version) in self.may_play
        if active is None:
            # Only where there never was a proven one to keep, or it was left on purpose.
            assert all(slot.state != "good" for slot in self.slots.both)
            return
        assert active.state in ("trial", "good")
        assert is_whole(active.folder)
        if active.state == "good":
            assert active.version in self.proven

    @invariant()
    def what_is_said_of_the_other_slot_is_true(self) -> None:
        inactive = self.slots.inactive
        if inactive.state in ("ready", "good"):
            assert is_whole(inactive.folder)
        if inactive.state == "empty":
            assert not disk.any_in(inactive.folder)
        assert inactive.state != "trial"


class FirmwareCrashes(Crashes):
    """The same, with boots that count."""

    component: Component = "firmware"


SETTINGS = settings(max_examples=50, stateful_step_count=20, deadline=None)
TestModels = Crashes.TestCase
TestModels.settings = SETTINGS
TestFirmware = FirmwareCrashes.TestCase
TestFirmware.settings = SETTINGS


@pytest.mark.parametrize("boots", [0, MOST_BOOTS])
def test_every_cut_of_every_step(boots: int) -> None:
    """Not at random: each step of an update, cut off behind each of its calls."""
    steps = ("fill", "activate", "mark_good", "fill", "activate", "boot", "roll_back")
    for at, name in enumerate(steps):
        cut = 0
        while one_cut(steps[:at], name, cut, boots if name == "boot" else 0):
            cut += 1
        assert cut > 0 or name == "boot"


def one_cut(before: tuple[str, ...], name: str, cut: int, boots: int) -> bool:
    """A new pedal on which a step is cut off; whether it was, or came to its end."""
    machine = FirmwareCrashes()
    try:
        machine.start(NEVER)
        for step in before:
            getattr(machine, step)(NEVER)
        for _ in range(boots):
            machine.boot(NEVER)
        if name == "roll_back" and machine.playing() is None:
            return False
        getattr(machine, name)(cut)
        machine.one_whole_release_plays()
        machine.what_is_said_of_the_other_slot_is_true()
        return machine.was_cut
    finally:
        machine.teardown()
