"""A slot that nobody hears is told by starts of the machine and its time up, by no calendar."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.places import Component
from deploy.trial.probation import SAVE_UP_S
from deploy.trial.unheard import Unheard, UnheardLimits, given_up, looked, unpacked
from tests.deploy.trial.test_probation import Bench

LIMITS = UnheardLimits()
DAY_S = 86400.0


def evening(unheard: Unheard, boot: str, seconds: float, heard_at: float | None = None) -> Unheard:
    """A start of the machine, looked at once a second at first and then every forty minutes."""
    moments = [*range(20, 100), *range(2500, int(max(seconds, 2500)), 2400)]
    for at_s in (float(moment) for moment in moments if moment <= seconds):
        unheard = looked(unheard, boot, at_s, heard_at == at_s, LIMITS)
    return unheard


def test_five_starts_without_a_note() -> None:
    unheard = Unheard()
    for number in range(5):
        assert given_up(unheard, LIMITS) == ""
        unheard = evening(unheard, f"boot {number}", 8000.0)
    assert given_up(unheard, LIMITS) == "It has not played in 5 starts of the pedal."


def test_a_start_that_is_too_short_to_load_says_nothing() -> None:
    unheard = Unheard()
    for number in range(20):
        unheard = evening(unheard, f"boot {number}", 70.0)
    assert unheard.boots == 0 and given_up(unheard, LIMITS) == ""


def test_a_pedal_that_is_never_switched_off() -> None:
    unheard = evening(Unheard(), "boot", 13.9 * DAY_S)
    assert unheard.boots == 1 and given_up(unheard, LIMITS) == ""
    unheard = evening(Unheard(), "boot", 14.1 * DAY_S)
    assert given_up(unheard, LIMITS) == "It has not played for 14 days in which the pedal was on."


def test_one_note_and_it_begins_anew() -> None:
    unheard = Unheard()
    for number in range(4):
        unheard = evening(unheard, f"boot {number}", 8000.0)
    unheard = evening(unheard, "boot 4", 40.0, heard_at=30.0)
    assert (unheard.boots, unheard.up_s) == (0, 10.0)


def test_a_clock_that_goes_back_within_a_start_adds_nothing() -> None:
    unheard = looked(Unheard(boot="x", at_s=100.0), "x", 50.0, False, LIMITS)
    assert (unheard.boot_s, unheard.up_s) == (0.0, 0.0)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1e6), st.booleans()), min_size=1, max_size=40)
)
def test_never_more_starts_than_there_were_nor_more_time(
    looks: list[tuple[bool, float, bool]],
) -> None:
    unheard, boot, now_s, starts, up_s = Unheard(), 0, 0.0, 1, 0.0
    for is_new, passed_s, heard in looks:
        if is_new:
            boot, now_s = boot + 1, passed_s
        else:
            now_s, up_s = now_s + passed_s, up_s + passed_s
        starts, up_s = (1, 0.0) if heard else (starts + is_new, up_s)
        unheard = looked(unheard, str(boot), now_s, heard, LIMITS)
        assert 0 <= unheard.boots <= starts
        assert unheard.up_s <= up_s + 1e-6
        assert unpacked(asdict(unheard)) == unheard
        assert not heard or not given_up(unheard, LIMITS)


@pytest.mark.parametrize(
    "data",
    [None, 3, [], {"boots": "5"}, {"boots": 5.0}, {"up_s": "x"}, {"boot": 4}, {"other": 1}],
)
def test_anything_else_is_no_account(data: object) -> None:
    with pytest.raises(TypeError):
        unpacked(data)


# ---- through the probation ----------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def evenings(bench: Bench, count: int, component: Component = "models") -> list[bool]:
    """Whether it is given up after each start, in which somebody plays something for an hour."""
    said = []
    for _ in range(count):
        bench.boot = f"{bench.boot}+"
        bench.now_s = 30.0
        for _ in range(2):
            probation = bench.probation(component)
            for _ in range(40):
                verdict = probation.look()
                bench.play(2.0)
            bench.play(1800.0)
        assert verdict is None or (verdict.again and not verdict.ok), verdict
        said.append(verdict is not None)
    return said


def test_a_pedal_that_plays_its_own_models(bench: Bench) -> None:
    bench.bank()  # as with [slots] models = ""
    bench.probation().begin()
    assert evenings(bench, 6) == [False] * 4 + [True] * 2
    verdict = bench.probation().look()
    assert verdict is not None
    assert verdict.why == "It has not played in 6 starts of the pedal."
    assert verdict.figures["unheard_boots"] == 6.0


def test_it_may_be_heard_after_all(bench: Bench) -> None:
    bench.bank()
    evenings(bench, 5)
    bench.plays()
    probation = bench.probation()
    assert probation.look() is not None
    bench.play(20.0)
    assert probation.look() is None, "it plays: watched as any other"
    bench.play(20.0)
    verdict = probation.look()
    assert verdict is not None and verdict.ok


def test_what_is_wrong_with_it_comes_first(bench: Bench) -> None:
    bench.bank()
    evenings(bench, 5)
    bench.bank(rejected_slot=str(bench.slot), rejected="it hums")
    verdict = bench.probation().look()
    assert verdict is not None and not verdict.ok and not verdict.again


def test_firmware_that_finds_no_interface(bench: Bench) -> None:
    """It is alive, so that no boot is held against it, but nobody ever hears it."""
    for number in range(5):
        bench.boot, bench.now_s = f"boot {number}", 30.0
        bench.start()
        probation = bench.probation("firmware")
        for _ in range(40):
            bench.now_s += 2.0
            bench.meters.count("periods", 1500)
            bench.meters.count("absent_periods", 1500)
            bench.control("play")
            verdict = probation.look()
        assert (verdict is not None) == (number == 4)
    assert verdict is not None and verdict.again


def test_a_pedal_on_which_nothing_runs(bench: Bench) -> None:
    os.remove(bench.runtime / "meters")
    for number in range(5):
        bench.boot, bench.now_s = f"boot {number}", 30.0
        probation = bench.probation()
        for _ in range(40):
            bench.now_s += 2.0
            verdict = probation.look()
        assert (verdict is not None) == (number == 4)


def test_it_is_written_now_and_then_and_not_at_each_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.bank()
    probation = bench.probation()
    writes = []
    real = probation._save

    def save(watched: object) -> None:
        writes.append(watched)
        real(watched)  # type: ignore[arg-type]

    monkeypatch.setattr(probation, "_save", save)
    for _ in range(1200):
        probation.look()
        bench.now_s += 1.0
        bench.meters.count("periods", 750)
        bench.control()
    # At the first look, when the start counts, and each ten minutes.
    assert len(writes) <= 3 + 1200 / SAVE_UP_S
    kept = bench.probation()
    bench.now_s += 1.0
    kept.look()
    assert kept._watched is not None
    assert kept._watched.unheard.up_s == pytest.approx(1200.0, abs=2.0), "within a start all counts"


def test_what_was_kept_before_there_was_an_account_is_taken(bench: Bench) -> None:
    bench.plays()
    probation = bench.probation()
    probation.look()
    bench.play(11.0)
    probation.look()

    content = json.loads(bench.state.read_bytes())
    del content["unheard"]
    bench.state.write_text(json.dumps(content))
    assert bench.probation().played_s == pytest.approx(11.0)
    content["unheard"] = {"boots": "many"}
    bench.state.write_text(json.dumps(content))
    assert bench.probation().played_s == 0.0
