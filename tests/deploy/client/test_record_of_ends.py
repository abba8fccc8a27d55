"""Whatever a slot's way ends with is in the record, also where nobody could write it then."""

from pathlib import Path

import pytest

from deploy.client.judging import Judging
from deploy.client.rollback_command import roll_back
from deploy.client.sources import FolderSource
from deploy.errors import UpdateError
from deploy.firmware.boot import CURRENT, SOURCE, Boot
from deploy.record import intact
from deploy.slots import Slots
from tests.deploy.client.stands import BAD, Pedal
from tests.deploy.publisher.repository import Repo, make_repository


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = make_repository(tmp_path)
    repo.publish({"source/a.py": b"one"}, component="firmware")
    return repo


@pytest.fixture
def pedal(tmp_path: Path, repo: Repo) -> Pedal:
    return Pedal(tmp_path, repo.root_bytes, repo.now)


@pytest.fixture
def stick(repo: Repo) -> FolderSource:
    return FolderSource(repo.folder.path)


@pytest.fixture
def boot(tmp_path: Path, pedal: Pedal) -> Boot:
    runtime = tmp_path / "run"
    runtime.mkdir()
    return Boot(pedal.places.slots("firmware"), tmp_path / "factory", runtime)


def ends(pedal: Pedal) -> list[tuple[str, int, str]]:
    return [
        (str(line["event"]), line["version"], str(line.get("why", "")))
        for line in pedal.record()
        if line["event"] in ("refused", "rolled-back")
    ]


class PowerCutError(BaseException):
    """The power goes here."""


def test_firmware_that_never_came_alive(pedal: Pedal, stick: FolderSource, boot: Boot) -> None:
    pedal.update(stick)
    for _ in range(4):
        boot.slots.boot()
    assert boot.slots.active is None
    assert ends(pedal) == []
    pedal.update(stick)
    why = "it was booted 3 times and never came alive"
    assert ends(pedal) == [("rolled-back", 1, why)]
    assert pedal.said[-1] == f"firmware: release 1 was left: {why}."
    pedal.update(stick)
    pedal.update(None)
    assert len(ends(pedal)) == 1, "once is enough"
    assert intact(pedal.places.record)


def test_firmware_that_the_fallback_has_left(
    pedal: Pedal, stick: FolderSource, boot: Boot, tmp_path: Path
) -> None:
    pedal.update(stick)
    active = boot.slots.active
    assert active is not None
    (tmp_path / "run" / CURRENT).symlink_to(active.folder / SOURCE)
    boot.fall_back()
    pedal.update(None)
    assert ends(pedal) == [("rolled-back", 1, "its audio or its control could not be kept alive")]


def test_the_power_goes_between_a_roll_back_and_its_line(
    pedal: Pedal, stick: FolderSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    pedal.update(stick)
    pedal.trials["firmware"].verdict = BAD
    with monkeypatch.context() as patch:
        real = Slots.roll_back

        def roll_back_then_cut(slots: Slots, why: str) -> None:
            real(slots, why)
            raise PowerCutError

        patch.setattr(Slots, "roll_back", roll_back_then_cut)
        with pytest.raises(PowerCutError):
            pedal.update(stick)
    assert pedal.events()[-1] == "verdict" and ends(pedal) == []
    pedal.update(stick)
    assert ends(pedal) == [("rolled-back", 1, "It dropped out 9 times.")]


def test_the_power_goes_between_a_refusal_and_its_line(
    pedal: Pedal, stick: FolderSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    pedal.trials["firmware"].tested = BAD
    with monkeypatch.context() as patch:

        def reject_then_cut(
            self: Judging, component: object, why: str, names: dict[str, object]
        ) -> None:
            self._slots["firmware"].reject(why)
            raise PowerCutError

        patch.setattr(Judging, "_reject", reject_then_cut)
        with pytest.raises(PowerCutError):
            pedal.update(stick)
    assert ends(pedal) == []
    pedal.update(stick)
    assert ends(pedal) == [("refused", 1, "It dropped out 9 times.")]


def test_the_power_goes_behind_the_activation_and_boot_leaves_it(
    pedal: Pedal, stick: FolderSource, boot: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        real = Slots.activate

        def activate_then_cut(slots: Slots) -> None:
            real(slots)
            raise PowerCutError

        patch.setattr(Slots, "activate", activate_then_cut)
        with pytest.raises(PowerCutError):
            pedal.update(stick)
    assert "activated" not in pedal.events()
    boot.slots.roll_back("its Python is missing")
    pedal.update(None)
    assert ends(pedal) == [("rolled-back", 1, "its Python is missing")]


def test_what_was_said_already_is_not_said_again(pedal: Pedal, stick: FolderSource) -> None:
    pedal.update(stick)
    pedal.trials["firmware"].verdict = BAD
    with pytest.raises(UpdateError, match="went wrong while playing"):
        pedal.update(stick)
    pedal.update(stick)
    assert [end[:2] for end in ends(pedal)] == [("rolled-back", 1)]


def test_what_was_rolled_back_by_hand_is_not_either(pedal: Pedal, stick: FolderSource) -> None:
    pedal.update(stick)
    roll_back(pedal.places, "firmware", pedal.clock)
    pedal.update(stick)
    assert [end[:2] for end in ends(pedal)] == [("rolled-back", 1)]


def test_a_release_that_came_again_has_another_end(
    pedal: Pedal, stick: FolderSource, boot: Boot
) -> None:
    for _ in range(2):
        pedal.update(stick)
        boot.slots.roll_back("its code is missing")
        pedal.update(None)
        boot.forget()  # as provisioning does: releases that went wrong are forgotten
    assert [end[0] for end in ends(pedal)] == ["rolled-back", "rolled-back"]
