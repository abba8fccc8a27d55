"""Which codec this device runs: TensorRT's plans where they are built, else ONNX Runtime.

The one module that imports TensorRT and CUDA, and only when it is asked for them: on a Jetson both
come with JetPack, elsewhere neither is there. Written for TensorRT 10.3 … 11 and NVIDIA's
``cuda.bindings``; ``models.plans`` holds the parts.
"""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import onnxruntime

from models.errors import ModelError, PurgaError
from models.manifest import KINDS, Bundle, Kind, Precision
from models.music2latent.codec import CPU, CUDA, TENSORRT, OnnxCodec, OpenedCodec, Provider
from models.music2latent.parity import agreement, beyond, run_golden
from models.plans.builder import build_idly
from models.plans.cache import BuildSettings, Device, Plan, PlanCache, PlanError, PlanKey, Verdict
from models.plans.codec import TensorRtCodec
from models.plans.cuda import Cuda
from models.plans.log import Progress

DRIVER_FILES = (Path("/proc/driver/nvidia/version"), Path("/etc/nv_tegra_release"))
"""Where the driver's release stands; on a Jetson it is a part of the system's."""


def open_codec(
    bundle: Bundle,
    precision: Precision = "int8",
    cache: Path | None = None,
    threads: int | None = None,
) -> OpenedCodec:
    """The fastest codec that this device can run at once; it builds nothing.

    First TensorRT plans that ``python -m build compile`` built and that reproduce the golden pair,
    then ONNX Runtime's TensorRT provider where its engines lie in the cache, then its CUDA
    provider, last its CPU provider. ``why`` of the codec has a sentence for each that was not
    taken. ``threads`` compute on the CPU, by default all. ``cache`` is by default
    ``models.plans.cache.default_cache()``.

    Raises ``ModelError`` where the bundle does not load anywhere.
    """
    plans = PlanCache(cache)
    ways: list[Callable[..., OpenedCodec]] = [
        functools.partial(open_plans, bundle, precision, plans),
        functools.partial(open_provider, bundle, precision, TENSORRT, plans),
        functools.partial(open_provider, bundle, precision, CUDA, plans),
    ]
    why: tuple[str, ...] = ()
    for way in ways:
        try:
            return way(why=why)
        except PurgaError as error:
            why = (*why, str(error))
    return open_provider(bundle, precision, CPU, plans, why, threads)


def open_provider(
    bundle: Bundle,
    precision: Precision,
    name: str,
    plans: PlanCache,
    why: Sequence[str] = (),
    threads: int | None = None,
) -> OnnxCodec:
    """The bundle in ONNX Runtime on one provider, which on a GPU must reproduce the golden pair.

    Raises as ``start_provider``, and ``PlanError`` where a GPU computes something else.
    """
    codec = start_provider(bundle, precision, name, plans, why, threads)
    if name != CPU:
        _insist(judge(codec, bundle, precision), codec)
    return codec


def start_provider(
    bundle: Bundle,
    precision: Precision,
    name: str,
    plans: PlanCache,
    why: Sequence[str] = (),
    threads: int | None = None,
    build: bool = False,
) -> OnnxCodec:
    """The bundle in ONNX Runtime on one provider, by ONNX Runtime's name for it, unjudged.

    Its TensorRT provider makes engines of its own, for minutes: only with ``build``. Raises
    ``ModelError`` where the provider does not start, ``PlanError`` where engines are missing.
    """
    if name not in onnxruntime.get_available_providers():
        raise ModelError(f"This ONNX Runtime has no {name}.")
    providers: list[Provider] = [name]
    if name == TENSORRT:
        engines = plans.folder / f"onnxruntime-{bundle.sha256[:16]}"
        if build:
            engines.mkdir(parents=True, exist_ok=True)
        elif not any(engines.glob("*.engine")):
            raise PlanError(
                f"ONNX Runtime's TensorRT provider has no engines in {engines}; `python -m build "
                "verify --provider tensorrt` builds them."
            )
        # https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
        options = {
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(engines),
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(engines),
        }
        providers = [(name, options), CUDA]
    if name != CPU:
        providers.append(CPU)
    encoder, decoder = (bundle.read_model(kind, precision) for kind in KINDS)
    return OnnxCodec(encoder, decoder, providers, threads, why=why)


def open_plans(
    bundle: Bundle,
    precision: Precision,
    plans: PlanCache,
    why: Sequence[str] = (),
) -> TensorRtCodec:
    """The bundle's plans from the cache, once they have reproduced the golden pair.

    Raises as ``start_plans``, and ``PlanError`` for plans that compute something else.
    """
    codec, found = start_plans(bundle, precision, plans, why)
    try:
        verdict = plans.read_verdict(bundle.sha256, precision, *found)
        if verdict is None:
            verdict = judge(codec, bundle, precision)
            plans.write_verdict(verdict, bundle.sha256, precision, *found)
        _insist(verdict, codec)
    except BaseException:
        codec.close()
        raise
    return codec


def start_plans(
    bundle: Bundle, precision: Precision, plans: PlanCache, why: Sequence[str] = ()
) -> tuple[TensorRtCodec, list[Plan]]:
    """The bundle's plans from the cache, unjudged; and their bytes, encoder first.

    Raises ``PlanError``: no TensorRT or GPU, no plan, a damaged one.
    """
    found = [plans.read_plan(key) for key in plan_keys(bundle, precision)]
    trt, cuda = libraries()
    return TensorRtCodec(trt, cuda, found[0].content, found[1].content, why), found


def judge(codec: OpenedCodec, bundle: Bundle, precision: Precision) -> Verdict:
    """Run the golden pair and hold it against the bundle's limits. Raises ``CodecError``."""
    golden, limits = bundle.golden(), bundle.certificate().limits
    made = run_golden(codec, golden)
    against = {str(name): agreement(golden, name, *made) for name in ("fp32", precision)}
    return Verdict(
        against={name: asdict(each) for name, each in against.items()},
        problems=beyond(golden, precision, against, limits),
    )


@dataclass(frozen=True)
class BuiltPlan:
    """One plan in the cache."""

    plan: Plan
    build_s: float | None
    """How long it took; None for one that was there."""
    because: str = ""
    """Why it was built."""


def provide_plan(
    bundle: Bundle,
    kind: Kind,
    precision: Precision,
    plans: PlanCache,
    settings: BuildSettings,
    progress: Progress | None = None,
    rebuild: bool = False,
) -> BuiltPlan:
    """A graph's plan from the cache, or built at idle priority, for minutes, and kept.

    With ``rebuild`` what is in the cache is not looked at. Raises ``PlanError``, and
    ``ModelError`` for a bundle without that precision.
    """
    key = plan_keys(bundle, precision)[KINDS.index(kind)]
    trt, cuda = libraries()
    because = "It was asked for."
    if not rebuild:
        try:
            return BuiltPlan(plans.read_plan(key, settings), build_s=None)
        except PlanError as error:
            because = str(error)
    begin = time.monotonic()
    model, timing = bundle.read_model(kind, precision), plans.read_timing(key.device)
    built = build_idly(trt, cuda, model, settings, timing, progress)
    build_s = time.monotonic() - begin
    plan = plans.write_plan(key, settings, built.plan, build_s)
    plans.write_timing(key.device, built.timing)
    return BuiltPlan(plan, build_s, because)


def plan_keys(bundle: Bundle, precision: Precision) -> list[PlanKey]:
    """The keys of a bundle's plans on this device, encoder first. Raises ``PlanError``."""
    device = this_device()
    return [PlanKey(kind, bundle.model_sha256(kind, precision), device) for kind in KINDS]


def this_device() -> Device:
    """What plans of this machine are bound to. Raises ``PlanError`` without TensorRT or GPU."""
    trt, cuda = libraries()
    found = cuda("cudaGetDeviceProperties", 0)
    name = found.name.decode() if isinstance(found.name, bytes) else str(found.name)
    return Device(
        tensorrt=str(trt.__version__),
        gpu=name.rstrip("\0"),
        capability=f"{found.major}.{found.minor}",
        multiprocessors=int(found.multiProcessorCount),
        driver=" ".join([f"CUDA {cuda('cudaDriverGetVersion')}", *_driver_releases()]),
    )


def libraries() -> tuple[ModuleType, Cuda]:
    """TensorRT and CUDA. Raises ``PlanError`` where one is not here or no GPU answers."""
    try:
        import tensorrt
        from cuda.bindings import runtime
    except ImportError as error:
        raise PlanError(
            f"TensorRT is not on this machine ({str(error).splitlines()[0]}); on a Jetson it comes "
            "with JetPack, and so does CUDA; NVIDIA's cuda-python must be installed beside them."
        ) from None
    return tensorrt, Cuda(runtime)


def _driver_releases() -> list[str]:
    releases = []
    for file in DRIVER_FILES:
        try:
            releases.append(file.read_text().splitlines()[0])
        except (OSError, IndexError, UnicodeDecodeError):
            continue
    return releases


def _insist(verdict: Verdict, codec: OpenedCodec) -> None:
    if verdict.problems:
        raise PlanError(
            f"{codec.provider} does not reproduce the golden pair: {verdict.problems[0]}"
        )
