"""The harness catches who writes naively, and finds nothing in who does not."""

import contextlib
from pathlib import Path

import pytest

from tests.hil.powercut.harness import campaign

NO_HEURISTIC = ("--mount-option", "noauto_da_alloc")


def test_writing_in_place_is_caught() -> None:
    figures = campaign("--subject", "in-place", "--cuts", "30", "--every-boundary", expected=1)
    assert figures["faults"]["torn"] >= 10


def test_renaming_what_was_never_synced_is_caught_without_the_heuristic() -> None:
    arguments = ("--subject", "renamed", "--cuts", "30", "--every-boundary")
    figures = campaign(*arguments, *NO_HEURISTIC, expected=1)
    assert figures["faults"]["torn"] >= 10
    # ext4's heuristic hides it, as it is known to: so the harness cuts as a disk does.
    assert campaign(*arguments)["faults"] == {}


@pytest.mark.parametrize("options", [(), NO_HEURISTIC], ids=["default", "noauto_da_alloc"])
def test_syncing_renaming_syncing_is_sound(options: tuple[str, ...]) -> None:
    figures = campaign("--subject", "durable", "--cuts", "30", "--every-boundary", *options)
    assert figures["faults"] == {}
    assert figures["sound"] == figures["cuts"] == figures["boundaries"] + 30
    assert figures["states"] > 20
    assert {"write", "fsync", "rename"} <= set(figures["calls"])


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    campaign("--subject", "durable", "--cuts", "1")
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    for device in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # somebody else's, gone by now
            assert str(tmp_path) not in device.read_text()
