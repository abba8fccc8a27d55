"""Small things that every stage does to ONNX graphs."""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[np.float32]
Feed = Mapping[str, Array]


def layers(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The convolutions, in the order in which they run: what can be quantised.

    Adapters' thin branches are none of them: they cost little, and are small differences.
    """
    return [node for node in model.graph.node if node.op_type == "Conv" and "/" not in node.name]


def layer_of(node: str) -> str:
    """The layer that a convolution belongs to: phases of one step are one layer."""
    return node.split(".phase")[0]


def constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The graph's stored tensors by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def add_constant(model: onnx.ModelProto, name: str, value: npt.NDArray) -> str:
    """Store a tensor under a name; returns the name."""
    model.graph.initializer.append(numpy_helper.from_array(np.array(value, order="C"), name))
    return name


def session(
    model: onnx.ModelProto, threads: int = 0, optimise: bool = True
) -> onnxruntime.InferenceSession:
    """The graph in ONNX Runtime on the CPU; ``threads`` 0 takes all cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class Probed:
    """A float32 graph that gives out some of its tensors."""

    def __init__(self, model: onnx.ModelProto, tensors: Iterable[str]) -> None:
        """``tensors`` are names of tensors; the graph's own outputs are not given unless named."""
        probed = onnx.ModelProto()
        probed.CopyFrom(model)
        self.tensors = list(tensors)
        del probed.graph.output[:]
        probed.graph.output.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self.tensors
        )
        # Nothing may be fused: the tensors between are what is asked for.
        self._session = session(probed, optimise=False)

    def run(self, feed: Feed) -> dict[str, Array]:
        """The tensors for one set of inputs."""
        return dict(zip(self.tensors, self._session.run(self.tensors, dict(feed)), strict=True))
