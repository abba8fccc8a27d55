"""An encoder and a decoder in a few nodes, with the real ones' inputs and outputs."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BINS, CHANNELS, WINDOW = 32, 4, 16
FRAMES_PER_LATENT = 8


def _weight(seed: int, *shape: int) -> np.ndarray:
    scale = 1.0 / np.sqrt(np.prod(shape[1:]))
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def _value(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _model(nodes, inputs, output, weights) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "small",
        inputs,
        [output],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def small_encoder(window: int = WINDOW) -> onnx.ModelProto:
    """One convolution over all bins and eight frames, and a tanh."""
    nodes = [
        helper.make_node("Conv", ["spectra", "in"], ["tall"], strides=[1, FRAMES_PER_LATENT]),
        helper.make_node("Squeeze", ["tall", "bins"], ["flat"]),
        helper.make_node("Tanh", ["flat"], ["latents"]),
    ]
    weights = {"in": _weight(1, CHANNELS, 2, BINS, FRAMES_PER_LATENT), "bins": np.array([2])}
    latents = window // FRAMES_PER_LATENT
    return _model(
        nodes,
        [_value("spectra", 2, 2, BINS, window)],
        _value("latents", 2, CHANNELS, latents),
        weights,
    )


def small_decoder(window: int = WINDOW, position: bool = False) -> onnx.ModelProto:
    """One transposed convolution back, and a convolution of the noise; the knob may mix it in."""
    latents = window // FRAMES_PER_LATENT
    nodes = [
        helper.make_node("Unsqueeze", ["latents", "bins"], ["tall"]),
        helper.make_node(
            "ConvTranspose", ["tall", "out"], ["tone"], strides=[1, FRAMES_PER_LATENT]
        ),
        helper.make_node("Conv", ["noise", "rough"], ["breath"], pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["breath", "position" if position else "half"], ["mixed"]),
        helper.make_node("Add", ["tone", "mixed"], ["spectra"]),
    ]
    weights = {
        "bins": np.array([2]),
        "out": _weight(2, CHANNELS, 2, BINS, FRAMES_PER_LATENT),
        "rough": _weight(3, 2, 2, 3, 3),
    }
    inputs = [_value("latents", 1, CHANNELS, latents), _value("noise", 1, 2, BINS, window)]
    if position:
        inputs.append(_value("position", 1, 1, 1, 1))
    else:
        weights["half"] = np.full((1, 1, 1, 1), 0.5, np.float32)
    return _model(nodes, inputs, _value("spectra", 1, 2, BINS, window), weights)
