"""Models are updated from a stick while one plays, and a slot that goes wrong is left at once."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hil.virtual.guest.bench import RUNTIME, Bench
from hil.virtual.guest.guitar import Guitar, recorded, riff
from hil.virtual.guest.relay import gap_after
from hil.virtual.scenarios.playing import loads_between, longest_silence_s
from hil.virtual.scenarios.report import check, fact, mark, span

_GROUP = "update while playing"
_GIVEN = Path("/job/files/releases")
_SLOTS = Path("/var/lib/purga-update/models")
_DEPLOY = ["/run/purga-firmware/current/.venv/bin/python", "-m", "deploy"]
_LIMIT_S = 900.0
_RIFF_S = 1200.0


def run(bench: Bench) -> dict[str, Any]:
    """Import a release as a stick would bring it, then switch to a slot that is broken.

    The unit is ``purga-import.service`` itself, but for the stick's mount (``suite.py``).
    """
    sound, recording = Path("/tmp/guitar.wav"), Path("/tmp/recording.wav")
    riff(sound, _RIFF_S)
    _deploy("trust", "--root", str(_GIVEN / "root.json"), "--yes")
    bench.wait("playing", bench.plays, 60.0)
    guitar = Guitar(sound, recording)
    time.sleep(2.0)
    first = bench.meters()
    assert first is not None
    start_s = time.monotonic()
    bench.systemctl("start", "--no-block", "purga-bench.service")
    swapped_s = bench.wait("the new bank", lambda: _swapped(bench, start_s), _LIMIT_S)
    bench.next_preset()
    bench.wait("the new preset", lambda: bench.value("preset") == 1, 5.0)
    time.sleep(5.0)
    updated = bench.meters()
    assert updated is not None
    new, status = _bank(), _status()
    marks = [mark(start_s, "stick"), mark(swapped_s, "new bank")]

    broken_s = _switch_to_broken()
    left_s = bench.wait("the broken bank is left", lambda: _rejected(bench), 60.0)
    time.sleep(5.0)
    last = bench.meters()
    assert last is not None
    end_s = time.monotonic()
    marks += [mark(broken_s, "broken slot"), mark(left_s, "left")]
    guitar.stop()
    held = all(gap_after(bench.scope, at).dropped_s is None for at in (start_s, broken_s))
    heard = recorded(recording)
    (bench.out / "status.json").write_text(json.dumps(status, indent=1))
    values = last.values
    return {
        "checks": [
            check(
                "update-xruns",
                _GROUP,
                "xruns while it is imported, tried and taken",
                0,
                updated.values["xruns"] - first.values["xruns"],
                "",
                note=f"{swapped_s - start_s:.0f} s from the stick to the new bank",
            ),
            fact("update-plays", _GROUP, "the new release plays", new.get("version") == 1),
            fact(
                "update-status",
                _GROUP,
                "status shows it on trial, with its hashes and its self-test",
                _shown(status),
            ),
            check(
                "broken-xruns",
                _GROUP,
                "xruns while a broken bank is tried and left",
                0,
                values["xruns"] - updated.values["xruns"],
                "",
            ),
            check(
                "broken-nan",
                _GROUP,
                "periods in which the last guard met a NaN",
                0,
                values["guard_nan_periods"] - first.values["guard_nan_periods"],
                "",
            ),
            fact("broken-left", _GROUP, "the broken bank is left and said", _rejected(bench)),
            check(
                "update-silence", _GROUP, "longest silence in what came out", 0.2,
                longest_silence_s(heard), "s",
            ),
            fact("update-relay", _GROUP, "the relay held all the time", held),
        ],
        "timeline": [span("wet", start_s, end_s)],
        "marks": marks,
        "figures": {"loads": loads_between(first, last), "bank": new},
    }  # fmt: skip


def _swapped(bench: Bench, start_s: float) -> bool:
    """Whether the new bank plays. Raises where the import has ended without one."""
    if bench.value("banks_swapped") == 1:
        return True
    state = bench.systemctl("show", "-P", "SubState", "purga-bench.service")
    result = bench.systemctl("show", "-P", "ExecMainStatus", "purga-bench.service")
    slot = os.readlink(_SLOTS / "active") if (_SLOTS / "active").is_symlink() else ""
    begun = time.monotonic() - start_s > 15.0
    assert slot or not begun or state in ("start", "start-pre", "start-post", "running"), (
        f"the import ended with {result}: {_journal()}"
    )
    time.sleep(0.5)
    return False


def _journal() -> str:
    command = ["journalctl", "--no-pager", "-o", "cat", "-n", "40"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _deploy(*words: str) -> str:
    """Run a command of the update's, as root."""
    done = subprocess.run(
        [*_DEPLOY, *words], cwd="/opt/purga", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"
    return done.stdout


def _status() -> Mapping[str, Any]:
    return dict(json.loads(_deploy("status", "--json").strip().splitlines()[-1]))


def _shown(status: Mapping[str, Any]) -> bool:
    """Whether the record binds release, engine and self-test."""
    text = json.dumps(status)
    return all(word in text for word in ("self-test", "trial", "built"))


def _bank() -> dict[str, Any]:
    try:
        return dict(json.loads((RUNTIME / "bank.json").read_text()))
    except (OSError, ValueError):
        return {}


def _rejected(bench: Bench) -> bool:
    return bench.value("banks_rejected") >= 1 and bool(_bank().get("rejected"))


def _switch_to_broken() -> float:
    """Put a slot that no update would have let pass beside the good one, and switch to it."""
    assert (_SLOTS / "active").is_symlink(), f"the release was left again: {_journal()}"
    active = os.readlink(_SLOTS / "active")
    other = "b" if active.rstrip("/").endswith("a") else "a"
    shutil.rmtree(_SLOTS / other, ignore_errors=True)
    shutil.copytree(_GIVEN / "broken", _SLOTS / other)
    link = _SLOTS / "active.new"
    link.symlink_to(other)
    now_s = time.monotonic()
    os.replace(link, _SLOTS / "active")
    return now_s
