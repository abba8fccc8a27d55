"""Saved listening sessions, pooled: counted again, each once, and foreign files refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from models.__main__ import main
from models.evaluate.scores import ScoresError, read_scores


def abx(name: str, right: int, wrong: int, **more: Any) -> dict[str, Any]:
    trials = [{"x": "stage", "answer": "stage", "correct": True}] * right
    trials += [{"x": "stage", "answer": "truth", "correct": False}] * wrong
    return {"format": "purga-abx", "version": 1, "session": name, "listener": "", "complete": True,
            "first": "stage", "second": "truth", "trials": trials, **more}  # fmt: skip


def acr(name: str, listener: str, votes: dict[str, list[int]], **more: Any) -> dict[str, Any]:
    ratings = [{"method": "stage", "practice": True, "rating": 1}]
    ratings += [
        {"method": method, "practice": False, "rating": rating}
        for method, values in votes.items()
        for rating in values
    ]
    return {"format": "purga-acr", "version": 1, "session": name, "listener": listener,
            "complete": True, "ratings": ratings, **more}  # fmt: skip


def saved(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), "utf-8")
    return path


def test_sessions_are_pooled_and_each_counts_once(tmp_path: Path) -> None:
    one = saved(tmp_path / "one.json", abx("1", 12, 4))
    several = saved(
        tmp_path / "several.json",
        [abx("1", 12, 4), abx("2", 9, 7), abx("3", 5, 0, complete=False),
         acr("4", "ann", {"stage": [4, 5, 4], "crossfade": [2]}),
         acr("5", "bob", {"stage": [3]}, complete=False)],
    )  # fmt: skip
    found = read_scores([one, several, one])
    (row,) = found.abx
    assert (row.sessions, row.trials, row.correct) == (2, 32, 21)
    assert row.p == pytest.approx(sum(stats.binom.pmf(k, 32, 0.5) for k in range(21, 33)))
    stage, crossfade = found.opinions
    votes = np.array([4, 5, 4, 3])
    assert (stage.method, stage.ratings, stage.listeners, stage.mean) == ("stage", 4, 2, 4.0)
    assert stage.low is not None and stage.high is not None
    interval = stats.t.interval(0.95, 3, votes.mean(), stats.sem(votes))
    assert (stage.low, stage.high) == pytest.approx((interval[0], min(5.0, interval[1])))
    assert (crossfade.mean, crossfade.low, crossfade.high) == (2.0, None, None)
    assert found.stopped == 2


def test_a_claimed_result_is_not_trusted(tmp_path: Path) -> None:
    session = abx("1", 1, 15)
    for trial in session["trials"]:
        trial["correct"] = True
    (row,) = read_scores([saved(tmp_path / "x.json", session)]).abx
    assert row.correct == 1


def test_equal_ratings_have_an_interval_of_nothing(tmp_path: Path) -> None:
    file = saved(tmp_path / "x.json", acr("1", "", {"stage": [5, 5, 5]}))
    (row,) = read_scores([file]).opinions
    assert (row.low, row.mean, row.high) == (5.0, 5.0, 5.0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no", "is not a session"),
        ({}, "is not a session"),
        ([[]], "is not a session"),
        (abx("1", 1, 0, version=2), "has version 2, but 1"),
        (abx("1", 0, 0), "holds no answers"),
        (abx("1", 1, 0, trials=[{"x": "stage", "answer": "other"}]), "answer 1 has 'other'"),
        (abx("1", 1, 0, trials=[7]), "answer 1 has None"),
        (abx("1", 1, 0, first=None), "does not say what was compared"),
        (abx("1", 1, 0, complete="yes"), "has no 'complete'"),
        (acr("1", "", {"stage": [6]}), "answer 2 has 6"),
        (acr("1", "", {"stage": [True]}), "answer 2 has True"),
        (acr("1", "", {}, ratings=[{"practice": False, "rating": 3}]), "does not name its method"),
    ],
)
def test_foreign_files_are_named_and_refused(tmp_path: Path, content: Any, words: str) -> None:
    file = saved(tmp_path / "strange.json", content)
    with pytest.raises(ScoresError, match=r"strange\.json.*" + words):
        read_scores([file])


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match=r"none\.json: does not exist"):
        read_scores([tmp_path / "none.json"])
    broken = tmp_path / "broken.json"
    broken.write_bytes(b"\xff{")
    with pytest.raises(ScoresError, match=r"broken\.json: cannot be read as JSON"):
        read_scores([broken])
    with pytest.raises(ScoresError, match="cannot be read"):
        read_scores([tmp_path])


def test_no_files_give_empty_tables() -> None:
    found = read_scores([])
    assert (found.opinions, found.abx, found.stopped) == ((), (), 0)


def test_command_prints_both_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(tmp_path / "x.json", [abx("1", 12, 4), acr("2", "", {"stage": [4, 5, 4]})])
    assert main(["scores", str(file), "--json"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    text = "\n".join(lines)
    assert "stage / truth  12 of 16  p = 0.038" in text
    assert "stage  4.33  2.90 … 5.00  3 by 1" in text
    assert json.loads(last)["abx"][0]["correct"] == 12
    one = saved(tmp_path / "one.json", abx("3", 3, 0, complete=False))
    assert main(["scores", str(one)]) == 0
    assert "Stopped early: 1." in capsys.readouterr().out


def test_command_names_a_foreign_file_and_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scores", str(saved(tmp_path / "strange.json", {}))]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "strange.json" in error
