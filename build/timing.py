"""How long a codec takes, and whether a bundle's stream fits into it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.golden import Golden
from models.manifest import Facts
from models.music2latent.budget import ADMISSIBLE
from models.music2latent.codec import Codec

WARM_UP, FEWEST, MOST = 3, 10, 2000
"""Runs that are not counted, and the fewest and most that are."""


@dataclass(frozen=True)
class Timing:
    """Wall-clock times of one window, in ms."""

    encode_p50_ms: float
    """Of both tones, which are encoded in one run."""
    encode_p99_ms: float
    decode_p50_ms: float
    decode_p99_ms: float
    runs: int
    """Of each."""

    def as_text(self) -> str:
        """For a person, in one line."""
        return (
            f"encode A + B {self.encode_p50_ms:.2f} ms (p99 {self.encode_p99_ms:.2f}), decode "
            f"{self.decode_p50_ms:.2f} ms (p99 {self.decode_p99_ms:.2f}), {self.runs} runs"
        )


@dataclass(frozen=True)
class Fit:
    """What a stream's hop leaves for computing."""

    hop_frames: int
    hop_ms: float
    load: float
    """Share of the hop that encode and decode take, each at its p99."""

    @property
    def fits(self) -> bool:
        """Whether 0.6 of the hop is enough."""
        return self.load <= ADMISSIBLE

    @property
    def smallest_frames(self) -> int:
        """The first hop in frames that would fit; it may be longer than the window."""
        return max(1, int(np.ceil(self.load * self.hop_frames / ADMISSIBLE)))

    def as_text(self) -> str:
        """For a person, in one line."""
        share = (
            f"{100 * self.load:.0f} % of a hop of {self.hop_frames} frames, {self.hop_ms:.1f} ms"
        )
        if self.fits:
            return f"live: {share}; fits, up to {100 * ADMISSIBLE:.0f} % do"
        return (
            f"not live: {share}, and at most {100 * ADMISSIBLE:.0f} % fit; a hop of "
            f"{self.smallest_frames} frames would"
        )


def time_codec(codec: Codec, golden: Golden, precision: str, seconds: float = 2.0) -> Timing:
    """Encode and decode the golden inputs by turns for some seconds. Raises ``CodecError``."""
    latents = np.zeros_like(golden[f"latents.{precision}"])
    decoded = np.zeros_like(golden[f"decoded.{precision}"])
    position = float(golden["position"].flat[0]) if "position" in golden else 0.0
    steps: tuple[Callable[[], None], ...] = (
        lambda: codec.encode(golden["spectra"], latents),
        lambda: codec.decode(golden["blend"], golden["noise"], position, decoded),
    )
    for _ in range(WARM_UP):
        for step in steps:
            step()
    taken_ms: list[list[float]] = [[], []]
    end = time.perf_counter() + seconds
    while len(taken_ms[0]) < FEWEST or (time.perf_counter() < end and len(taken_ms[0]) < MOST):
        for step, taken in zip(steps, taken_ms, strict=True):
            begin = time.perf_counter()
            step()
            taken.append(1e3 * (time.perf_counter() - begin))
    (encode_50, encode_99), (decode_50, decode_99) = np.percentile(taken_ms, (50, 99), axis=1).T
    return Timing(
        float(encode_50), float(encode_99), float(decode_50), float(decode_99), len(taken_ms[0])
    )


def fit(timing: Timing, facts: Facts) -> Fit:
    """What the stream of a bundle needs of its hop, fed at the network's rate."""
    hop_ms = 1e3 * facts.hop_frames * facts.hop / facts.rate_hz
    load = (timing.encode_p99_ms + timing.decode_p99_ms) / hop_ms
    return Fit(facts.hop_frames, hop_ms, load)
