"""What provisioning asks of the machine itself: processors, board, environment, packages."""

import dataclasses
import os
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from deploy.provision import board, code, host, isolation, settings
from deploy.provision.errors import ProvisionError, ProvisionInputError
from deploy.provision.machine import Machine
from deploy.provision.whole import put
from tests.conftest import ROOT
from tests.deploy.recorder import Recorder

# ---- processors ---------------------------------------------------------------------------------

EXTLINUX = """TIMEOUT 30
DEFAULT primary

LABEL primary
      LINUX /boot/Image
      APPEND ${cbootargs} root=PARTUUID=1 rw isolcpus=1 quiet
"""


@trying(deadline=None)
@given(st.sets(st.integers(0, 40), min_size=1))
def test_a_list_of_processors_says_just_these(cpus: set[int]) -> None:
    said: set[int] = set()
    for part in isolation.cpu_list(cpus).split(","):
        first, _, last = part.partition("-")
        said.update(range(int(first), int(last or first) + 1))
    assert said == cpus


@trying(deadline=None)
@given(st.sets(st.integers(0, 5), min_size=1, max_size=5), st.sets(st.integers(0, 5), min_size=1))
def test_isolating_again_replaces_what_was_isolated(first: set[int], then: set[int]) -> None:
    others = set(range(6)) - then or {0}
    once = isolation.isolated(EXTLINUX, then, others)
    assert isolation.isolated(once, then, others) == once
    assert isolation.isolated(isolation.isolated(EXTLINUX, first, {0}), then, others) == once
    assert once.count("isolcpus=") == 1
    assert "${cbootargs} root=PARTUUID=1 rw quiet" in once
    assert once.splitlines()[:5] == EXTLINUX.splitlines()[:5]


def running(machine: Machine, cpus: tuple[int, ...], count: int = 6) -> Machine:
    machine.path("/run/systemd/system").mkdir(parents=True)
    put(machine.path(isolation.EXTLINUX), EXTLINUX.encode())
    put(machine.pedal_toml, f"[audio]\ncpus = {list(cpus)}\n".encode())
    return machine


@pytest.fixture
def six(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Orin Nano's processors."""
    monkeypatch.setattr(os, "cpu_count", lambda: 6)


@pytest.mark.usefixtures("six")
def test_audio_has_its_processors_to_itself(machine: Machine) -> None:
    machine = running(machine, (5, 4))
    assert isolation.affinity_missing(machine) is not None
    isolation.set_affinity(machine)
    assert isolation.affinity_missing(machine) is None
    read = machine.path("/etc/systemd/system.conf.d/purga-cpus.conf").read_text
    assert "CPUAffinity=0-3\n" in read()
    for unit in ("purga-audio", "purga-degraded"):
        drop_in = machine.path(f"/etc/systemd/system/{unit}.service.d/cpus.conf")
        assert "CPUAffinity=4-5\n" in drop_in.read_text()
    isolation.set_command_line(machine)
    assert isolation.command_line_missing(machine) is None
    backup = machine.path(isolation.EXTLINUX).with_name("extlinux.conf.before-purga")
    assert backup.read_text() == EXTLINUX
    # Another choice: the machine's own file stays the one that was kept first.
    isolation.set_command_line(dataclasses.replace(machine, cpus=(3,)))
    assert "isolcpus=managed_irq,domain,3 " in machine.path(isolation.EXTLINUX).read_text()
    assert backup.read_text() == EXTLINUX


@pytest.mark.usefixtures("six")
@pytest.mark.parametrize("cpus", [(6,), tuple(range(6))], ids=["beyond", "all"])
def test_processors_that_cannot_be_given_are_refused(
    machine: Machine, cpus: tuple[int, ...]
) -> None:
    machine = running(machine, cpus)
    assert "processor" in str(isolation.affinity_missing(machine))
    with pytest.raises(ProvisionInputError, match="processor"):
        isolation.set_affinity(machine)
    with pytest.raises(ProvisionInputError, match="processor"):
        isolation.set_command_line(machine)
    assert machine.path(isolation.EXTLINUX).read_text() == EXTLINUX


def test_an_image_says_nothing_about_processors(machine: Machine) -> None:
    put(machine.pedal_toml, b"[audio]\ncpus = [5]\n")
    assert isolation.needs_no_cpus(machine) is not None


# ---- the board ----------------------------------------------------------------------------------

NVPMODEL = """NVPM VERB: Config file: /etc/nvpmodel.conf
NVPM VERB: parsing done for /etc/nvpmodel.conf
POWER_MODEL: ID=0 NAME=15W
POWER_MODEL: ID=1 NAME=25W
POWER_MODEL: ID=2 NAME=MAXN_SUPER
"""


@pytest.mark.parametrize(
    ("modes", "chosen"),
    [
        (NVPMODEL, "2"),
        (NVPMODEL.replace("MAXN_SUPER", "7W"), "1"),
        (NVPMODEL.replace("ID=0 NAME=15W", "ID=0 NAME=MAXN").replace("MAXN_SUPER", "30W"), "0"),
    ],
    ids=["super", "watts", "maxn"],
)
def test_the_fastest_power_mode_is_chosen_by_what_the_board_says(modes: str, chosen: str) -> None:
    run = Recorder(**{"-p": modes, "-q": "NV Power Mode: 10W\n5\n"})
    machine = Machine(run=run)
    assert board.power_mode_missing(machine) is not None
    board.set_power_mode(machine)
    assert run.commands[-1] == ["nvpmodel", "-m", chosen]
    fast = next(name for name, number in board.power_modes(modes).items() if number == chosen)
    there = Machine(run=Recorder(**{"-p": modes, "-q": f"NV Power Mode: {fast}\n{chosen}\n"}))
    assert board.power_mode_missing(there) is None


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("", "/dev/spidev0.0"),
        ('[knob]\nkind = "ads1115"\n[adc]\ni2c_bus = 1', "/dev/i2c-1"),
        ('[knob]\nkind = "script"', None),
    ],
    ids=["mcp3008", "ads1115", "script"],
)
def test_the_converter_s_bus_is_looked_for(machine: Machine, text: str, device: str | None) -> None:
    put(machine.pedal_toml, text.encode())
    said = board.bus_missing(machine)
    if device is None:
        assert said is None
        return
    assert said is not None
    assert device in said
    put(machine.path(device), b"")
    assert board.bus_missing(machine) is None


def test_a_kernel_that_shares_real_time_is_told_not_to(machine: Machine) -> None:
    machine.path("/run/systemd/system").mkdir(parents=True)
    config = machine.path(f"/boot/config-{machine.kernel.split()[0]}")
    put(config, b"CONFIG_HZ=1000\n")
    assert board.shares_no_realtime(machine) is not None
    put(config, b"CONFIG_RT_GROUP_SCHED=y\n")
    assert board.shares_no_realtime(machine) is None
    assert board.realtime_share_missing(machine) is not None
    board.grant_realtime_share(machine)
    assert board.realtime_share_missing(machine) is None


# ---- the environment ----------------------------------------------------------------------------


def test_the_questions_about_the_environment_are_put_to_its_interpreter(machine: Machine) -> None:
    assert "is missing" in str(code.environment_missing(machine))
    machine.python.parent.mkdir(parents=True)
    machine.python.write_text("")
    machine = dataclasses.replace(machine, run=Recorder(**{"-c": "numpy\nscipy\n"}))
    assert "numpy, scipy not installed" in str(code.environment_missing(machine))


def test_here_everything_locked_is_installed_but_nothing_is_registered(tmp_path: Path) -> None:
    home = tmp_path / "opt" / "purga"
    shutil.copytree(ROOT / "requirements", home / "requirements")
    shutil.copy(ROOT / "pyproject.toml", home)
    (home / ".venv" / "bin").mkdir(parents=True)
    wrapper = home / ".venv" / "bin" / "python"
    wrapper.write_text(f'#!/bin/sh\nexec "{shutil.which("python", path=_here())}" "$@"\n')
    wrapper.chmod(0o755)
    machine = Machine(root=tmp_path)
    (home / "requirements" / "board.txt").write_text("no-such-package==1.0 \\\n    --hash=x\n")
    (home / "requirements" / "tools.txt").write_text("")
    assert "no-such-package not installed" in str(code.environment_missing(machine))
    (home / "requirements" / "board.txt").write_text("")
    assert code.environment_missing(machine) is None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (home / "pyproject.toml").read_text().replace(f'"{project["name"]}"', '"never-there"')
    (home / "pyproject.toml").write_text(text)
    assert code.registration_missing(machine) == "the project itself is not registered"


def test_bytecode_that_is_missing_or_old_is_made(tmp_path: Path) -> None:
    home = tmp_path / "opt" / "purga"
    for name in ("models", "device", "build", "deploy"):
        (home / name).mkdir(parents=True)
        (home / name / "__init__.py").write_text("")
    (home / ".venv" / "bin").mkdir(parents=True)
    (home / ".venv" / "bin" / "python").symlink_to(Path(_here()) / "python")
    machine = Machine(root=tmp_path)
    assert "is not compiled" in str(code.bytecode_missing(machine))
    code.compile_code(machine)
    assert code.bytecode_missing(machine) is None
    (home / "device" / "__init__.py").write_text("longer = 1\n")
    assert "device" in str(code.bytecode_missing(machine))


def _here() -> str:
    return str(Path(sys.executable).parent)


def test_a_machine_without_the_pedal_s_tools_gets_their_packages(machine: Machine) -> None:
    assert host.packages_missing(machine) == (
        "kmod, python3, systemd, systemd-sysv, udev not installed"
    )
    for name in host.PACKAGES:
        put(machine.path(f"/usr/bin/{name}"), b"")
    assert host.packages_missing(machine) is None
    machine.path("/usr/bin/udevadm").unlink()
    host.install_packages(machine)
    assert machine.run.commands[-1][-1] == "udev"  # type: ignore[attr-defined]


def test_a_machine_does_not_upgrade_itself_while_one_plays(machine: Machine) -> None:
    assert host.upgrades_happen(machine) is None
    for name in host.UPGRADES:
        put(machine.path(f"/lib/systemd/system/{name}"), b"")
    mask = machine.path("/etc/systemd/system/apt-daily.timer")
    mask.parent.mkdir(parents=True)
    mask.symlink_to("/dev/null")
    assert host.upgrades_happen(machine) == "apt-daily-upgrade.timer may run while one plays"
    host.stop_upgrades(machine)
    assert machine.run.commands == [  # type: ignore[attr-defined]
        ["systemctl", "mask", "apt-daily-upgrade.timer"]
    ]


def test_a_bank_that_cannot_be_read_is_said(machine: Machine) -> None:
    def refuse(*_words: object, **_how: object) -> str:
        raise ProvisionError("pedal.toml: nonsense")

    machine.python.parent.mkdir(parents=True)
    machine.python.write_text("")
    machine.path("/var/cache/purga").mkdir(parents=True)
    machine = dataclasses.replace(machine, run=refuse)
    assert "nonsense" in str(settings.ways_missing(machine))
