"""Reading untrusted JSON objects: every field checked, every fault named by its place."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from models.errors import ModelError

REMEDY = "export the capture again or choose another file"
"""What a guitarist can do about a broken capture; every message ends with it."""

_MISSING = object()


def describe(value: object) -> str:
    """A short picture of a JSON value for a message; never long, whatever the value is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list):
        return f"a list of {len(value)} entries"
    if isinstance(value, str):
        return repr(value) if len(value) <= 40 else repr(value[:40]) + "…"
    if isinstance(value, int) and abs(value) >= 10**30:
        return "a number of more than 30 digits"
    return repr(value)


@dataclass(frozen=True)
class Place:
    """A file and a path inside its JSON, for messages."""

    file: str
    path: str = ""

    def child(self, name: str | int) -> "Place":
        """The place of a field or list entry inside this one."""
        if isinstance(name, int):
            return Place(self.file, f"{self.path}[{name}]")
        return Place(self.file, f"{self.path}.{name}" if self.path else name)

    def fault(self, found: str, expected: str) -> ModelError:
        """The error for this place: what was found, what was expected, what to do."""
        where = f"{self.file}: {self.path} is" if self.path else f"{self.file} is"
        return ModelError(f"{where} {found}, expected {expected}; {REMEDY}.")


def whole(value: object, place: Place, low: int, high: int) -> int:
    """``value`` as an ``int`` in ``low``…``high``; 3.0 counts as 3, true does not count as 1."""
    expected = f"a whole number from {low} to {high}"
    if isinstance(value, float) and math.isfinite(value) and value == math.floor(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise place.fault(describe(value), expected)
    return value


def number(value: object, place: Place, low: float = -1e30, high: float = 1e30) -> float:
    """``value`` as a finite ``float`` in ``low``…``high``."""
    # Compared before conversion: an integer may be too large for a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise place.fault(describe(value), f"a number from {low:g} to {high:g}")
    return float(value)


def flag(value: object, place: Place) -> bool:
    """``value`` as a ``bool``."""
    if not isinstance(value, bool):
        raise place.fault(describe(value), "true or false")
    return value


def text(value: object, place: Place, choices: Sequence[str] = ()) -> str:
    """``value`` as a ``str``, one of ``choices`` where given."""
    if not isinstance(value, str) or (choices and value not in choices):
        expected = f"one of {', '.join(choices)}" if choices else "text"
        raise place.fault(describe(value), expected)
    return value


def entries(value: object, place: Place, low: int, high: int) -> list[object]:
    """``value`` as a list of ``low`` to ``high`` entries."""
    if not isinstance(value, list) or not low <= len(value) <= high:
        raise place.fault(describe(value), f"a list of {low} to {high} entries")
    return value


class Fields:
    """One JSON object and its place. All readers raise ``ModelError`` on a fault."""

    def __init__(self, value: object, place: Place) -> None:
        if not isinstance(value, dict):
            raise place.fault(describe(value), "an object")
        self._fields: dict[str, object] = value
        self.place = place

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._fields.get(name) is not None

    def raw(self, name: str, default: object = _MISSING) -> object:
        """The field as it stands; null and absent give ``default`` where one is given."""
        value = self._fields.get(name)
        if value is None:
            if default is _MISSING:
                state = "null" if name in self._fields else "missing"
                raise self.place.child(name).fault(state, "a value")
            return default
        return value

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number in ``low``…``high``."""
        value = self.raw(name) if default is None else self.raw(name, default)
        return whole(value, self.place.child(name), low, high)

    def number(
        self, name: str, low: float = -1e30, high: float = 1e30, default: float | None = None
    ) -> float:
        """A finite number in ``low``…``high``."""
        value = self.raw(name) if default is None else self.raw(name, default)
        return number(value, self.place.child(name), low, high)

    def optional_number(self, name: str, low: float, high: float) -> float | None:
        """A finite number in ``low``…``high``, or ``None`` where absent or null."""
        return self.number(name, low, high) if self.has(name) else None

    def flag(self, name: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self.raw(name) if default is None else self.raw(name, default)
        return flag(value, self.place.child(name))

    def text(self, name: str, choices: Sequence[str] = ()) -> str:
        """Text, one of ``choices`` where given."""
        return text(self.raw(name), self.place.child(name), choices)

    def list(self, name: str, low: int, high: int) -> list[object]:
        """A list of ``low`` to ``high`` entries."""
        return entries(self.raw(name), self.place.child(name), low, high)

    def wholes(self, name: str, low: int, high: int, longest: int) -> tuple[int, ...]:
        """A list of 1 to ``longest`` whole numbers in ``low``…``high``."""
        place = self.place.child(name)
        return tuple(
            whole(value, place.child(index), low, high)
            for index, value in enumerate(self.list(name, 1, longest))
        )

    def object(self, name: str) -> "Fields":
        """An object."""
        return Fields(self.raw(name), self.place.child(name))
