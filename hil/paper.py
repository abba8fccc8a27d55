"""Sheets of A4 with a stamp on each: headings, tables that break across sheets, drawings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from hil.charts import PALETTE, Box, Line, Picture, Text

FONT = "DejaVu"
_MM = 25.4 / 72.0
"""Of a point, in which drawings are measured."""
_MARGIN, _LINE = 16.0, 4.4


def _rgb(name: str) -> tuple[int, int, int]:
    code = PALETTE[name]
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


class Paper(FPDF):
    """A report's sheets; ``stamp`` and ``foot`` stand on every one."""

    def __init__(self, title: str, stamp: str, foot: str) -> None:
        """Begin, without a sheet."""
        super().__init__(format="A4")
        # The letters come with matplotlib, which every installation has: ≤ and − are in them.
        fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
        self.add_font(FONT, "", fonts / "DejaVuSans.ttf")
        self.add_font(FONT, "B", fonts / "DejaVuSans-Bold.ttf")
        self.heading, self.stamp, self.foot = title, stamp, foot
        self.set_title(title)
        self.set_lang("en-GB")
        self.set_margins(_MARGIN, 24.0, _MARGIN)
        self.set_auto_page_break(True, margin=18.0)
        self.alias_nb_pages()

    # -- what stands on every sheet ---------------------------------------------------------------

    def header(self) -> None:
        """The title and the stamp."""
        self.set_font(FONT, "", 8)
        self.set_text_color(*_rgb("muted"))
        self.set_xy(_MARGIN, 10.0)
        self.cell(100.0, 6.0, self.heading)
        self._stamp(10.0)
        self.set_xy(_MARGIN, 24.0)

    def footer(self) -> None:
        """What the run was, and which sheet this is."""
        self.set_font(FONT, "", 7)
        self.set_text_color(*_rgb("muted"))
        self.set_xy(_MARGIN, -13.0)
        self.cell(self.epw - 25.0, 5.0, self.foot)
        self.cell(25.0, 5.0, f"{self.page_no()} of {{nb}}", align="R")

    def _stamp(self, y: float, text: str = "") -> None:
        text = text or self.stamp
        colour = _rgb("relay" if text == "SIMULATED" else "calm")
        self.set_font(FONT, "B", 9)
        self.set_draw_color(*colour)
        self.set_text_color(*((138, 90, 0) if text == "SIMULATED" else colour))
        self.set_line_width(0.5)
        self.set_xy(self.w - _MARGIN - 30.0, y)
        self.cell(30.0, 6.0, text, border=1, align="C")
        self.set_line_width(0.2)

    # -- text -------------------------------------------------------------------------------------

    def title_line(self, text: str, stamp: str = "") -> None:
        """A heading with the stamp of what follows; never alone at the end of a sheet."""
        if self.get_y() > self.h - 60.0:
            self.add_page()
        self.ln(3.0)
        if stamp:
            y = self.get_y()
            self._stamp(y)
            self.set_xy(_MARGIN, y)
        self.write_line(text, size=12.0, bold=True, width=self.epw - (34.0 if stamp else 0.0))
        self.ln(1.0)

    def write_line(
        self,
        text: str,
        size: float = 9.0,
        colour: str = "ink",
        bold: bool = False,
        width: float | None = None,
    ) -> None:
        """A paragraph."""
        self.set_font(FONT, "B" if bold else "", size)
        self.set_text_color(*_rgb(colour))
        self.multi_cell(
            width or self.epw, size * 0.5, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )

    def rows(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[str]],
        shares: Sequence[int],
        wrong: Sequence[bool] = (),
        right: Sequence[int] = (),
    ) -> None:
        """A table: ``shares`` of the width, rows that are ``wrong``, columns flush ``right``."""
        widths = [self.epw * share / sum(shares) for share in shares]
        if any(heads):
            self._row(heads, widths, right, "muted", True)
        for number, row in enumerate(rows):
            bad = number < len(wrong) and wrong[number]
            self._row(row, widths, right, "alarm" if bad else "ink", bad)

    def _row(
        self,
        cells: Sequence[str],
        widths: Sequence[float],
        right: Sequence[int],
        colour: str,
        bold: bool,
    ) -> None:
        self.set_font(FONT, "B" if bold else "", 7.5)
        pieces = [
            self._broken(text, width - 1.5) for text, width in zip(cells, widths, strict=True)
        ]
        height = _LINE * max(1, *(len(lines) for lines in pieces))
        if self.get_y() + height > self.h - 18.0:
            self.add_page()
            self.set_font(FONT, "B" if bold else "", 7.5)
        top, x = self.get_y(), self.l_margin
        self.set_text_color(*_rgb(colour))
        for number, (lines, width) in enumerate(zip(pieces, widths, strict=True)):
            for index, line in enumerate(lines):
                self.set_xy(x, top + index * _LINE)
                self.cell(width - 1.5, _LINE, line, align="R" if number in right else "L")
            x += width
        self.set_draw_color(*_rgb("grid"))
        self.line(self.l_margin, top + height + 0.3, self.l_margin + self.epw, top + height + 0.3)
        self.set_xy(self.l_margin, top + height + 0.8)

    def _broken(self, text: str, width: float) -> list[str]:
        """The lines of a text in a column."""
        lines: Any = self.multi_cell(width, _LINE, text, dry_run=True, output="LINES")
        return [str(line) for line in lines]

    # -- drawings ---------------------------------------------------------------------------------

    def draw(self, picture: Picture, width: float | None = None, x: float | None = None) -> None:
        """A drawing, ``width`` mm wide; on the next sheet where this one has no room for it."""
        scale = (width or self.epw) / picture.width
        height = scale * picture.height
        if self.get_y() + height > self.h - 18.0:
            self.add_page()
        left, top = self.l_margin if x is None else x, self.get_y()
        for shape in picture.shapes:
            if isinstance(shape, Line):
                self._line(shape, left, top, scale)
            elif isinstance(shape, Box):
                self.set_fill_color(*_rgb(shape.colour))
                size = scale * shape.width, scale * shape.height
                self.rect(left + scale * shape.x, top + scale * shape.y, *size, style="F")
            else:
                self._text(shape, left, top, scale)
        self.set_xy(self.l_margin, top + height)

    def _line(self, shape: Line, left: float, top: float, scale: float) -> None:
        self.set_draw_color(*_rgb(shape.colour))
        self.set_line_width(scale * shape.width)
        if shape.dashed:
            self.set_dash_pattern(scale * 4.0, scale * 3.0)
        points = [(left + scale * x, top + scale * y) for x, y in shape.points]
        if len(points) > 1:
            self.polyline(points)
        self.set_dash_pattern()
        self.set_line_width(0.2)

    def _text(self, shape: Text, left: float, top: float, scale: float) -> None:
        self.set_font(FONT, "B" if shape.bold else "", scale * shape.size / _MM)
        self.set_text_color(*_rgb(shape.colour))
        wide = self.get_string_width(shape.text)
        back = {"start": 0.0, "middle": wide / 2.0, "end": wide}[shape.anchor]
        self.text(left + scale * shape.x - back, top + scale * shape.y, shape.text)
