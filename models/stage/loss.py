"""What training asks for: closer to the truth than the crossfade is, and never farther."""

import torch
from torch import Tensor

from models.quality.spectral import FLOOR

_TINY = 1e-12
_REST_DB = 0.5  # a distance that nobody hears; keeps the ratio of equal sounds finite
_RESOLUTIONS = ((2048, 512, 1.0), (512, 128, 0.5))


def log_levels(sound: Tensor, window_frames: int, hop_frames: int) -> Tensor:
    """Short-time levels in dB, ``(batch, bins, times)``, of ``(batch, frames)``."""
    return 20.0 * torch.log10(_magnitudes(sound, window_frames, hop_frames) + FLOOR)


def _magnitudes(sound: Tensor, window_frames: int, hop_frames: int) -> Tensor:
    window = torch.hann_window(window_frames, device=sound.device)
    spectra = torch.stft(
        sound, window_frames, hop_frames, window=window, center=False, return_complex=True
    )
    # Not abs(): its slope at zero is no number.
    return torch.sqrt(spectra.real.square() + spectra.imag.square() + _TINY)


def level_distance(one: Tensor, other: Tensor) -> Tensor:
    """``models.quality.log_spectral_distance`` for each of a batch, from levels."""
    return (one - other).square().mean(dim=1).add(_TINY).sqrt().mean(dim=-1)


def convergence(sound: Tensor, truth: Tensor) -> Tensor:
    """Spectral convergence (Arık et al. 2018) of each of a batch, ``(batch,)``."""
    made, wanted = (_magnitudes(each, 1024, 256) for each in (sound, truth))
    apart = (made - wanted).square().sum((-1, -2)).add(_TINY).sqrt()
    return apart / wanted.square().sum((-1, -2)).add(_TINY).sqrt()


def at_level_of(sound: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """The sound brought to the truth's level, and how many dB that took, ``(batch,)``."""
    ratio = (truth.square().mean(-1) + _TINY) / (sound.square().mean(-1) + _TINY)
    return sound * ratio.sqrt()[:, None], 10.0 * torch.log10(ratio)


class Objective:
    """Distances of one batch's blends to their truths, relative to the crossfade's."""

    def __init__(self, blend: Tensor, truth: Tensor) -> None:
        """``(batch, frames)`` each; nothing is learnt from these."""
        with torch.no_grad():
            self._truth = truth
            self._levels = [log_levels(truth, size, hop) for size, hop, _ in _RESOLUTIONS]
            matched, _ = at_level_of(blend, truth)
            self.blend_db = [
                level_distance(log_levels(matched, size, hop), levels)
                for (size, hop, _), levels in zip(_RESOLUTIONS, self._levels, strict=True)
            ]
            self._blend_error = self._error(matched)
            self._blend_convergence = convergence(matched, truth)

    def __call__(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the log-spectral distance of each sound in dB."""
        matched, off_db = at_level_of(sound, self._truth)
        total = sound.new_zeros(sound.shape[0])
        distances = []
        for (size, hop, weight), levels, blend_db in zip(
            _RESOLUTIONS, self._levels, self.blend_db, strict=True
        ):
            distance = level_distance(log_levels(matched, size, hop), levels)
            distances.append(distance)
            total = total + weight * (distance + _REST_DB) / (blend_db + _REST_DB)
        # Waveform: the only term that knows about phase, so that attacks stay attacks.
        total = total + 0.5 * torch.sqrt(self._error(matched) / self._blend_error)
        total = total + 0.1 * off_db.abs().clamp(max=6.0)
        off = convergence(matched, self._truth) / (self._blend_convergence + 0.02)
        total = total + 0.3 * off.clamp(max=4.0)
        worse = torch.relu(distances[0] / (self.blend_db[0] + _REST_DB) - 0.98)
        return (total + worse).mean(), distances[0].detach()

    def _error(self, sound: Tensor) -> Tensor:
        return (sound - self._truth).square().mean(-1) + 1e-5
