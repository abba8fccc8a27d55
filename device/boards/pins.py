"""A gpiozero pin factory for NVIDIA's Jetson Orin, on libgpiod v2.

::

    from gpiozero import LED, Button
    from device.boards.pins import JetsonFactory

    factory = JetsonFactory()                   # which module: from the device tree
    led = LED("BOARD35", pin_factory=factory)
    button = Button(5, pin_factory=factory)     # GPIO5, header pin 29
    button.when_pressed = led.toggle

or ``GPIOZERO_PIN_FACTORY=jetson`` where the package is installed. ``PINS.md`` has the limits.

Why these bases: ``PiFactory`` and ``PiPin`` hold what any board with the Pi's header needs (names,
reservations, SPI's arguments, weakly held callbacks). ``LocalPiFactory`` adds a Pi's revision and
one set of pins for all factories of the process, which would hide what the kernel says about who
holds a line; only its SPI class is used. Import it lazily: it needs gpiozero and gpiod.
"""

import os
import time
from pathlib import Path
from typing import Any

from gpiozero.devices import Device
from gpiozero.exc import PinInvalidPin, PinSPIUnsupported, PinUnknownPi, SPIBadArgs
from gpiozero.pins.local import (
    LocalPiHardwareSPI,
    LocalPiHardwareSPIShared,
    LocalPiSoftwareSPI,
    LocalPiSoftwareSPIShared,
)
from gpiozero.pins.pi import PiFactory, spi_port_device

from device.boards.pin_board import JetsonBoardInfo, board_info
from device.boards.pin_chip import Chips
from device.boards.pin_events import EdgeWatcher
from device.boards.pin_line import JetsonPin
from device.boards.pin_tables import find_module

DEVICES = Path("/dev")


class PinUnknownModule(PinUnknownPi):  # type: ignore[misc]
    """Error raised when it cannot be told which Jetson module this is."""


class JetsonFactory(PiFactory):  # type: ignore[misc]
    """Pins and SPI of a Jetson Orin's 40-pin header.

    Ticks are seconds of CLOCK_MONOTONIC, the clock by which the kernel stamps edges.
    """

    def __init__(self, module: str | None = None, chips: Chips | None = None) -> None:
        """Serve ``module``, one of ``pin_tables.MODULES``, by default the one that this is.

        No chip is opened before a pin is asked for. Raises ``PinUnknownModule``.
        """
        super().__init__()
        try:
            self._module = find_module(module)
        except LookupError as error:
            raise PinUnknownModule(str(error)) from None
        self._board = board_info(self._module)
        self._chips = chips or Chips()
        self._edges = EdgeWatcher()
        self.pin_class = JetsonPin

    def close(self) -> None:
        """Give every pin and chip back; pins that are asked for later are opened anew."""
        for pin in list(self.pins.values()):
            pin.close()
        self.pins.clear()
        self._edges.close()
        self._chips.close()

    def pin(self, name: int | str) -> JetsonPin:
        """Return the pin of that name, taken for this process.

        Raises ``PinInvalidPin`` for a name that is none or a pin that is no GPIO, and what
        ``Chips.request`` raises.
        """
        try:
            pin: JetsonPin = super().pin(name)
        except PinInvalidPin:
            others = [info for _, info in self.board_info.find_pin(name)]
            if not others:
                raise
            raise PinInvalidPin(
                f"{name} is {others[0].name} on a {self._module.title}, not a GPIO; header pins "
                f"{', '.join(map(str, self._module.lines))} are"
            ) from None
        return pin

    def spi(self, **spi_args: Any) -> Any:
        """Return an SPI interface, as ``Factory.spi``; the header's pins are the kernel's spidev.

        Other pins are clocked by software. There is no silent fallback from one to the other: a
        pad that is muxed to SPI cannot be clocked as GPIO. Raises ``PinSPIUnsupported`` where
        the device cannot be opened, ``SPIBadArgs``, ``GPIOPinInUse``.
        """
        pins, rest = self._extract_spi_args(**spi_args)
        shared = bool(rest.pop("shared", False))
        if rest:
            raise SPIBadArgs(f"unrecognized keyword argument {next(iter(rest))}")
        try:
            port, device = spi_port_device(**pins)
        except SPIBadArgs:
            return self._software_spi(shared, pins)
        path = DEVICES / f"spidev{port}.{device}"
        try:
            # First by hand: gpiozero's class reserves the pins before it finds the device missing.
            os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
            return self._get_spi_class(shared, hardware=True)(pin_factory=self, **pins)
        except (OSError, ImportError) as error:
            text = error.strerror if isinstance(error, OSError) else str(error)
            raise PinSPIUnsupported(
                f"{path} cannot be opened ({text}); enable SPI1 on the header with jetson-io, "
                "load spidev, and add the user to its group"
            ) from error

    def ticks(self) -> float:
        """Seconds of CLOCK_MONOTONIC."""
        return time.monotonic()

    def ticks_diff(self, later: float, earlier: float) -> float:
        """Seconds from ``earlier`` to ``later``."""
        return later - earlier

    def _get_board_info(self) -> JetsonBoardInfo:
        return self._board

    def _get_spi_class(self, shared: bool, hardware: bool) -> Any:
        if hardware:
            return LocalPiHardwareSPIShared if shared else LocalPiHardwareSPI
        return LocalPiSoftwareSPIShared if shared else LocalPiSoftwareSPI

    def _software_spi(self, shared: bool, pins: dict[str, Any]) -> Any:
        # gpiozero 2.0.1 makes the bus of a software SPI with the default factory, whatever it
        # was given.
        if Device.pin_factory is not self:
            raise PinSPIUnsupported(
                "SPI on pins other than the header's works only while this is gpiozero's default "
                "factory: set GPIOZERO_PIN_FACTORY=jetson, or assign Device.pin_factory"
            )
        return self._get_spi_class(shared, hardware=False)(pin_factory=self, **pins)
