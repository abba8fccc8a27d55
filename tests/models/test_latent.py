"""What lies between two latents: ends, symmetry, norms, the sphere, and the cases without one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.latent import arithmetic, direction, slerp

POSITIONS = st.floats(0.0, 1.0, width=32)
SEEDS = st.integers(0, 2**31)


def latents(seed: int, times: int = 3, scale: float = 0.5) -> np.ndarray:
    """``(1, 64, times)`` as the encoder gives them: within −1 … 1."""
    normal = np.random.default_rng(seed).standard_normal((1, 64, times))
    return np.tanh(scale * normal).astype(np.float32)


def norms(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors.astype(np.float64), axis=-2)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors.astype(np.float64) / norms(vectors)[..., None, :]


@given(SEEDS)
def test_the_ends_are_exact(seed: int) -> None:
    a, b = latents(seed), latents(seed + 1)
    assert slerp(a, b, 0.0).tobytes() == a.tobytes()
    assert slerp(a, b, 1.0).tobytes() == b.tobytes()


def test_at_an_end_the_other_may_hold_anything() -> None:
    a, b = latents(0), np.full((1, 64, 3), np.nan, np.float32)
    with np.errstate(invalid="ignore"):
        assert slerp(a, b, 0.0).tobytes() == a.tobytes()
        assert slerp(b, a, 1.0).tobytes() == a.tobytes()


@given(SEEDS, POSITIONS)
def test_swapping_the_tones_turns_the_knob_round(seed: int, position: float) -> None:
    a, b = latents(seed), latents(seed + 1)
    np.testing.assert_allclose(
        slerp(a, b, position), slerp(b, a, 1.0 - position), rtol=0, atol=2e-7
    )


@given(SEEDS, POSITIONS)
def test_norms_move_in_a_line(seed: int, position: float) -> None:
    a, b = latents(seed, scale=0.2), latents(seed + 1, scale=2.0)
    expected = (1.0 - position) * norms(a) + position * norms(b)
    np.testing.assert_allclose(norms(slerp(a, b, position)), expected, rtol=1e-6)


@given(SEEDS, POSITIONS)
def test_the_direction_turns_at_constant_speed_within_the_plane(seed: int, position: float) -> None:
    a, b = unit(latents(seed)), unit(latents(seed + 1))
    between = unit(slerp(latents(seed), latents(seed + 1), position))
    whole = np.arccos((a * b).sum(axis=-2))
    # Shoemake's formula, which holds for these angles far from 0 and from a half turn.
    expected = (
        np.sin((1.0 - position) * whole)[..., None, :] * a
        + np.sin(position * whole)[..., None, :] * b
    ) / np.sin(whole)[..., None, :]
    np.testing.assert_allclose(between, expected, atol=1e-6)


@given(SEEDS, POSITIONS, st.floats(1e-12, 1e-3))
def test_nearly_parallel_vectors_are_interpolated_linearly(
    seed: int, position: float, apart: float
) -> None:
    a = latents(seed)
    b = (1.5 * a + apart * latents(seed + 1)).astype(np.float32)
    linear = (1.0 - position) * a + position * b
    # The difference of the norms bends a line's speed by less than a tenth.
    np.testing.assert_allclose(slerp(a, b, position), linear, rtol=0, atol=0.2 * apart + 4e-7)


@given(SEEDS, POSITIONS)
def test_equal_vectors_stay(seed: int, position: float) -> None:
    a = latents(seed)
    np.testing.assert_allclose(slerp(a, a.copy(), position), a, rtol=3e-7, atol=0)


@given(SEEDS, st.floats(0.5, 2.0), POSITIONS)
def test_opposite_vectors_keep_their_level(seed: int, ratio: float, position: float) -> None:
    a = latents(seed)
    b = (-ratio * a).astype(np.float32)
    between = slerp(a, b, position)
    expected = (1.0 - position) * norms(a) + position * norms(b)
    np.testing.assert_allclose(norms(between), expected, rtol=1e-5)
    np.testing.assert_allclose(between, slerp(b, a, 1.0 - position), atol=1e-5)


@pytest.mark.parametrize("case", ["opposite", "almost opposite", "parallel", "zero", "two zeros"])
def test_the_way_has_no_jump(case: str) -> None:
    a = latents(5)
    b = {
        "opposite": -a,
        "almost opposite": -a + np.float32(1e-6) * latents(6),
        "parallel": 2.0 * a,
        "zero": np.zeros_like(a),
        "two zeros": np.zeros_like(a),
    }[case].astype(np.float32)
    if case == "two zeros":
        a = np.zeros_like(a)
    steps = np.linspace(0.0, 1.0, 201)
    way = np.stack([slerp(a, b, float(step)) for step in steps])
    assert np.isfinite(way).all()
    # No step is longer than a quarter more than an even half turn's at the larger norm.
    longest = max(norms(a).max(), norms(b).max())
    jumps = np.linalg.norm(np.diff(way, axis=0).astype(np.float64), axis=-2)
    assert jumps.max() <= 1.25 * longest * np.pi / 200


def test_beside_a_zero_vector_only_the_norm_moves() -> None:
    a, zero = latents(1), np.zeros((1, 64, 3), np.float32)
    np.testing.assert_allclose(slerp(a, zero, 0.25), 0.75 * a, rtol=1e-6)
    np.testing.assert_allclose(slerp(zero, a, 0.25), 0.25 * a, rtol=1e-6)


@given(SEEDS, st.floats(1e-3, 1e3), POSITIONS)
def test_scale_does_not_matter(seed: int, scale: float, position: float) -> None:
    a, b = latents(seed), latents(seed + 1)
    scaled = slerp((scale * a).astype(np.float32), (scale * b).astype(np.float32), position)
    np.testing.assert_allclose(scaled / scale, slerp(a, b, position), rtol=0, atol=1e-6)


def test_each_vector_may_have_its_own_position() -> None:
    a, b = latents(1), latents(2)
    positions = np.array([0.0, 0.3, 1.0])
    together = slerp(a, b, positions)
    for time, position in enumerate(positions):
        np.testing.assert_array_equal(
            together[..., time : time + 1],
            slerp(a[..., time : time + 1], b[..., time : time + 1], float(position)),
        )


def test_it_writes_where_it_is_told() -> None:
    a, b, out = latents(1), latents(2), np.zeros((1, 64, 3), np.float32)
    assert slerp(a, b, 0.4, out=out) is out
    np.testing.assert_array_equal(out, slerp(a, b, 0.4))


def test_arithmetic_adds_the_change() -> None:
    a, b, c = latents(1), latents(2), latents(3)
    np.testing.assert_allclose(arithmetic(b, a, a), b, atol=1e-6)
    np.testing.assert_allclose(arithmetic(b, b, c), c, atol=0)
    np.testing.assert_allclose(arithmetic(b, a, c), b - a + c)


def test_a_direction_is_the_mean_change() -> None:
    a, b = latents(1), latents(2)
    change = direction(a, b)
    assert change.shape == (1, 64, 1) and change.dtype == np.float32
    np.testing.assert_allclose((a + change).mean(axis=-1), b.mean(axis=-1), atol=1e-6)
