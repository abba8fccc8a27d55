"""Rules of strong typing: TensorRT computes in the file's types, and inserts no cast."""

from collections.abc import Iterator

from build.rules.rule import Finding, Rule
from build.rules.subject import GraphView, Subject

FLOATS = frozenset({"float", "float16", "bfloat16", "double"})
CHANGES_TYPE = frozenset({"Cast", "CastLike", "QuantizeLinear", "DequantizeLinear"})
SIZES = frozenset({"Resize", "Upsample"})
"""Their scales are float32 whatever they resize."""

PRODUCTS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
INSIDE = {"fp32": "float", "fp16": "float16", "int8": "float16"}
"""What each precision computes its products in, int8's on either side of Q/DQ."""

SOURCE = "TensorRT, *Strongly Typed Networks*: weak typing is gone in 11.0"


def _mixed(subject: Subject) -> Iterator[Finding]:
    for view in subject.views():
        for node in view.nodes:
            if node.op_type in CHANGES_TYPE | SIZES:
                continue
            taken = {view.element(name) for name in node.input if name} & FLOATS
            if len(taken) > 1:
                yield Finding(view.at(node), f"takes {' and '.join(sorted(taken))} without a Cast")


def _precision(subject: Subject) -> Iterator[Finding]:
    for view in subject.views():
        for name, known in view.types.items():
            if known.element in ("double", "bfloat16"):
                yield Finding(view.name, f"{name[:80]!r} is {known.element}")
            elif known.element == "float16" and view.precision == "fp32":
                yield Finding(view.name, f"{name[:80]!r} is float16 in an fp32 graph")
        if view.precision != "fp32" and not _computes_in(view, INSIDE[view.precision]):
            yield Finding(view.name, f"no product is computed in {INSIDE[view.precision]}")


def _computes_in(view: GraphView, element: str) -> bool:
    """Whether any product is; some may be left in fp32 for their range."""
    return any(
        node.op_type in PRODUCTS and view.element(view.made(node)) == element for node in view.nodes
    )


RULES = (
    Rule("typing", "All float inputs of a node are of one type.", SOURCE, _mixed),
    Rule(
        "precision",
        "An fp32 graph is fp32 throughout, the others compute in fp16; none in other floats.",
        SOURCE,
        _precision,
    ),
)
