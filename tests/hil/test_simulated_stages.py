"""The proof and the cold starts as stages: tables, raw data, and a verdict that can fail."""

from pathlib import Path

import pytest

from hil.faults import FAULTS, Fault
from hil.raw import read_trace
from hil.results import ScenarioResult
from hil.runs import simulated
from hil.runs.simulated import proof, run_simulated, starts
from hil.runs.stages import COLD_STARTS, PROFILES, Scale
from hil.suites.cold_starts import SHOWN, Start
from hil.suites.functional import Found
from hil.view import view

QUICK = [fault for fault in FAULTS if fault.id in ("clock-off", "quiet")]
SOUND = Found(254.0, 0.1, -3.0)


def test_a_fault_that_is_caught_and_one_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harmless = Fault("harmless", "nothing is wrong", "room", ("drift",))
    clock = next(fault for fault in FAULTS if fault.id == "clock-off")
    said: list[tuple[float, str]] = []
    checks, figures = proof(
        tmp_path, lambda done, what: said.append((done, what)), [clock, harmless], ["room"]
    )
    by_id = {check.id: check for check in checks}
    assert by_id["sound@room"].ok and by_id["caught@clock-off"].ok and by_id["proven"].ok
    assert not by_id["caught@harmless"].ok and "drift" in by_id["caught@harmless"].note
    assert [done for done, _ in said] == pytest.approx([1 / 3, 2 / 3, 1.0])
    table = figures["faults"]
    assert isinstance(table, list) and table[0]["failed"] == "drift"
    assert len(read_trace(tmp_path / "faults.csv")) == 2


def test_a_lost_line_is_caught_where_nobody_watches(tmp_path: Path) -> None:
    wired = [fault for fault in FAULTS if fault.stage == "link"]
    checks, _ = proof(tmp_path, lambda done, what: None, wired, ["link"])
    assert wired and all(check.ok for check in checks), checks


def some(count: int, sound: Found, seed: int) -> list[Start]:
    return [
        Start(0, -33.0, None, ()),
        Start(1, -40.0, "quiet", ("level-shift",)),
        Start(2, -35.0, None, ("knob",) if seed else ()),
        Start(3, -36.0, "knob-dead", () if seed else ("knob",)),
    ]


@pytest.mark.parametrize("part", [0, 1])
def test_cold_starts_are_counted(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated, "cold_starts", some)
    checks, figures = starts(4, part, tmp_path, lambda done, what: None, SOUND)
    assert [check.ok for check in checks] == [part == 0, part == 0]
    found = figures["starts"]
    assert isinstance(found, dict) and found["count"] == 4 and found["with a fault"] == 2
    assert found["missed"] == found["false"] == part
    assert found["by_fault"]["quiet"] == {"starts": 1, "seen": 1, "by": ["level-shift"]}
    assert len(read_trace(tmp_path / "starts.csv")) == 4


def test_parts_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "cold_starts", some)
    monkeypatch.setattr(simulated, "reference", lambda: SOUND)
    results: list[ScenarioResult] = [
        run_simulated(name, Scale(1, 8, "ci"), tmp_path, lambda done, what: None)
        for name in COLD_STARTS
    ]
    scenarios = [
        {"name": each.name, "stamp": "SIMULATED", "failed_because": None, "stopped": None}
        for each in results
    ]
    report = {
        "scenarios": scenarios, "checks": [], "verdict": "fail", "simulated": True, "deviations": []
    }  # fmt: skip
    found = view(report, results, tmp_path).starts
    assert found is not None and (found.count, found.missed, found.false) == (8, 1, 1)
    assert ("knob-dead", 2, 1, "knob") in found.by_fault


def test_each_part_of_a_profile_shows_every_fault() -> None:
    for scale in PROFILES.values():
        assert scale.starts // len(COLD_STARTS) // 2 >= len(SHOWN)
