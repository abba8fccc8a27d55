"""Our graphs against the authors' own modules, with the same weights: the same network.

The weights are nobody's, drawn by seed: what is compared is arithmetic, not sound.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("torch", reason="the authors' modules need torch (make test-whole)")
pytest.importorskip("music2latent", reason="the authors' package is absent (make test-whole)")

import torch

from models.music2latent.adapters_train import generator
from models.music2latent.architecture import (
    OFFICIAL,
    Tensor,
    Weights,
    random_weights,
    shapes,
)
from models.music2latent.graphs import decoder_onnx, encoder_onnx
from models.music2latent.spectrum import spectra_of
from tests.conftest import plucked

pytestmark = pytest.mark.torch

FRAMES = 16
LIMIT = 1e-4
"""Largest error over the largest value."""


@pytest.fixture(scope="module")
def weights() -> Weights:
    return random_weights(OFFICIAL, 11)


@pytest.fixture(scope="module")
def published(weights: Weights) -> Iterator[Any]:
    """The package's network with these weights, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield generator(weights)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tones() -> Tensor:
    """Spectra of two guitars, ``(2, 2, 1024, frames)``."""
    frames = 2048 + 512 * (FRAMES - 1)
    return np.stack([spectra_of(plucked(frames, 44_100, seed))[0] for seed in (1, 2)])


def run(model: Any, **inputs: Tensor) -> Tensor:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (output,) = session.run(None, inputs)
    return np.asarray(output)


def error(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def test_names_and_shapes_are_the_packages(published: Any) -> None:
    theirs = {name: tuple(value.shape) for name, value in published.state_dict().items()}
    assert shapes(OFFICIAL) == theirs


def test_the_encoder_is_theirs(weights: Weights, published: Any, tones: Tensor) -> None:
    wanted = published.encoder(torch.from_numpy(tones)).numpy()
    found = run(encoder_onnx(weights, FRAMES), spectra=tones)
    assert np.abs(wanted[0] - wanted[1]).max() > 0.01, "the tones differ"
    assert error(found, wanted) < LIMIT


def test_one_step_of_the_decoder_is_theirs(weights: Weights, published: Any, tones: Tensor) -> None:
    rng = np.random.default_rng(4)
    noise = rng.standard_normal((1, 2, 1024, FRAMES), np.float32)
    latents = published.encoder(torch.from_numpy(tones[:1]))
    given = torch.from_numpy(noise) * OFFICIAL.sigma_max
    wanted = published(latents, given, OFFICIAL.sigma_max).numpy()
    found = run(decoder_onnx(weights, FRAMES), latents=latents.numpy(), noise=noise)
    assert error(found, wanted) < LIMIT
    other = published.encoder(torch.from_numpy(tones[1:]))
    moved = published(other, given, OFFICIAL.sigma_max).numpy()
    assert error(moved, wanted) > 10 * LIMIT, "the latents matter"
