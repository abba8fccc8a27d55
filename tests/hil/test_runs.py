"""A run of the bench: kept as it goes, taken up again, safe whatever happens, never flattering."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hil.__main__ import main
from hil.budgets import BUDGETS, judge
from hil.errors import BenchError, InstrumentError
from hil.raw import RawError, check_manifest
from hil.results import Verdict
from hil.runs.finish import begin, finish
from hil.runs.lane import reference_of
from hil.runs.software import ROOT, software_hash
from hil.runs.stages import BENCH_STAGES, SUITES, check_all_reach, choose, every_stage
from hil.runs.store import Key, keep, kept
from hil.runs.whole import Options, Outcome, run_whole
from hil.suites import thermal
from hil.suites.functional import Found
from tests.hil.results import scenario
from tests.hil.standins import NAMES, names, stand_ins

KEY = Key("software", "simulated", "serial, software", "ci")


def whole_run(out: Path, **options: object) -> Outcome:
    asked = Options(out=out, **options)  # type: ignore[arg-type]
    outcome = run_whole(asked, lambda begun: begin(begun, out, "python -m hil run"))
    finish(outcome, out, "python -m hil run")
    return outcome


def report_of(out: Path) -> dict:
    return json.loads((out / "report.json").read_text("utf-8"))


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def hang_up() -> None:
    os.kill(os.getpid(), signal.SIGHUP)


def fail(error: Exception) -> Callable[[], None]:
    def raise_() -> None:
        raise error

    return raise_


TROUBLES = {
    "ctrl-c": (interrupt, "interrupted"),
    "terminal gone": (hang_up, "interrupted"),
    "instrument": (fail(InstrumentError("the chamber does not answer.")), "does not answer"),
    "limits": (fail(BenchError("a setpoint of −99 °C.")), "−99 °C"),
    "bug": (fail(KeyError("nothing")), "KeyError"),
    "disk": (fail(OSError(28, "no space left")), "no space left"),
    "raw": (fail(RawError("raw")), "raw"),
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for name in NAMES for kind in ("ctrl-c", "instrument")),
        *(("one", kind) for kind in TROUBLES if kind not in ("ctrl-c", "instrument")),
    ],
)
def test_a_run_that_broke_off_is_safe_incomplete_and_goes_on(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = stand_ins(monkeypatch)
    trouble, said = TROUBLES[kind]
    runs.breaks, runs.trouble = name, trouble
    outcome = whole_run(tmp_path)
    before = NAMES[: NAMES.index(name)]
    assert runs.safe and runs.ran == [*before, name]
    assert names(outcome.results) == [*before, name]
    assert said in (outcome.results[-1].stopped or "")
    assert outcome.interrupted == (kind in ("ctrl-c", "terminal gone"))
    assert bool(outcome.refused) == (kind == "limits")
    report = report_of(tmp_path)
    assert report["verdict"] == "incomplete"
    assert set(report["missing"]) == set(NAMES[NAMES.index(name) :])
    assert (tmp_path / name / "trace.csv").read_text().count("\n") >= 3, "the trace is whole"

    runs.ran.clear()
    runs.breaks = ""
    outcome = whole_run(tmp_path, resume=True)
    assert runs.ran == list(NAMES[NAMES.index(name) :])
    assert names(outcome.results) == list(NAMES) and runs.safe
    # What was taken up again counts as the reference of those that follow.
    assert runs.references[-1] == Found(254.0, 0.1, -3.0)
    assert report_of(tmp_path)["missing"] == []
    assert report_of(tmp_path)["verdict"] == "pass"


def test_without_resume_everything_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = stand_ins(monkeypatch)
    for _ in range(2):
        whole_run(tmp_path)
    assert runs.ran == [*NAMES, *NAMES]


def test_a_stage_alone_is_compared_with_an_earlier_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = stand_ins(monkeypatch)
    whole_run(tmp_path)
    whole_run(tmp_path, only=("two",), resume=False)
    assert runs.references[-1] is None
    (tmp_path / "two" / "result.json").unlink()
    whole_run(tmp_path, only=("two",), resume=True)
    assert runs.references[-1] == Found(254.0, 0.1, -3.0)
    assert report_of(tmp_path)["verdict"] == "pass"
    assert any("three" in each for each in report_of(tmp_path)["deviations"])


def test_a_missed_number_is_a_fail_also_in_a_run_that_broke_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = stand_ins(monkeypatch)
    runs.breaks, runs.trouble = "one", interrupt
    outcome = whole_run(tmp_path)
    stopped = outcome.results[-1]
    bad = replace(stopped.checks[0], ok=False, measured=9.0)
    outcome.results[-1] = replace(stopped, checks=[bad])
    assert finish(outcome, tmp_path, "").verdict == "fail"


def test_what_could_not_be_switched_off_is_said_and_no_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = stand_ins(monkeypatch)

    def refuse() -> None:
        raise InstrumentError("the line is dead")

    monkeypatch.setattr(runs.bench.chamber, "stop", refuse)
    outcome = whole_run(tmp_path)
    assert not runs.plant.source.on, "the supply is switched off whatever the chamber does"
    assert any("by hand" in each for each in outcome.troubles)
    assert report_of(tmp_path)["verdict"] == "incomplete"


def test_a_run_that_begins_leaves_no_report_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = stand_ins(monkeypatch)
    whole_run(tmp_path)
    assert report_of(tmp_path)["verdict"] == "pass"
    seen: list[str] = []
    runs.breaks = "one"
    runs.trouble = lambda: seen.append(report_of(tmp_path)["verdict"])
    whole_run(tmp_path)
    assert seen == ["incomplete"]


def test_the_handlers_of_signals_are_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    runs = stand_ins(monkeypatch)
    runs.breaks, runs.trouble = "one", interrupt
    whole_run(tmp_path)
    after = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert before == after


def test_a_limit_that_no_stage_judged_is_a_hole_in_a_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil.runs.finish.write_pdf", lambda folder: folder / "report.pdf")
    stages = ("thermal-after", "latency", "recovery", "cold-recovery")
    checks = [judge(each, limit.limit) for each, limit in BUDGETS.items()]
    assert all(check.ok for check in checks)

    def found(without: str, figures: dict) -> Verdict:
        left = [check for check in checks if check.id != without]
        results = [scenario("latency", left, figures=figures)]
        results += [scenario(name) for name in stages if name != "latency"]
        return finish(Outcome(results, list(stages), {}), tmp_path, "").verdict

    assert found("", {}) == "pass"
    assert found("knob-to-sound", {}) == "incomplete"
    assert report_of(tmp_path)["missing"] == ["limit knob-to-sound"]
    # What a unit cannot do is a deviation, and said in its place.
    assert found("knob-to-sound", {"not measured": ["knob to sound"]}) == "pass"
    assert any(
        "knob to sound was not measured" in each for each in report_of(tmp_path)["deviations"]
    )


# ---- what is not taken up again -----------------------------------------------------------------


@pytest.mark.parametrize("field", ["software", "bench", "unit", "profile"])
def test_results_of_another_kind_are_not_taken_up(field: str, tmp_path: Path) -> None:
    keep(tmp_path, scenario("one"), KEY)
    assert kept(tmp_path, "one", KEY)[0] == replace(scenario("one"), artefacts=[])
    result, reason = kept(tmp_path, "one", replace(KEY, **{field: "another"}))
    assert result is None and "another" in reason


def test_what_was_changed_or_cannot_be_read_is_not_taken_up(tmp_path: Path) -> None:
    assert kept(tmp_path, "one", KEY) == (None, "")
    own = tmp_path / "one"
    own.mkdir()
    (own / "trace.csv").write_text("time_s\n1\n2\n")
    file = keep(tmp_path, scenario("one"), KEY)
    assert kept(tmp_path, "one", KEY)[0] is not None
    (own / "trace.csv").write_text("time_s\n1\n3\n")
    assert "trace.csv" in kept(tmp_path, "one", KEY)[1]
    (own / "trace.csv").unlink()
    assert "trace.csv" in kept(tmp_path, "one", KEY)[1]
    for text in ("", "{", "[]", '{"format": 1}', '{"format": 7}'):
        file.write_text(text)
        result, reason = kept(tmp_path, "one", KEY)
        assert result is None and reason


def test_what_is_run_again_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = stand_ins(monkeypatch)
    whole_run(tmp_path)
    runs.bench.unit.software = "a newer one"
    capsys.readouterr()
    whole_run(tmp_path, resume=True)
    assert runs.ran == [*NAMES, *NAMES]
    said = capsys.readouterr().err
    assert "one: is run again: it was made by another unit" in said and "a newer one" in said


def test_the_hash_of_the_software_is_of_all_sources(tmp_path: Path) -> None:
    for name in ("hil/a.py", "device/b.py", "models/c.toml"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x")
    first = software_hash(tmp_path)
    assert first == software_hash(tmp_path)
    (tmp_path / "hil" / "a.py").write_text("y")
    assert software_hash(tmp_path) != first
    (tmp_path / "hil" / "a.py").rename(tmp_path / "hil" / "d.py")
    (tmp_path / "hil" / "d.py").write_text("x")
    assert software_hash(tmp_path) != first, "names count too"
    assert len(software_hash(ROOT)) == 16


@pytest.mark.parametrize(
    "figures", [{}, {"reference": None}, {"reference": {"frames": float("nan")}}]
)
def test_a_stage_without_a_reference_gives_none(figures: dict) -> None:
    result = scenario("thermal-before", figures=figures)
    assert reference_of(result) in (None, Found(None, None, None))
    assert reference_of(None) is None


# ---- what is run --------------------------------------------------------------------------------


def test_the_table_holds_every_stage_of_the_suites_once() -> None:
    every = [each.name for each in every_stage()]
    assert len(every) == len(set(every))
    assert [name for name in every if name in thermal.STAGES] == list(thermal.STAGES)
    assert {each.suite for each in every_stage()} == set(SUITES)
    assert all(each.reach and each.claims for each in BENCH_STAGES)


def test_a_real_bench_runs_what_is_measured_there() -> None:
    on_rig = choose("ci", measured=True)
    assert all(each.run is not None for each in on_rig)
    assert names(choose("ci", measured=True, suites=["proof"])) == ["proof"]
    with_pedal = choose("ci", measured=True, virtual=True)
    assert {each.suite for each in with_pedal} == {"thermal", "latency", "recovery", "virtual"}
    whole = names(choose("ci", can_lose_link=True))
    assert {"latency", "recovery", "link-lost", "proof", "cold-starts-1", "start"} <= set(whole)
    assert "studio" not in whole and "studio" in names(choose("full"))
    assert not [each for each in choose("ci", virtual=False) if each.suite == "virtual"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"only": ["nothing"]}, "no scenario nothing"),
        ({"suites": ["nothing"]}, "no suite nothing"),
        ({"only": ["start"], "virtual": False}, "nothing is left"),
    ],
)
def test_what_does_not_exist_is_one_sentence(options: dict, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        choose("ci", **options)


def test_a_chamber_that_does_not_reach_is_refused_before_anything_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = BENCH_STAGES
    runs = stand_ins(monkeypatch)
    monkeypatch.setattr("hil.runs.stages.BENCH_STAGES", real)
    chamber = runs.bench.chamber
    chamber.limits = replace(chamber.limits, lowest_c=-20.0, humidity=False)
    with pytest.raises(BenchError, match=r"thermal-storage: .*not -40 °C"):
        check_all_reach(runs.bench, real)
    assert main(["run", "--out", str(tmp_path), "--no-virtual"]) == 2
    assert "thermal-storage" in capsys.readouterr().err
    assert not (tmp_path / "report.json").exists() and runs.safe
    at_room = [each for each in real if each.name in ("latency", "recovery", "thermal-before")]
    check_all_reach(runs.bench, at_room)


# ---- the command --------------------------------------------------------------------------------


def test_the_command_ends_with_what_became_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = stand_ins(monkeypatch)
    command = ["run", "--out", str(tmp_path), "--json"]
    assert main(command) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(last) == {"verdict": "pass", "report": str(tmp_path / "report.json")}
    runs.breaks, runs.trouble = "two", interrupt
    assert main(command) == 1
    assert "--resume" in capsys.readouterr().out
    runs.trouble = fail(BenchError("a setpoint that is none"))
    assert main(command) == 2
    assert "a setpoint that is none" in capsys.readouterr().err
    assert main(["check", str(tmp_path)]) == 0
    before = report_of(tmp_path)
    assert main(["report", str(tmp_path)]) == 1
    after = report_of(tmp_path)
    assert {name for name in before if before[name] != after[name]} == set()
    assert main(["check", str(tmp_path)]) == 0
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    (tmp_path / "one" / "trace.csv").write_text("x")
    assert main(["check", str(tmp_path)]) == 1
    assert main(["check", str(tmp_path / "nowhere")]) == 2


def interrupted_at(word: str, out: Path, *options: str) -> tuple[int, str, str]:
    """Run two lanes, interrupt the run at the first line with ``word``; exit code and output."""
    command = [sys.executable, "-m", "hil", "run", "--out", str(out), "--at-once", "2"]
    with subprocess.Popen(
        [*command, "--only", "recovery", "latency", *options],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr is not None
        lines = []
        for line in run.stderr:
            lines.append(line)
            if word in line:
                run.send_signal(signal.SIGINT)
                break
        said, errors = run.communicate()
    return run.returncode, said, "".join(lines) + errors


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_a_simulated_run_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    """Lanes in processes of their own: they too are left safe, and keep what they have."""
    software = software_hash()
    code, said, _ = interrupted_at("recovery         ", tmp_path)  # its end has no bench time
    assert code == 1 and "verdict incomplete" in said and "--resume" in said
    report = report_of(tmp_path)
    stopped = {each["name"]: each["stopped"] for each in report["scenarios"]}
    assert report["missing"] == ["latency"] and report["simulated"]
    assert stopped["recovery"] is None and "interrupted" in stopped["latency"]
    assert check_manifest(tmp_path)[1] == []
    code, _, errors = interrupted_at("key on", tmp_path, "--resume")
    if software_hash() != software:
        pytest.skip("the sources were edited meanwhile, so that nothing is taken up")
    assert code == 1 and "recovery: taken up from the earlier run (pass)" in errors
    assert "latency: is run again: it was stopped" in errors
    assert report_of(tmp_path)["missing"] == ["latency"]
