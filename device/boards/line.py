"""One output straight through libgpiod, for the relay: held again as soon as control runs.

A control process that died is started again while the guitar bypasses the pedal. gpiozero and the
pin factory on it take 200 million instructions to import, 0.4 s of a slow module, in which the
relay could be held already; so the relay's line takes the shorter way, and every other pin goes
through gpiozero (``gpio.py``) as soon as that is loaded.
"""

import errno
import os
import re
from pathlib import Path
from typing import Any

from device.boards.pin_tables import BCM_BY_PIN, Line, find_module
from device.errors import ConfigError

CONSUMER = "purga relay"
"""What ``gpioinfo`` shows."""
_SPEC = re.compile(r"(BOARD|GPIO|BCM)(\d{1,2})")


class LineOutput:
    """A line that is driven high or low: ``board.Output``."""

    def __init__(self, request: Any, offset: int) -> None:
        """Take over a line request of libgpiod."""
        from gpiod.line import Value

        self._request = request
        self._offset = offset
        self._levels = (Value.INACTIVE, Value.ACTIVE)

    def set(self, on: bool) -> None:
        """Drive it. Raises ``OSError``, also where its chip went away."""
        try:
            self._request.set_value(self._offset, self._levels[on])
        except OSError as error:
            raise OSError(
                error.errno or errno.EIO, f"the line cannot be set ({error.strerror or error})"
            ) from error

    def close(self) -> None:
        """Give the line back; any number of times."""
        request, self._request = self._request, None
        if request is not None:
            request.release()


def header_pin(spec: int | str) -> int | None:
    """The pin of ``29``, ``"BOARD29"``, ``"GPIO5"`` or ``"BCM5"``; None for other names."""
    if isinstance(spec, int):
        return spec
    found = _SPEC.fullmatch(spec.upper())
    if found is None:
        return None
    number = int(found[2])
    if found[1] == "BOARD":
        return number
    return next((pin for pin, bcm in BCM_BY_PIN.items() if bcm == number), 0)


def open_line(
    pin: int, module: str | None = None, folder: Path = Path("/dev"), library: Any = None
) -> LineOutput:
    """Take a pin of the header as an output, low.

    ``module`` is one of ``pin_tables.MODULES``, None for the one that this is; ``folder`` is where
    the chips' devices are, ``library`` a module like ``gpiod``, for tests.

    Raises ``ConfigError`` for a pin that is no GPIO or is held by another program, and where the
    chip, the right to use it or the library is missing.
    """
    try:
        if library is None:
            import gpiod as library
        line = _line(pin, module)
        path = _chip(line, folder, library)
        settings = library.LineSettings(direction=library.line.Direction.OUTPUT)
        request = library.request_lines(
            os.fspath(path), consumer=CONSUMER, config={line.offset: settings}
        )
    except ImportError as error:
        raise ConfigError(
            f"header pin {pin} cannot be opened: gpiod cannot be imported ({error}); install "
            "requirements/board.txt"
        ) from error
    except (LookupError, ValueError) as error:
        raise ConfigError(f"header pin {pin} cannot be opened: {error.args[0]}") from error
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno == errno.EBUSY:
            why = "another program or a driver holds its line; gpioinfo tells which"
        raise ConfigError(f"header pin {pin} cannot be opened: {why}") from error
    return LineOutput(request, line.offset)


def _line(pin: int, name: str | None) -> Line:
    """The line of a pin. Raises ``LookupError`` with a sentence."""
    module = find_module(name)
    if pin not in module.lines:
        raise LookupError(
            f"pin {pin} of the {module.title}'s header is no GPIO; those are "
            f"{', '.join(map(str, sorted(module.lines)))}"
        )
    return module.lines[pin]


def _chip(line: Line, folder: Path, library: Any) -> Path:
    """The device of the chip of that label. Raises ``OSError``."""
    denied = False
    for path in sorted(folder.glob("gpiochip*")):
        try:
            with library.Chip(os.fspath(path)) as chip:
                if chip.get_info().label == line.chip:
                    return path
        except PermissionError:
            denied = True
        except OSError:
            continue  # no chip, or gone meanwhile
    if denied:
        raise PermissionError(
            errno.EACCES, "no right to use the GPIO chips; add the pedal's user to group gpio"
        )
    raise OSError(errno.ENODEV, f"there is no GPIO chip labelled {line.chip}")
