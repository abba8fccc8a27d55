"""A slot on trial that nobody hears keeps nothing newer waiting, and costs nothing that is good."""

from pathlib import Path

import pytest

from deploy.client.rollback_command import roll_back
from deploy.client.sources import FolderSource
from deploy.client.update import Outcome
from deploy.errors import UpdateError
from deploy.places import Component
from deploy.record import intact
from tests.deploy.client.stands import BAD, GOOD, UNHEARD, Pedal
from tests.deploy.publisher.repository import Repo, make_repository

ONE, TWO, THREE = ({"stage.onnx": word * 9000} for word in (b"one", b"two", b"three"))
CODE = {"source/a.py": b"1"}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = make_repository(tmp_path)
    repo.publish(ONE)
    return repo


@pytest.fixture
def stick(repo: Repo) -> FolderSource:
    return FolderSource(repo.folder.path)


@pytest.fixture
def pedal(tmp_path: Path, repo: Repo, stick: FolderSource) -> Pedal:
    """Release 1 of models has proven itself; 2 is on trial and nobody hears it."""
    pedal = Pedal(tmp_path, repo.root_bytes, repo.now)
    pedal.update(stick)
    pedal.trials["models"].verdict = GOOD
    pedal.update(stick)
    repo.publish(TWO)
    pedal.update(stick)
    pedal.trials["models"].verdict = UNHEARD
    return pedal


def said(outcome: Outcome, component: Component = "models") -> tuple[str, int | None]:
    step = outcome.step(component)
    assert step is not None
    return step.state, step.version


def test_while_there_is_nothing_newer_it_stays(pedal: Pedal, stick: FolderSource) -> None:
    for _ in range(3):
        outcome = pedal.update(stick)
        assert said(outcome) == ("trial", 2)
        step = outcome.step("models")
        assert step is not None
        assert step.said == (
            "models: release 2 is active and has no verdict: "
            "It has not played in 5 starts of the pedal."
        )
    assert pedal.events()[-1] == "activated"
    pedal.trials["models"].verdict = GOOD
    assert said(pedal.update(stick)) == ("good", 2), "it may be heard after all"


def test_what_is_newer_takes_its_place(pedal: Pedal, stick: FolderSource, repo: Repo) -> None:
    repo.publish(THREE)
    outcome = pedal.update(stick)
    assert said(outcome) == ("trial", 3) and pedal.playing() == THREE
    slots = {slot.version: (slot.state, slot.why) for slot in pedal.slots().both}
    assert slots[1] == ("good", ""), "what has proven itself is what one goes back to"
    (line,) = [line for line in pedal.record() if line["event"] == "rolled-back"]
    assert (line["version"], line["why"]) == (2, UNHEARD.why)
    pedal.trials["models"].verdict = BAD
    with pytest.raises(UpdateError, match="release 1 plays again"):
        pedal.update(stick)
    assert intact(pedal.places.record)


def test_what_was_before_does_not(pedal: Pedal, stick: FolderSource, repo: Repo) -> None:
    repo.withdraw("models:2")
    assert said(pedal.update(stick)) == ("trial", 2)
    assert pedal.playing() == TWO


def test_what_this_pedal_cannot_take_does_not_either(
    pedal: Pedal, stick: FolderSource, repo: Repo
) -> None:
    repo.publish(THREE)
    pedal.trials["models"].refuses = "It needs newer firmware."
    with pytest.raises(UpdateError, match="needs newer firmware"):
        pedal.update(stick)
    assert pedal.playing() == TWO and pedal.slots().active.state == "trial"  # type: ignore[union-attr]


def test_one_that_can_still_be_judged_keeps_its_place(
    pedal: Pedal, stick: FolderSource, repo: Repo
) -> None:
    repo.publish(THREE)
    pedal.trials["models"].verdict = None
    assert said(pedal.update(stick)) == ("trial", 2)


def test_the_other_component_does_not_wait(pedal: Pedal, stick: FolderSource, repo: Repo) -> None:
    repo.publish(CODE, component="firmware")
    outcome = pedal.update(stick)
    assert said(outcome, "firmware") == ("trial", 1)
    assert said(outcome, "models") == ("trial", 2)
    # With both on trial, what is newer waits for the one that is being judged.
    repo.publish(THREE)
    assert said(pedal.update(stick), "models") == ("trial", 2)
    with pytest.raises(UpdateError, match="name one by --component"):
        roll_back(pedal.places)
    assert roll_back(pedal.places, "firmware") == ("firmware", None)
    assert said(pedal.update(stick), "models") == ("trial", 3)


def test_a_slot_that_was_ready_before_goes_on_without_a_network(
    pedal: Pedal, stick: FolderSource, repo: Repo
) -> None:
    repo.publish(CODE, component="firmware")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deploy.slots.Slots.activate", _full)
        with pytest.raises(OSError, match="full"):
            pedal.update(stick)
    assert said(pedal.update(None), "firmware") == ("trial", 1)


def _full(*given: object, **named: object) -> None:
    raise OSError("full")


def test_the_first_release_ever_makes_room_too(tmp_path: Path) -> None:
    repo = make_repository(tmp_path)
    repo.publish(ONE)
    stick = FolderSource(repo.folder.path)
    pedal = Pedal(tmp_path, repo.root_bytes, repo.now)
    pedal.update(stick)
    pedal.trials["models"].verdict = UNHEARD
    repo.publish(TWO)
    assert said(pedal.update(stick)) == ("trial", 2)
    pedal.trials["models"].verdict = BAD
    with pytest.raises(UpdateError, match="the factory's content plays again"):
        pedal.update(stick)


@pytest.mark.parametrize("step", ["set_aside", "begin"])
def test_the_power_goes_while_room_is_made(
    pedal: Pedal, stick: FolderSource, repo: Repo, step: str
) -> None:
    repo.publish(THREE)
    where = {
        "set_aside": "deploy.client.judging.Journal.note",
        "begin": "deploy.slots.Slots.begin",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where[step], _full)
        with pytest.raises(OSError, match="full"):
            pedal.update(stick)
    assert pedal.playing() == ONE
    assert said(pedal.update(stick)) == ("trial", 3)
    ends = [line["event"] for line in pedal.record() if line.get("version") == 2]
    assert ends.count("rolled-back") == 1
