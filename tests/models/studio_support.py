"""Codecs that need no network, so that what the stream does can be proven."""

import numpy as np

from models.music2latent.spectrum import BINS

CHANNELS, FRAMES_PER_LATENT = 64, 8


class PassCodec:
    """Hands the first tone's spectra through (the second's at the end B), whatever the latents.

    Remembers what it was asked, and counts.
    """

    provider = "pass"

    def __init__(self, window_frames: int) -> None:
        self.window_frames = window_frames
        self.positions: list[float] = []
        self.encodes = 0

    def encode(self, spectra, target) -> None:
        assert spectra.shape == (2, 2, BINS, self.window_frames)
        assert target.shape == (2, CHANNELS, self.window_frames // FRAMES_PER_LATENT)
        assert spectra.dtype == target.dtype == np.float32
        self.encodes += 1
        self._spectra = spectra
        target[:] = pooled(spectra)

    def decode(self, latents, noise, position, target) -> None:
        assert latents.shape == (1, CHANNELS, self.window_frames // FRAMES_PER_LATENT)
        assert noise.shape == target.shape == (1, 2, BINS, self.window_frames)
        self.positions.append(position)
        target[0] = self._spectra[int(position == 1.0)]


class PooledCodec(PassCodec):
    """Latents are levels of 64 bands over 8 frames; a decode is noise at those levels.

    Like the network it depends on the whole window (by its loudest band) and on the noise.
    """

    provider = "pooled"

    def decode(self, latents, noise, position, target) -> None:
        self.positions.append(position)
        levels = latents / (0.1 + np.abs(latents).max())
        bands = np.repeat(levels, BINS // CHANNELS, axis=1)
        target[:] = noise * np.repeat(bands, FRAMES_PER_LATENT, axis=2)[:, None]


def pooled(spectra):
    """``(tones, 2, 1024, T)`` to ``(tones, 64, T/8)``, 0 … 1."""
    levels = np.hypot(spectra[:, 0], spectra[:, 1])
    tones, _, frames = levels.shape
    blocks = levels.reshape(tones, CHANNELS, -1, frames // FRAMES_PER_LATENT, FRAMES_PER_LATENT)
    return np.tanh(blocks.mean(axis=(2, 4)) / 4.0)


def through(stream, a, b, position, periods=(64,)):
    """Everything the stream gives for these frames, cut into ``periods`` in turn."""
    got, at, number = [], 0, 0
    while at < a.shape[1]:
        stop = at + periods[number % len(periods)]
        stream.push(a[:, at:stop], b[:, at:stop], position[at:stop])
        at, number = min(stop, a.shape[1]), number + 1
        part = np.zeros((1, stream.ready), np.float32)
        assert stream.pull(part) == part.shape[1]
        got.append(part)
    return np.concatenate(got, axis=1)
