"""Learning a low-rank adapter for a tone: the frozen decoder, thin factors beside its weights.

What is learnt is what is played: one step from noise of the highest level to the spectra of the
recording, given the encoder's latents of the same window. The distance is the pseudo-Huber of Song
and Dhariwal, *Improved Techniques for Training Consistency Models*, 2023, with which the network
itself was trained. The modules are the authors' own, from the package music2latent (CC BY-NC 4.0).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from models.command import PackageMissingError
from models.errors import ModelError, PurgaError
from models.music2latent.adapters import HIGHEST_RANK, Adapter, adapts
from models.music2latent.architecture import OFFICIAL, Weights
from models.music2latent.architecture import Tensor as Array
from models.music2latent.checkpoint import weights_sha256

HUBER = 0.00054
"""Of the pseudo-Huber distance, per root of the number of values (Song and Dhariwal)."""

QUIETEST_DB = -40.0
"""Windows whose spectra lie this far below the recordings' loudest are not learnt from."""

_WARM_STEPS = 10
_RATE_LAST = 0.02
_JUDGED = 4


class TrainingError(PurgaError, ArithmeticError):
    """A training that came to nothing."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True)
class Plan:
    """What a training is. The same plan, weights and recordings give the same adapter on a CPU."""

    rank: int = 8
    alpha: float = 8.0
    steps: int = 500
    seed: int = 0
    window_frames: int = 16
    rate: float = 2e-3
    """Adam's step at its height."""

    def check(self) -> None:
        """Raise ``ModelError`` for a plan that cannot be carried out."""
        if not 0 <= self.rank <= HIGHEST_RANK or self.steps < 1:
            raise ModelError(
                f"rank {self.rank} and {self.steps} steps were given, expected a rank of "
                f"0…{HIGHEST_RANK} and at least one step."
            )
        if self.window_frames < 1 or self.window_frames % OFFICIAL.frames_per_latent:
            raise ModelError(
                f"A window of {self.window_frames} frames was given, expected a multiple of "
                f"{OFFICIAL.frames_per_latent}."
            )


class LowRank(nn.Module):
    """``W + (alpha / rank) · up · down``; up begins at zero, so that it begins as the base."""

    def __init__(self, weight: Tensor, plan: Plan, chance: torch.Generator) -> None:
        super().__init__()
        self.scale = plan.alpha / plan.rank
        fan_in = weight[0].numel()
        down = torch.randn((plan.rank, *weight.shape[1:]), generator=chance) / math.sqrt(fan_in)
        self.down = nn.Parameter(down.to(weight.device))
        self.up = nn.Parameter(torch.zeros(weight.shape[0], plan.rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that is played."""
        return weight + self.scale * (self.up @ self.down.flatten(1)).view_as(weight)


def generator(weights: Weights, device: str = "cpu") -> Any:
    """The package's network with these weights, frozen: ``(latents, noise, sigma) -> spectra``.

    Raises ``PackageMissingError`` without the package and ``ModelError`` for weights that do not
    fit it.
    """
    try:
        from music2latent.models import UNet
    except ImportError as error:
        raise PackageMissingError(
            f"The package {error.name} is not installed; deploy/host-setup music2latent installs "
            "it (CC BY-NC 4.0: not for commercial use)."
        ) from error
    network = UNet()
    state = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            "The weights do not fit the network of the package music2latent; give a checkpoint "
            "of its architecture."
        ) from error
    return network.to(device).eval().requires_grad_(False)


def distance(made: Tensor, truth: Tensor) -> Tensor:
    """Pseudo-Huber distance of each of a batch, over the root of its number of values.

    So it reads as an RMS error of the compressed spectra.
    """
    return ((made - truth).square().flatten(1).mean(1) + HUBER**2).sqrt() - HUBER


class AdapterTraining:
    """An adapter on its way."""

    def __init__(
        self, weights: Weights, recordings: Sequence[Array], plan: Plan, device: str = "cpu"
    ) -> None:
        """Put factors beside ``weights`` and find windows to learn from.

        Each recording is its compressed spectra, ``(2, bins, frames)``. Raises ``ModelError`` for
        recordings without a window that sounds, and what ``generator`` raises.
        """
        plan.check()
        self.plan = plan
        self.step = 0
        self._device = device
        self._spectra = [torch.from_numpy(np.array(each)) for each in recordings]
        self._windows = _sounding(recordings, plan.window_frames)
        self._base = weights_sha256(weights)
        self.network = generator(weights, device)
        chance = torch.Generator().manual_seed(plan.seed)
        self._factors = _beside(self.network, weights, plan, chance) if plan.rank else {}
        trained = [each for factors in self._factors.values() for each in factors.parameters()]
        self._trained = trained
        self._optimiser = torch.optim.Adam(trained, lr=plan.rate) if trained else None

    def advance(self) -> float:
        """One step; the distance before it, on a window and noise drawn by seed and step.

        Raises ``TrainingError`` where the distance is no longer finite.
        """
        rng = np.random.default_rng([self.plan.seed, self.step])
        window = self._windows[int(rng.integers(len(self._windows)))]
        loss = self._distance(window, rng)
        if not loss.isfinite():
            raise TrainingError(
                f"The training broke down at step {self.step}: the distance is no longer finite; "
                "take a smaller rate."
            )
        if self._optimiser is not None:
            for group in self._optimiser.param_groups:
                group["lr"] = self.plan.rate * self._pace()
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self._trained, 1.0)
            self._optimiser.step()
        self.step += 1
        return float(loss.detach())

    def judge(self, noise_seed: int) -> float:
        """Mean distance over a few windows spread over the recordings, under noise of this seed."""
        rng = np.random.default_rng([noise_seed, 2**32 - 1])  # no step's
        spread = np.linspace(0, len(self._windows) - 1, min(_JUDGED, len(self._windows)))
        with torch.no_grad():
            found = [float(self._distance(self._windows[int(at)], rng)) for at in spread]
        return float(np.mean(found))

    def adapter(self, note: str = "") -> Adapter:
        """What has been learnt so far."""
        factors = {
            name: (each.down.detach().cpu().numpy().copy(), each.up.detach().cpu().numpy().copy())
            for name, each in self._factors.items()
        }
        return Adapter(self.plan.rank, self.plan.alpha, factors, self._base, note)

    def _distance(self, window: tuple[int, int], rng: np.random.Generator) -> Tensor:
        which, start = window
        cut = self._spectra[which][:, :, start : start + self.plan.window_frames]
        truth = cut[None].to(self._device)
        noise = torch.from_numpy(rng.standard_normal(truth.shape, np.float32)).to(self._device)
        with torch.no_grad():
            latents = self.network.encoder(truth)
        made = self.network(latents, noise * OFFICIAL.sigma_max, OFFICIAL.sigma_max)
        return distance(made, truth).mean()

    def _pace(self) -> float:
        fall = 0.5 + 0.5 * math.cos(math.pi * self.step / self.plan.steps)
        return min(1.0, (self.step + 1) / _WARM_STEPS) * (_RATE_LAST + (1.0 - _RATE_LAST) * fall)


def _beside(
    network: Any, weights: Weights, plan: Plan, chance: torch.Generator
) -> dict[str, LowRank]:
    """Put factors beside every weight that may be adapted; by the weight's name."""
    factors = {}
    for name in sorted(name for name, value in weights.items() if adapts(name, value.shape)):
        path, _, parameter = name.rpartition(".")
        module = network.get_submodule(path)
        factors[name] = LowRank(getattr(module, parameter), plan, chance)
        parametrize.register_parametrization(module, parameter, factors[name])
    return factors


def _sounding(recordings: Sequence[Array], frames: int) -> list[tuple[int, int]]:
    """Recording and first frame of every window that sounds."""
    power = [
        np.convolve(np.square(each).sum(axis=(0, 1), dtype=np.float64), np.ones(frames), "valid")
        for each in recordings
        if each.shape[2] >= frames
    ]
    loudest = max((float(each.max()) for each in power), default=0.0)
    if loudest == 0.0:
        raise ModelError(
            f"The recordings hold no window of {frames} frames that sounds; give longer or louder "
            "recordings of the tone."
        )
    if len(power) != len(recordings):
        raise ModelError(
            f"A recording is shorter than a window of {frames} frames "
            f"({min(each.shape[2] for each in recordings)} frames); leave it out."
        )
    gate = loudest * 10.0 ** (QUIETEST_DB / 10.0)
    return [
        (which, int(start))
        for which, each in enumerate(power)
        for start in np.flatnonzero(each >= gate)
    ]
