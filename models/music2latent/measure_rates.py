"""What the rate costs at which the network is fed: converted both ways, or the device's as it is.

The network learnt at 44.1 kHz and the device plays at 48. Fed as it is, the sound reaches the
network one and a half semitones lower and comes back where it was.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.music2latent.codec import Codec
from models.music2latent.rates import Array, RateWay
from models.music2latent.spectrum import HOP
from models.music2latent.stream import NETWORK_RATE_HZ, StreamSettings, StudioStream
from models.quality import log_spectral_distance
from models.units import RATE_HZ, Audio, db_from_gain

_MOST = 4096  # frames pushed at a time


@dataclass(frozen=True)
class RateRow:
    """The stream at the device's rate with the network fed at another or the same."""

    network_hz: int
    hop_frames: int
    latency_ms: float
    decodes_per_s: float
    shift_semitones: float
    """How far the network hears the sound moved."""
    own_tone_db: float
    """Log-spectral distance of the knob at A from tone A; tells only with trained weights."""


@dataclass(frozen=True)
class Conversion:
    """The way to the network's rate and back, measured with sines."""

    device_hz: int
    network_hz: int
    ripple_db: float
    """Largest change of level there and back, 20 Hz … 18 kHz."""
    edge_hz: float
    """Where there and back loses 3 dB."""
    alias_db: float
    """Loudest remainder, of a sine, of what the network's rate cannot hold."""
    image_db: float
    """Loudest remainder on the way back that is not the sine."""
    latency_ms: float


def rate_rows(
    codec: Codec,
    tone: Audio,
    hops: Sequence[int] = (1, 2, 4, 8),
    network_rates: Sequence[int] = (NETWORK_RATE_HZ, RATE_HZ),
    device_hz: int = RATE_HZ,
) -> tuple[RateRow, ...]:
    """Compare the rates at which the network can be fed, on one tone ``(1, n)`` at the device's."""
    rows = []
    for network_hz in network_rates:
        window = codec.window_frames
        stream = StudioStream(
            codec, StreamSettings(window, max(1, window // 2), 0, 0, network_hz), device_hz, _MOST
        )
        own_tone_db = log_spectral_distance(tone, _played(stream, tone))
        shift = 12.0 * math.log2(NETWORK_RATE_HZ / device_hz) if network_hz == device_hz else 0.0
        for hop in (hop for hop in hops if hop <= window):
            settings = StreamSettings(window, hop, 0, 0, network_hz)
            rows.append(
                RateRow(
                    network_hz,
                    hop,
                    latency_ms(settings, device_hz),
                    network_hz / HOP / hop,
                    shift,
                    own_tone_db,
                )
            )
    return tuple(rows)


def conversion(device_hz: int = RATE_HZ, network_hz: int = NETWORK_RATE_HZ) -> Conversion:
    """Measure the converter with sines of half of full scale. The network's rate is the lower."""
    nyquist_hz = network_hz / 2.0
    top_hz = min(18_000.0, 0.41 * network_hz)
    passed = np.linspace(20.0, top_hz, 60)
    gains_db, images_db = [], []
    for frequency_hz in passed:
        there_db, _ = _sine_through(device_hz, network_hz, frequency_hz)
        back_db, image_db = _sine_through(network_hz, device_hz, frequency_hz)
        gains_db.append(there_db + back_db)
        images_db.append(image_db)
    edge_hz = top_hz
    for frequency_hz in np.arange(top_hz, nyquist_hz, 20.0):
        there_db, _ = _sine_through(device_hz, network_hz, float(frequency_hz))
        back_db, _ = _sine_through(network_hz, device_hz, float(frequency_hz))
        if there_db + back_db < -3.0:
            break
        edge_hz = float(frequency_hz)
    # Close below the network's Nyquist frequency images are near and loudest; above it, aliases.
    for frequency_hz in np.linspace(top_hz, 0.995 * nyquist_hz, 30):
        images_db.append(_sine_through(network_hz, device_hz, float(frequency_hz))[1])
    aliases_db = [
        _sine_through(device_hz, network_hz, float(frequency_hz))[1]
        for frequency_hz in np.linspace(1.005 * nyquist_hz, 0.499 * device_hz, 30)
    ]
    there, back = (
        RateWay(*hz, 1, HOP) for hz in ((device_hz, network_hz), (network_hz, device_hz))
    )
    late_s = there.lookahead_frames / device_hz + back.lookahead_frames / network_hz
    return Conversion(
        device_hz,
        network_hz,
        max(abs(gain) for gain in gains_db),
        edge_hz,
        max(aliases_db),
        max(images_db),
        1000.0 * late_s,
    )


def latency_ms(settings: StreamSettings, device_hz: int) -> float:
    """What a stream of these settings trails its input by at the device's rate."""
    stream = StudioStream(_Silent(settings.window_frames), settings, device_hz, 1)
    return 1000.0 * stream.latency_frames / device_hz


class _Silent:
    """A codec for asking a stream how late it is."""

    provider = "none"

    def __init__(self, window_frames: int) -> None:
        self.window_frames = window_frames

    def encode(self, spectra: Array, target: Array) -> None:
        target.fill(0.0)

    def decode(self, latents: Array, noise: Array, position: float, target: Array) -> None:
        target.fill(0.0)


def _played(stream: StudioStream, tone: Audio) -> Audio:
    """The tone through the stream with the knob at A, aligned and of its length."""
    frames = tone.shape[1]
    long = np.concatenate([tone, np.zeros((1, stream.latency_frames), np.float32)], axis=1)
    knob = np.zeros(long.shape[1], np.float32)
    out = np.zeros((1, long.shape[1]), np.float32)
    made = 0
    for start in range(0, long.shape[1], _MOST):
        piece = long[:, start : start + _MOST]
        stream.push(piece, piece, knob[start : start + _MOST])
        made += stream.pull(out[:, made:])
    return out[:, :frames]


def _sine_through(from_hz: int, to_hz: int, frequency_hz: float) -> tuple[float, float]:
    """Gain of a sine in dB, and the level of whatever else comes out, in dB of the sine's."""
    way = RateWay(from_hz, to_hz, 1, 8192)
    time_s = np.arange(8192) / from_hz
    sine = (0.5 * np.sin(2.0 * np.pi * frequency_hz * time_s))[None].astype(np.float32)
    out = np.zeros((1, way.most_out(8192)), np.float32)
    made = way.push(sine, out)
    inside = np.arange(500, made - 100)
    got = out[0, inside].astype(np.float64)
    phase = 2.0 * np.pi * frequency_hz * inside / to_hz
    if frequency_hz < to_hz / 2.0:
        basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)
        parts, *_ = np.linalg.lstsq(basis, got, rcond=None)
        rest = got - basis @ parts
        gain_db = db_from_gain(float(np.hypot(*parts)) / 0.5)
    else:
        rest, gain_db = got, db_from_gain(0.0)
    return gain_db, db_from_gain(float(np.std(rest)) / (0.5 / math.sqrt(2.0)))
