"""Firmware in slots under a real service manager: chosen at boot, confirmed, left when it dies.

A stand-in takes the program's place in every firmware; one of them ends at once.
"""

import hashlib
import json
import os
import pwd
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.firmware.units import TOOL
from deploy.places import SLOT_NAMES, Places
from deploy.provision.machine import Machine
from deploy.provision.updates import tool_files
from deploy.provision.whole import put
from deploy.slots.state import Book, Slot, write_book
from tests.deploy.container import Container, NoContainerError, why_not

AUDIO, CONTROL = "purga-audio.service", "purga-control.service"
SLOTS = Places().slots("firmware")
CURRENT = "/run/purga-firmware/current"
UNITS = ("purga-slots.service", "purga-alive.timer")
BROKEN = "import sys; sys.exit(1)\n"
SHORTENED = {
    AUDIO: "[Unit]\nStartLimitIntervalSec=5\nStartLimitBurst=3\n",
    "purga-alive.timer": "[Timer]\nOnActiveSec=\nOnActiveSec=1s\nOnActiveSec=2s\nOnActiveSec=4s\n",
}

# It times what processes do.
pytestmark = pytest.mark.alone


class WithSlots(Container):
    """A container in which slot a is good and active, and slot b is there to be tried."""

    def _install(self, drop_ins: dict[str, str]) -> None:
        super()._install(drop_ins)
        for path, content in tool_files(Machine(root=self.root)).items():
            put(path, content)
        wants = self.root / "etc/systemd/system/purga.target.wants"
        for unit in UNITS:
            (wants / unit).symlink_to(f"../{unit}")
        folder = self.root / str(SLOTS).lstrip("/")
        book = Book("firmware")
        for version, name in enumerate(SLOT_NAMES, start=7):
            home = folder / name / "source"
            shutil.copytree(self.root / "opt/purga", home, symlinks=True)
            python = Path(os.path.realpath(home / ".venv/bin/python")).name
            (home / ".venv/lib" / python / "site-packages").mkdir(parents=True)
            content = json.dumps({"component": "firmware", "version": version}).encode()
            put(folder / name / "release.json", content)
            sha256 = hashlib.sha256(content).hexdigest()
            book = book.put(name, Slot("good", version, sha256))
        put(folder / "slots.json", write_book(book))
        (folder / "active").symlink_to("a")
        self.own()

    def own(self) -> None:
        """Have all of it be updates' user's, as it is on a pedal."""
        made = dict(
            line.split(":")[0::2][:2]
            for line in (self.root / "etc/passwd").read_text().splitlines()
        )
        user = int(made["purga-update"])
        for above, folders, files in os.walk(self.root / str(Places().root).lstrip("/")):
            for name in (".", *folders, *files):
                os.chown(Path(above, name), user, -1, follow_symlinks=False)

    def put_on_trial(self, name: str) -> None:
        """As an update leaves it: active, not yet run."""
        folder = self.root / str(SLOTS).lstrip("/")
        data = json.loads((folder / "slots.json").read_text())
        data["slots"][name]["state"] = "trial"
        put(folder / "slots.json", json.dumps(data).encode())
        (folder / "active").unlink()
        (folder / "active").symlink_to(name)
        self.own()

    def states(self) -> tuple[str, str, int]:
        """Of slot a, of slot b, and the boots that were counted."""
        data = json.loads((self.root / str(SLOTS).lstrip("/") / "slots.json").read_text())
        return data["slots"]["a"]["state"], data["slots"]["b"]["state"], data["boots"]

    def runs(self) -> str:
        """The folder that the services would be started from now."""
        return self.inside("readlink", CURRENT).strip()

    def folder_of(self, unit: str) -> str:
        """The folder that a service runs in."""
        return self.inside("readlink", f"/proc/{self.pid(unit)}/cwd", check=False).strip()


@pytest.fixture(scope="module")
def pedal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithSlots]:
    """One container for all these tests, which go through one story."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    try:
        made = WithSlots(tmp_path_factory.mktemp("slots"), SHORTENED)
    except NoContainerError as error:
        pytest.skip(str(error))
    try:
        yield made
    finally:
        made.close()


def test_the_good_slot_is_what_starts(pedal: WithSlots) -> None:
    pedal.wait(lambda: pedal.is_running(AUDIO) and pedal.is_running(CONTROL), 20.0)
    assert pedal.runs() == f"{SLOTS}/a/source"
    assert {pedal.folder_of(unit) for unit in (AUDIO, CONTROL)} == {f"{SLOTS}/a/source"}
    # Not one of the pedal's processes may write there.
    assert pedal.about("audio")["rights"]["write code"] != "yes"


def test_firmware_does_not_change_under_what_plays(pedal: WithSlots) -> None:
    pedal.put_on_trial("b")
    pedal.restarted(AUDIO, signal.SIGKILL)
    assert pedal.folder_of(AUDIO) == f"{SLOTS}/a/source"
    assert pedal.states() == ("good", "trial", 0)


def test_firmware_on_trial_starts_next_time_and_is_confirmed(pedal: WithSlots) -> None:
    pedal.systemctl("restart", "purga.target")
    pedal.wait(lambda: pedal.folder_of(AUDIO) == f"{SLOTS}/b/source", 20.0)
    assert pedal.states()[:2] == ("good", "trial")
    assert pedal.inside("stat", "--format=%U", "/run/purga-firmware/trial").strip()
    pedal.wait(lambda: pedal.states()[2] == 0, 20.0)


def test_firmware_on_trial_that_dies_is_left_at_once_and_the_pedal_plays(
    pedal: WithSlots,
) -> None:
    put(pedal.root / str(SLOTS).lstrip("/") / "b/source/device/__main__.py", BROKEN.encode())
    pedal.send(AUDIO, signal.SIGKILL)
    took_s = pedal.wait(
        lambda: pedal.folder_of(AUDIO) == f"{SLOTS}/a/source" and pedal.is_running(AUDIO), 30.0
    )
    print(f"killed to playing with the firmware before: {took_s:.1f} s")
    pedal.wait(lambda: pedal.folder_of(CONTROL) == f"{SLOTS}/a/source", 10.0)
    assert not pedal.is_running("purga-degraded.service")
    assert pedal.states() == ("good", "bad", 0)
    assert "left release 8" in pedal.inside("journalctl", "-u", "purga-fallback", "--no-pager")


def test_proven_firmware_that_dies_is_degraded_and_never_left(pedal: WithSlots) -> None:
    main = pedal.root / str(SLOTS).lstrip("/") / "a/source/device/__main__.py"
    sound = main.read_text()
    # Audio ends at once, the dry guitar plays.
    put(pedal.root / "etc/purga/audio.exit", b"2")
    pedal.send(AUDIO, signal.SIGKILL)
    pedal.wait(lambda: pedal.is_running("purga-degraded.service"), 30.0)
    assert pedal.folder_of("purga-degraded.service") == f"{SLOTS}/a/source"
    assert pedal.states() == ("good", "bad", 0)
    assert main.read_text() == sound
    pedal.reset()


def test_a_slot_that_cannot_be_started_makes_way_for_what_was_provisioned(
    pedal: WithSlots,
) -> None:
    (pedal.root / str(SLOTS).lstrip("/") / "a/source/device/__main__.py").unlink()
    pedal.systemctl("restart", "purga.target")
    pedal.wait(lambda: pedal.folder_of(AUDIO) == "/opt/purga", 20.0)
    assert pedal.states()[0] == "good", "the disk may be read again another day"


def test_what_runs_at_boot_may_do_little(pedal: WithSlots) -> None:
    user = pedal.show("purga-slots.service", "User")
    assert user == "purga-update"
    with pytest.raises(KeyError):
        pwd.getpwnam(user)  # the container's, not this machine's
    assert str(TOOL) in pedal.show("purga-slots.service", "ExecStart")
