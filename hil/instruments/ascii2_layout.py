"""What stands where in an ASCII-2 unit's strings, by its own description (``$01?``).

::

    Example of an ASCII E-String:
    $01E CV01 CV02 SV01 DO00 DO01 …<CR>
    CV01  value min:  -72.0   value max:  182.0   Temperature
    CV02  value min:    0.0   value max:   98.0   Humidity
    DO01  Start
    Example of  an ASCII I-String:
    $01I<CR>
    CV01 CV01 CV02 CV02 SV01 MV01 DO00 DO01 …<CR>

Control variables come twice in the I-string, setpoint before actual value; the strings are
wrapped anywhere, also within a name. Newer controllers write the bits without spaces.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """Indices count the values of the I-string, from 0."""

    temperature: tuple[int, int] = (0, 1)
    """Setpoint and actual value."""
    humidity: tuple[int, int] | None = None
    written: tuple[int, ...] = (0, 2)
    """What the E-string holds, in its order."""
    values_read: int = 3
    bits_written: int = 10
    start_bit: int = 1
    bits_apart: bool = False
    """Whether a space stands between bits that are written."""
    range_c: tuple[float, float] | None = None
    """Of its setpoint, as its controller is set."""


DEFAULT = Layout()
"""Two values and ten bits: what is written where a unit does not tell."""

_NAME = re.compile(r"(CV|SV|MV|DO)(\d\d)")
_RANGE = re.compile(
    r"(CV\d\d)\s+value min:\s*(-?[\d.]+)\s+value max:\s*(-?[\d.]+)\s+(.*)", re.IGNORECASE
)
_START = re.compile(r"DO(\d\d)\s+Start\b", re.IGNORECASE)


def read_layout(text: str) -> Layout:
    """By a unit's own words; ``DEFAULT`` where they say nothing that is known."""
    written = _names(text, r"\$\d\dE")
    read = _names(text, r"\$\d\dI\s*<CR>") or _names(text, r"\$\d\dI")
    values = [name for name in read if not name.startswith("DO")]
    meanings = {match[1].upper(): match[4].casefold() for match in _RANGE.finditer(text)}
    temperature = next((name for name, what in meanings.items() if "temp" in what), "CV01")
    if not written or values.count(temperature) != 2 or not _known(written, values):
        return DEFAULT
    humidity = next((name for name, what in meanings.items() if "humid" in what), None)
    start = _START.search(text)
    return Layout(
        temperature=_pair(values, temperature),
        humidity=_pair(values, humidity) if humidity and values.count(humidity) == 2 else None,
        written=tuple(values.index(name) for name in written if not name.startswith("DO")),
        values_read=len(values),
        bits_written=sum(name.startswith("DO") for name in written),
        start_bit=int(start[1]) if start else 1,
        bits_apart=re.search(r"DO00\s+DO01", text) is not None and "DO00DO01" not in text,
        range_c=_range(text, temperature),
    )


def _known(written: list[str], values: list[str]) -> bool:
    """Whether everything that is written is read somewhere, and a start bit is written."""
    return all(name in values for name in written if not name.startswith("DO")) and (
        sum(name.startswith("DO") for name in written) >= 2
    )


def _pair(values: list[str], name: str) -> tuple[int, int]:
    first = values.index(name)
    return first, values.index(name, first + 1)


def _range(text: str, name: str) -> tuple[float, float] | None:
    for match in _RANGE.finditer(text):
        if match[1].upper() == name:
            return float(match[2]), float(match[3])
    return None


def _names(text: str, begin: str) -> list[str]:
    """The names of a string of the description, from its begin to its end, unwrapped."""
    found = re.search(begin + r"(.*?)(?:<CR>|Description)", text, re.DOTALL | re.IGNORECASE)
    if found is None:
        return []
    unwrapped = "".join(found[1].split())
    return [match[0] for match in _NAME.finditer(unwrapped)]
