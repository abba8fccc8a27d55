"""Captures of other rates: converted while playing, aligned to the frame, latency stated."""

import json
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import PresetError
from device.sound.blocks.nam import NamBlock
from device.sound.rate_bridge import RateBridge
from device.tools.bench import standard_capture
from models.resample import StreamingResampler
from models.units import Audio
from tests.device.signal import run, sine, through
from tests.device.test_nam_block import linear

RATES = [(48000, 44100), (44100, 48000), (48000, 96000), (96000, 48000), (48000, 8000)]


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_conversion_is_as_good_as_the_offline_library(from_hz: int, to_hz: int) -> None:
    """Noise below 0.7 of the lower Nyquist frequency, against libsoxr's VHQ."""
    generator = np.random.default_rng(0)
    lower = min(from_hz, to_hz)
    sound = sum(
        0.05 * np.sin(2 * np.pi * f * np.arange(from_hz) / from_hz + f)
        for f in generator.uniform(20, 0.35 * lower, 12)
    ).astype(np.float32)
    resampler = StreamingResampler(from_hz, to_hz, from_hz)
    out = np.zeros(to_hz + 2, np.float32)
    made = resampler.push(sound, out)
    expected = soxr.resample(sound, from_hz, to_hz, quality="VHQ")
    middle = slice(to_hz // 10, min(made, to_hz) - to_hz // 10)
    error = out[middle] - expected[middle]
    assert 20 * np.log10(np.std(error) / np.std(expected)) < -75.0


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(RATES), st.lists(st.integers(1, 300), min_size=3, max_size=20))
def test_conversion_is_the_same_however_it_is_cut(
    rates: tuple[int, int], pieces: list[int]
) -> None:
    sound = np.random.default_rng(1).normal(size=sum(pieces)).astype(np.float32)
    whole = StreamingResampler(*rates, sound.size)
    out = np.zeros(sound.size * rates[1] // rates[0] + 2, np.float32)
    made = whole.push(sound, out)
    cut = StreamingResampler(*rates, 300)
    got = []
    at = 0
    for piece in pieces:
        part = np.zeros(300 * rates[1] // rates[0] + 2, np.float32)
        got.append(part[: cut.push(sound[at : at + piece], part)])
        at += piece
    np.testing.assert_allclose(np.concatenate(got), out[:made], atol=1e-6)


@pytest.mark.parametrize(("outer_hz", "inner_hz"), RATES)
@pytest.mark.parametrize("period", [16, 64, 1000])
def test_the_way_there_and_back_is_late_by_what_it_says(
    outer_hz: int, inner_hz: int, period: int
) -> None:
    bridge = RateBridge(outer_hz, inner_hz, period, max(16, round(period * inner_hz / outer_hz)))
    frames = outer_hz // period * period
    sound = sine(440.0, frames, rate_hz=outer_hz)
    for _ in range(2):  # the second time after a reset
        out = sound.copy()
        for start in range(0, frames, period):
            piece = out[:, start : start + period]
            bridge.process(piece, piece, lambda a, b: np.copyto(b, a))
        late = bridge.latency_frames
        assert late < period + outer_hz // 250 * max(1, outer_hz // inner_hz)  # 4 ms and a period
        error = out[:, late + 4000 :] - sound[:, 4000 : frames - late]
        assert np.abs(error).max() < 1e-3
        assert np.abs(out[:, : max(0, late - 200)]).max(initial=0.0) < 1e-3
        bridge.reset()


def test_a_capture_of_another_rate_plays_as_at_its_own(tmp_path: Path, guitar: Audio) -> None:
    file = tmp_path / "other.nam"
    file.write_text(json.dumps({**standard_capture(seed=5), "sample_rate": 96000}))
    block = NamBlock(file)
    out = through(block, guitar[:, :48000], 64)
    doubled = soxr.resample(guitar[0, :48000], 48000, 96000, quality="VHQ")[None, :]
    native = NamBlock(file)
    native.prepare(96000, 64)
    expected = soxr.resample(run(native, doubled, 64)[0], 96000, 48000, quality="VHQ")
    late = block.latency_frames
    assert late > 0 and native.latency_frames == 0
    middle = slice(4800, 40000)
    error = out[0, late:][middle] - expected[middle]
    assert 20 * np.log10(np.std(error) / np.std(expected[middle])) < -50.0


def test_rates_without_a_simple_ratio_are_refused(tmp_path: Path) -> None:
    block = NamBlock(linear(tmp_path, sample_rate=47999))
    with pytest.raises(PresetError, match="ratio"):
        block.prepare(48000, 64)
