"""Clocks that are decades off, and sticks that lay in a drawer: the right verdict each time.

Playing never asks what day it is: whatever the verdict, what plays is whole and untouched, which
every update of ``Pedal.get`` holds itself against.
"""

from datetime import UTC, datetime, timedelta

import pytest

from deploy.client.floors import FloorsFile
from tests.deploy.attacks.world import World

Y1970 = datetime(1970, 1, 1, tzinfo=UTC)
Y2099 = datetime(2099, 6, 1, tzinfo=UTC)
OVER = "a time that is over"


def test_in_1970_an_honest_repository_is_taken(world: World) -> None:
    world.pedal.clock.calendar = Y1970
    world.get().done()
    assert world.pedal.version() == 2
    world.get().done()
    active = world.pedal.slots().active
    assert active is not None and active.state == "good"


def test_in_1970_what_expired_before_the_newest_accepted_is_refused(world: World) -> None:
    """A clock that stands still does not make an old stick young."""
    world.get().done()
    world.days_pass(60)
    world.repo.refresh()
    world.get().done()
    world.pedal.clock.calendar = Y1970
    world.get_from(world.old).refused(OVER, "older metadata")
    world.get().done()


def test_in_1970_what_expired_before_the_build_is_refused(world: World) -> None:
    """The factory's pedal, never online: it is no earlier than its code."""
    world.pedal.places.floors.unlink()
    for path in world.pedal.places.metadata.glob("*.json"):
        path.unlink()
    world.pedal.clock.calendar = Y1970
    world.pedal.clock.earliest = world.repo.now + timedelta(days=100)
    told = world.get().refused(OVER)
    assert "1970" in told.said and f"{world.pedal.clock.earliest:%Y-%m-%d}" in told.said
    assert world.pedal.version() == 1


def test_in_2099_the_update_is_refused_and_names_the_clock(world: World) -> None:
    world.pedal.clock.calendar = Y2099
    told = world.get().refused(OVER)
    assert "2099-06-01" in told.said and "clock" in told.said
    assert world.pedal.version() == 1


def test_after_2099_the_right_clock_heals_everything(world: World) -> None:
    """Nothing that a wrong clock said is remembered."""
    now = world.pedal.clock.calendar
    world.pedal.clock.calendar = Y2099
    world.get().refused(OVER)
    assert (FloorsFile(world.pedal.places.floors).now.time or now) < now + timedelta(days=1)
    world.pedal.clock.calendar = now
    world.get().done()
    assert world.pedal.version() == 2


def test_a_release_on_trial_is_judged_whatever_the_clock_says(world: World) -> None:
    for year in (Y1970, Y2099):
        world.get()
        world.pedal.clock.calendar = year
        world.pedal.get(None).done()
    active = world.pedal.slots().active
    assert active is not None and (active.version, active.state) == (2, "good")


def test_a_bad_release_is_rolled_back_whatever_the_clock_says(world: World) -> None:
    trial = world.pedal.trials["models"]
    trial.looks = None
    world.get().done()
    assert world.pedal.version() == 2
    trial.looks = type(trial.verdict)(False, "It dropped out 9 times.")
    world.pedal.clock.calendar = Y2099
    world.pedal.rolls_back(None).refused("dropped out")
    assert world.pedal.version() == 1


@pytest.mark.parametrize("days", [15, 31, 400, 3000])
def test_a_stick_whose_metadata_expired_is_refused(stick: World, days: int) -> None:
    """Timestamp after 14 days, snapshot after 30, all the rest after years."""
    stick.days_pass(days)
    told = stick.get().refused(OVER)
    assert "get a newer copy" in told.said
    assert stick.pedal.version() == 1
    assert stick.pedal.store_bytes() == 0


def test_a_stick_that_was_renewed_is_taken(stick: World) -> None:
    stick.days_pass(31)
    stick.repo.refresh()
    stick.get().done()
    assert stick.pedal.version() == 2


def test_a_pedal_that_was_off_for_years_follows_all_new_roots(world: World) -> None:
    for _ in range(5):
        world.days_pass(600)
        world.rotate("timestamp", "snapshot")
    world.repo.edit("targets", lambda metadata: None)
    world.repo.edit("models", lambda metadata: None)
    world.repo.edit("firmware", lambda metadata: None)
    world.get().done()
    assert world.pedal.version() == 2
