"""Which firmware plays: chosen at each start of the machine, before anything of it runs.

Run by the system's own Python from a folder outside of all slots, with nothing but the standard
library, so that no firmware can spoil it. The pedal's services run what ``current`` leads to; it is
set here and nowhere else, so firmware never changes while one plays. What provisioning installed,
the factory's, is what remains where no slot can play.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.errors import UpdateError
from deploy.places import Places
from deploy.slots import Slots, SlotState
from deploy.slots.disk import empty_folder, locked, remove, unpoint

RUNTIME = Path("/run/purga-firmware")
FACTORY = Path("/opt/purga")
CURRENT = "current"
"""In ``RUNTIME``: leads to the folder whose code and environment the services run."""
TRIAL = "trial"
"""In ``RUNTIME``: is there while that is firmware on trial; units have it as their condition."""
SOURCE = "source"
"""In a slot: the code, and its environment in it, laid out as the factory's folder is."""


class Boot:
    """The firmware slots, the factory's folder, and where the services look for what they run."""

    def __init__(self, slots: Path, factory: Path, runtime: Path) -> None:
        self.slots = Slots(slots, "firmware")
        self._factory = factory
        self._runtime = runtime

    @property
    def on_trial(self) -> bool:
        """Whether what the services run now is firmware that has not proven itself."""
        active = self.slots.active
        current = _target(self._runtime / CURRENT)
        return active is not None and active.state == "trial" and current == active.folder / SOURCE

    def start(self) -> list[str]:
        """Count this boot, then choose; says what is not as usual. Chooses whatever goes wrong."""
        said = []
        try:
            said += self.slots.boot()
            active = self.slots.active
            if active is not None and active.state == "trial":
                why = unplayable(active.folder / SOURCE)
                if why is not None:
                    self.slots.roll_back(why)
                    said.append(f"firmware: left release {active.version}, because {why}.")
        except (UpdateError, OSError) as problem:
            said.append(str(problem))
        return said + self._choose()

    def alive(self) -> list[str]:
        """What runs now came up; its boots count from the start again."""
        if self.on_trial:
            self.slots.alive()
        return []

    def fall_back(self) -> list[str]:
        """Firmware on trial cannot play: leave it. What is chosen in its place is next to start."""
        active = self.slots.active
        if active is None or not self.on_trial:
            return ["firmware: what runs is not on trial; nothing to leave."]
        why = "its audio or its control could not be kept alive"
        self.slots.roll_back(why)
        return [f"firmware: left release {active.version}, because {why}."]

    def forget(self) -> list[str]:
        """Empty both slots, so that the factory's firmware plays; for whoever has just changed it.

        Releases that went wrong here are forgotten too. Power lost on the way leaves a slot that is
        whole, or none.
        """
        folder = self.slots.folder
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            for slot in self.slots.both:
                remove(slot.folder / "release.json")  # from here on no state is rebuilt of it
            unpoint(folder / "active")
            for slot in self.slots.both:
                if slot.folder.is_dir():
                    empty_folder(slot.folder)
            remove(folder / "slots.json")
        return ["firmware: the slots are empty; what was provisioned plays."]

    def _choose(self) -> list[str]:
        """Have ``current`` lead to firmware that can play."""
        home, trial, said = self._factory, False, []
        try:
            for state in self._candidates():
                why = unplayable(state.folder / SOURCE)
                if why is None:
                    home, trial = state.folder / SOURCE, state.state == "trial"
                    break
                said.append(f"firmware: release {state.version} is not started, because {why}.")
        except (UpdateError, OSError) as problem:
            said.append(str(problem))
        _lead(self._runtime / CURRENT, home)
        flag = self._runtime / TRIAL
        if trial:
            flag.touch()
        else:
            flag.unlink(missing_ok=True)
        return said

    def _candidates(self) -> list[SlotState]:
        """The active slot, and the other where it is good; none where the factory's plays."""
        active = self.slots.active
        if active is None or active.state not in ("trial", "good"):
            return []
        others = [state for state in self.slots.both if state.name != active.name]
        return [active, *(state for state in others if state.state == "good")]


def unplayable(home: Path) -> str | None:
    """What is missing in a folder of code and environment to be started; None where nothing is."""
    python = home / ".venv" / "bin" / "python"
    if not (home / "device" / "__main__.py").is_file():
        return "its code is missing"
    if not os.access(python, os.X_OK):
        return "its Python is missing"
    # An interpreter of another version, after the system was upgraded, finds no packages.
    name = Path(os.path.realpath(python)).name
    packages = home / ".venv" / "lib" / name / "site-packages"
    if "." in name and not packages.is_dir():
        return f"it was installed for another Python than {name}"
    return None


def _target(link: Path) -> Path | None:
    try:
        return Path(os.readlink(link))
    except OSError:
        return None


def _lead(link: Path, target: Path) -> None:
    """Have a link lead somewhere, in one step; it is in memory and need not be synced."""
    if _target(link) == target:
        return
    beside = link.with_name(f".{link.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)


COMMANDS: Mapping[str, tuple[Callable[[Boot], list[str]], str]] = {
    "start": (Boot.start, "count this boot and choose the firmware"),
    "alive": (Boot.alive, "the firmware on trial came up"),
    "fall-back": (Boot.fall_back, "leave the firmware on trial"),
    "forget": (Boot.forget, "empty the slots; what was provisioned plays"),
    "on-trial": (lambda boot: [], "exit 0 if the firmware that runs is on trial, else 1"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 1 where it could not be done or the answer is no."""
    parser = argparse.ArgumentParser(
        prog="purga-slots",
        description=(__doc__ or "").split("\n")[0],
        epilog="; ".join(f"{name}: {about}" for name, (_, about) in COMMANDS.items()),
    )
    parser.add_argument("command", choices=tuple(COMMANDS))
    parser.add_argument("--slots", type=Path, default=Places().slots("firmware"))
    parser.add_argument("--factory", type=Path, default=FACTORY)
    parser.add_argument("--runtime", type=Path, default=RUNTIME)
    options = parser.parse_args(argv)
    boot = Boot(options.slots, options.factory, options.runtime)
    try:
        for line in COMMANDS[options.command][0](boot):
            print(line, flush=True)
        return int(options.command == "on-trial" and not boot.on_trial)
    except (UpdateError, OSError) as problem:
        print(f"purga-slots {options.command}: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
