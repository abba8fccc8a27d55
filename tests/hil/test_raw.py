"""Raw data: nothing is lost on the way to the disk, and a byte that changes is noticed."""

import math
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.plant.direct import direct_bench
from hil.raw import (
    MANIFEST,
    RawError,
    RawRig,
    RawTrace,
    check_manifest,
    read_trace,
    sha256,
    write_manifest,
)

FIGURES = st.floats(-1e9, 1e9) | st.just(math.nan)


@given(st.lists(st.tuples(FIGURES, FIGURES), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_a_trace_comes_back_to_ten_digits(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float]]
) -> None:
    file = tmp_path_factory.mktemp("raw") / "deep" / "trace.csv"
    trace = RawTrace(file)
    for time_s, celsius in rows:
        trace.add({"time_s": time_s, "air_c": celsius, "state": "play"})
    # What was read last is on the disk before anything else is: a crash loses none of it.
    assert len(read_trace(file)) == len(rows)
    trace.close()
    for found, (time_s, celsius) in zip(read_trace(file), rows, strict=True):
        assert found["state"] == "play"
        assert found["time_s"] == pytest.approx(time_s, rel=1e-9, nan_ok=True)
        assert found["air_c"] == pytest.approx(celsius, rel=1e-9, nan_ok=True)
    assert [row["time_s"] for row in trace.rows] == pytest.approx([a for a, _ in rows], nan_ok=True)


def test_each_shot_is_written_down(tmp_path: Path) -> None:
    bench, _ = direct_bench()
    rig = RawRig(bench, RawTrace(tmp_path / "trace.csv"), "shots", folder=tmp_path)
    heard = [rig.shot() for _ in range(3)]
    rig.close()
    rows = read_trace(tmp_path / "shots.csv")
    assert [row["heard"] for row in rows] == [1.0, 1.0, 1.0]
    assert [row["frames"] for row in rows] == pytest.approx([each.frames for each in heard if each])


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b""])
def test_what_is_no_trace_is_one_sentence_or_no_rows(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "trace.csv"
    if content == b"":
        file.write_bytes(content)
        assert read_trace(file) == []
        return
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RawError, match=r"trace\.csv"):
        read_trace(file)


# ---- the manifest -------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=60), st.data())
@settings(max_examples=40, deadline=None)
def test_every_changed_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    (folder / "one").mkdir()
    file = folder / "one" / "trace.csv"
    file.write_bytes(content)
    (folder / "report.json").write_text("{}")
    write_manifest(folder, ["one/trace.csv", "report.json", "not-there"])
    assert check_manifest(folder) == (2, [])
    place = data.draw(st.integers(0, len(content) - 1))
    by = data.draw(st.integers(1, 255))
    changed = bytearray(content)
    changed[place] ^= by
    file.write_bytes(changed)
    good, wrong = check_manifest(folder)
    assert good == 1 and len(wrong) == 1 and "one/trace.csv" in wrong[0]
    file.write_bytes(content + b"x")
    assert check_manifest(folder)[1]
    file.unlink()
    assert "missing" in check_manifest(folder)[1][0]


def test_the_manifest_is_one_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("x")
    write_manifest(tmp_path, ["a file"])
    command = ["sha256sum", "--check", "--strict", MANIFEST]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0
    assert sha256(tmp_path / "a file") in (tmp_path / MANIFEST).read_text()


@pytest.mark.parametrize(
    "text", [None, "", "abc  file\n", f"{'0' * 64}  ../file\n", f"{'0' * 64}  /file\n", "\n"]
)
def test_what_is_no_manifest_is_one_sentence(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(RawError, match=MANIFEST):
        check_manifest(tmp_path)
