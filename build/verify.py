"""``python -m build verify DIR``: a bundle's golden pair on the engine that runs here.

Which engine that is, how near it comes to the golden outputs, how long it takes, what it needs.
"""

import argparse
import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from build.timing import Fit, Timing, fit, time_codec
from models.manifest import PRECISIONS, Bundle, Precision, read_bundle
from models.music2latent.codec import CPU, CUDA, TENSORRT, OpenedCodec
from models.music2latent.parity import Agreement
from models.plan import judge, open_codec, start_plans, start_provider
from models.plans.cache import PlanCache, Verdict

PLANS = "plans"
PROVIDERS = {PLANS: "", "tensorrt": TENSORRT, "cuda": CUDA, "cpu": CPU}
"""What can be named; all but plans are ONNX Runtime's."""


@dataclass(frozen=True)
class Verified:
    """What an engine made of the golden pair."""

    provider: str
    why: tuple[str, ...]
    verdict: Verdict
    timing: Timing
    fit: Fit
    peak_rss_mib: float
    """Of this process, with the libraries and the bundle's bytes."""


def open_named(
    bundle: Bundle,
    precision: Precision,
    provider: str | None,
    cache: Path | None = None,
    threads: int | None = None,
) -> OpenedCodec:
    """The engine of that name, unjudged, or the one that would play. Raises ``PurgaError``."""
    if provider is None:
        return open_codec(bundle, precision, cache, threads)
    if provider == PLANS:
        return start_plans(bundle, precision, PlanCache(cache))[0]
    return start_provider(
        bundle, precision, PROVIDERS[provider], PlanCache(cache), threads=threads, build=True
    )


def verify(
    codec: OpenedCodec, bundle: Bundle, precision: Precision, seconds: float = 2.0
) -> Verified:
    """Run the golden pair, hold it against the bundle's limits and time it.

    Raises ``CodecError`` where the engine fails.
    """
    verdict = judge(codec, bundle, precision)
    timing = time_codec(codec, bundle.golden(), precision, seconds)
    peak_rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Verified(
        codec.provider, codec.why, verdict, timing, fit(timing, bundle.manifest), peak_rss_mib
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Verify a bundle here; returns 0 within its limits, 1 beyond.

    Raises ``ModelError`` for a folder that is no bundle and an engine that is not here.
    """
    options = _parser().parse_args(argv)
    bundle = read_bundle(options.folder, [options.precision])
    codec = open_named(bundle, options.precision, options.provider, options.cache, options.threads)
    verified = verify(codec, bundle, options.precision, options.seconds)
    print("\n".join(lines(verified, options.precision)))
    for problem in verified.verdict.problems:
        print(f"python -m build verify: {problem}", file=sys.stderr)
    if options.json:
        print(json.dumps(figures(verified, bundle, options.precision)))
    return 1 if verified.verdict.problems else 0


def lines(verified: Verified, precision: Precision) -> list[str]:
    """What a person is told."""
    return [
        *(f"not taken: {reason}" for reason in verified.why),
        f"{precision} on {verified.provider}",
        *(
            f"against {name}: {Agreement(**numbers).as_text()}"
            for name, numbers in verified.verdict.against.items()
        ),
        verified.timing.as_text(),
        verified.fit.as_text(),
        f"memory: {verified.peak_rss_mib:.0f} MiB resident at most",
        "beyond the limits" if verified.verdict.problems else "within the limits",
    ]


def figures(verified: Verified, bundle: Bundle, precision: Precision) -> dict[str, object]:
    """What ``--json`` prints."""
    return {
        "ok": not verified.verdict.problems,
        "bundle": bundle.manifest.name,
        "sha256": bundle.sha256,
        "precision": precision,
        "provider": verified.provider,
        "why": verified.why,
        "problems": verified.verdict.problems,
        "against": verified.verdict.against,
        **asdict(verified.timing),
        **asdict(verified.fit),
        "fits": verified.fit.fits,
        "peak_rss_mib": round(verified.peak_rss_mib, 1),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m build verify",
        description="Run a bundle's golden pair on the engine that runs here, and time it.",
        epilog="Exit status: 0 within the bundle's limits, 1 beyond, 2 no bundle or no engine.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the bundle")
    parser.add_argument("--precision", choices=PRECISIONS, default="int8")
    parser.add_argument(
        "--provider",
        choices=PROVIDERS,
        help="TensorRT's plans, or one of ONNX Runtime's; by default what would play",
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where plans are kept")
    parser.add_argument("--threads", type=_positive, metavar="N", help="on the CPU; by default all")
    parser.add_argument(
        "--seconds", type=_seconds, default=2.0, metavar="S", help="to time, by default %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    return parser


def _positive(text: str) -> int:
    if not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"is {text}, expected 1 to 1024")
    return int(text)


def _seconds(text: str) -> float:
    if not 0.0 <= float(text) <= 600.0:
        raise argparse.ArgumentTypeError(f"is {text}, expected 0 to 600")
    return float(text)
