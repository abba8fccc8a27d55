"""What short windows cost in sound: streaming against decoding the whole phrase at once.

Group normalisation spans the window, so a short window is an approximation. A phrase is decoded at
once and by sliding windows of each length, hop and look-ahead, from the same noise; the rows say
how far the two are apart. How far two decodes of the *whole* phrase from different noise are apart
stands beside them: the network does not promise more than that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.latent import slerp
from models.music2latent.codec import Codec
from models.music2latent.measure_rates import latency_ms
from models.music2latent.noise import WindowNoise
from models.music2latent.parity import latent_cosine, log_spectral_distance_db, snr_db
from models.music2latent.spectrum import BINS, HOP, OVERLAPS, Analysis
from models.music2latent.stream import (
    FRAMES_PER_LATENT,
    LATENT_CHANNELS,
    NETWORK_RATE_HZ,
    StreamSettings,
)
from models.units import RATE_HZ, Audio

Array = npt.NDArray[np.float32]

CodecFor = Callable[[int], Codec]
"""Makes the codec of a window length in frames."""

Progress = Callable[[str], None]
"""Told what is being measured, before it is."""

WINDOWS, HOPS, LOOK_AHEADS = (8, 16, 32), (1, 2, 4, 8, 16, 32), (0, 1, 2, 4, 8)
WHOLE_FRAMES = 128
"""What is taken for a whole phrase: 1.5 s."""


@dataclass(frozen=True)
class WindowRow:
    """Sliding windows of one shape against the phrase decoded at once."""

    window_frames: int
    hop_frames: int
    look_ahead_frames: int
    latency_ms: float
    """At 48 kHz, converted to the network's rate; without computing."""
    decodes_per_s: float
    latent_cosine: float
    """Mean over both tones, of the latents that the emitted frames lie in."""
    decoded_snr_db: float
    """Of the compressed spectra: with the phase."""
    distance_db: float
    """Log-spectral distance: without the phase."""


@dataclass(frozen=True)
class WindowStudy:
    """All shapes, and what another noise does to the whole phrase."""

    rows: tuple[WindowRow, ...]
    other_noise_snr_db: float
    other_noise_distance_db: float
    whole_frames: int


def window_study(
    codec_for: CodecFor,
    a: Audio,
    b: Audio,
    windows: Sequence[int] = WINDOWS,
    hops: Sequence[int] = HOPS,
    look_aheads: Sequence[int] = LOOK_AHEADS,
    whole_frames: int = WHOLE_FRAMES,
    position: float = 0.5,
    seed: int = 0,
    progress: Progress = lambda _: None,
) -> WindowStudy:
    """Measure every shape that fits, on two tones ``(1, n)`` at the network's rate.

    ``whole_frames`` is a multiple of 8 and at least three times the longest window: the longest
    at both ends is left out, for there the phrase itself has no past or future. The tones need
    ``(whole_frames + 3) · 512`` samples. Raises ``ValueError`` where that does not fit.
    """
    longest = max(windows)
    if whole_frames < 3 * longest or a.shape != b.shape:
        raise ValueError(
            f"The phrase is {whole_frames} frames and the tones {a.shape} and {b.shape}, expected "
            f"at least {3 * longest} frames and tones of one length."
        )
    frames = _frames(a, b, whole_frames)
    progress(f"whole phrase, {whole_frames} frames")
    codec = codec_for(whole_frames)
    latents, truth = _decode(codec, frames, seed, position)
    _, redrawn = _decode(codec, frames, seed + 1, position)
    del codec
    judged = np.arange(longest, whole_frames - longest)
    rows = []
    for window in windows:
        progress(f"windows of {window} frames")
        sliding = _slide(codec_for(window), frames, seed, position)
        for hop in (hop for hop in hops if hop <= window):
            for ahead in (ahead for ahead in look_aheads if hop + ahead <= window):
                shape = StreamSettings(window, hop, ahead, seed)
                rows.append(_window_row(shape, sliding, latents, truth, judged))
    return WindowStudy(
        tuple(rows),
        snr_db(truth[..., judged], redrawn[..., judged]),
        log_spectral_distance_db(truth[..., judged], redrawn[..., judged]),
        whole_frames,
    )


@dataclass(frozen=True)
class _Sliding:
    """What windows that end at each frame gave; index 0 ends with frame ``window − 1``."""

    latents: Array  # (windows, 2, channels, latents)
    decoded: Array  # (windows, 2, bins, window)


def _frames(a: Audio, b: Audio, count: int) -> Array:
    """Frames 0 … of both tones, ``(count, 2, 2, bins)``."""
    samples = np.concatenate([a, b])[:, : (count + OVERLAPS - 1) * HOP]
    made = np.zeros((count + OVERLAPS, 2, 2, BINS), np.float32)
    whole = Analysis(2).push(samples, made) - (OVERLAPS - 1)
    if whole < count:
        raise ValueError(f"The tones hold {max(0, whole)} whole frames, expected {count}.")
    return made[OVERLAPS - 1 : OVERLAPS - 1 + count]


def _decode(
    codec: Codec, frames: Array, seed: int, position: float, first: int = 0
) -> tuple[Array, Array]:
    """Latents of both tones and the decoded morph of one window that begins at frame ``first``."""
    count = frames.shape[0]
    latents = np.zeros((2, LATENT_CHANNELS, count // FRAMES_PER_LATENT), np.float32)
    noise = np.zeros((1, 2, BINS, count), np.float32)
    decoded = np.zeros_like(noise)
    codec.encode(np.ascontiguousarray(np.moveaxis(frames, 0, -1)), latents)
    WindowNoise(seed, count).window(first, noise[0])
    codec.decode(slerp(latents[:1], latents[1:], position), noise, position, decoded)
    return latents, decoded


def _slide(codec: Codec, frames: Array, seed: int, position: float) -> _Sliding:
    window = codec.window_frames
    made = [
        _decode(codec, frames[first : first + window], seed, position, first)
        for first in range(frames.shape[0] - window + 1)
    ]
    return _Sliding(
        np.stack([latents for latents, _ in made]), np.concatenate([decoded for _, decoded in made])
    )


def _window_row(
    shape: StreamSettings, sliding: _Sliding, latents: Array, truth: Array, judged: np.ndarray
) -> WindowRow:
    window, hop, ahead = shape.window_frames, shape.hop_frames, shape.look_ahead_frames
    # Each frame is taken from the window the stream takes it from: the first that ends on the
    # hop's grid and no less than the look-ahead behind it.
    firsts = -(-(judged + ahead + 1) // hop) * hop - window
    given = np.stack(
        [sliding.decoded[at, ..., f - at] for at, f in zip(firsts, judged, strict=True)]
    )
    streamed = np.moveaxis(given, 0, -1)[None]
    # Latents depend on where the emitted frames lie in the window, not on the hop's grid, and can
    # be compared where a window begins with one of the phrase's own latents.
    oldest = (window - ahead - hop) // FRAMES_PER_LATENT
    behind = (window // FRAMES_PER_LATENT) - ahead // FRAMES_PER_LATENT
    cosines = []
    for first in range(0, len(sliding.latents), FRAMES_PER_LATENT):
        if judged[0] - window < first <= judged[-1]:
            base = first // FRAMES_PER_LATENT
            whole = latents[..., base + oldest : base + behind]
            cosines.append(latent_cosine(whole, sliding.latents[first, ..., oldest:behind]))
    return WindowRow(
        window,
        hop,
        ahead,
        latency_ms(shape, RATE_HZ),
        NETWORK_RATE_HZ / HOP / hop,
        float(np.mean(cosines)),
        snr_db(truth[..., judged], streamed),
        log_spectral_distance_db(truth[..., judged], streamed),
    )
