"""Where tensors lie in an ONNX file, by reading it as bytes."""

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from deploy.chunks.onnx_layout import tensors


def a_model() -> onnx.ModelProto:
    generator = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {
        "weight": generator.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "scale": np.ones(4, np.float16),
        "steps/int8": generator.integers(-127, 128, 300).astype(np.int8),
        "nothing": np.zeros((0,), np.float32),
    }
    initializers = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    typed = helper.make_tensor("typed", TensorProto.FLOAT, [2], [1.0, 2.0])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"], "a node")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [*initializers, typed],
    )
    return helper.make_model(graph)


MODEL = a_model()
CONTENT = MODEL.SerializeToString()


def test_every_tensor_with_raw_data_is_found_where_it_lies() -> None:
    found = {tensor.name.decode(): tensor for tensor in tensors(CONTENT)}
    raw = {each.name: each for each in MODEL.graph.initializer if each.HasField("raw_data")}
    assert set(found) == set(raw)
    for name, tensor in found.items():
        assert CONTENT[tensor.start : tensor.end] == raw[name].raw_data
        assert tensor.data_type == raw[name].data_type


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_what_is_damaged_has_tensors_within_the_file_or_none(data: st.DataObject) -> None:
    content = bytearray(CONTENT)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    assert all(0 <= each.start <= each.end <= len(cut) for each in tensors(cut))


@given(st.binary(max_size=200))
def test_anything_may_be_looked_at(content: bytes) -> None:
    assert all(0 <= each.start <= each.end <= len(content) for each in tensors(content))
