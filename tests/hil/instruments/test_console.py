"""The serial console: logging in, commands with their marks, boots in between."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hil.errors import InstrumentError
from hil.instruments.serial_console import SerialConsole
from tests.hil.instruments.terminal import Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with Terminal(tmp_path) as made:
        yield made


@pytest.fixture
def console(terminal: Terminal, opened) -> SerialConsole:
    return opened(SerialConsole("console", terminal.address, password="pedal"))


def test_logs_in_and_gives_what_a_command_printed(
    console: SerialConsole, terminal: Terminal
) -> None:
    assert console.ask("echo one; echo two", 8.0) == "one\ntwo"
    assert terminal.typed[:3] == ["", "root", "pedal"]
    assert console.run("echo wrong >&2; false", 8.0) == ("wrong", 1)
    assert terminal.typed.count("root") == 1


def test_finds_a_shell_that_is_there_already(console: SerialConsole, terminal: Terminal) -> None:
    console.lines()
    terminal.log_in()
    assert console.ask("echo here", 8.0) == "here"
    assert "root" not in terminal.typed


def test_a_prompt_that_is_already_there_is_taken(
    console: SerialConsole, terminal: Terminal
) -> None:
    console.lines()
    time.sleep(0.05)
    terminal.boot()
    assert console.ask("echo up", 8.0) == "up"
    assert terminal.typed[0] == "root"


def test_wrong_password(terminal: Terminal, opened) -> None:
    console = opened(SerialConsole("console", terminal.address, password="guitar"))
    with pytest.raises(InstrumentError, match=r"does not let root in; check user and password"):
        console.ask("true", 8.0)


def test_after_a_power_cut_it_logs_in_again(console: SerialConsole, terminal: Terminal) -> None:
    assert console.ask("echo before", 8.0) == "before"
    terminal.switch_off()
    with pytest.raises(InstrumentError, match="the pedal is off or boots"):
        console.ask("echo lost", 0.3)
    terminal.boot()
    assert console.ask("echo after", 8.0) == "after"


def test_nothing_is_typed_into_a_boot_loader(console: SerialConsole, terminal: Terminal) -> None:
    console.ask("true", 8.0)
    terminal.switch_off()
    with pytest.raises(InstrumentError):
        console.ask("true", 0.2)
    typed = len(terminal.typed)
    for count in range(5, 0, -1):
        terminal.say(f"Hit any key to stop autoboot: {count}\n")
        with pytest.raises(InstrumentError):
            console.ask("reboot", 0.15)
    assert terminal.typed[typed:] == []


def test_lines_of_others_are_kept_apart(console: SerialConsole, terminal: Terminal) -> None:
    console.ask("true", 8.0)
    console.lines()
    terminal.say("[  12.3] usb 1-2: new device\n")
    time.sleep(0.05)
    assert console.ask("echo mine", 8.0) == "mine"
    assert "[  12.3] usb 1-2: new device" in console.lines()
    assert console.lines() == []


def test_kernel_lines_before_the_end_mark_do_not_hide_it(
    console: SerialConsole, terminal: Terminal
) -> None:
    console.ask("true", 8.0)
    threading.Timer(0.1, terminal.say, ["[  1.0] half a line without an end "]).start()
    assert console.ask("sleep 0.3; printf no-newline", 8.0).endswith("no-newline")


def test_a_command_that_takes_too_long(console: SerialConsole, terminal: Terminal) -> None:
    console.ask("true", 8.0)
    with pytest.raises(InstrumentError, match=r"'sleep 9' within 0.2 s"):
        console.ask("sleep 9", 0.2)


def test_no_adapter(tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match="the line is gone"):
        SerialConsole("console", str(tmp_path / "ttyUSB0"))


@given(text=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60))
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_text_comes_back(text: str, console: SerialConsole) -> None:
    quoted = "'" + text.replace("'", "'\\''") + "'"
    assert console.ask(f"printf %s {quoted}", 8.0) == text
