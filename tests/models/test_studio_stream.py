"""The stream: aligned to the frame, as late as it says, the same bits however it is cut."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ModelError
from models.latent import direction
from models.morph import Positions
from models.music2latent.noise import frame_noise
from models.music2latent.spectrum import HOP, OVERLAPS
from models.music2latent.stream import StreamSettings, StudioStream
from models.units import Audio
from tests.models.studio_support import PassCodec, PooledCodec, pooled, through

SHAPES = [(8, 1, 0), (16, 5, 3), (16, 16, 0), (32, 4, 12)]
"""Window, hop and look-ahead in frames."""

RATES = [(48000, 44100), (44100, 44100), (48000, 48000), (96000, 44100), (44100, 48000)]
"""The device's and the network's rate."""


def stream(
    shape: tuple[int, int, int] = (16, 5, 3),
    rates: tuple[int, int] = (48000, 44100),
    codec: type[PassCodec] = PassCodec,
    seed: int = 0,
    change: np.ndarray | None = None,
) -> StudioStream:
    window, hop, ahead = shape
    chosen = StreamSettings(window, hop, ahead, seed, rates[1])
    return StudioStream(codec(window), chosen, rates[0], 2000, change)


def sound(frames: int, seed: int = 0, rate_hz: int = 48000) -> Audio:
    """Sines below 12 kHz that begin and end softly, ``(1, frames)``."""
    generator = np.random.default_rng(seed)
    time = np.arange(frames)
    inside = np.clip(np.minimum(time, frames - 1 - time) / 500.0, 0.0, 1.0)
    parts = [
        0.05 * np.sin(2.0 * np.pi * (f * time / rate_hz + generator.random()))
        for f in generator.uniform(80.0, 12000.0, 6)
    ]
    return (np.sin(np.pi / 2.0 * inside) ** 2 * sum(parts)).astype(np.float32)[None]


def knob(frames: int, position: float = 0.0) -> Positions:
    return np.full(frames, position, np.float32)


def turning(frames: int) -> Positions:
    return np.linspace(0.0, 1.0, frames, dtype=np.float32)


# ---- aligned ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_codec_that_changes_nothing_gives_the_sound_in_its_place(
    shape: tuple[int, int, int], rates: tuple[int, int]
) -> None:
    whole = stream(shape, rates)
    frames = 12000 + whole.latency_frames
    tone = sound(frames, rate_hz=rates[0])
    got = through(whole, tone, np.zeros_like(tone), knob(frames))
    assert got.shape[1] >= frames - whole.latency_frames
    # From the very first frame on: what came before the first frame was silence.
    np.testing.assert_allclose(got, tone[:, : got.shape[1]], rtol=0, atol=1e-4)


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("at", [0, 7001, 9337])
def test_an_impulse_comes_out_at_its_frame(rates: tuple[int, int], at: int) -> None:
    whole = stream((16, 4, 2), rates)
    frames = at + whole.latency_frames + 400
    tone = np.zeros((1, frames), np.float32)
    tone[0, at] = 1.0
    got = through(whole, tone, tone, knob(frames))
    assert np.argmax(np.abs(got[0])) == at
    beside = got[0, max(0, at - 20) : at + 21]
    if at:  # symmetrical: not late by part of a frame either
        np.testing.assert_allclose(beside, beside[::-1], rtol=0, atol=2e-3)


# ---- as late as it says -------------------------------------------------------------------------


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("shape", [(8, 1, 0), (16, 5, 3)])
def test_the_latency_holds_always_and_is_reached(
    shape: tuple[int, int, int], rates: tuple[int, int]
) -> None:
    whole = stream(shape, rates)
    network = int(np.gcd(*rates))
    hops = rates[1] // network
    per_hop = shape[1] * HOP * rates[0] / rates[1]
    target = np.zeros((1, 40000), np.float32)
    pushed = given = most = 0

    def push(count: int) -> None:
        nonlocal pushed, given, most
        silence = np.zeros((1, count), np.float32)
        while count > 0:
            piece = min(count, 1000)
            whole.push(silence[:, :piece], silence[:, :piece], knob(piece))
            pushed, count = pushed + piece, count - piece
            given += whole.pull(target)
            most = max(most, pushed - given)

    # Frame by frame only around each hop's end, which is where the most is missing.
    first = (shape[1] + OVERLAPS - 1) * HOP * rates[0] / rates[1]
    for number in range(hops + 2):
        push(max(0, int(first + number * per_hop) - 4 - pushed))
        for _ in range(90):
            push(1)
    assert most == whole.latency_frames


def test_latency_in_numbers() -> None:
    """The formula of the issue: 1536 and the hop; with the resamplers' filters where they run."""
    assert stream((16, 1, 0), (44100, 44100)).latency_frames == 1536 + 512 - 1
    assert stream((16, 8, 0), (44100, 44100)).latency_frames == 1536 + 8 * 512 - 1
    assert stream((16, 4, 3), (48000, 48000)).latency_frames == 1536 + 7 * 512 - 1
    converted = stream((16, 1, 0), (48000, 44100)).latency_frames
    filters = 35 + 32 * 160 / 147
    assert converted == pytest.approx(2048 * 160 / 147 + filters, abs=2.0)


# ---- the same bits ------------------------------------------------------------------------------


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_cutting_gives_the_same_bits(
    shape: tuple[int, int, int], rates: tuple[int, int]
) -> None:
    frames = 30000
    a, b, position = sound(frames, 1), sound(frames, 2), turning(frames)
    expected = through(stream(shape, rates, PooledCodec), a, b, position, (2000,))
    assert np.abs(expected).max() > 1e-3
    for periods in ((16, 17, 64, 100, 441, 1000), (1000, 1, 441, 17), (64,)):
        got = through(stream(shape, rates, PooledCodec), a, b, position, periods)
        assert got.tobytes() == expected[:, : got.shape[1]].tobytes()
        assert got.shape == expected.shape


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 2000), min_size=5, max_size=30))
def test_any_cutting_gives_the_same_bits(periods: list[int]) -> None:
    frames = 12000
    a, b, position = sound(frames, 1), sound(frames, 2), turning(frames)
    expected = through(stream(codec=PooledCodec), a, b, position, (64,))
    got = through(stream(codec=PooledCodec), a, b, position, tuple(periods))
    assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("start", [1, 12345])
def test_a_stream_that_starts_later_ends_up_the_same(
    shape: tuple[int, int, int], rates: tuple[int, int], start: int
) -> None:
    unbroken = stream(shape, rates, PooledCodec)
    settled = start + unbroken.settling_frames
    frames = settled + unbroken.latency_frames + 3000
    a, b, position = sound(frames, 1), sound(frames, 2), turning(frames)
    expected = through(unbroken, a, b, position, (1000,))
    later = stream(shape, rates, PooledCodec)
    through(later, b, a, position, (999,))  # something else before
    later.reset(start)
    assert later.ready == 0 and later.next_frame == start
    got = through(later, a[:, start:], b[:, start:], position[start:], (64,))
    assert start + got.shape[1] == expected.shape[1]
    assert later.next_frame == expected.shape[1]
    tail = slice(settled, None)
    assert got[:, settled - start :].tobytes() == expected[:, tail].tobytes()
    assert expected[:, tail].shape[1] >= 3000
    assert np.abs(expected[:, tail]).max() > 1e-4


def test_reset_is_the_state_after_construction() -> None:
    frames = 9000
    a, b, position = sound(frames, 1), sound(frames, 2), turning(frames)
    used = stream(codec=PooledCodec)
    expected = through(used, a, b, position)
    used.reset()
    assert through(used, a, b, position).tobytes() == expected.tobytes()


def test_reset_computes_nothing() -> None:
    codec = PassCodec(16)
    whole = StudioStream(codec, StreamSettings(16, 1), 48000, 1000)
    for start in (0, 159, 557, 123456789):
        whole.reset(start)
    assert codec.encodes == 0


# ---- the codec's work ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_each_hop_is_one_encode_and_one_decode(shape: tuple[int, int, int]) -> None:
    window, hop, ahead = shape
    codec = PassCodec(window)
    whole = StudioStream(codec, StreamSettings(window, hop, ahead), 44100, 1000)
    frames = 40 * HOP
    tone = np.zeros((1, frames), np.float32)
    through(whole, tone, tone, knob(frames))
    # Frames up to number 36 are complete; the first that gives something holds frame −3.
    hops = [last for last in range(-3, 37) if (last + 1) % hop == 0 and last - ahead >= -3]
    assert codec.encodes == len(codec.positions) == len(hops)


@pytest.mark.parametrize("rates", RATES)
def test_the_knob_counts_where_the_emitted_frames_have_their_centre(
    rates: tuple[int, int],
) -> None:
    window, hop, ahead = 16, 4, 3
    codec = PassCodec(window)
    whole = StudioStream(codec, StreamSettings(window, hop, ahead, 0, rates[1]), rates[0], 1000)
    frames = 60 * HOP
    tone, position = np.zeros((1, frames), np.float32), turning(frames)
    through(whole, tone, tone, position)
    lasts = [last for last in range(-3, 60) if (last + 1) % hop == 0 and last - ahead >= -3]
    for last, asked in zip(lasts, codec.positions, strict=False):
        centre = HOP * (last - ahead - (hop - 1) / 2) + 1024
        expected = np.interp(centre * rates[0] / rates[1], np.arange(frames), position)
        assert asked == pytest.approx(expected, abs=1.5 / frames)


def test_overlapping_windows_see_one_noise_for_one_frame() -> None:
    seen: dict[int, np.ndarray] = {}

    class Listening(PassCodec):
        last = -3 - 2  # the first hop that gives something ends with frame −3

        def decode(self, latents, noise, position, target) -> None:
            super().decode(latents, noise, position, target)
            self.last += 2
            for column in range(self.window_frames):
                frame = self.last - self.window_frames + 1 + column
                known = seen.setdefault(frame, noise[0, ..., column].copy())
                np.testing.assert_array_equal(known, noise[0, ..., column])

    whole = StudioStream(Listening(16), StreamSettings(16, 2, 0, 5), 44100, 1000)
    tone = np.zeros((1, 40 * HOP), np.float32)
    through(whole, tone, tone, knob(tone.shape[1]))
    assert len(seen) > 40
    for frame, noise in seen.items():
        np.testing.assert_array_equal(noise, frame_noise(5, frame))


def test_only_frames_nobody_gave_yet_are_heard() -> None:
    """A codec whose decode says which frame it made: each frame is heard exactly once."""

    class Constant(PassCodec):
        def decode(self, latents, noise, position, target) -> None:
            super().decode(latents, noise, position, target)
            target.fill(0.0)
            target[0, 0, 0, :] = 5.0  # every decode, the same steady level

    for hop in (1, 3, 16):
        window = 16
        whole = StudioStream(Constant(window), StreamSettings(window, hop), 44100, 1000)
        tone = np.zeros((1, 60 * HOP), np.float32)
        got = through(whole, tone, tone, knob(tone.shape[1]))[0]
        # Once each: the Hann windows over the sum of their squares add up to 2 / 1.5.
        level = (5.0 / 0.34) ** (1.0 / 0.65) / 2048.0 * 2.0 / 1.5
        np.testing.assert_allclose(got, level, rtol=1e-5)


def test_the_ends_are_each_tones_own_latents() -> None:
    asked: list[np.ndarray] = []

    class Latents(PassCodec):
        def decode(self, latents, noise, position, target) -> None:
            super().decode(latents, noise, position, target)
            asked.append(latents[0].copy())
            own = pooled(self._spectra)[int(position)]
            np.testing.assert_array_equal(latents[0], own)

    frames = 30 * HOP
    a, b = sound(frames, 1), sound(frames, 2)
    for position in (0.0, 1.0):
        whole = StudioStream(Latents(16), StreamSettings(16, 4), 44100, 1000)
        through(whole, a, b, knob(frames, position))
    assert len(asked) > 10


def test_a_change_of_latents_is_tone_b() -> None:
    frames = 30 * HOP
    a, b = sound(frames, 1), sound(frames, 2)
    change = np.linspace(-0.1, 0.2, 64, dtype=np.float32)[:, None]
    asked: list[np.ndarray] = []

    class Latents(PassCodec):
        def decode(self, latents, noise, position, target) -> None:
            super().decode(latents, noise, position, target)
            asked.append(latents[0] - pooled(self._spectra)[0])

    whole = StudioStream(Latents(16), StreamSettings(16, 4), 44100, 1000, change)
    through(whole, a, b, knob(frames, 1.0))
    assert len(asked) > 5
    for got in asked:
        np.testing.assert_allclose(got, np.broadcast_to(change, (64, 2)), atol=1e-6)
    assert direction(np.zeros((64, 2), np.float32), np.ones((64, 2), np.float32)).shape == (64, 1)


# ---- what fails ---------------------------------------------------------------------------------


class _Failing(PassCodec):
    """Gives what is not sound in one of its decodes."""

    value, number = np.nan, 6

    def decode(self, latents, noise, position, target) -> None:
        super().decode(latents, noise, position, target)
        if len(self.positions) == self.number:
            target[0, 1, 500, -1] = self.value


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_a_decode_that_is_not_finite_is_silent_and_counted(value: float) -> None:
    frames = 60 * HOP
    tone = sound(frames, 1, 44100)
    shape = (16, 4, 0)
    good = through(stream(shape, (44100, 44100)), tone, tone, knob(frames))
    codec = _Failing(16)
    codec.value = value
    whole = StudioStream(codec, StreamSettings(*shape), 44100, 2000)
    got = through(whole, tone, tone, knob(frames))
    assert whole.nan_windows == 1
    assert got.shape == good.shape and np.isfinite(got).all()
    # The first hop ends with frame −1, so the sixth gives frames 16 … 19.
    changed = np.flatnonzero(got != good)
    assert changed.min() >= 16 * HOP and changed.max() < (19 + OVERLAPS) * HOP
    assert not got[0, 19 * HOP : 20 * HOP].any()


@pytest.mark.parametrize("tone", [0, 1])
def test_a_tone_that_is_not_finite_spoils_only_the_windows_that_hold_it(tone: int) -> None:
    frames, at = 120 * HOP, 40 * HOP + 100
    tones = [sound(frames, 1, 44100), sound(frames, 2, 44100)]
    good = through(stream((8, 2, 0), (44100, 44100)), tones[0], tones[1], knob(frames, 0.5))
    spoilt = [one.copy() for one in tones]
    spoilt[tone][0, at] = np.nan
    whole = stream((8, 2, 0), (44100, 44100))
    got = through(whole, spoilt[0], spoilt[1], knob(frames, 0.5))
    assert np.isfinite(got).all()
    # Frames 37 … 40 hold it, windows of 8 every 2 frames.
    assert whole.nan_windows in (5, 6)
    changed = np.flatnonzero(got != good)
    assert changed.min() >= 35 * HOP and changed.max() < (40 + 8 + OVERLAPS) * HOP


def test_at_an_end_the_other_tone_may_be_anything() -> None:
    frames = 60 * HOP
    tone, wild = sound(frames, 1), np.full((1, frames), np.nan, np.float32)
    whole = stream()
    got = through(whole, tone, wild, knob(frames, 0.0))
    expected = through(stream(), tone, np.zeros_like(tone), knob(frames, 0.0))
    assert whole.nan_windows == 0
    assert got.tobytes() == expected.tobytes()


def test_a_knob_that_is_no_number_stays_where_it_was() -> None:
    codec = PassCodec(16)
    whole = StudioStream(codec, StreamSettings(16, 1), 44100, 1000)
    frames = 30 * HOP
    tone, position = np.zeros((1, frames), np.float32), knob(frames, 0.25)
    position[10 * HOP : 20 * HOP] = np.nan
    position[20 * HOP :] = 7.0
    through(whole, tone, tone, position)
    assert set(codec.positions) == {0.25, 1.0}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"window_frames": 12}, "The window has 12 frames, expected a multiple of 8"),
        ({"window_frames": 0}, "The window has 0 frames"),
        ({"hop_frames": 0}, "The hop has 0 frames, expected 1 to the window's 16"),
        ({"hop_frames": 17}, "The hop has 17 frames"),
        (
            {"hop_frames": 10, "look_ahead_frames": 7},
            "The look-ahead has 7 frames, expected 0 to 6",
        ),
        ({"look_ahead_frames": -1}, "The look-ahead has -1 frames"),
        ({"seed": -1}, "The seed is -1"),
        ({"seed": 2**64}, "The seed is"),
        ({"rate_hz": 0}, "The network's rate is 0 Hz"),
    ],
)
def test_settings_that_do_not_fit_are_refused(given: dict, said: str) -> None:
    with pytest.raises(ModelError, match=f"^{said}") as caught:
        StreamSettings(**given)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_a_codec_of_another_window_is_refused() -> None:
    with pytest.raises(ModelError, match="window has 8 frames and the settings' 16"):
        StudioStream(PassCodec(8), StreamSettings(16), 48000, 64)


def test_a_rate_that_cannot_be_converted_is_refused() -> None:
    with pytest.raises(ModelError, match="only whole numbers up to 4096"):
        StudioStream(PassCodec(16), StreamSettings(16), 48001, 64)


def test_a_change_of_another_shape_is_refused() -> None:
    for shape in ((63, 1), (64, 3), (2, 64, 2)):
        with pytest.raises(ModelError, match="The change of the latents is"):
            stream(change=np.zeros(shape, np.float32))


def test_tones_of_other_shapes_are_refused_before_anything_moves() -> None:
    whole = stream()
    good, short = np.zeros((1, 64), np.float32), np.zeros((1, 63), np.float32)
    long = np.zeros((1, 2001), np.float32)
    for a, b, position in ((short, good, knob(64)), (good, short, knob(64)), (good, good, knob(9))):
        with pytest.raises(ValueError, match="The tones are"):
            whole.push(a, b, position)
    with pytest.raises(ValueError, match="n up to 2000"):
        whole.push(long, long, knob(2001))
    frames = 9000
    a, b, position = sound(frames, 1), sound(frames, 2), turning(frames)
    expected = through(stream(), a, b, position)
    assert through(whole, a, b, position).tobytes() == expected.tobytes()


def test_the_queue_holds_what_a_caller_needs_and_says_when_it_is_full() -> None:
    period = 64
    whole = stream((16, 8, 0))
    silence, target = np.zeros((1, period), np.float32), np.zeros((1, period), np.float32)
    played = 0
    for pushed in range(period, 100000, period):
        whole.push(silence, silence, knob(period))
        if pushed >= whole.latency_frames + period:  # plays as late as the preset says
            assert whole.pull(target) == period
            played += period
    assert played > 80000
    with pytest.raises(ValueError, match="pull before pushing"):
        for _ in range(10000):
            whole.push(silence, silence, knob(period))


def test_the_buffers_are_made_once() -> None:
    whole = stream((8, 1, 0))
    silence, target = np.zeros((1, 64), np.float32), np.zeros((1, 4000), np.float32)
    position = knob(64)
    for _ in range(400):
        whole.push(silence, silence, position)
        whole.pull(target)
    tracemalloc.start()
    try:
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(1500):
            whole.push(silence, silence, position)
            whole.pull(target)
        assert tracemalloc.get_traced_memory()[0] - first < 20000
    finally:
        tracemalloc.stop()
