"""Offline: a file through a preset, one tone alone, two recordings morphed.

The same player and blocks as live, with longer periods. The hard limit and the NaN guard belong
to the DAC: here what lies beyond full scale is kept, counted and reported.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.errors import AudioFileError, PresetError
from device.files import check_target, read_sound_at, write_sound
from device.prepare import playable
from device.preset import Preset, Side
from device.script import Script
from device.sound.morph import ENGINES, Crossfade, MorphEngine, Stage, Studio
from device.sound.playable import Playable
from device.sound.player import Player
from device.studio import StudioSource
from device.tools.progress import sound_bar
from models.morph import Positions
from models.stage.model import morph_along, read_stage
from models.units import Audio, db_from_gain, rms_dbfs

PERIOD_FRAMES = 1024
STEERED_PERIOD_FRAMES = 64
"""Period of a preset whose position follows the playing or scenes: that of the pedal, because
controls of blocks move once a period."""

RATE_HZ = 48000
QUIET_DBFS = -80.0
"""Below, the guitar rests, and says nothing about how loud it is played."""

_BAR_FROM_S = 20.0
"""Sounds at least this long get a progress bar."""


@dataclass(frozen=True)
class Trace:
    """The position of each period's last frame, and what moved it."""

    positions: npt.NDArray[np.float64]
    """0…1, as played."""
    levels_dbfs: npt.NDArray[np.float64] | None
    """The guitar's level as ``follow`` heard it; None without."""

    def summary(self) -> dict[str, object]:
        """Lowest, mean and highest position, and the level's percentiles as JSON-able values."""
        figures: dict[str, object] = {
            "position": {
                "lowest": round(float(self.positions.min()), 4),
                "mean": round(float(self.positions.mean()), 4),
                "highest": round(float(self.positions.max()), 4),
            }
        }
        levels_dbfs = self.levels_dbfs
        if levels_dbfs is not None and (playing := levels_dbfs > QUIET_DBFS).any():
            figures["playing_dbfs"] = {
                f"p{percent}": round(float(np.percentile(levels_dbfs[playing], percent)), 1)
                for percent in (10, 50, 90, 100)
            }
        return figures


@dataclass(frozen=True)
class Rendered:
    """A sound made offline, and what a player would want to know of it."""

    sound: Audio
    rate_hz: int
    latency_frames: int
    nan_periods: int
    notes: tuple[str, ...] = ()
    trace: Trace | None = None
    """What was played when, of a render with a knob."""

    def summary(self) -> dict[str, object]:
        """Return figures as JSON-able values; ``beyond_full_scale`` counts samples over ±1."""
        magnitude = np.abs(self.sound)
        return {
            "frames": int(self.sound.shape[1]),
            "rate_hz": self.rate_hz,
            "peak_dbfs": round(db_from_gain(float(magnitude.max(initial=0.0))), 2),
            "rms_dbfs": round(rms_dbfs(self.sound), 2),
            "beyond_full_scale": int(np.count_nonzero(magnitude > 1.0)),
            "nan_periods": self.nan_periods,
            "latency_frames": self.latency_frames,
            "notes": list(self.notes),
            **({} if self.trace is None else self.trace.summary()),
        }


def play_through(
    player: Player,
    guitar: Audio,
    position: Callable[[float], float],
    rate_hz: int = RATE_HZ,
    period_frames: int = PERIOD_FRAMES,
) -> tuple[Audio, Trace]:
    """Play all of ``guitar`` ``(1, frames)`` through an unprepared player, latency compensated.

    ``position`` gives the knob 0…1 for a time in s. The output has the input's length; the trace
    is what was played.
    """
    player.prepare(rate_hz, period_frames, position(0.0))
    latency = player.latency_frames
    frames = guitar.shape[1]
    periods = -(-(frames + latency) // period_frames)
    source = np.zeros((1, periods * period_frames), np.float32)
    source[:, :frames] = guitar
    played = np.zeros_like(source)
    positions, levels_dbfs = np.zeros(periods), np.zeros(periods)
    steering = player.bank[player.active].steering
    slow = isinstance(getattr(player.bank[player.active], "morph", None), Studio)
    # What is not finite or too loud is counted below, not warned of.
    with (
        np.errstate(all="ignore"),
        sound_bar("rendering", frames / rate_hz, slow or frames > _BAR_FROM_S * rate_hz) as bar,
    ):
        for start in range(0, source.shape[1], period_frames):
            stop = start + period_frames
            # The glide arrives with the period's last frame.
            target = position((stop - 1) / rate_hz)
            player.process(source[:, start:stop], target, played[:, start:stop])
            positions[start // period_frames] = player.position
            levels_dbfs[start // period_frames] = steering.level_dbfs if steering else 0.0
            bar.update(period_frames / rate_hz)
    follows = steering is not None and steering.follow is not None
    trace = Trace(positions, levels_dbfs if follows else None)
    return played[:, latency : latency + frames], trace


def render(
    preset: Preset,
    source: Path,
    target: Path,
    script: Callable[[float], Script] | None,
    interface_dbu: float | None = None,
    studio: StudioSource | None = None,
) -> Rendered:
    """Render a file with the knob following ``script(duration in s)``, and write it.

    Without a script the preset's scenes lead; ``studio`` makes the studio engine for a preset that
    asks for it. Raises ``PresetError`` where there are none, or no such engine.
    """
    if script is None and not preset.table.morph.scenes:
        raise PresetError(
            f"{preset.file}: has no scenes; add morph.scenes, or give --position or --sweep"
        )

    def path() -> Playable:
        return playable(preset, RATE_HZ, interface_dbu, scenes=script is None, studio=studio)

    return _render(path, source, target, script or (lambda _: Script()))


def tone(
    preset: Preset,
    source: Path,
    target: Path,
    side: Side,
    interface_dbu: float | None = None,
) -> Rendered:
    """Render one tone alone: what the preset plays with the knob at that end, bit for bit."""
    rendered = _render(
        lambda: preset.single(side, interface_dbu), source, target, lambda _: Script()
    )
    return replace(rendered, trace=None)


def _render(
    path: Callable[[], Playable], source: Path, target: Path, script: Callable[[float], Script]
) -> Rendered:
    """Render a file through a path, which is made only once both files are known to be good."""
    check_target(target, source)
    notes: list[str] = []
    guitar = read_sound_at(source, RATE_HZ, notes)
    way = path()
    player = Player([way])
    knob = script(guitar.shape[1] / RATE_HZ).position
    period = PERIOD_FRAMES if way.steering is None else STEERED_PERIOD_FRAMES
    sound, trace = play_through(player, guitar, knob, RATE_HZ, period)
    write_sound(target, sound, RATE_HZ)
    return Rendered(sound, RATE_HZ, player.latency_frames, player.nan_periods, tuple(notes), trace)


def morph(
    a: Path,
    b: Path,
    target: Path,
    engine: str,
    script: Callable[[float], Script],
    studio: Callable[[MorphEngine, Audio, Audio, Positions], Studio] | None = None,
) -> Rendered:
    """Morph two recordings of one performance, the knob following ``script(duration in s)``.

    ``studio`` makes the studio engine, in whose place ``engine`` is not looked at. A longer
    recording is cut, with a note. Raises ``AudioFileError`` for files that cannot be used,
    ``ModelError`` for a stage network that cannot be played.
    """
    check_target(target, a, b)
    notes: list[str] = []
    tone_a = read_sound_at(a, RATE_HZ, notes)
    tone_b = read_sound_at(b, RATE_HZ, notes)
    frames = min(tone_a.shape[1], tone_b.shape[1])
    if max(tone_a.shape[1], tone_b.shape[1]) > 1.05 * frames + RATE_HZ:
        raise AudioFileError(
            f"{a} lasts {tone_a.shape[1] / RATE_HZ:.1f} s and {b} {tone_b.shape[1] / RATE_HZ:.1f} "
            "s; give two recordings of one performance"
        )
    if tone_a.shape[1] != tone_b.shape[1]:
        notes.append(f"the longer recording was cut to {frames / RATE_HZ:.3f} s")
    tone_a, tone_b = tone_a[:, :frames], tone_b[:, :frames]
    times_s, places = np.array(script(frames / RATE_HZ).points).T
    positions = np.interp(np.arange(frames) / RATE_HZ, times_s, places).astype(np.float32)
    if studio is not None:
        machine = studio(Crossfade(), tone_a, tone_b, positions)
        sound, latency = _morphed(machine, tone_a, tone_b, positions)
    elif engine == Stage.kind:
        # Both recordings are here as a whole, so the network knows both from the first frame.
        sound, latency = morph_along(read_stage(), tone_a, tone_b, positions, PERIOD_FRAMES), 0
    else:
        sound, latency = _morphed(ENGINES[engine](), tone_a, tone_b, positions)
    write_sound(target, sound, RATE_HZ)
    return Rendered(sound, RATE_HZ, latency, 0, tuple(notes))


def _morphed(machine: MorphEngine, a: Audio, b: Audio, positions: Positions) -> tuple[Audio, int]:
    """Two tones ``(1, frames)`` through an engine, latency compensated; and that latency."""
    machine.prepare(RATE_HZ, PERIOD_FRAMES)
    latency, frames = machine.latency_frames, a.shape[1]
    periods = -(-(frames + latency) // PERIOD_FRAMES)
    padded = np.zeros((4, periods * PERIOD_FRAMES), np.float32)
    for row, signal in enumerate((a[0], b[0], positions)):
        padded[row, :frames] = signal
    padded[2, frames:] = positions[-1]
    tone_a, tone_b, knob, played = (padded[row : row + 1] for row in range(4))
    slow = isinstance(machine, Studio) or frames > _BAR_FROM_S * RATE_HZ
    with sound_bar("morphing", frames / RATE_HZ, slow) as bar:
        for start in range(0, padded.shape[1], PERIOD_FRAMES):
            piece = slice(start, start + PERIOD_FRAMES)
            machine.process(tone_a[:, piece], tone_b[:, piece], knob[0, piece], played[:, piece])
            bar.update(PERIOD_FRAMES / RATE_HZ)
    return played[:, latency : latency + frames], latency
