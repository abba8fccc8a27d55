"""What must not be forgotten: floors, the month's bytes, the settings, the time."""

import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Timestamp

from deploy.client.budget import STEP_BYTES, Budget
from deploy.client.clock import SystemClock, issued, moment
from deploy.client.floors import FloorsFile
from deploy.client.settings import Settings, read_settings
from deploy.errors import UpdateError, UpdateFailedError
from deploy.firmware.day import BUILT
from tests.deploy.client.stands import FakeClock

NOW = datetime(2027, 1, 15, tzinfo=UTC)


# ---- floors.json --------------------------------------------------------------------------------


def test_floors_outlast_the_process(tmp_path: Path) -> None:
    floors = FloorsFile(tmp_path / "floors.json")
    assert floors.is_new
    floors.change(versions={"models": 3}, time=NOW, metadata={"timestamp": 9}, signers=("a", "b"))
    again = FloorsFile(tmp_path / "floors.json")
    assert not again.is_new
    assert again.now == floors.now
    assert again.now.versions == {"models": 3}
    assert again.now.device == floors.now.device


def test_versions_only_rise(tmp_path: Path) -> None:
    floors = FloorsFile(tmp_path / "floors.json")
    for version in (3, 7, 5):
        floors.raise_version("models", version)
    floors.raise_version("firmware", 1)
    assert FloorsFile(floors.path).now.versions == {"models": 7, "firmware": 1}


def test_two_that_change_it_do_not_undo_each_other(tmp_path: Path) -> None:
    one, other = FloorsFile(tmp_path / "f.json"), FloorsFile(tmp_path / "f.json")
    one.change(spent_bytes=5)
    other.change(versions={"models": 2})
    one.change(month="2027-01")
    now = FloorsFile(tmp_path / "f.json").now
    assert (now.spent_bytes, now.versions, now.month) == (5, {"models": 2}, "2027-01")


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format": 2}', b"\0" * 300, b"[" * 5000])
def test_what_cannot_be_read_is_said_and_made_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "floors.json"
    path.write_bytes(content)
    floors = FloorsFile(path)
    assert floors.is_new
    assert floors.problem is not None
    floors.change(versions={"models": 4})
    assert FloorsFile(path).now.versions == {"models": 4}


def test_a_disk_that_refuses_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    floors = FloorsFile(tmp_path / "floors.json")
    floors.change(versions={"models": 4})

    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UpdateFailedError, match="free space"):
        floors.change(versions={"models": 5})
    monkeypatch.undo()
    assert floors.now.versions == {"models": 4}
    assert FloorsFile(floors.path).now.versions == {"models": 4}
    assert [path.name for path in tmp_path.iterdir()] == ["floors.json"]


# ---- the budget ---------------------------------------------------------------------------------


def test_bytes_are_put_down_before_they_are_spent(tmp_path: Path) -> None:
    floors = FloorsFile(tmp_path / "floors.json")
    budget = Budget(floors, 10_000_000, FakeClock(NOW))
    budget.spend(1000)
    # The power goes here: what is on the disk is never too low.
    assert FloorsFile(floors.path).now.spent_bytes == 1000 + STEP_BYTES
    budget.settle()
    assert FloorsFile(floors.path).now.spent_bytes == 1000


@settings(deadline=None, max_examples=25)  # a disk's own time
@given(st.lists(st.integers(0, 3_000_000), max_size=30), st.integers(0, 30))
def test_never_too_low_wherever_the_power_goes(spends: list[int], cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "floors.json"
        budget = Budget(FloorsFile(path), None, FakeClock(NOW))
        for count in spends[:cut]:
            budget.spend(count)
        spent = sum(spends[:cut])
        assert FloorsFile(path).now.spent_bytes >= spent or spent == 0
        assert FloorsFile(path).now.spent_bytes <= spent + STEP_BYTES
        budget.settle()
        assert FloorsFile(path).now.spent_bytes == spent


def test_a_month_that_is_used_up(tmp_path: Path) -> None:
    floors, clock = FloorsFile(tmp_path / "floors.json"), FakeClock(NOW)
    budget = Budget(floors, 1_000_000, clock)
    budget.spend(900_000)
    assert budget.left_bytes == 100_000
    with pytest.raises(UpdateFailedError, match="1 million bytes"):
        budget.spend(200_000)
    budget.settle()
    over = Budget(FloorsFile(floors.path), 1_000_000, clock)
    with pytest.raises(UpdateFailedError, match="used up"):
        over.spend(1)
    over.settle()
    # Who asks may go on, and it is counted.
    asked = Budget(FloorsFile(floors.path), None, clock)
    asked.spend(1)
    asked.settle()
    assert FloorsFile(floors.path).now.spent_bytes == 1_100_001 + 1
    clock.calendar += timedelta(days=31)
    assert Budget(FloorsFile(floors.path), 1_000_000, clock).left_bytes == 1_000_000


def test_a_clock_that_was_wrong_leaves_no_trace(tmp_path: Path) -> None:
    floors, clock = FloorsFile(tmp_path / "floors.json"), FakeClock(NOW)
    clock.calendar = datetime(2099, 1, 1, tzinfo=UTC)
    budget = Budget(floors, 1_000_000, clock)
    budget.spend(999_999)
    budget.settle()
    clock.calendar = NOW
    assert Budget(FloorsFile(floors.path), 1_000_000, clock).left_bytes == 1_000_000


# ---- time ---------------------------------------------------------------------------------------


def test_what_time_it_counts_as() -> None:
    clock = FakeClock(NOW)
    assert moment(clock, None) == NOW
    assert moment(clock, NOW + timedelta(days=1)) == NOW + timedelta(days=1)
    clock.calendar = datetime(1970, 1, 1, tzinfo=UTC)
    assert moment(clock, None) == clock.earliest
    assert moment(clock, NOW) == NOW
    clock.calendar = datetime(2099, 1, 1, tzinfo=UTC)
    assert moment(clock, NOW) == clock.calendar


def test_the_code_was_built_before_it_runs() -> None:
    assert BUILT <= SystemClock().earliest <= SystemClock().now()
    assert SystemClock().monotonic() <= SystemClock().monotonic()


@pytest.mark.parametrize("days", [None, "14", True, 0, -3, 99999, 1.5])
def test_metadata_that_do_not_say_when_raise_no_floor(days: object) -> None:
    said = {} if days is None else {"x-purga-days": days}
    assert issued(Timestamp(expires=NOW, unrecognized_fields=said)) is None


def test_when_metadata_were_signed() -> None:
    signed = Timestamp(expires=NOW, unrecognized_fields={"x-purga-days": 14})
    assert issued(signed) == NOW - timedelta(days=14)


# ---- settings -----------------------------------------------------------------------------------


def test_no_file_is_all_defaults(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "update.toml") == Settings()
    (tmp_path / "update.toml").write_text("")
    assert read_settings(tmp_path / "update.toml") == Settings()


def test_all_settings(tmp_path: Path) -> None:
    (tmp_path / "update.toml").write_text(
        'url = "https://updates.example/purga"\ngroup = "beta"\ncomponents = ["models"]\n'
        "budget_mb_per_month = 0\ndeadline_s = 60\nautomatic = false\n"
    )
    assert read_settings(tmp_path / "update.toml") == Settings(
        "https://updates.example/purga", "beta", ("models",), 0, 60.0, False
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('url = "ftp://x/"', "must begin with https"),
        ('url = "https:///x"', "must begin with https"),
        ('url = "https://x:99999/"', "must begin with https"),
        ('url = "https://x/?a"', "without"),
        ('group = "Beta!"', "group"),
        ('components = ["pedals"]', "components"),
        ('components = ["models", "models"]', "twice"),
        ("budget_mb_per_month = -1", "budget_mb_per_month"),
        ("deadline_s = 1", "deadline_s"),
        ('speed = "fast"', "speed"),
    ],
)
def test_settings_that_are_none(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "update.toml"
    file.write_text(line + "\n")
    with pytest.raises(UpdateError, match=says) as caught:
        read_settings(file)
    assert str(file) in str(caught.value)
