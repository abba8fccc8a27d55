import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.boards.samples import FORMATS, Decoder, Encoder

FRAMES = 64
INTEGER_FORMATS = [name for name, entry in FORMATS.items() if entry.bits]


def packed(name: str, values: np.ndarray) -> bytes:
    """Lay integers out as the driver does, one channel."""
    if name == "S16_LE":
        return values.astype("<i2").tobytes()
    if name == "S24_3LE":
        return values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    if name == "S24_LE":
        # The top byte is undefined in what a card delivers: make it nonsense.
        noise = np.full_like(values, 0x5A000000)
        return ((values & 0xFFFFFF) | noise).astype("<i4").tobytes()
    return values.astype("<i4").tobytes()


def unpacked(name: str, data: bytes) -> np.ndarray:
    if name == "S16_LE":
        return np.frombuffer(data, "<i2").astype(np.int64)
    if name == "S24_3LE":
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (wide.view("<i4")[:, 0] >> 8).astype(np.int64)
    return np.frombuffer(data, "<i4").astype(np.int64)


def there_and_back(name: str, values: np.ndarray) -> np.ndarray:
    decoder = Decoder(FORMATS[name], 1, len(values))
    encoder = Encoder(FORMATS[name], 1, len(values))
    audio = np.zeros((1, len(values)), np.float32)
    decoder.raw[:] = packed(name, values)
    decoder.decode(audio)
    assert np.abs(audio).max() <= 1.0
    encoder.encode(audio)
    return unpacked(name, encoder.raw.tobytes())


def sixteen() -> st.SearchStrategy:
    return st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=FRAMES)


def twenty_four() -> st.SearchStrategy:
    return st.lists(st.integers(-(2**23), 2**23 - 1), min_size=1, max_size=FRAMES)


@given(sixteen())
def test_sixteen_bits_survive_float_exactly(numbers: list[int]) -> None:
    values = np.array(numbers, np.int32)
    assert np.array_equal(there_and_back("S16_LE", values), values)


def test_every_sixteen_bit_sample_survives() -> None:
    values = np.arange(-(2**15), 2**15, dtype=np.int32)
    assert np.array_equal(there_and_back("S16_LE", values), values)


@pytest.mark.parametrize("name", ["S24_3LE", "S24_LE"])
@settings(max_examples=60)
@given(numbers=twenty_four())
def test_twenty_four_bits_survive_float_exactly(name: str, numbers: list[int]) -> None:
    values = np.array(numbers, np.int32)
    assert np.array_equal(there_and_back(name, values), values)


@given(twenty_four())
def test_twenty_four_bits_in_thirty_two_survive_exactly(numbers: list[int]) -> None:
    values = np.array(numbers, np.int32) << 8
    assert np.array_equal(there_and_back("S32_LE", values), values)


@pytest.mark.parametrize("name", INTEGER_FORMATS)
@pytest.mark.parametrize("level", [1.0, 1.0000001, 3e38, np.inf])
def test_full_scale_clips_and_never_wraps(name: str, level: float) -> None:
    encoder = Encoder(FORMATS[name], 1, 2)
    encoder.encode(np.array([[level, -level]], np.float32))
    high, low = unpacked(name, encoder.raw.tobytes())
    full = 2 ** (FORMATS[name].bits - 1)
    assert low == -full
    assert high == (full - 128 if name == "S32_LE" else full - 1)


@pytest.mark.parametrize("name", INTEGER_FORMATS)
def test_steps_round_to_the_nearest(name: str) -> None:
    step = 2.0 ** (1 - FORMATS[name].bits)
    encoder = Encoder(FORMATS[name], 1, 6)
    encoder.encode(np.array([[0.4, 0.6, -0.4, -0.6, 0.5, 1.5]], np.float32) * np.float32(step))
    assert unpacked(name, encoder.raw.tobytes()).tolist() == [0, 1, 0, -1, 0, 2]


@pytest.mark.parametrize("name", list(FORMATS))
def test_nan_is_silence(name: str) -> None:
    encoder = Encoder(FORMATS[name], 2, 3)
    encoder.encode(np.array([[np.nan, np.nan, np.nan]], np.float32))
    assert not encoder.raw.any()


def test_float_is_passed_on_and_limited() -> None:
    encoder = Encoder(FORMATS["FLOAT_LE"], 1, 4)
    encoder.encode(np.array([[0.1, -0.9, 1.5, -np.inf]], np.float32))
    expected = np.array([0.1, -0.9, 1.0, -1.0], np.float32)
    assert np.array_equal(encoder.raw.view(np.float32), expected)


@pytest.mark.parametrize("name", list(FORMATS))
def test_one_channel_in_and_the_same_on_every_channel_out(name: str) -> None:
    entry = FORMATS[name]
    sound = np.linspace(-0.5, 0.5, FRAMES, dtype=np.float32)[None, :]
    encoder = Encoder(entry, 3, FRAMES)
    encoder.encode(sound)
    size = entry.bytes_per_sample
    interleaved = encoder.raw.reshape(FRAMES, 3, size)
    assert np.array_equal(interleaved[:, 0], interleaved[:, 1])
    assert np.array_equal(interleaved[:, 0], interleaved[:, 2])

    decoder = Decoder(entry, 3, FRAMES, channel=2)
    only_third = interleaved.copy()
    only_third[:, :2] = 0x11
    decoder.raw[:] = only_third.tobytes()
    back = np.zeros((1, FRAMES), np.float32)
    decoder.decode(back)
    step = 2.0 ** (1 - entry.bits) if entry.bits else 0.0
    assert np.abs(back - sound).max() <= step / 2


def test_a_channel_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match="only 2 channels"):
        Decoder(FORMATS["S16_LE"], 2, FRAMES, channel=2)


@pytest.mark.parametrize("name", list(FORMATS))
def test_conversion_allocates_no_array(name: str) -> None:
    decoder, encoder = Decoder(FORMATS[name], 2, FRAMES), Encoder(FORMATS[name], 2, FRAMES)
    audio = np.zeros((1, FRAMES), np.float32)
    data = encoder.raw.tobytes()
    for _ in range(3):  # what is made once, on first use
        decoder.raw[:] = data
        decoder.decode(audio)
        encoder.encode(audio)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(100):
        decoder.raw[:] = data
        decoder.decode(audio)
        encoder.encode(audio)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 256  # nothing stays
    assert peak - before < 512  # and nothing of an array's size came and went (256 bytes each,
    # beside the small Python objects of the calls themselves)
