"""What the bench found: it goes to JSON and back, and its verdict never flatters."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.results import (
    KINDS,
    Check,
    Mark,
    ResultsError,
    ScenarioResult,
    Span,
    from_json,
    missing,
    to_json,
    verdict,
)
from tests.hil.results import BAD, GOOD, UNSEEN, scenario

WORDS = st.text(max_size=12)
NUMBERS = st.floats(-1e9, 1e9)


@st.composite
def checks(draw: st.DrawFn) -> Check:
    measured = draw(st.none() | NUMBERS)
    ok = measured is not None and draw(st.booleans())
    limit = draw(st.none() | NUMBERS)
    number, group, what, asked, unit, note = (draw(WORDS) for _ in range(6))
    return Check(number, group, what, asked, limit, measured, unit, ok, note)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    start_s, end_s = sorted((draw(NUMBERS), draw(NUMBERS)))
    return Span(draw(st.sampled_from(list(KINDS))), start_s, end_s)


SCENARIOS = st.builds(
    ScenarioResult,
    name=st.text(min_size=1, max_size=12),
    checks=st.lists(checks(), max_size=4),
    timeline=st.lists(spans(), max_size=4),
    marks=st.lists(st.builds(Mark, NUMBERS, WORDS), max_size=4),
    virtual_s=NUMBERS,
    wall_s=NUMBERS,
    figures=st.dictionaries(
        WORDS, st.recursive(NUMBERS | WORDS, lambda inner: st.lists(inner, max_size=3)), max_size=3
    ),
    artefacts=st.lists(WORDS, max_size=3),
    failed_because=st.none() | st.text(min_size=1, max_size=12),
)


@given(SCENARIOS)
def test_json_and_back_is_the_same(result: ScenarioResult) -> None:
    text = json.dumps(to_json(result), allow_nan=False)
    assert from_json(json.loads(text)) == result


def test_what_json_cannot_say_comes_back_as_not_measured() -> None:
    wild = replace(BAD, measured=math.inf)
    back = from_json(to_json(scenario(checks=[wild], figures={"loads": {"p50": math.nan}})))
    assert back.checks[0].measured is None and back.figures == {"loads": {"p50": None}}
    assert back.verdict == "fail"


@pytest.mark.parametrize("measured", [None, math.nan, math.inf])
def test_no_check_holds_without_a_measurement(measured: float | None) -> None:
    with pytest.raises(ResultsError, match="relay-killed-audio"):
        replace(GOOD, measured=measured)


@pytest.mark.parametrize(
    "wrong", [("loud", 0.0, 1.0), ("wet", 1.0, 0.0), ("wet", math.nan, 1.0), ("wet", 0.0, math.inf)]
)
def test_a_span_that_cannot_be_is_refused(wrong: tuple[str, float, float]) -> None:
    with pytest.raises(ResultsError):
        Span(*wrong)


@pytest.mark.parametrize("change", [{"colour": 1}, {"checks": 3}, {"marks": [{"time_s": 1.0}]}])
def test_foreign_results_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ResultsError):
        from_json({**to_json(scenario()), **change})
    without = to_json(scenario())
    del without["name"]
    with pytest.raises(ResultsError):
        from_json(without)


# ---- the verdict --------------------------------------------------------------------------------


def test_all_kept_and_all_there_is_a_pass() -> None:
    results = [scenario("faults"), scenario("kills")]
    assert verdict(results, ["faults", "kills"]) == "pass"
    assert verdict(results, {"faults": ["relay-killed-audio"], "kills": []}) == "pass"
    assert missing(results, ["faults", "kills"]) == []


@pytest.mark.parametrize("check", [BAD, UNSEEN], ids=["beyond", "not measured"])
def test_one_missed_number_fails_though_much_is_missing(check: Check) -> None:
    results = [scenario(checks=[GOOD, check])]
    assert verdict(results, ["faults"]) == "fail"
    assert verdict(results, ["faults", "kills"]) == "fail"
    assert results[0].missed == [check] and results[0].verdict == "fail"


def test_a_scenario_that_broke_off_fails_though_its_numbers_were_kept() -> None:
    broken = scenario(failed_because="the machine stopped")
    assert verdict([broken, scenario("kills")], ["faults", "kills"]) == "fail"
    assert missing([scenario(checks=[], failed_because="no boot")], ["faults"]) == []


def test_what_is_expected_and_not_there_makes_it_incomplete() -> None:
    results = [scenario()]
    assert verdict(results, ["faults", "kills"]) == "incomplete"
    assert missing(results, ["faults", "kills"]) == ["kills"]
    asked = {"faults": ["relay-killed-audio", "back"]}
    assert verdict(results, asked) == "incomplete"
    assert missing(results, asked) == ["faults: back"]


def test_nothing_proves_nothing() -> None:
    assert verdict([], []) == "incomplete"
    assert verdict([scenario(checks=[])], ["faults"]) == "incomplete"
    assert verdict([scenario(checks=[])], []) == "incomplete"
    assert verdict([scenario("kills"), scenario(checks=[])], ["kills"]) == "incomplete"


def test_what_is_there_twice_is_refused() -> None:
    with pytest.raises(ResultsError, match="scenario faults"):
        verdict([scenario(), scenario()], [])
    with pytest.raises(ResultsError, match="relay-killed-audio"):
        verdict([scenario(checks=[GOOD, GOOD])], [])


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=5))
def test_a_pass_has_every_scenario_whole_and_every_check_kept(
    shapes: list[tuple[bool, bool, bool]],
) -> None:
    """Each of five scenarios may be there, keep its number, break off."""
    expected = [f"s{number}" for number in range(len(shapes))]
    results = [
        scenario(name, [GOOD if kept else BAD], failed_because="why" if broke else None)
        for name, (there, kept, broke) in zip(expected, shapes, strict=True)
        if there
    ]
    whole = bool(shapes) and all(there and kept and not broke for there, kept, broke in shapes)
    assert (verdict(results, expected) == "pass") == whole
