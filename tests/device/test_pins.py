"""The Jetson's pin factory: the same checks on gpiozero's mock, a fake of libgpiod and gpio-sim."""

import errno
import os
import threading
import time
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import gpiozero
import pytest
from gpiod.line import Direction
from gpiozero import exc
from gpiozero.pins.mock import MockFactory

from device.boards import pins
from device.boards.pin_chip import PinChipDenied, PinChipMissing
from device.boards.pins import JetsonFactory, PinUnknownModule
from tests.device.pins_checks import (
    AGX,
    COMMON,
    JETSON,
    PATIENCE_S,
    Check,
    Edges,
    Skip,
    listening,
)
from tests.device.pins_fake import FakeGpios, FakeWires
from tests.device.pins_on_gpio_sim import Absent, SimulatedChips, SimWires


class MockWires:
    """``Wires`` of gpiozero's own mock, as far as it goes."""

    def __init__(self) -> None:
        self.factory = MockFactory()

    def drive(self, name: str, level: bool) -> None:
        pin = self.factory.pin(name)
        if level:
            pin.drive_high()
        else:
            pin.drive_low()

    def level(self, name: str) -> bool:
        return bool(self.factory.pin(name).state)


@pytest.fixture
def gpios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGpios:
    return FakeGpios(tmp_path, monkeypatch)


@pytest.fixture
def wires(gpios: FakeGpios) -> Iterator[FakeWires]:
    wires = FakeWires(gpios)
    yield wires
    wires.factory.close()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedChips]:
    try:
        chips = SimulatedChips(tmp_path_factory.mktemp("gpio-sim"))
    except Absent as reason:
        pytest.skip(f"{reason}; the virtual pedal runs these")
    yield chips
    chips.close()


def carry_out(check: Check, wires: Any) -> None:
    try:
        check(wires)
    except Skip as reason:
        pytest.skip(str(reason))
    finally:
        wires.factory.close()


def name_of(check: Check) -> str:
    return check.__name__


@pytest.mark.parametrize("check", COMMON, ids=name_of)
def test_gpiozeros_mock(check: Check) -> None:
    carry_out(check, MockWires())


@pytest.mark.parametrize("check", COMMON + JETSON, ids=name_of)
def test_fake(check: Check, gpios: FakeGpios) -> None:
    carry_out(check, FakeWires(gpios))


@pytest.mark.parametrize("check", AGX, ids=name_of)
def test_fake_agx(check: Check, gpios: FakeGpios) -> None:
    carry_out(check, FakeWires(gpios, "agx"))


@pytest.mark.parametrize("check", COMMON + JETSON, ids=name_of)
def test_gpio_sim(check: Check, simulated: SimulatedChips) -> None:
    carry_out(check, SimWires(simulated, "orin-nano"))


@pytest.mark.parametrize("check", AGX, ids=name_of)
def test_gpio_sim_agx(check: Check, simulated: SimulatedChips) -> None:
    carry_out(check, SimWires(simulated, "agx"))


# ---- what only the fake can show -----------------------------------------------------------------


def test_an_output_that_drives_goes_on_driving(gpios: FakeGpios) -> None:
    wires = FakeWires(gpios)
    line = wires.line("GPIO6")
    line.direction, line.value = Direction.OUTPUT, True
    pin = wires.factory.pin("GPIO6")
    assert (pin.function, pin.state) == ("output", 1)
    with gpiozero.LED(6, initial_value=None, pin_factory=wires.factory) as led:
        assert led.is_lit
        assert wires.level("GPIO6")


def test_no_line_is_touched_before_its_pin_is_asked_for(wires: FakeWires) -> None:
    for _ in wires.factory.board_info.find_pin("GPIO6"):
        assert wires.consumer("GPIO6") is None


def test_a_missing_chip_is_named_with_those_that_are_there(
    gpios: FakeGpios, wires: FakeWires
) -> None:
    gpios.names = {"gpiochip0": "max77620"}
    text = "no GPIO chip is labelled tegra234-gpio: there are max77620"
    with pytest.raises(PinChipMissing, match=text):
        wires.factory.pin("GPIO6")


def test_a_chip_of_a_later_kernel_has_too_few_lines(gpios: FakeGpios, wires: FakeWires) -> None:
    del gpios.banks["tegra234-gpio"][100:]
    with pytest.raises(exc.PinUnsupported, match="has 100 lines, but line 106 is needed"):
        wires.factory.pin("GPIO6")


def test_a_chip_that_may_not_be_opened_is_told_from_one_that_is_missing(
    gpios: FakeGpios, wires: FakeWires
) -> None:
    gpios.denied.add("gpiochip10")
    with pytest.raises(PinChipDenied, match="gpiochip10 may not be opened; add the user to") as it:
        wires.factory.pin("GPIO6")
    assert it.value.errno == errno.EACCES
    gpios.denied.clear()
    assert wires.factory.pin("GPIO6").function == "input"


def test_a_line_that_the_kernel_keeps_for_itself(gpios: FakeGpios, wires: FakeWires) -> None:
    gpios.refusal = errno.EPERM
    with pytest.raises(exc.PinUnsupported, match=r"line 106 of tegra234-gpio is not for this"):
        wires.factory.pin("GPIO6")


def test_a_debounce_that_the_chip_cannot_do(wires: FakeWires) -> None:
    pin = wires.factory.pin("GPIO5")
    pin.input_with_pull("up")
    with pytest.raises(exc.PinInvalidBounce, match=r"a Jetson does up to 0.255 s"):
        pin.bounce = 0.3
    assert pin.bounce is None
    pin.bounce = 0.255


def test_chips_are_looked_through_by_number(gpios: FakeGpios, wires: FakeWires) -> None:
    wires.factory.pin("GPIO6")
    assert gpios.opened == ["gpiochip0", "gpiochip2", "gpiochip10"]
    wires.factory.pin("GPIO5")
    assert gpios.opened == ["gpiochip0", "gpiochip2", "gpiochip10"], "once is enough"


def test_an_edge_that_nobody_read_is_not_reported_to_the_next(wires: FakeWires) -> None:
    pin, first = listening(wires, "GPIO5")
    with pin._lock:  # the watching thread cannot read it
        wires.drive("GPIO5", True)
        pin.when_changed = None
    pin, second = listening(wires, "GPIO5")
    wires.drive("GPIO5", True)
    assert second.wait_for(1) == [1]
    wires.drive("GPIO5", False)
    assert second.wait_for(2) == [1, 0]
    assert first.states == []


def test_a_file_number_that_another_line_takes_over(wires: FakeWires) -> None:
    pin, first = listening(wires, "GPIO5")
    with pin._lock:
        wires.drive("GPIO5", True)
        time.sleep(0.02)  # the watching thread sees it and waits for the lock
        number = pin._request.fd
        pin.close()
        other, second = listening(wires, "GPIO6")
        assert other._request.fd == number
        wires.drive("GPIO6", True)
    assert second.wait_for(1) == [1]
    wires.drive("GPIO6", False)
    assert second.wait_for(2) == [1, 0]
    assert first.states == []


def test_a_callback_that_gives_a_waiting_lines_number_to_another(wires: FakeWires) -> None:
    blocked, go_on = threading.Event(), threading.Event()

    def block(ticks: float, state: int) -> None:
        blocked.set()
        go_on.wait(PATIENCE_S)

    def exchange(ticks: float, state: int) -> None:
        number = closing._request.fd
        closing.close()
        third, edges = listening(wires, "GPIO19")
        opened.append((third, edges, third._request.fd == number))
        exchanged.set()

    exchanged = threading.Event()
    opened: list[tuple[Any, Edges, bool]] = []
    blocking, _ = listening(wires, "GPIO13")
    blocking.when_changed = block
    exchanging, _ = listening(wires, "GPIO5")
    exchanging.when_changed = exchange
    closing, _ = listening(wires, "GPIO6")
    wires.drive("GPIO13", True)
    assert blocked.wait(PATIENCE_S)
    wires.drive("GPIO5", True)  # both are found at once when the thread goes on
    wires.drive("GPIO6", True)
    go_on.set()
    assert exchanged.wait(PATIENCE_S)
    ((_, edges, same_number),) = opened
    assert same_number
    wires.drive("GPIO19", True)
    assert edges.wait_for(1) == [1]


def test_a_chip_that_is_gone_is_watched_no_more(wires: FakeWires) -> None:
    listening(wires, "GPIO5")
    wires.unplug()
    deadline_s = time.monotonic() + PATIENCE_S
    while wires.factory._edges._watched and time.monotonic() < deadline_s:
        time.sleep(0.001)
    assert not wires.factory._edges._watched, "it would be polled without end"


def test_the_watching_thread_ends_with_the_factory(gpios: FakeGpios) -> None:
    wires = FakeWires(gpios)
    files = len(os.listdir("/proc/self/fd"))
    button = gpiozero.Button(5, pin_factory=wires.factory)
    thread = wires.factory._edges._thread
    assert thread is not None
    assert thread.is_alive()
    button.close()
    wires.factory.close()
    assert not thread.is_alive()
    assert len(os.listdir("/proc/self/fd")) == files


def test_gpiozero_finds_the_factory_by_its_name() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    ((name, value),) = project["entry-points"]["gpiozero_pin_factories"].items()
    found = metadata.EntryPoint(name, value, "gpiozero_pin_factories")
    assert (found.name, found.load()) == ("jetson", JetsonFactory)


# ---- which module --------------------------------------------------------------------------------


def test_an_unknown_module_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PinUnknownModule, match="must be one of orin-nano, orin-nx, agx"):
        JetsonFactory("orin")
    monkeypatch.setenv("PURGA_JETSON_MODULE", "pi")
    with pytest.raises(exc.PinUnknownPi, match="PURGA_JETSON_MODULE is 'pi'"):
        JetsonFactory()


def test_pins_that_are_gpios_on_a_pi_say_what_they_are_here(wires: FakeWires) -> None:
    with pytest.raises(exc.PinInvalidPin, match="2 is I2C1_SDA on a Jetson Orin Nano, not a GPIO"):
        wires.factory.pin(2)
    with pytest.raises(exc.PinInvalidPin, match="header pins 7, 11, 12"):
        wires.factory.pin("BOARD8")


# ---- SPI -----------------------------------------------------------------------------------------


class FakeSpiDev:
    """``spidev.SpiDev`` with an MCP3008 behind it that answers channel × 100 + 23."""

    def __init__(self) -> None:
        self.opened: tuple[int, int] | None = None
        self.bits_per_word = 8
        self.max_speed_hz = 0

    def open(self, port: int, device: int) -> None:
        self.opened = (port, device)

    def xfer2(self, data: list[int]) -> list[int]:
        # MCP3008 data sheet, figure 6-1: start bit, single-ended, three bits of channel; 10 bits.
        assert data[0] == 1 and data[1] & 0x80 and len(data) == 3
        raw = (data[1] >> 4 & 7) * 100 + 23
        return [0xFF, 0xF8 | raw >> 8, raw & 0xFF]

    def close(self) -> None:
        self.opened = None


@pytest.fixture
def spidev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = tmp_path / "dev"
    devices.mkdir()
    for name in ("spidev0.0", "spidev0.1"):
        (devices / name).touch()
    monkeypatch.setattr(pins, "DEVICES", devices)
    monkeypatch.setattr("gpiozero.pins.local.SpiDev", FakeSpiDev)


@pytest.mark.usefixtures("spidev")
def test_gpiozeros_mcp3008_reads_its_channels(wires: FakeWires) -> None:
    with (
        gpiozero.MCP3008(0, pin_factory=wires.factory) as knob,
        gpiozero.MCP3008(7, pin_factory=wires.factory) as reference,
    ):
        assert (knob.raw_value, reference.raw_value) == (23, 723)
        assert wires.consumer("GPIO11") is None, "SPI's pads belong to the SPI controller"
        with pytest.raises(exc.GPIOPinInUse):
            gpiozero.LED(10, pin_factory=wires.factory)
    with gpiozero.LED(10, pin_factory=wires.factory) as led:
        led.on()


@pytest.mark.usefixtures("spidev")
@pytest.mark.parametrize(
    ("how", "opened"),
    [
        ({}, (0, 0)),
        ({"port": 0, "device": 0}, (0, 0)),
        ({"device": 1}, (0, 1)),
        ({"select_pin": "BOARD26"}, (0, 1)),
    ],
)
def test_spi_by_port_or_by_pins(
    wires: FakeWires, how: dict[str, Any], opened: tuple[int, int]
) -> None:
    bus = wires.factory.spi(**how)
    assert bus._bus.opened == opened
    bus.close()


@pytest.mark.usefixtures("spidev")
@pytest.mark.parametrize(
    "how", [{"port": 1}, {"device": 2}, {"port": 0, "clock_pin": 11}, {"x": 1}]
)
def test_spi_that_is_none(wires: FakeWires, how: dict[str, Any]) -> None:
    with pytest.raises(exc.SPIBadArgs):
        wires.factory.spi(**how)


def test_spi_does_not_fall_back_to_software(
    wires: FakeWires, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "DEVICES", tmp_path / "none")
    with pytest.raises(exc.PinSPIUnsupported, match=r"No such file or directory.*jetson-io") as it:
        wires.factory.spi(port=0, device=0)
    # And nothing is left reserved, even while somebody looks at the error.
    assert it.value.__traceback__ is not None
    with gpiozero.LED(11, pin_factory=wires.factory) as led:
        led.on()


def test_spi_on_other_pins_is_clocked_by_software(
    wires: FakeWires, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"clock_pin": 5, "mosi_pin": 6, "miso_pin": 13, "select_pin": 19}
    with pytest.raises(exc.PinSPIUnsupported, match="GPIOZERO_PIN_FACTORY=jetson"):
        wires.factory.spi(**other)
    monkeypatch.setattr(gpiozero.Device, "pin_factory", wires.factory)
    wires.drive("GPIO13", True)
    with wires.factory.spi(**other) as bus:
        wires.drive("GPIO13", True)  # MISO, which the bus pulls down when it opens
        assert bus.transfer([0x00]) == [0xFF]
    assert wires.consumer("GPIO5") is None
