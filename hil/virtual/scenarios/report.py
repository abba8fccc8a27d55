"""How a scenario says what it found: plain dictionaries, which the host makes results of."""

from typing import Any


def check(
    name: str,
    group: str,
    what: str,
    limit: float,
    measured: float | None,
    unit: str,
    *,
    least: bool = False,
    note: str = "",
) -> dict[str, Any]:
    """One number: at most ``limit``, or at least; None for what could not be measured."""
    ok = measured is not None and (measured >= limit if least else measured <= limit)
    asked = f"{'≥' if least else '≤'} {limit:g}"
    if limit == 0 and not least:
        asked = "0"
    return {
        "id": name,
        "group": group,
        "what": what,
        "asked": f"{asked} {unit}".strip(),
        "limit": limit,
        "measured": measured,
        "unit": unit,
        "ok": ok,
        "note": note,
    }


def fact(name: str, group: str, what: str, holds: bool, note: str = "") -> dict[str, Any]:
    """Something that is so, or is not."""
    return check(name, group, what, 1, float(holds), "", least=True, note=note) | {"asked": "yes"}


def span(kind: str, start_s: float, end_s: float) -> dict[str, Any]:
    """What was heard for a time: ``relay``, ``dry``, ``wet`` or ``absent``."""
    return {"kind": kind, "start_s": start_s, "end_s": end_s}


def mark(time_s: float, label: str) -> dict[str, Any]:
    """Something that happened."""
    return {"time_s": time_s, "label": label}
