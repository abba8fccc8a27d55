"""What the update asks of firmware: whether it may come, its environment, whether it starts.

How it plays is watched as for models, once the machine has started with it.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.client.judging import release_in
from deploy.errors import UpdateError, UpdateFailedError
from deploy.firmware import kept, smoke
from deploy.firmware.boot import CURRENT, RUNTIME, SOURCE
from deploy.firmware.install import SCRATCH, install, remove_built
from deploy.firmware.units import TOOL, installed_units
from deploy.places import SLOT_NAMES
from deploy.release import Release
from deploy.slots import Slots, SlotState
from deploy.trial import Verdict, check_files

Watch = Callable[[SlotState], Verdict | None]


class FirmwareTrial:
    """What a firmware slot goes through; ``deploy.client.seams.Trial`` says what each step is.

    ``watch`` judges firmware that plays. ``runtime`` is where ``purga-slots`` says what runs, and
    ``tool`` where provisioning notes the hash of the units that it installed.
    """

    def __init__(
        self, slots: Path, watch: Watch, runtime: Path = RUNTIME, tool: Path = TOOL
    ) -> None:
        self._slots = Slots(slots, "firmware")
        self._watch = watch
        self._runtime = runtime
        self._tool = tool

    def admit(self, release: Release) -> None:
        """Refuse what is for other units or another Python, or what there is no free slot for."""
        here = installed_units(self._tool)
        if here is not None and release.units_sha256 not in (None, here):
            raise UpdateError(
                f"Firmware {release.version} was made for other units and settings than this pedal "
                "has, and only provisioning installs those: sudo python3 -m deploy provision, from "
                "its source."
            )
        if here is None:
            raise UpdateError(
                "This machine was not provisioned, so nothing would start firmware from a slot; "
                "leave firmware out of components."
            )
        self._check_wheels(release)
        left = self._left_running()
        if left is not None:
            raise UpdateFailedError(
                f"The firmware that runs now is in slot {left}, which the next would go into; "
                "start the pedal anew first."
            )

    def inspect(self, folder: Path, release: Release) -> None:
        """Refuse anything but the release's files; what was built there before goes."""
        try:
            remove_built(folder)
        except OSError as problem:
            raise UpdateFailedError(
                f"{folder}: cannot be cleared ({problem.strerror}); check the disk."
            ) from None
        check_files(folder, release, built=())
        for name in ("pyproject.toml", "device/__main__.py", "requirements/run.txt"):
            if not (folder / SOURCE / name).is_file():
                raise UpdateError(f"{SOURCE}/{name} is missing, so this is no firmware.")

    def build(self, folder: Path) -> Mapping[str, str]:
        """Install what it needs; the hash of that, by its folder."""
        installed = install(folder, release_in(folder))
        return {f"{SOURCE}/.venv": installed.environment_sha256}

    def self_test(self, folder: Path) -> Verdict:
        """Whether it imports, answers and plays a quarter second."""
        scratch = folder / SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            seconds = smoke.test(folder / SOURCE, scratch)
        except UpdateFailedError as problem:
            return Verdict(ok=False, why=str(problem), again=True)
        except UpdateError as problem:
            return Verdict(ok=False, why=str(problem))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        figures: dict[str, float | str] = {f"{name}_s": took for name, took in seconds.items()}
        return Verdict(ok=True, why="it imports, answers and plays.", figures=figures)

    def look(self, slot: SlotState) -> Verdict | None:
        """How firmware on trial does; None until the machine has started with it."""
        if self._running() != slot.folder / SOURCE:
            return None
        return self._watch(slot)

    # ---- inside ---------------------------------------------------------------------------------

    def _running(self) -> Path | None:
        try:
            return Path(os.readlink(self._runtime / CURRENT))
        except OSError:
            return None

    def _left_running(self) -> str | None:
        """The slot that the services run from although it is not active any more."""
        running, active = self._running(), self._slots.active
        for name in SLOT_NAMES:
            if running == self._slots.folder / name / SOURCE:
                return None if active is not None and active.name == name else name
        return None

    def _check_wheels(self, release: Release) -> None:
        """Whether the wheels are for this Python: by those that exist for one only."""
        target = kept.this_machine()
        names = [Path(file.path) for file in release.files if file.path.startswith("wheels/")]
        foreign = [name for name in names if not kept.fits(name, target)]
        if foreign:
            raise UpdateError(
                f"Firmware {release.version} is for another kind of pedal: {foreign[0].name} does "
                f"not fit Python {target}."
            )
