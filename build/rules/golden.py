"""The rule of the golden pair: the graphs still compute what they did when they were built."""

import numpy as np
import numpy.typing as npt

from build.rules.rule import Finding, Outcome, Rule
from build.rules.subject import Subject
from models.errors import PurgaError
from models.manifest import Precision
from models.music2latent.codec import OnnxCodec
from models.music2latent.parity import run_golden, snr_db

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
            ratio_db = snr_db(subject.golden[f"{name}.{precision}"], given)
            notes.append(f"{precision} {name} {ratio_db:.0f} dB")
            if ratio_db < asked:
                findings.append(
                    Finding(
                        f"{precision}: {name}",
                        f"come out {ratio_db:.1f} dB above their difference from the golden ones, "
                        f"expected {asked:g}",
                    )
                )
    return Outcome(findings, ", ".join(notes))


def _compute(subject: Subject, precision: Precision) -> tuple[Array, Array]:
    """The golden input's outputs, on ONNX Runtime's CPU provider."""
    read = subject.bundle.read_model
    return run_golden(
        OnnxCodec(read("encoder", precision), read("decoder", precision)), subject.golden
    )


RULES = (
    Rule(
        "golden",
        "ONNX Runtime's CPU provider reproduces the golden pair at every precision.",
        "issue: golden pair reproduced; SNR 80 dB (fp32), 40 dB (fp16), certificate's (int8)",
        _golden,
    ),
)
