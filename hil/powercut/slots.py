"""The slots by themselves, with files written as an update writes them: small and quick to cut."""

import hashlib
import json
import os
import random
from pathlib import Path

from deploy import record
from deploy.places import Component, Places
from deploy.slots import MOST_BOOTS, Slots
from hil.powercut.subject import Fault, Progress

OLD, NEW, REJECTED, NEXT = 2, 3, 4, 5
FILLED, ACTIVATED, PROVEN, ROLLED_BACK, LEFT_AT_BOOT = range(1, 6)
"""What a run reports as done."""
_SIZES = {"models": {"stage.onnx": 90_000, "studio/encoder.onnx": 30_000, "presets/x.toml": 700}}
_SIZES["firmware"] = {"source/main.py": 9_000, "wheels/purga.whl": 20_000}


class SlotsSubject:
    """Models go from release 2 to 3, then 4 is tried and rolled back; firmware 3 never comes up."""

    def prepare(self, folder: Path) -> None:
        """Releases 1 and 2, both good, of both components; the floor, and a record."""
        places = Places(folder / "purga-update")
        places.root.mkdir()
        for component in ("models", "firmware"):
            slots = Slots(places.slots(component), component)
            slots.recover()
            for version in (1, OLD):
                _install(slots, version)
        _put(places.floors, {"models": OLD})
        record.append(places.record, {"event": "installed", "version": OLD})

    def run(self, folder: Path, reached: Progress) -> None:
        """All the steps there are, each reported when it is done."""
        places = Places(folder / "purga-update")
        models = Slots(places.slots("models"), "models")
        models.recover()
        _fill(models, NEW)
        reached(FILLED)
        _put(places.floors, {"models": NEW})
        models.activate()
        reached(ACTIVATED)
        record.append(places.record, {"event": "trial", "version": NEW})
        models.mark_good()
        record.append(places.record, {"event": "good", "version": NEW})
        reached(PROVEN)
        _fill(models, REJECTED)
        models.activate()
        models.roll_back("it makes noise")
        record.append(places.record, {"event": "rolled back", "version": REJECTED})
        reached(ROLLED_BACK)
        firmware = Slots(places.slots("firmware"), "firmware")
        _fill(firmware, NEW)
        firmware.activate()
        for _ in range(MOST_BOOTS + 1):
            firmware.boot()
        reached(LEFT_AT_BOOT)

    def check(self, folder: Path, step: int) -> list[Fault]:
        """Both play one whole release, none older than what was proven, and go on from there."""
        places = Places(folder / "purga-update")
        faults = _models(places, step) + _firmware(places, step) + _papers(places, step)
        for component in ("models", "firmware"):
            if not faults:
                faults += _goes_on(Slots(places.slots(component), component))
        return faults


def _models(places: Places, step: int) -> list[Fault]:
    slots = Slots(places.slots("models"), "models")
    faults = _plays(slots, lowest=NEW if step >= ACTIVATED else OLD)
    active = slots.active
    if faults or active is None:
        return faults
    if step >= ROLLED_BACK and active.version != NEW:
        faults.append(Fault("lost", f"release {active.version} plays, which was rolled back"))
    if step >= PROVEN and active.version == NEW and active.state != "good":
        faults.append(Fault("lost", f"release {NEW} is {active.state}, but was proven"))
    if active.version == REJECTED and active.state != "trial":
        faults.append(Fault("torn", f"release {REJECTED} is {active.state}, but was never proven"))
    return faults


def _firmware(places: Places, step: int) -> list[Fault]:
    slots = Slots(places.slots("firmware"), "firmware")
    faults = _plays(slots, lowest=OLD)
    active = slots.active
    if not faults and active is not None and step >= LEFT_AT_BOOT and active.version != OLD:
        faults.append(Fault("lost", "firmware that never came alive still plays"))
    return faults


def _plays(slots: Slots, lowest: int) -> list[Fault]:
    what = slots.component
    # What plays at boot follows the link before anybody has repaired anything.
    if not (slots.folder / "active" / "release.json").is_file():
        return [Fault("unbootable", f"{what}: active leads nowhere before it is repaired")]
    slots.recover()
    active = slots.active
    if active is None:
        return [Fault("unbootable", f"{what}: nothing is active, though release {OLD} was good")]
    version = active.version or 0
    for path, content in _contents(slots.component, version).items():
        try:
            found = (active.folder / path).read_bytes()
        except OSError as error:
            return [Fault("torn", f"{what}: release {version} lacks {path} ({error.strerror})")]
        if found != content:
            return [Fault("torn", f"{what}: {path} of release {version} has other bytes")]
    if active.state not in ("trial", "good"):
        return [Fault("torn", f"{what}: release {version} plays and is {active.state}")]
    if version < lowest:
        return [Fault("regressed", f"{what}: release {version} plays, {lowest} did before")]
    if slots.recover():
        return [Fault("torn", f"{what}: after it was repaired, there is something to repair")]
    return []


def _papers(places: Places, step: int) -> list[Fault]:
    faults = []
    floor = json.loads(places.floors.read_bytes())["models"]
    if floor < (NEW if step >= ACTIVATED else OLD):
        faults.append(Fault("regressed", f"the floor is {floor}"))
    lines = len(record.entries(places.record))
    expected = {PROVEN: 3, ROLLED_BACK: 4, LEFT_AT_BOOT: 4}.get(step, 1)
    if lines < expected:
        faults.append(Fault("lost", f"the record has {lines} of {expected} lines"))
    if not record.intact(places.record):
        faults.append(Fault("torn", "the record's chain is broken"))
    return faults


def _goes_on(slots: Slots) -> list[Fault]:
    """Judge a trial, then take the next release."""
    active = slots.active
    if active is not None and active.state == "trial":
        slots.mark_good()
    _install(slots, NEXT)
    active = slots.active
    if active is None or (active.version, active.state) != (NEXT, "good"):
        return [Fault("stuck", f"{slots.component}: release {NEXT} was installed; now {active}")]
    return _plays(slots, lowest=NEXT)


def _install(slots: Slots, version: int) -> None:
    _fill(slots, version)
    slots.activate()
    slots.mark_good()


def _fill(slots: Slots, version: int) -> None:
    """As it is assembled: each file and each folder on the disk before the next."""
    contents = _contents(slots.component, version)
    folder = slots.begin(version, hashlib.sha256(contents["release.json"]).hexdigest())
    for path, content in contents.items():
        target = folder / path
        target.parent.mkdir(exist_ok=True)
        with target.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _sync(target.parent)
    _sync(folder)
    slots.ready()


def _contents(component: Component, version: int) -> dict[str, bytes]:
    """A release's files, release.json last; each version has bytes of its own."""
    rng = random.Random(f"{component} {version}")
    contents = {path: rng.randbytes(size) for path, size in _SIZES[component].items()}
    files = [
        {"path": path, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for path, content in contents.items()
    ]
    release = {"format": 1, "component": component, "version": version, "files": files}
    return {**contents, "release.json": json.dumps(release).encode()}


def _put(path: Path, data: dict) -> None:
    beside = path.with_suffix(".new")
    with beside.open("w") as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(handle)
    os.close(handle)
