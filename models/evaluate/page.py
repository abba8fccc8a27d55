"""The page of an evaluation: what was measured, what it looks like, what it sounds like.

``write_page(evaluation, directory)`` writes ``index.html`` beside the sounds that are there
already, ``pictures/`` and the listening pages. Nothing on them needs a network.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from models.evaluate import pictures
from models.evaluate.listening import write_listening
from models.evaluate.result import Distances, Evaluation, PairRow, Sound, TruthRow
from models.evaluate.summary import BASELINE
from models.evaluate.writing import render, write_bytes, write_text

REFERENCE = "crossfade"
NO_WORSE = 1.02
"""A ratio above this is marked: farther from the truth than the crossfade."""
POSITIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
_METRICS = ("lsd_db", "mel_db", "convergence", "cdpam")
_MARKS_HZ = (100, 1000, 10000)


def write_page(evaluation: Evaluation, directory: Path) -> Path:
    """Write the pages and pictures into ``directory`` and return ``index.html``'s path.

    The sounds that ``evaluation`` names lie there already; a part without data says so in a
    sentence. Each file appears whole or not at all. Raises ``OSError`` where the disk does not
    take it.
    """
    listening = write_listening(evaluation, directory)
    text = render(
        "index.html.j2",
        made=evaluation.provenance,
        families=family_table(evaluation.truths),
        truths=evaluation.truths,
        metrics=_measured(evaluation.truths),
        summaries=evaluation.summaries,
        pairs=pair_table(evaluation.pairs),
        drawn=_drawn(evaluation),
        cases=_cases(evaluation.sounds, directory),
        marks=_marks(),
        listening=listening is not None,
        worse=NO_WORSE,
    )
    return write_text(directory / "index.html", text)


def family_table(rows: Sequence[TruthRow]) -> list[dict[str, Any]]:
    """One row for each family and method, over its positions; the crossfade only if it is alone.

    ``mean`` and ``reference`` are means over positions by metric, ``ratio`` theirs. The row whose
    log-spectral ratio is the largest of its method has ``worst`` set; ``worst_ratio`` is that of a
    single case.
    """
    table: list[dict[str, Any]] = []
    for family in dict.fromkeys(row.family for row in rows):
        own = [row for row in rows if row.family == family]
        reference = _mean([row.mean for row in own if row.method == REFERENCE])
        methods = dict.fromkeys(row.method for row in own)
        if len(methods) > 1:
            methods.pop(REFERENCE, None)  # its figures stand beside the others'
        for method in methods:
            members = [row for row in own if row.method == method]
            mean = _mean([row.mean for row in members])
            ratio = {
                name: None if not base or mean[name] is None else mean[name] / base
                for name, base in reference.items()
            }
            worst = max(members, key=lambda row: row.worst_lsd_ratio)
            table.append(
                {
                    "family": family,
                    "method": method,
                    "cases": members[0].cases,
                    "mean": mean,
                    "reference": reference,
                    "ratio": ratio,
                    "worst_position": worst.position,
                    "worst_ratio": worst.worst_lsd_ratio,
                    "loudness_error_lu": max(row.loudness_error_lu for row in members),
                    "worst": False,
                }
            )
    for method in {row["method"] for row in table} - {REFERENCE}:
        compared = [row for row in table if row["method"] == method and row["ratio"]["lsd_db"]]
        if compared:
            max(compared, key=lambda row: row["ratio"]["lsd_db"])["worst"] = True
    return table


def _mean(distances: Sequence[Distances]) -> dict[str, Any]:
    means: dict[str, Any] = {}
    for name in _METRICS:
        values = [getattr(one, name) for one in distances]
        known = [value for value in values if value is not None]
        means[name] = sum(known) / len(known) if known and len(known) == len(values) else None
    return means


def _measured(rows: Sequence[TruthRow]) -> list[str]:
    """Name the metrics that have a figure anywhere: CDPAM is not always installed."""
    return [name for name in _METRICS if any(getattr(row.mean, name) is not None for row in rows)]


def _same_tones(rows: Sequence[PairRow]) -> dict[tuple[str, str, str], list[PairRow]]:
    groups: dict[tuple[str, str, str], list[PairRow]] = {}
    for row in rows:
        groups.setdefault((row.a, row.b, row.cabinet), []).append(row)
    return groups


def pair_table(rows: Sequence[PairRow]) -> list[dict[str, Any]]:
    """The rows of the pairs' table, those of the same tones together.

    Ratios are against ``direct + crossfade`` of the same tones under the same law, ``None`` where
    it was not run: another law would spread the same tones over the knob in another way.
    ``worst`` marks each way's largest mean distance to the nearest real tone.
    """
    table: list[dict[str, Any]] = []
    for (a, b, cabinet), members in _same_tones(rows).items():
        bases = {row.law: row for row in members if (row.path, row.method) == BASELINE}
        for place, row in enumerate(members):
            base = bases.get(row.law)
            nearest = base.lsd.mean_nearest_db if base else 0.0
            length = base.lsd.length_db if base else 0.0
            table.append(
                {
                    "a": a,
                    "b": b,
                    "cabinet": cabinet,
                    "rows": 0 if place else len(members),
                    "row": row,
                    "truth_db": max(row.truth_db["lsd"]) if row.truth_db else None,
                    "nearest_ratio": row.lsd.mean_nearest_db / nearest if nearest > 0.0 else None,
                    "length_ratio": row.lsd.length_db / length if length > 0.0 else None,
                    "worst": False,
                }
            )
    for label in {row.label for row in rows}:
        own = [line for line in table if line["row"].label == label]
        if len(own) > 1:
            max(own, key=lambda line: line["row"].lsd.mean_nearest_db)["worst"] = True
    return table


def _drawn(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Every pair's picture, wide and narrow."""
    planes = {(plane.a, plane.b, plane.cabinet): plane for plane in evaluation.planes}
    return [
        {
            "title": f"{key[0]} → {key[1]}",
            "cabinet": key[2],
            "svg": [
                pictures.pair_picture(rows, planes.get(key), f"pair{place}", wide)
                for wide in (True, False)
            ],
        }
        for place, (key, rows) in enumerate(_same_tones(evaluation.pairs).items())
    ]


def _cases(sounds: Sequence[Sound], directory: Path) -> list[dict[str, Any]]:
    """Draw each case's spectrograms; its rows are the truth and the methods, its columns the knob.

    The ends are the same sounds in every row. All pictures of a case share one scale.
    """
    cases = []
    for number, case in enumerate(dict.fromkeys(sound.case for sound in sounds)):
        own = [sound for sound in sounds if sound.case == case]
        levels = {}
        for sound in own:
            samples, rate_hz = soundfile.read(directory / sound.file, dtype="float32")
            levels[sound.file] = pictures.spectrogram_db(samples[None], rate_hz)
        top_db = 6.0 * np.ceil(max(float(level.max()) for level in levels.values()) / 6.0)
        images = {}
        for place, (file, level_db) in enumerate(levels.items()):
            image = f"pictures/case{number:02d}-{place:02d}.png"
            write_bytes(directory / image, pictures.spectrogram_png(level_db, top_db))
            images[file] = image
        ends = {0.0: "a", 1.0: "b"}
        names = dict.fromkeys(_row_name(sound) for sound in own if sound.role not in ("a", "b"))
        rows = []
        for name in sorted(names, key=lambda name: name != "truth"):
            cells = [
                next(
                    (
                        {"file": sound.file, "image": images[sound.file]}
                        for sound in own
                        if (sound.position == position and _row_name(sound) == name)
                        or sound.role == ends.get(position)
                    ),
                    None,
                )
                for position in POSITIONS
            ]
            rows.append({"name": name, "cells": list(zip(POSITIONS, cells, strict=True))})
        cases.append({"title": case, "rows": rows, "first": own[0].file})
    return cases


def _row_name(sound: Sound) -> str:
    return "truth" if sound.role == "truth" else sound.method


def _marks() -> list[tuple[str, float]]:
    """Names of some frequencies, and their height in a spectrogram in percent."""
    span = np.log(pictures.HIGHEST_HZ / pictures.LOWEST_HZ)
    return [
        (f"{mark // 1000} k" if mark >= 1000 else str(mark),
         round(100.0 * float(np.log(mark / pictures.LOWEST_HZ) / span), 1))
        for mark in _MARKS_HZ
    ]  # fmt: skip
