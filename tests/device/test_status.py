"""``python -m device status``: whatever there is, is shown; what is missing is no error."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from device import status
from device.__main__ import main
from device.processes.bank_report import BankEntry, BankReport, write_bank
from device.processes.meters import Meters, read_meters
from tests.device.control_support import Rig


@pytest.fixture
def pedal(tmp_path: Path) -> Path:
    """The folder of a pedal that plays, warm, with a knob whose bus died."""
    meters = Meters(tmp_path / "meters")
    meters.store("rate_hz", 48000)
    meters.store("period_frames", 64)
    for busy_ns in (100, 200, 300, 1500):
        meters.load(busy_ns, 1000)
    rig = Rig(tmp_path)
    rig.live(1.0)
    rig.hand.broken = {"knob"}
    rig.live(2.0)
    rig.close()
    return tmp_path


def shown(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert main(["status", "--runtime", str(folder), *more]) == 0
    return capsys.readouterr().out


def test_states_temperatures_load_and_what_is_wrong_are_shown(
    pedal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(pedal, capsys)
    assert "state        play: " in text
    assert f"process {os.getpid()}" in text and "held; heater off, ceiling studio" in text
    assert "module 25.0…25.0 °C" in text
    assert "knob dead" in text and "knob does not answer" in text
    assert "p50 20.5 %, p99 150.5 %, p99.9 150.5 %, max 150.5 % of 1.333 ms" in text


def test_a_program_gets_the_same(pedal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = json.loads(shown(pedal, capsys, "--json"))
    assert figures["control"]["state"] == "play" and figures["control"]["running"] is True
    assert figures["control"]["temperatures"]["coldest_c"] == 25.0
    assert figures["control"]["knob"]["condition"] == "dead"
    assert (figures["load_max_percent"], figures["deadline_misses"]) == (150.5, 1)


def test_the_bank_is_shown_with_what_is_broken_in_it(
    pedal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    presets = (BankEntry("Clean", "a.toml", 0), BankEntry("", "b.toml", 0, "b.toml: is no TOML"))
    write_bank(pedal, BankReport(os.getpid(), presets))
    text = shown(pedal, capsys)
    assert "* 0 Clean" in text and "  1 broken, dry: b.toml: is no TOML" in text
    write_bank(pedal, BankReport(os.getpid(), (), "pedal.toml: is no TOML"))
    assert "nothing was loaded: pedal.toml: is no TOML" in shown(pedal, capsys)
    assert json.loads(shown(pedal, capsys, "--json"))["bank"]["presets"] == []


def test_each_half_alone_is_shown_and_nothing_at_all_is_an_error(
    pedal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pedal / "meters").unlink()
    assert "audio        has not played yet" in shown(pedal, capsys)
    (pedal / "control.json").unlink()
    assert main(["status", "--runtime", str(pedal)]) == 1
    assert "no pedal has written meters there" in capsys.readouterr().err
    Meters(pedal / "meters")
    assert "state " not in shown(pedal, capsys)


def test_a_control_process_that_died_holds_nothing(
    pedal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = json.loads((pedal / "control.json").read_text())
    report["pid"] = 2**22 + 1  # beyond the largest that Linux gives
    (pedal / "control.json").write_text(json.dumps(report))
    text = shown(pedal, capsys)
    assert "not running; these are its last words" in text
    assert "dropped: the guitar bypasses the pedal" in text


@pytest.mark.parametrize("content", [{}, {"temperatures": None, "knob": None, "problems": []}])
def test_a_report_of_another_version_is_shown_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: dict[str, Any]
) -> None:
    (tmp_path / "control.json").write_text(json.dumps({"format": 1, **content}))
    assert "control " in shown(tmp_path, capsys)


def test_watching_shows_the_load_of_the_last_second_until_ctrl_c(
    pedal: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt
        # Another period of 90 % was played; those before are no longer of interest.
        data = bytearray((pedal / "meters").read_bytes())
        reading = read_meters(pedal / "meters")
        at = 8 * (1 + len(reading.values) + 180)
        data[at : at + 8] = (int(reading.histogram[180]) + 1).to_bytes(8, "little")
        (pedal / "meters").write_bytes(data)

    monkeypatch.setattr("device.status.time.sleep", nap)
    text = shown(pedal, capsys, "--watch")
    assert text.count("max 150.5 %") == 1 and text.count("max 90.5 %") == 2
    assert naps == [status.WATCH_S] * 3
