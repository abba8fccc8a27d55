"""Rules of half precision: what a CPU that computes in fp32 behind casts would not show."""

from collections.abc import Iterator

import numpy as np

from build.rules.rule import Finding, Outcome, Rule
from build.rules.subject import Array, GraphView, Subject
from models.certificate import FP16_HEADROOM, FP16_LARGEST

MOST_FLUSHED = 0.01
"""Share of a constant's numbers that may be zero in fp16 and were not in fp32."""

LARGEST = FP16_LARGEST / FP16_HEADROOM


def _constants(subject: Subject) -> Iterator[Finding]:
    for view in subject.views("fp16", "int8"):
        exact = subject.graphs[view.kind, "fp32"].arrays
        for name, array in view.arrays.items():
            if array.dtype not in (np.float16, np.float32):
                continue
            if not np.isfinite(array).all():
                yield Finding(view.name, f"the constant {name[:80]!r} holds an infinity or a NaN")
            elif array.dtype == np.float16 and (share := _flushed(array, exact.get(name))):
                yield Finding(
                    view.name,
                    f"{share:.1%} of the constant {name[:80]!r} are zero in fp16 and not in fp32",
                )


def _flushed(half: Array, exact: Array | None) -> float:
    """The share of numbers that became zero, where it is more than allowed; else 0."""
    if exact is None or exact.shape != half.shape or not half.size:
        return 0.0
    lost = np.count_nonzero(exact) - np.count_nonzero(half)
    return lost / half.size if lost > MOST_FLUSHED * half.size else 0.0


def _range(subject: Subject) -> Outcome:
    findings = []
    highest = 0.0
    for view in subject.views("fp32"):
        maxima = getattr(subject.certificate.maxima, view.kind)
        missing = [name for name in _floats(view) if name not in maxima]
        if missing:
            findings.append(
                Finding(
                    view.name,
                    f"the certificate gives no maximum of {missing[0][:80]!r}"
                    + (f" and {len(missing) - 1} more tensors" if missing[1:] else ""),
                )
            )
        for name, largest in maxima.items():
            highest = max(highest, largest)
            if largest >= LARGEST:
                findings.append(
                    Finding(
                        f"{view.name}: {name[:80]!r}",
                        f"reaches {largest:.4g}, expected below {LARGEST:.0f}",
                    )
                )
    return Outcome(findings, f"largest {highest:.4g}")


def _floats(view: GraphView) -> list[str]:
    """Every float tensor that the graph computes."""
    return [
        name
        for node in view.nodes
        if node.op_type != "Constant"
        for name in node.output
        if name and view.element(name) == "float"
    ]


RULES = (
    Rule(
        "half-constants",
        "Every constant is finite in fp16, and few are flushed to zero.",
        "IEEE 754 binary16",
        _constants,
    ),
    Rule(
        "half-range",
        f"Every tensor of the fp32 graphs stays below 65504 / {FP16_HEADROOM:g} on the material.",
        "IEEE 754 binary16; the certificate's maxima",
        _range,
    ),
)
