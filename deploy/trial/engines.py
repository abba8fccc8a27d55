"""Engines for this device, made from a slot's models; runs in the child process.

With TensorRT they are plans, built into the slot. Without it ONNX Runtime loads a graph that is
prepared for the pedal's period, or for its processor; that graph is what is named then. Either
way the hash says what plays, which the record ties to what was signed.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx
import onnxruntime

from deploy.trial.contents import STAGE, STUDIO
from deploy.trial.limits import Here
from deploy.trial.presets import preset_files
from deploy.trial.verdict import RefusedError
from device.kept import KeptNetworks, Store
from device.preset import Side, read_preset
from device.slots import PLANS
from device.sound.blocks.nam import NamBlock
from device.studio import StudioBundle, read_studio
from models.manifest import KINDS, model_name
from models.music2latent.codec import CPU
from models.music2latent.graphs.cpu import for_cpu
from models.plan import judge, libraries, provide_plan, start_plans
from models.plans.cache import BuildSettings, PlanCache, PlanError

_SIDES: tuple[Side, ...] = ("a", "b")


def built_engines(folder: Path, here: Here) -> dict[str, str]:
    """SHA-256 of every engine that will play, by file and by what runs it.

    Builds plans into ``folder/plans`` where TensorRT is. Raises ``PlanError`` where it is and
    builds none, ``RefusedError`` where what it builds does not give the golden sound,
    ``ModelError`` for a model that does not load.
    """
    engines: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as kept:
        # What the pedal lays out for its loop, which is what ONNX Runtime is given in the end.
        networks = KeptNetworks(Store(Path(kept)), make=True)
        if (folder / STAGE).exists():
            graph = networks.stage(folder / STAGE, here.period_frames)
            engines[_streaming(STAGE, here)] = hashlib.sha256(graph).hexdigest()
        engines.update(_captures(folder, networks, here))
    if (folder / STUDIO).exists():
        engines.update(_studio(read_studio(folder / STUDIO), folder / PLANS))
    return engines


def _studio(studio: StudioBundle, folder: Path) -> Mapping[str, str]:
    bundle, precision = studio.bundle, studio.precision
    names = {kind: f"{STUDIO}/{model_name(kind, precision)}" for kind in KINDS}
    try:
        trt, _ = libraries()
    except PlanError:
        return {
            f"{names[kind]} on {runtime(bundle_provider())}": _for_provider(
                bundle.read_model(kind, precision)
            )
            for kind in KINDS
        }
    plans = PlanCache(folder)
    built = {kind: provide_plan(bundle, kind, precision, plans, BuildSettings()) for kind in KINDS}
    where = f"TensorRT {trt.__version__}"
    _judge(studio, plans, where)
    return {f"{names[kind]} on {where}": built[kind].plan.sha256 for kind in KINDS}


def _judge(studio: StudioBundle, plans: PlanCache, where: str) -> None:
    """Hold the plans against the golden pair, and keep the verdict beside them.

    The process that plays reads it there; it may not write into the slot.
    """
    bundle, precision = studio.bundle, studio.precision
    codec, found = start_plans(bundle, precision, plans)
    try:
        verdict = judge(codec, bundle, precision)
    finally:
        codec.close()
    plans.write_verdict(verdict, bundle.sha256, precision, *found)
    if verdict.problems:
        raise RefusedError(
            f"{STUDIO}: does not give its golden sound on {where}: {verdict.problems[0]}"
        )


def bundle_provider() -> str:
    """ONNX Runtime's fastest provider that needs no engines of its own."""
    available = onnxruntime.get_available_providers()
    return next((name for name in available if name.startswith("CUDA")), CPU)


def _for_provider(content: bytes) -> str:
    """What ONNX Runtime is given: on a processor, the graph as it is rewritten for it."""
    if bundle_provider() == CPU:
        graph = for_cpu(onnx.load_model_from_string(content))
        content = graph.SerializeToString(deterministic=True)
    return hashlib.sha256(content).hexdigest()


def _captures(folder: Path, networks: KeptNetworks, here: Here) -> Mapping[str, str]:
    """The graph of every capture that a preset plays, at the size that it asks for.

    Two captures of one architecture play as one graph.
    """
    engines = {}
    for file in preset_files(folder):
        preset = read_preset(file, networks=networks)
        captures = {
            f"tone.{side}.chain[{index}]": block.capture
            for side in _SIDES
            for index, block in enumerate(preset.chain(side, here.dbu).blocks)
            if isinstance(block, NamBlock)
        }
        name = str(file.relative_to(folder))
        for place, capture in captures.items():
            graph = capture.alone(here.period_frames)
            engines[_streaming(f"{name} {place}", here)] = hashlib.sha256(graph).hexdigest()
        if len(captures) == 2:
            both = list(captures.values())
            joined = both[0].beside(both[1], here.period_frames)
            if joined is not None:
                where = _streaming(f"{name} {' and '.join(captures)}", here)
                engines[where] = hashlib.sha256(joined).hexdigest()
    return engines


def _streaming(name: str, here: Here) -> str:
    return f"{name} on {runtime(CPU)}, {here.period_frames} frames"


def runtime(provider: str) -> str:
    """Which ONNX Runtime, and on what: ``ONNX Runtime 1.31.0 CPU``."""
    return f"ONNX Runtime {onnxruntime.__version__} {provider.removesuffix('ExecutionProvider')}"
