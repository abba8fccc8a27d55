import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import record
from deploy.errors import UpdateError, UpdateFailedError

ENTRIES = st.lists(
    st.dictionaries(st.sampled_from(["event", "why", "figures"]), st.text() | st.integers()),
    min_size=1,
    max_size=6,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "record.jsonl"


def test_a_record_that_is_not_there_is_empty_and_intact(file: Path) -> None:
    assert record.entries(file) == []
    assert record.intact(file)


def test_lines_come_back_in_order_each_with_the_hash_before_it(file: Path) -> None:
    for number in range(5):
        record.append(file, {"event": "installed", "version": number})
    assert [entry["version"] for entry in record.entries(file)] == list(range(5))
    assert record.intact(file)
    lines = file.read_bytes().splitlines()
    assert json.loads(lines[0])["previous"] == record.FIRST
    assert json.loads(lines[3])["previous"] == hashlib.sha256(lines[2]).hexdigest()


@pytest.mark.parametrize("change", ["edit", "remove", "swap", "insert", "nonsense"])
def test_a_change_shows(file: Path, change: str) -> None:
    for number in range(5):
        record.append(file, {"version": number})
    lines = file.read_bytes().splitlines(keepends=True)
    if change == "edit":
        lines[2] = lines[2].replace(b'"version":2', b'"version":7')
    elif change == "remove":
        del lines[2]
    elif change == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    elif change == "insert":
        lines.insert(2, lines[2])
    else:
        lines[2] = b"\xff\n"
    file.write_bytes(b"".join(lines))
    assert not record.intact(file)
    record.append(file, {"version": 5})
    assert record.entries(file)[-1] == {"version": 5}
    assert not record.intact(file)


@settings(deadline=None, max_examples=50)
@given(entries=ENTRIES, data=st.data())
def test_cut_off_anywhere_the_whole_lines_stay_and_the_loss_is_noted(
    tmp_path_factory: pytest.TempPathFactory, entries: list[dict], data: st.DataObject
) -> None:
    file = tmp_path_factory.mktemp("cut") / "record.jsonl"
    for entry in entries:
        record.append(file, entry)
    content = file.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    file.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    assert record.entries(file) == entries[:whole]
    assert record.intact(file)
    record.append(file, {"event": "next"})
    torn = cut > 0 and content[:cut][-1:] != b"\n"
    assert record.entries(file)[:whole] == entries[:whole]
    assert [each.get("event") for each in record.entries(file)[whole:]] == (
        ["torn", "next"] if torn else ["next"]
    )
    assert record.intact(file)


def test_several_writers_take_turns(file: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: record.append(file, {"version": number}), range(40)))
    assert sorted(entry["version"] for entry in record.entries(file)) == list(range(40))
    assert record.intact(file)


@pytest.mark.parametrize("entry", [{"x": float("nan")}, {"x": object()}, {"previous": "y"}])
def test_what_cannot_be_recorded_is_refused(file: Path, entry: dict) -> None:
    record.append(file, {"version": 1})
    with pytest.raises(UpdateError):
        record.append(file, entry)
    assert record.entries(file) == [{"version": 1}]


@pytest.mark.parametrize("at", ["pwrite", "fsync"])
def test_a_full_disk_leaves_what_was_recorded(
    file: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    record.append(file, {"version": 1})

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, at, full)
        with pytest.raises(UpdateFailedError, match="free some space"):
            record.append(file, {"version": 2})
    assert record.entries(file) == [{"version": 1}]
    record.append(file, {"version": 3})
    assert record.intact(file)


def test_a_folder_in_its_place_is_one_sentence(file: Path) -> None:
    file.mkdir()
    for call in (record.entries, record.intact):
        with pytest.raises(UpdateFailedError, match="cannot be read"):
            call(file)
    with pytest.raises(UpdateFailedError, match="cannot be written"):
        record.append(file, {})
