"""``python -m deploy rollback``: back to what played before, because somebody says so."""

from collections.abc import Sequence

from deploy.client.alone import alone, become_owner
from deploy.client.clock import Clock, SystemClock
from deploy.client.journal import Journal, about
from deploy.client.options import parser, places_of, print_json
from deploy.errors import UpdateError
from deploy.places import COMPONENTS, Component, Places
from deploy.slots import Slots


def main(argv: Sequence[str]) -> int:
    """Roll back; returns 0. Raises ``UpdateError``."""
    made = parser(
        "rollback",
        "Play what was active before, or the factory's content where nothing was. The release "
        "that is left is not taken again; a newer one is.",
    )
    made.add_argument(
        "--component",
        choices=COMPONENTS,
        help="by default the one that is on trial, else models",
    )
    options = made.parse_args(argv)
    places = places_of(options)
    become_owner(places)
    component, version = roll_back(places, options.component)
    what = "the factory's content" if version is None else f"release {version}"
    print(f"{component}: {what} is active.")
    if options.json:
        print_json({"component": component, "version": version})
    return 0


def roll_back(
    places: Places, component: Component | None = None, clock: Clock | None = None
) -> tuple[Component, int | None]:
    """Leave the active slot for the other; returns what it was done for and what is active now.

    None for the factory's content. Raises ``UpdateError`` where nothing is active or two are on
    trial and none is named, ``UpdateFailedError`` where an update is running or the disk refuses.
    """
    with alone(places):
        slots = {each: Slots(places.slots(each), each) for each in COMPONENTS}
        chosen = component or _on_trial(slots)
        slots[chosen].recover()
        left = slots[chosen].active
        if left is None:
            raise UpdateError(
                f"{chosen}: the factory's content plays; there is nothing to go back to."
            )
        slots[chosen].roll_back("it was rolled back by hand")
        now = slots[chosen].active
        version = None if now is None else now.version
        said = f"{chosen}: release {left.version} was rolled back by hand."
        Journal(places, clock or SystemClock(), lambda line: None).note(
            "rolled-back", said, **about(chosen, left)
        )
        return chosen, version


def _on_trial(slots: dict[Component, Slots]) -> Component:
    """What one means who does not say it."""
    active = {component: each.active for component, each in slots.items()}
    tried = [name for name, slot in active.items() if slot is not None and slot.state == "trial"]
    if len(tried) > 1:
        raise UpdateError("models and firmware are both on trial; name one by --component.")
    return tried[0] if tried else "models"
