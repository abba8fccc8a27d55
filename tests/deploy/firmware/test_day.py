"""When the code was made: known without anybody's doing, never earlier than it can be."""

import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.client.clock import SystemClock
from deploy.firmware.day import BUILT, DAY_FILE, built_at, day_of
from tests.conftest import ROOT


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    return folder


def committed(folder: Path, when: str) -> None:
    """A checkout whose one commit was made at ``when``."""
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    who |= {"GIT_COMMITTER_EMAIL": "a@b", "GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when}
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "All"]):
        subprocess.run(["git", "-C", folder, *words], check=True, env={**os.environ, **who})


def test_a_file_moves_it_forward(code: Path) -> None:
    assert built_at(code) == BUILT
    (code / DAY_FILE).write_text("2031-02-03\n")
    assert built_at(code) == datetime(2031, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "content",
    [
        *(b"1970-01-01\n", b"2026-11-20\n", b"", b"\xff\xfe", b"2031-02-30\n", b"20310203\n"),
        *(b"2031-02-03T00:00:00+00:00\n", b"2031-W01-1\n", b"0000-00-00\n", b"9" * 1_000_000),
        b"2031-02-03\n2032-01-01\n",
    ],
)
def test_nothing_moves_it_back(code: Path, content: bytes) -> None:
    (code / DAY_FILE).write_bytes(content)
    assert built_at(code) == BUILT


def test_a_folder_in_its_place_is_none(code: Path) -> None:
    (code / DAY_FILE).mkdir()
    assert built_at(code) == BUILT and day_of(code) is None


def test_a_checkout_s_day_is_its_commit_s(code: Path) -> None:
    assert day_of(code) is None
    committed(code, "2025-06-07T23:30:00-05:00")
    assert day_of(code) == b"2025-06-08\n", "in UTC"


def test_a_day_that_has_not_come_yet_is_not_taken(code: Path) -> None:
    """A wrong clock where it was committed would make every signature look expired."""
    committed(code, "2090-01-01T00:00:00+00:00")
    today = {f"{datetime.now(UTC) + timedelta(seconds=wait):%Y-%m-%d}\n" for wait in (-60, 60)}
    assert (day_of(code) or b"").decode() in today


def test_a_copy_keeps_the_day_that_it_came_with(code: Path) -> None:
    (code / DAY_FILE).write_text("2026-01-02\n")
    assert day_of(code) == b"2026-01-02\n"


def test_what_git_does_not_read_has_no_day(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code / ".git").mkdir()
    assert day_of(code) is None
    monkeypatch.setenv("PATH", "/nowhere")
    assert day_of(code) is None


def test_the_clock_goes_by_it() -> None:
    assert SystemClock.earliest == built_at()


def test_the_constant_is_not_behind_the_releases_nor_ahead_of_the_code() -> None:
    """It counts where there is no file: a release that is dated in CHANGELOG.md moves it along."""
    headings = re.findall(r"^## .*?(\d{4}-\d{2}-\d{2})", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert all(f"{BUILT:%Y-%m-%d}" >= day for day in headings), "move BUILT forward"
    day = day_of(ROOT)
    assert day is None or f"{BUILT:%Y-%m-%d}" <= day.decode().strip()
