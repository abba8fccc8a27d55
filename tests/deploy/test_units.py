"""The units as files: what systemd says of them, and that the program takes what they say."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.provision.host import host_files
from deploy.provision.machine import Machine
from deploy.provision.whole import put
from tests.conftest import ROOT

UNITS = ROOT / "deploy" / "units"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
EXPOSURE = {"purga-audio.service": 2.0, "purga-engine.service": 2.0, "purga-control.service": 2.0}
EXPOSURE_OF_OTHERS = 1.0
needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file system with the units installed, and something at each path that they start."""
    root = tmp_path_factory.mktemp("units")
    for path, text in host_files(Machine(root=root)).items():
        put(path, text)
    python = root / "opt/purga/.venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    return root


def directives(unit: str) -> dict[str, list[str]]:
    """What a unit says, by name, that which holds for all of them included."""
    found: dict[str, list[str]] = {}
    for path in (UNITS / unit, UNITS / "purga-.service.d" / "all.conf"):
        for name, text in re.findall(r"^(\w+)=(.*)$", path.read_text(), re.M):
            found.setdefault(name, []).append(text)
    return found


@needs_analyze
@pytest.mark.parametrize("unit", SERVICES)
def test_exposure_is_within_budget(root: Path, unit: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    file = root / "etc/systemd/system" / unit
    done = subprocess.run([*command, file], capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    print(f"{unit}: exposure {found[1]}")
    assert float(found[1]) <= EXPOSURE.get(unit, EXPOSURE_OF_OTHERS)


@needs_analyze
def test_systemd_finds_nothing_wrong(root: Path) -> None:
    names = [path.name for path in UNITS.iterdir() if path.suffix in (".service", ".socket")]
    names += ["purga.target", "purga-retry@audio.timer"]
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"]
    done = subprocess.run(
        [*command, f"--root={root}", *names], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "purga" in line]
    # Users are looked up on this machine, which need not be a pedal.
    assert [line for line in ours if "Failed to resolve" not in line] == []


@pytest.mark.parametrize("unit", SERVICES)
def test_the_program_takes_what_a_unit_gives_it(unit: str) -> None:
    (line,) = directives(unit)["ExecStart"]
    words = shlex.split(line)
    assert words[:3] == ["/opt/purga/.venv/bin/python", "-m", "device"]
    # Asked for help last, it has read all that stands before; with nonsense there, it says so.
    for extra, code in ((["--help"], 0), (["--no-such-thing"], 2)):
        command = [sys.executable, "-m", "device", *words[3:], *extra]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == code, done.stderr
    for word in words[3:]:
        if word.startswith("/opt/purga/"):
            assert (ROOT / Path(word).relative_to("/opt/purga")).exists()


@pytest.mark.parametrize("unit", SERVICES)
def test_no_unit_is_left_dead_or_left_hanging(unit: str) -> None:
    said = directives(unit)
    assert said["Restart"] == ["always"]
    assert said["Type"] == ["notify"]
    assert "WatchdogSec" in said
    forever = said["StartLimitIntervalSec"] == ["0"]
    retried = "purga-retry@" in said.get("OnFailure", [""])[0]
    assert forever or retried, "what reaches its start limit has to be tried again"
    if "RestartPreventExitStatus" in said:
        assert retried, "what is not started again at once has to be tried again"
    assert said["RuntimeDirectoryPreserve"] == ["yes"]


def test_a_retry_comes_when_the_start_limit_is_over() -> None:
    text = (UNITS / "purga-retry@.timer").read_text()
    (after_min,) = re.findall(r"^OnActiveSec=(\d+)min$", text, re.M)
    for unit in SERVICES:
        assert float(directives(unit)["StartLimitIntervalSec"][0]) < 60.0 * float(after_min)


def test_groups_that_units_name_are_made() -> None:
    made = re.findall(r"^g (\S+)", (UNITS / "etc/sysusers.d/purga.conf").read_text(), re.M)
    for unit in SERVICES:
        for groups in directives(unit).get("SupplementaryGroups", []):
            assert set(groups.split()) <= set(made)


def test_real_time_is_granted_to_those_who_need_it() -> None:
    for unit in ("purga-audio.service", "purga-degraded.service", "purga-control.service"):
        said = directives(unit)
        assert int(said["LimitRTPRIO"][0]) >= 80
        assert said["LimitMEMLOCK"] == ["infinity"]
        assert "RestrictRealtime" not in said
        assert not {"CPUSchedulingPolicy", "CPUWeight"} & set(said), (
            "a kernel that refuses it would leave the unit dead; the process asks, and goes on"
        )
