"""What gpiozero calls board information, for a Jetson: ``pinout``, names of pins, the header.

Import it lazily: it needs gpiozero.
"""

import os

from gpiozero.compat import frozendict
from gpiozero.pins import BoardInfo, HeaderInfo, PinInfo

from device.boards.pin_tables import BCM_BY_PIN, SPI_PINS, WIRING_BY_PIN, Module

PI_HEADER = "J8"
"""What the Raspberry Pi calls this header: ``"J8:11"`` works here too."""

_PINS = 40
_GREEN, _WHITE = "{style:white on green}", "{style:black on white}"
_DRAWING = "{style:reset}\n".join(
    f"{_GREEN}{line}"
    for line in (
        ".--------------------------------.",
        f"| {{HEADER:{{style}} col2}}{_GREEN} NAME      |",
        f"| {{HEADER:{{style}} col1}}{_GREEN}           |",
        f"|         {_WHITE}+------------+{_GREEN}         |",
        f"|         {_WHITE}|    {{soc}}    |{_GREEN}         |",
        f"|         {_WHITE}+------------+{_GREEN}         |",
        "| {style:bold}{model:31s}{style:normal}|",
        "'--------------------------------'{style:reset}",
    )
)


class JetsonBoardInfo(BoardInfo):  # type: ignore[misc]
    """A Jetson module on its developer kit, in the terms of a Raspberry Pi.

    What the carrier board has (USB, network, cameras) is the developer kit's.
    """

    __slots__ = ()

    @property
    def description(self) -> str:
        """The module by its maker's name."""
        return f"{self.manufacturer} {self.model}"


def board_info(module: Module) -> JetsonBoardInfo:
    """Describe ``module``; the memory is what this machine has."""
    agx = module.name == "agx"
    pins = frozendict({number: _pin(module, number) for number in range(1, _PINS + 1)})
    header = HeaderInfo(name=module.header, rows=_PINS // 2, columns=2, pins=pins)
    return JetsonBoardInfo(
        revision=module.parts[0],
        model=module.title,
        pcb_revision="",
        released=module.released,
        soc="T234",
        manufacturer="NVIDIA",
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20,
        storage="eMMC" if agx else "NVMe or MicroSD",
        usb=6 if agx else 5,
        usb3=6 if agx else 5,
        ethernet=1,
        eth_speed=10000 if agx else 1000,
        wifi=True,
        bluetooth=True,
        csi=1 if agx else 2,
        dsi=0,
        headers=frozendict({module.header: header}),
        board=_DRAWING.replace("HEADER", module.header).replace("NAME", f"{module.header:4s}"),
    )


def _pin(module: Module, number: int) -> PinInfo:
    """Describe one pin, under all names that gpiozero's users know it by."""
    is_gpio = number in module.lines
    names: set[str | int] = {
        f"{module.header}:{number}", f"{PI_HEADER}:{number}", f"BOARD{number}"
    }  # fmt: skip
    if (bcm := BCM_BY_PIN.get(number)) is not None:
        # Pins that are a GPIO on a Pi but not here keep these names, so that asking for one gets
        # an answer that says what the pin is.
        names |= {bcm, str(bcm), f"GPIO{bcm}", f"BCM{bcm}"}
    if number in WIRING_BY_PIN:
        names.add(f"WPI{WIRING_BY_PIN[number]}")
    name = f"GPIO{bcm}" if is_gpio else module.other[number]
    names.add(name)
    interfaces = {"gpio"} if is_gpio else set()
    if number in SPI_PINS:
        interfaces.add("spi")
    if not is_gpio and bcm is not None:
        interfaces.add("uart" if "UART" in name else "i2c")
    return PinInfo(
        number=number,
        name=name,
        names=frozenset(names),
        # The developer kits' level shifters pull nothing.
        pull="",
        row=(number + 1) // 2,
        col=2 - number % 2,
        interfaces=frozenset(interfaces or {""}),
    )
