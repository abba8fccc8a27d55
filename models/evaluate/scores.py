"""What listeners said: the files that the listening pages save, pooled.

``read_scores(files)`` counts again from the single answers, so a sum in a file is not trusted.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from models.errors import PurgaError


class ScoresError(PurgaError, ValueError):
    """A score file that is missing, damaged or not from the listening pages."""


@dataclass(frozen=True)
class OpinionRow:
    """Mean opinion score of one method, 1…5, over all ratings of all listeners.

    ``low`` and ``high`` bound the mean's 95 % interval (Student's t over ratings, cut at the ends
    of the scale); ``None`` for a single rating.
    """

    method: str
    ratings: int
    listeners: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class AbxRow:
    """Two methods told apart or not: all complete sessions together.

    ``p`` is exact, one-sided: how often who guesses gets as many right or more.
    """

    first: str
    second: str
    sessions: int
    trials: int
    correct: int
    p: float


@dataclass(frozen=True)
class Scores:
    """Both tables, and how many sessions were left out because they were stopped early."""

    opinions: tuple[OpinionRow, ...]
    abx: tuple[AbxRow, ...]
    stopped: int


def read_scores(files: Iterable[Path]) -> Scores:
    """Pool saved sessions, each counted once however often it is given.

    ABX sessions that were stopped early do not count: their end was chosen while they ran. Their
    ratings, in the other test, do. Raises ``ScoresError`` for a file that is missing or foreign.
    """
    sessions: dict[str, dict[str, Any]] = {}
    for file in files:
        for session in _sessions(file):
            sessions[session["session"]] = session
    stopped = sum(not session["complete"] for session in sessions.values())
    ratings: dict[str, list[tuple[str, int]]] = {}
    trials: dict[tuple[str, str], list[list[bool]]] = {}
    for session in sessions.values():
        if session["format"] == "purga-acr":
            # Two without a name are two listeners.
            listener = session["listener"] or session["session"]
            for vote in session["ratings"]:
                if not vote["practice"]:
                    ratings.setdefault(vote["method"], []).append((listener, vote["rating"]))
        elif session["complete"]:
            answers = [trial["x"] == trial["answer"] for trial in session["trials"]]
            trials.setdefault((session["first"], session["second"]), []).append(answers)
    opinions = (_opinion(method, votes) for method, votes in ratings.items())
    return Scores(
        tuple(sorted(opinions, key=lambda row: -row.mean)),
        tuple(_abx(*pair, answers) for pair, answers in trials.items()),
        stopped,
    )


def main(argv: Sequence[str]) -> int:
    """``python -m models scores FILE…``: print both tables. Raises ``ScoresError``."""
    parser = argparse.ArgumentParser(
        prog="python -m models scores", description="What listeners said: saved sessions, pooled."
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="from a listening page")
    parser.add_argument("--json", action="store_true", help="print the figures as the last line")
    args = parser.parse_args(argv)
    scores = read_scores(args.files)
    print("\n".join(_lines(scores)))
    if args.json:
        print(json.dumps(asdict(scores), ensure_ascii=False))
    return 0


def _lines(scores: Scores) -> Iterator[str]:
    wide = max((len(row.method) for row in scores.opinions), default=0)
    yield "Mean opinion score, 1 … 5, with its 95 % interval" if wide else "No ratings."
    for vote in scores.opinions:
        span = "one rating" if vote.low is None else f"{vote.low:.2f} … {vote.high:.2f}"
        who = f"{vote.ratings} by {vote.listeners}"
        yield f"  {vote.method:{wide}}  {vote.mean:.2f}  {span:11}  {who}"
    wide = max((len(f"{row.first} / {row.second}") for row in scores.abx), default=0)
    yield "ABX: right answers, and how often guessing does as well" if wide else "No ABX sessions."
    for row in scores.abx:
        pair = f"{row.first} / {row.second}"
        yield f"  {pair:{wide}}  {row.correct} of {row.trials}  p = {row.p:.2g}"
    if scores.stopped:
        yield f"Stopped early: {scores.stopped}. ABX sessions among them are not counted."


def _opinion(method: str, votes: list[tuple[str, int]]) -> OpinionRow:
    values = np.array([value for _, value in votes], np.float64)
    listeners = len({listener for listener, _ in votes})
    mean = float(values.mean())
    if len(values) == 1:
        return OpinionRow(method, 1, listeners, mean, None, None)
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    half = error * float(stats.t.ppf(0.975, len(values) - 1))
    return OpinionRow(
        method, len(values), listeners, mean, max(1.0, mean - half), min(5.0, mean + half)
    )


def _abx(first: str, second: str, sessions: list[list[bool]]) -> AbxRow:
    answers = [answer for session in sessions for answer in session]
    correct = sum(answers)
    p = float(stats.binomtest(correct, len(answers), 0.5, alternative="greater").pvalue)
    return AbxRow(first, second, len(sessions), len(answers), correct, p)


def _sessions(file: Path) -> Iterator[dict[str, Any]]:
    """The sessions of one file: one, or the list that "Save all" writes."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise ScoresError(
            f"{file}: does not exist; give files that a listening page saved"
        ) from None
    except (OSError, ValueError) as error:
        raise ScoresError(f"{file}: cannot be read as JSON ({error}); save it again") from None
    for session in content if isinstance(content, list) else [content]:
        wrong = _wrong(session)
        if wrong:
            raise ScoresError(f"{file}: {wrong}; give files that a listening page saved")
        yield session


def _wrong(session: Any) -> str:
    """Say what keeps this from being a session, or nothing."""
    if not isinstance(session, dict) or session.get("format") not in ("purga-abx", "purga-acr"):
        return "is not a session of the ABX or the rating test"
    if session.get("version") != 1:
        return f"has version {session.get('version')!r}, but 1 is expected"
    for name, kind in (("session", str), ("listener", str), ("complete", bool)):
        if not isinstance(session.get(name), kind):
            return f"has no {name!r}"
    if session["format"] == "purga-abx":
        if not all(isinstance(session.get(name), str) for name in ("first", "second")):
            return "does not say what was compared"
        methods = (session["first"], session["second"])
        answers = session.get("trials")
        needed: dict[str, tuple[object, ...]] = {"x": methods, "answer": methods}
    else:
        answers = session.get("ratings")
        needed = {"rating": (1, 2, 3, 4, 5), "practice": (False, True)}
    if not isinstance(answers, list) or (session["complete"] and not answers):
        return "holds no answers"
    for turn, answer in enumerate(answers, 1):
        for name, allowed in needed.items():
            value = answer.get(name) if isinstance(answer, dict) else None
            if not any(
                value is one or (value == one and type(value) is type(one)) for one in allowed
            ):
                return f"answer {turn} has {value!r} as {name!r}, expected one of {allowed}"
        if session["format"] == "purga-acr" and not isinstance(answer.get("method"), str):
            return f"answer {turn} does not name its method"
    return ""
