"""How updates stand: what plays, what lies beside it, what is known, what happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deploy.client.floors import FloorsFile
from deploy.client.judging import release_in
from deploy.client.settings import Settings
from deploy.errors import UpdateError
from deploy.places import COMPONENTS, Component, Places
from deploy.record import entries, intact
from deploy.slots import Slots, SlotState


@dataclass(frozen=True)
class SlotReport:
    """One slot."""

    slot: str
    state: str
    version: int | None
    name: str
    """The release's, as its publisher calls it; empty where there is none to be read."""
    release_sha256: str | None
    active: bool
    why: str


@dataclass(frozen=True)
class Status:
    """Everything that ``status`` shows; reading it changes nothing and waits for nobody."""

    slots: Mapping[Component, tuple[SlotReport, ...]]
    floors: Mapping[Component, int]
    offered: Mapping[Component, int]
    """Highest release for this device when it was last asked; 0 for none."""
    asked: datetime | None
    time_floor: datetime | None
    month: str
    spent_bytes: int
    budget_bytes: int
    url: str
    group: str
    automatic: bool
    record_intact: bool
    record: list[dict[str, Any]] = field(default_factory=list)
    """Newest last."""
    problems: tuple[str, ...] = ()
    """What could not be read, a sentence each."""


def status(places: Places, settings: Settings, lines: int) -> Status:
    """Read it all; ``lines`` is how much of the record. What cannot be read is a sentence."""
    problems: list[str] = []
    slots: dict[Component, tuple[SlotReport, ...]] = {}
    for component in COMPONENTS:
        try:
            slots[component] = _slots(Slots(places.slots(component), component))
        except UpdateError as problem:
            slots[component] = ()
            problems.append(str(problem))
    floors = FloorsFile(places.floors)
    if floors.problem is not None:
        problems.append(floors.problem)
    record: list[dict[str, Any]] = []
    is_intact = True
    try:
        if places.record.exists():
            record, is_intact = entries(places.record), intact(places.record)
    except UpdateError as problem:
        problems.append(str(problem))
    if not is_intact:
        problems.append(f"{places.record}: has lines that were changed or taken out.")
    known = floors.now
    return Status(
        slots=slots,
        floors=known.versions,
        offered=known.offered,
        asked=known.asked,
        time_floor=known.time,
        month=known.month,
        spent_bytes=known.spent_bytes,
        budget_bytes=settings.budget_mb_per_month * 1_000_000,
        url=settings.url,
        group=settings.group,
        automatic=settings.automatic,
        record_intact=is_intact,
        record=record[-lines:] if lines else [],
        problems=tuple(problems),
    )


def _slots(slots: Slots) -> tuple[SlotReport, ...]:
    active = slots.active
    return tuple(
        SlotReport(
            slot=slot.name,
            state=slot.state,
            version=slot.version,
            name=_name(slot),
            release_sha256=slot.release_sha256,
            active=active is not None and active.name == slot.name,
            why=slot.why,
        )
        for slot in slots.both
    )


def _name(slot: SlotState) -> str:
    if slot.state in ("empty", "writing"):
        return ""
    try:
        return release_in(slot.folder).name
    except UpdateError:
        return ""


def text(found: Status) -> str:
    """For a terminal."""
    lines = [*(_component(name, slots) for name, slots in found.slots.items())]
    offers = ", ".join(f"{name} {version}" for name, version in found.offered.items() if version)
    asked = "never asked" if found.asked is None else f"asked {found.asked:%Y-%m-%d %H:%M} UTC"
    lines.append(f"offered   {offers or 'nothing'} to group {found.group} ({asked})")
    floors = ", ".join(f"{name} {version}" for name, version in found.floors.items() if version)
    since = "" if found.time_floor is None else f"; it is no earlier than {found.time_floor:%F}"
    lines.append(f"floors    {floors or 'none yet'}{since}")
    spent = f"{found.spent_bytes / 1e6:.1f} million bytes in {found.month or 'no month'}"
    if found.automatic and found.budget_bytes:
        spent += f", at most {found.budget_bytes / 1e6:g} by itself"
    else:
        spent += ", updates only when asked"
    lines.append(f"link      {found.url or 'no url'}; {spent}")
    lines += [f"wrong     {problem}" for problem in found.problems]
    lines += [f"{entry.get('at', '?')}  {entry.get('said', '')}" for entry in found.record]
    return "\n".join(lines)


def _component(name: Component, slots: tuple[SlotReport, ...]) -> str:
    playing = next((slot for slot in slots if slot.active), None)
    head = "plays the factory's content" if playing is None else f"plays {_slot(playing)}"
    others = [_slot(slot) for slot in slots if not slot.active and slot.state != "empty"]
    return f"{name:10}{'; beside it '.join([head, *others])}"


def _slot(slot: SlotReport) -> str:
    what = "nothing" if slot.version is None else f"release {slot.version}"
    named = f" ({slot.name})" if slot.name else ""
    why = f": {slot.why}" if slot.why else ""
    return f"{what}{named}, slot {slot.slot}, {slot.state}{why}"
