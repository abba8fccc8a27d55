"""Rules of numbers: the int8 files' size, and how near the precisions are to fp32."""

from collections.abc import Iterator

from build.rules.rule import Finding, Outcome, Rule
from build.rules.subject import Subject
from models.certificate import Limits
from models.manifest import KINDS, model_name
from models.music2latent.parity import latent_cosine

LARGEST_INT8_BYTES = 70_000_000
LIMITS = Limits()
"""The laxest that a certificate may state."""

GOLDEN_SLACK = 3.0
"""One window may be so many times further from fp32 than the material's mean may."""


def _size(subject: Subject) -> Outcome:
    if "int8" not in subject.bundle.precisions:
        return Outcome([Finding("manifest.json", "the bundle holds no int8 graphs")])
    files = subject.bundle.manifest.files
    total = sum(files[model_name(kind, "int8")].bytes for kind in KINDS)
    findings = []
    if total > LARGEST_INT8_BYTES:
        findings.append(Finding("int8 graphs", f"take {total / 1e6:.1f} MB, expected at most 70"))
    return Outcome(findings, f"{total / 1e6:.1f} MB")


def _certificate(subject: Subject) -> Outcome:
    certificate = subject.certificate
    findings, notes = [], []
    limits = certificate.limits
    if limits.latent_cosine < LIMITS.latent_cosine:
        findings.append(Finding("limits", f"latent_cosine is laxer than {LIMITS.latent_cosine}"))
    if limits.log_spectral_distance_db > LIMITS.log_spectral_distance_db:
        findings.append(
            Finding(
                "limits",
                f"log_spectral_distance_db is laxer than {LIMITS.log_spectral_distance_db:g}",
            )
        )
    for precision in subject.bundle.precisions:
        if precision == "fp32":
            continue
        parity = certificate.precisions.get(precision)
        if parity is None:
            findings.append(Finding(precision, "the certificate says nothing of it"))
            continue
        notes.append(
            f"{precision} cosine {parity.latent_cosine:.5f}, "
            f"{parity.log_spectral_distance_db:.2f} dB"
        )
        if parity.latent_cosine < limits.latent_cosine:
            findings.append(
                Finding(
                    precision,
                    f"latent cosine is {parity.latent_cosine:.5f}, expected "
                    f"{limits.latent_cosine} or more",
                )
            )
        if parity.log_spectral_distance_db > limits.log_spectral_distance_db:
            findings.append(
                Finding(
                    precision,
                    f"log-spectral distance is {parity.log_spectral_distance_db:.2f} dB, "
                    f"expected at most {limits.log_spectral_distance_db:g}",
                )
            )
    return Outcome(findings, "; ".join(notes))


def _believable(subject: Subject) -> Iterator[Finding]:
    least = 1.0 - GOLDEN_SLACK * (1.0 - LIMITS.latent_cosine)
    exact = subject.golden["latents.fp32"]
    for precision in subject.bundle.precisions:
        cosine = latent_cosine(exact, subject.golden[f"latents.{precision}"])
        if cosine < least:
            yield Finding(
                f"golden.npz: latents.{precision}",
                f"have a cosine of {cosine:.5f} with fp32's, expected {least:.4f} or more",
            )


RULES = (
    Rule("size", "The int8 graphs take at most 70 MB.", "issue: Numbers", _size),
    Rule(
        "parity",
        "The certificate's precisions meet latent cosine 0.999 and log-spectral distance 1 dB.",
        "issue: Numbers; certificate.json",
        _certificate,
    ),
    Rule(
        "believable",
        "The golden latents of each precision are about as near to fp32's as the certificate says.",
        "golden.npz against certificate.json",
        _believable,
    ),
)
