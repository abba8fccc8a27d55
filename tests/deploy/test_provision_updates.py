"""What provisioning does for updates: what chooses at boot, wheels, trust, which code plays."""

import dataclasses
import os
import tomllib
from pathlib import Path

import pytest

from deploy.client.settings import Settings, read_settings
from deploy.firmware.units import NOTE, TOOL, units_sha256
from deploy.places import SETTINGS, USER, Places
from deploy.provision import code, command, host, updates
from deploy.provision.errors import ProvisionInputError
from deploy.provision.machine import Machine
from deploy.provision.whole import put
from tests.conftest import ROOT
from tests.deploy.recorder import Recorder

ACTIVE = Places().slots("firmware") / "active"


def ran(machine: Machine) -> list[list[str]]:
    return machine.run.commands  # type: ignore[attr-defined]


def with_root(machine: Machine, path: Path, text: str = '{"_type":"root"}') -> Machine:
    put(path, text.encode())
    return dataclasses.replace(machine, root_json=path)


# ---- what runs at boot --------------------------------------------------------------------------


def test_what_chooses_at_boot_is_installed_once_and_mended(machine: Machine) -> None:
    assert updates.tool_missing(machine) is not None
    updates.put_tool(machine)
    assert updates.tool_missing(machine) is None
    folder = machine.path(TOOL)
    assert (folder / NOTE).read_text().strip() == units_sha256(ROOT)
    slots = folder / "deploy/slots/slots.py"
    slots.write_text("edited")
    (folder / "deploy/slots/old.py").write_text("")
    assert "is not installed as it is here" in str(updates.tool_missing(machine))
    updates.put_tool(machine)
    assert slots.read_bytes() == (ROOT / "deploy/slots/slots.py").read_bytes()
    assert not (folder / "deploy/slots/old.py").exists()
    assert ran(machine)[-1][-2:] == ["-q", str(TOOL)]


def test_units_start_what_is_installed() -> None:
    for name in ("slots", "alive", "fallback"):
        text = (ROOT / f"deploy/units/purga-{name}.service").read_text()
        assert f"{updates.PYTHON} -I -S {TOOL} " in text


# ---- wheels -------------------------------------------------------------------------------------


def test_compiled_packages_are_kept(machine: Machine) -> None:
    assert "no environment" in str(updates.wheels_missing(machine))
    put(machine.python, b"")
    assert updates.wheels_missing(machine) is None
    absent = dataclasses.replace(machine, run=Recorder(**{"--check": "spidev\npyalsaaudio"}))
    assert updates.wheels_missing(absent) == "spidev, pyalsaaudio not kept as compiled"
    updates.build_wheels(absent)
    assert ran(absent)[-1][1:] == ["-m", "deploy.firmware.kept", "/opt/purga/wheels"]


# ---- settings and trust -------------------------------------------------------------------------


def test_update_toml_is_the_player_s(machine: Machine) -> None:
    assert updates.settings_missing(machine) is not None
    updates.put_settings(machine)
    assert updates.settings_missing(machine) is None
    mine = machine.path(SETTINGS)
    assert mine.read_bytes() == (ROOT / "deploy/units/update.toml").read_bytes()
    mine.write_text("# mine\n")
    assert updates.settings_missing(machine) is None


def test_the_given_settings_can_be_read() -> None:
    file = ROOT / "deploy/units/update.toml"
    assert read_settings(file) == Settings()
    # What stands there as an example is one.
    lines = [line.removeprefix("# ") for line in file.read_text().splitlines() if " = " in line]
    text = "\n".join(lines)
    assert {"url", "group", "components"} <= {line.split(" = ")[0] for line in lines}
    Settings(**{**tomllib.loads(text), "components": ("models",)})


def test_without_a_root_updates_are_off_and_that_is_said(machine: Machine) -> None:
    machine = dataclasses.replace(machine, source=machine.root)
    assert "updates are off" in str(updates.trust_missing(machine))
    updates.put_trust(machine)
    assert ran(machine) == []


def test_a_shipped_root_is_given_to_who_has_none(machine: Machine, tmp_path: Path) -> None:
    machine = dataclasses.replace(machine, source=tmp_path / "source")
    put(machine.source / "deploy/root.json", b'{"_type":"root"}')
    assert updates.trust_missing(machine) == "the root of trust is missing"
    put(machine.path(Places().trusted_root), b"an owner's own")
    assert updates.trust_missing(machine) is None


def test_a_root_that_is_named_takes_the_place_of_another(machine: Machine, tmp_path: Path) -> None:
    machine = with_root(machine, tmp_path / "mine.json")
    put(machine.path(Places().trusted_root), b"another")
    assert "is not" in str(updates.trust_missing(machine))
    updates.put_trust(machine)
    (words,) = ran(machine)
    assert words[1:] == ["-m", "deploy", "trust", "--root", "-", "--yes"]
    put(machine.path(Places().trusted_root), b'{"_type":"root"}')
    assert updates.trust_missing(machine) is None


def test_what_is_no_root_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    file = tmp_path / "x"
    with pytest.raises(ProvisionInputError, match="cannot be read"):
        updates.checked_root(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ProvisionInputError, match="cannot be read"):
        updates.checked_root(file)
    file.write_text("{}")
    with pytest.raises(ProvisionInputError, match=r"is no root\.json"):
        updates.checked_root(file)


# ---- which firmware plays -----------------------------------------------------------------------


@pytest.fixture
def provisioned(machine: Machine) -> Machine:
    """A machine with code."""
    for name in code.FOLDERS:
        put(machine.home / name / "__init__.py", b"")
    return machine


def test_new_code_is_what_plays(provisioned: Machine) -> None:
    assert updates.firmware_outdated(provisioned) is not None
    updates.play_provisioned(provisioned)
    assert updates.firmware_outdated(provisioned) is None
    assert ran(provisioned) == [], "there were no slots"
    link = provisioned.path(ACTIVE)
    link.parent.mkdir(parents=True)
    link.symlink_to("a")
    # An update came; provisioning the same code again leaves it.
    assert updates.firmware_outdated(provisioned) is None
    put(provisioned.home / "device/__init__.py", b"new = True\n")
    assert "from before what was provisioned" in str(updates.firmware_outdated(provisioned))
    updates.play_provisioned(provisioned)
    (words,) = ran(provisioned)
    assert words[:5] == [str(updates.PYTHON), "-I", "-S", str(TOOL), "forget"]
    assert updates.firmware_outdated(provisioned) is None


def test_no_update_runs_while_provisioning_does(machine: Machine) -> None:
    machine.path("/run/systemd/system").mkdir(parents=True)
    host.put_files(machine)
    hold = machine.path(updates.HOLD)
    with pytest.raises(RuntimeError), updates.updates_held(machine):
        assert hold.exists()
        assert ["systemctl", "stop", "purga-update.service"] in ran(machine)
        raise RuntimeError
    assert not hold.exists()
    for unit in ("purga-update.service", "purga-import.service"):
        text = (ROOT / "deploy/units" / unit).read_text()
        assert f"ConditionPathExists=!{updates.HOLD}" in text


def test_every_link_to_the_firmware_that_runs_is_the_same() -> None:
    made = (ROOT / "deploy/units/etc/tmpfiles.d/purga.conf").read_text()
    assert f"L {host.CURRENT} - - - - /opt/purga" in made


def test_users_and_groups_are_asked_for(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    host.make_user(machine)
    assert ran(machine) == [["systemd-sysusers", "purga.conf"]]
    members: dict[str, list[str]] = {}

    class Group:
        def __init__(self, name: str) -> None:
            self.gr_mem = members.get(name, [])

    monkeypatch.setattr("pwd.getpwnam", lambda name: name)
    monkeypatch.setattr("grp.getgrnam", Group)
    assert host.user_missing(machine) == f"{USER} is not in the group purga"
    members |= {name: [USER] for name in ("purga", "video", "render")}
    assert host.user_missing(machine) is None


def test_a_root_can_be_given_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    put(tmp_path / "root.json", b'{"_type":"root"}')
    options = command._parser().parse_args(["--root", str(tmp_path / "root.json")])
    assert command._machine(options).given_root == tmp_path / "root.json"
