"""What was fetched stays fetched: over a lost link, a reboot and a killed process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.deploy.attacks.world import World
from tests.deploy.link import faults
from tests.deploy.link.server import Fault

CHUNKS = "^chunks/"
REPOSITORY = Path(__file__).parents[3]


def lost_chunks(world: World) -> int:
    """How many chunks were asked for more than once."""
    asked = world.link.paths(CHUNKS)
    return len(asked) - len(set(asked))


@pytest.mark.parametrize("at", [0, 1, 6, 12])
def test_a_link_that_ends_at_any_chunk_costs_at_most_that_one(linked: World, at: int) -> None:
    """All tries fail from there on; then a reboot, and a link that works."""
    linked.get(Fault(faults.cut(100), CHUNKS, skip=at)).failed("broke off")
    tries = linked.pedal.limits.tries
    assert len(linked.link.paths(CHUNKS)) == at + tries
    linked.pedal = linked.pedal.restarted()
    linked.get().done()
    assert linked.pedal.version() == 2
    assert len(set(linked.link.paths(CHUNKS)[: at + 1])) == at + 1
    assert lost_chunks(linked) == tries  # the one chunk: its tries, and once more after the reboot


def test_a_reboot_after_every_chunk(linked: World) -> None:
    """The most miserable of links: one chunk, then nothing, then a reboot."""
    total = len(linked.chunks())
    runs = 0
    while linked.pedal.version() == 1:
        linked.pedal = linked.pedal.restarted()
        linked.get(Fault(faults.status(404), CHUNKS, skip=1))
        runs += 1
        assert runs <= total
    assert runs == total
    assert lost_chunks(linked) == total - 1  # each next one was asked for once in vain


def test_a_process_that_is_killed_again_and_again(linked: World) -> None:
    """SIGKILL in the middle of a chunk, twice; each costs that chunk and no other."""
    total = len(linked.chunks())
    command = [sys.executable, "-m", "tests.deploy.attacks.child"]
    command += [str(linked.pedal.places.root), linked.link.url]
    stalls = Fault(faults.cut(2000, "stall"), CHUNKS, skip=4, times=1)
    for kill in range(2):
        stalls.skip, stalls.hits = 4, 0
        linked.link.faults = [stalls]
        child = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE)
        until = time.monotonic() + 60
        while not stalls.hits and time.monotonic() < until and child.poll() is None:
            time.sleep(0.01)
        assert child.poll() is None, "it ended by itself"
        os.kill(child.pid, signal.SIGKILL)
        child.communicate(timeout=60)
        assert stalls.hits == 1
        kept = [path for path in linked.pedal.places.store.rglob("*") if path.is_file()]
        assert len([path for path in kept if "partial" not in path.name]) == 4 * (kill + 1)
        assert linked.pedal.version() == 1
        linked.pedal.check()
    linked.pedal = linked.pedal.restarted()
    linked.get().done()
    assert linked.pedal.version() == 2
    assert len(linked.link.paths(CHUNKS)) == total + 2
    assert lost_chunks(linked) == 2


def test_a_lock_that_a_killed_process_held_holds_nobody_up(linked: World) -> None:
    linked.pedal.places.root.joinpath("lock").write_bytes(b"12345")
    linked.get().done()


def test_damage_in_the_store_is_found_and_fetched_again(linked: World) -> None:
    """A sector went bad between two runs."""
    linked.get(Fault(faults.status(500), CHUNKS, skip=8)).failed()
    kept = sorted(path for path in linked.pedal.places.store.rglob("*") if path.is_file())
    kept[0].write_bytes(bytes(kept[0].stat().st_size))
    kept[1].write_bytes(b"")
    linked.pedal = linked.pedal.restarted()
    linked.get().done()
    assert linked.pedal.version() == 2


def test_links_in_the_store_lead_nowhere(linked: World) -> None:
    """Somebody put a link in the place of a chunk that was fetched."""
    linked.get(Fault(faults.status(500), CHUNKS, skip=8)).failed()
    kept = sorted(path for path in linked.pedal.places.store.rglob("*") if path.is_file())
    secret = linked.folder / "secret"
    kept[0].rename(secret)
    kept[0].symlink_to(secret)
    linked.pedal = linked.pedal.restarted()
    linked.get().done()
    assert linked.pedal.version() == 2


def test_a_release_that_is_superseded_meanwhile_leaves_nothing_behind(linked: World) -> None:
    """Half of release 2 is here when release 3 comes out."""
    linked.get(Fault(faults.status(500), CHUNKS, skip=6)).failed()
    linked.repo.withdraw("models:2")
    linked.repo.publish({"stage.onnx": b"three"}, name="three")
    linked.get().done()
    assert linked.pedal.version() == 3
    assert linked.pedal.store_bytes() == 0
