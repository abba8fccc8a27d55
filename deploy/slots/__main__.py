"""``python -m deploy.slots WHAT``: what happens to slots at boot and by the service manager.

Run by the system's own Python, so that no slot's damage keeps it from running. It ends well in any
case that a pedal can still play in; a sentence on stderr says what was wrong.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy import record
from deploy.errors import UpdateError
from deploy.places import COMPONENTS, ROOT, Component, Places
from deploy.slots.slots import Slots
from deploy.slots.state import SlotState


def _boot(places: Places, component: Component) -> list[str]:
    slots = Slots(places.slots(component), component)
    before = slots.active
    said = slots.boot()
    after = slots.active
    if before is not None and (after is None or after.name != before.name):
        left = slots.both[0 if before.name == "a" else 1]
        _note(places, component, "rolled back at boot", left.why, before)
    return said


def _alive(places: Places, component: Component) -> list[str]:
    Slots(places.slots(component), component).alive()
    return []


def _roll_back(places: Places, component: Component, why: str) -> list[str]:
    slots = Slots(places.slots(component), component)
    before = slots.active
    slots.roll_back(why)
    if before is None:
        return []
    _note(places, component, "rolled back", why, before)
    return [f"{component}: left release {before.version}, because {why}."]


def _note(places: Places, component: Component, event: str, why: str, left: SlotState) -> None:
    entry = {
        "event": event,
        "component": component,
        "version": left.version,
        "release_sha256": left.release_sha256,
        "why": why,
    }
    try:
        record.append(places.record, entry)
    except UpdateError as error:  # the record is for people; what plays does not wait for it
        print(f"python -m deploy.slots: {error}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m deploy.slots", description=__doc__)
    parser.add_argument(
        "what",
        choices=("boot", "alive", "roll-back"),
        help="boot: finish what a power cut interrupted, count the boot of firmware on trial; "
        "alive: it came up; roll-back: leave the slot on trial, where there is one",
    )
    parser.add_argument("--component", choices=COMPONENTS, help="by default both")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help=f"default {ROOT}")
    parser.add_argument("--why", default="a service failed too often", help="for roll-back")
    return parser


def main(argv: Sequence[str]) -> int:
    """Do it for one component or both; returns 0, or 1 where one could not be looked after."""
    options = _parser().parse_args(argv)
    places = Places(options.root)
    failed = False
    for component in (options.component,) if options.component else COMPONENTS:
        try:
            if options.what == "boot":
                said = _boot(places, component)
            elif options.what == "alive":
                said = _alive(places, component)
            else:
                active = Slots(places.slots(component), component).active
                on_trial = active is not None and active.state == "trial"
                said = _roll_back(places, component, options.why) if on_trial else []
        except (UpdateError, OSError) as error:
            print(f"python -m deploy.slots: {error}", file=sys.stderr)
            failed = True
        else:
            for sentence in said:
                print(sentence, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
