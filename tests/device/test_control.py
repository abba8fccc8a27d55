"""Control: hands and feet reach ``audio``, and the relay is held only while it plays."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device.boards.board import MidiEvent
from device.engine_kinds import Ceiling
from device.knob.learn import FILE, read_learnt
from device.processes.control import AUDIO_STOPPED_S, LOADING_STOPPED_S, SLOT_S
from device.pump import HOLD_MAX_S, Monostable
from device.unit_config import FileChange
from tests.device.control_support import TURN_S, Rig

LONGEST = Monostable(hold_s=HOLD_MAX_S)
"""The circuit that lets go last."""


def held(rig: Rig, name: str = "relay") -> bool:
    """Whether the contact is made now."""
    return LONGEST.energised_at(rig.hand.rising(name), rig.hand.now_s)


def state(rig: Rig) -> str:
    """What the states decided last."""
    return rig.loop.power.decision.state


def dropped_after_s(rig: Rig, since_s: float) -> float:
    """When the contact let go for good, after ``since_s``."""
    return LONGEST.energised(rig.hand.rising("relay"))[-1].end_s - since_s


Make = Callable[..., Rig]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes rigs in the test's folder, and ends them."""
    made: list[Rig] = []

    def one(**how: Any) -> Rig:
        for rig in made:
            rig.close()  # a folder is one pedal's
        made.append(Rig(tmp_path, **how))
        return made[-1]

    yield one
    made[-1].close()


@pytest.fixture
def rig(make: Make) -> Rig:
    """A pedal that has played for a second."""
    rig = make()
    rig.live(1.0)
    return rig


def test_the_relay_is_held_by_a_hundred_edges_a_second_while_audio_plays(rig: Rig) -> None:
    assert state(rig) == "play" and held(rig)
    before = len(rig.hand.lines["relay"].levels)
    rig.live(1.0)
    levels = rig.hand.lines["relay"].levels
    assert len(levels) - before == pytest.approx(100, abs=1)
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(levels)]
    assert max(gaps) < 0.0125
    assert not rig.hand.lines["heater"].levels  # it is warm


@pytest.mark.parametrize("how", ["freezes", "dies"])
def test_audio_that_stops_lets_the_guitar_through_within_150_ms_and_is_found_again(
    rig: Rig, how: str
) -> None:
    stopped_s = rig.hand.now_s
    if how == "freezes":
        rig.audio.beats = False
    else:
        rig.audio.die()
    rig.live(0.5)
    last_edge_s = rig.hand.lines["relay"].levels[-1][0]
    assert last_edge_s - stopped_s <= AUDIO_STOPPED_S + 2 * TURN_S
    assert 0.0 < dropped_after_s(rig, stopped_s) <= 0.150
    assert not held(rig)
    cause = rig.loop.power.decision.cause
    assert state(rig) == "fault"
    assert ("audio frozen" in cause) == (how == "freezes")
    rig.audio.beats = True
    if how == "dies":
        rig.audio.live_again()
    rig.live(1.0)
    assert held(rig)
    assert rig.audio.heard.position == pytest.approx(0.5, abs=0.02)


def test_a_control_loop_that_stops_lets_go_within_150_ms(rig: Rig) -> None:
    assert dropped_after_s(rig, rig.hand.now_s) <= 0.150


def test_while_there_is_no_interface_the_guitar_bypasses_the_pedal(rig: Rig) -> None:
    rig.audio.beat.absent = True
    rig.live(0.5)
    assert state(rig) == "ready" and not held(rig)
    rig.audio.beat.absent = False
    rig.live(1.0)
    assert held(rig)


def test_while_presets_load_the_guitar_bypasses_the_pedal_and_gaps_are_no_fault(
    rig: Rig,
) -> None:
    rig.audio.beat.loading = True
    rig.live(0.5)
    assert state(rig) == "ready" and not held(rig)
    rig.audio.beats = False
    rig.live(LOADING_STOPPED_S - 0.1)
    assert state(rig) == "ready"
    rig.live(0.3)
    assert state(rig) == "fault"
    rig.audio.beats, rig.audio.beat.loading = True, False
    rig.live(1.0)
    assert held(rig)


def test_what_breaks_is_reported_within_a_fifth_of_a_second(rig: Rig) -> None:
    rig.hand.broken = {"knob"}
    rig.live(0.2)
    report = json.loads(rig.report.read_text())
    assert report["warnings"] == ["knob dead"] and "knob does not answer" in report["problems"][0]


def test_a_turn_of_the_knob_is_published_at_the_turn_that_knows_it(rig: Rig) -> None:
    rig.hand.raw = 1.0
    start_s = rig.hand.now_s
    while rig.audio.heard.position < 0.99:
        assert rig.loop.turn()
        assert rig.audio.link is not None
        rig.audio.link.receive(rig.audio.heard)
        assert rig.hand.now_s - start_s <= 0.010
    assert rig.audio.heard.knob_faults == 0


def press(rig: Rig, for_s: float, then_s: float) -> None:
    rig.hand.down = True
    rig.live(for_s)
    rig.hand.down = False
    rig.live(then_s)


def test_the_footswitch_bypasses_steps_and_mutes(rig: Rig) -> None:
    heard = rig.audio.heard
    rig.hand.down = True
    rig.live(0.02)
    assert heard.bypass
    press(rig, 0.05, 0.6)
    assert heard.bypass and held(rig)  # the relay is not for bypass by foot
    press(rig, 0.05, 0.6)
    assert not heard.bypass
    for expected in (1, 2, 0):
        press(rig, 0.05, 0.1)
        press(rig, 0.05, 0.6)
        assert (heard.preset, heard.bypass, heard.mute) == (expected, False, False)
    press(rig, 1.0, 0.3)
    assert heard.mute and not heard.bypass
    press(rig, 0.05, 0.6)
    assert not heard.mute


def test_midi_selects_a_preset_of_the_bank_and_moves_the_position(rig: Rig) -> None:
    rig.hand.events = [MidiEvent("program", 0, 2, 0)]
    rig.live(0.05)
    assert rig.audio.heard.preset == 2
    rig.hand.events = [MidiEvent("program", 0, 3, 0)]  # the bank holds three
    rig.live(0.05)
    assert rig.audio.heard.preset == 2
    for value in (0, 127):
        rig.hand.events = [MidiEvent("cc", 0, 11, value)]
        rig.live(0.5)
    assert rig.audio.heard.position == 1.0


@pytest.mark.parametrize(
    ("celsius", "ceiling"),
    [
        (25.0, Ceiling.STUDIO),
        (-15.0, Ceiling.STAGE),
        (90.0, Ceiling.STAGE),
        (94.0, Ceiling.CROSSFADE),
    ],
)
def test_the_temperature_limits_the_engine_and_the_music_goes_on(
    rig: Rig, celsius: float, ceiling: Ceiling
) -> None:
    rig.hand.celsius = celsius
    rig.live(3.0)
    assert rig.audio.heard.ceiling == ceiling and held(rig)
    rig.hand.celsius = 25.0
    rig.live(3.0)
    assert rig.audio.heard.ceiling == Ceiling.STUDIO


def test_too_cold_holds_and_heats_and_lost_sensors_do_not(make: Make) -> None:
    rig = make()
    rig.hand.celsius = -40.0
    rig.live(1.0)
    assert state(rig) == "hold"
    assert held(rig, "heater") and not rig.hand.rising("relay")
    blind = make()
    blind.hand.celsius = None
    blind.live(1.0)
    assert held(blind) and not blind.hand.rising("heater")
    assert "no temperatures" in blind.loop.power.decision.warnings


def test_without_its_pin_the_relay_stays_down_and_comes_when_the_pin_does(make: Make) -> None:
    rig = make()
    rig.hand.broken = {"pin of relay", "pin of heater"}
    rig.live(1.0)
    decision = rig.loop.power.decision
    assert decision.state == "fault" and "wrong pin: relay: header pin 99" in decision.cause
    assert "heater missing" in decision.warnings
    assert rig.audio.heard.position == pytest.approx(0.5, abs=0.02)  # the pedal lives
    assert sum("header pin 99" in line for line in rig.loop.problems()) == 2
    rig.hand.broken.clear()
    rig.live(12.0)
    assert held(rig) and rig.loop.problems() == []


@pytest.mark.parametrize("name", ["knob", "midi", "footswitch"])
def test_what_fails_while_playing_is_named_and_the_music_goes_on(rig: Rig, name: str) -> None:
    rig.hand.raw = 0.5
    rig.hand.broken = {name}
    rig.live(1.0)
    assert held(rig) and rig.audio.heard.position == pytest.approx(0.5, abs=0.02)
    assert any(name in warning for warning in rig.loop.power.decision.warnings)
    assert any(f"{name} does not answer" in line for line in rig.loop.problems())
    rig.hand.broken.clear()
    rig.live(12.0)
    assert not rig.loop.power.decision.warnings and not rig.loop.problems()


def test_a_line_that_fails_lets_go_and_is_opened_again(rig: Rig) -> None:
    first = rig.hand.lines["relay"]
    rig.hand.broken = {"relay"}
    rig.live(0.3)
    assert first.closed and state(rig) == "fault"
    rig.hand.broken.clear()
    rig.live(2.0)
    assert rig.hand.lines["relay"] is not first and held(rig)


def test_presets_and_bypass_survive_control_and_audio(rig: Rig, make: Make, tmp_path: Path) -> None:
    press(rig, 0.05, 0.1)
    press(rig, 0.05, 0.6)
    press(rig, 0.05, 0.6)
    heard = rig.audio.heard
    assert (heard.preset, heard.bypass) == (1, True)
    rig.audio.die()
    rig.live(0.1)
    rig.audio.live_again()
    rig.live(0.2)
    assert (rig.audio.heard.preset, rig.audio.heard.bypass) == (1, True)
    rig.watch.finish(rig.loop)
    report = json.loads((tmp_path / "control.json").read_text())
    again = make(preset=report["preset"], bypass=report["bypass"])
    again.live(0.1)
    assert (again.audio.heard.preset, again.audio.heard.bypass) == (1, True)


def test_a_pedal_toml_that_cannot_be_used_is_bypass_until_it_has_changed(
    make: Make, tmp_path: Path
) -> None:
    file = tmp_path / "pedal.toml"
    file.write_text("[audio")
    rig = make(problem="pedal.toml: is not valid TOML", file=FileChange(file))
    rig.live(2.0)
    assert not rig.hand.rising("relay") and state(rig) == "fault"
    report = json.loads(rig.report.read_text())
    assert "pedal.toml: is not valid TOML" in report["problems"]
    file.write_text("[audio]")
    with pytest.raises(SystemExit) as raised:
        rig.live(2.0)
    assert raised.value.code == 0


def test_learning_by_a_command_keeps_the_ends(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "learn").touch()
    rig.live(0.3)
    assert json.loads(rig.report.read_text())["learning"] is True
    for step in range(61):
        rig.hand.raw = 0.2 + 0.01 * step
        rig.live(0.01)
    rig.live(0.2)
    assert json.loads(rig.report.read_text())["moved"] == ["knob"]
    (tmp_path / "learn").unlink()
    rig.live(0.3)
    rig.loop.close()
    learnt = read_learnt(tmp_path)
    assert (tmp_path / FILE).exists()
    assert (learnt.knob.low, learnt.knob.high) == pytest.approx((0.2, 0.8), abs=0.02)
    assert json.loads(rig.report.read_text())["learning"] is False


def test_a_request_to_learn_that_was_forgotten_ends_by_itself(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.processes.control_watch.LONGEST_LEARNING_S", 1.0)
    (tmp_path / "learn").touch()
    rig.live(0.5)
    assert rig.loop.hands.learning
    rig.live(1.0)
    assert not rig.loop.hands.learning


def test_leds_tell_playing_from_bypass_from_a_fault(rig: Rig) -> None:
    status, fault = rig.hand.lines["status"].levels, rig.hand.lines["fault"].levels
    assert status[-1][1] and not fault[-1][1]
    press(rig, 0.05, 4.0)
    assert any(not on for time_s, on in status if time_s > 2.0)
    rig.audio.die()
    rig.live(1.0)
    assert fault[-1][1] and not status[-1][1]


def test_audio_is_told_by_a_number_that_the_models_slot_is_another(tmp_path: Path) -> None:
    link = tmp_path / "active"
    rig = Rig(tmp_path, slot=link)
    try:
        rig.live(1.0)
        first = rig.audio.heard.bank
        assert first > 0, "whoever was here before had another number"
        for name in ("a", "b", "b"):
            new = tmp_path / "new"
            new.symlink_to(name)
            new.replace(link)
            rig.live(SLOT_S + 0.02)
            assert rig.audio.heard.bank == first + 1
            first += 1
        rig.live(2.0)
        assert rig.audio.heard.bank == first
    finally:
        rig.close()
