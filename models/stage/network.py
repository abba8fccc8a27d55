"""The stage network: a small causal network that hears both tones and bends the crossfade.

``out = (1 − p)·a + p·b + 4p(1 − p)·shape * Σ_k (α_k·a_k + β_k·b_k)``. Both tones, evened out
(``models.stage.colour``), go through one learnt bank of causal filters. A network that is the
same for both tones hears how loud each band of its own tone, of the other and of their
difference has been, and says how much of each band to add or take away. What is added is made
of the tones by gains that move slowly, so it has their partials and their silence between the
partials. All gains are multiplied by how much the tones differ just now, 0 for equal ones, and by
one number for the pair: what the tones are like on average tells whether the crossfade is right
already, as it is between a dry sound and its echo. Swapping the tones and turning the knob
round changes nothing, by construction.

The audio's way has no latency. The gains come every ``BLOCK_FRAMES`` and move on straight lines
one block late, because a line's end has to be known when it begins.

This file is for training only; ``models.stage.graph`` writes the same network for the pedal.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812 (its name everywhere)
from torch import Tensor, nn

from models.stage.colour import TRAIT_BANDS, TRAIT_ROWS, even_to_the_ear
from models.stage.shape import (
    BLOCK_FRAMES,
    FAST_BLOCKS,
    POWER_FLOOR,
    RATIO_FLOOR,
    SLOW_BLOCKS,
    Shape,
)
from models.units import RATE_HZ


class StageNetwork(nn.Module):
    """The whole network, for sounds of whole blocks; silence is before the first frame."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        bands, width = shape.bands, shape.width
        self.ear = nn.Parameter(gammatones(bands, shape.ear_taps))
        told = TRAIT_ROWS * 2 * TRAIT_BANDS
        self.traits = nn.Linear(told, width, bias=False)
        nn.init.normal_(self.traits.weight, std=0.05)
        self.doubting = True
        self.doubt = nn.Linear(told, shape.gate)
        self.gate = nn.Linear(shape.gate, 1)
        nn.init.constant_(self.gate.bias, 1.5)
        self.enter = nn.Conv1d(3 * bands * 2 + 2, width, 1)
        self.past = nn.Conv1d(width, width, shape.taps, dilation=shape.dilation)
        self.film = nn.Conv1d(2, 2 * width, 1)
        self.mix = nn.Conv1d(width, width, 1)
        # The last band is the whole tone, so that another blend of the whole can be exact.
        self.leave = nn.Conv1d(width, bands + 1, 1)
        for layer in (self.film, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(
        self,
        a: Tensor,
        b: Tensor,
        position: Tensor,
        whiten: Tensor,
        shape: Tensor,
        traits: Tensor,
    ) -> Tensor:
        """Morph ``(batch, 1, frames)`` at −20 dBFS RMS.

        ``position`` is ``(batch, 1, 1 or frames)``; ``whiten`` and ``shape`` ``(batch, taps)``
        and ``traits`` ``(batch, TRAIT_ROWS, 2·TRAIT_BANDS)`` are the tones' colour. The ends
        are the tones only to rounding: the pedal selects them instead.
        """
        position = position.expand_as(a)
        blend = (1.0 - position) * a + position * b
        tones = torch.cat([filtered(a, whiten), filtered(b, whiten)])
        bands = _through(tones[:, 0], self.ear)
        gains = between(self.gains(tones, bands, position, traits))
        of_a, of_b = (gains * torch.cat([bands, tones], dim=1)).sum(1, keepdim=True).chunk(2)
        return blend + 4.0 * position * (1.0 - position) * filtered(of_a + of_b, shape)

    def gains(self, tones: Tensor, bands: Tensor, position: Tensor, traits: Tensor) -> Tensor:
        """Of each tone's bands at each block's end, ``(2·batch, bands + 1, blocks)``."""
        a, b = tones.chunk(2)
        first, second = bands.chunk(2)
        of_a, of_b, apart = levels(torch.cat([bands, first - second])).chunk(3)
        own, other = torch.cat([of_a, of_b]), torch.cat([of_b, of_a])
        position = position[..., BLOCK_FRAMES - 1 :: BLOCK_FRAMES]
        side = 2.0 * torch.cat([1.0 - position, position]) - 1.0
        place = torch.cat([side, side.square()], dim=1)
        heard = torch.cat([own, other, torch.cat([apart, apart]), place], dim=1)
        told = torch.cat([traits, traits[:, [1, 0, 2, 3]]]).flatten(1)
        signal = torch.tanh(self.enter(heard) + self.traits(told)[..., None])
        scale, shift = self.film(place).chunk(2, dim=1)
        lookback = (self.shape.taps - 1) * self.shape.dilation
        past = self.past(F.pad(signal, (lookback, 0)))
        signal = signal + torch.tanh(past * (1.0 + scale) + shift)
        signal = signal + torch.tanh(self.mix(signal))
        gains: Tensor = self.leave(signal)
        # Asked both ways round, so that swapping the tones changes nothing.
        trust = self.gate(torch.tanh(self.doubt(told))).unflatten(0, (2, -1)).mean(0)
        trust = _clipped(trust) if self.doubting else torch.ones_like(trust)
        held: Tensor = difference_ratio(a, b) * trust[..., None]
        return gains * held.repeat(2, 1, 1)


def _clipped(trust: Tensor) -> Tensor:
    """Clipped to 0…1, with a slope beyond: a gate that was shut by mistake can open again."""
    clipped = trust.clamp(0.0, 1.0)
    beyond = 0.1 * (trust - clipped)
    return clipped + beyond - beyond.detach()


def levels(bands: Tensor) -> Tensor:
    """Levels over 5 and 43 ms at each block's end, units of 20 dB, ``(batch, 2·bands, blocks)``."""
    power = _blocks(bands.square())
    both = torch.cat([_mean(power, FAST_BLOCKS), _mean(power, SLOW_BLOCKS)], dim=1)
    return 0.5 * torch.log10(both + POWER_FLOOR)


def difference_ratio(a: Tensor, b: Tensor) -> Tensor:
    """Mean ``|a − b|`` over mean ``|a| + |b|`` of the last 5 ms at each block's end, 0…1."""
    both = _blocks(torch.cat([(a - b).abs(), a.abs() + b.abs()], dim=1))
    both = _mean(both, FAST_BLOCKS)
    return both[:, :1] / (both[:, 1:] + RATIO_FLOOR)


def between(values: Tensor) -> Tensor:
    """Straight lines through the values, one block late, ``(…, blocks · BLOCK_FRAMES)``."""
    start, end = F.pad(values, (2, 0))[..., :-2, None], F.pad(values, (1, 0))[..., :-1, None]
    share = torch.arange(1, BLOCK_FRAMES + 1, device=values.device) / BLOCK_FRAMES
    return (start + (end - start) * share).flatten(-2)


def filtered(signal: Tensor, taps: Tensor) -> Tensor:
    """``(batch, 1, frames)`` through one filter each, ``(batch, taps)``; silence before."""
    frames = signal.shape[-1]
    size = frames + taps.shape[-1]
    spectra = torch.fft.rfft(signal, size) * torch.fft.rfft(taps, size)[:, None]
    heard: Tensor = torch.fft.irfft(spectra, size)
    return heard[..., :frames]


def _through(sounds: Tensor, filters: Tensor) -> Tensor:
    """``(…, frames)`` through each of ``(filters, taps)``, newest tap first."""
    taps = filters.shape[-1]
    windows = F.pad(sounds, (taps - 1, 0)).unfold(-1, taps, 1)
    heard: Tensor = windows @ filters.flip(-1).T
    return heard.transpose(-1, -2)


def _blocks(signal: Tensor) -> Tensor:
    return F.avg_pool1d(signal, BLOCK_FRAMES, BLOCK_FRAMES)


def _mean(blocks: Tensor, count: int) -> Tensor:
    return F.avg_pool1d(F.pad(blocks, (count - 1, 0)), count, 1)


def gammatones(bands: int, taps: int) -> Tensor:
    """Where the bank begins: gammatone filters (Patterson et al. 1987), ``(bands, taps)``."""
    time = torch.arange(taps, dtype=torch.float64) / RATE_HZ
    filters = []
    for centre in even_to_the_ear(150.0, 18_000.0, bands).tolist():
        width = max(1.019 * 24.7 * (1 + 0.00437 * centre), 60.0)
        shape = (time * 48.0 + 0.2) ** 2 * torch.exp(-2.0 * math.pi * width * time)
        taps_of = shape * torch.cos(2.0 * math.pi * centre * time)
        filters.append(taps_of / taps_of.square().sum().sqrt() * 0.5)
    return torch.stack(filters).float()
