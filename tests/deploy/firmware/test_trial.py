"""What firmware goes through: admitted, inspected, built, tried, watched once it runs."""

import dataclasses
from pathlib import Path

import pytest

from deploy.errors import UpdateError, UpdateFailedError
from deploy.firmware import idle, smoke
from deploy.firmware import trial as firmware_trial
from deploy.firmware.install import Installed
from deploy.firmware.trial import FirmwareTrial
from deploy.slots import Slots, SlotState
from deploy.slots.disk import put
from deploy.trial import Verdict
from tests.deploy.firmware import tiny

UNITS = "c" * 64


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    """Empty ones."""
    made = Slots(tmp_path / "firmware", "firmware")
    made.recover()
    return made


@pytest.fixture
def trial(slots: Slots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FirmwareTrial:
    """On a machine that was provisioned; what plays is judged to be well."""
    monkeypatch.setattr(idle, "be_idle", lambda: None)
    monkeypatch.setattr(smoke, "MODULES", ("purga_tiny",))
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool/units.sha256").write_text(f"{UNITS}\n")
    (tmp_path / "run").mkdir()
    return FirmwareTrial(
        slots.folder, lambda _slot: Verdict(True, "well."), tmp_path / "run", tmp_path / "tool"
    )


def runs(tmp_path: Path, home: Path) -> None:
    link = tmp_path / "run/current"
    link.unlink(missing_ok=True)
    link.symlink_to(home)


def test_firmware_for_this_pedal_is_admitted(trial: FirmwareTrial, tmp_path: Path) -> None:
    release = tiny.write_firmware(tmp_path / "files")
    trial.admit(release)
    trial.admit(release.model_copy(update={"units_sha256": UNITS}))


def test_firmware_for_other_units_has_to_be_provisioned(
    trial: FirmwareTrial, tmp_path: Path
) -> None:
    release = tiny.write_firmware(tmp_path / "files")
    with pytest.raises(UpdateError, match="only provisioning installs those"):
        trial.admit(release.model_copy(update={"units_sha256": "d" * 64}))


def test_a_machine_that_was_not_provisioned_takes_no_firmware(
    trial: FirmwareTrial, tmp_path: Path
) -> None:
    (tmp_path / "tool/units.sha256").unlink()
    with pytest.raises(UpdateError, match="not provisioned"):
        trial.admit(tiny.write_firmware(tmp_path / "files"))


def test_firmware_for_another_python_is_refused_before_it_is_fetched(
    trial: FirmwareTrial, tmp_path: Path
) -> None:
    tiny.write_firmware(tmp_path / "files")
    tiny.write_wheel(tmp_path / "files/wheels", "numpy", "cp39-cp39-manylinux_2_17_aarch64")
    with pytest.raises(UpdateError, match=r"another kind of pedal: numpy.*does not fit Python"):
        trial.admit(tiny.release_of(tmp_path / "files"))


def test_the_slot_that_still_runs_is_not_filled(
    trial: FirmwareTrial, slots: Slots, tmp_path: Path
) -> None:
    release = tiny.write_firmware(tmp_path / "files")
    runs(tmp_path, Path("/opt/purga"))
    trial.admit(release)
    # Rolled back while it played: it is not active any more, but it is what runs.
    runs(tmp_path, slots.folder / "a/source")
    with pytest.raises(UpdateFailedError, match="start the pedal anew first"):
        trial.admit(release)


def test_only_the_release_s_files_are_opened(trial: FirmwareTrial, tmp_path: Path) -> None:
    folder = tmp_path / "slot"
    release = tiny.write_firmware(folder)
    # What an interrupted build left is its own.
    put_built(folder)
    trial.inspect(folder, release)
    assert not (folder / "source/.venv").exists()
    (folder / "source/device/more.py").write_text("")
    with pytest.raises(UpdateError, match="not named in the release"):
        trial.inspect(folder, release)
    (folder / "source/device/more.py").unlink()
    (folder / "source/device/__main__.py").write_text("other")
    with pytest.raises(UpdateError, match=r"device/__main__\.py"):
        trial.inspect(folder, release)


def put_built(folder: Path) -> None:
    (folder / "source/.venv/bin").mkdir(parents=True)
    (folder / "source/.venv/bin/python").symlink_to("/etc/passwd")
    (folder / "source/device/__pycache__").mkdir()
    (folder / "source/device/__pycache__/x.pyc").write_text("")


def test_what_is_no_firmware_is_refused(trial: FirmwareTrial, tmp_path: Path) -> None:
    folder = tmp_path / "slot"
    tiny.write_firmware(folder)
    (folder / "source/device/__main__.py").unlink()
    with pytest.raises(UpdateError, match="this is no firmware"):
        trial.inspect(folder, tiny.release_of(folder))


def test_what_was_built_stands_in_the_record(
    trial: FirmwareTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "slot"
    release = tiny.write_firmware(folder)
    put(folder / "release.json", release.model_dump_json().encode())
    installed = Installed("e" * 64, packages=2, bytes=1, seconds=0.1)
    monkeypatch.setattr(firmware_trial, "install", lambda _folder, _release: installed)
    assert trial.build(folder) == {"source/.venv": "e" * 64}


def test_the_self_test_says_whether_it_starts(trial: FirmwareTrial, tmp_path: Path) -> None:
    folder = tmp_path / "slot"
    tiny.write_firmware(folder)
    tiny.lend_environment(folder / "source")
    verdict = trial.self_test(folder)
    assert verdict.ok, verdict.why
    assert set(verdict.figures) == {"import_s", "device_s", "deploy_s", "render_s"}
    (folder / "source/device/__main__.py").write_text("import sys; sys.exit('no card')\n")
    verdict = trial.self_test(folder)
    assert (verdict.ok, verdict.again) == (False, False)
    assert "no card" in verdict.why
    (folder / "source/.venv/bin/python").write_text("#!/bin/sh\nkill -9 $$\n")
    assert trial.self_test(folder).again


def test_it_is_watched_once_it_runs(trial: FirmwareTrial, tmp_path: Path) -> None:
    folder = tmp_path / "firmware/a"
    state = SlotState("a", folder, 3, "f" * 64, "trial", "")
    assert trial.look(state) is None
    runs(tmp_path, Path("/opt/purga"))
    assert trial.look(state) is None
    runs(tmp_path, folder / "source")
    verdict = trial.look(state)
    assert verdict is not None
    assert verdict.ok
    assert dataclasses.is_dataclass(verdict)
