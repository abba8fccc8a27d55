"""Latent arithmetic: what two recordings differ in, as tone B of any tone A.

Two recordings of one performance, say clean and driven, are encoded, and the mean over time of the
difference of their latents is a direction: "more drive". A preset adds it to tone A's latents.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from device.cache import Kept
from device.errors import AudioFileError, PresetError
from device.files import read_sound_at
from device.preset import Preset
from device.sound.morph.studio_feed import Change
from device.studio import StudioBundle
from models.latent import direction
from models.music2latent.codec import Codec
from models.music2latent.spectrum import HOP
from models.music2latent.stream import StudioStream
from models.units import Audio

_PIECE_FRAMES = 4096


def found_direction(preset: Preset, network: StudioBundle, cache: Path | None = None) -> Change:
    """The change of the latents that the preset asks for, ``(channels, 1)``, times its amount.

    From the cache where it has been found before. Raises ``PresetError`` for recordings that
    cannot be used, ``ModelError`` for a network that cannot be loaded.
    """
    table = preset.table.morph.direction
    assert table is not None
    kept = kept_direction(preset, network, cache)
    change = kept.read(_from_arrays)
    if change is None:
        change = _difference(preset, network)
        kept.write({"change": change})
    return change * np.float32(table.amount)


def kept_direction(preset: Preset, network: StudioBundle, cache: Path | None = None) -> Kept:
    """Where the preset's direction is kept, whatever its amount."""
    table = preset.table.morph.direction
    assert table is not None
    digests = []
    for name in (table.start, table.to):
        file = preset.file.parent / name
        digests.append(hashlib.sha256(file.read_bytes() if file.is_file() else b"").hexdigest())
    what = f"direction {network.bundle.sha256} {network.precision} {' '.join(digests)}"
    return Kept(what, preset, network.settings.rate_hz, None, cache)


class _Encoder:
    """A codec that keeps what it encodes and decodes nothing."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.window_frames, self.provider = codec.window_frames, codec.provider
        self.latents: list[Audio] = []

    def encode(self, spectra: Audio, target: Audio) -> None:
        self._codec.encode(spectra, target)
        self.latents.append(target.copy())

    def decode(self, latents: Audio, noise: Audio, position: float, target: Audio) -> None:
        target.fill(0.0)


def _difference(preset: Preset, network: StudioBundle) -> Change:
    start, to = _recordings(preset, network)
    encoder = _Encoder(network.codec)
    settings = network.without_overlap().settings
    stream = StudioStream(encoder, settings, settings.rate_hz, _PIECE_FRAMES)
    position = np.zeros(_PIECE_FRAMES, np.float32)
    dropped = np.zeros((1, _PIECE_FRAMES), np.float32)
    for at in range(0, start.shape[1], _PIECE_FRAMES):
        piece = slice(at, at + _PIECE_FRAMES)
        frames = start[:, piece].shape[1]
        stream.push(start[:, piece], to[:, piece], position[:frames])
        while stream.pull(dropped):
            pass
    latents = np.concatenate(encoder.latents, axis=2)
    change = direction(latents[0], latents[1])
    if not np.isfinite(change).all():
        raise PresetError(
            f"{preset.file}: morph.direction: the network's latents of these recordings are not "
            "finite; choose other recordings, or another precision in [studio]"
        )
    return change


def _recordings(preset: Preset, network: StudioBundle) -> tuple[Audio, Audio]:
    """Both, at the network's rate and of one length."""
    table = preset.table.morph.direction
    assert table is not None
    rate_hz = network.settings.rate_hz
    try:
        folder, names = preset.file.parent, (table.start, table.to)
        start, to = (read_sound_at(folder / name, rate_hz, []) for name in names)
    except AudioFileError as error:
        raise PresetError(f"{preset.file}: morph.direction: {error}") from None
    frames = min(start.shape[1], to.shape[1])
    least = 2 * network.settings.window_frames * HOP
    if frames < least:
        raise PresetError(
            f"{preset.file}: morph.direction: the shorter recording lasts {frames / rate_hz:.2f} "
            f"s, but at least {least / rate_hz:.2f} s of both are needed; give a longer phrase"
        )
    return start[:, :frames], to[:, :frames]


def _from_arrays(kept: Mapping[str, Any]) -> Change:
    change = np.asarray(kept["change"], np.float32)
    if change.ndim != 2 or change.shape[1] != 1 or not np.isfinite(change).all():
        raise ValueError(f"the change has the shape {change.shape} or holds what is no number")
    return change
