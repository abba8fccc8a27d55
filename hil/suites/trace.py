"""The raw trace: everything the bench reads, row by row, on the disk as it is read."""

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

Row = Mapping[str, float | str]


class Trace:
    """Rows of figures by name. The first row decides the columns of the file."""

    def __init__(self, file: Path | None = None) -> None:
        """Keep rows, and append each to ``file`` (CSV) where one is given."""
        self.rows: list[Row] = []
        self._file = None
        self._writer: csv.DictWriter[str] | None = None
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file = file.open("w", newline="", encoding="utf-8")

    def add(self, row: Row) -> None:
        """Keep a row."""
        self.rows.append(row)
        if self._file is None:
            return
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, list(row), extrasaction="ignore")
            self._writer.writeheader()
        self._writer.writerow(
            {key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()}
        )

    def close(self) -> None:
        """Have all of it in the file."""
        if self._file is not None:
            self._file.close()

    def between(self, start_s: float, end_s: float = math.inf) -> list[Row]:
        """The rows of a time."""
        return [row for row in self.rows if start_s <= number(row, "time_s") <= end_s]


def number(row: Row, name: str) -> float:
    """A figure of a row; NaN where it has none."""
    value = row.get(name, math.nan)
    return value if isinstance(value, int | float) else math.nan


def column(rows: list[Row], name: str) -> list[float]:
    """A figure of all rows, those left out that have none."""
    values = (number(row, name) for row in rows)
    return [value for value in values if math.isfinite(value)]


def rates_k_per_min(rows: list[Row], name: str, window_s: float = 300.0) -> Iterator[float]:
    """Change of a temperature, K/min, mean of each window: what IEC 60068-2-1 and -14 limit.

    A window that is not full yet says nothing.
    """
    first = 0
    points = [(number(row, "time_s"), number(row, name)) for row in rows]
    points = [point for point in points if math.isfinite(point[1])]
    for time_s, celsius in points:
        while time_s - points[first][0] > window_s:
            first += 1
        if first and time_s > points[first - 1][0]:
            before_s, before_c = points[first - 1]
            yield abs(celsius - before_c) / (time_s - before_s) * 60.0
