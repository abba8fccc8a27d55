"""The 40-pin header of the Jetson Orin modules: which line of which GPIO chip each pin is.

Plain data, no library. The header has the Raspberry Pi's layout, so a pin also has a BCM number.
Lines and device-tree names are those of NVIDIA's Jetson.GPIO (``gpio_pin_data.py``, MIT), what the
other pins carry is that of NVIDIA's developer kits. A chip is named by its label, because its
number (``/dev/gpiochip0``) depends on the order in which drivers start.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

MODULE_VARIABLE = "PURGA_JETSON_MODULE"
"""Names the module where the device tree does not, as on an emulated machine."""

DEVICE_TREE = Path("/proc/device-tree")

MAIN, AON = "tegra234-gpio", "tegra234-gpio-aon"
"""Labels of the SoC's two chips; the second stays powered while the rest sleeps."""


class Line(NamedTuple):
    """One line of a GPIO chip."""

    chip: str
    """The chip's label."""
    offset: int


class Module(NamedTuple):
    """A module on its developer kit's carrier board."""

    name: str
    """As in ``pedal.toml``: ``"orin-nano"``."""
    title: str
    """As NVIDIA calls it."""
    parts: tuple[str, ...]
    """Its part numbers, as the device tree's ``compatible`` has them."""
    header: str
    """What is printed beside the carrier board's header."""
    released: str
    lines: Mapping[int, Line]
    """Header pin to line."""
    other: Mapping[int, str]
    """Header pin to what it carries, for pins that are no GPIO."""


BCM_BY_PIN: Mapping[int, int] = {
    3: 2, 5: 3, 7: 4, 8: 14, 10: 15, 11: 17, 12: 18, 13: 27, 15: 22, 16: 23, 18: 24, 19: 10,
    21: 9, 22: 25, 23: 11, 24: 8, 26: 7, 27: 0, 28: 1, 29: 5, 31: 6, 32: 12, 33: 13, 35: 19,
    36: 16, 37: 26, 38: 20, 40: 21,
}  # fmt: skip
"""Raspberry Pi's numbers, whether or not the pin is a GPIO here."""

WIRING_BY_PIN: Mapping[int, int] = {
    3: 8, 5: 9, 7: 7, 8: 15, 10: 16, 11: 0, 12: 1, 13: 2, 15: 3, 16: 4, 18: 5, 19: 12, 21: 13,
    22: 6, 23: 14, 24: 10, 26: 11, 27: 30, 28: 31, 29: 21, 31: 22, 32: 26, 33: 23, 35: 24, 36: 27,
    37: 25, 38: 28, 40: 29,
}  # fmt: skip
"""wiringPi's numbers, which gpiozero takes too (``"WPI0"``)."""

SPI_PINS = frozenset({19, 21, 23, 24, 26})
"""MOSI, MISO, clock and two selects of ``/dev/spidev0.*``."""

_POWER = {
    1: "3V3", 2: "5V", 4: "5V", 6: "GND", 9: "GND", 14: "GND", 17: "3V3", 20: "GND", 25: "GND",
    30: "GND", 34: "GND", 39: "GND",
}  # fmt: skip


def _lines(main: Mapping[int, int], aon: Mapping[int, int]) -> Mapping[int, Line]:
    table = {pin: Line(MAIN, offset) for pin, offset in main.items()}
    table |= {pin: Line(AON, offset) for pin, offset in aon.items()}
    return dict(sorted(table.items()))


# Orin NX and Orin Nano are one board with different chips: one table.
_SMALL = _lines(
    {
        7: 144, 11: 112, 12: 50, 13: 122, 15: 85, 16: 126, 18: 125, 19: 135, 21: 134, 22: 123,
        23: 133, 24: 136, 26: 137, 29: 105, 31: 106, 32: 41, 33: 43, 35: 53, 36: 113, 37: 124,
        38: 52, 40: 51,
    },
    {},
)  # fmt: skip
_AGX = _lines(
    {
        7: 106, 11: 112, 12: 50, 13: 108, 15: 85, 18: 43, 19: 135, 21: 134, 22: 96, 23: 133,
        24: 136, 26: 137, 35: 53, 36: 113, 38: 52, 40: 51,
    },
    {16: 9, 29: 1, 31: 0, 32: 8, 33: 2, 37: 3},
)  # fmt: skip
_UART = {8: "UART1_TX", 10: "UART1_RX"}
_SMALL_OTHER = _POWER | _UART | {3: "I2C1_SDA", 5: "I2C1_SCL", 27: "I2C0_SDA", 28: "I2C0_SCL"}
_AGX_OTHER = _POWER | _UART | {3: "I2C5_SDA", 5: "I2C5_SCL", 27: "I2C2_SDA", 28: "I2C2_SCL"}

MODULES: Mapping[str, Module] = {
    module.name: module
    for module in (
        Module(
            "orin-nano",
            "Jetson Orin Nano",
            ("p3767-0003", "p3767-0004", "p3767-0005"),
            "J12",
            "2023Q1",
            _SMALL,
            _SMALL_OTHER,
        ),
        Module(
            "orin-nx",
            "Jetson Orin NX",
            ("p3767-0000", "p3767-0001"),
            "J12",
            "2023Q1",
            _SMALL,
            _SMALL_OTHER,
        ),
        Module(
            "agx",
            "Jetson AGX Orin",
            ("p3701-0000", "p3701-0001", "p3701-0004", "p3701-0005", "p3701-0008"),
            "J30",
            "2022Q1",
            _AGX,
            _AGX_OTHER,
        ),
    )
}


def find_module(name: str | None = None, device_tree: Path = DEVICE_TREE) -> Module:
    """Tell which module this is: by ``name``, ``PURGA_JETSON_MODULE``, or the device tree.

    Raises ``LookupError`` with one sentence for a name that is none, and where nothing tells.
    """
    asked, where = name, "the module"
    if asked is None and (variable := os.environ.get(MODULE_VARIABLE)):
        asked, where = variable, MODULE_VARIABLE
    if asked is not None:
        if asked not in MODULES:
            raise LookupError(f"{where} is {asked!r}, but must be one of {', '.join(MODULES)}")
        return MODULES[asked]
    compatible = _strings(device_tree / "compatible")
    for module in MODULES.values():
        if any(part in entry for entry in compatible for part in module.parts):
            return module
    model = " ".join(_strings(device_tree / "model"))
    # A carrier board of another maker may leave out the part number, but rarely the name.
    for module in MODULES.values():
        if module.title.removeprefix("Jetson ").lower() in model.lower():
            return module
    what = f"the device tree says {model!r}" if model else f"{device_tree} does not say"
    raise LookupError(
        f"which Jetson this is cannot be told: {what}; set {MODULE_VARIABLE} to one of "
        f"{', '.join(MODULES)}"
    )


def _strings(file: Path) -> list[str]:
    """The strings of a device-tree property, none where it is not there."""
    try:
        data = file.read_bytes()
    except OSError:
        return []
    return [part.decode("ascii", "replace") for part in data.split(b"\0") if part]
