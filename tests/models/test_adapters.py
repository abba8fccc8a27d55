"""Low-rank adapters: they add what they say to the decoder, and nothing else, nowhere else."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ModelError
from models.music2latent.adapters import (
    HIGHEST_RANK,
    Adapter,
    adapts,
    between,
    merge,
    read_adapter,
    write_adapter,
)
from models.music2latent.architecture import OFFICIAL, TINY, Tensor, random_weights, shapes
from models.music2latent.checkpoint import weights_sha256
from models.music2latent.graphs import decoder_onnx

WEIGHTS = random_weights(TINY, 3)
BASE = weights_sha256(WEIGHTS)
ADAPTED = sorted(name for name, value in WEIGHTS.items() if adapts(name, value.shape))


def adapter(seed: int = 0, rank: int = 2, alpha: float = 3.0) -> Adapter:
    """An adapter of every weight that may be adapted."""
    rng = np.random.default_rng(seed)
    factors = {}
    for name in ADAPTED if rank else []:
        out, *inner = WEIGHTS[name].shape
        down = rng.normal(size=(rank, *inner)).astype(np.float32)
        factors[name] = (down, rng.normal(size=(out, rank)).astype(np.float32))
    return Adapter(rank, alpha, factors, BASE, "two riffs")


def same_bits(one: Tensor, other: Tensor) -> bool:
    return one.tobytes() == other.tobytes()


def test_what_is_adapted_is_the_decoders_convolutions_and_attentions() -> None:
    every = shapes(OFFICIAL)
    adapted = {name for name, shape in every.items() if adapts(name, shape)}
    assert not any(name.startswith("encoder.") for name in adapted)
    assert {len(every[name]) for name in adapted} == {2, 3, 4}
    assert {name for name in adapted if len(every[name]) == 2} == {
        name
        for name in every
        if not name.startswith("encoder.")
        and name.endswith((".mha.in_proj_weight", ".mha.out_proj.weight"))
    }
    left = [n for n, s in every.items() if len(s) > 2 and n not in adapted]
    assert all(name.startswith("encoder.") for name in left), "no convolution is forgotten"
    assert {"conv_out.weight", "decoder.conv_inp.weight"} <= adapted


def test_merging_adds_the_product_of_the_factors() -> None:
    one = adapter()
    merged = merge(WEIGHTS, one, strength=0.5)
    for name, value in WEIGHTS.items():
        if name not in one.factors:
            assert merged[name] is value
            continue
        down, up = (factor.astype(np.float64) for factor in one.factors[name])
        wanted = value + 0.5 * (3.0 / 2.0) * np.einsum("or,r...->o...", up, down)
        np.testing.assert_allclose(merged[name], wanted, rtol=1e-5, atol=1e-5)
        assert merged[name].dtype == np.float32
        assert np.abs(wanted - value).max() > 0.1, "it changes something"
    assert weights_sha256(WEIGHTS) == BASE, "the base is left as it was"


@pytest.mark.parametrize("nothing", ["rank 0", "untrained", "strength 0"])
def test_nothing_learnt_changes_no_bit(nothing: str) -> None:
    one = adapter(rank=0 if nothing == "rank 0" else 2)
    if nothing == "untrained":
        factors = {name: (down, np.zeros_like(up)) for name, (down, up) in one.factors.items()}
        one = replace(one, factors=factors)
    merged = merge(WEIGHTS, one, strength=0.0 if nothing == "strength 0" else 1.0)
    assert merged.keys() == WEIGHTS.keys()
    assert all(merged[name] is WEIGHTS[name] for name in WEIGHTS)


def test_between_two_adapters_each_end_is_that_adapter() -> None:
    a, b = adapter(1), adapter(2, rank=3, alpha=1.0)
    for position, end in ((0.0, a), (1.0, b)):
        wanted = merge(WEIGHTS, end)
        found = between(WEIGHTS, a, b, position)
        assert all(same_bits(found[name], wanted[name]) for name in WEIGHTS)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.0, 1.0))
def test_between_two_adapters_weights_move_in_a_straight_line(position: float) -> None:
    a, b = adapter(1), adapter(2, rank=3, alpha=1.0)
    ends = merge(WEIGHTS, a), merge(WEIGHTS, b)
    found = between(WEIGHTS, a, b, position)
    for name in ADAPTED:
        wanted = (1.0 - position) * ends[0][name].astype(np.float64) + position * ends[1][name]
        np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-4)


def test_the_order_of_two_adapters_does_not_matter_in_the_middle() -> None:
    a, b = adapter(1), adapter(2)
    there, back = between(WEIGHTS, a, b, 0.5), between(WEIGHTS, b, a, 0.5)
    for name in ADAPTED:
        np.testing.assert_allclose(there[name], back[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", [0, 1, 5])
def test_a_file_gives_back_what_was_written(tmp_path: Path, rank: int) -> None:
    one, file = adapter(rank=rank), tmp_path / "a.safetensors"
    write_adapter(one, file)
    read = read_adapter(file, WEIGHTS)
    assert (read.rank, read.alpha, read.base_sha256, read.note) == (rank, 3.0, BASE, "two riffs")
    assert read.factors.keys() == one.factors.keys()
    for name, factors in one.factors.items():
        assert all(same_bits(*pair) for pair in zip(factors, read.factors[name], strict=True))
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]
    write_adapter(one, tmp_path / "again.safetensors")
    assert file.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_an_adapter_of_other_weights_is_refused(tmp_path: Path) -> None:
    one, file = adapter(), tmp_path / "a.safetensors"
    write_adapter(one, file)
    others = random_weights(TINY, 4)
    with pytest.raises(ModelError, match=rf"{file}.*learnt beside the weights {BASE[:12]}"):
        read_adapter(file, others)
    for refused in (
        lambda: merge(others, one),
        lambda: between(others, adapter(rank=0), one, 0.0),
        lambda: merge({name: value for name, value in WEIGHTS.items() if "att" not in name}, one),
    ):
        with pytest.raises(ModelError, match="learnt beside"):
            refused()


def spoilt(file: Path, what: str) -> None:
    """Write an adapter with one thing wrong."""
    from safetensors.numpy import save_file

    one = adapter()
    tensors: dict[str, Any] = {}
    for name, (down, up) in one.factors.items():
        tensors[f"{name}.down"], tensors[f"{name}.up"] = down, up
    about: dict[str, Any] = {
        "format": "music2latent adapter 1",
        "rank": 2,
        "alpha": 3.0,
        "base_sha256": BASE,
        "note": "",
    }
    name = "conv_out.weight"
    match what:
        case "format":
            about["format"] = "peft"
        case "alpha":
            about["alpha"] = float("nan")
        case "alpha missing":
            del about["alpha"]
        case "rank":
            about["rank"] = "two"
        case "rank beyond":
            about["rank"] = HIGHEST_RANK + 1
        case "another rank":
            about["rank"] = 3
        case "half a pair":
            del tensors[f"{name}.up"]
        case "a stranger":
            tensors[f"{name}.middle"] = np.zeros(3, np.float32)
        case "down is thin":
            tensors[f"{name}.down"] = np.zeros(2, np.float32)
        case "not finite":
            tensors[f"{name}.up"] = np.full_like(tensors[f"{name}.up"], np.inf)
        case "halves":
            tensors[f"{name}.up"] = tensors[f"{name}.up"].astype(np.float16)
        case "encoder":
            for part in ("down", "up"):
                tensors[f"encoder.conv_inp.weight.{part}"] = tensors[f"conv_inp.weight.{part}"]
    text = "{" if what == "no JSON" else json.dumps(about)
    save_file(tensors, file, metadata={} if what == "no metadata" else {"purga": text})


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        ("format", "format is 'peft'"),
        ("no metadata", "format is 'not stated'"),
        ("no JSON", "format is 'not stated'"),
        ("alpha", "alpha nan"),
        ("alpha missing", "does not state its rank"),
        ("rank", "does not state its rank"),
        ("rank beyond", f"expected a rank of 0…{HIGHEST_RANK}"),
        ("another rank", "expected rank 3"),
        ("half a pair", "not a pair"),
        ("a stranger", "more than pairs"),
        ("down is thin", r"shapes \(2,\)"),
        ("not finite", "conv_out.weight holds values that are not finite"),
        ("halves", "not of float32"),
        ("encoder", "would change encoder.conv_inp.weight"),
    ],
)
def test_a_spoilt_adapter_is_refused_in_one_sentence(
    tmp_path: Path, what: str, complaint: str
) -> None:
    file = tmp_path / "a.safetensors"
    spoilt(file, "nothing")
    assert read_adapter(file, WEIGHTS).rank == 2
    spoilt(file, what)
    with pytest.raises(ModelError, match=complaint) as caught:
        read_adapter(file, WEIGHTS)
    assert str(caught.value).startswith(f"{file}: ")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.9])
def test_a_truncated_adapter_is_refused(tmp_path: Path, share: float) -> None:
    file = tmp_path / "a.safetensors"
    write_adapter(adapter(), file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelError, match="truncated"):
        read_adapter(file)


def test_an_adapter_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        read_adapter(tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match="is a folder"):
        read_adapter(tmp_path)


# ---- in the graph -------------------------------------------------------------------------------


def decoded(model: Any, **inputs: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (spectra,) = session.run(None, inputs)
    return np.asarray(spectra)


def gentle(seed: int, rank: int) -> Adapter:
    """An adapter that changes weights by about their own size, as one that was learnt."""
    one = adapter(seed, rank, alpha=float(rank))
    factors = {
        name: (down / np.float32(np.sqrt(down[0].size)), np.float32(0.1) * up)
        for name, (down, up) in one.factors.items()
    }
    return replace(one, factors=factors)


def test_the_knob_moves_the_graph_between_two_adapters() -> None:
    """The branches beside the layers are the weights of ``between``, at every position."""
    a, b = gentle(1, 2), gentle(2, 3)
    rng = np.random.default_rng(3)
    latents = rng.uniform(-1.0, 1.0, (1, TINY.latent_channels, 1)).astype(np.float32)
    given = {"latents": latents, "noise": rng.standard_normal((1, 2, TINY.bins, 8), np.float32)}
    two_sided = decoder_onnx(WEIGHTS, 8, (a, b))
    base = decoded(decoder_onnx(WEIGHTS, 8), **given)
    for position in (0.0, 0.3, 1.0):
        at = np.full((1, 1, 1, 1), position, np.float32)
        found = decoded(two_sided, **given, position=at)
        wanted = decoded(decoder_onnx(between(WEIGHTS, a, b, position), 8), **given)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
        assert np.abs(wanted - base).max() > 0.05 * np.abs(wanted).max(), "it changes something"
