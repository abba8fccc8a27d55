"""Draws the circuits of ``deploy/hardware.md``: ``python -m deploy.hardware_sheets``."""

from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.hardware_overview import overview
from deploy.hardware_power import power
from deploy.hardware_symbols import BLUE, RED, Sheet

GREEN, GREY = "#1b7f3b", "#444"


def pump() -> Sheet:
    """What holds relay and heater."""
    s = Sheet(
        1600,
        850,
        "Held by edges: the relay's channel",
        "The heater's channel is the same on pin 33, with U7, U8, U9, Q3, Q4 for U4, U5, U6, "
        "Q1, Q2; what it switches is drawn on the right.",
    )
    s.frame(40, 100, 500, 330, "Filter: nothing above 1.5 kHz gets through")
    s.terminal(110, 240, "pin 31")
    s.wire((115, 240), (230, 240))
    s.resistor(260, 240, "R20\n15 k")
    s.resistor(160, 290, "R21\n100 k", upright=True)
    s.wire((160, 240), (160, 260))
    s.ground(160, 320)
    s.wire((290, 240), (420, 240))
    s.capacitor(330, 290, "C20\n100 nF\nC0G", upright=True)
    s.wire((330, 240), (330, 260))
    s.ground(330, 320)
    s.dot((160, 240), (330, 240))
    s.buffer(460, 240, "U4\n74LVC1G17\n3.3 V")
    s.wire((500, 240), (640, 240))
    s.text(60, 405, "Half periods from 2.5 ms pass; the pump's are 10 ms.", colour=GREY)

    s.frame(570, 100, 460, 330, "Hold: 76 … 83 ms after the last rising edge")
    left, right = ((90, "TRIG"), (150, "SET")), ((90, "DIV"), (150, "OUT"))
    s.box(640, 150, 180, 190, "U5 LTC6993-2", left, right, note="V+ 3.3 V, 100 nF")
    s.wire((640, 300), (610, 300), (610, 340))
    s.resistor(610, 370, "R22 ∥ R23\n2 × 243 k", upright=True)
    s.ground(610, 400)
    s.wire((820, 240), (910, 240))
    s.wire((910, 230), (910, 250))
    s.resistor(910, 200, "R24\n100 k", upright=True)
    s.supply(910, 170, "3.3 V")
    s.resistor(910, 280, "R25\n52.3 k", upright=True)
    s.ground(910, 310)
    s.dot((910, 240))
    s.wire((820, 300), (850, 300), (850, 470), (700, 470), (700, 560))

    s.frame(40, 450, 990, 360, "Arm: eight rising edges, none later than the hold time")
    s.wire((555, 240), (555, 590), (580, 590))
    s.dot((555, 240))
    s.box(580, 560, 220, 190, "", left=((30, "CLK"), (90, "A"), (130, "B")), right=((70, "QH"),))
    s.text(690, 650, "U6\n74HC164", "middle", 14, bold=True)
    s.text(690, 700, "VCC 3.3 V, 100 nF", "middle", 12, colour=GREY)
    s.text(708, 578, "/CLR", size=12)
    s.wire((580, 650), (540, 650), (540, 690), (580, 690))
    s.supply(540, 650, "")
    s.text(520, 644, "3.3 V", "end", bold=True, colour=RED)
    s.dot((540, 650))
    for row, (what, why) in enumerate(
        (
            (
                "Stray edges",
                "A boot, a pin set-up or a restart makes one\nor two: the register needs eight.",
            ),
            (
                "Stuck high or low",
                "No rising edge: OUT falls, /CLR clears\nthe register, both gates are low.",
            ),
            ("Reset, hang, dead process", "The same: pin 31 rests where it is."),
            ("Power off", "OUT, QH and both gates are low,\nthe coil has no supply."),
        )
    ):
        s.text(70, 510 + row * 76, what, size=14, bold=True)
        s.text(70, 530 + row * 76, why, size=14)
    s.wire((800, 630), (1080, 630), (1080, 710), (1180, 710))
    s.wire((850, 470), (1120, 470), (1120, 540), (1180, 540))
    s.dot((850, 470))

    s.frame(1060, 100, 500, 710, "Two switches in series: either one lets go")
    s.supply(1220, 190, "5 V (pin 2)")
    s.wire((1220, 190), (1220, 250))
    s.coil(1220, 280, "K1\nAXICOM IM02\n4.5 V, 145 Ω")
    s.wire((1220, 310), (1220, 510))
    s.wire((1220, 220), (1300, 220), (1300, 250))
    s.wire((1300, 310), (1300, 340), (1220, 340))
    s.two(
        1300,
        280,
        True,
        "M1270,280 h20 M1310,280 h20 M1310,269 v22 L1290,280 z M1290,269 v22",
        "D1 BAS16\nreleases\nin ≤ 5 ms",
        below=False,
    )
    s.dot((1220, 220), (1220, 340))
    s.nfet(1220, 540, "Q1\nNX3008NBK")
    s.resistor(1120, 580, "R26\n100 k", upright=True)
    s.wire((1120, 540), (1120, 550))
    s.ground(1120, 610)
    s.wire((1220, 570), (1220, 680))
    s.nfet(1220, 710, "Q2\nNX3008NBK")
    s.resistor(1120, 750, "R27\n100 k", upright=True)
    s.wire((1120, 710), (1120, 720))
    s.ground(1120, 780)
    s.ground(1220, 740)
    s.dot((1120, 540), (1120, 710))

    s.frame(1385, 370, 160, 420, "Heater instead")
    s.supply(1430, 440, "")
    s.text(1448, 434, "12 V, with\nthe module", bold=True, colour=RED)
    s.wire((1430, 440), (1430, 470))
    s.fuse(1430, 500, "F3 77 °C", upright=True)
    s.switch(1430, 560, "TS2 opens\nat 60 °C", closed=True, upright=True)
    s.resistor(1430, 620, "HR2\n28.8 Ω, 5 W", upright=True)
    s.wire((1430, 650), (1430, 690))
    s.path("M1424,682 L1430,692 L1436,682")
    s.text(1400, 716, "to the drain of Q3\n(Q3, Q4: as Q1, Q2,\nbut DMN3150L)")
    return s


def controls() -> Sheet:
    """Knob, expression pedal, footswitch, LEDs, thermometers."""
    s = Sheet(
        1600,
        1140,
        "Hands and feet: converter, footswitch, LEDs, thermometers",
        "3.3 V is the header's pin 1. Every header line drives, or is driven by, a CMOS gate.",
    )
    _potentiometers(s)
    _thermometers(s)
    _footswitch(s)
    _leds(s)
    return s


def _potentiometers(s: Sheet) -> None:
    s.frame(40, 100, 1080, 640, "Knob and expression pedal: all ratios of one reference")
    s.supply(110, 170, "3.3 V")
    s.resistor(110, 200, "R1 10 Ω", upright=True)
    s.wire((110, 230), (110, 250))
    s.wire((110, 240), (800, 240))
    s.capacitor(110, 280, "C1 10 µF", upright=True)
    s.ground(110, 310)
    s.wire((250, 240), (250, 250))
    s.resistor(250, 280, "R2 100 Ω", upright=True)
    s.wire((250, 310), (250, 320))
    s.resistor(250, 350, "", upright=True)
    s.text(228, 346, "RV1 10 k\nknob", "end")
    s.wire((250, 380), (250, 390))
    s.resistor(250, 420, "R3 100 Ω", upright=True)
    s.ground(250, 450)
    s.wire((262, 350), (330, 350))
    s.path("M270,344 L260,350 L270,356")
    s.resistor(360, 350, "R4 1 k")
    s.wire((390, 350), (800, 350))
    s.capacitor(440, 390, "C2\n100 nF", upright=True)
    s.wire((440, 350), (440, 360))
    s.ground(440, 420)
    s.resistor(530, 390, "R5\n1 M", upright=True)
    s.wire((530, 350), (530, 360))
    s.ground(530, 420)

    s.box(60, 480, 120, 150, "J3 TRS", right=((40, "ring"), (80, "tip"), (120, "sleeve")))
    s.wire((180, 520), (210, 520))
    s.resistor(240, 520, "R8 470 Ω")
    s.wire((270, 520), (620, 520), (620, 240))
    s.wire((180, 560), (330, 560))
    s.clamp(280, 600, "D2\nPESD5V0")
    s.wire((280, 560), (280, 570))
    s.ground(280, 630)
    s.resistor(360, 560, "R9 1 k", below=True)
    s.wire((390, 560), (800, 560))
    s.capacitor(440, 600, "C3\n100 nF", upright=True)
    s.wire((440, 560), (440, 570))
    s.ground(440, 630)
    s.resistor(530, 600, "R10\n1 M", upright=True)
    s.wire((530, 560), (530, 570))
    s.ground(530, 630)
    s.wire((180, 600), (200, 600), (200, 620))
    s.resistor(200, 650, "R11\n470 Ω", upright=True)
    s.ground(200, 680)

    s.wire((690, 240), (690, 250))
    s.resistor(690, 280, "R6 10 k", upright=True)
    s.wire((690, 310), (690, 650))
    s.wire((690, 640), (800, 640))
    s.resistor(690, 680, "R7 10 k", upright=True)
    s.ground(690, 710)
    s.text(706, 632, "half the reference", size=12, colour=BLUE)
    s.dot((110, 240), (250, 240), (440, 350), (530, 350), (620, 240), (690, 240), (690, 640))
    s.dot((280, 560), (440, 560), (530, 560))
    left = ((50, "VDD, VREF"), (160, "CH0"), (370, "CH1"), (450, "CH7"))
    right = ((60, "CLK"), (120, "DOUT"), (180, "DIN"), (240, "/CS"))
    s.box(830, 190, 180, 500, "U1 MCP3008-I", left, right)
    s.text(920, 500, "CH2 … CH6,\nAGND, DGND\nto ground", "middle", 12, colour=GREY)
    for y in (240, 350, 560, 640):
        s.wire((800, y), (830, y))
    for y, name in ((250, "pin 23"), (310, "pin 21"), (370, "pin 19"), (430, "pin 24")):
        s.wire((1010, y), (1035, y))
        s.terminal(1040, y, name, "right")


def _thermometers(s: Sheet) -> None:
    s.frame(1150, 100, 410, 640, "Thermometers")
    for y, name in ((180, "pin 3 SDA"), (230, "pin 5 SCL")):
        s.terminal(1250, y, name)
        s.wire((1255, y), (1500, y))
    for x, name, note in ((1190, "U12 MCP9808", "0x18"), (1380, "U13 SHT35", "0x44")):
        s.wire((x + 40, 180), (x + 40, 290)) if x > 1200 else s.wire((1270, 180), (1270, 290))
        s.wire((x + 110, 230), (x + 110, 290))
        s.box(x, 290, 150, 90, name, note=note)
    s.dot((1270, 180), (1420, 180), (1300, 230), (1490, 230))
    s.text(
        1175,
        430,
        "Both 3.3 V, 100 nF beside each. The carrier\nhas the pull-ups of the bus.\n\n"
        "U12: glued to the heated plate, the board's\nsurface temperature (hwmon jc42).\n\n"
        "U13: in the air of the box, away from\nheaters, under a membrane: the dew\n"
        "point (hwmon sht3x).\n\n"
        "Without them the pedal plays, without\nheater and dew guard.",
    )


def _footswitch(s: Sheet) -> None:
    s.frame(40, 770, 790, 330, "Footswitch")
    s.ground(90, 900)
    s.wire((90, 900), (110, 900))
    s.switch(140, 900, "SW1")
    s.wire((170, 900), (220, 900))
    s.clamp(195, 940, "D3\nPESD5V0")
    s.wire((195, 900), (195, 910))
    s.ground(195, 970)
    s.resistor(250, 900, "R12\n100 Ω")
    s.wire((280, 900), (350, 900))
    s.supply(315, 840, "3.3 V")
    s.resistor(315, 870, "R13\n1 k", upright=True)
    s.resistor(380, 900, "R14 10 k", below=True)
    s.wire((410, 900), (530, 900))
    s.capacitor(450, 940, "C5\n100 nF", upright=True)
    s.wire((450, 900), (450, 910))
    s.ground(450, 970)
    s.buffer(570, 900, "U2\n74LVC1G17\n3.3 V")
    s.wire((610, 900), (640, 900))
    s.resistor(670, 900, "R15\n100 Ω")
    s.wire((700, 900), (735, 900))
    s.terminal(740, 900, "pin 29", "right")
    s.dot((195, 900), (315, 900), (450, 900))
    s.text(
        60,
        1060,
        "3 mA wets the contact; a wet switch may leak down to 2.8 k; both edges 1 … 2.3 ms late.",
        colour=GREY,
    )


def _leds(s: Sheet) -> None:
    s.frame(860, 770, 700, 330, "LEDs")
    for x, pin, name, colour, part in (
        (1050, "pin 35", "status, green", GREEN, "Q5"),
        (1390, "pin 37", "fault, red", RED, "Q6"),
    ):
        number = part[1:]
        s.supply(x, 830, "5 V")
        s.wire((x, 830), (x, 835))
        s.resistor(x, 865, f"R{11 + int(number)} 680 Ω", upright=True)
        s.diode(x, 925, name, upright=True, led=colour)
        s.nfet(x, 985, f"{part} NX3008NBK")
        s.ground(x, 1015)
        s.terminal(x - 110, 985, pin)
        s.wire((x - 105, 985), (x - 40, 985))
        s.resistor(x - 70, 1025, "", upright=True)
        s.text(x - 92, 1020, f"R{13 + int(number)}\n100 k", "end")
        s.wire((x - 70, 985), (x - 70, 995))
        s.ground(x - 70, 1055)
        s.dot((x - 70, 985))


SHEETS: Mapping[str, Callable[[], Sheet]] = {
    "hardware.svg": overview,
    "hardware-pump.svg": pump,
    "hardware-controls.svg": controls,
    "hardware-power.svg": power,
}


def draw(folder: Path) -> None:
    """Write all sheets into ``folder``."""
    for name, sheet in SHEETS.items():
        (folder / name).write_text(sheet().svg(), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(__file__).parent)
