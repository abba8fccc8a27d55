"""Draws the power hold-off and the pre-heater, which need no firmware."""

from deploy.hardware_symbols import AMBER, BLUE, Sheet

GREY = "#444"


def power() -> Sheet:
    """From the supply to the carrier board."""
    s = Sheet(
        1600,
        1020,
        "Below −13 °C: the module's power is held off and the box is heated",
        "No firmware takes part: the module's boot chain refuses to start in deep cold, "
        "so nothing it runs can help.",
    )
    _switch(s)
    _comparator(s)
    _heater(s)
    return s


def _switch(s: Sheet) -> None:
    s.frame(40, 100, 1520, 260, "Supply")
    s.terminal(100, 200, "12 V\n5 A")
    s.wire((105, 200), (150, 200))
    s.fuse(180, 200, "F1 5 A slow")
    s.wire((210, 200), (1150, 200))
    s.clamp(280, 250, "D5\nSMBJ18A")
    s.wire((280, 200), (280, 220))
    s.ground(280, 280)
    s.wire((440, 200), (440, 290), (470, 290))
    s.box(470, 250, 180, 80, "U11 TPS70950", left=((40, "IN"),), right=((40, "OUT"),))
    s.wire((650, 290), (695, 290))
    s.terminal(700, 290, "5 V, for U10 only\n(2.2 µF on both)", "right")
    s.wire((1080, 200), (1080, 220))
    s.resistor(1080, 250, "R40\n100 k", upright=True)
    s.wire((980, 200), (980, 220))
    s.two(
        980,
        250,
        True,
        "M950,250 h20 M990,250 h20 M990,239 v22 L970,250 z M970,239 v22 M970,239 l6,-5 "
        "M970,261 l-6,5",
        "D6\n15 V",
        below=False,
    )
    s.wire((980, 280), (980, 290), (1180, 290))
    s.wire((880, 200), (880, 220))
    s.capacitor(880, 250, "C40\n1 µF", upright=True)
    s.wire((880, 280), (880, 290), (980, 290))
    s.wire((1080, 280), (1080, 290))
    s.pfet(1180, 200, "Q10 DMP3012LPS")
    s.wire((1180, 240), (1180, 380))
    s.wire((1210, 200), (1475, 200))
    s.terminal(1480, 200, "")
    s.text(1550, 168, "12 V with the module:\ncarrier's DC jack, HR2", "end", colour=BLUE)
    s.dot(
        (280, 200),
        (440, 200),
        (980, 200),
        (1080, 200),
        (1080, 290),
        (1180, 290),
        (880, 200),
        (980, 290),
        (1420, 200),
    )


def _comparator(s: Sheet) -> None:
    s.frame(40, 390, 1520, 270, "Hold-off: released at −13 °C (−14.3 … −11.7), then latched")
    s.supply(330, 460, "5 V")
    s.resistor(330, 490, "R45\n100 k", upright=True)
    s.wire((330, 520), (330, 540))
    s.wire((330, 530), (640, 530))
    s.resistor(330, 570, "R46\n100 k", upright=True)
    s.ground(330, 600)
    s.supply(500, 450, "5 V")
    s.resistor(500, 480, "R44\n71.5 k", upright=True)
    s.wire((500, 510), (500, 580))
    s.wire((500, 570), (640, 570))
    s.thermistor(500, 610, "")
    s.text(474, 600, "TH1 10 k\non the plate", "end")
    s.ground(500, 638)
    s.box(640, 495, 140, 110, "", left=((35, "IN+"), (75, "IN-")), right=((55, "OUT"),))
    s.text(710, 530, "U10", "middle", 14, bold=True)
    s.text(710, 596, "TLV7031", "middle", 13, bold=True)
    s.wire((780, 550), (860, 550))
    s.wire((610, 530), (610, 450), (680, 450))
    s.resistor(710, 450, "R47 1 M")
    s.wire((740, 450), (810, 450), (810, 550))
    s.nfet(900, 550, "Q12")
    s.wire((900, 520), (900, 450), (1180, 450))
    s.ground(900, 580)
    s.resistor(840, 600, "", upright=True)
    s.text(858, 624, "R49\n100 k")
    s.wire((840, 550), (840, 570))
    s.ground(840, 628)
    s.resistor(1180, 410, "", upright=True)
    s.text(1200, 408, "R41 10 k")
    s.wire((1180, 440), (1180, 450))
    s.nfet(1080, 550, "Q11: the latch")
    s.wire((1080, 520), (1080, 450))
    s.ground(1080, 580)
    s.wire((1420, 200), (1420, 440))
    s.resistor(1420, 470, "R42\n100 k", upright=True)
    s.wire((1420, 500), (1420, 540))
    s.resistor(1420, 570, "R43\n33 k", upright=True)
    s.ground(1420, 600)
    s.capacitor(1340, 570, "C41\n100 nF", upright=True)
    s.wire((1340, 520), (1340, 540))
    s.ground(1340, 600)
    s.wire((1420, 520), (1260, 520), (1260, 675), (1000, 675))
    s.wire((1000, 675), (1000, 550), (1040, 550))
    s.wire((1000, 675), (180, 675), (180, 900), (260, 900))
    s.dot(
        (330, 530),
        (500, 570),
        (610, 530),
        (810, 550),
        (840, 550),
        (1420, 520),
        (1000, 675),
        (1080, 450),
    )
    s.text(
        60,
        450,
        "Open TH1: as cold, no start.\nShorted TH1: as warm, the\nmodule refuses by itself.\n"
        "Either way the relay rests:\nthe guitar passes.",
        colour=GREY,
    )


def _heater(s: Sheet) -> None:
    s.frame(40, 690, 1520, 290, "")
    s.text(
        200,
        716,
        "Pre-heater: on exactly while the module's power is held off",
        size=15,
        bold=True,
        colour=BLUE,
    )
    s.supply(300, 770, "12 V")
    s.resistor(300, 800, "R50\n100 k", upright=True)
    s.wire((300, 830), (300, 870))
    s.nfet(300, 900, "Q14")
    s.ground(300, 930)
    s.wire((300, 850), (1260, 850))
    s.resistor(430, 890, "R51\n47 k", upright=True)
    s.wire((430, 850), (430, 860))
    s.ground(430, 920)
    s.supply(620, 790, "12 V")
    s.wire((620, 790), (670, 790))
    s.fuse(700, 790, "F2 77 °C")
    s.wire((730, 790), (810, 790))
    s.switch(840, 790, "TS1 opens at 60 °C", closed=True)
    s.wire((870, 790), (1000, 790))
    s.resistor(1030, 790, "HR1 7.2 Ω, 20 W", below=True)
    s.wire((1060, 790), (1300, 790), (1300, 820))
    s.wire((950, 790), (950, 740), (970, 740))
    s.resistor(1000, 740, "R52 2.2 k", below=False)
    s.wire((1030, 740), (1060, 740))
    s.diode(1090, 740, "", led=AMBER)
    s.text(1112, 728, "D7 amber: heating")
    s.wire((1120, 740), (1160, 740), (1160, 790))
    s.nfet(1300, 850, "Q13 DMN3150L")
    s.ground(1300, 880)
    s.dot((300, 850), (430, 850), (950, 790), (1160, 790))
    s.text(
        520,
        905,
        "With the module's power Q14 pulls the gate of Q13 low. Should Q13 short or Q14 open,\n"
        "TS1 limits the box to 60 °C, and F2 ends it for good at 77 °C. D7 shows current\n"
        "through HR1, not a wish. Q11, Q12, Q14: NX3008NBK. C40 keeps Q10 off at plugging.",
        colour=GREY,
    )
