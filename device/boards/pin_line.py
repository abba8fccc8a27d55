"""One pin of the header as gpiozero knows it: one line, reconfigured in place.

Import it lazily: it needs gpiozero and gpiod.
"""

import contextlib
import errno
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import gpiod
from gpiod.line import Bias, Clock, Direction, Edge, Value
from gpiozero.exc import (
    GPIODeviceClosed,
    PinFixedPull,
    PinInvalidBounce,
    PinInvalidEdges,
    PinInvalidFunction,
    PinInvalidPull,
    PinInvalidState,
    PinPWMUnsupported,
    PinSetInput,
)
from gpiozero.pins.pi import PiPin

from device.boards.pin_tables import Line

if TYPE_CHECKING:
    from device.boards.pins import JetsonFactory

CONSUMER = "purga"
"""Who holds a line, as ``gpioinfo`` shows it."""

_DIRECTIONS = {"input": Direction.INPUT, "output": Direction.OUTPUT}
_BIASES = {"floating": Bias.DISABLED, "up": Bias.PULL_UP, "down": Bias.PULL_DOWN}
_EDGES = {"none": Edge.NONE, "rising": Edge.RISING, "falling": Edge.FALLING, "both": Edge.BOTH}


@dataclass(frozen=True)
class _Wish:
    """What a pin shall be, but for an output's level."""

    function: str = "input"
    pull: str = "floating"
    edges: str = "both"
    bounce_s: float | None = None
    listening: bool = False
    """Whether anyone wants to know of edges."""

    def settings(self) -> gpiod.LineSettings:
        """The same in libgpiod's terms. The kernel refuses edges and debouncing on outputs."""
        if self.function == "output":
            return gpiod.LineSettings(direction=Direction.OUTPUT)
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

    def __init__(self, factory: "JetsonFactory", info: Any) -> None:
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
        self._change(_value(state), function="output")

    def input_with_pull(self, pull: str) -> None:
        """Become an input with that pull, in one step."""
        _choice(pull, _BIASES, PinInvalidPull, "pull")
        self._change(function="input", pull=pull)

    def _held(self) -> gpiod.LineRequest:
        if self._request is None:
            raise GPIODeviceClosed(f"{self!r} is closed; ask its factory for it again")
        return self._request

    def _change(self, value: Value | None = None, **changes: Any) -> None:
        """Change the wish, and the line to match; an output drives ``value``, or what is found.

        Raises ``OSError``, having changed nothing.
        """
        with self._lock:
            request, before = self._held(), self._wish
            wish = replace(before, **changes)
            settings = wish.settings()
            if value is not None or settings != self._told:
                told = settings
                if wish.function == "output":
                    level = request.get_value(self._line.offset) if value is None else value
                    told = replace(settings, output_value=level)
                request.reconfigure_lines({self._line.offset: told})
            self._told, self._wish = settings, wish
            if before.listening and not wish.listening:
                self._factory._edges.remove(request)
            elif wish.listening and not before.listening:
                self._factory._edges.add(request, self._lock, self._call_when_changed)

    def _get_function(self) -> str:
        self._held()
        return self._wish.function

    def _set_function(self, value: str) -> None:
        _choice(value, _DIRECTIONS, PinInvalidFunction, "function")
        self._change(function=value)

    def _get_state(self) -> int:
        with self._lock:
            return int(self._held().get_value(self._line.offset) is Value.ACTIVE)

    def _set_state(self, value: float) -> None:
        with self._lock:
            request = self._held()
            if self._wish.function != "output":
                raise PinSetInput(f"cannot set state of pin {self!r}: it is an input")
            request.set_value(self._line.offset, _value(value))

    def _get_pull(self) -> str:
        return self._wish.pull

    def _set_pull(self, value: str) -> None:
        if self._wish.function != "input":
            raise PinFixedPull(f"cannot set pull on non-input pin {self!r}")
        _choice(value, _BIASES, PinInvalidPull, "pull")
        self._change(pull=value)

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
            self._change(bounce_s=bounce_s or None)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise PinInvalidBounce(
                f"pin {self!r} cannot be debounced for {value} s; a Jetson does up to 0.255 s"
            ) from error

    def _get_edges(self) -> str:
        return self._wish.edges

    def _set_edges(self, value: str) -> None:
        _choice(value, _EDGES, PinInvalidEdges, "edges")
        self._change(edges=value)

    def _enable_event_detect(self) -> None:
        self._change(listening=True)

    def _disable_event_detect(self) -> None:
        self._change(listening=False)

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


def _value(state: float) -> Value:
    if not 0 <= state <= 1:
        raise PinInvalidState(f"a pin's state is 0 or 1, not {state!r}")
    return Value.ACTIVE if state else Value.INACTIVE
