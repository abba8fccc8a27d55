"""How near a codec comes to what another one computed: the numbers of certificates and verdicts.

Everything is in decibels between ±400, so that it can be printed, stored and compared: equal bits
are 400 dB, what is not finite is as bad as it gets.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.certificate import Limits
from models.golden import Golden
from models.music2latent.codec import Codec
from models.music2latent.spectrum import EXPONENT, GAIN
from models.quality.spectral import FLOOR, distance_db

Array = npt.NDArray[np.float32]

MOST_DB = 400.0
"""Stands for infinity."""


def snr_db(truth: Array, other: Array) -> float:
    """Energy of the truth over the energy of the difference, in dB, −400 … 400."""
    with np.errstate(all="ignore"):
        wanted = float(np.sum(np.square(truth, dtype=np.float64)))
        noise = float(np.sum(np.square(truth.astype(np.float64) - other)))
        if noise == 0.0:
            return MOST_DB
        ratio_db = float(10.0 * np.log10(wanted / noise))
    return _bounded(ratio_db, -MOST_DB)


def latent_cosine(truth: Array, other: Array) -> float:
    """Mean cosine between latent vectors, ``(tones, channels, latents)``; not finite is −1."""
    if np.array_equal(truth, other):
        return 1.0  # also where a vector is zero
    with np.errstate(all="ignore"):
        one, two = truth.astype(np.float64), other.astype(np.float64)
        norms = np.linalg.norm(one, axis=-2) * np.linalg.norm(two, axis=-2)
        cosine = float(np.mean(np.sum(one * two, axis=-2) / norms))
    return min(1.0, cosine) if np.isfinite(cosine) else -1.0


def log_spectral_distance_db(truth: Array, other: Array) -> float:
    """Between compressed spectra ``(tones, 2, bins, frames)``, compression undone, in dB.

    Root mean square over bins of the level difference, mean over frames: Gray and Markel 1976,
    with the floor of ``models.quality``. Not finite is 400 dB.
    """
    with np.errstate(all="ignore"):
        distance = distance_db(_level_db(truth), _level_db(other))
    return _bounded(distance, MOST_DB)


@dataclass(frozen=True)
class Agreement:
    """A codec's golden outputs against those of a precision."""

    latent_cosine: float
    latent_snr_db: float
    decoded_snr_db: float
    log_spectral_distance_db: float

    def as_text(self) -> str:
        """For a person, in one line."""
        return (
            f"latents {self.latent_snr_db:.1f} dB SNR, cosine {self.latent_cosine:.5f}; decoded "
            f"{self.decoded_snr_db:.1f} dB SNR, log-spectral distance "
            f"{self.log_spectral_distance_db:.2f} dB"
        )


Agreements = Mapping[str, Agreement]
"""By the precision of the golden outputs."""

COSINE_TOLERANCE, DISTANCE_TOLERANCE_DB = 5e-4, 0.1
"""What another engine's rounding may add."""


def run_golden(codec: Codec, golden: Golden) -> tuple[Array, Array]:
    """The golden inputs through a codec: latents of both tones, and the decoded blend.

    Raises what the codec raises.
    """
    precision = next(name.split(".")[1] for name in golden if name.startswith("latents."))
    latents = np.zeros_like(golden[f"latents.{precision}"])
    decoded = np.zeros_like(golden[f"decoded.{precision}"])
    codec.encode(golden["spectra"], latents)
    position = float(golden["position"].flat[0]) if "position" in golden else 0.0
    codec.decode(golden["blend"], golden["noise"], position, decoded)
    return latents, decoded


def agreement(golden: Golden, precision: str, latents: Array, decoded: Array) -> Agreement:
    """Hold outputs against the golden ones of a precision."""
    true_latents, true_decoded = golden[f"latents.{precision}"], golden[f"decoded.{precision}"]
    return Agreement(
        latent_cosine=latent_cosine(true_latents, latents),
        latent_snr_db=snr_db(true_latents, latents),
        decoded_snr_db=snr_db(true_decoded, decoded),
        log_spectral_distance_db=log_spectral_distance_db(true_decoded, decoded),
    )


def beyond(golden: Golden, precision: str, made: Agreements, limits: Limits) -> tuple[str, ...]:
    """What breaks the limits, one sentence each.

    Against the same precision's golden outputs by SNR; against fp32's by cosine and distance,
    where the golden outputs of the precision keep the limit themselves: one window may lie beyond
    what the certificate says of many, and another engine need not be better.
    """
    whole, same = made["fp32"], made[precision]
    own = agreement(golden, "fp32", golden[f"latents.{precision}"], golden[f"decoded.{precision}"])
    cosine = min(limits.latent_cosine, own.latent_cosine - COSINE_TOLERANCE)
    distance_db = max(
        limits.log_spectral_distance_db, own.log_spectral_distance_db + DISTANCE_TOLERANCE_DB
    )
    problems = []
    if whole.latent_cosine < cosine:
        problems.append(
            f"The latents' cosine with fp32's is {whole.latent_cosine:.5f}, expected at least "
            f"{cosine:.5f}."
        )
    if whole.log_spectral_distance_db > distance_db:
        problems.append(
            f"The decoded spectra are {whole.log_spectral_distance_db:.2f} dB from fp32's, "
            f"expected at most {distance_db:.2f} dB."
        )
    for what, found, least in (
        ("latents", same.latent_snr_db, limits.golden_latent_snr_db),
        ("decoded spectra", same.decoded_snr_db, limits.golden_decoded_snr_db),
    ):
        if found < least:
            problems.append(
                f"The {what} are {found:.1f} dB SNR from the golden {precision} ones, expected at "
                f"least {least:g} dB."
            )
    return tuple(problems)


def _level_db(spectra: Array) -> Array:
    """Levels in dB of compressed spectra, ``(…, 2, bins, frames)`` to ``(…, frames, bins)``."""
    amplitude = np.hypot(spectra[..., 0, :, :], spectra[..., 1, :, :])
    magnitude = np.power(amplitude / np.float32(GAIN), np.float32(1.0 / EXPONENT))
    levels = 20.0 * np.log10(magnitude + np.float32(FLOOR))
    return np.asarray(np.swapaxes(levels, -1, -2), np.float32)


def _bounded(number: float, otherwise: float) -> float:
    return float(np.clip(number, -MOST_DB, MOST_DB)) if np.isfinite(number) else otherwise
