"""Running the two graphs: spectra to latents and back, whatever library computes it.

``Codec`` is what the stream asks of an engine. ``OnnxCodec`` is ONNX Runtime's, on the CPU or on a
GPU provider; ``models.plan`` adds TensorRT's and chooses between them. On the CPU half-precision
and int8 graphs are rewritten first (``graphs.cpu``).

Spectra are compressed short-time spectra, real and imaginary part as two channels, float32,
``(tones, 2, bins, window_frames)``; latents are the encoder's tanh, −1 … 1,
``(tones, channels, window_frames / frames per latent)``.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from models.errors import ModelError, PurgaError
from models.music2latent.graphs.cpu import for_cpu

Array = npt.NDArray[np.float32]

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

PROVIDER_NAMES: Mapping[str, str] = {
    CPU: "ONNX Runtime CPU",
    CUDA: "ONNX Runtime CUDA",
    TENSORRT: "ONNX Runtime TensorRT",
}
"""What ``status`` calls ONNX Runtime's providers."""

Provider = str | tuple[str, Mapping[str, str]]
"""A provider of ONNX Runtime by its own name, alone or with its options."""

SPECTRA, LATENTS, NOISE, POSITION = "spectra", "latents", "noise", "position"
"""The graphs' inputs and outputs."""


class CodecError(PurgaError, RuntimeError):
    """A codec that was loaded and then failed while it ran."""

    exit_code = 1


class Codec(Protocol):
    """An encoder and a decoder of one window length, loaded and ready to run.

    Not for two threads at once. Every call computes the whole window: graphs keep no memory.
    """

    @property
    def window_frames(self) -> int:
        """Short-time frames in a window."""

    @property
    def provider(self) -> str:
        """What computes, for ``status``: "TensorRT 10.3", "ONNX Runtime CPU"."""

    def encode(self, spectra: Array, target: Array) -> None:
        """Encode both tones, ``(2, 2, bins, window_frames)`` to ``(2, channels, latents)``.

        Raises ``ValueError`` on another shape or type, ``CodecError`` where the engine fails.
        """

    def decode(self, latents: Array, noise: Array, position: float, target: Array) -> None:
        """Decode one morph, ``(1, channels, latents)``, to spectra ``(1, 2, bins, window_frames)``.

        ``noise`` is standard normal, of the target's shape. ``position`` 0 … 1 moves two-sided
        adapters; other decoders do not look at it. Raises as ``encode`` does, and ``ValueError``
        for a position outside 0 … 1.
        """


class OpenedCodec(Codec, Protocol):
    """A codec that was chosen among several."""

    @property
    def why(self) -> tuple[str, ...]:
        """One sentence for each faster engine that was not chosen, the fastest first."""


class OnnxCodec:
    """A codec in ONNX Runtime, on buffers that are made and bound once."""

    def __init__(
        self,
        encoder: bytes | Path,
        decoder: bytes | Path,
        providers: Sequence[Provider] = (CPU,),
        threads: int | None = None,
        spin: bool = False,
        why: Sequence[str] = (),
    ) -> None:
        """Load both graphs, given as files or as their content.

        ``threads`` compute on the CPU, as many as the process may use by default. With ``spin``
        they wait for the next layer on a busy core: a little faster, and it takes a core from
        whoever else plays on this machine. ``why`` are the reasons why nothing faster was chosen.

        Raises ``ModelError`` for files that cannot be read, are no ONNX graphs of this codec or
        do not fit each other, and for a provider that does not start.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"The codec is to compute on {threads} threads, expected 1 or more.")
        threads = len(os.sched_getaffinity(0)) if threads is None else threads
        options = session_options(threads, spin)
        self._encoder = _Graph(encoder, "encoder", options, providers, LATENTS)
        self._decoder = _Graph(decoder, "decoder", options, providers, SPECTRA)
        self._why = tuple(why)
        check_shapes(
            self._encoder.inputs,
            self._encoder.target_shape,
            self._decoder.inputs,
            self._decoder.target_shape,
        )
        self._position = np.zeros((1, 1, 1, 1), np.float32)
        self._knob = POSITION in self._decoder.inputs

    @property
    def window_frames(self) -> int:
        """Short-time frames in a window."""
        return self._decoder.target_shape[-1]

    @property
    def latents_shape(self) -> tuple[int, ...]:
        """Both tones' latents, ``(2, channels, latents)``."""
        return self._encoder.target_shape

    @property
    def provider(self) -> str:
        """What computes: the provider that took the decoder, by ONNX Runtime's word."""
        return PROVIDER_NAMES.get(self._decoder.provider, f"ONNX Runtime {self._decoder.provider}")

    @property
    def why(self) -> tuple[str, ...]:
        """One sentence for each faster engine that was not chosen, the fastest first."""
        return self._why

    def encode(self, spectra: Array, target: Array) -> None:
        """Encode both tones; see ``Codec.encode``."""
        self._encoder.check(LATENTS, target, self._encoder.target_shape)
        self._encoder.put(SPECTRA, spectra)
        self._encoder.run(target)

    def decode(self, latents: Array, noise: Array, position: float, target: Array) -> None:
        """Decode one morph; see ``Codec.decode``."""
        check_position(position)
        self._decoder.check(SPECTRA, target, self._decoder.target_shape)
        self._decoder.put(LATENTS, latents)
        self._decoder.put(NOISE, noise)
        if self._knob:
            self._position.fill(position)
            self._decoder.put(POSITION, self._position)
        self._decoder.run(target)


def check_position(position: float) -> None:
    """Raise ``ValueError`` for a position outside 0 … 1, NaN among them."""
    if not 0.0 <= position <= 1.0:
        raise ValueError(f"The position is {position}, expected 0 to 1.")


def check_array(name: str, array: Array, shape: tuple[int, ...]) -> None:
    """Raise ``ValueError`` unless an array is float32 and of a shape."""
    if array.shape != shape or array.dtype != np.float32:
        raise ValueError(f"The {name} are {array.dtype} {array.shape}, expected float32 {shape}.")


def check_shapes(
    encoder: Mapping[str, tuple[int, ...]],
    latents: tuple[int, ...],
    decoder: Mapping[str, tuple[int, ...]],
    spectra: tuple[int, ...],
) -> None:
    """Raise ``ModelError`` unless encoder and decoder are one codec's.

    Given are each graph's inputs by name and the shape of its output.
    """
    if set(encoder) != {SPECTRA} or not {LATENTS, NOISE} <= set(decoder) <= {
        LATENTS,
        NOISE,
        POSITION,
    }:
        raise ModelError(
            f"The graphs' inputs are {sorted(encoder)} and {sorted(decoder)}, expected an encoder "
            f"of {SPECTRA} and a decoder of {LATENTS} and {NOISE}; build the bundle again."
        )
    fits = (
        len(spectra) == 4
        and len(latents) == 3
        and encoder[SPECTRA] == (2, *spectra[1:])
        and spectra[:2] == (1, 2)
        and latents[0] == 2
        and decoder[LATENTS] == (1, *latents[1:])
        and decoder[NOISE] == spectra
        and decoder.get(POSITION, (1, 1, 1, 1)) == (1, 1, 1, 1)
    )
    if not fits:
        raise ModelError(
            f"The encoder turns {encoder[SPECTRA]} into {latents} and the decoder "
            f"{decoder[LATENTS]} with noise {decoder[NOISE]} into {spectra}, expected graphs of "
            "one window for two tones; build the bundle again."
        )


def session_options(threads: int, spin: bool) -> onnxruntime.SessionOptions:
    """How ONNX Runtime runs a graph: one after another, all optimisations, quiet."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spin else "0")
    return options


class _Graph:
    """One graph in ONNX Runtime, with a buffer for each input and for its one output."""

    def __init__(
        self,
        model: bytes | Path,
        kind: str,
        options: onnxruntime.SessionOptions,
        providers: Sequence[Provider],
        target: str,
    ) -> None:
        self._kind = kind
        where = f" {model}" if isinstance(model, Path) else ""
        try:
            # From memory: ONNX Runtime then has no folder from which to take external data.
            content = model.read_bytes() if isinstance(model, Path) else model
        except OSError as error:
            raise ModelError(
                f"The {kind}{where} cannot be read ({error.strerror}); bring the bundle again."
            ) from error
        asked = [_as_pair(provider) for provider in providers]
        try:
            # ONNX Runtime would only warn, or print, and take the CPU.
            for name, _ in asked:
                if name not in onnxruntime.get_available_providers():
                    raise ValueError(f"{name} is not in this ONNX Runtime")
            disabled = []
            if asked[0][0] == CPU:
                content = for_cpu(onnx.load_model_from_string(content)).SerializeToString()
                # It would turn every integer convolution's layout, and turn it back after it.
                disabled = ["NhwcTransformer"]
            self._session = onnxruntime.InferenceSession(
                content,
                options,
                providers=asked,
                disabled_optimizers=disabled,
                enable_fallback=0,
            )
            # Kept for starting the session again elsewhere: as many bytes as the file has.
            self._session._model_bytes = None
            if self.provider != asked[0][0]:
                raise ValueError(f"{asked[0][0]} did not start")
            self.inputs = {value.name: _shape(value) for value in self._session.get_inputs()}
            outputs = {value.name: _shape(value) for value in self._session.get_outputs()}
            if set(outputs) != {target}:
                raise ValueError(f"its outputs are {sorted(outputs)}, not {target}")
            self.target_shape = outputs[target]
            self._bind(target)
        except Exception as error:
            # The libraries raise many kinds of their own; a damaged model is one kind to us.
            raise ModelError(
                f"The {kind}{where} does not load ({type(error).__name__}: {first_line(error)}), "
                f"expected an ONNX graph with static float32 inputs; build the bundle again."
            ) from error
        self._run = self._session.run_with_iobinding

    @property
    def provider(self) -> str:
        """The provider that was given the graph, by ONNX Runtime's name."""
        return str(self._session.get_providers()[0])

    def check(self, name: str, array: Array, shape: tuple[int, ...]) -> None:
        """Raise ``ValueError`` unless an array has a shape and is float32."""
        check_array(f"{self._kind}'s {name}", array, shape)

    def put(self, name: str, array: Array) -> None:
        """Copy an input to where the engine reads it, on the GPU where it is one's."""
        self.check(name, array, self.inputs[name])
        staged, value = self._values[name]
        np.copyto(staged, array)
        value.update_inplace(staged)

    def run(self, target: Array) -> None:
        """Compute, and copy the output to ``target``. Raises ``CodecError``."""
        try:
            self._run(self._binding)
        except Exception as error:
            raise CodecError(
                f"The {self._kind} fails on {PROVIDER_NAMES.get(self.provider, self.provider)} "
                f"({type(error).__name__}: {first_line(error)}); the engine has to be started anew."
            ) from error
        np.copyto(target, self._target)

    def _bind(self, target: str) -> None:
        # An input bound as the CPU's is copied to a GPU once, while it is bound. So the values
        # live where the engine computes and each run's input is copied into them.
        device = "cuda" if self.provider in (CUDA, TENSORRT) else "cpu"
        self._binding = self._session.io_binding()
        self._values = {}
        for name, shape in self.inputs.items():
            value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, device, 0)
            self._binding.bind_ortvalue_input(name, value)
            self._values[name] = (np.zeros(shape, np.float32), value)
        self._target = np.zeros(self.target_shape, np.float32)
        self._binding.bind_output(
            target, "cpu", 0, np.float32, self.target_shape, self._target.ctypes.data
        )


def first_line(error: BaseException) -> str:
    """The beginning of what a library says, for a sentence of ours."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "no reason given"


def _as_pair(provider: Provider) -> tuple[str, dict[str, str]]:
    return (provider, {}) if isinstance(provider, str) else (provider[0], dict(provider[1]))


def _shape(value: onnxruntime.NodeArg) -> tuple[int, ...]:
    shape = tuple(value.shape)
    if value.type != "tensor(float)" or not all(isinstance(size, int) and size for size in shape):
        raise ValueError(f"{value.name} is {value.type} {shape}, not of a fixed size in float32")
    return shape
