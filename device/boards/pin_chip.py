"""GPIO chips found by label, and lines requested from them: libgpiod v2, with errors that tell.

Import it lazily: it needs gpiod and gpiozero.
"""

import contextlib
import errno
import os
import re
from pathlib import Path

import gpiod
from gpiozero.exc import GPIOPinInUse, PinError, PinUnsupported

from device.boards.pin_tables import Line


class PinChipMissing(PinError, OSError):  # type: ignore[misc]  # noqa: N818 - gpiozero's way
    """Error raised when there is no GPIO chip of the label that a pin needs."""


class PinChipDenied(PinError, PermissionError):  # type: ignore[misc]  # noqa: N818 - gpiozero's way
    """Error raised when a GPIO chip may not be opened by this user."""


class Chips:
    """The machine's GPIO chips, opened when one of their lines is first asked for.

    A chip that went away (unbound and bound again) is looked for anew at the next request.
    """

    def __init__(self, folder: Path = Path("/dev")) -> None:
        """Look for ``gpiochip*`` in ``folder``."""
        self._folder = folder
        self._open: dict[str, gpiod.Chip] = {}

    def request(self, line: Line, settings: gpiod.LineSettings, consumer: str) -> gpiod.LineRequest:
        """Take ``line`` for this process alone; ``consumer`` is what ``gpioinfo`` shows.

        Raises ``PinChipMissing``, ``PinChipDenied``, ``GPIOPinInUse`` for a line that another
        program or a driver holds, ``PinUnsupported`` for one that the chip does not have or
        grant, ``OSError`` for anything else.
        """
        chip = self._chip(line.chip)
        try:
            return self._take(chip, line, settings, consumer)
        except OSError as error:
            if error.errno not in (errno.ENODEV, errno.EBADF):
                raise
        self._forget(line.chip)
        return self._take(self._chip(line.chip), line, settings, consumer)

    def direction(self, line: Line) -> gpiod.line.Direction:
        """Return the way ``line`` points now, requested or not. Raises as ``request``."""
        return self._chip(line.chip).get_line_info(line.offset).direction

    def close(self) -> None:
        """Close the chips; lines that were requested live on."""
        for label in list(self._open):
            self._forget(label)

    def _take(
        self, chip: gpiod.Chip, line: Line, settings: gpiod.LineSettings, consumer: str
    ) -> gpiod.LineRequest:
        # gpiod's own check of the offset raises a ValueError that does not say which line.
        lines = chip.get_info().num_lines
        if line.offset >= lines:
            raise PinUnsupported(
                f"{line.chip} has {lines} lines, but line {line.offset} is needed; is this the "
                "right module?"
            )
        try:
            return chip.request_lines({line.offset: settings}, consumer=consumer)
        except OSError as error:
            if error.errno == errno.EBUSY:
                holder = self._holder(chip, line)
                raise GPIOPinInUse(
                    f"line {line.offset} of {line.chip} is held by {holder}; stop what holds it "
                    "(gpioinfo lists all lines)"
                ) from error
            if error.errno == errno.EPERM:
                raise PinUnsupported(
                    f"line {line.offset} of {line.chip} is not for this system to use (EPERM)"
                ) from error
            raise

    @staticmethod
    def _holder(chip: gpiod.Chip, line: Line) -> str:
        consumer = ""
        with contextlib.suppress(OSError):
            consumer = chip.get_line_info(line.offset).consumer
        return f"{consumer!r}" if consumer else "another program or a driver"

    def _chip(self, label: str) -> gpiod.Chip:
        if label not in self._open:
            self._open[label] = self._find(label)
        return self._open[label]

    def _find(self, label: str) -> gpiod.Chip:
        """Open the chip of that label; of several the first by number."""
        seen, denied = [], []
        for path in sorted(self._folder.glob("gpiochip*"), key=_number):
            try:
                if not gpiod.is_gpiochip_device(os.fspath(path)):
                    continue
                chip = gpiod.Chip(os.fspath(path))
            except PermissionError:
                denied.append(path.name)
                continue
            except OSError:  # gone between the listing and here
                continue
            found = chip.get_info().label
            if found == label:
                return chip
            seen.append(found)
            chip.close()
        if denied:
            raise PinChipDenied(
                errno.EACCES,
                f"{', '.join(denied)} may not be opened; add the user to the group gpio",
            )
        there = f"there are {', '.join(sorted(seen))}" if seen else "there is none at all"
        raise PinChipMissing(errno.ENODEV, f"no GPIO chip is labelled {label}: {there}")

    def _forget(self, label: str) -> None:
        with contextlib.suppress(OSError):
            self._open.pop(label).close()


def _number(path: Path) -> tuple[int, str]:
    digits = re.search(r"\d+$", path.name)
    return (int(digits[0]) if digits else 0, path.name)
