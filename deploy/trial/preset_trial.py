"""The presets' self-test: each with the knob at A, half way, at B and on the way, as live."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deploy.trial import sounds
from deploy.trial.contents import STAGE, STUDIO
from deploy.trial.limits import Here, Limits
from deploy.trial.presets import preset_files
from deploy.trial.verdict import Figures, RefusedError
from device.config import bundled_presets
from device.prepare import playable
from device.preset import Preset, read_preset
from device.processes.studio_link import StudioLink
from device.script import Script
from device.sound.morph import MorphEngine, Studio
from device.sound.morph.studio_feed import Change, timing_of
from device.sound.player import Player
from device.studio import RATE_HZ as STUDIO_RATE_HZ
from device.studio import USUAL, StudioBundle, StudioSource, read_studio
from models.errors import PurgaError
from models.units import Audio

PLACES = (0.0, 0.5, 1.0)
_REMEDY = "publish it with other levels"
_NOWHERE = Path("/nonexistent/studio.sock")


class WithoutEngine:
    """A ``StudioSource`` whose engine process is not there: the stage engine stands in.

    Of the studio engine's work a period has only this; the network runs in another process.
    """

    network: StudioBundle | None

    def __init__(self, rate_hz: int, bundle: StudioBundle | None = None) -> None:
        """``bundle`` tells when its sound would be due, and finds directions."""
        self.network = bundle
        self._timing = timing_of(USUAL if bundle is None else bundle.settings, rate_hz)

    def change(self, preset: Preset, cache: Path | None) -> Change | None:
        """See ``StudioSource``."""
        return None if self.network is None else self.network.change(preset, cache)

    def engine(self, stand_in: MorphEngine, change: Change | None = None) -> Studio:
        """See ``StudioSource``."""
        return Studio(stand_in, StudioLink(_NOWHERE, change), self._timing, change is None)


@dataclass(frozen=True)
class Slot:
    """What presets are played with: a slot's network and bundle, or the bundled network alone."""

    stage: Path | None
    studio: Path | None

    @classmethod
    def of(cls, folder: Path | None) -> "Slot":
        """What a slot brings; nothing where there is no slot."""
        if folder is None:
            return cls(None, None)
        stage, studio = folder / STAGE, folder / STUDIO
        return cls(stage if stage.exists() else None, studio if studio.exists() else None)


def try_presets(folder: Path, limits: Limits, here: Here) -> Figures:
    """Play every preset of a slot, or some bundled ones where a new stage network brings none.

    Returns what was measured. Raises ``RefusedError`` for a preset that is not finite, too loud,
    too faint or too slow, ``PresetError`` and ``ModelError`` for one that cannot be prepared.
    """
    files, slot = preset_files(folder), Slot.of(folder)
    if not files and slot.stage is not None:
        presets = [read_preset(file) for file in bundled_presets()]
        files = [each.file for each in presets if each.needs_fit][: limits.bundled]
    dry = sounds.loudness(sounds.guitar(here.rate_hz, limits.phrase_s), here.rate_hz)
    figures: Figures = {"presets_tried": float(len(files)), "dry_lufs": dry}
    louder, fainter, slowest = float("-inf"), float("inf"), 0.0
    for file in files:
        tried = _Tried(file, _name(file, folder), slot, limits, here)
        try:
            # First, because what is slow would be played for long.
            slowest = max(slowest, tried.check_time(_present(file, folder, here)))
            over = [level - dry for level in tried.levels()]
            louder, fainter = max([louder, *over]), min([fainter, *over])
            tried.check_levels(over)
        except RefusedError as problem:
            raise RefusedError(str(problem), {**figures, **problem.figures}) from None
    if files:
        figures["presets_loudest_lu"], figures["presets_faintest_lu"] = louder, fainter
        figures["presets_p99_ms"] = 1e3 * slowest
    return figures


def _name(file: Path, folder: Path) -> str:
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else file.name


def _present(file: Path, folder: Path, here: Here) -> tuple[Path, Slot] | None:
    """The preset of that name that plays now, and what with."""
    if not file.is_relative_to(folder):
        return file, Slot.of(here.present)
    if here.present is None:
        return None
    other = here.present / file.relative_to(folder)
    return (other, Slot.of(here.present)) if other.is_file() else None


class _Tried:
    """One preset, played."""

    def __init__(self, file: Path, name: str, slot: Slot, limits: Limits, here: Here) -> None:
        self._preset, self._name, self._slot = read_preset(file, slot.stage), name, slot
        self._limits, self._here = limits, here

    def levels(self) -> list[float]:
        """Loudness at each place and of a sweep, LUFS; refuses what is no number or clips."""
        here = self._here
        phrase = sounds.guitar(here.rate_hz, self._limits.phrase_s)
        player = _player(self._preset, self._slot, here, heard=True)
        frames = phrase.shape[1] // here.period_frames * here.period_frames
        length_s = frames / here.rate_hz
        loud: list[float] = []
        beyond = 0
        for script in (
            *(Script(((0.0, place),)) for place in PLACES),
            Script(((0.1 * length_s, 0.0), (0.9 * length_s, 1.0))),
        ):
            made = _play(player, phrase[:, :frames], script.position, here)
            if not np.isfinite(made).all() or player.nan_periods:
                raise RefusedError(
                    f"{self._name}: gives what is no number (NaN or infinity); take out what makes "
                    "it.",
                )
            beyond = max(beyond, int(np.count_nonzero(np.abs(made) > 1.0)))
            loud.append(sounds.loudness(made, here.rate_hz))
        if beyond > self._limits.beyond_full_scale * frames:
            raise RefusedError(
                f"{self._name}: is too loud, {100 * beyond / frames:.1f} % of its samples are "
                f"beyond full scale, at most {100 * self._limits.beyond_full_scale:g} % are taken; "
                f"{_REMEDY}.",
            )
        return loud

    def check_levels(self, over: list[float]) -> None:
        """Refuse what frightens, and what nobody hears; ``over`` the dry guitar, LU."""
        limits, loudest, faintest = self._limits, max(over), min(over)
        if loudest > limits.preset_louder_lu:
            raise RefusedError(
                f"{self._name}: is too loud, {loudest:.1f} LU over the dry guitar, at most "
                f"{limits.preset_louder_lu:g} are taken; {_REMEDY}.",
                {"presets_loudest_lu": loudest},
            )
        if faintest < -limits.preset_fainter_lu:
            raise RefusedError(
                f"{self._name}: is too faint, {-faintest:.1f} LU under the dry guitar, at most "
                f"{limits.preset_fainter_lu:g} are taken; {_REMEDY}.",
                {"presets_faintest_lu": faintest},
            )

    def check_time(self, present: tuple[Path, Slot] | None) -> float:
        """A period's p99 in s, beside the preset of that name that plays now; refuses too long."""
        here, limits = self._here, self._limits
        steps = {"new": _step(_player(self._preset, self._slot, here, heard=False), here)}
        if present is not None:
            try:
                before = read_preset(present[0], present[1].stage)
                other = _player(before, present[1], here, heard=False)
                steps["present"] = _step(other, here)
            except PurgaError:
                pass  # what does not play now is nothing to compare with
        taken = sounds.p99_s(steps)
        most_s = max(limits.preset_share * here.period_s, limits.slower * taken.get("present", 0.0))
        if taken["new"] > most_s:
            raise RefusedError(
                f"{self._name}: is too slow, {1e3 * taken['new']:.2f} ms of a period of "
                f"{1e3 * here.period_s:.2f} ms (p99), at most {1e3 * most_s:.2f} ms are taken; "
                "publish it with fewer blocks or smaller captures.",
                {"presets_p99_ms": 1e3 * taken["new"]},
            )
        return taken["new"]


def _player(preset: Preset, slot: Slot, here: Here, heard: bool) -> Player:
    """A prepared player; where the studio engine is ``heard`` it computes here and now."""
    source = _studio(slot, here, heard)
    player = Player([playable(preset, here.rate_hz, here.dbu, scenes=False, studio=source)])
    player.prepare(here.rate_hz, here.period_frames)
    return player


def _studio(slot: Slot, here: Here, heard: bool) -> StudioSource:
    bundle = None if slot.studio is None else read_studio(slot.studio)
    if bundle is not None and heard and here.rate_hz == STUDIO_RATE_HZ:
        return bundle
    return WithoutEngine(here.rate_hz, bundle)


def _play(player: Player, phrase: Audio, knob: Callable[[float], float], here: Here) -> Audio:
    """A phrase of whole periods through a player, ``(1, frames)``."""
    period = here.period_frames
    made = np.zeros_like(phrase)
    for start in range(0, phrase.shape[1], period):
        stop = start + period
        place = knob((stop - 1) / here.rate_hz)
        player.process(phrase[:, start:stop], place, made[:, start:stop])
    return made


def _step(player: Player, here: Here) -> sounds.Step:
    phrase, period = sounds.guitar(here.rate_hz), here.period_frames
    periods = phrase.shape[1] // period
    made = np.zeros((1, period), np.float32)

    def step(index: int) -> None:
        start = index % periods * period
        player.process(phrase[:, start : start + period], 0.5, made)

    return step
