"""The studio bundle's self-test: its golden pair on the engine that will play it, and its time."""

import time
from pathlib import Path

from build.verify import PLANS as ON_PLANS
from build.verify import open_named
from deploy.trial.limits import Limits
from deploy.trial.verdict import Figures, RefusedError
from device.slots import PLANS
from device.studio import StudioBundle, read_studio
from models.errors import PurgaError
from models.music2latent.codec import OpenedCodec
from models.music2latent.parity import Agreement, run_golden
from models.plan import judge

NAME = "studio"
SECONDS, FEWEST, ROUNDS = 0.5, 5, 3
"""Of timing, and runs at the least, for each bundle by turns."""


def try_studio(slot: Path, present: Path | None, limits: Limits) -> Figures:
    """The golden pair of a slot's bundle within its certificate's limits, and its time in a hop.

    ``present`` is the slot that plays now, if there is one. Raises ``RefusedError``, and
    ``ModelError`` for a bundle that does not load.
    """
    studio = read_studio(slot / NAME)
    codec = _opened(studio, slot)
    try:
        verdict = judge(codec, studio.bundle, studio.precision)
        figures: Figures = {"studio_engine": f"{studio.precision} on {codec.provider}"}
        for name, numbers in verdict.against.items():
            figures[f"studio_against_{name}"] = Agreement(**numbers).as_text()
        if verdict.problems:
            raise RefusedError(
                f"{NAME}: does not give its golden sound on {codec.provider}: "
                f"{verdict.problems[0]}",
                figures,
            )
        return {**figures, **_timed(studio, codec, present, limits, figures)}
    finally:
        _close(codec)


def _opened(studio: StudioBundle, slot: Path) -> OpenedCodec:
    """The engine that will play: the plans that were built in the slot, or the fastest there is."""
    plans = slot / PLANS
    on_plans = any(plans.glob("*.plan")) if plans.is_dir() else False
    return open_named(studio.bundle, studio.precision, ON_PLANS if on_plans else None, plans)


def _timed(
    studio: StudioBundle,
    codec: OpenedCodec,
    present: Path | None,
    limits: Limits,
    figures: Figures,
) -> Figures:
    """What encoding and decoding take of a hop, beside the bundle that plays now."""
    playing, other = _present(present)
    load, now = float("inf"), float("inf")
    try:
        for _ in range(ROUNDS):
            load = min(load, _load(studio, codec))
            if playing is not None and other is not None:
                now = min(now, _load(playing, other))
    finally:
        if other is not None:
            _close(other)
    hop_ms = 1e3 * _hop_s(studio)
    timed: Figures = {"studio_load": load, "studio_hop_ms": hop_ms}
    most = limits.studio_share_alone
    if other is not None:
        timed["studio_present_load"] = now
        most = max(limits.studio_share, limits.slower * now)
    if load > most:
        raise RefusedError(
            f"{NAME}: is too slow, {100 * load:.0f} % of a hop of {hop_ms:.1f} ms at best, at "
            f"most {100 * most:.0f} % are taken; build it with a longer hop.",
            {**figures, **timed},
        )
    return timed


def _load(studio: StudioBundle, codec: OpenedCodec) -> float:
    """The share of a hop that encoding both tones and decoding takes at best.

    The best and not the p99: this runs when everything else rests and beside all that does not,
    and computes on every processor, so there is no thread's own time to go by.
    """
    golden = studio.bundle.golden()
    end_s = time.monotonic() + SECONDS
    best_s, runs = float("inf"), 0
    while runs < FEWEST or time.monotonic() < end_s:
        begin_s = time.perf_counter()
        run_golden(codec, golden)
        best_s = min(best_s, time.perf_counter() - begin_s)
        runs += 1
    return best_s / _hop_s(studio)


def _hop_s(studio: StudioBundle) -> float:
    facts = studio.bundle.manifest
    return facts.hop_frames * facts.hop / facts.rate_hz


def _present(slot: Path | None) -> tuple[StudioBundle | None, OpenedCodec | None]:
    """What plays now, to compare with; nothing where it does not load any more."""
    if slot is None or not (slot / NAME).is_dir():
        return None, None
    try:
        studio = read_studio(slot / NAME)
        return studio, _opened(studio, slot)
    except PurgaError:
        return None, None


def _close(codec: OpenedCodec) -> None:
    """Free what it holds on a GPU; ONNX Runtime's frees itself."""
    close = getattr(codec, "close", None)
    if close is not None:
        close()
