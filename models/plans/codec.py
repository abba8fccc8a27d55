"""A codec on two TensorRT plans: pinned buffers, one stream, nothing allocated per run."""

import math
import weakref
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from models.errors import ModelError, PurgaError
from models.music2latent.codec import (
    LATENTS,
    NOISE,
    POSITION,
    SPECTRA,
    Array,
    CodecError,
    check_array,
    check_position,
    check_shapes,
    first_line,
)
from models.plans.cache import REMEDY, PlanError
from models.plans.cuda import Cuda, Memory
from models.plans.log import make_log


class TensorRtCodec:
    """A ``models.music2latent.codec.Codec`` in TensorRT. Not for two threads at once."""

    def __init__(
        self, trt: ModuleType, cuda: Cuda, encoder: bytes, decoder: bytes, why: Sequence[str] = ()
    ) -> None:
        """Load both plans. Raises ``PlanError``, and ``ModelError`` for plans of other graphs."""
        self._version = ".".join(str(trt.__version__).split(".")[:2])
        self._why = tuple(why)
        memory = Memory(cuda)
        self.close = weakref.finalize(self, memory.free)
        """Give the GPU's memory back; nothing runs afterwards. A forgotten codec does it too."""
        try:
            self._log = make_log(trt)
            self._runtime = trt.Runtime(self._log)
            stream = memory.stream(first=True)
            self._encoder, self._decoder = (
                _Engine(kind, self._load(kind, plan), trt, cuda, memory, stream)
                for kind, plan in (("encoder", encoder), ("decoder", decoder))
            )
            check_shapes(
                _shapes(self._encoder.inputs),
                _shapes(self._encoder.outputs).get(LATENTS, ()),
                _shapes(self._decoder.inputs),
                _shapes(self._decoder.outputs).get(SPECTRA, ()),
            )
        except PurgaError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise PlanError(
                f"TensorRT {self._version} fails at the plans ({type(error).__name__}: "
                f"{first_line(error)}); {REMEDY} again."
            ) from error
        self._knob = POSITION in self._decoder.inputs

    @property
    def window_frames(self) -> int:
        """Short-time frames in a window."""
        return int(self._decoder.outputs[SPECTRA].shape[-1])

    @property
    def provider(self) -> str:
        """What computes, with its version."""
        return f"TensorRT {self._version}"

    @property
    def why(self) -> tuple[str, ...]:
        """Why nothing faster was chosen; nothing is faster."""
        return self._why

    def encode(self, spectra: Array, target: Array) -> None:
        """Encode both tones; see ``Codec.encode``."""
        self._encoder.run({SPECTRA: spectra}, LATENTS, target)

    def decode(self, latents: Array, noise: Array, position: float, target: Array) -> None:
        """Decode one morph; see ``Codec.decode``."""
        check_position(position)
        if self._knob:
            self._decoder.inputs[POSITION].fill(position)
        self._decoder.run({LATENTS: latents, NOISE: noise}, SPECTRA, target)

    def _load(self, kind: str, plan: bytes) -> Any:
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise PlanError(
                f"TensorRT {self._version} does not load the {kind}'s plan ({self._log.last()}); "
                f"{REMEDY} again."
            )
        return engine


class _Engine:
    """One loaded plan: a context, and for each tensor a pinned array and its twin on the GPU."""

    def __init__(
        self, kind: str, engine: Any, trt: ModuleType, cuda: Cuda, memory: Memory, stream: Any
    ) -> None:
        self._kind, self._engine, self._cuda, self._stream = kind, engine, cuda, stream
        self._context = engine.create_execution_context()
        if self._context is None:
            raise PlanError(f"The GPU has no memory for the {kind}; stop what else runs on it.")
        self.inputs: dict[str, Array] = {}
        self.outputs: dict[str, Array] = {}
        self._on_gpu: dict[str, int] = {}
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            shape = tuple(int(size) for size in engine.get_tensor_shape(name))
            kept = engine.get_tensor_dtype(name)
            if kept != trt.DataType.FLOAT or min(shape, default=0) < 1:
                raise ModelError(
                    f"The {kind}'s plan has {name} of {kept} {shape}, expected float32 of a fixed "
                    "size; build the bundle again."
                )
            given = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            (self.inputs if given else self.outputs)[name] = memory.pinned(shape)
            self._on_gpu[name] = memory.device(4 * math.prod(shape))
            if not self._context.set_tensor_address(name, self._on_gpu[name]):
                raise PlanError(f"TensorRT does not take the memory for {name}; {REMEDY} again.")

    def run(self, sources: Mapping[str, Array], name: str, target: Array) -> None:
        """Copy in, compute, copy the output ``name`` out. Raises ``CodecError``."""
        made = self.outputs[name]
        check_array(f"{self._kind}'s {name}", target, made.shape)
        for source, array in sources.items():
            check_array(f"{self._kind}'s {source}", array, self.inputs[source].shape)
            np.copyto(self.inputs[source], array)
        try:
            for source, staged in self.inputs.items():
                self._copy(self._on_gpu[source], staged.ctypes.data, staged.nbytes, to_gpu=True)
            if not self._context.execute_async_v3(int(self._stream)):
                raise PlanError("it was not enqueued")
            self._copy(made.ctypes.data, self._on_gpu[name], made.nbytes, to_gpu=False)
            self._cuda("cudaStreamSynchronize", self._stream)
        except PlanError as error:
            raise CodecError(
                f"The {self._kind} fails on TensorRT ({error}); the engine has to be started anew."
            ) from error
        np.copyto(target, made)

    def _copy(self, to: int, source: int, size: int, to_gpu: bool) -> None:
        self._cuda.copy(to, source, size, to_gpu, self._stream)


def _shapes(arrays: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}
