"""The report of a run: one HTML page that opens without a network, and its numbers as JSON.

``write_report(record, directory)`` writes ``report.html`` and ``report.json``. The page plays
``run.wav`` (what was played) and ``input.wav`` (the dry guitar) from the same directory; writing
those is the caller's.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from device.files import whole_file
from device.tools import pictures
from device.tools.way_picture import drive_plane
from models.units import SILENCE_DB, Audio, db_from_gain, rms_dbfs

_LEVEL_BLOCK_S = 0.05
_LEVEL_BINS = 20
_QUIET_DBFS = -80.0  # below, a block is a rest and says nothing about the tone's level
_KNOB_POINTS = 1500


@dataclass(frozen=True)
class RunRecord:
    """What one run did.

    ``sound`` and ``dry`` are ``(1, frames)``, at least one frame, the dry guitar aligned to the
    sound by the latency. ``position_times_s`` and ``positions`` (0…1) are the path that was played,
    same length; ``knob`` the knob's own, where scenes or the playing moved the position too
    (None: the same). ``period_ms`` holds the processing time of every period in ms, and may be
    empty. ``counters`` are counted states, ``counter_help`` one line for each. ``latency`` lists
    (where, block, frames) in the order of the signal: places named ``tone …`` lie side by side,
    all others in line after them; ``tones`` the blocks of each tone. ``way`` is what
    ``way_picture`` draws, where the knob moves the tones' drive. ``plain_counters`` names the
    counters that count in any good run and so raise nothing.
    """

    title: str
    preset_name: str
    board: str
    simulated: bool
    rate_hz: int
    period_frames: int
    sound: Audio
    dry: Audio
    position_times_s: npt.NDArray[np.float64]
    positions: npt.NDArray[np.float64]
    period_ms: npt.NDArray[np.float64]
    counters: Mapping[str, int]
    counter_help: Mapping[str, str]
    latency: Sequence[tuple[str, str, int]]
    tones: Mapping[str, Sequence[str]]
    machine: Mapping[str, str]
    command: str
    way: Mapping[str, Sequence[float]] | None = None
    plain_counters: Collection[str] = ("periods", "preset_changes")
    knob: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a record that no run can have made."""
        for name, audio in (("sound", self.sound), ("dry", self.dry)):
            if audio.ndim != 2 or audio.shape[0] != 1 or audio.shape[1] == 0:
                raise ValueError(
                    f"{name} has shape {audio.shape}; expected (1, frames), frames > 0"
                )
        if self.rate_hz <= 0 or self.period_frames <= 0:
            raise ValueError(f"{self.rate_hz} Hz and {self.period_frames} frames must be positive")
        if self.position_times_s.shape != self.positions.shape or self.positions.ndim != 1:
            raise ValueError(
                f"the knob's path has {self.position_times_s.shape} times for "
                f"{self.positions.shape} positions; expected as many, one-dimensional"
            )
        if self.knob is not None and self.knob.shape != self.positions.shape:
            raise ValueError(
                f"the knob has {self.knob.shape} places for {self.positions.shape} positions; "
                "expected as many"
            )


def summary(record: RunRecord) -> dict[str, Any]:
    """Collect the page's numbers as ``float``, ``int``, ``str``, ``list``, ``dict``, ``None``.

    Percentiles interpolate linearly. ``load_percent`` is the mean processing time as a share of
    the period. What cannot be said (no periods, no sound) is ``None``.
    """
    rate_hz = record.rate_hz
    limit_ms = 1000.0 * record.period_frames / rate_hz
    tones: dict[str, dict[str, Any]] = {}
    for where, block, frames in record.latency:
        tone = tones.setdefault(where, {"blocks": [], "frames": 0, "ms": 0.0})
        part_ms = 1000.0 * frames / rate_hz
        tone["blocks"].append({"block": block, "frames": int(frames), "ms": part_ms})
        tone["frames"] += int(frames)
        tone["ms"] = 1000.0 * tone["frames"] / rate_hz
    beside = [tone["frames"] for where, tone in tones.items() if where.startswith("tone ")]
    in_line = [tone["frames"] for where, tone in tones.items() if not where.startswith("tone ")]
    latency_frames = max(beside, default=0) + sum(in_line) if tones else None
    knob = record.positions if record.knob is None else record.knob
    return {
        "title": record.title,
        "preset": record.preset_name,
        "board": record.board,
        "simulated": record.simulated,
        "rate_hz": rate_hz,
        "period_frames": record.period_frames,
        "period_ms": limit_ms,
        "frames": int(record.sound.shape[1]),
        "length_s": record.sound.shape[1] / rate_hz,
        "sound": _loudness(record.sound),
        "dry": _loudness(record.dry),
        "knob": _span(knob),
        "position": _span(record.positions),
        "steered": not np.array_equal(knob, record.positions),
        "levels": _levels(record),
        "periods": _periods(record.period_ms, limit_ms),
        "counters": {name: int(count) for name, count in record.counters.items()},
        "raised": [
            name
            for name, count in record.counters.items()
            if count and name not in record.plain_counters
        ],
        "latency": tones,
        "latency_frames": latency_frames,
        "latency_ms": None if latency_frames is None else 1000.0 * latency_frames / rate_hz,
        "tones": {name: list(blocks) for name, blocks in record.tones.items()},
        "way": None if record.way is None else {k: list(v) for k, v in record.way.items()},
        "machine": dict(record.machine),
        "command": record.command,
    }


def _span(positions: npt.NDArray[np.float64]) -> dict[str, float | None]:
    if positions.size == 0:
        return {"lowest": None, "highest": None}
    return {"lowest": float(positions.min()), "highest": float(positions.max())}


def _loudness(audio: Audio) -> dict[str, Any]:
    """Peak and RMS; samples that are no number count as silence, and are counted."""
    wrong = int(np.size(audio) - np.count_nonzero(np.isfinite(audio)))
    finite = np.nan_to_num(audio, nan=0.0, posinf=0.0, neginf=0.0) if wrong else audio
    return {
        "peak_dbfs": db_from_gain(float(np.abs(finite).max())),
        "rms_dbfs": rms_dbfs(finite),
        "not_finite": wrong,
    }


def _periods(period_ms: npt.NDArray[np.float64], limit_ms: float) -> dict[str, Any] | None:
    if period_ms.size == 0:
        return None
    p50, p99, p999 = (float(np.percentile(period_ms, part)) for part in (50.0, 99.0, 99.9))
    mean_ms = float(period_ms.mean())
    return {
        "count": int(period_ms.size),
        "mean_ms": mean_ms,
        "p50_ms": p50,
        "p99_ms": p99,
        "p99_9_ms": p999,
        "max_ms": float(period_ms.max()),
        "over_period": int(np.count_nonzero(period_ms > limit_ms)),
        "load_percent": 100.0 * mean_ms / limit_ms,
        "worst_percent": 100.0 * float(period_ms.max()) / limit_ms,
    }


def _block_levels(audio: Audio, size: int) -> npt.NDArray[np.float64]:
    """RMS level of each whole block, dBFS, ``(blocks,)``; one block if there is no whole one."""
    blocks = max(1, audio.shape[1] // size)
    cut = np.nan_to_num(audio[0, : blocks * size]).reshape(blocks, -1)
    power = np.einsum("ij,ij->i", cut, cut, dtype=np.float64) / cut.shape[1]
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (SILENCE_DB / 10.0))))


def _levels(record: RunRecord) -> list[dict[str, Any]]:
    """Short-term level in parts of the knob's way, of blocks in which the guitar plays."""
    if record.positions.size == 0:
        return []
    size = max(1, round(_LEVEL_BLOCK_S * record.rate_hz))
    sound, dry = _block_levels(record.sound, size), _block_levels(record.dry, size)
    count = min(len(sound), len(dry))
    block_s = min(size, record.sound.shape[1]) / record.rate_hz
    at = np.interp((np.arange(count) + 0.5) * block_s, record.position_times_s, record.positions)
    playing = dry[:count] > _QUIET_DBFS
    place = np.clip((at * _LEVEL_BINS).astype(np.intp), 0, _LEVEL_BINS - 1)
    levels = []
    for part in range(_LEVEL_BINS):
        here = playing & (place == part)
        if not here.any():
            continue
        spans: dict[str, Any] = {
            key: {
                name: float(np.percentile(values[:count][here], share))
                for name, share in (("p10", 10.0), ("p50", 50.0), ("p90", 90.0))
            }
            for key, values in (("sound_dbfs", sound), ("dry_dbfs", dry))
        }
        gain_db = float(np.median(sound[:count][here] - dry[:count][here]))
        levels.append(
            {
                "position": float(at[here].mean()),
                "blocks": int(np.count_nonzero(here)),
                **spans,
                "gain_db": gain_db,
            }
        )
    return levels


def _knob(record: RunRecord) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Thin the knob's path out to what a picture can show; it reaches to the end."""
    length_s = record.sound.shape[1] / record.rate_hz
    if record.positions.size == 0:
        return np.zeros(0), np.zeros(0)
    times_s = np.linspace(0.0, length_s, _KNOB_POINTS)
    return times_s, np.interp(times_s, record.position_times_s, record.positions)


def _drawn(record: RunRecord, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Every picture, wide and narrow; ``None`` where there is nothing to draw."""
    sound, dry = (np.nan_to_num(audio) for audio in (record.sound, record.dry))
    knob, periods = _knob(record), numbers["periods"]
    drawn: dict[str, Any] = {"timeline": [], "levels": None, "periods": None, "way": None}
    if record.way is not None:
        drawn["way"] = [drive_plane(record.way, wide) for wide in (True, False)]
    for wide in (True, False):
        image = pictures.spectrogram(sound, record.rate_hz, 1000 if wide else 400)
        drawn["timeline"].append(pictures.timeline(sound, dry, image, knob, record.rate_hz, wide))
    if numbers["levels"]:
        drawn["levels"] = [
            pictures.level_along_knob(numbers["levels"], wide) for wide in (True, False)
        ]
    if periods is not None:
        marks = {
            name: periods[key]
            for name, key in (
                ("p50", "p50_ms"), ("p99", "p99_ms"), ("p99.9", "p99_9_ms"), ("max", "max_ms"),
            )
        }  # fmt: skip
        limit_ms = numbers["period_ms"]
        drawn["periods"] = [
            pictures.period_times(record.period_ms, limit_ms, marks, wide) for wide in (True, False)
        ]
    return drawn


def _clock(seconds: float) -> str:
    """Write a length for people: ``0.8 s``, ``22.5 s``, ``10 min 5 s``."""
    if seconds < 60.0:
        return f"{seconds:.1f} s" if seconds >= 0.1 else f"{1000.0 * seconds:.2f} ms"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _dbfs(level_dbfs: float) -> str:
    """Write a level for people, with a true minus sign; digital silence has none."""
    return "silence" if level_dbfs <= SILENCE_DB else f"{level_dbfs:.1f} dBFS".replace("-", "−")


def write_report(record: RunRecord, directory: Path) -> Path:
    """Write ``report.html`` and ``report.json`` into ``directory`` and return the page's path.

    The directory is made if it is missing. Each file appears whole or not at all. Raises
    ``AudioFileError`` where it cannot be written.
    """
    numbers = summary(record)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = Markup
    environment.filters["clock"] = _clock
    environment.filters["dbfs"] = _dbfs
    page = environment.get_template("report.html.j2").render(
        run=numbers,
        pictures=_drawn(record, numbers),
        help=record.counter_help,
        plain=record.plain_counters,
    )
    path = directory / "report.html"
    with whole_file(directory / "report.json") as temporary:
        temporary.write_text(json.dumps(numbers, indent=2, ensure_ascii=False) + "\n", "utf-8")
    with whole_file(path) as temporary:
        temporary.write_text(page, "utf-8")
    return path
