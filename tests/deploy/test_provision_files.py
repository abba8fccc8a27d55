"""What provisioning writes: code, the player's files, units, the kernel's command line."""

import dataclasses
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.firmware.day import DAY_FILE, built_at
from deploy.provision import code, host, settings
from deploy.provision.errors import ProvisionInputError
from deploy.provision.machine import Machine
from deploy.provision.whole import put
from device.config import PedalTable, load_config
from device.preset import read_preset
from tests.conftest import ROOT

UNITS = ROOT / "deploy" / "units"
NOT_INSTALLED = {"pedal.toml", "update.toml", "dry.toml", "README.md"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A little project."""
    folder = tmp_path / "project"
    for name in code.FOLDERS:
        (folder / name / "__pycache__").mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f'"""{name}"""\n')
        (folder / name / "__pycache__" / "foreign.pyc").write_text("")
        (folder / name / ".hidden").write_text("")
    tool = folder / "deploy" / "host-setup"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o700)
    for name in code.FILES:
        (folder / name).write_text(name)
    return folder


# ---- code ---------------------------------------------------------------------------------------


def test_code_is_copied_once_readable_and_without_what_is_not_code(
    machine: Machine, project: Path
) -> None:
    machine = dataclasses.replace(machine, source=project)
    kept = machine.home / ".venv" / "kept"
    kept.parent.mkdir(parents=True)
    kept.write_text("")
    assert code.code_missing(machine) is not None
    code.copy_code(machine)
    assert code.code_missing(machine) is None
    assert kept.exists()
    for name in code.FOLDERS:
        assert (machine.home / name / "__init__.py").read_text() == f'"""{name}"""\n'
        assert not (machine.home / name / ".hidden").exists()
        assert not (machine.home / name / "__pycache__").exists()
    modes = {
        name: (machine.home / "deploy" / name).stat().st_mode & 0o777
        for name in ("host-setup", "__init__.py")
    }
    assert modes == {"host-setup": 0o755, "__init__.py": 0o644}


@pytest.mark.parametrize("change", ["edit", "add", "remove", "file"])
def test_changed_code_is_noticed_and_replaced(machine: Machine, project: Path, change: str) -> None:
    machine = dataclasses.replace(machine, source=project)
    code.copy_code(machine)
    (machine.home / "device" / "__pycache__").mkdir()
    match change:
        case "edit":
            (project / "device" / "__init__.py").write_text('"""edited"""\n')
        case "add":
            (project / "device" / "more.py").write_text("")
        case "remove":
            (project / "device" / "__init__.py").unlink()
        case "file":
            (project / "pyproject.toml").write_text("changed")
    untouched = (machine.home / "models").stat().st_ino
    assert code.code_missing(machine) is not None
    code.copy_code(machine)
    assert code.code_missing(machine) is None
    assert (machine.home / "models").stat().st_ino == untouched


def test_the_day_of_the_code_goes_with_it(machine: Machine, project: Path) -> None:
    machine = dataclasses.replace(machine, source=project)
    code.copy_code(machine)
    assert not (machine.home / DAY_FILE).exists(), "nobody knows it"
    (project / DAY_FILE).write_text("2027-03-04\n")
    assert DAY_FILE in str(code.code_missing(machine))
    code.copy_code(machine)
    assert code.code_missing(machine) is None
    assert built_at(machine.home) == datetime(2027, 3, 4, tzinfo=UTC)


def test_code_that_runs_from_where_it_lives_is_left_alone(machine: Machine) -> None:
    assert code.is_its_own_source(machine) is None
    there = dataclasses.replace(machine, source=machine.home)
    assert code.is_its_own_source(there) is not None


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pedal.toml"
    put(file, b"old")
    monkeypatch.setattr(os, "fsync", lambda _handle: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        put(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


# ---- the player's files -------------------------------------------------------------------------


def test_pedal_toml_and_presets_of_a_player_are_never_overwritten(
    machine: Machine, tmp_path: Path
) -> None:
    presets = tmp_path / "presets"
    (presets / "irs").mkdir(parents=True)
    for name in ("1.toml", "2.toml", "irs/cab.flac", "pedal.toml"):
        (presets / name).write_text("ours")
    machine = dataclasses.replace(machine, presets=presets)
    mine = machine.path("/etc/purga/presets/1.toml")
    put(mine, b"mine")
    put(machine.pedal_toml, b"# mine")
    assert settings.config_missing(machine) is None
    assert settings.presets_missing(machine) is not None
    settings.put_presets(machine)
    assert settings.presets_missing(machine) is None
    assert mine.read_bytes() == b"mine"
    assert machine.pedal_toml.read_bytes() == b"# mine"
    assert machine.path("/etc/purga/presets/irs/cab.flac").read_text() == "ours"
    assert not machine.path("/etc/purga/presets/pedal.toml").exists()


def test_a_machine_without_a_pedal_toml_is_given_one_that_can_be_read(
    machine: Machine, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[audio")
    with pytest.raises(ProvisionInputError, match=r"broken\.toml: cannot be read as TOML"):
        settings.put_config(dataclasses.replace(machine, config=broken))
    assert not machine.pedal_toml.exists()
    settings.put_config(machine)
    assert machine.pedal_toml.read_bytes() == (UNITS / "pedal.toml").read_bytes()


def test_the_default_pedal_plays_the_presets_it_is_given(machine: Machine, tmp_path: Path) -> None:
    settings.put_config(machine)
    settings.put_presets(machine)
    config = load_config(machine.pedal_toml, runtime=tmp_path)
    assert config.board == "jetson"
    names = {preset.name for preset in (ROOT / "device" / "presets").glob("*.toml")}
    assert {file.name for file in config.presets} == names
    for file in config.presets:
        read_preset(file)


def test_the_default_pedal_is_wired_as_the_code_has_it(tmp_path: Path) -> None:
    written = load_config(UNITS / "pedal.toml", runtime=tmp_path).table
    default = PedalTable()
    assert (written.knob.kind, written.knob.channel) == ("mcp3008", default.knob.channel)
    for name in ("adc", "expression", "midi", "footswitch", "relay", "heater", "leds", "pins"):
        assert getattr(written, name) == getattr(default, name)


def test_the_degraded_mode_s_preset_is_the_guitar_as_it_is() -> None:
    preset = read_preset(UNITS / "dry.toml")
    assert preset.table.tone.a.chain == preset.table.tone.b.chain == ()
    assert not preset.needs_way


# ---- what the machine is given ------------------------------------------------------------------


def test_every_file_beside_the_units_has_its_place(machine: Machine) -> None:
    places = {str(path.relative_to(machine.root)) for path in host.host_files(machine)}
    files = [path for path in UNITS.rglob("*") if path.is_file()]
    assert len(places) == len([path for path in files if path.name not in NOT_INSTALLED])
    assert "etc/systemd/system/purga-audio.service" in places
    assert "etc/systemd/system/purga-.service.d/all.conf" in places
    assert "etc/udev/rules.d/99-purga.rules" in places


def test_files_are_installed_once_and_mended(machine: Machine) -> None:
    assert host.files_missing(machine) is not None
    host.put_files(machine)
    assert host.files_missing(machine) is None
    unit = machine.path("/etc/systemd/system/purga-audio.service")
    unit.write_text("edited")
    assert "purga-audio.service" in str(host.files_missing(machine))
    host.put_files(machine)
    assert unit.read_bytes() == (UNITS / "purga-audio.service").read_bytes()
    assert machine.run.commands == []  # type: ignore[attr-defined]


def test_a_running_machine_takes_new_files_over(machine: Machine) -> None:
    machine.path("/run/systemd/system").mkdir(parents=True)
    put(machine.path("/run/udev/control"), b"")
    host.put_files(machine)
    commands = machine.run.commands  # type: ignore[attr-defined]
    assert ["systemctl", "daemon-reload"] in commands
    assert ["udevadm", "control", "--reload"] in commands
    assert ["modprobe", "spidev"] in commands


def test_units_name_another_folder_where_the_pedal_lives_in_one(machine: Machine) -> None:
    elsewhere = dataclasses.replace(machine, target=Path("/srv/pedal"))
    for text in host.host_files(elsewhere).values():
        assert b"/opt/purga" not in text


@pytest.mark.parametrize("bundle", [False, True], ids=["without bundle", "with bundle"])
def test_the_engine_is_enabled_where_there_is_something_to_compute(
    machine: Machine, bundle: bool
) -> None:
    put(machine.pedal_toml, b'[studio]\nbundle = "guitars"\n' if bundle else b"")
    host.enable_services(machine)
    enabled = machine.run.commands[-1]  # type: ignore[attr-defined]
    assert enabled[:2] == ["systemctl", "enable"]
    assert ("purga-engine.service" in enabled) is bundle
    assert set(host.SERVICES) <= set(enabled)
