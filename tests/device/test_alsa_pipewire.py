"""The port on a clock: PipeWire's sinks without hardware. Ratios only, machines are noisy."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import soundfile
from scipy.signal import chirp, correlate

from device.boards.alsa import AlsaConfig, AlsaPort
from device.boards.audio_port import PortStatus
from device.errors import AudioError
from device.plain import replace
from tests.device.alsa_support import PipeWire, needs_alsa, pipewire, run_periods, use_pipewire

pytestmark = pytest.mark.pipewire

RATE_HZ = 48000
FRAMES = 128


@pytest.fixture(scope="module")
def server() -> Iterator[PipeWire]:
    needs_alsa()
    # Not pytest's own folder: the socket's path must be shorter than 108 characters.
    with TemporaryDirectory(prefix="pw") as folder, pipewire(Path(folder)) as running:
        yield running


@pytest.fixture
def config(server: PipeWire, monkeypatch: pytest.MonkeyPatch) -> AlsaConfig:
    return use_pipewire(server, monkeypatch)


def test_the_cards_clock_paces_the_loop(config: AlsaConfig) -> None:
    port = AlsaPort(config)
    port.open()
    assert not port.absent, port.last_error
    run_periods(port, 20)  # the server takes its time to link the streams
    count = 3 * RATE_HZ // FRAMES
    began_s, worked_s = time.monotonic(), time.process_time()
    _, statuses = run_periods(port, count)
    took_s, worked_s = time.monotonic() - began_s, time.process_time() - worked_s
    port.close()
    assert not port.absences, port.last_error
    assert 0.8 < count * FRAMES / RATE_HZ / took_s < 1.25
    assert statuses.count((0, 0)) > 0.8 * count  # a busy machine may lose some
    assert worked_s < 0.5 * took_s  # it waits, it does not spin


def loudest_match(recording: np.ndarray, sound: np.ndarray) -> float:
    """The highest normalised correlation of ``sound`` anywhere in ``recording``, 0…1."""
    products = correlate(recording, sound, mode="valid", method="fft")
    energy = correlate(recording**2, np.ones(len(sound)), mode="valid", method="fft")
    level = np.sqrt(np.maximum(energy, 1e-6) * np.sum(sound**2))
    return float(np.max(np.abs(products) / level))


def test_what_is_played_into_the_pedal_comes_out_of_it(
    config: AlsaConfig, server: PipeWire, tmp_path: Path
) -> None:
    # Many short sweeps: a busy machine may break some with an xrun, one whole one is enough.
    time_s = np.arange(2048) / RATE_HZ
    sweep = (0.5 * chirp(time_s, 100.0, time_s[-1], 8000.0)).astype(np.float32)
    guitar = np.zeros((RATE_HZ * 3 // 2, 2), np.float32)
    for start in range(0, len(guitar) - 4800, 4800):
        guitar[start : start + len(sweep)] = sweep[:, None]
    soundfile.write(tmp_path / "guitar.wav", guitar, RATE_HZ, subtype="FLOAT")
    port = AlsaPort(replace(config, periods=4))
    port.open()
    run_periods(port, 20)
    recorder = server.start_program(
        *("pw-record", "--target", "pedal_out", "-P", "{ stream.capture.sink=true }"),
        *("--rate", "48000", "--channels", "2", "--format", "f32", str(tmp_path / "amp.wav")),
    )
    player = server.start_program("pw-play", "--target", "pedal_in", str(tmp_path / "guitar.wav"))
    heard, _ = run_periods(port, 2 * RATE_HZ // FRAMES + 100)
    port.close()
    server.end(recorder, player)
    played, _ = soundfile.read(tmp_path / "amp.wav", always_2d=True)
    assert loudest_match(heard, sweep) > 0.9
    assert loudest_match(played[:, 0], sweep) > 0.9


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        ("alsa.rate=44100", "asked for a rate of 48000 Hz and was given 44100: set rate_hz"),
        ("alsa.period-bytes=8192", "asked for a period of 128 frames and was given 1024"),
    ],
)
def test_a_rate_or_period_that_was_not_asked_for_is_told(
    config: AlsaConfig, monkeypatch: pytest.MonkeyPatch, properties: str, sentence: str
) -> None:
    monkeypatch.setenv("PIPEWIRE_ALSA", f"{{ {properties} }}")
    with pytest.raises(AudioError, match=sentence):
        AlsaPort(config).open()


def test_a_server_that_goes_and_comes_back(
    config: AlsaConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As near to unplugging as real ALSA comes without a kernel driver.
    with TemporaryDirectory(prefix="pw") as folder, pipewire(Path(folder)) as server:
        config = replace(use_pipewire(server, monkeypatch), start_s=3.0)
        port = AlsaPort(config)
        port.open()
        assert run_periods(port, 50)[1][-1] == (0, 0)
        server.end(server.manager, server.daemon)
        began_s = time.monotonic()
        statuses = run_periods(port, 400)[1]
        took_s = time.monotonic() - began_s
        assert statuses[-1] == (PortStatus.ABSENT, PortStatus.ABSENT)
        assert port.absences >= 1
        assert 0.8 < 400 * FRAMES / RATE_HZ / took_s < 1.25
        server.start()
        period = np.zeros((1, FRAMES), np.float32)
        deadline_s = time.monotonic() + 10.0
        while port.read(period) is not PortStatus.OK and time.monotonic() < deadline_s:
            port.write(period)
        assert port.reopens >= 1
        assert run_periods(port, 100)[1].count((0, 0)) > 50
        port.close()
