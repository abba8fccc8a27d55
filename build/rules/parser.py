"""Rules of TensorRT's ONNX parser: operators, their types, what it asks of them, and the opset."""

from collections.abc import Iterator

import onnx
from onnx import helper

from build.operators import Restriction, operator_list
from build.rules.rule import Finding, Rule
from build.rules.subject import GraphView, Subject

SOURCE = "onnx-tensorrt, docs/operators.md of each target (build/operators.toml)"


def _operators(subject: Subject) -> Iterator[Finding]:
    known = operator_list()
    for target in subject.targets:
        read = known.types(target)
        for view in subject.views():
            for node in view.nodes:
                if node.op_type not in read:
                    yield Finding(view.at(node), f"TensorRT {target.tensorrt} does not read it")


def _types(subject: Subject) -> Iterator[Finding]:
    known = operator_list()
    for target in subject.targets:
        read = known.types(target)
        for view in subject.views():
            for node in view.nodes:
                # A constant has no input; what it makes is what counts.
                name = view.taken(node, 0) if node.input else view.made(node)
                element = view.element(name)
                if node.op_type in read and element not in read[node.op_type]:
                    yield Finding(
                        view.at(node),
                        f"works on {element}, which TensorRT {target.tensorrt} does not list "
                        f"for it",
                    )


def _restrictions(subject: Subject) -> Iterator[Finding]:
    known = operator_list()
    for target in subject.targets:
        for view in subject.views():
            for node in view.nodes:
                for restriction in known.restrictions(node.op_type, target):
                    if not _meets(view, node, restriction):
                        yield Finding(
                            view.at(node), f"TensorRT {target.tensorrt}: {restriction.says}"
                        )


def _meets(view: GraphView, node: onnx.NodeProto, asked: Restriction) -> bool:
    given = [name for name in node.input if name]
    for index in asked.constant_inputs:
        taken = view.taken(node, index)
        if taken and taken not in view.arrays:
            return False
    if len(given) < asked.least_inputs:
        return False
    if asked.most_inputs is not None and len(given) > asked.most_inputs:
        return False
    if asked.most_outputs is not None and len([name for name in node.output if name]) > (
        asked.most_outputs
    ):
        return False
    if asked.opset_below is not None and view.opset >= asked.opset_below:
        return False
    for attribute in node.attribute:
        if asked.attribute == attribute.name:
            value = helper.get_attribute_value(attribute)
            values = value if isinstance(value, (list, tuple)) else [value]
            plain = [one.decode() if isinstance(one, bytes) else one for one in values]
            return all(one in asked.values for one in plain)
    return True


def _opset(subject: Subject) -> Iterator[Finding]:
    for target in subject.targets:
        lowest, highest = target.opset
        for view in subject.views():
            if not lowest <= view.opset <= highest:
                yield Finding(
                    view.name,
                    f"is of opset {view.opset}, but TensorRT {target.tensorrt} reads {lowest} to "
                    f"{highest}",
                )


RULES = (
    Rule("operators", "Every node's operator is one that the parser reads.", SOURCE, _operators),
    Rule("types", "Every node works on a type that is listed for it.", SOURCE, _types),
    Rule(
        "restrictions",
        "Every node keeps to what the parser asks of its operator.",
        f"{SOURCE}; its onnxOpImporters.cpp",
        _restrictions,
    ),
    Rule("opset", "The graphs' opset is one that the parser reads.", SOURCE, _opset),
)
