"""Every check can fail: the library's faults are caught, and nothing is without them."""

import pytest

from hil.budgets import BUDGETS
from hil.faults import FAULTS
from hil.suites.cold_starts import SHOWN, cold_starts
from hil.suites.functional import Found
from hil.suites.proof import STAGES, WIRED, failures, prove, reference, unproven

_QUICK = ("room", "recovery")


@pytest.fixture(scope="module")
def sound() -> Found:
    return reference()


def test_every_limit_has_a_fault_that_breaks_it() -> None:
    assert unproven() == set()
    assert {budget for fault in FAULTS for budget in fault.caught_by} <= set(BUDGETS)
    assert len({fault.id for fault in FAULTS}) == len(FAULTS)
    assert {fault.stage for fault in FAULTS} <= set(STAGES) | WIRED


@pytest.mark.parametrize("stage", _QUICK)
def test_a_sound_pedal_fails_nothing(stage: str, sound: Found) -> None:
    assert failures(stage, sound) == set()


@pytest.mark.parametrize(
    "fault", [each for each in FAULTS if each.stage in _QUICK], ids=lambda f: f.id
)
def test_quick_faults_are_caught(fault, sound: Found) -> None:
    caught = prove(fault, sound)
    assert caught.escaped == ()


@pytest.mark.soak
@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in _QUICK])
def test_a_sound_pedal_fails_nothing_all_night(stage: str, sound: Found) -> None:
    assert failures(stage, sound) == set()


@pytest.mark.soak
@pytest.mark.parametrize(
    "fault",
    [each for each in FAULTS if each.stage not in _QUICK and each.stage not in WIRED],
    ids=lambda f: f.id,
)
def test_slow_faults_are_caught(fault, sound: Found) -> None:
    assert prove(fault, sound).escaped == ()


def test_cold_starts_show_their_faults_and_no_others(sound: Found) -> None:
    starts = cold_starts(6, sound, seed=5)
    assert [start for start in starts if start.missed] == []
    assert [start for start in starts if start.false] == []
    assert set(SHOWN) <= {fault.id for fault in FAULTS}
