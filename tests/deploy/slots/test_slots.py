import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.errors import UpdateError, UpdateFailedError
from deploy.slots import MOST_BOOTS, Slots
from tests.deploy.slots.releases import fill, install, release_json, sha256_of, write


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    return Slots(tmp_path / "models", "models")


@pytest.fixture
def firmware(tmp_path: Path) -> Slots:
    return Slots(tmp_path / "firmware", "firmware")


def playing(slots: Slots) -> tuple[int | None, str] | None:
    active = slots.active
    return None if active is None else (active.version, active.state)


def test_a_new_pedal_plays_its_factory_content(slots: Slots) -> None:
    assert slots.active is None
    assert slots.inactive.state == "empty"
    assert slots.recover() == []
    assert slots.active is None


def test_a_release_goes_in_is_tried_and_is_good(slots: Slots) -> None:
    folder = slots.begin(1, sha256_of(1))
    assert (slots.inactive.state, slots.inactive.folder) == ("writing", folder)
    write(folder, 1)
    slots.ready()
    assert slots.active is None
    slots.activate()
    assert playing(slots) == (1, "trial")
    assert os.readlink(slots.folder / "active") == folder.name
    slots.mark_good()
    slots.mark_good()
    assert playing(slots) == (1, "good")
    assert slots.recover() == []


def test_releases_take_turns(slots: Slots) -> None:
    for version in range(1, 6):
        install(slots, version)
        assert playing(slots) == (version, "good")
    assert slots.inactive.version == 4
    assert slots.inactive.state == "good"


def test_a_slot_is_emptied_before_it_is_filled_again(slots: Slots) -> None:
    for version in (1, 2):
        install(slots, version)
    folder = slots.inactive.folder
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "link").symlink_to(slots.folder / "b")
    slots.begin(3, sha256_of(3))
    assert list(folder.iterdir()) == []
    assert (slots.folder / "b" / "stage.onnx").exists()


def test_the_first_release_rolls_back_to_the_factory(slots: Slots) -> None:
    fill(slots, 1)
    slots.activate()
    slots.roll_back("it made noise")
    assert slots.active is None
    assert not (slots.folder / "active").is_symlink()
    assert slots.refused(sha256_of(1)) == "it made noise"
    with pytest.raises(UpdateError, match="went wrong here before"):
        slots.begin(1, sha256_of(1))
    with pytest.raises(UpdateError, match="nothing before it"):
        slots.roll_back("again")


def test_a_trial_rolls_back_to_the_one_before(slots: Slots) -> None:
    install(slots, 1)
    fill(slots, 2)
    slots.activate()
    slots.roll_back("two dropouts")
    assert playing(slots) == (1, "good")
    assert (slots.inactive.state, slots.inactive.why) == ("bad", "two dropouts")
    install(slots, 3)
    assert playing(slots) == (3, "good")
    assert slots.refused(sha256_of(2)) == "two dropouts"


def test_a_good_one_can_be_left_by_hand(slots: Slots) -> None:
    for version in (1, 2):
        install(slots, version)
    slots.roll_back("its owner wants the one before")
    assert playing(slots) == (1, "good")
    assert slots.recover() == []


def test_nothing_is_written_over_what_a_trial_goes_back_to(slots: Slots) -> None:
    install(slots, 1)
    fill(slots, 2)
    slots.activate()
    with pytest.raises(UpdateFailedError, match="still on trial"):
        slots.begin(3, sha256_of(3))
    slots.roll_back("no")
    assert playing(slots) == (1, "good")


def test_only_a_whole_slot_is_ready(slots: Slots) -> None:
    folder = slots.begin(1, sha256_of(1))
    with pytest.raises(UpdateError, match=r"no release\.json"):
        slots.ready()
    (folder / "release.json").write_bytes(release_json(2))
    with pytest.raises(UpdateError, match=r"no release\.json"):
        slots.ready()
    with pytest.raises(UpdateError, match="only a ready one"):
        slots.activate()
    write(folder, 1)
    slots.ready()
    with pytest.raises(UpdateError, match="not writing"):
        slots.ready()


def test_a_rejected_slot_is_not_activated(slots: Slots) -> None:
    install(slots, 1)
    fill(slots, 2)
    slots.reject("the network gives NaN")
    with pytest.raises(UpdateError, match="only a ready one"):
        slots.activate()
    assert slots.refused(sha256_of(2)) == "the network gives NaN"
    assert playing(slots) == (1, "good")
    with pytest.raises(UpdateError, match="not to be rejected"):
        slots.reject("again")


def test_an_abandoned_slot_is_empty_and_may_be_tried_again(slots: Slots) -> None:
    slots.begin(1, sha256_of(1))
    slots.abandon()
    assert slots.inactive.state == "empty"
    install(slots, 1)
    slots.abandon()  # nothing to give up
    assert playing(slots) == (1, "good")


def test_two_updates_do_not_fill_one_slot(slots: Slots) -> None:
    folder = slots.begin(1, sha256_of(1))
    write(folder, 1)
    other = Slots(slots.folder, "models")
    assert other.recover() == []
    assert other.inactive.state == "writing"
    with pytest.raises(UpdateFailedError, match="another update"):
        other.begin(2, sha256_of(2))
    slots.ready()
    assert playing(slots) is None
    other.activate()
    assert playing(slots) == (1, "trial")


def test_what_a_killed_update_left_is_emptied(slots: Slots) -> None:
    code = (
        "import os; from pathlib import Path; from deploy.slots import Slots\n"
        f"slots = Slots(Path({str(slots.folder)!r}), 'models')\n"
        f"folder = slots.begin(1, {sha256_of(1)!r}); (folder / 'stage.onnx').write_bytes(b'half')\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    said = slots.recover()
    assert len(said) == 1 and "not finished" in said[0]
    assert slots.inactive.state == "empty"
    assert list(slots.inactive.folder.iterdir()) == []


def test_twenty_short_boots_leave_a_good_slot_alone(firmware: Slots) -> None:
    install(firmware, 1)
    states = (firmware.folder / "slots.json").stat()
    for _ in range(20):
        assert Slots(firmware.folder, "firmware").boot() == []
    assert playing(firmware) == (1, "good")
    now = (firmware.folder / "slots.json").stat()
    assert (now.st_ino, now.st_mtime_ns) == (states.st_ino, states.st_mtime_ns)


def test_firmware_that_never_comes_alive_is_left(firmware: Slots) -> None:
    install(firmware, 1)
    fill(firmware, 2)
    firmware.activate()
    for _ in range(MOST_BOOTS):
        assert firmware.boot() == []
        assert playing(firmware) == (2, "trial")
    assert "never came alive" in firmware.boot()[0]
    assert playing(firmware) == (1, "good")
    for _ in range(20):
        firmware.boot()
    assert playing(firmware) == (1, "good")
    assert "never came alive" in (firmware.refused(sha256_of(2, "firmware")) or "")


def test_firmware_that_comes_alive_may_be_booted_for_ever(firmware: Slots) -> None:
    install(firmware, 1)
    fill(firmware, 2)
    firmware.activate()
    for _ in range(20):
        firmware.boot()
        firmware.boot()
        firmware.alive()
    assert playing(firmware) == (2, "trial")


def test_boots_are_not_counted_for_models(slots: Slots) -> None:
    fill(slots, 1)
    slots.activate()
    for _ in range(20):
        assert slots.boot() == []
    assert playing(slots) == (1, "trial")


@pytest.mark.parametrize("damage", [b"", b"\0" * 300, b"{}", b"[]", b'{"format": 1}', None])
def test_lost_states_are_rebuilt_and_what_plays_stays(slots: Slots, damage: bytes | None) -> None:
    for version in (1, 2):
        install(slots, version)
    if damage is None:
        (slots.folder / "slots.json").unlink()
    else:
        (slots.folder / "slots.json").write_bytes(damage)
    assert playing(slots) == (2, "good")  # a reader is not kept waiting for recover
    assert "written anew" in slots.recover()[0]
    assert playing(slots) == (2, "good")
    assert (slots.inactive.version, slots.inactive.state) == (1, "ready")
    assert slots.recover() == []
    install(slots, 3)


def test_a_lost_link_is_laid_again(slots: Slots) -> None:
    for version in (1, 2):
        install(slots, version)
    (slots.folder / "active").unlink()
    assert "plays again" in slots.recover()[0]
    assert playing(slots) == (2, "good")


@pytest.mark.parametrize("target", ["../../etc", "c", "/tmp"])
def test_a_link_that_leads_elsewhere_is_laid_again(slots: Slots, target: str) -> None:
    install(slots, 1)
    (slots.folder / "active").unlink()
    (slots.folder / "active").symlink_to(target)
    slots.recover()
    assert playing(slots) == (1, "good")


def test_damaged_content_gives_way_to_the_other_slot(slots: Slots) -> None:
    for version in (1, 2):
        install(slots, version)
    (slots.folder / "b" / "release.json").write_bytes(b"torn")
    said = slots.recover()
    assert "damaged" in said[0]
    assert playing(slots) == (1, "good")
    assert slots.refused(sha256_of(2)) is None
    install(slots, 2)
    assert playing(slots) == (2, "good")


def test_with_both_slots_damaged_the_factory_plays(slots: Slots) -> None:
    for version in (1, 2):
        install(slots, version)
    for name in "ab":
        (slots.folder / name / "release.json").unlink()
    slots.recover()
    assert slots.active is None
    install(slots, 3)
    assert playing(slots) == (3, "good")


def test_a_slot_that_is_a_link_is_not_followed(slots: Slots, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_bytes(b"x")
    slots.folder.mkdir()
    (slots.folder / "a").symlink_to(tmp_path / "precious")
    slots.recover()
    install(slots, 1)
    assert (tmp_path / "precious" / "file").read_bytes() == b"x"


def test_it_needs_the_standard_library_only() -> None:
    code = (
        "import sys; sys.path.insert(0, '.'); import deploy.slots, deploy.record\n"
        "foreign = [n for n, m in sys.modules.items() if 'site-packages' in "
        "str(getattr(m, '__file__', ''))]\n"
        "print(foreign)"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.strip() == "[]"
