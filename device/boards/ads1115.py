"""ADS1115 over I²C: four channels, 16 bit, 860 conversions a second. Source: TI SBAS444.

Its input range is absolute (±4.096 V), a knob's voltage is a part of the supply: so the supply is
converted too, and what is returned is the ratio. I²C is acknowledged, so a missing converter is
an error by itself.

A conversion takes 1.3 ms, too long to wait for in a loop of 2 ms. Each turn fetches what the turn
before has started and starts the next: the channels take turns, and the supply has every
eighth. So with a knob alone a reading is 2 ms old, and 4 ms at most between two; with an
expression pedal beside it, each is converted every 4 ms. A channel's last value stands
in between.
"""

import contextlib
import importlib
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from device.boards.adc import refused

ADDRESS = 0x48
"""ADDR to ground."""
SUPPLY_CHANNEL = 3
FULL_SCALE_V = 4.096
NOMINAL_SUPPLY_V = 3.3
"""Where no channel measures it."""
LOWEST_SUPPLY_V = 2.5
"""A supply below this cannot be true: the bus would not work."""
READY_S = 0.0014
"""A conversion at 860 per second, 10 % slow (the internal oscillator), and 25 µs to wake up."""
SUPPLY_EVERY = 8
OPEN_BELOW, OPEN_ABOVE = 0.003, 0.997
"""Ratios that no connected wiper gives: 100 Ω at each end of 10 kΩ leave 0.01…0.99."""
_CONVERSION, _CONFIG = 0, 1
_SINGLE_SHOT = 0x8000 | 0x0200 | 0x0100 | 0x00E0 | 0x0003
"""Start; ±4.096 V; one conversion, then sleep; 860 per second; no comparator (table 8-3)."""
_ADVICE = "enable the I²C bus of pins 3 and 5 (bus 7 on Orin Nano and NX) or change [knob]"


class Ads1115:
    """One converter. ``library`` (like ``smbus2``) and ``sleep`` stand in for them in tests."""

    def __init__(
        self,
        bus: int,
        address: int,
        channels: Sequence[int],
        supply: int | None = SUPPLY_CHANNEL,
        library: ModuleType | Any | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open it and convert each channel once. Raises as ``open_adc`` does."""
        self._place = f"/dev/i2c-{bus}, address {address:#04x}"
        self._address = address
        self._channels = tuple(channels)
        self._supply = supply
        self._volts: dict[int, float] = {}
        self._under_way: int | None = None
        self._started_s = 0.0
        self._turn = 0
        self._polled_s: float | None = None
        self._problem: str | None = None
        library = library or importlib.import_module("smbus2")
        try:
            self._bus: Any = library.SMBus(bus)
        except OSError as error:
            raise refused(f"/dev/i2c-{bus}", "I²C bus", error, _ADVICE) from None
        try:
            for number in (*channels, *(() if supply is None else (supply,))):
                self._start(number, 0.0)
                sleep(READY_S)
                self._fetch()
        except OSError:
            self.close()
            raise

    def channel(self, number: int) -> "Ads1115Channel":
        """What reads that channel, 0…3."""
        return Ads1115Channel(self, number)

    def close(self) -> None:
        """Release the bus."""
        with contextlib.suppress(OSError):
            self._bus.close()

    def read(self, number: int, now_s: float) -> float:
        """Return a channel as a fraction of the supply, NaN for a broken wire.

        The converter is served once for each ``now_s``. Raises ``OSError``.
        """
        if self._polled_s != now_s:
            self._polled_s = now_s
            self._problem = None
            try:
                self._serve(now_s)
            except OSError as error:
                self._problem = str(error)
                self._volts.clear()
                self._under_way = None
        if self._problem is not None:
            raise OSError(self._problem)
        if number not in self._volts:
            raise OSError(f"{self._place}: the ADS1115 has not converted channel {number} yet")
        ratio = self._volts[number] / self._supply_v()
        return ratio if OPEN_BELOW < ratio < OPEN_ABOVE else float("nan")

    def _supply_v(self) -> float:
        """What the ratio is to. Raises ``OSError`` where it cannot be true."""
        if self._supply is None:
            return NOMINAL_SUPPLY_V
        volts = self._volts.get(self._supply, 0.0)
        if volts < LOWEST_SUPPLY_V:
            raise OSError(
                f"{self._place}: the ADS1115 reads {volts:.2f} V on channel {self._supply}, "
                f"which must be on the supply of {NOMINAL_SUPPLY_V} V"
            )
        return volts

    def _serve(self, now_s: float) -> None:
        """Fetch what is done and start the next. Raises ``OSError``."""
        if self._under_way is not None:
            if 0.0 <= now_s - self._started_s < READY_S:
                return
            self._fetch()
        missing = self._missing()
        if missing is not None:
            self._start(missing, now_s)
            return
        self._turn += 1
        if self._supply is not None and self._turn % SUPPLY_EVERY == 0:
            self._start(self._supply, now_s)
        else:
            self._start(self._channels[self._turn % len(self._channels)], now_s)

    def _missing(self) -> int | None:
        """A channel that has no value yet, after the converter was lost."""
        wanted = self._channels if self._supply is None else (self._supply, *self._channels)
        return next((number for number in wanted if number not in self._volts), None)

    def _start(self, number: int, now_s: float) -> None:
        """Begin a conversion. Raises ``OSError``."""
        config = _SINGLE_SHOT | (4 + number) << 12
        try:
            self._bus.write_word_data(self._address, _CONFIG, _swapped(config))
        except OSError as error:
            raise self._failed(error) from None
        self._under_way, self._started_s = number, now_s

    def _fetch(self) -> None:
        """Take the result of the conversion under way. Raises ``OSError``."""
        try:
            word = _swapped(self._bus.read_word_data(self._address, _CONVERSION))
        except OSError as error:
            raise self._failed(error) from None
        assert self._under_way is not None
        signed = word - 0x10000 if word & 0x8000 else word
        self._volts[self._under_way] = signed * FULL_SCALE_V / 0x8000
        self._under_way = None

    def _failed(self, error: OSError) -> OSError:
        """What a failed transfer means."""
        return OSError(
            f"{self._place}: the ADS1115 does not answer ({error.strerror or error}); "
            "check its supply and wires"
        )


def _swapped(word: int) -> int:
    """SMBus sends a word's low byte first, the ADS1115 its high byte."""
    return (word & 0xFF) << 8 | word >> 8


class Ads1115Channel:
    """A potentiometer on one channel: a ``Knob`` of the board."""

    def __init__(self, adc: Ads1115, number: int) -> None:
        """Read channel ``number`` of ``adc``."""
        self._adc = adc
        self._number = number

    def read(self, now_s: float) -> float:
        """Return the wiper's position 0…1, NaN for a broken wire. Raises ``OSError``."""
        return self._adc.read(self._number, now_s)
