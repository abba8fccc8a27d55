"""Converters on simulated buses: every code comes back, and a dead bus never looks like a knob."""

import errno
import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.boards import ads1115, mcp3008
from device.boards.adc import open_adc
from device.boards.ads1115 import Ads1115
from device.boards.mcp3008 import Mcp3008
from device.errors import ConfigError

POLL_S = 0.002


class Chip:
    """An MCP3008 clock by clock, as figure 5-1 of its datasheet has it."""

    def __init__(self, codes: dict[int, int] | None = None) -> None:
        self.codes = {number: 512 for number in range(8)} | (codes or {})
        self.select()

    def select(self) -> None:
        self.started = False
        self.command: list[int] = []
        self.answer: list[int] = []

    def clock(self, data: int) -> int:
        if not self.started:
            self.started = bool(data)
            return 1  # the line floats, pulled up
        if len(self.command) < 4:
            self.command.append(data)
            if len(self.command) == 4:
                assert self.command[0] == 1, "single-ended"
                code = self.codes[self.command[1] << 2 | self.command[2] << 1 | self.command[3]]
                self.answer = [1, 0, *(code >> bit & 1 for bit in range(9, -1, -1))]
            return 1
        return self.answer.pop(0) if self.answer else 0


class Bus:
    """A module like spidev, with a chip on 0.0; ``line`` overrides what the data line gives."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.line: int | None = None
        self.error: OSError | None = None
        self.transfers = self.opens = 0
        self.devices: list[Any] = []

    def SpiDev(self) -> Any:  # noqa: N802
        bus = self

        class Device:
            mode = bits_per_word = max_speed_hz = 0
            closed = False

            def open(self, number: int, select: int) -> None:
                assert (number, select) == (0, 0)
                bus.opens += 1
                if bus.error is not None:
                    raise bus.error
                bus.devices.append(self)

            def xfer2(self, frame: list[int]) -> list[int]:
                assert not self.closed
                assert self.mode == 0 and self.max_speed_hz <= 1_350_000
                bus.transfers += 1
                if bus.error is not None:
                    raise bus.error
                bus.chip.select()
                for n, byte in enumerate(frame):
                    bits = [bus.chip.clock(byte >> bit & 1) for bit in range(7, -1, -1)]
                    frame[n] = sum(bit << 7 - k for k, bit in enumerate(bits))
                    if bus.line is not None:
                        frame[n] = 0xFF * bus.line
                return frame

            def close(self) -> None:
                self.closed = True

        return Device()


def opened(codes: dict[int, int] | None = None) -> tuple[Bus, Mcp3008]:
    bus = Bus(Chip(codes))
    return bus, Mcp3008(0, 0, library=bus)


@given(st.integers(0, 6), st.integers(4, 1019))
def test_every_code_of_every_channel_comes_back(number: int, code: int) -> None:
    _, adc = opened({number: code})
    assert adc.channel(number).read(0.0) == code / 1023


@pytest.mark.parametrize("code", [0, 1, 3, 1020, 1023])
def test_a_code_beyond_the_end_resistors_is_a_broken_wire(code: int) -> None:
    _, adc = opened({0: code})
    assert math.isnan(adc.channel(0).read(0.0))


@pytest.mark.parametrize(
    ("line", "says"), [(0, "reads 0 instead of 512"), (1, "no null bit")], ids=["low", "high"]
)
def test_a_dead_line_is_an_error_and_not_an_end(line: int, says: str) -> None:
    bus, adc = opened({0: 10})
    knob = adc.channel(0)
    assert knob.read(0.0) == 10 / 1023
    bus.line = line
    with pytest.raises(OSError, match=says):
        knob.read(1.0)
    bus.line = None
    assert knob.read(2.0) == 10 / 1023


@pytest.mark.parametrize("half", [0, 460, 564, 1023])
def test_half_the_reference_that_is_not_half_is_an_error(half: int) -> None:
    bus, adc = opened({0: 300})
    knob, pedal = adc.channel(0), adc.channel(1)
    bus.chip.codes[7] = half
    for one in (knob, pedal):
        with pytest.raises(OSError, match=f"reads {half} instead of 512") as caught:
            one.read(1.0)
        assert str(caught.value).startswith("/dev/spidev0.0: ")


def test_half_the_reference_is_converted_once_a_turn_for_all_knobs() -> None:
    bus, adc = opened()
    knob, pedal = adc.channel(0), adc.channel(1)
    before = bus.transfers
    for turn in range(5):
        knob.read(turn * POLL_S)
        pedal.read(turn * POLL_S)
    assert bus.transfers - before == 5 * 3


def test_an_error_of_the_bus_is_one_sentence_and_passes() -> None:
    bus, adc = opened({0: 300})
    bus.error = OSError(errno.EIO, "Input/output error")
    with pytest.raises(OSError, match="the SPI bus failed") as caught:
        adc.channel(0).read(1.0)
    assert "\n" not in str(caught.value)
    bus.error = None
    assert adc.channel(0).read(1.002) == 300 / 1023
    assert len(bus.devices) == 1


def test_a_device_that_was_withdrawn_is_opened_again_but_not_at_every_turn() -> None:
    bus, adc = opened({0: 300})
    knob = adc.channel(0)
    bus.error = OSError(errno.ESHUTDOWN, "gone")
    for turn in range(500):
        with pytest.raises(OSError):
            knob.read(turn * POLL_S)
    assert bus.devices[0].closed and bus.opens <= 1 + 2
    bus.error = None
    for turn in range(500, 1100):
        try:
            value = knob.read(turn * POLL_S)
        except OSError:
            continue
        break
    assert value == 300 / 1023 and turn * POLL_S <= 0.0 + 2 * mcp3008.RETRY_S
    assert len(bus.devices) == 2


def test_a_converter_that_does_not_answer_at_the_start_is_let_go() -> None:
    bus = Bus(Chip())
    bus.line = 1
    with pytest.raises(OSError, match="does not answer"):
        Mcp3008(0, 0, library=bus)
    assert bus.devices[0].closed


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FileNotFoundError(errno.ENOENT, "x"), "there is no such SPI device; enable SPI1"),
        (PermissionError(errno.EACCES, "x"), "add the pedal's user to group spi"),
        (OSError(errno.EBUSY, "busy"), "cannot be opened"),
    ],
)
def test_a_bus_that_cannot_be_opened_is_one_sentence_and_exit_2(error: OSError, says: str) -> None:
    bus = Bus(Chip())
    bus.error = error
    with pytest.raises(ConfigError, match=says) as caught:
        Mcp3008(0, 0, library=bus)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
    assert str(caught.value).startswith("/dev/spidev0.0: ")


# -- ADS1115 ---------------------------------------------------------------------------------------


class Ads:
    """A module like smbus2 with an ADS1115, in volts; time is the test's own."""

    def __init__(self, volts: dict[int, float]) -> None:
        self.volts = volts
        self.now_s = 0.0
        self.error: OSError | None = None
        self.closed = False
        self.started_s = 0.0
        self.word = 0
        self.converted: list[int] = []

    def SMBus(self, number: int) -> "Ads":  # noqa: N802
        if number != 7:
            raise FileNotFoundError(errno.ENOENT, "x")
        return self

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def write_word_data(self, address: int, register: int, word: int) -> None:
        self._answer(address)
        config = (word & 0xFF) << 8 | word >> 8
        assert register == 1 and config & 0x8000 and config & 0x0FFF == 0x03E3
        assert self.now_s - self.started_s >= 0.0013, "the last conversion was not done"
        number = (config >> 12 & 7) - 4
        self.started_s = self.now_s
        self.word = round(self.volts[number] / 4.096 * 0x8000) & 0xFFFF
        self.converted.append(number)

    def read_word_data(self, address: int, register: int) -> int:
        self._answer(address)
        assert register == 0 and self.now_s - self.started_s >= 0.0013
        return (self.word & 0xFF) << 8 | self.word >> 8

    def _answer(self, address: int) -> None:
        assert address == 0x48
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed = True


def ads(volts: dict[int, float], channels: tuple[int, ...] = (0,)) -> tuple[Ads, Ads1115]:
    bus = Ads(volts)
    bus.started_s = -1.0
    return bus, Ads1115(7, 0x48, channels, library=bus, sleep=bus.sleep)


@settings(max_examples=30)
@given(st.floats(0.01, 0.99), st.floats(2.6, 4.0))
def test_what_is_read_is_the_ratio_to_the_supply(ratio: float, supply: float) -> None:
    _, adc = ads({0: ratio * supply, 3: supply})
    assert adc.channel(0).read(1.0) == pytest.approx(ratio, abs=2e-4)


@pytest.mark.parametrize("channels", [(0,), (0, 1)])
def test_a_movement_is_read_in_time_whichever_channel_has_its_turn(
    channels: tuple[int, ...],
) -> None:
    for phase in range(16):
        bus, adc = ads({0: 1.0, 1: 2.0, 3: 3.3}, channels)
        knobs = [adc.channel(number) for number in channels]
        now_s = 1.0
        for turn in range(80):
            if turn == 40 + phase:
                bus.volts[0] = 2.0
            bus.now_s = now_s
            values = [knob.read(now_s) for knob in knobs]
            if turn >= 40 + phase and values[0] == pytest.approx(2.0 / 3.3, abs=1e-3):
                break
            now_s += POLL_S
        # With the knob's filter behind it, one reading and 5 ms, that is within 10 ms of the hand.
        assert (turn - 40 - phase) * POLL_S <= (0.004 if len(channels) == 1 else 0.008)


def test_a_turn_that_comes_too_early_waits_for_the_conversion() -> None:
    bus, adc = ads({0: 1.0, 3: 3.3})
    knob = adc.channel(0)
    for turn in range(100):
        bus.now_s = 1.0 + turn * 0.0007
        assert knob.read(bus.now_s) == pytest.approx(1.0 / 3.3, abs=1e-3)
    assert set(bus.converted[2:]) == {0, 3}


def test_a_missing_ads1115_is_named_and_back_when_it_answers() -> None:
    bus, adc = ads({0: 1.0, 3: 3.3})
    knob = adc.channel(0)
    bus.error = OSError(errno.EREMOTEIO, "Remote I/O error")
    for turn in range(3):
        bus.now_s = 1.0 + turn * POLL_S
        with pytest.raises(OSError, match="does not answer"):
            knob.read(bus.now_s)
    bus.error, bus.volts[0] = None, 2.0
    values = []
    for turn in range(3, 10):
        bus.now_s = 1.0 + turn * POLL_S
        try:
            values.append(knob.read(bus.now_s))
        except OSError as error:
            assert "not converted" in str(error) or "reads 0.00 V" in str(error)
    # Nothing from before the loss is ever given for now.
    assert values and all(value == pytest.approx(2.0 / 3.3, abs=1e-3) for value in values)


def test_ends_are_broken_wires_and_a_supply_that_cannot_be_is_an_error() -> None:
    for volts in (0.0, -0.01, 3.3, 3.29999):
        _, adc = ads({0: volts, 3: 3.3})
        assert math.isnan(adc.channel(0).read(1.0))
    _, adc = ads({0: 1.0, 3: 1.0})
    with pytest.raises(OSError, match="must be on the supply"):
        adc.channel(0).read(1.0)


def test_a_missing_i2c_bus_and_a_silent_address_at_the_start() -> None:
    bus = Ads({})
    with pytest.raises(ConfigError, match=r"/dev/i2c-1: there is no such I²C bus; enable"):
        Ads1115(1, 0x48, (0,), library=bus, sleep=bus.sleep)
    bus.error = OSError(errno.EREMOTEIO, "Remote I/O error")
    with pytest.raises(OSError, match="address 0x48: the ADS1115 does not answer"):
        Ads1115(7, 0x48, (0,), library=bus, sleep=bus.sleep)
    assert bus.closed


# -- the door --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "channels", "says"),
    [
        ("mcp3008", (8,), "channel 8: the mcp3008 has channels 0…7"),
        ("mcp3008", (0, 7), "channel 7 of the mcp3008 is used twice"),
        ("ads1115", (-1,), "channel -1: the ads1115 has channels 0…3"),
        ("ads1115", (2, 2), "channel 2 of the ads1115 is used twice"),
        ("mcp3208", (0,), "mcp3008 or ads1115"),
    ],
)
def test_what_no_converter_has_is_refused(kind: Any, channels: tuple[int, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        open_adc(kind, channels=channels)


def test_the_door_opens_both_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    spi = Bus(Chip({2: 700}))
    i2c = Ads({1: 1.65, 3: 3.3})
    i2c.started_s = -1.0
    modules = {"spidev": spi, "smbus2": i2c}
    fake = SimpleNamespace(import_module=modules.__getitem__)
    monkeypatch.setattr(mcp3008, "importlib", fake)
    monkeypatch.setattr(ads1115, "importlib", fake)
    monkeypatch.setattr(ads1115.Ads1115.__init__, "__defaults__", (3, None, i2c.sleep))
    adc = open_adc("mcp3008", channels=(2,))
    assert adc.channel(2).read(0.0) == 700 / 1023
    adc.close()
    adc.close()
    adc = open_adc("ads1115", bus=7, channels=(1,))
    assert adc.channel(1).read(1.0) == pytest.approx(0.5, abs=1e-3)
    adc.close()
