"""A fine-tuned int8 network, quantised again as the build does, weighs at most 15 % of itself."""

import json
from pathlib import Path

import numpy as np
import pytest

from deploy.chunks import Store, assemble, bench, plan
from deploy.chunks.bench_material import Weights, as_network, fine_tuned, last_retrained
from tests.deploy.chunks.releases import Files, fetch, held, release_of, slot_of

PATH = "studio/decoder.int8.onnx"


def weights() -> Weights:
    """A network of few channels, its weights spread as trained ones are."""
    generator = np.random.default_rng(3)
    shapes = [(32, 4, 3, 3), (64, 32, 3, 3), (96, 64, 3, 3), (64, 96, 3, 3), (4, 64, 1, 1)]
    drawn = {
        f"conv{index}.weight": generator.normal(0, 0.03, shape).astype(np.float32)
        for index, shape in enumerate(shapes)
    }
    return {name: np.clip(value, -0.11, 0.11) for name, value in drawn.items()}


FIRST = weights()
OLDER = {PATH: as_network(FIRST, "int8"), "studio/manifest.json": b'{"format": 1}'}


def fetched(tmp_path: Path, newer: Files) -> float:
    """What a pedal that has ``OLDER`` fetches of ``newer``, as a share of all of it."""
    base = slot_of(tmp_path / "a", OLDER)
    release, frames = release_of(newer, [OLDER], version=2)
    store, slot = Store(tmp_path / "chunks"), tmp_path / "b"
    slot.mkdir()
    found = plan(release, store, [base])
    fetch(found, frames, store)
    assemble(found, store, slot)
    assert held(slot) == newer
    return found.need.stored_bytes / found.need.full_bytes


@pytest.mark.parametrize(
    ("noise", "share"), [(0.001, 0.08), (0.002, 0.10), (0.005, 0.15), (0.02, 0.35)]
)
def test_a_fine_tune_is_a_small_part_of_its_network(
    tmp_path: Path, noise: float, share: float
) -> None:
    tuned = as_network(fine_tuned(FIRST, noise), "int8")
    assert tuned != OLDER[PATH]
    assert fetched(tmp_path, {**OLDER, PATH: tuned}) <= share


def test_scales_that_all_change_cost_no_more_than_themselves(tmp_path: Path) -> None:
    # Every weight 3 % larger: the scales take it, the steps stay.
    scaled = {name: np.float32(1.03) * value for name, value in FIRST.items()}
    assert fetched(tmp_path, {**OLDER, PATH: as_network(scaled, "int8")}) <= 0.05


def test_a_layer_that_moves_in_the_file_is_found_again(tmp_path: Path) -> None:
    # Another layer is left in half precision, and what lies behind it moves.
    named = list(FIRST)
    tuned = fine_tuned(FIRST, 0.002)
    shuffled = {name: tuned[name] for name in [named[0], *reversed(named[1:4]), named[4]]}
    assert fetched(tmp_path, {**OLDER, PATH: as_network(shuffled, "int8")}) <= 0.15


def test_what_is_retrained_in_part_costs_that_part(tmp_path: Path) -> None:
    changed = as_network(last_retrained(FIRST, 0.05), "int8")
    assert fetched(tmp_path, {**OLDER, PATH: changed}) <= 0.08


def test_metadata_cost_next_to_nothing(tmp_path: Path) -> None:
    renamed = as_network(FIRST, "int8", note="the second, with a longer note than the first")
    assert fetched(tmp_path, {**OLDER, PATH: renamed}) <= 0.003


def test_the_bench_compares_two_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, network in (("old", FIRST), ("new", fine_tuned(FIRST, 0.002))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "decoder.int8.onnx").write_bytes(as_network(network, "int8"))
    folders = [str(tmp_path / name) for name in ("old", "new")]
    assert bench.main(["--bundles", *folders, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert [row["what"] for row in rows] == ["new: int8", "new: all files"]
    for row in rows:
        assert row["fetched_bytes"] < row["frame_bytes"] < row["chunks_bytes"]
        assert row["chunks_bytes"] <= row["full_bytes"]
