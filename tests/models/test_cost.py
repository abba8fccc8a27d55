"""What a graph costs: counted by hand and by the counter. What that means on paper."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.errors import ModelError
from models.music2latent.architecture import TINY, random_weights
from models.music2latent.budget import (
    ADMISSIBLE,
    HOP_MS,
    MODULES,
    budget_markdown,
    estimate,
    latency_ms,
    smallest_hop,
)
from models.music2latent.codec import OnnxCodec
from models.music2latent.cost import GraphCost, NodeCost, graph_cost
from models.music2latent.graphs import decoder_onnx, encoder_onnx
from models.music2latent.stream import StreamSettings, StudioStream
from tests.models.codec_graphs import BINS, CHANNELS, WINDOW, small_decoder, small_encoder


def _graph(nodes, inputs: dict, output: str, weights: dict) -> onnx.ModelProto:
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in inputs.items()
    ]
    made = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "one", values, [made], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def _ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("operator", "source", "weights", "attributes", "flop"),
    [
        # 5 outputs × 6 × 8 places, each 4 inputs × 3 × 3 products.
        ("Conv", (1, 4, 6, 8), [(5, 4, 3, 3)], {"pads": [1, 1, 1, 1]}, 2 * 240 * 36),
        ("Conv", (1, 4, 6, 8), [(5, 4, 3, 3), (5,)], {"pads": [1, 1, 1, 1]}, 2 * 240 * 36 + 240),
        ("Conv", (1, 4, 6, 8), [(4, 2, 1, 1)], {"group": 2}, 2 * 192 * 2),
        ("Conv", (1, 4, 6, 8), [(5, 4, 2, 2)], {"strides": [2, 2]}, 2 * 60 * 16),
        # Each of 4 × 6 × 8 inputs is spread over 5 × 2 × 2.
        ("ConvTranspose", (1, 4, 6, 8), [(4, 5, 2, 2)], {"strides": [2, 2]}, 2 * 192 * 20),
        ("MatMul", (2, 3, 7), [(7, 5)], {}, 2 * 30 * 7),
        ("Gemm", (3, 7), [(7, 5), (5,)], {}, 2 * 15 * 7 + 15),
        ("Gemm", (7, 3), [(7, 5)], {"transA": 1}, 2 * 15 * 7),
        ("Add", (1, 4, 6, 8), [(4, 1, 1)], {}, 192),
        ("Sigmoid", (1, 4, 6, 8), [], {}, 192),
        ("Transpose", (3, 7), [], {"perm": [1, 0]}, 0),
    ],
)
def test_operations_are_those_counted_by_hand(operator, source, weights, attributes, flop) -> None:
    names = [f"w{index}" for index in range(len(weights))]
    node = helper.make_node(operator, ["x", *names], ["y"], **attributes)
    constants = {name: _ones(*shape) for name, shape in zip(names, weights, strict=True)}
    cost = graph_cost(_graph([node], {"x": source}, "y", constants))
    assert cost.flop == flop
    assert cost.weights == sum(int(np.prod(shape)) for shape in weights)


def test_tensors_are_read_and_written_once_and_pointwise_nodes_belong_to_the_one_before() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["wide"]),
        helper.make_node("Sigmoid", ["wide"], ["gate"]),
        helper.make_node("Mul", ["wide", "gate"], ["y"]),
    ]
    cost = graph_cost(_graph(nodes, {"x": (1, 4, 6, 8)}, "y", {"w": _ones(5, 4, 1, 1)}))
    assert [node.activations for node in cost.nodes] == [192 + 240, 480, 720]
    assert cost.traffic == 192 + 240
    assert cost.kernels == 1


def test_quantised_weights_are_counted_once_and_cost_no_operation() -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["whole"], axis=0),
        helper.make_node("QuantizeLinear", ["x", "step", "none"], ["coarse"]),
        helper.make_node("DequantizeLinear", ["coarse", "step", "none"], ["fine"]),
        helper.make_node("Conv", ["fine", "whole"], ["y"]),
    ]
    weights = {
        "w": np.ones((5, 4, 1, 1), np.int8),
        "scale": _ones(5),
        "zero": np.zeros(5, np.int8),
        "step": np.array(0.1, np.float32),
        "none": np.array(0, np.int8),
    }
    cost = graph_cost(_graph(nodes, {"x": (1, 4, 6, 8)}, "y", weights))
    assert cost.flop == 2 * 240 * 4
    assert cost.kernels == 1
    assert cost.nodes[-1].weights == 20


def test_the_real_graphs_cost_is_proportional_to_the_window_but_for_the_weights() -> None:
    weights = random_weights(TINY, seed=1)
    for graph in (encoder_onnx, decoder_onnx):
        short, long = (graph_cost(graph(weights, frames)) for frames in (8, 16))
        assert long.flop == pytest.approx(2 * short.flop, rel=0.02)
        assert long.weights == short.weights > 0
        assert long.kernels == short.kernels


def test_a_size_that_is_left_open_is_one_sentence() -> None:
    model = small_encoder()
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "frames"
    with pytest.raises(ModelError, match="leaves a size of spectra open"):
        graph_cost(model)


def _cost(flop: int = 0, weights: int = 0, activations: int = 0, nodes: int = 1) -> GraphCost:
    one = NodeCost("one", "Conv", flop, weights, activations)
    return GraphCost((one, *[NodeCost("more", "Conv", 0, 0, 0)] * (nodes - 1)))


def test_the_estimate_of_yolov8n_is_what_was_measured_of_it() -> None:
    nano = MODULES[0]
    assert estimate(_cost(flop=8_700_000_000), nano).compute_ms == pytest.approx(3.5, rel=0.01)


def test_the_expected_time_is_the_slower_of_both_and_every_launch() -> None:
    nano = MODULES[0]
    computes = estimate(_cost(flop=10**10, weights=10, nodes=100), nano)
    assert computes.total_ms == computes.compute_ms + computes.launch_ms
    assert computes.launch_ms == pytest.approx(0.5)
    moves = estimate(_cost(flop=10, weights=10**9), nano)
    assert moves.total_ms == moves.memory_ms + moves.launch_ms
    # 10⁹ bytes at 70 % of 102 GB/s.
    assert moves.memory_ms == pytest.approx(14.0, rel=0.01)


@pytest.mark.parametrize("window", [8, 16, 32])
def test_the_smallest_hop_fits_and_one_frame_less_does_not(window: int) -> None:
    for cost_ms in np.linspace(0.1, ADMISSIBLE * HOP_MS * window, 50):
        hop = smallest_hop(float(cost_ms), window)
        assert hop is not None
        assert 1 <= hop <= window
        assert cost_ms <= ADMISSIBLE * hop * HOP_MS + 1e-9
        assert hop == 1 or cost_ms > ADMISSIBLE * (hop - 1) * HOP_MS
    assert smallest_hop(ADMISSIBLE * HOP_MS * window * 1.01, window) is None


def test_the_latency_is_the_streams() -> None:
    weights = random_weights(TINY, seed=1)
    codec = OnnxCodec(
        encoder_onnx(weights, 16).SerializeToString(),
        decoder_onnx(weights, 16).SerializeToString(),
        threads=1,
    )
    for hop, ahead in ((1, 0), (8, 0), (4, 3)):
        settings = StreamSettings(window_frames=16, hop_frames=hop, look_ahead_frames=ahead)
        stream = StudioStream(codec, settings, 44_100, 512)
        assert latency_ms(hop, ahead) == pytest.approx(stream.latency_frames / 44.1, abs=1e-9)


def test_the_budget_has_a_row_for_each_module_and_window_and_says_what_it_is() -> None:
    heavy = (_cost(10**9), _cost(10**12))
    text = budget_markdown({8: (_cost(10**9), _cost(10**10)), 16: heavy})
    assert text.startswith("**Computed, not measured.**")
    rows = [
        line for line in text.splitlines() if line.startswith(tuple(f"| {m.name}" for m in MODULES))
    ]
    assert len(rows) == 2 * len(MODULES)
    nano = next(row for row in rows if row.startswith("| Orin Nano") and "| 8 |" in row)
    # 11 GFLOP at 2.5 TOPS, two launches.
    assert "| 4.4 ms | 0.0 ms | 0.0 ms | 4.4 ms | 1 frame, 11.6 ms | 46.4 ms | 50.8 ms |" in nano
    slow = next(row for row in rows if row.startswith("| Orin Nano") and "| 16 |" in row)
    assert "| none |" in slow


def test_the_small_graphs_of_these_tests_are_counted_too() -> None:
    latents = WINDOW // 8
    assert graph_cost(small_encoder()).flop == (
        2 * 2 * CHANNELS * latents * (2 * BINS * 8) + 2 * CHANNELS * latents
    )
    assert graph_cost(small_decoder()).kernels == 2
