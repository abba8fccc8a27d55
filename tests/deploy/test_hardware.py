"""The circuits of ``deploy/hardware.md`` keep what the firmware counts on, in the worst case."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from deploy import hardware_figures as figures
from deploy.hardware_sheets import SHEETS
from device.pump import HALF_PERIOD_S, HOLD_MAX_S, HOLD_MIN_S, HOLD_S, SHORTEST_LEVEL_S
from device.states import Limits

DEPLOY = Path(figures.__file__).parent
PAGE = (DEPLOY / "hardware.md").read_text(encoding="utf-8")

DETECTION_MS, TURN_MS, RELEASE_MS = 40.0, 2.0, 5.0
"""Audio is given up after this, by a loop this long; a relay with a diode lets go within this."""


def test_the_hold_time_is_what_the_firmware_counts_on() -> None:
    hold, last = figures.hold_ms(), figures.last_edge_ms()
    assert hold.nominal == pytest.approx(HOLD_S * 1e3, rel=0.02)
    assert last.low > HOLD_MIN_S * 1e3
    assert last.high < HOLD_MAX_S * 1e3


def test_the_guitar_passes_within_150_ms_even_at_the_longest_hold() -> None:
    assert DETECTION_MS + TURN_MS + HOLD_MAX_S * 1e3 + RELEASE_MS < 150.0


def test_the_divider_stays_well_inside_its_code() -> None:
    code = figures.divider_code()
    assert 4.75 < code.low < code.high < 5.25


def test_the_filter_lets_the_pump_through_and_little_else() -> None:
    low_pass = figures.Filter()
    assert low_pass.passes_ms() < SHORTEST_LEVEL_S * 1e3 < HALF_PERIOD_S * 1e3
    assert low_pass.stops_hz() < 2000.0


def test_the_relay_operates_in_the_heat_and_does_not_burn() -> None:
    coil = figures.Coil()
    assert coil.operate_hot_v() < coil.supply_v.low - 0.1
    assert coil.hottest_c() < 125.0


@pytest.mark.parametrize(("track_ohm", "end_ohm"), [(10e3, 100.0), (10e3, 470.0), (50e3, 470.0)])
def test_no_knob_that_works_gives_the_codes_of_a_broken_one(
    track_ohm: float, end_ohm: float
) -> None:
    assert figures.knob_codes(track_ohm, end_ohm).low > 3.0


def test_the_knobs_ends_lie_in_the_end_zones() -> None:
    from device.knob import END_ZONE

    assert figures.knob_codes().high < END_ZONE * 1023.0


def test_the_hold_off_releases_where_the_module_may_start() -> None:
    release, again = figures.hold_off_c()
    assert again.high < release.low  # never chatters
    assert Limits().hold_below_c + Limits().cold_hysteresis_k < again.low


def test_a_thermistor_reads_what_its_table_says() -> None:
    for celsius, ohm in ((25.0, 10e3), (0.0, 32_560.0), (-40.0, 332_100.0)):
        assert figures.thermistor_c(ohm) == pytest.approx(celsius, abs=0.1)


def test_a_heater_that_is_too_weak_is_told() -> None:
    assert figures.preheat_min(20.0, 0.3) < 10.0
    assert figures.preheat_min(20.0, 0.75) == float("inf")


def test_the_page_gives_the_figures_that_are_computed() -> None:
    printed = "\n".join(figures.lines())
    shown = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    assert shown[1].strip() == printed.strip()


@pytest.mark.parametrize("name", SHEETS)
def test_the_drawings_are_those_that_are_drawn(name: str) -> None:
    drawn = SHEETS[name]().svg()
    assert (DEPLOY / name).read_text(encoding="utf-8") == drawn
    ET.fromstring(drawn)
    assert f"]({name})" in PAGE


def test_every_part_that_is_drawn_is_in_the_bill_of_materials() -> None:
    drawn = " ".join(sheet().svg() for sheet in SHEETS.values())
    parts = set(re.findall(r"\b(?:U|Q|D|K|RV|SW|TH|TS|HR|F|J)\d+\b", drawn))
    bill = PAGE[PAGE.index("## Bill of materials") :]
    assert len(parts) > 30
    assert {part for part in parts if not re.search(rf"\b{part}\b", bill)} == set()
