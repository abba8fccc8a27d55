"""The stage network's self-test: the riff through what will play, beside what plays now."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from deploy.trial import sounds
from deploy.trial.limits import Here, Limits
from deploy.trial.verdict import Figures, RefusedError
from device.kept import stage_for_period
from device.sound.morph import Stage, StageFit
from device.sound.networks import stage_network
from models.morph import Positions
from models.stage.colour import Colour, colour_of
from models.stage.model import StageModel
from models.units import Audio, rms_dbfs

NAME = "stage.onnx"
Place = float | str
PLACES: tuple[Place, ...] = (0.25, 0.5, 0.75)
LONG_PERIOD_FRAMES = 1024
ALIKE = ("driven", "dull")
"""Pairs of tones of which something must be left half way."""
_END_DB = -40.0
"""Beside the ends the network must be as near to them: a knob that leaves one makes no click."""
_REMEDY = "train another one"


def try_stage(file: Path, present: Path | None, limits: Limits, here: Here) -> Figures:
    """Play the riff through a stage network; ``present`` is the one that plays now.

    Returns what was measured. Raises ``RefusedError`` for a network that is not finite, not exact
    at its ends, too loud, too faint or too slow, ``ModelError`` for one that does not load.
    """
    # First, because trying the sound of a slow network would take for ever.
    figures = check_time(file, present, limits, here)
    louder, fainter = float("-inf"), float("inf")
    for name, (a, b), made in _between(file, here, figures):
        louder = max(louder, sounds.excess_db(made, (a, b), here.rate_hz, limits.quiet_dbfs))
        if name in ALIKE:
            fainter = min(fainter, rms_dbfs(made) - min(rms_dbfs(a), rms_dbfs(b)))
        figures["stage_over_louder_end_db"] = louder
        figures["stage_over_fainter_end_db"] = fainter
        _check_levels(louder, fainter, limits, figures)
    for name, pair in sounds.pairs(here.rate_hz).items():
        _check_ends(file, *pair, name, figures)
    _check_loud(file, here, figures)
    _check_exact(file, here, figures)
    return figures


def laid_out(file: Path | None, period_frames: int) -> bytes:
    """What plays: the pedal lays a network out for its period, which is where one may break.

    By default the network that ships.
    """
    return stage_for_period(stage_network(file), period_frames)


def _between(
    file: Path, here: Here, figures: Figures
) -> Iterator[tuple[str, tuple[Audio, Audio], Audio]]:
    """What the network makes of every pair in between, and of the riff along a sweep.

    Refuses what is no number. The sound does not depend on the period: the sweep is played in the
    pedal's own, the rest in one that costs a third.
    """
    cases: list[tuple[str, tuple[Audio, Audio], tuple[Place, ...], int]] = [
        ("driven", sounds.driven(here.rate_hz), ("sweep",), here.period_frames)
    ]
    for name, pair in sounds.pairs(here.rate_hz).items():
        cases.append((name, pair, PLACES, LONG_PERIOD_FRAMES))
    for name, pair, places, period in cases:
        model = StageModel(laid_out(file, period), colour_of(*pair), period)
        for place in places:
            made = _played(model, period, *pair, _positions(place, pair[0].shape[1]))
            if not np.isfinite(made).all():
                raise RefusedError(
                    f"{NAME}: gives what is no number (NaN or infinity) between a clean and a "
                    f"{name} tone; {_REMEDY}.",
                    figures,
                )
            yield name, pair, made


def _check_levels(louder: float, fainter: float, limits: Limits, figures: Figures) -> None:
    if louder > limits.louder_db:
        raise RefusedError(
            f"{NAME}: is too loud, {louder:.1f} dB over the louder tone, at most "
            f"{limits.louder_db:g} dB are taken; {_REMEDY}.",
            figures,
        )
    if fainter < -limits.fainter_db:
        raise RefusedError(
            f"{NAME}: is too faint, {-fainter:.1f} dB under the fainter tone between two tones "
            f"alike in level, at most {limits.fainter_db:g} dB are taken; {_REMEDY}.",
            figures,
        )


def _played(model: StageModel, period: int, a: Audio, b: Audio, position: Positions) -> Audio:
    """Whole periods through the network itself, which alone shows a NaN: the engine hides it."""
    frames = a.shape[1] // period * period
    made = np.zeros((1, frames), np.float32)
    model.reset()
    for start in range(0, frames, period):
        piece = slice(start, start + period)
        model.process(a[:, piece], b[:, piece], position[piece], made[:, piece])
    return made


def _positions(place: Place, frames: int) -> Positions:
    if isinstance(place, str):
        return np.linspace(0.0, 1.0, frames, dtype=np.float32)
    return np.full(frames, place, np.float32)


def _check_ends(file: Path, a: Audio, b: Audio, name: str, figures: Figures) -> None:
    """What the network gives at an end must be that tone, or leaving the end would be heard."""
    model = StageModel(laid_out(file, LONG_PERIOD_FRAMES), colour_of(a, b), LONG_PERIOD_FRAMES)
    for place, tone in ((0.0, a), (1.0, b)):
        made = _played(model, LONG_PERIOD_FRAMES, a, b, _positions(place, a.shape[1]))
        rest_db = rms_dbfs(made - tone[:, : made.shape[1]])
        if not rest_db <= max(rms_dbfs(a), rms_dbfs(b)) + _END_DB:
            side = "A" if place == 0.0 else "B"
            raise RefusedError(
                f"{NAME}: is not tone {side} where the knob is at it, between a clean and a "
                f"{name} tone; {_REMEDY}.",
                figures,
            )


def _check_loud(file: Path, here: Here, figures: Figures) -> None:
    """Full-scale noise in both ears, then nothing: no NaN, and no sound of its own."""
    generator = np.random.default_rng(6)
    frames = here.rate_hz // 2
    a, b = (generator.uniform(-1.0, 1.0, (1, frames)).astype(np.float32) for _ in range(2))
    a[:, frames // 2 :] = b[:, frames // 2 :] = 0.0
    model = StageModel(laid_out(file, here.period_frames), Colour.plain(), here.period_frames)
    made = _played(model, here.period_frames, a, b, _positions(0.5, frames))
    if not np.isfinite(made).all():
        raise RefusedError(
            f"{NAME}: gives what is no number (NaN or infinity) when it is played loud; {_REMEDY}.",
            figures,
        )
    rest_dbfs = rms_dbfs(made[:, -frames // 8 :])
    figures["stage_silence_dbfs"] = rest_dbfs
    if rest_dbfs > -60.0:
        raise RefusedError(
            f"{NAME}: sounds by itself, {rest_dbfs:.1f} dBFS after the playing has ended; "
            f"{_REMEDY}.",
            figures,
        )


def _check_exact(file: Path, here: Here, figures: Figures) -> None:
    """Through the engine that plays: at both ends the tone itself, bit for bit."""
    a, b = sounds.driven(here.rate_hz, sounds.SHORT_S)
    levels = np.ones(2, np.float32)
    fit = StageFit(colour_of(a, b), levels, levels)
    engine = Stage(fit, lambda frames: laid_out(file, frames))
    engine.prepare(here.rate_hz, here.period_frames)
    period = here.period_frames
    made = np.zeros((1, period), np.float32)
    for place, tone in ((0.0, a), (1.0, b)):
        position = np.full(period, place, np.float32)
        for start in range(0, min(here.rate_hz, a.shape[1]) - period, period):
            piece = slice(start, start + period)
            engine.process(a[:, piece], b[:, piece], position, made)
            if made.tobytes() != np.ascontiguousarray(tone[:, piece]).tobytes():
                raise RefusedError(
                    f"{NAME}: the ends of the knob are not the tones themselves, bit for bit; "
                    f"{_REMEDY}.",
                    figures,
                )


def check_time(file: Path, present: Path | None, limits: Limits, here: Here) -> Figures:
    """A period's time beside that of the network that plays now, on this machine, now.

    Raises ``RefusedError`` where it is too long, ``ModelError`` for one that does not load.
    """
    a, b = sounds.driven(here.rate_hz, sounds.SHORT_S)
    taken = sounds.p99_s(
        {
            name: _step(laid_out(which, here.period_frames), a, b, here.period_frames)
            for name, which in (("new", file), ("present", present))
        }
    )
    timed: Figures = {
        "stage_p99_ms": 1e3 * taken["new"],
        "stage_present_p99_ms": 1e3 * taken["present"],
        "period_ms": 1e3 * here.period_s,
    }
    most_s = max(limits.share * here.period_s, limits.slower * taken["present"])
    if taken["new"] > most_s:
        raise RefusedError(
            f"{NAME}: is too slow, {1e3 * taken['new']:.2f} ms of a period of "
            f"{1e3 * here.period_s:.2f} ms (p99), at most {1e3 * most_s:.2f} ms are taken and the "
            f"present one takes {1e3 * taken['present']:.2f} ms; {_REMEDY}.",
            timed,
        )
    return timed


def _step(content: bytes, a: Audio, b: Audio, period: int) -> Callable[[int], None]:
    model = StageModel(content, colour_of(a, b), period)
    periods = a.shape[1] // period
    position = np.full(period, 0.5, np.float32)
    made = np.zeros((1, period), np.float32)

    def step(index: int) -> None:
        start = index % periods * period
        piece = slice(start, start + period)
        model.process(a[:, piece], b[:, piece], position, made)

    return step
