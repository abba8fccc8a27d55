"""One output straight from the kernel, for the relay: held again as soon as control runs.

A control process that died is started again while the guitar bypasses the pedal. gpiozero, the pin
factory on it and libgpiod's bindings take as many instructions to import as everything else that
control does to start: half a second of a slow module, in which the relay could be held already. So
the relay's line takes the shortest way, the kernel's own interface (linux/gpio.h, version 2, stable
since Linux 5.10, which libgpiod speaks too); every other pin goes through gpiozero (``gpio.py``)
as soon as that is loaded.
"""

import errno
import fcntl
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

from device.boards.pin_tables import BCM_BY_PIN, Line, find_module
from device.errors import ConfigError

CONSUMER = b"purga relay"
"""What ``gpioinfo`` shows."""

_CHIP_INFO = struct.Struct("=32s32sI")
"""``gpiochip_info``: name, label, number of lines."""
_GET_CHIP_INFO = 0x8044B401
_REQUEST = struct.Struct("=I252x32sQ264xI24xi")
"""``gpio_v2_line_request``: offset, consumer, flags, number of lines, the line's descriptor."""
_GET_LINE = 0xC250B407
_VALUES = struct.Struct("=QQ")
"""``gpio_v2_line_values``: levels, and which of them are meant."""
_SET_VALUES = 0xC010B40F
_FLAG_OUTPUT = 1 << 3

Ioctl = Callable[[int, int, bytearray], int]
_SPEC = re.compile(r"(BOARD|GPIO|BCM)(\d{1,2})")


class LineOutput:
    """A line that is driven high or low: ``board.Output``."""

    def __init__(self, descriptor: int, ioctl: Ioctl = fcntl.ioctl) -> None:
        """Take over the descriptor of a line that was requested."""
        self._descriptor: int | None = descriptor
        self._ioctl = ioctl
        self._levels = (bytearray(_VALUES.pack(0, 1)), bytearray(_VALUES.pack(1, 1)))

    def set(self, on: bool) -> None:
        """Drive it. Raises ``OSError``, also where its chip went away."""
        try:
            if self._descriptor is None:
                raise OSError(errno.EBADF, "it was given back")
            self._ioctl(self._descriptor, _SET_VALUES, self._levels[on])
        except OSError as error:
            raise OSError(
                error.errno or errno.EIO, f"the line cannot be set ({error.strerror or error})"
            ) from error

    def close(self) -> None:
        """Give the line back; any number of times."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


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
    pin: int,
    module: str | None = None,
    folder: Path = Path("/dev"),
    ioctl: Ioctl = fcntl.ioctl,
) -> LineOutput:
    """Take a pin of the header as an output, low.

    ``module`` is one of ``pin_tables.MODULES``, None for the one that this is; ``folder`` is where
    the chips' devices are, ``ioctl`` the kernel, for tests.

    Raises ``ConfigError`` for a pin that is no GPIO or is held by another program, and where the
    chip or the right to use it is missing.
    """
    try:
        line = _line(pin, module)
        chip = _chip(line, folder, ioctl)
        try:
            request = bytearray(_REQUEST.pack(line.offset, CONSUMER, _FLAG_OUTPUT, 1, 0))
            ioctl(chip, _GET_LINE, request)
        finally:
            os.close(chip)
    except LookupError as error:
        raise ConfigError(f"header pin {pin} cannot be opened: {error.args[0]}") from error
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno == errno.EBUSY:
            why = "another program or a driver holds its line; gpioinfo tells which"
        raise ConfigError(f"header pin {pin} cannot be opened: {why}") from error
    return LineOutput(_REQUEST.unpack(request)[-1], ioctl)


def _line(pin: int, name: str | None) -> Line:
    """The line of a pin. Raises ``LookupError`` with a sentence."""
    module = find_module(name)
    if pin not in module.lines:
        raise LookupError(
            f"pin {pin} of the {module.title}'s header is no GPIO; those are "
            f"{', '.join(map(str, sorted(module.lines)))}"
        )
    return module.lines[pin]


def _chip(line: Line, folder: Path, ioctl: Ioctl) -> int:
    """A descriptor of the chip of that label. Raises ``OSError``."""
    denied = False
    for path in sorted(folder.glob("gpiochip*")):
        try:
            chip = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            denied = denied or isinstance(error, PermissionError)
            continue  # gone meanwhile
        info = bytearray(_CHIP_INFO.size)
        try:
            ioctl(chip, _GET_CHIP_INFO, info)
            label = _CHIP_INFO.unpack(info)[1].rstrip(b"\0").decode(errors="replace")
        except OSError:
            label = ""  # no chip
        if label == line.chip:
            return chip
        os.close(chip)
    if denied:
        raise PermissionError(
            errno.EACCES, "no right to use the GPIO chips; add the pedal's user to group gpio"
        )
    raise OSError(errno.ENODEV, f"there is no GPIO chip labelled {line.chip}")
