"""Figures over all pairs: each way against the plain crossfade under the same law.

A law spreads one way's tones over the knob, and so moves its mean distance to real tones: a
linear crossfade into a loud amp is almost all that amp. Laws are compared with themselves.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from models.evaluate.result import PairRow, Summary

BASELINE = ("direct", "crossfade")
"""Path and method that every other is compared with."""


def summarise(rows: Sequence[PairRow]) -> tuple[Summary, ...]:
    """One summary per way, in the order they come; pairs of one capture are left out.

    A way counts the pairs for which the baseline was measured too.
    """
    between = [row for row in rows if row.truth_db is None]
    base = {_key(row): row for row in between if (row.path, row.method) == BASELINE}
    labels = dict.fromkeys(row.label for row in between)
    found = []
    for label in labels:
        pairs = [
            (row, base[_key(row)]) for row in between if row.label == label and _key(row) in base
        ]
        if pairs:
            found.append(_summary(label, pairs))
    return tuple(found)


def _key(row: PairRow) -> tuple[str, str, str, str]:
    return row.a, row.b, row.cabinet, row.law


def _summary(label: str, pairs: Sequence[tuple[PairRow, PairRow]]) -> Summary:
    nearest = [row.lsd.mean_nearest_db / by.lsd.mean_nearest_db for row, by in pairs]
    length = [row.lsd.length_db / by.lsd.length_db for row, by in pairs]
    mel_nearest = [row.mel.mean_nearest_db / by.mel.mean_nearest_db for row, by in pairs]
    return Summary(
        label=label,
        pairs=len(pairs),
        nearest_db=_mean(row.lsd.mean_nearest_db for row, _ in pairs),
        nearest_ratio=_mean(nearest),
        worst_nearest_ratio=max(nearest),
        length_ratio=_mean(length),
        worst_length_ratio=max(length),
        evenness=_mean(row.lsd.evenness for row, _ in pairs),
        worst_evenness=max(row.lsd.evenness for row, _ in pairs),
        mel_nearest_ratio=_mean(mel_nearest),
        mel_worst_nearest_ratio=max(mel_nearest),
        mel_length_ratio=_mean(row.mel.length_db / by.mel.length_db for row, by in pairs),
        mel_evenness=_mean(row.mel.evenness for row, _ in pairs),
        monotone=sum(row.saturation_is_monotone for row, _ in pairs),
        worst_loudness_error_lu=max(row.worst_loudness_error_lu for row, _ in pairs),
    )


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
