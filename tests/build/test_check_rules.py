"""Each rule of check, on a small bundle with one thing wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from build.check import check
from build.operators import targets
from build.rules import RULES
from build.rules import limits as limits_rules
from build.rules.quantisation import channel_axis
from build.rules.subject import GraphView, Subject
from models.errors import ModelError
from models.manifest import KINDS, Bundle, Facts, Kind, Precision
from tests.build.bundles import (
    BINS,
    CERTIFICATE,
    CHANNELS,
    FRAMES_PER_LATENT,
    OPSETS,
    PARITY,
    WINDOW,
    Draft,
    decoder,
    encoder,
    facts,
    golden_of,
    graphs,
    make_model,
    run,
    small_bundle,
)

Change = Callable[[onnx.ModelProto], None]
Models = dict[tuple[Kind, Precision], onnx.ModelProto]


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """What the graphs give while nothing is wrong with them."""
    return golden_of(graphs())


def faults(bundle: Bundle, *versions: str) -> dict[str, str]:
    """What the rules find, as one text for each rule that found something."""
    results = check(Subject(bundle, targets(versions)))
    return {
        rule.id: "\n".join(f"{found.where}: {found.what}" for found in outcome.findings)
        for rule, outcome in results
        if outcome.findings
    }


def node_of(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    (node,) = (node for node in model.graph.node if node.name == name)
    return node


def set_constant(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    for tensor in list(model.graph.initializer):
        if tensor.name == name:
            model.graph.initializer.remove(tensor)
    model.graph.initializer.append(numpy_helper.from_array(value, name))


def add_before_last(model: onnx.ModelProto, *nodes: onnx.NodeProto) -> None:
    last = model.graph.node.pop()
    model.graph.node.extend([*nodes, last])


def add_node(kind: str, *inputs: str, **attributes: Any) -> Change:
    """A node more, whose output nobody takes."""

    def change(model: onnx.ModelProto) -> None:
        node = helper.make_node(kind, inputs, ["extra"], name="extra", **attributes)
        add_before_last(model, node)

    return change


def constant(name: str, value: np.ndarray) -> Change:
    return lambda model: set_constant(model, name, value)


def attribute(node: str, name: str, value: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        found = node_of(model, node)
        kept = [one for one in found.attribute if one.name != name]
        del found.attribute[:]
        found.attribute.extend(kept)
        if value is not None:
            found.attribute.append(helper.make_attribute(name, value))

    return change


def drop_input(node: str, index: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        del node_of(model, node).input[index]

    return change


def both(*changes: Change) -> Change:
    def change(model: onnx.ModelProto) -> None:
        for one in changes:
            one(model)

    return change


def kind_of(node: str, kind: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        node_of(model, node).op_type = kind

    return change


def reshape_between(model: onnx.ModelProto) -> None:
    """An int8 tensor through a Reshape, between Q and DQ."""
    back = node_of(model, "tall.dq")
    position = list(model.graph.node).index(back)
    nodes = list(model.graph.node)
    set_constant(model, "same", np.array([1, 4, 1, 2]))
    moved = helper.make_node("Reshape", [back.input[0], "same"], ["moved"], name="moved")
    nodes[position].input[0] = "moved"
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:position], moved, *nodes[position:]])


def leave_int8(model: onnx.ModelProto) -> None:
    """The one taker of an int8 tensor is a Cast."""
    back = node_of(model, "spectra.half.dq")
    whole = back.input[0]
    del back.input[:]
    back.input.append(whole)
    back.op_type = "Cast"
    del back.attribute[:]
    back.attribute.append(helper.make_attribute("to", TensorProto.FLOAT16))


def other_scale(model: onnx.ModelProto) -> None:
    set_constant(model, "another", np.array(0.5, np.float16))
    node_of(model, "spectra.half.dq").input[1] = "another"


def one_scale_for_the_weight(model: onnx.ModelProto) -> None:
    set_constant(model, "in.scale", np.array(0.01, np.float16))
    set_constant(model, "in.zero", np.array(0, np.int8))
    attribute("in.dq", "axis", None)(model)


def scales_by_input_channel(model: onnx.ModelProto) -> None:
    set_constant(model, "out.scale", np.full(4, 0.01, np.float16))
    set_constant(model, "out.zero", np.zeros(4, np.int8))
    attribute("out.dq", "axis", 0)(model)


def activation_by_channel(model: onnx.ModelProto) -> None:
    set_constant(model, "spectra.half.scale", np.full(2, 0.04, np.float16))
    set_constant(model, "spectra.half.zero", np.zeros(2, np.int8))


FAULTS: list[tuple[str, Kind, Precision, Change, str]] = [
    ("operators", "encoder", "fp32", kind_of("bounded", "Bernoulli"), "Bernoulli 'bounded'"),
    ("types", "decoder", "int8", reshape_between, "works on int8"),
    ("types", "encoder", "fp32", add_node("Not", "spectra"), "works on float"),
    ("restrictions", "encoder", "fp16", drop_input("flat", 1), "axes may be omitted from 11.5"),
    (
        "restrictions",
        "encoder",
        "fp32",
        add_node("AveragePool", "spectra", kernel_shape=[2, 2], dilations=[2, 2]),
        "dilations must be empty",
    ),
    (
        "restrictions",
        "encoder",
        "fp32",
        both(
            constant("one", np.ones(32, np.float32)),
            constant("sizes", np.array([2, 2, 64, 16])),
            add_node("Resize", "spectra", "", "", "sizes", mode="cubic"),
        ),
        "supported modes are nearest and linear",
    ),
    (
        "restrictions",
        "decoder",
        "fp16",
        both(
            constant("shift", np.zeros(2, np.float32)),
            lambda model: model.graph.node.insert(
                0, helper.make_node("Cast", ["shift"], ["bias"], to=TensorProto.FLOAT16)
            ),
            lambda model: node_of(model, "breath").input.append("bias"),
        ),
        "the bias must be an initializer",
    ),
    ("shapes", "encoder", "fp32", add_node("NonZero", "tall"), "has no fixed shape"),
    ("shapes", "encoder", "fp32", attribute("tall", "strides", [1, 4]), "cannot be inferred"),
    ("flow", "encoder", "fp16", add_node("RandomNormalLike", "tall"), "not do the same each time"),
    ("typing", "decoder", "fp16", constant("half", np.array(0.5, np.float32)), "float and float16"),
    (
        "qdq-symmetric",
        "encoder",
        "int8",
        constant("in.scale", np.zeros(4, np.float16)),
        "above zero",
    ),
    (
        "qdq-symmetric",
        "encoder",
        "int8",
        constant("in.scale", np.full(4, np.inf, np.float16)),
        "not all finite",
    ),
    (
        "qdq-symmetric",
        "encoder",
        "int8",
        constant("spectra.half.zero", np.array(3, np.int8)),
        "int8 3, expected int8 zero",
    ),
    (
        "qdq-symmetric",
        "encoder",
        "int8",
        constant("spectra.half.zero", np.array(0, np.uint8)),
        "uint8 0, expected int8 zero",
    ),
    ("qdq-symmetric", "encoder", "int8", drop_input("spectra.half.q", 2), "no constant zero point"),
    (
        "qdq-symmetric",
        "encoder",
        "int8",
        constant("in.zero", np.zeros(2, np.int8)),
        "2 zero points",
    ),
    ("qdq-pairs", "encoder", "int8", leave_int8, "not followed by DequantizeLinear"),
    ("qdq-pairs", "encoder", "int8", other_scale, "another scale"),
    ("qdq-pairs", "decoder", "int8", reshape_between, "follows neither"),
    (
        "qdq-pairs",
        "encoder",
        "int8",
        constant("in.int8", np.zeros((4, 2, 32, 8), np.uint8)),
        "uint8, expected int8",
    ),
    ("qdq-axes", "encoder", "int8", one_scale_for_the_weight, "4 output channels has 1 scales"),
    ("qdq-axes", "encoder", "int8", attribute("in.dq", "axis", 1), "axis is 1, expected 0"),
    ("qdq-axes", "encoder", "int8", attribute("in.dq", "axis", None), "does not say its axis"),
    ("qdq-axes", "decoder", "int8", scales_by_input_channel, "2 output channels has 4 scales"),
    ("qdq-axes", "encoder", "int8", activation_by_channel, "an activation has 2 scales"),
    (
        "half-constants",
        "decoder",
        "fp16",
        constant("half", np.array(np.inf, np.float16)),
        "holds an infinity",
    ),
    (
        "half-constants",
        "encoder",
        "fp16",
        constant("in", np.zeros((4, 2, 32, 8), np.float16)),
        "100.0% of the constant 'in' are zero in fp16",
    ),
]


@pytest.mark.parametrize(
    ("rule", "kind", "precision", "change", "says"),
    FAULTS,
    ids=[f"{fault[0]}-{index}" for index, fault in enumerate(FAULTS)],
)
def test_graph_with_one_fault_fails_its_rule(
    tmp_path: Path,
    golden: dict[str, np.ndarray],
    rule: str,
    kind: Kind,
    precision: Precision,
    change: Change,
    says: str,
) -> None:
    model = graphs()[kind, precision]
    change(model)
    bundle = small_bundle(tmp_path / "b", models={(kind, precision): model}, golden=golden)
    found = faults(bundle)
    assert rule in found
    assert says in found[rule]
    assert f"{kind}.{precision}.onnx" in found[rule]


def test_bundle_without_faults_is_ready(tmp_path: Path) -> None:
    assert faults(small_bundle(tmp_path / "b")) == {}


def test_two_sided_bundle_is_ready(tmp_path: Path) -> None:
    side = {"rank": 2, "sha256": "2" * 64}
    of = facts(adapters=({"name": "a", **side}, {"name": "b", **side}))
    assert faults(small_bundle(tmp_path / "b", of)) == {}


def test_every_rule_has_a_failing_example_here() -> None:
    tested = {fault[0] for fault in FAULTS} | {
        "opset",
        "precision",
        "qdq-present",
        "qdq-rank",
        "qdq-opset",
        "half-range",
        "size",
        "parity",
        "believable",
        "golden",
    }
    assert tested == {rule.id for rule in RULES}
    for name in tested - {fault[0] for fault in FAULTS}:
        assert f"test_{name.replace('-', '_')}" in globals(), name


# ---- rules about a file as a whole ---------------------------------------------------------------


def at_opset(precision: Precision, opset: int) -> Facts:
    return facts(opset={**OPSETS, precision: opset})


def raised(kind: Kind, precision: Precision, opset: int) -> onnx.ModelProto:
    model = graphs()[kind, precision]
    model.opset_import[0].version = opset
    return model


def test_opset(tmp_path: Path) -> None:
    changed: Models = {(kind, "fp16"): raised(kind, "fp16", 21) for kind in KINDS}
    bundle = small_bundle(tmp_path / "b", at_opset("fp16", 21), changed)
    assert set(faults(bundle)) == {"opset"}
    assert "opset 21, but TensorRT 10.3 reads 9 to 20" in faults(bundle)["opset"]
    assert faults(bundle, "10.16", "11.0") == {}


def test_operators_differ_by_target(tmp_path: Path, golden: dict[str, np.ndarray]) -> None:
    model = encoder("fp32")
    set_constant(model, "length", np.array(8))
    add_node("HannWindow", "length")(model)
    bundle = small_bundle(tmp_path / "b", models={("encoder", "fp32"): model}, golden=golden)
    assert "TensorRT 10.3 does not read it" in faults(bundle, "10.3")["operators"]
    assert "operators" not in faults(bundle, "10.16")


def test_restrictions_differ_by_target(tmp_path: Path, golden: dict[str, np.ndarray]) -> None:
    model = encoder("fp32")
    drop_input("flat", 1)(model)
    bundle = small_bundle(tmp_path / "b", models={("encoder", "fp32"): model}, golden=golden)
    assert set(faults(bundle, "11.0")) == {"restrictions"}
    assert faults(bundle, "11.5") == {}


def test_precision(tmp_path: Path) -> None:
    exact: Models = {("encoder", "fp16"): encoder("fp32")}
    found = faults(small_bundle(tmp_path / "exact", models=exact))
    assert "encoder.fp16.onnx: no product is computed in float16" in found["precision"]
    half: Models = {("decoder", "fp32"): decoder("fp16")}
    found = faults(small_bundle(tmp_path / "half", models=half))
    assert "is float16 in an fp32 graph" in found["precision"]


def test_qdq_present(tmp_path: Path) -> None:
    plain: Models = {("encoder", "int8"): encoder("fp16")}
    plain["encoder", "int8"].opset_import[0].version = 19
    found = faults(small_bundle(tmp_path / "plain", models=plain))
    assert "encoder.int8.onnx: holds no QuantizeLinear" in found["qdq-present"]
    rounded: Models = {(kind, "fp16"): graphs()[kind, "int8"] for kind in KINDS}
    found = faults(small_bundle(tmp_path / "rounded", at_opset("fp16", 19), rounded))
    assert "encoder.fp16.onnx: holds DequantizeLinear, but is fp16" in found["qdq-present"]


def test_qdq_opset(tmp_path: Path, golden: dict[str, np.ndarray]) -> None:
    changed: Models = {(kind, "int8"): raised(kind, "int8", 17) for kind in KINDS}
    bundle = small_bundle(tmp_path / "b", at_opset("int8", 17), changed, golden)
    assert "works on float16 at opset 17, expected 19" in faults(bundle)["qdq-opset"]


def test_qdq_rank(tmp_path: Path) -> None:
    draft = Draft("int8")
    signal = draft.quantised(draft.enter("spectra"), 5.0)
    draft.node("Reshape", "flat", signal, draft.constant("to", np.array([2, 2 * BINS, WINDOW])))
    weight = draft.weight("in", (CHANNELS, 2 * BINS, FRAMES_PER_LATENT), 1, axis=0)
    draft.node("Conv", "tall", "flat", weight, strides=[FRAMES_PER_LATENT])
    draft.leave("tall", "latents")
    flat: Models = {("encoder", "int8"): draft.model("encoder", facts())}
    found = faults(small_bundle(tmp_path / "b", models=flat))
    assert set(found) == {"qdq-rank", "believable"}, "which computes something else"
    assert "Conv 'tall': is quantised over 1 dimension, expected 2" in found["qdq-rank"]


def test_half_range(tmp_path: Path) -> None:
    maxima = CERTIFICATE.maxima
    high = maxima.model_copy(update={"decoder": {**maxima.decoder, "widen": 16376.0}})
    changed = CERTIFICATE.model_copy(update={"maxima": high})
    found = faults(small_bundle(tmp_path / "high", certificate=changed))
    assert set(found) == {"half-range"}
    assert "'widen': reaches 1.638e+04, expected below 16376" in found["half-range"]
    fewer = maxima.model_copy(update={"encoder": {"tall": 1.0, "flat": 1.0}})
    changed = CERTIFICATE.model_copy(update={"maxima": fewer})
    found = faults(small_bundle(tmp_path / "fewer", certificate=changed))
    assert "no maximum of 'bounded' and 1 more tensors" in found["half-range"]


def test_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = small_bundle(tmp_path / "b")
    files = bundle.manifest.files
    total = files["encoder.int8.onnx"].bytes + files["decoder.int8.onnx"].bytes
    assert limits_rules.LARGEST_INT8_BYTES == 70_000_000
    monkeypatch.setattr(limits_rules, "LARGEST_INT8_BYTES", total)
    assert faults(bundle) == {}
    monkeypatch.setattr(limits_rules, "LARGEST_INT8_BYTES", total - 1)
    assert set(faults(bundle)) == {"size"}


def test_size_of_a_bundle_without_int8(tmp_path: Path) -> None:
    of = facts(opset={"fp32": 17, "fp16": 17})
    assert "holds no int8" in faults(small_bundle(tmp_path / "b", of))["size"]


@pytest.mark.parametrize(
    ("parity", "says"),
    [
        ({"latent_cosine": 0.9989}, "latent cosine is 0.99890, expected 0.999 or more"),
        ({"log_spectral_distance_db": 1.01}, "log-spectral distance is 1.01 dB"),
    ],
)
def test_parity(tmp_path: Path, parity: dict[str, float], says: str) -> None:
    worse = {"fp16": PARITY, "int8": PARITY.model_copy(update=parity)}
    changed = CERTIFICATE.model_copy(update={"precisions": worse})
    found = faults(small_bundle(tmp_path / "b", certificate=changed))
    assert set(found) == {"parity"}
    assert says in found["parity"]


@pytest.mark.parametrize("limit", [{"latent_cosine": 0.9}, {"log_spectral_distance_db": 3.0}])
def test_certificate_may_not_be_laxer(tmp_path: Path, limit: dict[str, float]) -> None:
    lax = CERTIFICATE.model_copy(update={"limits": CERTIFICATE.limits.model_copy(update=limit)})
    assert "laxer" in faults(small_bundle(tmp_path / "b", certificate=lax))["parity"]


def test_certificate_must_name_every_precision(tmp_path: Path) -> None:
    silent = CERTIFICATE.model_copy(update={"precisions": {"fp16": PARITY}})
    found = faults(small_bundle(tmp_path / "b", certificate=silent))
    assert "int8: the certificate says nothing of it" in found["parity"]


def test_believable(tmp_path: Path, golden: dict[str, np.ndarray]) -> None:
    noise = np.random.default_rng(0).standard_normal(golden["latents.int8"].shape)
    wrong = {**golden, "latents.int8": (golden["latents.int8"] + 0.2 * noise).astype(np.float32)}
    found = faults(small_bundle(tmp_path / "b", golden=wrong))
    assert set(found) == {"believable", "golden"}
    assert "latents.int8: have a cosine of" in found["believable"]


@pytest.mark.parametrize(
    ("name", "relative"),
    [("latents.fp32", 3e-4), ("decoded.fp32", 3e-4), ("decoded.fp16", 0.03), ("decoded.int8", 0.3)],
)
def test_golden(tmp_path: Path, golden: dict[str, np.ndarray], name: str, relative: float) -> None:
    changed = {**golden, name: golden[name] * np.float32(1.0 + relative)}
    found = faults(small_bundle(tmp_path / "b", golden=changed))
    assert set(found) == {"golden"}
    assert "come out" in found["golden"]


def test_golden_of_a_graph_that_does_not_run(tmp_path: Path, golden: dict[str, np.ndarray]) -> None:
    model = decoder("int8")
    drop_input("breath", 1)(model)
    bundle = small_bundle(tmp_path / "b", models={("decoder", "int8"): model}, golden=golden)
    assert "int8: does not run" in faults(bundle)["golden"]


# ---- graphs with anything wrong ------------------------------------------------------------------


@st.composite
def spoilt(draw: st.DrawFn) -> onnx.ModelProto:
    """The int8 decoder with a few nodes, inputs, attributes, names or shapes changed."""
    model = decoder("int8")
    kinds = ["Conv", "MatMul", "Gemm", "QuantizeLinear", "DequantizeLinear", "Resize", "Unknown"]
    for _ in range(draw(st.integers(1, 4))):
        node = draw(st.sampled_from(list(model.graph.node)))
        tensor = draw(st.sampled_from(list(model.graph.initializer)))
        match draw(st.integers(0, 6)):
            case 0 if node.input:
                del node.input[draw(st.integers(0, len(node.input) - 1))]
            case 1 if node.input:
                node.input[0] = tensor.name
            case 2:
                del node.output[:]
            case 3:
                del node.attribute[:]
            case 4:
                node.op_type = draw(st.sampled_from(kinds))
            case 5:
                array = np.zeros(draw(st.lists(st.integers(0, 3), max_size=5)), np.int8)
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
            case 6:
                tensor.data_type = draw(st.sampled_from([0, 1, 3, 8, 10, 77]))
    return model


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_bundle(tmp_path_factory.mktemp("good") / "b")


@settings(max_examples=150, deadline=None)
@given(model=spoilt())
def test_no_graph_makes_a_rule_break_down(good: Bundle, model: onnx.ModelProto) -> None:
    subject = Subject(good, targets())
    try:
        view = GraphView("decoder", "int8", model)
    except ModelError as problem:
        assert "is damaged" in str(problem)
        return
    subject.graphs["decoder", "int8"] = view
    check(subject, [rule for rule in RULES if rule.id != "golden"])


# ---- what an output channel is -------------------------------------------------------------------


def product(kind: str, x: np.ndarray, weight: np.ndarray, **attributes: Any) -> np.ndarray:
    node = helper.make_node(kind, ["x", "w"], ["y"], **attributes)
    rank = x.ndim if kind != "Gemm" else 2
    model = make_model([node], {"x": x.shape}, {"y": (None,) * rank}, {"w": weight})
    return run(model, x=x)


def products() -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any], int]]:
    """Kind, x, weight, attributes, and the axis of y that output channels lie along."""
    yield "Conv", (1, 3, 5, 5), (4, 3, 2, 2), {}, 1
    yield "Conv", (1, 4, 5), (6, 2, 2), {"group": 2}, 1
    yield "ConvTranspose", (1, 3, 5, 5), (3, 4, 2, 2), {"strides": [2, 2]}, 1
    yield "MatMul", (2, 5, 3), (3, 4), {}, 2
    yield "MatMul", (2, 5, 3), (2, 3, 4), {}, 2
    yield "Gemm", (5, 3), (3, 4), {}, 1
    yield "Gemm", (5, 3), (4, 3), {"transB": 1}, 1


@pytest.mark.parametrize(("kind", "x", "weight", "attributes", "channels"), list(products()))
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_scales_along_the_channel_axis_scale_output_channels(
    kind: str,
    x: tuple[int, ...],
    weight: tuple[int, ...],
    attributes: dict[str, Any],
    channels: int,
    seed: int,
) -> None:
    generator = np.random.default_rng(seed)
    signal = generator.standard_normal(x).astype(np.float32)
    value = generator.standard_normal(weight).astype(np.float32)
    node = helper.make_node(kind, ["x", "w"], ["y"], **attributes)
    axis = channel_axis(node, 1, len(weight))
    assert axis is not None
    scales = generator.uniform(0.5, 2.0, weight[axis]).astype(np.float32)

    def along(at: int, rank: int) -> np.ndarray:
        return scales.reshape([-1 if other == at else 1 for other in range(rank)])

    plain = product(kind, signal, value, **attributes)
    scaled = product(kind, signal, value * along(axis, len(weight)), **attributes)
    np.testing.assert_allclose(scaled, plain * along(channels, plain.ndim), rtol=1e-4, atol=1e-4)
