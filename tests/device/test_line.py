"""The relay's line, straight through libgpiod: on a library that a test holds in its hands."""

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from device.boards.line import header_pin, open_line
from device.boards.pin_tables import MODULES
from device.errors import ConfigError

gpiod_line = pytest.importorskip("gpiod.line")


class Library:
    """As much of gpiod as a line takes."""

    line = gpiod_line

    def __init__(self, labels: dict[str, str], error: OSError | None = None) -> None:
        self.labels = labels
        self.error = error
        self.asked: tuple[Any, ...] = ()
        self.levels: list[tuple[int, Any]] = []
        self.released = 0

    def Chip(self, path: str) -> Any:  # noqa: N802 - gpiod's name
        label = self.labels[Path(path).name]
        if label == "denied":
            raise PermissionError(errno.EACCES, "denied")
        chip = SimpleNamespace(get_info=lambda: SimpleNamespace(label=label))
        return _Context(chip)

    def LineSettings(self, **settings: Any) -> Any:  # noqa: N802 - gpiod's name
        return settings

    def request_lines(self, path: str, **asked: Any) -> Any:
        if self.error is not None:
            raise self.error
        self.asked = (path, asked)
        return self

    def set_value(self, offset: int, value: Any) -> None:
        if self.error is not None:
            raise self.error
        self.levels.append((offset, value))

    def release(self) -> None:
        self.released += 1


class _Context:
    def __init__(self, chip: Any) -> None:
        self._chip = chip

    def __enter__(self) -> Any:
        return self._chip

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def chips(tmp_path: Path) -> Path:
    for number in range(2):
        (tmp_path / f"gpiochip{number}").touch()
    return tmp_path


GOOD = {"gpiochip0": "tegra234-gpio-aon", "gpiochip1": "tegra234-gpio"}


def test_the_pin_s_line_is_taken_low_and_driven(chips: Path) -> None:
    library = Library(GOOD)
    output = open_line(31, "orin-nano", chips, library)
    path, asked = library.asked
    offset = MODULES["orin-nano"].lines[31].offset
    assert path.endswith("gpiochip1") and list(asked["config"]) == [offset]
    assert asked["config"][offset] == {"direction": gpiod_line.Direction.OUTPUT}
    output.set(True)
    output.set(False)
    assert library.levels == [
        (offset, gpiod_line.Value.ACTIVE),
        (offset, gpiod_line.Value.INACTIVE),
    ]
    output.close()
    output.close()
    assert library.released == 1


def test_a_line_that_fails_later_is_an_oserror_with_a_sentence(chips: Path) -> None:
    library = Library(GOOD)
    output = open_line(31, "orin-nano", chips, library)
    library.error = OSError(errno.ENODEV, "No such device")
    with pytest.raises(OSError, match="the line cannot be set"):
        output.set(True)


@pytest.mark.parametrize(
    ("pin", "labels", "error", "sentence"),
    [
        (1, GOOD, None, "pin 1 of the .* header is no GPIO"),
        (99, GOOD, None, "pin 99 of the .* header is no GPIO"),
        (31, {**GOOD, "gpiochip1": "other"}, None, "no GPIO chip labelled tegra234-gpio"),
        (31, {**GOOD, "gpiochip1": "denied"}, None, "group gpio"),
        (31, GOOD, OSError(errno.EBUSY, "busy"), "another program"),
        (31, GOOD, OSError(errno.EIO, "broken bus"), "broken bus"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_pin(
    chips: Path, pin: int, labels: dict[str, str], error: OSError | None, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence) as raised:
        open_line(pin, "orin-nano", chips, Library(labels, error))
    assert str(raised.value).startswith(f"header pin {pin} cannot be opened: ")


def test_a_module_that_is_not_known_is_named(chips: Path) -> None:
    with pytest.raises(ConfigError, match="must be one of"):
        open_line(31, "tx2", chips, Library(GOOD))


@pytest.mark.parametrize(
    ("spec", "pin"),
    [
        (29, 29),
        ("BOARD29", 29),
        ("board31", 31),
        ("GPIO5", 29),
        ("BCM6", 31),
        ("GPIO99", 0),
        ("J8:29", None),
        ("WPI0", None),
        ("", None),
    ],
)
def test_header_pins_by_their_names(spec: int | str, pin: int | None) -> None:
    assert header_pin(spec) == pin
