"""A full disk: nothing that plays changes, what must be written still is, and later it goes on."""

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.slots.small_disk import on_small_disk

SLOTS = """
from deploy import record
from deploy.errors import UpdateFailedError
from deploy.slots import Slots
from tests.deploy.slots.releases import fill as have, install, sha256_of, write

slots = Slots(disk / "models", "models")
slots.recover()
install(slots, 1)
install(slots, 2)
record.append(disk / "record.jsonl", {"version": 2})

def now():
    active = slots.active
    return [active.version, active.state, slots.inactive.state]
"""
KINDS = pytest.mark.parametrize(("kind", "size"), [("ext4", 8 << 20), ("tmpfs", 1 << 20)])


def ran(folder: Path, kind: str, size: int, body: str) -> Any:
    return on_small_disk(folder, kind, size, SLOTS + body)


@KINDS
def test_filling_a_slot_fails_and_works_later(tmp_path: Path, kind: str, size: int) -> None:
    found = ran(
        tmp_path,
        kind,
        size,
        """
fill()
said = []
try:
    folder = slots.begin(3, sha256_of(3))
    (folder / "stage.onnx").write_bytes(bytes(100_000))
except (OSError, UpdateFailedError) as problem:
    said.append(str(problem))
full = now()
slots.abandon()
abandoned = now()
free()
install(slots, 3)
print(json.dumps([len(said), full, abandoned, now(), slots.recover()]))
""",
    )
    assert found == [1, [2, "good", "writing"], [2, "good", "empty"], [3, "good", "good"], []]


@KINDS
def test_the_record_stays_whole(tmp_path: Path, kind: str, size: int) -> None:
    found = ran(
        tmp_path,
        kind,
        size,
        """
fill()
file, said = disk / "record.jsonl", ""
try:
    for number in range(3, 200):
        record.append(file, {"version": number, "why": "x" * 200})
except UpdateFailedError as problem:
    said = str(problem)
before = record.entries(file)
free()
record.append(file, {"version": "later"})
after = record.entries(file)
print(json.dumps([said, after[:-1] == before, after[-1], record.intact(file)]))
""",
    )
    said, same, last, intact = found
    assert "free some space" in said
    assert (same, last, intact) == (True, {"version": "later"}, True)


@KINDS
def test_a_trial_is_judged_on_a_full_disk(tmp_path: Path, kind: str, size: int) -> None:
    found = ran(
        tmp_path,
        kind,
        size,
        """
have(slots, 3)
fill()
slots.activate()
trial = now()
slots.roll_back("it makes noise")
back = now()
free()
have(slots, 4)
slots.activate()
fill()
slots.mark_good()
print(json.dumps([trial, back, now(), slots.refused(sha256_of(3)), slots.recover()]))
""",
    )
    trial, back, good, why, said = found
    assert (trial, back) == ([3, "trial", "good"], [2, "good", "bad"])
    assert (good, why, said) == ([4, "good", "good"], "it makes noise", [])


@KINDS
def test_firmware_that_never_comes_alive_is_left_on_a_full_disk(
    tmp_path: Path, kind: str, size: int
) -> None:
    found = ran(
        tmp_path,
        kind,
        size,
        """
firmware = Slots(disk / "firmware", "firmware")
firmware.recover()
install(firmware, 1)
have(firmware, 2)
firmware.activate()
fill()
played = []
for boot in range(6):
    firmware.boot()
    played.append(firmware.active.version)
print(json.dumps([played, firmware.active.state]))
""",
    )
    assert found == [[2, 2, 2, 1, 1, 1], "good"]


@pytest.mark.parametrize("left", [0, 100_000])
def test_a_whole_update_waits_for_room(tmp_path: Path, left: int) -> None:
    played, refusals, later = on_small_disk(
        tmp_path,
        "ext4",
        96 << 20,
        f"""
from deploy.errors import UpdateFailedError
from deploy.places import Places
from deploy.slots import Slots
from hil.powercut.update import NEW, UpdateSubject, PROVEN

subject = UpdateSubject()
subject.prepare(disk)
places = Places(disk / "purga-update")
slots = Slots(places.slots("models"), "models")
fill({left})
played, refusals = [], []
for again in range(3):
    try:
        subject._update(places, NEW)
    except UpdateFailedError as problem:
        refusals.append(str(problem))
    played.append([slots.active.version, slots.active.state])
free()
subject._update(places, NEW)
faults = [each.sentence for each in subject.check(disk, PROVEN)]
print(json.dumps([played, refusals, faults]))
""",
    )
    assert played == [[2, "good"]] * 3
    assert len(refusals) == 3
    assert all("room" in said or "space" in said for said in refusals), refusals
    assert later == []
