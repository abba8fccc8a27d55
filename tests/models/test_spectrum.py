"""The front end: the transform by its definition, the way back, any cutting, the package's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.music2latent.noise import WindowNoise, frame_noise
from models.music2latent.spectrum import BINS, HOP, WINDOW, Analysis, Synthesis

GOLDEN_NOISE = [
    [2.91620326, -1.28554034, -1.39015722],
    [0.646885276, -1.0902983, 1.56724429],
    [-1.51123297, 0.0725768059, -1.52916849],
]


def analysed(sound: np.ndarray, pieces: list[int] | None = None, start: int = 0) -> np.ndarray:
    """All frames of ``(tones, n)`` that hold a sample, ``(frames, tones, 2, 1024)``."""
    analysis = Analysis(sound.shape[0])
    analysis.reset(start)
    frames, at = [], 0
    for piece in pieces or [sound.shape[1]]:
        target = np.zeros((piece // HOP + 1, sound.shape[0], 2, BINS), np.float32)
        frames.append(target[: analysis.push(sound[:, at : at + piece], target)])
        at += piece
    return np.concatenate(frames)


def synthesised(frames: np.ndarray) -> np.ndarray:
    """Finished samples of one tone's ``(frames, 2, 1024)``, one block a frame."""
    synthesis = Synthesis()
    out = np.zeros((frames.shape[0], HOP), np.float32)
    for frame, target in zip(frames, out, strict=True):
        synthesis.push(frame, target)
    return out.reshape(-1)


def tones(seed: int, samples: int, count: int = 1) -> np.ndarray:
    """Sines below 0.47 of the rate that begin and end softly, ``(count, samples)``."""
    generator = np.random.default_rng(seed)
    time = np.arange(samples)
    sound = np.zeros((count, samples))
    for tone in sound:
        for frequency in generator.uniform(0.001, 0.47, 8):
            onset = generator.integers(0, max(1, samples // 2))
            inside = np.minimum(time - onset, samples - 1 - time)
            level = 0.1 * np.sin(np.pi / 2.0 * np.clip(inside / 400.0, 0.0, 1.0)) ** 2
            tone += level * np.sin(2.0 * np.pi * (frequency * time + generator.random()))
    return sound.astype(np.float32)


# ---- the definition -----------------------------------------------------------------------------


def test_a_frame_is_what_its_definition_says() -> None:
    """Against the sum written out, in double precision and without an FFT."""
    sound = tones(1, 4 * HOP + WINDOW)
    time, bins = np.arange(WINDOW), np.arange(BINS)
    kernel = np.exp(-2j * np.pi * np.outer(time, bins) / WINDOW)
    hann = np.sin(np.pi * time / WINDOW) ** 2
    frames = analysed(sound)[3:]  # the first three reach back before the sound
    assert frames.shape[0] == 5
    for index, frame in enumerate(frames):
        spectrum = (sound[0, HOP * index : HOP * index + WINDOW] * hann) @ kernel
        expected = 0.34 * np.abs(spectrum) ** 0.65 * np.exp(1j * np.angle(spectrum))
        np.testing.assert_allclose(frame[0, 0], expected.real, rtol=0, atol=1e-5)
        np.testing.assert_allclose(frame[0, 1], expected.imag, rtol=0, atol=1e-5)


def test_a_full_scale_sine_reaches_the_stated_amplitude() -> None:
    sound = np.cos(2.0 * np.pi * 100 / WINDOW * np.arange(WINDOW))[None].astype(np.float32)
    frame = analysed(sound)[3, 0]
    # Half the window's sum at the sine's bin: 0.34 · 512^0.65.
    assert np.hypot(*frame).max() == pytest.approx(0.34 * 512.0**0.65, rel=1e-5)
    assert 19.0 < 0.34 * 512.0**0.65 < 20.0


@pytest.mark.parametrize("level", [0.0, 1e-42, 1e-30, 1e-12])
def test_silence_and_next_to_silence_are_finite(level: float) -> None:
    sound = np.full((1, 3 * WINDOW), level, np.float32)
    frames = analysed(sound)
    assert np.isfinite(frames).all()
    assert np.isfinite(synthesised(frames[:, 0])).all()
    if level == 0.0:
        assert not frames.any() and not synthesised(frames[:, 0]).any()


# ---- there and back -----------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 9000))
def test_there_and_back_is_the_sound(seed: int, samples: int) -> None:
    sound = tones(seed, samples)
    padded = np.concatenate([sound, np.zeros((1, WINDOW), np.float32)], axis=1)
    # The first frame holds the sound's first 512 samples only: three blocks of silence before.
    back = synthesised(analysed(padded)[:, 0])[WINDOW - HOP :]
    assert back.shape[0] >= samples
    np.testing.assert_allclose(back[:samples], sound[0], rtol=0, atol=2e-5)


def test_only_half_the_rate_is_lost() -> None:
    """White noise comes back without what the bin at half the rate held, frame by frame."""
    sound = np.random.default_rng(3).uniform(-0.5, 0.5, 6 * WINDOW)
    padded = np.concatenate([np.zeros(WINDOW - HOP), sound, np.zeros(WINDOW)])
    hann = np.sin(np.pi * np.arange(WINDOW) / WINDOW) ** 2
    alternating = 1.0 - 2.0 * (np.arange(WINDOW) % 2)
    lost = np.zeros_like(padded)
    for start in range(0, padded.size - WINDOW + 1, HOP):
        amount = (padded[start : start + WINDOW] * hann) @ alternating / WINDOW
        # The squares of four overlapping Hann windows add up to 1.5.
        lost[start : start + WINDOW] += amount * alternating * hann / 1.5
    back = synthesised(analysed(padded[None, WINDOW - HOP :].astype(np.float32))[:, 0])
    inside = slice(WINDOW - HOP, WINDOW - HOP + sound.size)
    assert np.abs(lost[inside]).max() > 1e-3
    np.testing.assert_allclose(back[inside], (padded - lost)[inside], rtol=0, atol=2e-5)


# ---- streaming ----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.integers(1, 1500), min_size=1, max_size=30))
def test_any_cutting_gives_the_same_bits(seed: int, pieces: list[int]) -> None:
    sound = tones(seed, sum(pieces), count=2)
    assert analysed(sound, pieces).tobytes() == analysed(sound).tobytes()


@pytest.mark.parametrize("start", [-700, -512, 1, 511, 512, 3000])
def test_frames_lie_on_absolute_time(start: int) -> None:
    """A stream that starts at a sample is one from 0 with silence before that sample."""
    sound = tones(9, 8000)
    block = start // HOP
    later = analysed(sound, start=start)
    silent = np.concatenate([np.zeros((1, start - block * HOP), np.float32), sound], axis=1)
    assert later.tobytes() == analysed(silent)[: later.shape[0]].tobytes()
    analysis = Analysis(1)
    analysis.reset(start)
    assert analysis.next_frame == block - 3


def test_tones_do_not_touch_each_other() -> None:
    both = tones(4, 5000, count=2)
    spoilt = both.copy()
    spoilt[1, 2000] = np.nan
    frames = analysed(spoilt)
    assert np.isnan(frames[:, 1]).any()
    assert frames[:, 0].tobytes() == analysed(both)[:, 0].tobytes()


# ---- noise --------------------------------------------------------------------------------------


def test_noise_is_standard_normal_and_independent() -> None:
    noise = np.stack([frame_noise(7, frame) for frame in range(-50, 50)]).astype(np.float64)
    count = noise.size
    assert abs(noise.mean()) < 5.0 / np.sqrt(count)
    assert abs(noise.var() - 1.0) < 5.0 * np.sqrt(2.0 / count)
    assert abs((noise**4).mean() - 3.0) < 5.0 * np.sqrt(96.0 / count)
    for one, other in (
        (noise[:, 0], noise[:, 1]),
        (noise[1:], noise[:-1]),
        (noise[..., 1:], noise[..., :-1]),
    ):
        assert abs((one * other).mean()) < 5.0 / np.sqrt(one.size)


def test_noise_is_this_noise() -> None:
    """Golden values: another machine, another NumPy, the same sound."""
    np.testing.assert_allclose(
        [frame_noise(0, 0)[0, :3], frame_noise(0, 0)[1, :3], frame_noise(2**64 - 1, -1)[0, :3]],
        GOLDEN_NOISE,
        rtol=1e-6,
    )


def test_noise_is_of_the_seed_and_the_frame() -> None:
    seen = {frame_noise(seed, frame).tobytes() for seed in (0, 1, 2**63) for frame in (-1, 0, 1)}
    assert len(seen) == 9


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-40, 40), min_size=1, max_size=8), st.sampled_from([8, 16]))
def test_a_window_has_its_frames_noise_wherever_it_was_before(
    firsts: list[int], frames: int
) -> None:
    noise = WindowNoise(3, frames)
    target = np.zeros((2, BINS, frames), np.float32)
    for first in firsts:
        noise.window(first, target)
        for column in (0, frames - 1):
            np.testing.assert_array_equal(target[..., column], frame_noise(3, first + column))


# ---- the package --------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("precision", ["double", "single"])
def test_it_equals_the_package_there_and_back(precision: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    audio = pytest.importorskip(
        "music2latent.audio", reason="the music2latent package is not installed"
    )
    sound = tones(11, 23 * HOP)
    if precision == "single":
        # With a floor of noise: in bins that hold next to nothing the package's own rounding,
        # 20 times larger after compression, is more than 1e-5.
        sound += np.random.default_rng(11).normal(0.0, 3e-3, sound.shape).astype(np.float32)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64 if precision == "double" else torch.float32)
    try:
        wave = torch.from_numpy(sound).to(torch.get_default_dtype())
        theirs = audio.to_representation_encoder(wave)
        back = audio.to_waveform(theirs)[0].numpy()
        frames = theirs[0].numpy()
    finally:
        torch.set_default_dtype(before)
    ours = np.moveaxis(analysed(sound)[3:, 0], 0, -1)
    assert ours.shape == frames.shape
    np.testing.assert_allclose(ours, frames, rtol=0, atol=1e-5)
    # The package's first and last three blocks are as incomplete as ours.
    samples = synthesised(np.moveaxis(frames, -1, 0).astype(np.float32))
    np.testing.assert_allclose(samples, back[: samples.size], rtol=0, atol=1e-5)
