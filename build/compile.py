"""``python -m build compile DIR``: a bundle to TensorRT plans, on the device that will run them.

Builds what is not in the cache, at idle priority, judges it by the bundle's golden pair and times
it. The engine process then finds the plans; it never builds any itself.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnxruntime
from tqdm import tqdm

from build.check import check, ready, table
from build.operators import Target, targets, version
from build.rules.subject import Subject
from build.timing import Fit, Timing, fit, time_codec
from models.manifest import KINDS, PRECISIONS, Bundle, Precision, read_bundle
from models.music2latent.codec import CPU, CUDA, PROVIDER_NAMES, TENSORRT, CodecError
from models.music2latent.parity import Agreement
from models.plan import BuiltPlan, judge, open_plans, provide_plan, this_device
from models.plans.cache import BuildSettings, Device, PlanCache, PlanError, Verdict


@dataclass(frozen=True)
class Compiled:
    """Plans that reproduce the golden pair, and what was seen of them."""

    device: Device
    built: dict[str, BuiltPlan]
    """By kind."""
    verdict: Verdict
    timing: Timing
    fit: Fit


def compile_bundle(
    bundle: Bundle,
    precision: Precision,
    plans: PlanCache,
    settings: BuildSettings,
    rebuild: bool = False,
    seconds: float = 2.0,
) -> Compiled:
    """Have plans in the cache that reproduce the golden pair, and time them.

    A cached plan that does not load or does not reproduce it is built anew, once. Raises
    ``PlanError``, and ``CodecError`` where the GPU fails.
    """
    device = this_device()
    built = _provide(bundle, precision, plans, settings, rebuild)
    try:
        codec = open_plans(bundle, precision, plans)
    except PlanError:
        if all(each.build_s is not None for each in built.values()):
            raise
        built = _provide(bundle, precision, plans, settings, rebuild=True)
        codec = open_plans(bundle, precision, plans)
    try:
        verdict = judge(codec, bundle, precision)
        timing = time_codec(codec, bundle.golden(), precision, seconds)
    finally:
        codec.close()
    return Compiled(device, built, verdict, timing, fit(timing, bundle.manifest))


def instead() -> list[str]:
    """What this machine's ONNX Runtime can compute with, the fastest first."""
    here = onnxruntime.get_available_providers()
    return [PROVIDER_NAMES[name] for name in (TENSORRT, CUDA, CPU) if name in here]


def target_of(device: Device) -> Target:
    """The version of TensorRT by whose rules a bundle is checked: the newest not newer."""
    known = sorted(targets(), key=lambda target: target.version)
    here = version(".".join(device.tensorrt.split(".")[:2]))
    return next((target for target in reversed(known) if target.version <= here), known[0])


def main(argv: Sequence[str] | None = None) -> int:
    """Compile a bundle; returns 0 where its plans are ready, 1 where there are none.

    Raises ``ModelError`` for a folder that is no bundle and for settings out of range.
    """
    options = _parser().parse_args(argv)
    settings = BuildSettings(options.workspace_mb, options.level)
    bundle = read_bundle(options.folder)
    bundle.model("encoder", options.precision)
    plans = PlanCache(options.cache)
    try:
        device = this_device()
        print(f"{device.gpu}, compute capability {device.capability}, TensorRT {device.tensorrt}")
        results = check(Subject(bundle, [target_of(device)]))
        if not ready(results):
            print("\n".join(table(results)), file=sys.stderr)
            raise PlanError(f"{options.folder} is not ready for TensorRT; nothing was built.")
        compiled = compile_bundle(bundle, options.precision, plans, settings, options.rebuild)
    except (PlanError, CodecError) as error:
        print(
            f"python -m build compile: {error} Until then the engine runs on "
            f"{', else '.join(instead())}.",
            file=sys.stderr,
        )
        if options.json:
            print(json.dumps({"ready": False, "because": str(error), "instead": instead()}))
        return error.exit_code
    print("\n".join(lines(compiled, options.precision, plans)))
    if options.json:
        print(json.dumps(figures(compiled, bundle, options.precision)))
    return 0


def lines(compiled: Compiled, precision: Precision, plans: PlanCache) -> list[str]:
    """What a person is told."""
    told = []
    for kind, built in compiled.built.items():
        size_mb = len(built.plan.content) / 1e6
        how = "was there" if built.build_s is None else f"built in {built.build_s:.0f} s"
        told.append(f"{kind}: {size_mb:.1f} MB, {how}")
    told += [
        f"against {name}: {Agreement(**numbers).as_text()}"
        for name, numbers in compiled.verdict.against.items()
    ]
    return [
        *told,
        compiled.timing.as_text(),
        compiled.fit.as_text(),
        f"{precision} plans ready in {plans.folder}",
    ]


def figures(compiled: Compiled, bundle: Bundle, precision: Precision) -> dict[str, object]:
    """What ``--json`` prints."""
    return {
        "ready": True,
        "bundle": bundle.manifest.name,
        "sha256": bundle.sha256,
        "precision": precision,
        "device": asdict(compiled.device),
        "plans": {
            kind: {
                "bytes": len(built.plan.content),
                "sha256": built.plan.sha256,
                "build_s": built.build_s,
                "because": built.because,
            }
            for kind, built in compiled.built.items()
        },
        "against": compiled.verdict.against,
        **asdict(compiled.timing),
        **asdict(compiled.fit),
        "fits": compiled.fit.fits,
    }


def _provide(
    bundle: Bundle,
    precision: Precision,
    plans: PlanCache,
    settings: BuildSettings,
    rebuild: bool,
) -> dict[str, BuiltPlan]:
    built: dict[str, BuiltPlan] = {}
    for kind in KINDS:
        with _Bar(kind) as bar:
            built[kind] = provide_plan(
                bundle, kind, precision, plans, settings, bar.show, rebuild=rebuild
            )
    return built


class _Bar:
    """TensorRT's outermost phase as a bar on stderr; none where stderr is no terminal."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._phase = ""
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *reason: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, phase: str, done: int, steps: int) -> None:
        """Called by the monitor, which lets one thread in at a time."""
        if self._bar is None or phase != self._phase:
            if self._bar is not None:
                self._bar.close()
            self._phase = phase
            self._bar = tqdm(total=steps, desc=f"{self._kind}: {phase}", disable=None)
        self._bar.update(done - self._bar.n)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m build compile",
        description="Build a bundle's TensorRT plans on this device, judge and time them.",
        epilog="Exit status: 0 ready, 1 no TensorRT, no GPU or no plan that serves, 2 no bundle.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the bundle")
    parser.add_argument("--precision", choices=PRECISIONS, default="int8")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="where plans are kept; by default the user's"
    )
    parser.add_argument(
        "--workspace-mb",
        type=int,
        default=BuildSettings.workspace_mb,
        metavar="N",
        help="the most GPU memory in MiB for one layer's own use, by default %(default)s",
    )
    parser.add_argument(
        "--level",
        type=int,
        default=BuildSettings.optimisation_level,
        metavar="0…5",
        help="how long TensorRT looks for faster kernels, by default %(default)s",
    )
    parser.add_argument("--rebuild", action="store_true", help="build also what is in the cache")
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    return parser
