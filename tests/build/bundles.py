"""Small bundles: the real ones' inputs, outputs and precisions, in a few nodes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from models.certificate import Calibration, Certificate, Maxima, Parity, Sensitivity
from models.golden import Golden
from models.manifest import KINDS, Bundle, Facts, Kind, Precision, write_bundle

BINS, CHANNELS, WINDOW, FRAMES_PER_LATENT = 32, 4, 16, 8
OPSETS: dict[Precision, int] = {"fp32": 17, "fp16": 17, "int8": 19}

PARITY = Parity(
    latent_cosine=0.9995, latent_snr_db=32.0, decoded_snr_db=30.0, log_spectral_distance_db=0.4
)
CERTIFICATE = Certificate(
    precisions={"fp16": PARITY, "int8": PARITY},
    maxima=Maxima(
        encoder=dict.fromkeys(("tall", "flat", "bounded", "latents"), 3.0),
        decoder=dict.fromkeys(("tall", "widen", "breath", "halved", "sum", "spectra"), 6.0),
    ),
    sensitivity=(Sensitivity(model="decoder", node="widen", snr_db=28.0),),
    left_in_fp16=("decoder/roughen",),
    calibration=Calibration(material="made-up spectra", windows=1, sha256="0" * 64),
    cpu_provider="ONNX Runtime CPU",
)


def facts(**changes: Any) -> Facts:
    """What the small graphs are for."""
    given: dict[str, Any] = {
        "name": "small",
        "checkpoint_sha256": "1" * 64,
        "bins": BINS,
        "window_frames": WINDOW,
        "frames_per_latent": FRAMES_PER_LATENT,
        "latent_channels": CHANNELS,
        "hop_frames": 8,
        "opset": OPSETS,
        "licences": {"weights": "made for a test"},
        "tools": {"onnx": onnx.__version__},
    }
    return Facts(**{**given, **changes})


class Draft:
    """A graph being written at one precision: constants, casts and quantisation by name."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.inside = np.float32 if precision == "fp32" else np.float16

    def node(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        """A node named as its one output."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants[name] = value
        return name

    def enter(self, name: str) -> str:
        """An input at the precision of the inside."""
        if self.precision == "fp32":
            return name
        return self.node("Cast", f"{name}.half", name, to=TensorProto.FLOAT16)

    def leave(self, signal: str, name: str) -> str:
        """A float32 output."""
        if self.precision == "fp32":
            return self.node("Identity", name, signal)
        return self.node("Cast", name, signal, to=TensorProto.FLOAT)

    def quantised(self, signal: str, largest: float) -> str:
        """An activation through int8 and back, where the precision is int8."""
        if self.precision != "int8":
            return signal
        scale = self.constant(f"{signal}.scale", np.array(largest / 127, self.inside))
        zero = self.constant(f"{signal}.zero", np.array(0, np.int8))
        small = self.node("QuantizeLinear", f"{signal}.q", signal, scale, zero)
        return self.node("DequantizeLinear", f"{signal}.dq", small, scale, zero)

    def weight(self, name: str, shape: tuple[int, ...], seed: int, axis: int) -> str:
        """A weight; in int8 per channel of ``axis``."""
        generator = np.random.default_rng(seed)
        value = generator.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        if self.precision != "int8":
            return self.constant(name, value.astype(self.inside))
        others = tuple(other for other in range(len(shape)) if other != axis)
        scale = np.abs(value).max(axis=others) / 127
        spread = scale.reshape([-1 if at == axis else 1 for at in range(len(shape))])
        self.constant(f"{name}.int8", np.round(value / spread).astype(np.int8))
        self.constant(f"{name}.scale", scale.astype(self.inside))
        self.constant(f"{name}.zero", np.zeros(len(scale), np.int8))
        names = (f"{name}.int8", f"{name}.scale", f"{name}.zero")
        return self.node("DequantizeLinear", f"{name}.dq", *names, axis=axis)

    def model(self, kind: Kind, facts: Facts) -> onnx.ModelProto:
        """The whole graph."""
        inputs, outputs = facts.shapes(kind)
        return make_model(self.nodes, inputs, outputs, self.constants, OPSETS[self.precision])


def make_model(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple],
    outputs: Mapping[str, tuple],
    constants: Mapping[str, np.ndarray],
    opset: int = 17,
) -> onnx.ModelProto:
    """A model of float32 inputs and outputs."""
    given, asked = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in of]
        for of in (inputs.items(), outputs.items())
    )
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "small", given, asked, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def encoder(precision: Precision, of: Facts | None = None) -> onnx.ModelProto:
    """One convolution over all bins and eight frames, and a tanh."""
    draft = Draft(precision)
    entered = draft.quantised(draft.enter("spectra"), 5.0)
    weight = draft.weight("in", (CHANNELS, 2, BINS, FRAMES_PER_LATENT), 1, axis=0)
    draft.node("Conv", "tall", entered, weight, strides=[1, FRAMES_PER_LATENT])
    draft.node("Squeeze", "flat", "tall", draft.constant("bins", np.array([2])))
    draft.leave(draft.node("Tanh", "bounded", "flat"), "latents")
    return draft.model("encoder", of or facts())


def decoder(precision: Precision, of: Facts | None = None) -> onnx.ModelProto:
    """One transposed convolution back, and a convolution of the noise."""
    draft = Draft(precision)
    of = of or facts()
    axis = draft.constant("bins", np.array([2]))
    draft.node("Unsqueeze", "tall", draft.enter("latents"), axis)
    wide = draft.weight("out", (CHANNELS, 2, BINS, FRAMES_PER_LATENT), 2, axis=1)
    entered = draft.quantised("tall", 1.0)
    draft.node("ConvTranspose", "widen", entered, wide, strides=[1, FRAMES_PER_LATENT])
    noise = draft.quantised(draft.enter("noise"), 5.0)
    rough = draft.weight("rough", (2, 2, 3, 3), 3, axis=0)
    draft.node("Conv", "breath", noise, rough, pads=[1, 1, 1, 1])
    half = draft.constant("half", np.array(0.5, draft.inside))
    by = draft.enter("position") if len(of.adapters) == 2 else half
    draft.node("Mul", "halved", "breath", by)
    draft.leave(draft.node("Add", "sum", "widen", "halved"), "spectra")
    return draft.model("decoder", of)


def graphs(of: Facts | None = None) -> dict[tuple[Kind, Precision], onnx.ModelProto]:
    """Both graphs at every precision."""
    of = of or facts()
    make = {"encoder": encoder, "decoder": decoder}
    return {(kind, at): make[kind](at, of) for kind in KINDS for at in of.precisions}


def run(model: onnx.ModelProto, **inputs: np.ndarray) -> np.ndarray:
    """A graph's one output, from ONNX Runtime."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (output,) = session.run(None, inputs)
    return output


def golden_of(
    models: Mapping[tuple[Kind, Precision], onnx.ModelProto], of: Facts | None = None
) -> Golden:
    """The golden pair that these graphs give."""
    of = of or facts()
    shapes = of.golden_shapes()
    generator = np.random.default_rng(7)
    golden: Golden = {
        name: generator.standard_normal(shapes[name]).astype(np.float32)
        for name in ("spectra", "noise")
    }
    given = {"noise": golden["noise"]}
    if "position" in shapes:
        golden["position"] = given["position"] = np.full(shapes["position"], 0.5, np.float32)
    for at in of.precisions:
        golden[f"latents.{at}"] = run(models["encoder", at], spectra=golden["spectra"])
    golden["blend"] = golden["latents.fp32"].mean(axis=0, keepdims=True)
    for at in of.precisions:
        golden[f"decoded.{at}"] = run(models["decoder", at], latents=golden["blend"], **given)
    return golden


def small_bundle(
    folder: Path,
    of: Facts | None = None,
    models: Mapping[tuple[Kind, Precision], onnx.ModelProto] | None = None,
    golden: Golden | None = None,
    certificate: Certificate = CERTIFICATE,
) -> Bundle:
    """Write a bundle in which everything is right but what a test gives."""
    of = of or facts()
    models = {**graphs(of), **(models or {})}
    written = {which: model.SerializeToString() for which, model in models.items()}
    return write_bundle(folder, of, written, golden or golden_of(models, of), certificate)
