"""Sound files at the edge: good ones come in exactly, bad ones are named."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.errors import AudioFileError
from device.files import check_target, read_sound, read_sound_at, write_sound
from tests.device.signal import sine


def refused(file: Path) -> str:
    with pytest.raises(AudioFileError) as caught:
        read_sound(file)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)
    return str(caught.value)


def test_float_wav_comes_back_bit_for_bit_and_byte_for_byte(tmp_path: Path) -> None:
    sound = sine(440.0, 4800, level=3.0)
    for name in ("a.wav", "b.wav"):
        write_sound(tmp_path / name, sound, 48000)
    back, rate_hz = read_sound(tmp_path / "a.wav")
    assert rate_hz == 48000 and np.array_equal(back, sound)
    data = (tmp_path / "a.wav").read_bytes()
    at = data.find(b"PEAK")
    assert at > 0 and data[at + 12 : at + 16] == bytes(4)
    assert data == (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".ogg", ".aiff"])
def test_other_formats_are_read(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"sound{suffix}"
    soundfile.write(file, sine(440.0, 48000)[0], 48000)
    sound, rate_hz = read_sound(file)
    assert rate_hz == 48000 and abs(np.abs(sound).max() - 0.5) < 0.05


def test_stereo_is_averaged_and_said(tmp_path: Path) -> None:
    file = tmp_path / "stereo.wav"
    soundfile.write(file, np.array([[0.5, 0.0], [0.25, 0.25]]), 48000, subtype="FLOAT")
    notes: list[str] = []
    sound, _ = read_sound(file, notes=notes)
    assert sound.tolist() == [[0.25, 0.25]] and "averaged" in notes[0]


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 96000, 192000])
def test_other_rates_are_resampled_and_said(tmp_path: Path, rate_hz: int) -> None:
    file = tmp_path / "sound.wav"
    soundfile.write(file, sine(440.0, rate_hz, rate_hz=rate_hz)[0], rate_hz, subtype="FLOAT")
    notes: list[str] = []
    sound = read_sound_at(file, 48000, notes)
    assert abs(sound.shape[1] - 48000) <= 1 and str(rate_hz) in notes[0]
    middle = slice(4800, 43200)
    error = sound[0, middle] - sine(440.0, 48000)[0, middle]
    assert np.abs(error).max() < 1e-3


def test_bad_files_are_named(tmp_path: Path) -> None:
    file = tmp_path / "bad.wav"
    soundfile.write(file, np.zeros((0, 1)), 48000)
    assert "no samples" in refused(file)
    soundfile.write(file, np.zeros((10, 8)), 48000)
    assert "8 channels" in refused(file)
    samples = np.zeros(10, np.float32)
    samples[7] = np.nan
    soundfile.write(file, samples, 48000, subtype="FLOAT")
    assert "frame 7" in refused(file)
    for rate_hz in (4000, 384000):
        soundfile.write(file, np.zeros(10), rate_hz)
        assert str(rate_hz) in refused(file)
    for content in (b"", b"RIFF", b"\x89PNG\r\n\x1a\n" + bytes(100), b"hello" * 1000):
        file.write_bytes(content)
        assert "cannot be read as sound" in refused(file)
    assert "does not exist" in refused(tmp_path / "none.wav")
    assert "is a folder" in refused(tmp_path)
    with pytest.raises(AudioFileError, match="at most 1 s"):
        soundfile.write(file, np.zeros(96000), 48000)
        read_sound(file, maximum_s=1.0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.integers(0, 300), st.binary(max_size=40), st.integers(0, 300), st.booleans())
def test_damaged_files_never_raise_anything_else(
    tmp_path: Path, at: int, patch: bytes, length: int, truncate: bool
) -> None:
    whole = tmp_path / "whole.wav"
    if not whole.exists():
        soundfile.write(whole, sine(440.0, 100)[0], 48000, subtype="FLOAT")
    data = bytearray(whole.read_bytes())
    data[at : at + len(patch)] = patch
    file = tmp_path / "damaged.wav"
    file.write_bytes(data[:length] if truncate else data)
    try:
        sound, _ = read_sound(file)
    except AudioFileError as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(sound).all() and sound.shape[0] == 1


def test_targets_that_cannot_be_written_are_refused_before_the_work(tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    source.write_bytes(b"x")
    for target, word in (
        (tmp_path / "out.mp3", ".mp3"),
        (tmp_path / "none" / "out.wav", "does not exist"),
        (source, "also the input"),
    ):
        with pytest.raises(AudioFileError, match=word):
            check_target(target, source)
    folder = tmp_path / "folder.wav"
    folder.mkdir()
    with pytest.raises(AudioFileError, match="folder"):
        check_target(folder, source)


def test_a_write_that_fails_leaves_nothing_and_keeps_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.wav"
    target.write_bytes(b"old")

    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(AudioFileError, match="No space"):
        write_sound(target, sine(440.0, 100), 48000)
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]
