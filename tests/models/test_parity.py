"""The numbers of verdicts: known differences have known figures, and nothing hides a failure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.certificate import Limits
from models.golden import Golden
from models.music2latent.parity import (
    MOST_DB,
    agreement,
    beyond,
    latent_cosine,
    log_spectral_distance_db,
    run_golden,
    snr_db,
)
from models.music2latent.spectrum import EXPONENT


def _normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _golden(noise: float = 0.02) -> Golden:
    latents, decoded = np.tanh(_normal(1, 2, 8, 2)), _normal(2, 1, 2, 32, 16)
    return {
        "spectra": _normal(3, 2, 2, 32, 16),
        "blend": latents[:1],
        "noise": _normal(4, 1, 2, 32, 16),
        "latents.fp32": latents,
        "decoded.fp32": decoded,
        "latents.int8": (latents + noise * _normal(5, 2, 8, 2)).astype(np.float32),
        "decoded.int8": (decoded + noise * _normal(6, 1, 2, 32, 16)).astype(np.float32),
    }


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), gain_db=st.floats(-40.0, -1.0))
def test_the_snr_of_a_scaled_copy_is_known(seed: int, gain_db: float) -> None:
    truth = _normal(seed, 2, 8, 4)
    error = 10.0 ** (gain_db / 20.0)
    assert snr_db(truth, (truth * (1.0 + error)).astype(np.float32)) == pytest.approx(
        -gain_db, abs=0.01
    )


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), gain=st.floats(0.5, 2.0))
def test_a_change_of_level_is_its_distance_with_the_compression_undone(
    seed: int, gain: float
) -> None:
    # Far above the floor under which nobody hears.
    truth = np.float32(10.0) * _normal(seed, 1, 2, 32, 16)
    expected_db = abs(20.0 * np.log10(gain)) / EXPONENT
    found_db = log_spectral_distance_db(truth, (gain * truth).astype(np.float32))
    assert found_db == pytest.approx(expected_db, abs=0.01)


def test_the_phase_is_no_distance() -> None:
    truth = _normal(1, 1, 2, 32, 16)
    turned = np.stack([-truth[:, 1], truth[:, 0]], axis=1)
    assert log_spectral_distance_db(truth, turned) == pytest.approx(0.0, abs=1e-5)


def test_the_cosine_is_of_each_latents_channels_and_blind_to_length() -> None:
    truth = _normal(1, 2, 8, 3)
    assert latent_cosine(truth, np.float32(3.0) * truth) == pytest.approx(1.0)
    assert latent_cosine(truth, -truth) == pytest.approx(-1.0)
    # One of two latents turned by a right angle.
    right = np.zeros((1, 2, 2), np.float32)
    right[0, 0] = 1.0
    turned = right.copy()
    turned[0, :, 1] = (0.0, 1.0)
    assert latent_cosine(right, turned) == pytest.approx(0.5)


def test_equal_bits_are_as_good_as_it_gets_and_nan_as_bad() -> None:
    truth = _normal(1, 1, 2, 32, 16)
    assert snr_db(truth, truth) == MOST_DB
    assert latent_cosine(np.zeros((2, 8, 2), np.float32), np.zeros((2, 8, 2), np.float32)) == 1.0
    for value in (np.nan, np.inf):
        broken = truth.copy()
        broken[0, 0, 3, 4] = value
        assert snr_db(truth, broken) == -MOST_DB
        assert log_spectral_distance_db(truth, broken) == MOST_DB
        assert latent_cosine(truth[0], broken[0]) == -1.0


def test_the_golden_pair_goes_through_with_its_position() -> None:
    class Codec:
        window_frames, provider = 16, "double"

        def encode(self, spectra, target):
            assert spectra.shape == (2, 2, 32, 16)
            target[...] = 1.0

        def decode(self, latents, noise, position, target):
            target[...] = latents.shape[1] * noise * position

    golden = {**_golden(), "position": np.full((1, 1, 1, 1), 0.25, np.float32)}
    latents, decoded = run_golden(Codec(), golden)
    assert (latents == 1.0).all()
    np.testing.assert_array_equal(decoded, 2.0 * golden["noise"])


def _judged(golden: Golden, latents: np.ndarray, decoded: np.ndarray) -> tuple[str, ...]:
    made = {at: agreement(golden, at, latents, decoded) for at in ("fp32", "int8")}
    return beyond(golden, "int8", made, Limits())


def test_the_golden_outputs_are_within_the_limits() -> None:
    golden = _golden()
    assert _judged(golden, golden["latents.int8"], golden["decoded.int8"]) == ()


def test_outputs_like_those_of_another_engine_are_within_the_limits() -> None:
    golden = _golden()
    latents = golden["latents.int8"] + 0.002 * _normal(7, 2, 8, 2)
    decoded = golden["decoded.int8"] + 0.01 * _normal(8, 1, 2, 32, 16)
    assert _judged(golden, latents.astype(np.float32), decoded.astype(np.float32)) == ()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda latents, decoded: (0.8 * latents, decoded), "The latents are 14.0 dB SNR"),
        (lambda latents, decoded: (latents[::-1], decoded), "The latents' cosine"),
        (lambda latents, decoded: (latents, 1.2 * decoded), "The decoded spectra are 2."),
        (lambda latents, decoded: (latents, -decoded), "The decoded spectra are -6.0 dB SNR"),
        (lambda latents, decoded: (latents, decoded * np.nan), "The decoded spectra are 400.00"),
    ],
    ids=["quiet latents", "tones exchanged", "loud", "turned over", "NaN"],
)
def test_an_engine_that_computes_something_else_is_beyond_the_limits(spoil, said: str) -> None:
    golden = _golden()
    latents, decoded = spoil(golden["latents.int8"], golden["decoded.int8"])
    problems = _judged(golden, latents.astype(np.float32), decoded.astype(np.float32))
    assert any(problem.startswith(said) for problem in problems), problems


def test_a_golden_window_beyond_the_limit_itself_asks_no_more_of_another_engine() -> None:
    golden = _golden(noise=0.3)
    assert (
        agreement(
            golden, "fp32", golden["latents.int8"], golden["decoded.int8"]
        ).log_spectral_distance_db
        > Limits().log_spectral_distance_db
    )
    assert _judged(golden, golden["latents.int8"], golden["decoded.int8"]) == ()
