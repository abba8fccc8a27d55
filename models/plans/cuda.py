"""CUDA's runtime through NVIDIA's bindings: errors as sentences, memory that is given back."""

import ctypes
import math
from types import ModuleType
from typing import Any

import numpy as np

from models.music2latent.codec import Array
from models.plans.cache import PlanError


class Cuda:
    """``cuda.bindings.runtime``, called by name; a call that fails raises ``PlanError``."""

    def __init__(self, runtime: ModuleType) -> None:
        """Make the first GPU ready. Raises ``PlanError`` where none answers."""
        self._runtime = runtime
        try:
            count = self("cudaGetDeviceCount")
        except PlanError as error:
            raise PlanError(f"No NVIDIA GPU answers here ({error}).") from error
        if not count:
            raise PlanError("No NVIDIA GPU is in this machine.")
        # Whoever waits for the GPU sleeps: by default it would spin on a core that others play on.
        self("cudaSetDeviceFlags", runtime.cudaDeviceScheduleBlockingSync)

    def __call__(self, name: str, *arguments: Any) -> Any:
        """What the function gives: nothing, one value, or a tuple of values."""
        error, *values = getattr(self._runtime, name)(*arguments)
        if int(error) != 0:
            raise PlanError(f"{name}: {self._name(error)}")
        if len(values) < 2:
            return values[0] if values else None
        return tuple(values)

    def copy(self, to: int, source: int, size: int, to_gpu: bool, stream: Any) -> None:
        """Enqueue a copy of ``size`` bytes between addresses. Raises ``PlanError``."""
        kinds = self._runtime.cudaMemcpyKind
        kind = kinds.cudaMemcpyHostToDevice if to_gpu else kinds.cudaMemcpyDeviceToHost
        self("cudaMemcpyAsync", to, source, size, kind, stream)

    def stream(self, first: bool) -> Any:
        """A new stream of the highest priority, or of the lowest. Raises ``PlanError``."""
        least, greatest = self("cudaDeviceGetStreamPriorityRange")
        flags = self._runtime.cudaStreamNonBlocking
        return self("cudaStreamCreateWithPriority", flags, greatest if first else least)

    def _name(self, error: Any) -> str:
        _, name = self._runtime.cudaGetErrorName(error)
        return name.decode() if isinstance(name, bytes) else str(name)


class Memory:
    """Pinned and GPU memory and streams that are freed together."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._taken: list[tuple[str, Any]] = []

    def device(self, size: int) -> int:
        """The address of ``size`` bytes on the GPU. Raises ``PlanError``."""
        return int(self._take("cudaFree", self._cuda("cudaMalloc", size)))

    def pinned(self, shape: tuple[int, ...]) -> Array:
        """Zeros that the GPU can copy from and to by itself. Raises ``PlanError``."""
        count = math.prod(shape)
        address = int(self._take("cudaFreeHost", self._cuda("cudaMallocHost", 4 * count)))
        array = np.ctypeslib.as_array((ctypes.c_float * count).from_address(address))
        array.fill(0.0)
        return array.reshape(shape)

    def stream(self, first: bool) -> Any:
        """A stream; see ``Cuda.stream``. Raises ``PlanError``."""
        return self._take("cudaStreamDestroy", self._cuda.stream(first))

    def free(self) -> None:
        """Give everything back, the latest first. Never raises."""
        while self._taken:
            how, what = self._taken.pop()
            try:
                self._cuda(how, what)
            except PlanError:
                continue  # the driver is gone, and with it the memory

    def _take(self, how: str, what: Any) -> Any:
        self._taken.append((how, what))
        return what
