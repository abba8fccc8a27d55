"""SCPI as instruments understand it: headers in short and long form, arguments, an error queue.

After SCPI-1999, volumes 1 and 2, and IEEE 488.2: the part of it that supplies and loggers share.
"""

import math
import re
from collections import deque
from collections.abc import Callable, Mapping

NO_ERROR = '+0,"No error"'
UNDEFINED, MISSING, NOT_ALLOWED = "Undefined header", "Missing parameter", "Parameter not allowed"
TYPE, RANGE, ILLEGAL, CONFLICT = (
    "Data type error",
    "Data out of range",
    "Illegal parameter value",
    "Settings conflict",
)
_NUMBERS = {
    UNDEFINED: -113,
    MISSING: -109,
    NOT_ALLOWED: -108,
    TYPE: -104,
    RANGE: -222,
    ILLEGAL: -224,
    CONFLICT: -221,
    "Query UNTERMINATED": -420,
    "Queue overflow": -350,
}
_MOST_ERRORS = 20
_MOST_KNOWN = 256

Handler = Callable[[list[str]], str | None]
"""Of arguments; gives the answer of a query, None of a command."""


class Complaint(Exception):  # noqa: N818 - what goes into the error queue
    """Something that an instrument does not take."""


class Scpi:
    """See ``hil.servers.line.Dialect``."""

    end = b"\n"

    def __init__(self, identity: str, commands: Mapping[str, Handler]) -> None:
        """``commands`` by their headers as manuals write them: ``[SOURce:]VOLTage[:LEVel]?``."""
        own: dict[str, Handler] = {
            "*IDN?": lambda _: identity,
            "*OPC?": lambda _: "1",
            "*TST?": lambda _: "0",
            "*ESR?": lambda _: "0",
            "*STB?": lambda _: "0",
            "*CLS": self._clear,
            "*OPC": lambda _: None,
            "*WAI": lambda _: None,
            "SYSTem:ERRor[:NEXT]?": lambda _: self.errors.popleft() if self.errors else NO_ERROR,
            "SYSTem:VERSion?": lambda _: "1999.0",
            "SYSTem:REMote": lambda _: None,
            "SYSTem:RWLock": lambda _: None,
            "SYSTem:LOCal": lambda _: None,
        }
        self._forms = [(_form(header), does) for header, does in {**own, **commands}.items()]
        self._known: dict[str, Handler | None] = {}
        self.errors: deque[str] = deque()

    def answer(self, line: bytes) -> bytes:
        """See the protocol."""
        answers = []
        path = ""
        for request in _parts(line.decode("latin-1").strip(), ";"):
            header, _, rest = request.strip().upper().partition(" ")
            if not header:
                continue
            # What follows a semicolon begins where the last header was; most makers take the root.
            does = (self._find(path + header) if path else None) or self._find(header)
            if header[0] not in "*:":
                path = (path + header).rpartition(":")[0]
                path += ":" if path else ""
            try:
                if does is None:
                    raise Complaint(UNDEFINED)
                given = [each.strip() for each in _parts(rest.strip(), ",")] if rest.strip() else []
                came = does(given)
            except Complaint as complaint:
                self.complain(str(complaint))
                continue
            if came is not None:
                answers.append(came)
        return (";".join(answers) + "\n").encode("latin-1") if answers else b""

    def complain(self, what: str) -> None:
        """Put something into the error queue."""
        if len(self.errors) >= _MOST_ERRORS:
            self.errors.pop()
            what = "Queue overflow"
        self.errors.append(f'{_NUMBERS.get(what, -200)},"{what}"')

    def _clear(self, _: list[str]) -> None:
        self.errors.clear()

    def _find(self, header: str) -> Handler | None:
        if header not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[header] = next(
                (does for form, does in self._forms if form.fullmatch(header)), None
            )
        return self._known[header]


def number(given: list[str], low: float, high: float, units: str = "") -> float:
    """The only argument, in ``low…high``; ``MIN`` and ``MAX`` are numbers. Raises ``Complaint``."""
    text = only(given).upper()
    named = {"MIN": low, "MINIMUM": low, "MAX": high, "MAXIMUM": high}
    if text in named:
        return named[text]
    if units and text.endswith(units.upper()):
        text = text[: -len(units)].strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:
        raise Complaint(TYPE)
    if not low <= value <= high:
        raise Complaint(RANGE)
    return value


def switch(given: list[str]) -> bool:
    """``ON``, ``OFF``, ``1`` or ``0``. Raises ``Complaint``."""
    text = only(given).upper()
    if text not in ("ON", "OFF", "1", "0"):
        raise Complaint(ILLEGAL)
    return text in ("ON", "1")


def only(given: list[str]) -> str:
    """The one argument there is. Raises ``Complaint``."""
    if not given:
        raise Complaint(MISSING)
    if len(given) > 1:
        raise Complaint(NOT_ALLOWED)
    return given[0]


def channels(text: str, known: Mapping[int, object]) -> list[int]:
    """The channels of ``(@101,103:105)``, in that order. Raises ``Complaint``."""
    found = re.fullmatch(r"\(@([\d,: ]+)\)", text)
    if found is None:
        raise Complaint(TYPE)
    listed: list[int] = []
    for part in found[1].split(","):
        first, colon, last = part.strip().partition(":")
        if not first.isdigit() or (colon and not last.isdigit()):
            raise Complaint(TYPE)
        low, high = int(first[:6]), int((last or first)[:6])
        listed += [channel for channel in sorted(known) if low <= channel <= high]
        if low not in known or high not in known:
            raise Complaint(RANGE)
    return listed


def _form(header: str) -> re.Pattern[str]:
    """What matches a header, long or short, with what is optional or without."""
    pattern = ""
    for piece in re.findall(r"[A-Za-z0-9]+|.", header):
        if piece[0].isalnum():
            short = re.sub(r"[a-z]+", "", piece)
            pattern += f"(?:{short}|{piece.upper()})"
        else:
            pattern += {"[": "(?:", "]": ")?", ":": ":"}.get(piece, re.escape(piece))
    return re.compile(":?" + pattern)


def _parts(text: str, mark: str) -> list[str]:
    """Split at a mark that stands in no bracket and no quotation."""
    parts, depth, quoted = [""], 0, False
    for letter in text:
        if letter == '"':
            quoted = not quoted
        elif not quoted:
            depth += (letter == "(") - (letter == ")")
        if letter == mark and depth <= 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
