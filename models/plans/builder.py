"""From an ONNX graph to a plan, with TensorRT's builder.

The network is strongly typed: the graph's own Q/DQ and casts say what is INT8 and fp16, so there
are no precision flags, which TensorRT 11 has removed. NVIDIA, *TensorRT Developer Guide*,
"Strongly Typed Networks" and "Working with Quantized Types".
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from models.errors import PurgaError
from models.music2latent.codec import first_line
from models.plans.cache import BuildSettings, PlanError
from models.plans.cuda import Cuda, Memory
from models.plans.log import Progress, make_log, make_monitor


@dataclass(frozen=True)
class Built:
    """A plan, and what was learnt about this device's kernels on the way."""

    plan: bytes
    timing: bytes


def build_idly(
    trt: ModuleType,
    cuda: Cuda,
    model: bytes,
    settings: BuildSettings,
    timing: bytes = b"",
    progress: Progress | None = None,
) -> Built:
    """Build a plan while everything else goes first, on the CPU and on the GPU.

    Takes minutes; Ctrl-C ends it at TensorRT's next step. ``timing`` is what an earlier build on
    this device gave. Raises ``PlanError``.
    """
    cancelled = threading.Event()
    # Linux schedules each thread for itself, and those that TensorRT starts inherit it.
    with ThreadPoolExecutor(max_workers=1, initializer=_be_idle) as pool:
        try:
            work = pool.submit(_build, trt, cuda, model, settings, timing, progress, cancelled)
            return work.result()
        except BaseException:
            cancelled.set()
            raise


def _be_idle() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _build(
    trt: ModuleType,
    cuda: Cuda,
    model: bytes,
    settings: BuildSettings,
    timing: bytes,
    progress: Progress | None,
    cancelled: threading.Event,
) -> Built:
    memory = Memory(cuda)
    try:
        log = make_log(trt)
        builder = trt.Builder(log)
        network = builder.create_network(_network_flags(trt))
        _parse(trt, network, model, log)
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mb << 20)
        config.builder_optimization_level = settings.optimisation_level
        # TensorRT's default computes fp32 with 10 bits of mantissa.
        config.clear_flag(trt.BuilderFlag.TF32)
        config.profile_stream = int(memory.stream(first=False))
        # One of another TensorRT or GPU is not taken.
        if not config.set_timing_cache(config.create_timing_cache(timing), False):
            config.set_timing_cache(config.create_timing_cache(b""), False)
        monitor = make_monitor(trt, progress, cancelled)
        config.progress_monitor = monitor
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise PlanError(
                f"TensorRT {trt.__version__} builds no plan ({log.last()}); give it more "
                "--workspace-mb, or stop what else uses the memory."
            )
        return Built(bytes(plan), bytes(config.get_timing_cache().serialize()))
    except PurgaError:
        raise
    except Exception as error:
        raise PlanError(
            f"TensorRT {trt.__version__} fails at the build ({type(error).__name__}: "
            f"{first_line(error)}); `python -m build check` shows whether the bundle is at fault."
        ) from error
    finally:
        memory.free()


def _network_flags(trt: ModuleType) -> int:
    """Strongly typed: asked for up to TensorRT 10; 11 knows nothing else and deprecates asking."""
    if int(str(trt.__version__).split(".")[0]) >= 11:
        return 0
    return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _parse(trt: ModuleType, network: Any, model: bytes, log: Any) -> None:
    parser = trt.OnnxParser(network, log)
    if parser.parse(model):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    said = "; ".join(
        f"{error.node_operator()} {error.node_name()}: {error.desc()}" for error in errors
    )
    raise PlanError(
        f"TensorRT {trt.__version__} does not read the graph ({said or log.last()}); "
        "`python -m build check` names what it cannot take."
    )
