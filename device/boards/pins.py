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

import contextlib
import os
import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import gpiod
from gpiod.line import Bias, Clock, Direction, Edge, Value
from gpiozero.devices import Device
from gpiozero.exc import (
    GPIODeviceClosed,
    PinFixedPull,
    PinInvalidBounce,
    PinInvalidEdges,
    PinInvalidFunction,
    PinInvalidPin,
    PinInvalidPull,
    PinInvalidState,
    PinPWMUnsupported,
    PinSetInput,
    PinSPIUnsupported,
    PinUnknownPi,
    SPIBadArgs,
)
from gpiozero.pins.local import (
    LocalPiHardwareSPI,
    LocalPiHardwareSPIShared,
    LocalPiSoftwareSPI,
    LocalPiSoftwareSPIShared,
)
from gpiozero.pins.pi import PiFactory, PiPin, spi_port_device

from device.boards.pin_board import JetsonBoardInfo, board_info
from device.boards.pin_chip import Chips
from device.boards.pin_events import EdgeWatcher
from device.boards.pin_tables import Line, find_module

CONSUMER = "purga"
"""Who holds a line, as ``gpioinfo`` shows it."""

DEVICES = Path("/dev")

_DIRECTIONS = {"input": Direction.INPUT, "output": Direction.OUTPUT}
_BIASES = {"floating": Bias.DISABLED, "up": Bias.PULL_UP, "down": Bias.PULL_DOWN}
_EDGES = {"none": Edge.NONE, "rising": Edge.RISING, "falling": Edge.FALLING, "both": Edge.BOTH}


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

    def pin(self, name: int | str) -> "JetsonPin":
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


@dataclass(frozen=True)
class _Wish:
    """What a pin shall be; the kernel is told the whole of it at each change."""

    function: str = "input"
    pull: str = "floating"
    edges: str = "both"
    bounce_s: float | None = None
    listening: bool = False
    """Whether anyone wants to know of edges."""
    state: bool = False
    """What an output drives."""

    def settings(self) -> gpiod.LineSettings:
        """The same in libgpiod's terms. The kernel refuses edges and debouncing on outputs."""
        if self.function == "output":
            value = Value.ACTIVE if self.state else Value.INACTIVE
            return gpiod.LineSettings(direction=Direction.OUTPUT, output_value=value)
        return gpiod.LineSettings(
            direction=Direction.INPUT,
            bias=_BIASES[self.pull],
            edge_detection=_EDGES[self.edges] if self.listening else Edge.NONE,
            debounce_period=timedelta(seconds=self.bounce_s or 0.0),
            event_clock=Clock.MONOTONIC,
        )


class JetsonPin(PiPin):  # type: ignore[misc]
    """One pin of the header: one line, held from the moment it is made until ``close``.

    A change reconfigures the line that is held, so nobody can take it meanwhile, and a change
    that the kernel refuses leaves everything as it was. Making a pin changes nothing on it: an
    output that drove something goes on.
    """

    def __init__(self, factory: JetsonFactory, info: Any) -> None:
        """Take the line. Raises ``PinInvalidPin`` and what ``Chips.request`` raises."""
        super().__init__(factory, info)
        self._line: Line = factory._module.lines[info.number]
        self._lock = threading.RLock()
        as_is = gpiod.LineSettings(direction=Direction.AS_IS)
        self._request: gpiod.LineRequest | None = factory._chips.request(
            self._line, as_is, CONSUMER
        )
        self._told = as_is
        output = factory._chips.direction(self._line) is Direction.OUTPUT
        self._wish = _Wish(function="output" if output else "input")
        if output:
            self._wish = replace(self._wish, state=bool(self._get_state()))

    def close(self) -> None:
        """Make the pin a floating input and give its line back; any number of times.

        The factory makes a new pin when it is asked for again; this one stays closed.
        """
        with self._lock:
            request, self._request = self._request, None
            if request is None:
                return
            self._when_changed = None
            if self._wish.listening:
                self._factory._edges.remove(request)
            # Even if the chip is gone, all that is held here is let go.
            with contextlib.suppress(OSError):
                request.reconfigure_lines({self._line.offset: _Wish().settings()})
            request.release()
            self._factory.pins.pop(self._info, None)

    def output_with_state(self, state: float) -> None:
        """Become an output that drives ``state`` from its first moment."""
        self._apply(replace(self._wish, function="output", state=_level(state)))

    def input_with_pull(self, pull: str) -> None:
        """Become an input with that pull, in one step."""
        _choice(pull, _BIASES, PinInvalidPull, "pull")
        self._apply(replace(self._wish, function="input", pull=pull))

    def _held(self) -> gpiod.LineRequest:
        if self._request is None:
            raise GPIODeviceClosed(f"{self!r} is closed; ask its factory for it again")
        return self._request

    def _apply(self, wish: _Wish) -> None:
        """Make the line what ``wish`` says. Raises ``OSError``, having changed nothing."""
        with self._lock:
            request, settings = self._held(), wish.settings()
            if settings != self._told:
                request.reconfigure_lines({self._line.offset: settings})
                self._told = settings
            before, self._wish = self._wish, wish
            if before.listening and not wish.listening:
                self._factory._edges.remove(request)
            elif wish.listening and not before.listening:
                self._factory._edges.add(request, self._lock, self._call_when_changed)

    def _get_function(self) -> str:
        self._held()
        return self._wish.function

    def _set_function(self, value: str) -> None:
        _choice(value, _DIRECTIONS, PinInvalidFunction, "function")
        with self._lock:
            # An output that is given no state goes on with the level that is found.
            self._apply(replace(self._wish, function=value, state=bool(self._get_state())))

    def _get_state(self) -> int:
        with self._lock:
            return int(self._held().get_value(self._line.offset) is Value.ACTIVE)

    def _set_state(self, value: float) -> None:
        with self._lock:
            request = self._held()
            if self._wish.function != "output":
                raise PinSetInput(f"cannot set state of pin {self!r}: it is an input")
            state = _level(value)
            request.set_value(self._line.offset, Value.ACTIVE if state else Value.INACTIVE)
            self._wish = replace(self._wish, state=state)
            self._told = self._wish.settings()

    def _get_pull(self) -> str:
        return self._wish.pull

    def _set_pull(self, value: str) -> None:
        if self._wish.function != "input":
            raise PinFixedPull(f"cannot set pull on non-input pin {self!r}")
        _choice(value, _BIASES, PinInvalidPull, "pull")
        self._apply(replace(self._wish, pull=value))

    def _set_frequency(self, value: float | None) -> None:
        if value is not None:
            raise PinPWMUnsupported(
                f"PWM is not supported on pin {self!r}: a Jetson's PWM is a device of its own "
                "(/sys/class/pwm)"
            )

    def _get_bounce(self) -> float | None:
        return self._wish.bounce_s

    def _set_bounce(self, value: float | None) -> None:
        try:
            bounce_s = None if value is None else float(value)
        except (TypeError, ValueError):
            raise PinInvalidBounce(f"bounce must be None or seconds, not {value!r}") from None
        if bounce_s is not None and not 0 <= bounce_s <= 60:
            raise PinInvalidBounce(f"bounce must lie in 0…60 s, but is {value!r}")
        try:
            self._apply(replace(self._wish, bounce_s=bounce_s or None))
        except OSError as error:
            raise PinInvalidBounce(
                f"pin {self!r} cannot be debounced for {value} s ({error.strerror}); a Jetson "
                "does up to 0.255 s"
            ) from error

    def _get_edges(self) -> str:
        return self._wish.edges

    def _set_edges(self, value: str) -> None:
        _choice(value, _EDGES, PinInvalidEdges, "edges")
        self._apply(replace(self._wish, edges=value))

    def _enable_event_detect(self) -> None:
        self._apply(replace(self._wish, listening=True))

    def _disable_event_detect(self) -> None:
        self._apply(replace(self._wish, listening=False))

    def _call_when_changed(self, ticks: float, state: int) -> None:
        # Unlike the base's this runs beside other threads, which may let go of the callback.
        reference = self._when_changed
        if reference is None:
            return
        method = reference()
        if method is None:
            self.when_changed = None
        else:
            method(ticks, state)


def _choice(value: str, choices: Any, error: type[Exception], what: str) -> None:
    if value not in choices:
        raise error(f"{what} must be one of {', '.join(choices)}, not {value!r}")


def _level(value: float) -> bool:
    if not 0 <= value <= 1:
        raise PinInvalidState(f"a pin's state is 0 or 1, not {value!r}")
    return bool(value)
