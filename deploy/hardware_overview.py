"""Draws the pedal's wiring as a whole."""

from deploy.hardware_symbols import BLUE, RED, Sheet

GREY = "#444"


def overview() -> Sheet:
    """Every part that is plugged, and every pin."""
    s = Sheet(
        1600,
        1180,
        "Purga: the wiring",
        "Header pins of a Jetson Orin Nano or NX carrier, as pedal.toml has them by default. "
        "Drawn without power: the guitar passes.",
    )
    _supply(s)
    _header(s)
    _inputs(s)
    _outputs(s)
    _audio(s)
    return s


def _supply(s: Sheet) -> None:
    s.frame(40, 100, 1520, 150, "Power (hardware-power.svg)")
    s.terminal(120, 190, "12 V 5 A")
    s.wire((125, 190), (240, 190), width=3)
    s.box(240, 150, 260, 80, "Hold-off", note="module off below −13 °C, then latched")
    s.wire((500, 190), (700, 190), (700, 280), width=3)
    s.box(900, 150, 260, 80, "Pre-heater HR1 20 W", note="TS1 60 °C and F2 77 °C in series")
    s.wire((500, 210), (620, 210), (620, 170), (900, 170), dash="7 4")
    s.text(632, 162, "heats while the module has no power", size=12, colour=GREY)
    s.box(1240, 150, 260, 80, "D7 amber", note="lit by the heater's own current")
    s.wire((1160, 190), (1240, 190))


def _header(s: Sheet) -> None:
    s.frame(600, 280, 360, 600, "Jetson Orin Nano or NX, 40-pin header")
    left = (
        (60, "1 · 3.3 V"),
        (110, "24 · SPI0 /CS0"),
        (140, "23 · SPI0 CLK"),
        (170, "21 · SPI0 MISO"),
        (200, "19 · SPI0 MOSI"),
        (270, "29 · footswitch"),
        (380, "3 · I2C SDA"),
        (410, "5 · I2C SCL"),
        (480, "6, 9, 14 · ground"),
    )
    right = (
        (60, "5 V · 2"),
        (130, "relay pump · 31"),
        (250, "heater pump · 33"),
        (370, "LED status · 35"),
        (430, "LED fault · 37"),
        (500, "USB"),
    )
    s.box(640, 320, 280, 540, "", left, right)


def _inputs(s: Sheet) -> None:
    s.frame(40, 280, 530, 600, "Hands and feet (hardware-controls.svg)")
    s.box(60, 350, 150, 60, "RV1 knob 10 k", note="100 Ω at both ends")
    s.box(60, 440, 150, 60, "J3 expression", note="TRS, 10 … 50 k")
    spi = ((40, "CH0"), (110, "CH1"), (165, "CH7"))
    out = ((80, "/CS"), (110, "CLK"), (140, "DOUT"), (170, "DIN"))
    s.box(290, 350, 170, 190, "U1 MCP3008", spi, out)
    s.wire((210, 390), (290, 390))
    s.wire((210, 460), (290, 460))
    s.wire((190, 515), (290, 515))
    s.text(60, 527, "half the reference\n(R6, R7)", size=12, colour=GREY)
    for y in (430, 460, 490, 520):
        s.wire((460, y), (640, y))
    s.box(60, 565, 150, 50, "SW1 footswitch")
    s.box(290, 565, 170, 50, "U2 Schmitt trigger")
    s.wire((210, 590), (290, 590))
    s.wire((460, 590), (640, 590))
    s.box(60, 680, 400, 70, "U12 MCP9808", note="surface of the heated plate")
    s.box(60, 780, 400, 70, "U13 SHT35", note="air and humidity: the dew point")
    s.wire((460, 700), (640, 700))
    s.wire((460, 730), (640, 730))
    s.wire((460, 800), (530, 800), (530, 700))
    s.wire((460, 830), (500, 830), (500, 730))
    s.dot((530, 700), (500, 730))


def _outputs(s: Sheet) -> None:
    s.frame(990, 280, 570, 600, "What the pedal moves (hardware-pump.svg)")
    pump = "filter, hold 80 ms, arm 8 edges"
    for y, parts, load, note in (
        (420, "U4 U5 U6", "K1 relay coil", "5 V, no current: bypass"),
        (540, "U7 U8 U9", "HR2 heater 5 W", "12 V, TS2 60 °C, F3 77 °C"),
    ):
        s.box(1060, y, 230, 70, parts, note=pump)
        s.box(1350, y, 200, 70, load, note=note)
        s.wire((920, y + 30), (1060, y + 30))
        s.wire((1290, y + 30), (1350, y + 30))
    for y, part, led, colour in (
        (665, "Q5", "status, green", "#1b7f3b"),
        (725, "Q6", "fault, red", RED),
    ):
        s.box(1060, y, 230, 46, f"{part} and 680 Ω")
        s.wire((920, y + 25), (1060, y + 25))
        s.wire((1290, y + 25), (1400, y + 25))
        s.path(f"M1408,{y + 12} v26 L1432,{y + 25} z M1432,{y + 12} v26", colour)
        s.text(1446, y + 30, led)
    s.wire((920, 380), (990, 380), (1450, 380), (1450, 420))
    s.text(1060, 372, "5 V", size=12, bold=True, colour=RED)
    s.text(
        1010,
        815,
        "A line that stands still, high or low, holds nothing.",
        size=14,
        colour=GREY,
    )


def _audio(s: Sheet) -> None:
    s.frame(40, 910, 1520, 230, "Guitar: drawn at rest")
    s.terminal(120, 1010, "J1 guitar")
    s.wire((125, 1010), (250, 1010))
    s.clamp(170, 1060, "D8 24 V\nboth ways")
    s.wire((170, 1010), (170, 1030))
    s.ground(170, 1090)
    s.change_over(280, 1010, "K1 pole A")
    s.wire((310, 990), (340, 990), (340, 960), (1260, 960), (1260, 990), (1290, 990))
    s.text(
        560, 950, "bypass: the guitar passes without any part of the pedal", "middle", colour=BLUE
    )
    s.change_mirror(1320, 1010, "K1 pole B")
    s.wire((1350, 1010), (1475, 1010))
    s.clamp(1400, 1060, "D9 24 V\nboth ways")
    s.wire((1400, 1010), (1400, 1030))
    s.ground(1400, 1090)
    s.terminal(1480, 1010, "J2\namp", "right")
    s.wire((310, 1030), (470, 1030))
    s.resistor(500, 1030, "R30 100 Ω")
    s.wire((530, 1030), (660, 1030))
    s.resistor(400, 1070, "R31 1 M", upright=True)
    s.wire((400, 1030), (400, 1040))
    s.ground(400, 1100)
    s.box(660, 990, 240, 110, "USB interface", left=((40, "Hi-Z in"),), right=((40, "out"),))
    s.text(780, 1070, "class compliant,\ninstrument input ≥ 1 M", "middle", 12, colour=GREY)
    s.wire((900, 1030), (1030, 1030))
    s.resistor(1060, 1030, "R32 100 Ω")
    s.wire((1090, 1030), (1290, 1030))
    s.resistor(1180, 1070, "R33 10 k", upright=True)
    s.wire((1180, 1030), (1180, 1040))
    s.ground(1180, 1100)
    s.wire((920, 820), (975, 820), (975, 900), (780, 900), (780, 990))
    s.dot((170, 1010), (400, 1030), (1180, 1030), (1400, 1010))
