"""The relay's line, straight from the kernel: on a kernel that a test holds in its hands."""

import errno
import os
import struct
from pathlib import Path

import pytest

from device.boards.line import header_pin, open_line
from device.boards.pin_tables import MODULES
from device.errors import ConfigError

# As linux/gpio.h has them: _IOR(0xB4, 1, 68 bytes), _IOWR(0xB4, 7, 592), _IOWR(0xB4, 15, 16).
CHIP_INFO = 2 << 30 | 68 << 16 | 0xB4 << 8 | 1
GET_LINE = 3 << 30 | 592 << 16 | 0xB4 << 8 | 7
SET_VALUES = 3 << 30 | 16 << 16 | 0xB4 << 8 | 15


class Kernel:
    """As much of the GPIO interface as one line takes, laid out by hand from linux/gpio.h."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.labels = labels
        self.error: OSError | None = None
        self.taken: tuple[str, int, int, bytes] | None = None
        self.levels: list[int] = []
        self.line = -1

    def __call__(self, descriptor: int, request: int, data: bytearray) -> int:
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
        if request == CHIP_INFO:
            if self.labels[name] == "":
                raise OSError(errno.ENOTTY, "not a chip")
            struct.pack_into("32s32sI", data, 0, name.encode(), self.labels[name].encode(), 164)
            return 0
        if self.error is not None:
            raise self.error
        if request == GET_LINE:
            assert len(data) == 592
            offset, consumer = struct.unpack_from("I", data, 0)[0], bytes(data[256:288])
            flags, attributes = struct.unpack_from("QI", data, 288)
            lines = struct.unpack_from("I", data, 560)[0]
            assert (attributes, lines) == (0, 1)
            self.taken = (self.labels[name], offset, flags, consumer.rstrip(b"\0"))
            self.line = os.open("/dev/null", os.O_RDONLY)
            struct.pack_into("i", data, 588, self.line)
            return 0
        assert request == SET_VALUES and descriptor == self.line
        bits, mask = struct.unpack("QQ", data)
        assert mask == 1
        self.levels.append(bits)
        return 0


@pytest.fixture
def chips(tmp_path: Path) -> Path:
    for number in range(3):
        (tmp_path / f"gpiochip{number}").touch()
    return tmp_path


GOOD = {"gpiochip0": "", "gpiochip1": "tegra234-gpio-aon", "gpiochip2": "tegra234-gpio"}


def test_the_pin_s_line_is_taken_low_and_driven(chips: Path) -> None:
    kernel = Kernel(GOOD)
    output = open_line(31, "orin-nano", chips, kernel)
    offset = MODULES["orin-nano"].lines[31].offset
    assert kernel.taken == ("tegra234-gpio", offset, 1 << 3, b"purga relay")
    output.set(True)
    output.set(False)
    assert kernel.levels == [1, 0]
    output.close()
    output.close()
    with pytest.raises(OSError):
        os.fstat(kernel.line)
    with pytest.raises(OSError, match="given back"):
        output.set(True)


def test_no_descriptor_is_left_open(chips: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    kernel = Kernel(GOOD)
    open_line(31, "orin-nano", chips, kernel).close()
    kernel.error = OSError(errno.EBUSY, "busy")
    with pytest.raises(ConfigError):
        open_line(31, "orin-nano", chips, kernel)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_line_that_fails_later_is_an_oserror_with_a_sentence(chips: Path) -> None:
    kernel = Kernel(GOOD)
    output = open_line(31, "orin-nano", chips, kernel)
    kernel.error = OSError(errno.ENODEV, "No such device")
    with pytest.raises(OSError, match="the line cannot be set"):
        output.set(True)
    output.close()


@pytest.mark.parametrize(
    ("pin", "label", "error", "sentence"),
    [
        (1, "tegra234-gpio", None, "pin 1 of the .* header is no GPIO"),
        (99, "tegra234-gpio", None, "pin 99 of the .* header is no GPIO"),
        (31, "other", None, "no GPIO chip labelled tegra234-gpio"),
        (31, "tegra234-gpio", OSError(errno.EBUSY, "busy"), "another program"),
        (31, "tegra234-gpio", OSError(errno.EIO, "broken bus"), "broken bus"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_pin(
    chips: Path, pin: int, label: str, error: OSError | None, sentence: str
) -> None:
    kernel = Kernel({**GOOD, "gpiochip2": label})
    kernel.error = error
    with pytest.raises(ConfigError, match=sentence) as raised:
        open_line(pin, "orin-nano", chips, kernel)
    assert str(raised.value).startswith(f"header pin {pin} cannot be opened: ")


def test_a_chip_that_may_not_be_opened_is_a_matter_of_rights(
    chips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr("device.boards.line.os.open", denied)
    with pytest.raises(ConfigError, match="group gpio") as raised:
        open_line(31, "orin-nano", chips, Kernel(GOOD))
    assert isinstance(raised.value.__cause__, PermissionError)


def test_a_module_that_is_not_known_is_named(chips: Path) -> None:
    with pytest.raises(ConfigError, match="must be one of"):
        open_line(31, "tx2", chips, Kernel(GOOD))


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
