"""Who signs what, where its key is kept, and how long a signature holds: one table."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, get_args

from tuf.api.metadata import Signed

from deploy.errors import UpdateError
from deploy.places import COMPONENTS, Component

TopRole = Literal["root", "targets", "snapshot", "timestamp"]
TOP_ROLES: tuple[TopRole, ...] = get_args(TopRole)
RoleName = Literal["root", "targets", "snapshot", "timestamp", "models", "firmware"]
ROLE_NAMES: tuple[RoleName, ...] = get_args(RoleName)

Home = Literal["stick", "offline", "online"]


@dataclass(frozen=True)
class RolePlan:
    """What a new repository gives one role."""

    keys: int
    threshold: int
    days: int
    """Until what it signed expires."""
    home: Home
    """``stick``: each key in a folder of its own, locked away; ``offline``: on the publisher's own
    machine or a stick, used when something is published; ``online``: where cron renews."""


PLAN = MappingProxyType(
    {
        "root": RolePlan(keys=3, threshold=2, days=730, home="stick"),
        "targets": RolePlan(keys=1, threshold=1, days=365, home="offline"),
        "models": RolePlan(keys=1, threshold=1, days=365, home="offline"),
        "firmware": RolePlan(keys=1, threshold=1, days=365, home="offline"),
        "snapshot": RolePlan(keys=1, threshold=1, days=30, home="online"),
        "timestamp": RolePlan(keys=1, threshold=1, days=14, home="online"),
    }
)
DAYS = "x-purga-days"
"""Signed beside every role: for how many days its next version is signed."""
HIGHEST = "x-purga-highest"
"""Signed beside ``models`` and ``firmware``: the highest version there ever was, withdrawn ones
too, so that none is given out twice."""
NAME = "x-purga-name"
"""Signed beside every key: what its owner calls it, such as ``root-2``."""
MOST_DAYS = 3650

_KEY_NAME = re.compile(rf"({'|'.join(ROLE_NAMES)})(-[a-z0-9]{{1,20}})?")


def role_of(key_name: str) -> RoleName:
    """The role that a key's name begins with. Raises ``UpdateError``."""
    match = _KEY_NAME.fullmatch(key_name)
    if match is None:
        raise UpdateError(
            f"{key_name[:60]!r} is no name of a key: it must be a role ({', '.join(ROLE_NAMES)}), "
            "or a role and a number such as root-2."
        )
    return as_role(match.group(1))


def as_role(name: str) -> RoleName:
    """``name`` as a role. Raises ``UpdateError``."""
    for role in ROLE_NAMES:
        if role == name:
            return role
    raise UpdateError(f"{name[:60]!r} is no role; there are {', '.join(ROLE_NAMES)}.")


def as_component(name: str) -> Component:
    """``name`` as a component. Raises ``UpdateError``."""
    for component in COMPONENTS:
        if component == name:
            return component
    raise UpdateError(f"{name[:60]!r} is no component; there are {', '.join(COMPONENTS)}.")


def renew(signed: Signed, now: datetime) -> None:
    """Let ``signed`` hold for its role's days from ``now`` (UTC) on."""
    days = signed.unrecognized_fields.get(DAYS)
    if type(days) is not int or not 1 <= days <= MOST_DAYS:
        raise UpdateError(
            f"The {signed.type} metadata say {days!r} of {DAYS}, expected 1 to {MOST_DAYS}."
        )
    signed.expires = now + timedelta(days=days)
