"""The rule of the golden pair: the graphs still compute what they did when they were built."""

import math

import numpy as np
import numpy.typing as npt

from build.rules.rule import Finding, Outcome, Rule
from build.rules.subject import Subject
from models.errors import PurgaError
from models.manifest import Precision
from models.music2latent.codec import OnnxCodec

LEAST_SNR_DB: dict[Precision, float] = {"fp32": 80.0, "fp16": 40.0}
"""Of another CPU's rounding. int8's, where a rounding may cross a step, is the certificate's."""

Array = npt.NDArray[np.float32]


def _golden(subject: Subject) -> Outcome:
    findings, notes = [], []
    limits = subject.certificate.limits
    for precision in subject.bundle.precisions:
        try:
            latents, decoded = _compute(subject, precision)
        except (PurgaError, ValueError) as problem:
            findings.append(Finding(precision, f"does not run: {problem}"))
            continue
        least = LEAST_SNR_DB.get(precision)
        for name, given, asked in (
            ("latents", latents, least or limits.golden_latent_snr_db),
            ("decoded", decoded, least or limits.golden_decoded_snr_db),
        ):
            snr_db = ratio_db(subject.golden[f"{name}.{precision}"], given)
            notes.append(f"{precision} {name} {snr_db:.0f} dB")
            if not snr_db >= asked:
                findings.append(
                    Finding(
                        f"{precision}: {name}",
                        f"come out {snr_db:.1f} dB above their difference from the golden ones, "
                        f"expected {asked:g}",
                    )
                )
    return Outcome(findings, ", ".join(notes))


def _compute(subject: Subject, precision: Precision) -> tuple[Array, Array]:
    """The golden input's outputs, on ONNX Runtime's CPU provider."""
    bundle, golden = subject.bundle, subject.golden
    codec = OnnxCodec(
        bundle.read_model("encoder", precision), bundle.read_model("decoder", precision)
    )
    latents = np.zeros_like(golden[f"latents.{precision}"])
    decoded = np.zeros_like(golden[f"decoded.{precision}"])
    position = float(golden["position"].item()) if "position" in golden else 0.0
    codec.encode(golden["spectra"], latents)
    codec.decode(golden["blend"], golden["noise"], position, decoded)
    return latents, decoded


def ratio_db(expected: Array, given: Array) -> float:
    """Energy of what was expected over that of the difference, in dB; at most 200."""
    signal = float(np.square(expected, dtype=np.float64).sum())
    noise = float(np.square(expected.astype(np.float64) - given).sum())
    if not math.isfinite(noise):
        return -math.inf
    return 10.0 * math.log10(max(signal, 1e-300) / max(noise, signal * 1e-20, 1e-300))


RULES = (
    Rule(
        "golden",
        "ONNX Runtime's CPU provider reproduces the golden pair at every precision.",
        "issue: golden pair reproduced; SNR 80 dB (fp32), 40 dB (fp16), certificate's (int8)",
        _golden,
    ),
)
