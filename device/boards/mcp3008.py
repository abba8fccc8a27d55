"""MCP3008 over spidev: eight channels, 10 bit, ratiometric. Source: Microchip DS21295D.

A conversion is one frame of three bytes with chip select held (figure 6-1): a start bit at the
end of byte 0; single-ended and the channel in the upper half of byte 1; while the lower half is
clocked the converter samples, then answers one null bit and B9, B8; byte 2 brings B7…B0.

SPI has no acknowledgement, so a missing converter reads like a knob at its end. Three things
tell it: the null bit must be 0 (a line pulled up reads 1), the channel on the half-reference
divider must read half (a dead line reads 0 or 1023 there too), and the end resistors keep a
wiper that is connected away from the lowest and highest codes, so those mean a broken wire.
"""

import contextlib
import errno
import importlib
from types import ModuleType
from typing import Any

from device.boards.adc import refused

CLOCK_HZ = 1_000_000
"""Rated 1.35 MHz at 2.7 V, 3.6 MHz at 5 V, from −40 °C; at 3.3 V this leaves a margin."""
HALF_REFERENCE = 7
"""The channel on two equal resistors from the reference to ground."""
HALF_TOLERANCE_CODES = 51
"""5 % of the reference: two 1 % resistors give 0.5 %, offset and gain errors 0.8 %."""
TOP_CODE = 1023
OFFSET_CODES = 3
"""The converter's own offset error at most: what a wire to ground reads. With 100 Ω at each end
of 10 kΩ a connected wiper reads 10…1013."""
RETRY_S = 1.0
"""A device that was withdrawn (its driver unbound) is opened again this often at most."""
_GONE = frozenset({errno.ENODEV, errno.ENXIO, errno.ESHUTDOWN, errno.ENOENT})
_ADVICE = "enable SPI1 of the 40-pin header (jetson-io, pins 19, 21, 23, 24) or change [knob]"


class Mcp3008:
    """One converter. ``library`` (a module like ``spidev``) stands in for it in tests."""

    def __init__(
        self,
        bus: int,
        device: int,
        half_reference: int | None = HALF_REFERENCE,
        library: ModuleType | Any | None = None,
    ) -> None:
        """Open it and convert once. Raises ``ConfigError`` or ``OSError``, see ``open_adc``."""
        self._place = f"/dev/spidev{bus}.{device}"
        self._bus, self._device = bus, device
        self._half_reference = half_reference
        self._library = library or importlib.import_module("spidev")
        self._spi: Any = None
        self._retry_s = float("-inf")
        self._checked_s: float | None = None
        self._problem: str | None = None
        try:
            self._spi = self._opened()
        except OSError as error:
            raise refused(self._place, "SPI device", error, _ADVICE) from None
        try:
            self._check()
        except OSError:
            self.close()
            raise

    def channel(self, number: int) -> "Mcp3008Channel":
        """What reads that channel, 0…7."""
        return Mcp3008Channel(self, number)

    def close(self) -> None:
        """Release the bus."""
        if self._spi is not None:
            with contextlib.suppress(OSError):
                self._spi.close()
        self._spi = None

    def read(self, number: int, now_s: float) -> float:
        """Return a channel as a fraction of the reference, NaN for a broken wire.

        The converter itself is checked once for each ``now_s``. Raises ``OSError``.
        """
        if self._checked_s != now_s:
            self._checked_s = now_s
            self._problem = None
            try:
                if self._spi is None:
                    self._open_again(now_s)
                self._check()
            except OSError as error:
                self._problem = str(error)
        if self._problem is not None:
            raise OSError(self._problem)
        code = self._convert(number)
        if OFFSET_CODES < code < TOP_CODE - OFFSET_CODES:
            return code / TOP_CODE
        return float("nan")

    def _check(self) -> None:
        """Convert half the reference. Raises ``OSError`` where that is not what comes back."""
        if self._half_reference is None:
            return
        code = self._convert(self._half_reference)
        half = (TOP_CODE + 1) // 2
        if abs(code - half) > HALF_TOLERANCE_CODES:
            raise OSError(
                f"{self._place}: the MCP3008 does not answer (channel {self._half_reference}, on "
                f"half the reference, reads {code} instead of {half}); check its supply and wires"
            )

    def _convert(self, number: int) -> int:
        """One conversion, 0…1023. Raises ``OSError``."""
        if self._spi is None:
            raise OSError(f"{self._place}: is not open")
        try:
            # A list of its own each time: the library writes the answer into it.
            _, high, low = self._spi.xfer2([0x01, 0x80 | number << 4, 0x00])
        except OSError as error:
            if error.errno in _GONE:
                self.close()
            raise OSError(
                f"{self._place}: the SPI bus failed ({error.strerror or error})"
            ) from None
        if high & 0x04:
            raise OSError(
                f"{self._place}: the MCP3008 does not answer (no null bit before channel "
                f"{number}); check its supply and wires"
            )
        return int((high & 0x03) << 8 | low)

    def _open_again(self, now_s: float) -> None:
        """Open a device that was withdrawn, not too often. Raises ``OSError``."""
        if now_s < self._retry_s:
            raise OSError(f"{self._place}: the SPI device is gone")
        self._retry_s = now_s + RETRY_S
        try:
            self._spi = self._opened()
        except OSError as error:
            raise OSError(
                f"{self._place}: the SPI device is gone ({error.strerror or error})"
            ) from None

    def _opened(self) -> Any:
        """The device, set up. Raises ``OSError``."""
        spi = self._library.SpiDev()
        spi.open(self._bus, self._device)
        try:
            spi.mode = 0
            spi.bits_per_word = 8
            spi.max_speed_hz = CLOCK_HZ
        except OSError:
            spi.close()
            raise
        return spi


class Mcp3008Channel:
    """A potentiometer on one channel: a ``Knob`` of the board."""

    def __init__(self, adc: Mcp3008, number: int) -> None:
        """Read channel ``number`` of ``adc``."""
        self._adc = adc
        self._number = number

    def read(self, now_s: float) -> float:
        """Return the wiper's position 0…1, NaN for a broken wire. Raises ``OSError``."""
        return self._adc.read(self._number, now_s)
