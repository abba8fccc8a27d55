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
UPDATING = sorted(f"purga-{name}.service" for name in ("update", "import"))
CHOOSING = sorted(f"purga-{name}.service" for name in ("slots", "alive", "fallback"))
PLAYING = [name for name in SERVICES if name not in (*UPDATING, *CHOOSING)]
EXPOSURE = {"purga-audio.service": 2.0, "purga-engine.service": 2.0, "purga-control.service": 2.0}
EXPOSURE |= {"purga-update.service": 2.0, "purga-import.service": 1.5}
EXPOSURE_OF_OTHERS = 1.0
CURRENT = "/run/purga-firmware/current"
TOOL = ["/usr/bin/python3", "-I", "-S", "/usr/local/lib/purga-slots"]
needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file system with the units installed, and something at each path that they start."""
    root = tmp_path_factory.mktemp("units")
    for path, text in host_files(Machine(root=root)).items():
        put(path, text)
    started = (f"{CURRENT}/.venv/bin/python", "/usr/bin/python3", "/usr/bin/systemctl")
    for name in started:
        file = root / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    return root


def directives(unit: str) -> dict[str, list[str]]:
    """What a unit says, by name, that which holds for all of its kind included."""
    found: dict[str, list[str]] = {}
    own = UNITS / f"{unit}.d" / "all.conf"
    shared = own if own.exists() else UNITS / "purga-.service.d" / "all.conf"
    for path in (UNITS / unit, shared):
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
    kinds = (".mount", ".service", ".socket", ".target", ".timer")
    names = [path.name for path in UNITS.iterdir() if path.suffix in kinds]
    names = [name.replace("@.", "@audio.") for name in names]
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
    if unit in CHOOSING:
        assert words[:4] == TOOL
        module, given = "deploy.firmware.boot", words[4:]
    else:
        assert words[:2] == [f"{CURRENT}/.venv/bin/python", "-m"]
        assert words[2] == ("deploy" if unit in UPDATING else "device")
        module, given = words[2], words[3:]
    # Asked for help last, it has read all that stands before; with nonsense there, it says so.
    for extra, code in ((["--help"], 0), (["--no-such-thing"], 2)):
        command = [sys.executable, "-m", module, *given, *extra]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == code, done.stderr
    for word in given:
        if word.startswith(f"{CURRENT}/"):
            assert (ROOT / Path(word).relative_to(CURRENT)).exists()


@pytest.mark.parametrize("unit", PLAYING)
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
    for unit in PLAYING:
        assert float(directives(unit)["StartLimitIntervalSec"][0]) < 60.0 * float(after_min)


def test_groups_that_units_name_are_made() -> None:
    made = re.findall(r"^g (\S+)", (UNITS / "etc/sysusers.d/purga.conf").read_text(), re.M)
    for unit in SERVICES:
        for groups in directives(unit).get("SupplementaryGroups", []):
            assert set(groups.split()) <= {*made, "purga"}


def test_real_time_is_granted_to_those_who_need_it() -> None:
    for unit in ("purga-audio.service", "purga-degraded.service", "purga-control.service"):
        said = directives(unit)
        assert int(said["LimitRTPRIO"][0]) >= 80
        assert said["LimitMEMLOCK"] == ["infinity"]
        assert "RestrictRealtime" not in said
        assert not {"CPUSchedulingPolicy", "CPUWeight"} & set(said), (
            "a kernel that refuses it would leave the unit dead; the process asks, and goes on"
        )
    # What loads beside the loop comes first among ordinary threads (device/processes/thread.py).
    assert directives("purga-audio.service")["LimitNICE"] == ["-20"]


# ---- updates ------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [*UPDATING, *CHOOSING])
def test_what_updates_is_another_user_and_writes_its_own_folder_only(unit: str) -> None:
    said = directives(unit)
    assert said["User"] == ["purga-update"]
    assert said["Type"] == ["oneshot"]
    assert said["ProtectSystem"] == ["strict"]
    assert said["StateDirectory"] == ["purga-update"]
    assert said["ReadWritePaths"] == ["-/run/purga-firmware"]
    assert said["SocketBindDeny"] == ["any"]
    assert said["CapabilityBoundingSet"] == [""]
    assert "TimeoutStartSec" in said, "none may hang for ever"


def test_only_one_service_has_a_network() -> None:
    networked = [unit for unit in SERVICES if "PrivateNetwork" not in directives(unit)]
    assert networked == ["purga-update.service"]
    assert directives("purga-update.service")["RestrictAddressFamilies"] == [
        "AF_UNIX AF_INET AF_INET6"
    ]


@pytest.mark.parametrize("unit", UPDATING)
def test_nothing_that_updates_is_heard(unit: str) -> None:
    said = directives(unit)
    assert said["CPUSchedulingPolicy"] == ["idle"]
    assert said["IOSchedulingClass"] == ["idle"]
    assert said["Nice"] == ["19"]
    assert "MemoryMax" in said
    # Where there is nothing to believe, or provisioning works, nothing is begun.
    text = (UNITS / unit).read_text()
    assert "ConditionPathExists=/var/lib/purga-update/trust/root.json" in text
    assert "ConditionPathExists=!/run/purga-provisioning" in text


def test_updates_are_looked_for_by_no_clock() -> None:
    text = (UNITS / "purga-update.timer").read_text()
    assert not re.search(r"^(OnCalendar|Persistent|WakeSystem)=", text, re.M)
    assert "RandomizedDelaySec=" in text


def test_a_stick_is_read_and_nothing_on_it_can_act() -> None:
    text = (UNITS / "media-purga.mount").read_text()
    (options,) = re.findall(r"^Options=(.*)$", text, re.M)
    assert set(options.split(",")) == {"ro", "nosuid", "nodev", "noexec"}
    rules = (UNITS / "etc/udev/rules.d/99-purga.rules").read_text()
    (rule,) = [line for line in rules.splitlines() if "purga-import.service" in line]
    for word in ('ENV{ID_BUS}=="usb"', 'ENV{ID_FS_LABEL}=="PURGA"', 'ACTION=="add"'):
        assert word in rule


def test_nothing_is_played_before_the_firmware_was_chosen() -> None:
    assert "After=purga-slots.service" in (UNITS / "purga-.service.d/all.conf").read_text()
    for unit in PLAYING:
        assert not (UNITS / f"{unit}.d" / "all.conf").exists()
    # The link is there before anything else is, and leads to what was provisioned.
    made = (UNITS / "etc/tmpfiles.d/purga.conf").read_text()
    assert f"\nL {CURRENT} - - - - /opt/purga\n" in made


def test_one_file_says_what_holds_for_all_that_updates() -> None:
    folder = UNITS / "purga-update.service.d"
    for unit in (*UPDATING, *CHOOSING):
        assert (UNITS / f"{unit}.d" / "all.conf").resolve() == folder / "all.conf"
