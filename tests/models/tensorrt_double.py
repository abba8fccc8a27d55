"""TensorRT and CUDA played by ONNX Runtime and host memory.

Put into ``sys.modules`` by ``install``, this is the only seam. Names, parameters and results were
compared with the real Python bindings of TensorRT 10.3.0, 10.13.3.9 and 11.4.0.106 and with
cuda-bindings 13.5.0 (their compiled modules, loaded without the libraries behind them);
``test_plan.py`` compares again wherever the real ones are installed.

What the real ones are strict about, the double is: classes take no attributes of their own, a
plan loads only in the version that built it, addresses must be of memory that is allocated on the
right side, a stream does nothing before somebody waits for it.
"""

import ctypes
import enum
import hashlib
import json
import os
import sys
import time
import types
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime

GPU_NAME = b"Orin"


@dataclass
class Bench:
    """What the machine is, what is to go wrong on it, and what was asked of it."""

    version: str = "10.3.0"
    gpus: int = 1
    driver: int = 13000
    multiprocessors: int = 8
    refuse: tuple[str, ...] = ()
    """Operators that the parser does not read."""
    out_of_memory: bool = False
    """Whether builds fail."""
    endless: bool = False
    """Whether builds go on until they are told to stop."""
    gain: float = 1.0
    """What the GPU multiplies every result by: 1 where it computes well."""
    not_enqueued: bool = False
    failing: dict[str, int] = field(default_factory=dict)
    """Functions of CUDA by name and the error they return."""
    asked: list[tuple] = field(default_factory=list)
    priorities: dict[int, int] = field(default_factory=dict)
    """Of every stream."""
    memory: dict[int, tuple[str, ctypes.Array]] = field(default_factory=dict)
    """By address: ``gpu`` or ``host``, and the bytes."""
    streams: dict[int, deque] = field(default_factory=dict)
    policies: list[int] = field(default_factory=list)
    """The scheduling policy of the thread of every build."""


def install(monkeypatch, bench: Bench) -> None:
    """Let imports of ``tensorrt`` and ``cuda.bindings.runtime`` find the doubles."""
    runtime = _runtime(bench)
    bindings: Any = types.ModuleType("cuda.bindings")
    bindings.runtime = runtime
    cuda: Any = types.ModuleType("cuda")
    cuda.bindings = bindings
    for module in (_tensorrt(bench), cuda, bindings, runtime):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def uninstall(monkeypatch) -> None:
    """Let imports of both fail, as on a machine without them."""
    for name in ("tensorrt", "cuda", "cuda.bindings", "cuda.bindings.runtime"):
        monkeypatch.setitem(sys.modules, name, None)


def _runtime(bench: Bench) -> types.ModuleType:
    """``cuda.bindings.runtime``: every function gives a tuple, the error first."""
    module: Any = types.ModuleType("cuda.bindings.runtime")

    class Error(enum.IntEnum):
        cudaSuccess = 0  # noqa: N815
        cudaErrorInvalidValue = 1  # noqa: N815
        cudaErrorMemoryAllocation = 2  # noqa: N815
        cudaErrorInsufficientDriver = 35  # noqa: N815
        cudaErrorIllegalAddress = 700  # noqa: N815

    class Kind(enum.IntEnum):
        cudaMemcpyHostToDevice = 1  # noqa: N815
        cudaMemcpyDeviceToHost = 2  # noqa: N815

    class Stream:
        def __init__(self, number: int) -> None:
            self._number = number

        def __int__(self) -> int:
            return self._number

    @dataclass
    class Properties:
        name: bytes = GPU_NAME
        major: int = 8
        minor: int = 7
        multiProcessorCount: int = bench.multiprocessors  # noqa: N815

    def take(where: str, size: int) -> tuple:
        block = (ctypes.c_char * size)()
        address = ctypes.addressof(block)
        bench.memory[address] = (where, block)
        return Error.cudaSuccess, address

    def give_back(where: str, address: int) -> tuple:
        if bench.memory.get(address, ("",))[0] != where:
            return (Error.cudaErrorInvalidValue,)
        del bench.memory[address]
        return (Error.cudaSuccess,)

    def cudaGetDeviceCount() -> tuple:  # noqa: N802
        if not bench.gpus:
            return Error.cudaErrorInsufficientDriver, None
        return Error.cudaSuccess, bench.gpus

    def cudaSetDeviceFlags(flags) -> tuple:  # noqa: N802
        bench.asked.append(("cudaSetDeviceFlags", flags))
        return (Error.cudaSuccess,)

    def cudaGetDeviceProperties(device) -> tuple:  # noqa: N802
        return Error.cudaSuccess, Properties()

    def cudaDriverGetVersion() -> tuple:  # noqa: N802
        return Error.cudaSuccess, bench.driver

    def cudaGetErrorName(error) -> tuple:  # noqa: N802
        return Error.cudaSuccess, Error(error).name.encode()

    def cudaMalloc(size) -> tuple:  # noqa: N802
        return take("gpu", size)

    def cudaMallocHost(size) -> tuple:  # noqa: N802
        return take("host", size)

    def cudaFree(devPtr) -> tuple:  # noqa: N802, N803
        return give_back("gpu", devPtr)

    def cudaFreeHost(ptr) -> tuple:  # noqa: N802
        return give_back("host", ptr)

    def cudaDeviceGetStreamPriorityRange() -> tuple:  # noqa: N802
        return Error.cudaSuccess, 0, -5

    def cudaStreamCreateWithPriority(flags, priority) -> tuple:  # noqa: N802
        stream = Stream(1 + len(bench.priorities))
        bench.priorities[int(stream)] = priority
        bench.streams[int(stream)] = deque()
        return Error.cudaSuccess, stream

    def cudaStreamDestroy(stream) -> tuple:  # noqa: N802
        if bench.streams.pop(int(stream), None) is None:
            return (Error.cudaErrorInvalidValue,)
        return (Error.cudaSuccess,)

    def cudaMemcpyAsync(dst, src, count, kind, stream) -> tuple:  # noqa: N802
        sides = ("gpu", "host") if kind == Kind.cudaMemcpyHostToDevice else ("host", "gpu")
        for address, side in zip((dst, src), sides, strict=True):
            where, block = bench.memory.get(address, ("", b""))
            if where != side or len(block) < count:
                return (Error.cudaErrorInvalidValue,)
        bench.streams[int(stream)].append(lambda: ctypes.memmove(dst, src, count))
        return (Error.cudaSuccess,)

    def cudaStreamSynchronize(stream) -> tuple:  # noqa: N802
        queue = bench.streams[int(stream)]
        while queue:
            queue.popleft()()
        return (Error.cudaSuccess,)

    def made_to_fail(name, function):
        def call(*arguments):
            if name in bench.failing:
                return (Error(bench.failing[name]), None)
            return function(*arguments)

        return call

    for name, thing in list(locals().items()):
        if name.startswith("cuda"):
            setattr(module, name, made_to_fail(name, thing))
    module.cudaMemcpyKind = Kind
    module.cudaStreamNonBlocking = 1
    module.cudaDeviceScheduleBlockingSync = 4
    return module


def _tensorrt(bench: Bench) -> types.ModuleType:
    """``tensorrt``."""
    module: Any = types.ModuleType("tensorrt")
    module.__version__ = bench.version

    class Severity(enum.IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2

    class ILogger:
        ERROR = Severity.ERROR
        INTERNAL_ERROR = Severity.INTERNAL_ERROR
        WARNING = Severity.WARNING

        def __init__(self):
            self.made = True

    class IProgressMonitor:
        def __init__(self):
            self.made = True

    class NetworkDefinitionCreationFlag(enum.IntEnum):
        STRONGLY_TYPED = 1

    class MemoryPoolType(enum.IntEnum):
        WORKSPACE = 0

    class BuilderFlag(enum.IntEnum):
        TF32 = 7

    class DataType(enum.IntEnum):
        FLOAT = 0
        HALF = 1

    class TensorIOMode(enum.IntEnum):
        NONE = 0
        INPUT = 1
        OUTPUT = 2

    class IHostMemory(bytes):
        """Bytes to whoever asks for a buffer."""

    class INetworkDefinition:
        __slots__ = ("model",)

    class ParserError:
        __slots__ = ("_node",)

        def __init__(self, node):
            self._node = node

        def node_name(self):
            return self._node.name

        def node_operator(self):
            return self._node.op_type

        def desc(self):
            return "no importer for it"

    class OnnxParser:
        __slots__ = ("_errors", "_log", "_network")

        def __init__(self, network, logger):
            self._network, self._log, self._errors = network, logger, []

        def parse(self, model, path=None):
            try:
                read = onnx.load_model_from_string(model)
            except Exception:
                self._log.log(Severity.ERROR, "failed to parse ONNX model\nat line 1")
                return False
            self._errors = [
                ParserError(node) for node in read.graph.node if node.op_type in bench.refuse
            ]
            self._network.model = bytes(model)
            return not self._errors

        @property
        def num_errors(self):
            return len(self._errors)

        def get_error(self, index):
            return self._errors[index]

    class ITimingCache:
        __slots__ = ("content",)

        def __init__(self, content):
            self.content = content

        def serialize(self):
            return IHostMemory(self.content)

    class IBuilderConfig:
        __slots__ = (
            "_timing",
            "builder_optimization_level",
            "flags",
            "limits",
            "profile_stream",
            "progress_monitor",
        )

        def __init__(self):
            self.limits, self.flags, self._timing = {}, {BuilderFlag.TF32}, None
            self.progress_monitor = None

        def set_memory_pool_limit(self, pool, pool_size):
            self.limits[MemoryPoolType(pool)] = pool_size

        def clear_flag(self, flag):
            self.flags.discard(flag)

        def create_timing_cache(self, serialized_timing_cache):
            return ITimingCache(serialized_timing_cache)

        def set_timing_cache(self, cache, ignore_mismatch):
            if cache.content and not cache.content.startswith(bench.version.encode()):
                return False
            self._timing = cache
            return True

        def get_timing_cache(self):
            return self._timing

    class Builder:
        __slots__ = ("_log",)

        def __init__(self, logger):
            assert logger.made, "ILogger.__init__ was not called"
            self._log = logger

        def create_network(self, flags=0):
            typed = bool(flags & 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED)
            bench.asked.append(("create_network", typed))
            return INetworkDefinition()

        def create_builder_config(self):
            return IBuilderConfig()

        def build_serialized_network(self, network, config):
            bench.policies.append(os.sched_getscheduler(0))
            bench.asked.append(
                (
                    "build",
                    config.limits[MemoryPoolType.WORKSPACE],
                    config.builder_optimization_level,
                    bench.priorities[config.profile_stream],
                    config.get_timing_cache().content,
                    config.flags,
                )
            )
            monitor = config.progress_monitor
            assert monitor.made, "IProgressMonitor.__init__ was not called"
            monitor.phase_start("Building", None, 2)
            monitor.phase_start("Tactics", "Building", 5)
            going = monitor.step_complete("Tactics", 0)
            deadline = time.monotonic() + 30.0
            while bench.endless and going and time.monotonic() < deadline:
                time.sleep(0.001)
                going = monitor.step_complete("Tactics", 0)
            if not going:
                bench.asked.append(("stopped",))
            monitor.phase_finish("Tactics")
            going = going and monitor.step_complete("Building", 0)
            monitor.phase_finish("Building")
            if bench.out_of_memory or not going:
                self._log.log(Severity.ERROR, "insufficient memory for tactics")
                return None
            config.get_timing_cache().content = bench.version.encode() + b" timings"
            head = json.dumps([bench.version, hashlib.sha256(network.model).hexdigest()])
            return IHostMemory(head.encode() + b"\n" + network.model)

    class IExecutionContext:
        __slots__ = ("_addresses", "_engine")

        def __init__(self, engine):
            self._engine, self._addresses = engine, {}

        def set_tensor_address(self, name, memory):
            self._addresses[name] = memory
            return name in self._engine.tensors

        def execute_async_v3(self, stream_handle):
            assert isinstance(stream_handle, int)
            if bench.not_enqueued:
                return False
            bench.streams[stream_handle].append(self._compute)
            return True

        def _compute(self):
            arrays = {}
            for name, (_, shape) in self._engine.tensors.items():
                where, block = bench.memory[self._addresses[name]]
                assert where == "gpu"
                arrays[name] = np.frombuffer(memoryview(block), np.float32).reshape(shape)
            given = self._engine.session.get_inputs()
            made = self._engine.session.run(None, {each.name: arrays[each.name] for each in given})
            for each, array in zip(self._engine.session.get_outputs(), made, strict=True):
                arrays[each.name][...] = bench.gain * array

    class ICudaEngine:
        __slots__ = ("session", "tensors")

        def __init__(self, model):
            self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
            inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
            self.tensors = {
                **{each.name: (TensorIOMode.INPUT, each.shape) for each in inputs},
                **{each.name: (TensorIOMode.OUTPUT, each.shape) for each in outputs},
            }

        @property
        def num_io_tensors(self):
            return len(self.tensors)

        def get_tensor_name(self, index):
            return list(self.tensors)[index]

        def get_tensor_shape(self, name):
            return self.tensors[name][1]

        def get_tensor_dtype(self, name):
            return DataType.FLOAT

        def get_tensor_mode(self, name):
            return self.tensors[name][0]

        def create_execution_context(self):
            return IExecutionContext(self)

    class Runtime:
        __slots__ = ("_log",)

        def __init__(self, logger):
            self._log = logger

        def deserialize_cuda_engine(self, serialized_engine):
            head, _, model = serialized_engine.partition(b"\n")
            try:
                version, digest = json.loads(head)
            except ValueError:
                version, digest = "?", ""
            if version != bench.version or digest != hashlib.sha256(model).hexdigest():
                self._log.log(Severity.ERROR, "magicTag does not match\nthe plan is not mine")
                return None
            return ICudaEngine(model)

    for name, thing in list(locals().items()):
        if isinstance(thing, type) and name != "Severity":
            setattr(module, name, thing)
    return module
