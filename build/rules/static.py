"""Rules of a static graph: all sizes known, the same way through it each time."""

from collections.abc import Iterator

from build.rules.rule import Finding, Rule
from build.rules.subject import Subject

CHANGING = frozenset(
    {
        "Bernoulli",
        "If",
        "Loop",
        "Multinomial",
        "NonMaxSuppression",
        "NonZero",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Scan",
        "Unique",
    }
)
"""Operators whose result, its size or its time depends on more than the inputs' shapes."""


def _shapes(subject: Subject) -> Iterator[Finding]:
    for view in subject.views():
        if view.problem:
            yield Finding(view.name, f"shapes cannot be inferred: {view.problem}")
        for node in view.nodes:
            for name in node.output:
                known = view.types.get(name)
                if name and (
                    known is None or known.shape is None or min(known.shape, default=1) < 1
                ):
                    yield Finding(view.at(node), f"{name[:80]!r} has no fixed shape")


def _flow(subject: Subject) -> Iterator[Finding]:
    for view in subject.views():
        for node in view.nodes:
            if any(attribute.g.node or attribute.graphs for attribute in node.attribute):
                yield Finding(view.at(node), "holds a graph of its own")
            elif node.op_type in CHANGING or node.op_type.startswith(("Sequence", "Optional")):
                yield Finding(view.at(node), "does not do the same each time")


RULES = (
    Rule(
        "shapes",
        "Every tensor's shape is fixed and follows from the inputs'.",
        "ONNX, strict shape inference; CUDA graphs and one optimisation profile need it",
        _shapes,
    ),
    Rule(
        "flow",
        "No branches, loops, sequences, random numbers or sizes that depend on the data.",
        "design: the same bits for the same input; TensorRT, *Working with Loops*",
        _flow,
    ),
)
