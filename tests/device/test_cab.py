"""The cabinet: exactly the file's response, at any rate and period, without latency."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from device.errors import AudioFileError
from device.sound.blocks.cab import CabBlock
from device.tools.material import _RESPONSES, cabinet, cabinet_response
from models.units import Audio
from tests.device.signal import run, through


@pytest.fixture
def response(tmp_path: Path) -> tuple[Path, np.ndarray]:
    generator = np.random.default_rng(3)
    taps = (generator.normal(size=5000) * np.exp(-np.arange(5000) / 600)).astype(np.float32)
    file = tmp_path / "response.wav"
    soundfile.write(file, taps, 48000, subtype="FLOAT")
    return file, taps


@pytest.mark.parametrize("period", [16, 64, 128, 1000])
def test_convolution_is_exact_and_causal(
    response: tuple[Path, np.ndarray], period: int, guitar: Audio
) -> None:
    file, taps = response
    block = CabBlock(file, normalise="none")
    out = through(block, guitar[:, :16000], period)
    expected = np.convolve(guitar[0, :16000].astype(np.float64), taps)[: out.shape[1]]
    assert block.latency_frames == 0
    np.testing.assert_allclose(out[0], expected, atol=2e-6 * np.abs(expected).max() + 2e-6)
    block.reset()
    assert np.array_equal(run(block, guitar[:, :16000], period), out)


def test_energy_normalisation_makes_cabinets_compare(
    response: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.1, (1, 64000)).astype(np.float32)
    quiet = tmp_path / "quiet.wav"
    soundfile.write(quiet, response[1] * 0.01, 48000, subtype="FLOAT")
    loud, soft = (through(CabBlock(file), noise, 64) for file in (response[0], quiet))
    np.testing.assert_allclose(loud, soft, atol=1e-6)
    assert np.std(loud[0, 8000:]) == pytest.approx(np.std(noise), rel=0.05)


@pytest.mark.parametrize("file_rate", [22050, 44100, 96000])
def test_a_response_of_another_rate_sounds_the_same(tmp_path: Path, file_rate: int) -> None:
    """A smooth response sampled at two rates gives the same magnitude in the audible band."""
    files = []
    for rate in (48000, file_rate):
        time_s = np.arange(int(0.05 * rate)) / rate
        taps = 1000.0 / rate * np.exp(-time_s * 800.0) * np.sin(2 * np.pi * 900.0 * time_s)
        files.append(tmp_path / f"{rate}.wav")
        soundfile.write(files[-1], taps.astype(np.float32), rate, subtype="FLOAT")
    impulse = np.zeros((1, 6400), np.float32)
    impulse[0, 0] = 1.0
    native, converted = (
        np.abs(np.fft.rfft(through(CabBlock(file, normalise="none"), impulse, 64)[0]))
        for file in files
    )
    band = slice(int(100 * 6400 / 48000), int(3000 * 6400 / 48000))
    ratio_db = 20.0 * np.log10(converted[band] / native[band])
    assert np.abs(ratio_db).max() < 0.3


def test_real_cabinets_load(shared_audio: Path, guitar: Audio) -> None:
    for file in sorted((shared_audio / "ir").glob("*.*")):
        out = through(CabBlock(file), guitar[:, :9600], 64)
        assert np.isfinite(out).all() and 0.01 < np.abs(out).max() < 4.0, file


def test_silent_response_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "silence.wav"
    soundfile.write(file, np.zeros(100, np.float32), 48000)
    with pytest.raises(AudioFileError, match="silent"):
        CabBlock(file)


def test_own_cabinets_are_what_their_maker_makes(tmp_path: Path) -> None:
    for kind in _RESPONSES:
        made = cabinet_response(kind)
        assert np.sum(made.astype(np.float64) ** 2) == pytest.approx(1.0, rel=1e-3)
        cabinet(tmp_path / "x.flac", kind)
        kept = Path(__file__).parents[2] / "device" / "presets" / f"{kind}.flac"
        a, b = (soundfile.read(file, dtype="float32")[0] for file in (tmp_path / "x.flac", kept))
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_it_is_laid_out_where_nothing_may_be_compiled(tmp_path: Path) -> None:
    """As under the audio unit's ``MemoryDenyWriteExecute=``, in which an update is made ready."""
    file = tmp_path / "short.wav"
    soundfile.write(file, np.hanning(256).astype(np.float32), 48_000)
    program = (
        "import ctypes, sys; from pathlib import Path\n"
        "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0): sys.exit(77)\n"  # PR_SET_MDWE, Linux 6.3
        "from device.sound.blocks.cab import lay_out\n"
        f"assert lay_out(Path({str(file)!r}), 48000, 64)[0][:4] == b'RIFF'"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    if done.returncode == 77:
        pytest.skip("this kernel cannot deny a process memory that it writes and executes")
    assert done.returncode == 0, done.stderr
