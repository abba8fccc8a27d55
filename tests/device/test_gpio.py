"""Switches and outputs for the control loop: what they do, and one sentence for what is wrong."""

import builtins
import errno
import re
from pathlib import Path
from typing import Any

import pytest

from device.boards import gpio
from device.boards.board import Output, Switch
from device.boards.gpio import open_input, open_output
from device.errors import ConfigError
from tests.device.pins_fake import FakeGpios, FakeWires


@pytest.fixture
def gpios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGpios:
    return FakeGpios(tmp_path, monkeypatch)


@pytest.fixture
def wires(gpios: FakeGpios) -> FakeWires:
    return FakeWires(gpios)


def test_a_switch_to_ground_is_pressed_when_low(wires: FakeWires) -> None:
    switch: Switch = open_input(29, factory=wires.factory)
    assert not switch.pressed(), "pulled up"
    wires.drive("GPIO5", False)
    assert switch.pressed()
    wires.drive("GPIO5", True)
    assert not switch.pressed()


def test_a_switch_to_3_volts_is_pressed_when_high(wires: FakeWires) -> None:
    switch = open_input("GPIO5", pull_up=False, factory=wires.factory)
    assert not switch.pressed(), "pulled down"
    wires.drive("GPIO5", True)
    assert switch.pressed()


def test_a_switch_starts_no_thread(wires: FakeWires) -> None:
    open_input(29, factory=wires.factory)
    assert wires.factory._edges._thread is None


def test_an_output_begins_low_and_follows(wires: FakeWires) -> None:
    output: Output = open_output(31, factory=wires.factory)
    assert not wires.level("GPIO6")
    for on in (True, False, True):
        output.set(on)
        assert wires.level("GPIO6") is on


def test_an_integer_is_a_header_pin_and_a_string_any_name(wires: FakeWires) -> None:
    for pin, name in ((33, "GPIO13"), ("GPIO19", "GPIO19"), ("J8:37", "GPIO26"), ("26", "GPIO26")):
        with_pin = open_output(pin, factory=wires.factory)
        with_pin.set(True)
        assert wires.level(name)
        with_pin.close()


def test_closing_lets_the_line_go_and_it_can_be_opened_again(wires: FakeWires) -> None:
    for _ in range(2):
        output = open_output(31, factory=wires.factory)
        assert wires.consumer("GPIO6") == "purga"
        output.close()
        output.close()
        assert wires.consumer("GPIO6") is None


def test_one_process_opens_pins_one_after_the_other(
    gpios: FakeGpios, wires: FakeWires, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on the pedal, where nobody passes a factory.
    from device.boards import pin_chip, pins

    monkeypatch.setattr(gpio, "_factories", {})
    monkeypatch.setattr(pins, "Chips", lambda: pin_chip.Chips(gpios.folder))
    monkeypatch.setenv("PURGA_JETSON_MODULE", "orin-nano")
    footswitch, relay = open_input(29), open_output(31)
    with pytest.raises(ConfigError, match=r"^header pin 29 cannot be opened: pin GPIO5 is already"):
        open_output(29)
    relay.set(True)
    assert wires.level("GPIO6")
    assert not footswitch.pressed()
    assert len(gpio._factories) == 1
    # AGX has pin 31 on another chip, so another module is another factory.
    other = open_output(31, module="agx")
    other.set(True)
    assert FakeWires(gpios, "agx").level("GPIO6")


# ---- what is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pin", "text"),
    [
        (30, "header pin 30 cannot be opened: BOARD30 is GND on a Jetson Orin Nano, not a GPIO"),
        (41, "header pin 41 cannot be opened: BOARD41 is not a valid pin name"),
        (-1, "header pin -1 cannot be opened"),
        ("GPIO2", "pin GPIO2 cannot be opened: GPIO2 is I2C1_SDA on a Jetson Orin Nano"),
        ("footswitch", "pin footswitch cannot be opened: footswitch is not a valid pin name"),
    ],
)
def test_a_pin_that_is_none(wires: FakeWires, pin: int | str, text: str) -> None:
    for opening in (open_input, open_output):
        with pytest.raises(ConfigError, match=re.escape(text)):
            opening(pin, factory=wires.factory)


def test_a_line_that_is_held(wires: FakeWires) -> None:
    with (
        wires.hold("GPIO5"),
        pytest.raises(ConfigError, match=r"^header pin 29 .*line 105 of .* is held by 'somebody'"),
    ):
        open_input(29, factory=wires.factory)
    assert not open_input(29, factory=wires.factory).pressed(), "let go, it can be had"


def test_no_chip(gpios: FakeGpios, wires: FakeWires) -> None:
    gpios.unplug()
    with pytest.raises(ConfigError, match=r"labelled tegra234-gpio: there is none at all$"):
        open_output(31, factory=wires.factory)
    gpios.plug()
    open_output(31, factory=wires.factory).set(True)


def test_no_permission(gpios: FakeGpios, wires: FakeWires) -> None:
    gpios.denied.add("gpiochip10")
    with pytest.raises(ConfigError, match="gpiochip10 may not be opened; add the user to the"):
        open_output(31, factory=wires.factory)


def test_any_other_refusal(gpios: FakeGpios, wires: FakeWires) -> None:
    gpios.refusal = errno.EIO
    with pytest.raises(ConfigError, match=r"^header pin 31 cannot be opened: Input/output error$"):
        open_output(31, factory=wires.factory)


def test_no_jetson_and_a_module_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpio, "_factories", {})
    with pytest.raises(ConfigError, match="the module is 'nano', but must be one of orin-nano"):
        open_output(31, module="nano")
    assert not gpio._factories, "a failure is not kept"


@pytest.mark.parametrize("absent", ["gpiozero", "gpiod"])
def test_no_library(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        # device.boards.pins is what imports gpiod; here it is long imported.
        if name == absent or (absent == "gpiod" and name == "device.boards.pins"):
            raise ImportError(f"No module named {absent!r}", name=absent)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(gpio, "_factories", {})
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=f"No module named '{absent}'.; install requirements/bo"):
        open_output(31, module="orin-nano")


def test_a_chip_that_goes_while_playing_is_an_oserror(gpios: FakeGpios, wires: FakeWires) -> None:
    switch = open_input(29, factory=wires.factory)
    output = open_output(31, factory=wires.factory)
    gpios.unplug()
    with pytest.raises(OSError, match=r"header pin 29 cannot be read \(No such device\)") as it:
        switch.pressed()
    assert it.value.errno == errno.ENODEV
    with pytest.raises(OSError, match=r"header pin 31 cannot be set \(No such device\)"):
        output.set(True)
    switch.close()
    output.close()
    gpios.plug()
    assert not open_input(29, factory=wires.factory).pressed()
