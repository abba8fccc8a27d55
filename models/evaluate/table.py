"""The evaluation as plain, aligned text."""

from collections.abc import Iterable, Sequence

from models.evaluate.result import Distances, Evaluation, PairRow, Summary, TruthRow


def tables(evaluation: Evaluation) -> str:
    """All of it, for a terminal 100 characters wide."""
    parts = []
    if evaluation.truths:
        parts += [
            "Distance to the true tone in between (× is over the crossfade's; below 1 is nearer)",
            _aligned(_TRUTH_HEAD, [_truth(row) for row in evaluation.truths], left=3),
        ]
    same = [row for row in evaluation.pairs if row.truth_db is not None]
    if same:
        parts += [
            "One capture at two drives: distance to the true tone in between, mean and worst over "
            "the knob",
            _aligned(_SAME_HEAD, [_same(row) for row in same], left=4),
        ]
    between = [row for row in evaluation.pairs if row.truth_db is None]
    if between:
        parts += [
            "Between two captures, along the knob (nearest: to the nearest real tone, mean)",
            _aligned(_PAIR_HEAD, [_pair(row) for row in between], left=4),
        ]
    if evaluation.summaries:
        parts += [
            "Over all pairs (× is over direct + crossfade under the same law; mean, worst)",
            _aligned(_SUMMARY_HEAD, [_summary(row) for row in evaluation.summaries], left=1),
        ]
    parts += list(evaluation.provenance.missing)
    return "\n\n".join(parts)


_TRUTH_HEAD = "family|at|method|LSD/dB|×|worst|mel/dB|×|SC|×|CDPAM|×|LU"
_SAME_HEAD = "from|to|cabinet|way|LSD/dB|worst|mel/dB|worst|LU"
_PAIR_HEAD = "from|to|cabinet|way|near/dB|length|even|mel/dB|length|even|turn|LU"
_SUMMARY_HEAD = "way|pairs|near/dB|×|worst|length×|worst|even|worst|mel×|worst|mono|LU"


def _truth(row: TruthRow) -> list[str]:
    mean, ratio = row.mean, row.ratio
    return [
        row.family,
        f"{row.position:.2f}",
        row.method,
        f"{mean.lsd_db:.2f}",
        f"{ratio.lsd_db:.2f}",
        f"{row.worst_lsd_ratio:.2f}",
        f"{mean.mel_db:.2f}",
        f"{ratio.mel_db:.2f}",
        f"{mean.convergence:.3f}",
        f"{ratio.convergence:.2f}",
        *_perceptual(mean, ratio),
        f"{row.loudness_error_lu:.2f}",
    ]


def _perceptual(mean: Distances, ratio: Distances) -> list[str]:
    if mean.cdpam is None or ratio.cdpam is None:
        return ["–", "–"]
    return [f"{mean.cdpam:.3f}", f"{ratio.cdpam:.2f}"]


def _same(row: PairRow) -> list[str]:
    assert row.truth_db is not None
    figures = []
    for values in (row.truth_db["lsd"], row.truth_db["mel"]):
        figures += [f"{sum(values) / len(values):.2f}", f"{max(values):.2f}"]
    return [row.a, row.b, row.cabinet or "–", row.label, *figures, _lu(row)]


def _pair(row: PairRow) -> list[str]:
    figures = []
    for trail in (row.lsd, row.mel):
        figures += [
            f"{trail.mean_nearest_db:.2f}",
            f"{trail.length_db:.1f}",
            f"{trail.evenness:.2f}",
        ]
    turn = f"{row.saturation_turn:.2f}"
    return [row.a, row.b, row.cabinet or "–", row.label, *figures, turn, _lu(row)]


def _lu(row: PairRow) -> str:
    return f"{row.worst_loudness_error_lu:.2f}"


def _summary(row: Summary) -> list[str]:
    return [
        row.label,
        f"{row.pairs}",
        f"{row.nearest_db:.2f}",
        f"{row.nearest_ratio:.2f}",
        f"{row.worst_nearest_ratio:.2f}",
        f"{row.length_ratio:.2f}",
        f"{row.worst_length_ratio:.2f}",
        f"{row.evenness:.2f}",
        f"{row.worst_evenness:.2f}",
        f"{row.mel_nearest_ratio:.2f}",
        f"{row.mel_worst_nearest_ratio:.2f}",
        f"{row.monotone}/{row.pairs}",
        f"{row.worst_loudness_error_lu:.2f}",
    ]


def _aligned(head: str, lines: Iterable[Sequence[str]], left: int) -> str:
    """Columns two blanks apart under a ``|``-separated head, the first ``left`` of them words."""
    names = head.split("|")
    table = [names, *map(list, lines)]
    widths = [max(len(row[column]) for row in table) for column in range(len(names))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )
