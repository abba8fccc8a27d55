"""The child process: whatever becomes of it is an answer, never an exception."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from deploy.errors import UpdateError, UpdateFailedError
from deploy.trial import build_engines, inspect, self_test
from deploy.trial.confined import ROOT, run_child
from deploy.trial.limits import Here, Limits, packed, unpacked
from tests.build.bundles import small_bundle
from tests.deploy.trial.slots_made import PLAIN, preset, release_of

LIMITS = Limits(phrase_s=0.8, bundled=0, idle=False)


def child(code: str, wall_s: float = 60.0):
    return run_child([sys.executable, "-c", code], wall_s)


def test_an_answer() -> None:
    ended = child("print('{\"ok\": true}')")
    assert ended.answer == {"ok": True}


@pytest.mark.parametrize(
    ("code", "why", "again"),
    [
        ("import os; os.abort()", "it crashed with SIGABRT", False),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed with SIGSEGV", False),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL", True),
        ("import os, signal; os.kill(os.getpid(), 64)", "crashed with SIGRTMAX", False),
        ("raise SystemExit(3)", "it ended with status 3", False),
        ("print('no JSON')", "it gave no answer", False),
        ("print('[1]')", "it gave no answer", False),
        ("pass", "it gave no answer", False),
        ("print('9' * 3_000_000)", "it gave no answer", False),
    ],
)
def test_no_answer(code: str, why: str, again: bool) -> None:
    ended = child(code)
    assert ended.answer is None
    assert why in ended.why
    assert ended.again is again


def test_a_command_that_is_not_there() -> None:
    ended = run_child(["/nonexistent/python"], 1.0)
    assert ended.answer is None and ended.again


def test_time_runs_out_for_one_that_waits() -> None:
    """It had no processor, so nothing is proven against the model."""
    ended = child("import time; time.sleep(600)", 0.5)
    assert ended.answer is None and ended.again
    assert "others had the processors" in ended.why


def test_what_the_child_started_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time, pathlib\n"
        "one = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(one.pid))\n"
        "time.sleep(600)"
    )
    child(code, 3.0)
    if not (tmp_path / "pid").exists():
        pytest.skip("the machine is too busy to start two processes in three seconds")
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10.0
    while _lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(pid)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


CONFINED = """
import sys; sys.path.insert(0, {root!r})
from deploy.trial.confined import confine
confine({memory}, {cpu}, False, {idle})
"""


def test_memory_is_bounded() -> None:
    code = CONFINED.format(root=str(ROOT), memory=300 << 20, cpu=60, idle=False)
    ended = child(code + "x = bytearray(400 << 20); print('{}')")
    assert ended.answer is None
    assert "status 1" in ended.why


def test_processor_time_is_bounded() -> None:
    code = CONFINED.format(root=str(ROOT), memory=2 << 30, cpu=1, idle=False)
    ended = child(code + "\nwhile True: pass", 110.0)
    assert ended.answer is None and not ended.again
    assert "it computed for longer than it may" in ended.why


def test_it_gives_way_to_everybody() -> None:
    code = CONFINED.format(root=str(ROOT), memory=2 << 30, cpu=60, idle=True)
    code += (
        "import json, os, resource\n"
        "print(json.dumps([0]) if False else json.dumps({'nice': os.nice(0), "
        "'policy': os.sched_getscheduler(0), 'core': resource.getrlimit(resource.RLIMIT_CORE)}))"
    )
    ended = child(code, 110.0)
    if ended.answer is None:
        pytest.skip(f"the machine is too busy for what is idle: {ended.why}")
    assert ended.answer == {"nice": 19, "policy": os.SCHED_IDLE, "core": [0, 0]}


def test_settings_go_through_the_command_line(tmp_path: Path) -> None:
    for here in (Here(), Here(96000, 32, 9.5, tmp_path)):
        assert unpacked(packed(LIMITS, here)) == (LIMITS, here)
    assert json.loads(packed(LIMITS, Here()))["here"]["present"] is None


# ---- the whole way -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slots") / "a"
    folder.mkdir()
    small_bundle(folder / "studio")
    preset(folder, PLAIN)
    return folder


def test_inspected_built_and_tested(slot: Path) -> None:
    release = release_of(slot)
    inspect(slot, release, limits=LIMITS)
    engines = build_engines(slot, limits=LIMITS)
    assert {name.split(" on ")[0] for name in engines} == {
        "studio/encoder.int8.onnx",
        "studio/decoder.int8.onnx",
    }
    assert all(len(value) == 64 for value in engines.values())
    assert engines == build_engines(slot, limits=LIMITS)
    verdict = self_test(slot, LIMITS)
    assert verdict.ok, verdict
    assert verdict.figures["presets_tried"] == 1.0
    # Nothing was left in the slot that was not there.
    inspect(slot, release, limits=LIMITS)


def test_what_is_in_the_files_is_refused_through_the_child(slot: Path, tmp_path: Path) -> None:
    folder = tmp_path / "slot"
    (folder / "presets").mkdir(parents=True)
    (folder / "presets" / "x.toml").write_text("nothing = 1")
    with pytest.raises(UpdateError, match=r"^presets/x.toml: nothing is not a key") as refused:
        inspect(folder, release_of(folder), limits=LIMITS)
    assert refused.value.exit_code == 2
    with pytest.raises(UpdateError, match="nothing is not a key"):
        build_engines(folder, limits=LIMITS)
    verdict = self_test(folder, LIMITS)
    assert not verdict.ok and not verdict.again
    assert verdict.why.startswith("presets/x.toml: nothing is not a key")


def test_firmware_is_not_for_this_trial(slot: Path) -> None:
    release = release_of(slot).model_copy(update={"component": "firmware"})
    with pytest.raises(UpdateError, match="is a release of firmware, expected models"):
        inspect(slot, release)


def test_a_child_without_memory_is_a_verdict(slot: Path) -> None:
    starving = Limits(memory_bytes=150 << 20, idle=False)
    verdict = self_test(slot, starving)
    assert not verdict.ok
    assert "\n" not in verdict.why and verdict.why


def test_a_child_without_time_is_a_verdict_and_no_fault(slot: Path) -> None:
    verdict = self_test(slot, Limits(wall_s=0.05, idle=False))
    assert not verdict.ok
    assert "was not done after" in verdict.why
    with pytest.raises(UpdateError, match="was not done after") as failed:
        build_engines(slot, limits=Limits(build_s=0.05, idle=False))
    assert isinstance(failed.value, UpdateFailedError) or failed.value.exit_code == 2
