"""Symbols of IEC 60617 style for the drawings of ``deploy/hardware.md``, as SVG.

A sheet is drawn in pixels on a grid of 10; a part with two terminals is 60 long and named by its
centre. Text stands on white, so that no line runs through it.
"""

from collections.abc import Sequence
from html import escape

INK, PALE, BLUE, RED, AMBER = "#1a1a1a", "#f4f6f9", "#1f5fa8", "#b3261e", "#8a5a00"
FONT = "DejaVu Sans, Verdana, Arial, sans-serif"

Point = tuple[float, float]


class Sheet:
    """One drawing; parts are added in the order in which they lie on each other."""

    def __init__(self, width: int, height: int, title: str, subtitle: str) -> None:
        """Begin a white sheet with a title."""
        self._size = (width, height)
        self._frames: list[str] = []
        self._lines: list[str] = []
        self._parts: list[str] = []
        self._texts: list[str] = []
        self._title = title
        self.text(40, 44, title, size=24, bold=True)
        self.text(40, 70, subtitle, size=14, colour="#444")

    def svg(self) -> str:
        """The finished file."""
        width, height = self._size
        body = "\n".join([*self._frames, *self._lines, *self._parts, *self._texts])
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" font-family="{FONT}">\n'
            f"<title>{escape(self._title)}</title>\n"
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        anchor: str = "start",
        size: int = 13,
        bold: bool = False,
        colour: str = INK,
    ) -> None:
        """Lines of text, the first with its baseline at ``y``."""
        weight = ' font-weight="bold"' if bold else ""
        for row, line in enumerate(text.split("\n")):
            self._texts.append(
                f'<text x="{x:g}" y="{y + row * size * 1.3:g}" font-size="{size}" '
                f'text-anchor="{anchor}" fill="{colour}"{weight}>{escape(line)}</text>'
            )

    def frame(self, x: float, y: float, width: float, height: float, title: str) -> None:
        """A group of parts."""
        self._frames.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" '
            f'fill="{PALE}" stroke="#b8c2cf" stroke-dasharray="6 4"/>'
        )
        self.text(x + 12, y + 22, title, size=15, bold=True, colour=BLUE)

    def wire(self, *points: Point, colour: str = INK, width: float = 2, dash: str = "") -> None:
        """A line from point to point."""
        way = " ".join(f"{x:g},{y:g}" for x, y in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._lines.append(
            f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="{width:g}"'
            f'{dashes} stroke-linejoin="round"/>'
        )

    def dot(self, *points: Point) -> None:
        """Where wires are joined."""
        for x, y in points:
            self._parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="4" fill="{INK}"/>')

    def path(self, way: str, fill: str = "none", colour: str = INK, width: float = 2) -> None:
        """Any shape."""
        self._parts.append(
            f'<path d="{way}" fill="{fill}" stroke="{colour}" stroke-width="{width:g}" '
            'stroke-linejoin="round" stroke-linecap="round"/>'
        )

    def ground(self, x: float, y: float) -> None:
        """Ground, hanging from the point."""
        self.path(f"M{x},{y} v12 M{x - 12},{y + 12} h24 M{x - 7},{y + 17} h14 M{x - 3},{y + 22} h6")

    def supply(self, x: float, y: float, name: str) -> None:
        """A supply rail, standing on the point."""
        self.path(f"M{x},{y} v-12 M{x - 12},{y - 12} h24")
        self.text(x, y - 18, name, "middle", 13, bold=True, colour=RED)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        title: str,
        left: Sequence[tuple[float, str]] = (),
        right: Sequence[tuple[float, str]] = (),
        note: str = "",
    ) -> None:
        """A block; ``left`` and ``right`` name pins at heights below its upper edge."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" '
            f'fill="#ffffff" stroke="{INK}" stroke-width="2"/>'
        )
        self.text(x + width / 2, y + 20, title, "middle", 14, bold=True)
        if note:
            self.text(x + width / 2, y + 39, note, "middle", 12, colour="#444")
        for dy, name in left:
            self.text(x + 8, y + dy + 4, name, size=12)
        for dy, name in right:
            self.text(x + width - 8, y + dy + 4, name, "end", size=12)

    def two(self, x: float, y: float, upright: bool, shape: str, label: str, below: bool) -> None:
        """A part with two terminals 60 apart; its label right of it or, lying, above or below."""
        turn = f' transform="rotate(90 {x:g} {y:g})"' if upright else ""
        self._parts.append(
            f'<g{turn}><path d="{shape}" fill="#ffffff" stroke="{INK}" stroke-width="2" '
            'stroke-linejoin="round"/></g>'
        )
        rows = label.count("\n")
        if upright:
            self.text(x + 20, y + 5 - rows * 8, label)
        elif below:
            self.text(x, y + 30, label, "middle")
        else:
            self.text(x, y - 16 - rows * 17, label, "middle")

    def resistor(
        self, x: float, y: float, label: str, upright: bool = False, below: bool = False
    ) -> None:
        """A resistor."""
        shape = f"M{x - 30},{y} h12 M{x + 18},{y} h12 M{x - 18},{y - 8} h36 v16 h-36 z"
        self.two(x, y, upright, shape, label, below)

    def thermistor(self, x: float, y: float, label: str) -> None:
        """An upright resistor that falls with temperature."""
        self.resistor(x, y, label, upright=True)
        self.path(f"M{x - 20},{y + 18} h8 L{x + 14},{y - 18}")

    def capacitor(
        self, x: float, y: float, label: str, upright: bool = True, below: bool = False
    ) -> None:
        """A capacitor."""
        shape = f"M{x - 30},{y} h26 M{x + 4},{y} h26 M{x - 4},{y - 14} v28 M{x + 4},{y - 14} v28"
        self.two(x, y, upright, shape, label, below)

    def diode(self, x: float, y: float, label: str, upright: bool = False, led: str = "") -> None:
        """A diode, cathode to the right or, upright, below; ``led`` is its colour."""
        shape = (
            f"M{x - 30},{y} h20 M{x + 10},{y} h20 M{x - 10},{y - 11} v22 L{x + 10},{y} z "
            f"M{x + 10},{y - 11} v22"
        )
        self.two(x, y, upright, shape, label, below=False)
        if led:
            self.path(
                f"M{x - 18},{y - 6} l-14,-10 m0,8 v-8 h8 M{x - 18},{y + 6} l-14,-10 m0,8 v-8 h8",
                colour=led,
            )

    def clamp(self, x: float, y: float, label: str) -> None:
        """An upright suppressor to ground."""
        shape = (
            f"M{x - 30},{y} h20 M{x + 10},{y} h20 M{x - 10},{y - 11} v22 L{x + 10},{y} z "
            f"M{x + 10},{y - 11} v22 M{x + 10},{y - 11} l6,-5 M{x + 10},{y + 11} l-6,5"
        )
        self.two(x, y, True, shape, label, below=False)

    def buffer(self, x: float, y: float, label: str) -> None:
        """A Schmitt trigger, input at ``x - 40``, output at ``x + 40``."""
        self.path(
            f"M{x - 40},{y} h14 M{x + 26},{y} h14 M{x - 26},{y - 26} v52 L{x + 26},{y} z", "#ffffff"
        )
        self.path(f"M{x - 18},{y + 6} h9 v-12 h9 M{x - 14},{y + 6} v-12 h9", width=1.5)
        self.text(x, y + 44, label, "middle")

    def nfet(self, x: float, y: float, label: str) -> None:
        """An N channel: gate at ``(x - 40, y)``, drain above, source below at ``y ∓ 30``."""
        self.path(
            f"M{x - 40},{y} h22 M{x - 18},{y - 16} v32 M{x - 10},{y - 20} v40 "
            f"M{x - 10},{y - 14} h10 v-16 M{x - 10},{y + 14} h10 v16 M{x - 10},{y} h10 v14 "
            f"M{x - 3},{y - 4} l-7,4 l7,4"
        )
        self.text(x + 12, y + 4, label)

    def pfet(self, x: float, y: float, label: str) -> None:
        """A P channel on a line: source ``(x - 30, y)``, drain ``x + 30``, gate ``y + 40``."""
        self.path(
            f"M{x},{y + 40} v-22 M{x - 16},{y + 18} h32 M{x - 20},{y + 10} h40 "
            f"M{x - 14},{y + 10} v-10 h-16 M{x + 14},{y + 10} v-10 h16 M{x},{y + 10} v-10 h-14 "
            f"M{x - 4},{y + 8} l4,-7 l4,7"
        )
        self.text(x, y - 14, label, "middle")

    def coil(self, x: float, y: float, label: str) -> None:
        """An upright relay coil."""
        shape = f"M{x - 30},{y} h12 M{x + 18},{y} h12 M{x - 18},{y - 16} h36 v32 h-36 z"
        self.two(x, y, True, shape, "", below=False)
        self.path(f"M{x - 16},{y + 10} L{x + 16},{y - 10}")
        self.text(x - 28, y - 12, label, "end")

    def switch(
        self, x: float, y: float, label: str, closed: bool = False, upright: bool = False
    ) -> None:
        """A contact between ``x - 30`` and ``x + 30``, or ``y - 30`` and ``y + 30``."""
        arm = f"L{x + 14},{y + 1} M{x + 14},{y} v-8" if closed else f"L{x + 12},{y - 16}"
        shape = (
            f"M{x - 30},{y} h16 M{x + 14},{y} h16 M{x - 14},{y} {arm} "
            f"M{x - 17},{y} a3,3 0 1,0 6,0 a3,3 0 1,0 -6,0"
        )
        self.two(x, y, upright, shape, label if upright else "", below=False)
        if not upright:
            self.text(x, y - 24, label, "middle")

    def fuse(self, x: float, y: float, label: str, upright: bool = False) -> None:
        """A fuse."""
        shape = f"M{x - 18},{y - 8} h36 v16 h-36 z M{x - 30},{y} h60"
        self.two(x, y, upright, shape, label, below=False)

    def change_over(self, x: float, y: float, name: str) -> None:
        """A relay contact at rest: common ``(x - 30, y)``, NC ``(x + 30, y - 20)``, NO below."""
        self.path(
            f"M{x - 30},{y} h16 M{x - 14},{y} L{x + 16},{y - 19} "
            f"M{x + 14},{y - 20} h16 M{x + 14},{y + 20} h16"
        )
        for px, py in ((x - 14, y), (x + 14, y - 20), (x + 14, y + 20)):
            self.path(f"M{px - 3},{py} a3,3 0 1,0 6,0 a3,3 0 1,0 -6,0", "#ffffff")
        self.text(x + 2, y + 86, name, "middle", 12)
        self.text(x + 34, y - 26, "NC", size=11)
        self.text(x + 34, y + 14, "NO", size=11)

    def change_mirror(self, x: float, y: float, name: str) -> None:
        """The same the other way round: common ``(x + 30, y)``, NC and NO on the left."""
        self.path(
            f"M{x + 30},{y} h-16 M{x + 14},{y} L{x - 16},{y - 19} "
            f"M{x - 14},{y - 20} h-16 M{x - 14},{y + 20} h-16"
        )
        for px, py in ((x + 14, y), (x - 14, y - 20), (x - 14, y + 20)):
            self.path(f"M{px - 3},{py} a3,3 0 1,0 6,0 a3,3 0 1,0 -6,0", "#ffffff")
        self.text(x - 2, y + 86, name, "middle", 12)
        self.text(x - 34, y - 26, "NC", "end", size=11)
        self.text(x - 34, y + 14, "NO", "end", size=11)

    def terminal(self, x: float, y: float, label: str, side: str = "left") -> None:
        """An open end: a header pin or a connector."""
        self.path(f"M{x - 5},{y} a5,5 0 1,0 10,0 a5,5 0 1,0 -10,0", "#ffffff", BLUE)
        anchor, dx = ("end", -12) if side == "left" else ("start", 12)
        rows = label.count("\n")
        self.text(x + dx, y + 5 - rows * 8, label, anchor, 13, colour=BLUE)
