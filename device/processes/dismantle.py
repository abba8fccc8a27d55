"""Taking a bank that is no longer played to pieces, a piece at a time.

Where the last name of a bank is forgotten everything in it is freed in one go, with Python's lock
held for as long as that takes: milliseconds for eight presets. And what refers to itself is not
freed at all where the collector is off. So it is taken apart, and each piece is freed alone.
"""

import dataclasses
from collections.abc import Callable
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

from device.plain import is_record

_OURS = ("device.", "models.", "tests.")
_WHOLE = (str, bytes, int, float, type, FunctionType, MethodType, BuiltinMethodType)


def dismantle(things: list[Any], rest: Callable[[], None]) -> None:
    """Empty ``things``, and all objects of ours that they hold; ``rest`` after each library's.

    Nobody may use any of them any more. Classes, functions, numbers and records, which others may
    share, are left alone; libraries' objects are let go of whole.
    """
    seen: set[int] = set()
    waiting = things
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, _WHOLE) or _shared(thing):
            continue
        seen.add(id(thing))
        if isinstance(thing, list):
            waiting.extend(thing)
            thing.clear()
        elif isinstance(thing, tuple):
            waiting.extend(thing)
        elif isinstance(thing, dict):
            waiting.extend(thing.values())
            thing.clear()
        elif type(thing).__module__.startswith(_OURS):
            held = getattr(thing, "__dict__", {})
            waiting.extend(held.values())
            held.clear()
        else:
            del thing
            rest()


def _shared(thing: object) -> bool:
    return thing is None or is_record(thing) or dataclasses.is_dataclass(thing)
