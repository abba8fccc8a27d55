"""Switches and outputs on the header as a control loop uses them: asked and set, not waited for.

::

    footswitch = open_input(29)         # header pin 29, to ground, pulled up
    relay = open_output(31)             # low until told otherwise
    if footswitch.pressed():
        relay.set(True)
    footswitch.close()

An integer is a **pin of the 40-pin header**, the number that stands in a wiring table; a string is
any of gpiozero's names: ``"GPIO5"``, ``"BCM5"``, ``"BOARD29"``, ``"J8:29"``. Keep what is opened:
as in gpiozero, an object that nobody holds gives its pin back.

Built on gpiozero's ``InputDevice`` and ``OutputDevice``, not on the ``Digital…`` ones: those listen
for edges in a thread of their own, and here the control loop asks every 2 ms anyway. gpiozero and
gpiod are imported when the first pin is opened.
"""

import errno
import threading
from typing import Any

from device.errors import ConfigError

_factories: dict[str | None, Any] = {}
_factories_lock = threading.Lock()


class GpioSwitch:
    """A switch on one pin: ``board.Switch``."""

    def __init__(self, device: Any, name: str) -> None:
        """Take over ``device``, a gpiozero input that is 1 while the switch is closed."""
        self._device = device
        self._name = name

    def pressed(self) -> bool:
        """Whether it is closed now. Raises ``OSError`` where the pin cannot be read."""
        try:
            return bool(self._device.value)
        except OSError as error:
            raise _broken(error, f"{self._name} cannot be read") from error

    def close(self) -> None:
        """Give the pin back; any number of times."""
        self._device.close()


class GpioOutput:
    """A pin that is driven high or low: ``board.Output``."""

    def __init__(self, device: Any, name: str) -> None:
        """Take over ``device``, a gpiozero output."""
        self._device = device
        self._name = name

    def set(self, on: bool) -> None:
        """Drive it high or low. Raises ``OSError`` where the pin cannot be set."""
        try:
            self._device.value = on
        except OSError as error:
            raise _broken(error, f"{self._name} cannot be set") from error

    def close(self) -> None:
        """Turn the pin into an input and give it back; any number of times."""
        self._device.close()


def open_input(
    pin: int | str, pull_up: bool = True, *, module: str | None = None, factory: Any = None
) -> GpioSwitch:
    """Open a switch between ``pin`` and ground, or 3.3 V where ``pull_up`` is False.

    The pull is asked for, but the Jetson's driver cannot set it (``PINS.md``): fit a resistor.
    ``module`` is one of ``pin_tables.MODULES``, None for the one that this is; ``factory`` any
    gpiozero pin factory in its place.

    Raises ``ConfigError`` for a pin that is none, is held by another program or may not be used,
    and where chip, module or libraries are missing.
    """
    return GpioSwitch(_open("InputDevice", pin, module, factory, pull_up=pull_up), _label(pin))


def open_output(pin: int | str, *, module: str | None = None, factory: Any = None) -> GpioOutput:
    """Open ``pin`` as an output, low; otherwise as ``open_input``."""
    return GpioOutput(_open("OutputDevice", pin, module, factory), _label(pin))


def _open(kind: str, pin: int | str, module: str | None, factory: Any, **how: object) -> Any:
    try:
        import gpiozero
        import gpiozero.exc

        if factory is None:
            factory = _shared_factory(module)
    except ImportError as error:
        raise ConfigError(
            f"{_label(pin)} cannot be opened, because gpiozero or gpiod cannot be imported "
            f"({error}); install requirements/board.txt"
        ) from error
    except RuntimeError as error:  # which module this is
        raise ConfigError(str(error)) from error
    spec = f"BOARD{pin}" if isinstance(pin, int) else pin
    try:
        return getattr(gpiozero, kind)(spec, pin_factory=factory, **how)
    except (gpiozero.exc.GPIOZeroError, OSError) as error:
        # Both are one sentence already; gpiozero's own does not always say whose pin it is.
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{_label(pin)} cannot be opened: {text}") from error


def _shared_factory(module: str | None) -> Any:
    """One factory for each module: its pins are told apart from another program's, not its own."""
    from device.boards.pins import JetsonFactory

    with _factories_lock:
        if module not in _factories:
            _factories[module] = JetsonFactory(module)
        return _factories[module]


def _label(pin: int | str) -> str:
    return f"header pin {pin}" if isinstance(pin, int) else f"pin {pin}"


def _broken(error: OSError, what: str) -> OSError:
    return OSError(error.errno or errno.EIO, f"{what} ({error.strerror or error})")
