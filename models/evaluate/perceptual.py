"""CDPAM, a learned perceptual distance, where its package and torch are installed.

Manocha, Jin, Zhang & Finkelstein, CDPAM: Contrastive learning for perceptual audio similarity,
ICASSP 2021 (PyPI ``cdpam`` 0.0.6, MIT, weights included). Trained on speech at 22.05 kHz: a second
opinion on guitar, not a judge.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from models.units import Audio

if TYPE_CHECKING:
    from torch import Tensor

RATE_HZ = 22_050
SCALE = 32_768.0
"""The network hears full scale as 16-bit integers, rounded."""

EXCERPT_S = 1.0
"""How much of a sound is heard, from its middle: each takes two seconds of one core."""

_WEIGHTS = Path("CDPAM_trained", "scratchJNDdefault_best_model.pth")


class Cdpam:
    """The network, loaded. 0 between a sound and itself; clean to distorted guitar 0.1–0.5."""

    def __init__(self) -> None:
        """Load. Raises ``ImportError`` without the packages ``cdpam`` and ``torch``."""
        import torch

        package = importlib.util.find_spec("cdpam")
        if package is None or package.origin is None:
            raise ImportError("The package cdpam is not installed.", name="cdpam")
        folder = Path(package.origin).parent
        network: Any = _module(folder / "models.py").FINnet(
            dev=torch.device("cpu"),
            encoder_layers=16,
            encoder_filters=64,
            ndim=[16, 6],
            classif_dp=0.05,
            classif_BN=0,
            classif_act="no",
            input_size=512,
        )
        # A pickle of more than tensors, which may run code: it is trusted because its package
        # is locked by hash.
        stored = torch.load(folder / _WEIGHTS, map_location="cpu", weights_only=False)
        network.load_state_dict(stored["state"])
        network.eval()
        self._network = network
        # Bytes, not arrays, are hashable; a truth is compared with several methods.
        self._embedding = lru_cache(maxsize=64)(self._embed)

    def distance(self, one: Audio, other: Audio) -> float:
        """Between two sounds ``(1, frames)`` at 48 kHz, one level: at least 0, no unit."""
        import torch

        embeddings = (self._embedding(_excerpt(sound).tobytes()) for sound in (one, other))
        with torch.inference_mode():
            return float(self._network.model_dist.forward(*embeddings))

    def _embed(self, samples: bytes) -> "Tensor":
        import torch

        sound = torch.from_numpy(np.frombuffer(samples, np.float32).copy())
        with torch.inference_mode():
            _, acoustics, _ = self._network.base_encoder.forward(sound[None, None, :])
            return torch.nn.functional.normalize(acoustics, dim=1)


def find_cdpam() -> tuple[Cdpam | None, str]:
    """The measure, or ``None`` and a sentence that says why it is missing."""
    try:
        return Cdpam(), ""
    except ImportError as error:
        return None, (
            f"CDPAM is left out, because {error.name or 'cdpam'} is not installed; "
            "make evaluate CDPAM=1 installs it."
        )


def _excerpt(sound: Audio) -> Audio:
    frames = round(EXCERPT_S * 48_000)
    start = max(0, (sound.shape[1] - frames) // 2)
    low = soxr.resample(sound[0, start : start + frames], 48_000, RATE_HZ)
    return np.asarray(np.round(low * SCALE), np.float32)


def _module(file: Path) -> ModuleType:
    """One module of a package without the package: its other imports are not needed here."""
    spec = importlib.util.spec_from_file_location("cdpam_models", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
