"""The pedal in its shell: a real bash, with programs in place of the pedal's."""

import json
import os
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.preset import read_preset
from hil.errors import BenchError, InstrumentError
from hil.instruments.console_unit import ConsoleUnit, Places
from hil.instruments.knob import MidiKnob, VoltageKnob
from hil.instruments.pedal_files import ENGINES, bench_config, preset, to_toml
from hil.instruments.serial_console import SerialConsole
from tests.hil.instruments.terminal import Terminal

OWN = """board = "jetson"

[audio]
card = "hw:CARD=Pedal"
period_frames = 64 # as built
periods = 3
"""
STATUS = {
    "periods": 12,
    "xruns": 1,
    "rate_hz": 48000,
    "period_frames": 64,
    "latency_frames": 0,
    "loading": 0,
    "preset": 1,
    "bank": {"presets": [{"name": "bench crossfade"}, {"name": "bench stage"}]},
    "control": {
        "running": True,
        "relay": True,
        "heater": False,
        "state": "play",
        "position": 0.25,
        "knob": {"condition": "good", "faults": 0},
        "temperatures": {"coldest_c": -31.0},
    },
}


class Shell:
    """Bash on this machine, with ``tools`` first on its path."""

    def __init__(self, tools: Path) -> None:
        self.tools = tools
        self.dead = False

    def run(self, line: str, timeout_s: float = 10.0) -> tuple[str, int]:
        if self.dead:
            raise InstrumentError("the pedal is off")
        done = subprocess.run(
            ["bash", "-c", f"{{ {line}\n}} 2>&1"],
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": f"{self.tools}:{os.environ['PATH']}", "LC_ALL": "C"},
        )
        return done.stdout.strip("\n"), done.returncode


def tool(folder: Path, name: str, body: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


@pytest.fixture
def pedal(tmp_path: Path) -> Path:
    """A folder with what a pedal has: firmware, configuration, systemctl."""
    log = tmp_path / "systemctl.log"
    tool(
        tmp_path / "bin",
        "systemctl",
        f'echo "$@" >> {log}\n'
        'case "$*" in *NRestarts*) echo 0; echo; echo 2; echo; echo 0;; *ConditionResult*) '
        "echo yes;; esac",
    )
    for folder in ("etc", "run", "lib", "firmware/device", "firmware/models", "firmware/deploy"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/pedal.toml").write_text(OWN)
    (tmp_path / "firmware/device/a.py").write_text("one = 1\n")
    says(tmp_path, f"echo '{json.dumps(STATUS)}'")
    return tmp_path


def says(pedal: Path, body: str) -> None:
    tool(pedal / "firmware/.venv/bin", "python", body)


def log(pedal: Path) -> list[str]:
    return (pedal / "systemctl.log").read_text().splitlines()


def places(pedal: Path) -> Places:
    return Places(
        firmware=str(pedal / "firmware"),
        runtime=str(pedal / "run"),
        config=str(pedal / "etc/pedal.toml"),
        fill=str(pedal / "lib"),
    )


@pytest.fixture
def unit(pedal: Path) -> ConsoleUnit:
    return ConsoleUnit(Shell(pedal / "bin"), places=places(pedal))


def test_status_has_the_names_that_suites_ask_for(unit: ConsoleUnit) -> None:
    status = unit.status()
    assert (status["periods"], status["engine_asked"], status["position"]) == (12, "stage", 0.25)
    control = status["control"]
    assert (control["knob"], control["restarts"], control["relay"]) == ("good", 2, True)


@pytest.mark.parametrize("body", ["exit 1", "true", "echo no json", "echo 5", 'echo "[1]"'])
def test_status_is_empty_while_the_pedal_says_nothing(
    unit: ConsoleUnit, pedal: Path, body: str
) -> None:
    says(pedal, body)
    assert unit.status() == {}


def test_status_is_empty_while_it_is_off(pedal: Path) -> None:
    shell = Shell(pedal / "bin")
    shell.dead = True
    assert ConsoleUnit(shell, places=places(pedal)).status() == {}


def test_last_words_of_a_dead_control_hold_no_relay(unit: ConsoleUnit, pedal: Path) -> None:
    dead: dict[str, Any] = {**STATUS, "control": {**STATUS["control"], "running": False}}  # type: ignore[dict-item]
    says(pedal, f"echo '{json.dumps(dead)}'")
    assert unit.status()["control"]["relay"] is False


def test_software_is_a_hash_of_what_is_installed(unit: ConsoleUnit, pedal: Path) -> None:
    assert unit.identify() and len(unit.software) == 64 and unit.serial
    before = unit.software
    (pedal / "firmware/device/a.py").write_text("one = 2\n")
    assert unit.identify() and unit.software != before
    shell = Shell(pedal / "bin")
    shell.dead = True
    assert not ConsoleUnit(shell, places=places(pedal), serial="P7").identify()


def test_choosing_installs_the_benchs_presets_and_starts_anew(
    unit: ConsoleUnit, pedal: Path
) -> None:
    (pedal / "run/control.json").write_text("{}")
    unit.choose("crossfade")
    unit.configure(32, 2)
    table = tomllib.loads((pedal / "etc/pedal.toml").read_text())
    assert table["audio"] == {"card": "hw:CARD=Pedal", "period_frames": 32, "periods": 2}
    assert table["bank"]["start"] == 0
    for name in table["bank"]["presets"]:
        assert (pedal / "etc" / name).is_file()
    assert log(pedal) == ["stop purga.target", "start purga.target"] * 2
    assert not (pedal / "run/control.json").exists()
    unit.close()
    assert (pedal / "etc/pedal.toml").read_text() == OWN


def test_a_run_that_was_broken_off_does_not_lose_the_pedals_own_file(
    unit: ConsoleUnit, pedal: Path
) -> None:
    unit.configure(128, 4)
    again = ConsoleUnit(Shell(pedal / "bin"), places=places(pedal))
    again.choose("stage")
    table = tomllib.loads((pedal / "etc/pedal.toml").read_text())
    assert (table["audio"]["period_frames"], table["bank"]["start"]) == (64, 1)
    again.close()
    assert (pedal / "etc/pedal.toml").read_text() == OWN


def test_kill(unit: ConsoleUnit, pedal: Path) -> None:
    unit.kill("audio")
    assert log(pedal) == ["kill -s SIGKILL purga-audio.service"]
    with pytest.raises(BenchError, match="'display' is no process"):
        unit.kill("display")


def test_load_comes_and_goes(unit: ConsoleUnit, pedal: Path) -> None:
    tool(pedal / "bin", "nproc", "echo 1")
    assert unit.inject("load", True)
    (pid,) = (int(each) for each in (pedal / "run/bench-load").read_text().split())
    assert Path(f"/proc/{pid}").exists()
    assert unit.inject("load", False)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_disk_full(unit: ConsoleUnit, pedal: Path) -> None:
    tool(pedal / "bin", "df", "echo Avail; echo 4096")
    assert unit.inject("disk full", True)
    assert (pedal / "lib/bench-fill").stat().st_size == 4096
    assert unit.inject("disk full", False)
    assert not (pedal / "lib/bench-fill").exists()


def test_clock_jump_there_and_back(unit: ConsoleUnit, pedal: Path) -> None:
    asked = pedal / "date.log"
    tool(pedal / "bin", "date", f'if [ "$1" = -s ]; then echo "$2" >> {asked}; else echo 1000; fi')
    assert unit.inject("clock jump", True) and unit.inject("clock jump", False)
    there, back = (int(line.removeprefix("@")) for line in asked.read_text().splitlines())
    assert there - 1000 == 1000 - back == 3 * 365 * 86400


def test_update_only_where_the_unit_may_run(unit: ConsoleUnit, pedal: Path) -> None:
    assert unit.inject("update", True) and unit.inject("update", False)
    tool(pedal / "bin", "systemctl", "echo no")
    assert not unit.inject("update", True)


def test_what_a_console_cannot_do_is_not_faked(unit: ConsoleUnit) -> None:
    assert not unit.inject("heater stuck", True)
    with pytest.raises(BenchError, match="is no injection"):
        unit.inject("rain")
    with pytest.raises(InstrumentError, match="nothing that turns the knob"):
        unit.turn(0.5)
    with pytest.raises(InstrumentError, match="is not on USB"):
        unit.unplug(1.0)


def test_a_command_that_fails_is_said(unit: ConsoleUnit, pedal: Path) -> None:
    tool(pedal / "bin", "systemctl", "echo no such unit; exit 5")
    with pytest.raises(InstrumentError, match=r"exit code 5.*no such unit"):
        unit.kill("audio")


def test_over_a_real_terminal(pedal: Path, opened) -> None:
    with Terminal(pedal / "bin") as terminal:
        console = opened(SerialConsole("console", terminal.address, password="pedal"))
        console.ask("true", 8.0)
        unit = ConsoleUnit(console, places=places(pedal))
        (pedal / "etc/pedal.toml").write_text(OWN + "# " + "a comment " * 800 + "\n")
        unit.choose("studio")
        assert unit.status()["engine_asked"] == "stage"
        table = tomllib.loads((pedal / "etc/pedal.toml").read_text())
        assert table["bank"]["start"] == 2


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_presets_are_presets(engine: str, tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(preset(engine))
    assert read_preset(file).name == f"bench {engine}"


SCALARS = (
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
TABLES = st.recursive(
    st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=3), max_size=4),
    lambda inner: st.dictionaries(KEYS, SCALARS | inner | st.lists(inner, max_size=2), max_size=4),
    max_leaves=8,
)


@given(TABLES)
def test_any_table_comes_back(table: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(table)) == table


@given(TABLES, st.sampled_from(ENGINES))
def test_any_pedal_toml_keeps_the_rest(table: dict[str, Any], engine: str) -> None:
    made = tomllib.loads(bench_config(to_toml(table), "/etc/purga", engine))
    rest = {key: value for key, value in table.items() if key != "bank"}
    assert {key: value for key, value in made.items() if key != "bank"} == rest


# -- the knob -------------------------------------------------------------------------------------


def test_midi_knob(tmp_path: Path) -> None:
    fifo = tmp_path / "midi"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    knob = MidiKnob(fifo, controller=11, channel=2)
    for position in (0.0, 0.5, 1.0, 7.0):
        knob.turn(position)
    assert os.read(reader, 100) == bytes.fromhex("b10b00 b10b40 b10b7f b10b7f")
    knob.turn(0.25, after_s=0.05)
    time.sleep(0.3)
    assert os.read(reader, 100) == bytes.fromhex("b10b20")
    os.close(reader)
    knob.turn(0.1, after_s=0.01)
    time.sleep(0.2)
    with pytest.raises(InstrumentError, match="does not take MIDI"):
        knob.turn(0.2)
    knob.close()


def test_midi_knob_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match="plug the MIDI interface in"):
        MidiKnob(tmp_path / "midiC9D0")


def test_voltage_knob() -> None:
    class Output:
        model = "supply"
        volts = -1.0
        on = False

        def set(self, volts: float, limit_a: float) -> None:
            self.volts = volts

        def switch(self, on: bool) -> None:
            self.on = on

        def read(self):
            raise NotImplementedError

        def close(self) -> None:
            pass

    output = Output()
    knob = VoltageKnob(output, full_v=3.3)
    assert not output.on
    knob.turn(0.5)
    assert output.on and output.volts == pytest.approx(1.65)
    with pytest.raises(InstrumentError, match="cannot turn it at a moment"):
        knob.turn(0.5, after_s=1.0)
    knob.close()
    assert not output.on
