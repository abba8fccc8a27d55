"""The studio bundle's self-test: its golden pair on the engine that will play it, and its time."""

from pathlib import Path

from build.timing import Fit, fit, time_codec
from build.verify import PLANS as ON_PLANS
from build.verify import open_named
from deploy.trial.files import PLANS
from deploy.trial.limits import Limits
from deploy.trial.verdict import Figures, RefusedError
from device.studio import StudioBundle, read_studio
from models.errors import PurgaError
from models.music2latent.codec import OpenedCodec
from models.music2latent.parity import Agreement
from models.plan import judge

NAME = "studio"
SECONDS = 1.0
"""Of timing, twice for each bundle, by turns."""


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
    try:
        loads, others = [], []
        for _ in range(2):
            loads.append(_fit(studio, codec))
            if playing is not None and other is not None:
                others.append(_fit(playing, other))
    finally:
        if other is not None:
            _close(other)
    best = min(loads, key=lambda each: each.load)
    timed: Figures = {"studio_load": best.load, "studio_hop_ms": best.hop_ms}
    most = limits.studio_share_alone
    if others:
        now = min(each.load for each in others)
        timed["studio_present_load"] = now
        most = max(limits.studio_share, limits.slower * now)
    if best.load > most:
        raise RefusedError(
            f"{NAME}: is too slow, {100 * best.load:.0f} % of a hop of {best.hop_ms:.1f} ms, at "
            f"most {100 * most:.0f} % are taken; build it with a longer hop.",
            {**figures, **timed},
        )
    return timed


def _present(slot: Path | None) -> tuple[StudioBundle | None, OpenedCodec | None]:
    """What plays now, to compare with; nothing where it does not load any more."""
    if slot is None or not (slot / NAME).is_dir():
        return None, None
    try:
        studio = read_studio(slot / NAME)
        return studio, _opened(studio, slot)
    except PurgaError:
        return None, None


def _fit(studio: StudioBundle, codec: OpenedCodec) -> Fit:
    timing = time_codec(codec, studio.bundle.golden(), studio.precision, SECONDS)
    return fit(timing, studio.bundle.manifest)


def _close(codec: OpenedCodec) -> None:
    """Free what it holds on a GPU; ONNX Runtime's frees itself."""
    close = getattr(codec, "close", None)
    if close is not None:
        close()
