"""The month's budget, and a disk that is full: the update stops before either is overrun."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.client.floors import FloorsFile
from tests.deploy.attacks.world import World
from tests.deploy.link import faults
from tests.deploy.link.server import Fault
from tests.deploy.publisher.repository import some_files


def by_itself(world: World, megabytes: int) -> None:
    """Nobody asked: the timer's run, with so many million bytes a month."""
    world.pedal.asked = False
    world.pedal.settings = replace(world.pedal.settings, budget_mb_per_month=megabytes)


def big(world: World) -> None:
    """Offer a release of more than a million bytes."""
    files = some_files(3) | {"studio/decoder.int8.onnx": os.urandom(1_500_000)}
    world.repo.publish(files, name="big")


def test_a_release_that_the_budget_does_not_hold_goes_on_next_month(linked: World) -> None:
    big(linked)
    by_itself(linked, 1)
    told = linked.get().failed("used up")
    assert "python -m deploy update" in told.said
    assert linked.link.sent <= 1_000_000 + 64 * 1024
    asked = len(linked.link.requests)
    linked.pedal = linked.pedal.restarted()
    linked.get().failed("used up")
    assert len(linked.link.requests) == asked
    linked.days_pass(31)
    linked.repo.refresh()
    linked.pedal = linked.pedal.restarted()
    linked.get().done()
    assert linked.pedal.version() == 3
    chunks = linked.link.paths("^chunks/")
    assert len(chunks) - len(set(chunks)) <= 1


def test_who_asks_is_not_held_by_the_budget(linked: World) -> None:
    big(linked)
    by_itself(linked, 1)
    linked.get().failed("used up")
    linked.pedal.asked = True
    linked.get().done()
    assert linked.pedal.version() == 3


def test_a_budget_of_nothing_asks_nobody(linked: World) -> None:
    by_itself(linked, 0)
    linked.get().done()
    assert not linked.link.requests
    assert linked.pedal.version() == 1


def test_what_was_spent_is_remembered_over_reboots(linked: World) -> None:
    """A link that brings nothing but bytes: run after run they count, and then it is enough."""
    by_itself(linked, 1)
    runs, said = 0, ""
    while "used up" not in said and runs < 40:
        linked.pedal = linked.pedal.restarted()
        said = linked.get(Fault(faults.corrupted(), "^chunks/")).said
        runs += 1
    assert 3 < runs < 40
    assert linked.link.sent <= 1_000_000 + 64 * 1024
    assert FloorsFile(linked.pedal.places.floors).now.spent_bytes >= 0.9 * linked.link.sent
    assert linked.pedal.version() == 1
    linked.pedal.clock.calendar = linked.pedal.clock.calendar.replace(month=2, day=1)
    linked.repo.now = linked.pedal.clock.calendar
    linked.repo.refresh()
    linked.get().done()
    assert linked.pedal.version() == 2


def test_endless_data_do_not_outrun_the_budget(linked: World) -> None:
    by_itself(linked, 1)
    for _ in range(12):
        linked.pedal = linked.pedal.restarted()
        told = linked.get(Fault(faults.endless("close"), "^chunks/"))
        assert told.code in (1, 2)
    # What the client took; what waits in buffers when it hangs up was sent and never taken.
    assert FloorsFile(linked.pedal.places.floors).now.spent_bytes <= 1_200_000
    assert linked.pedal.version() == 1


def test_a_stick_costs_nothing(stick: World) -> None:
    big(stick)
    by_itself(stick, 1)
    stick.get().done()
    assert stick.pedal.version() == 3


# ---- a full disk --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB, of which updates leave 16 MB to everybody else."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a file system of one's own takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _moved_to(world: World, folder: Path) -> None:
    shutil.copytree(world.pedal.places.root, folder / "pedal", symlinks=True)
    world.pedal = type(world.pedal)(folder / "pedal", world.repo.now)


@pytest.mark.parametrize("left_kb", [20, 80, 200, 3000])
def test_a_disk_that_fills_up(world: World, small_disk: Path, left_kb: int) -> None:
    _moved_to(world, small_disk)
    room = os.statvfs(small_disk)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(room.f_bavail * room.f_frsize - left_kb * 1024))
    told = world.get().failed("free", "full", "room", "space")
    assert world.pedal.version() == 1
    world.pedal.check()
    assert told.outcome is None
    filler.unlink()
    world.get().done()
    assert world.pedal.version() == 2


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 8, 13, 21])
def test_a_disk_that_refuses_from_any_write_on(
    stick: World, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """ENOSPC by the call, which needs no root; wherever it comes, the next run goes through."""
    honest, calls = os.open, 0

    def refusing(path: object, flags: int, *given: object, **named: object) -> int:
        nonlocal calls
        if flags & os.O_CREAT and "lock" not in str(path):
            calls += 1
            if calls > after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return honest(path, flags, *given, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refusing)
        told = stick.get()
        assert told.code == 1, told.said
    assert stick.pedal.version() == 1
    stick.pedal = stick.pedal.restarted()
    stick.get().done()
    assert stick.pedal.version() == 2
