"""Which release a device takes: of those its group may have, the highest."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tuf.api.metadata import TargetFile

from deploy.places import Component
from deploy.release import Rollout

EVERYBODY = "all"


@dataclass(frozen=True)
class Offer:
    """A release that the repository's metadata name."""

    rollout: Rollout
    target: TargetFile

    @property
    def release_sha256(self) -> str:
        """Of its release file."""
        return self.target.hashes["sha256"]


def bucket(device: str, component: Component, version: int) -> int:
    """A device's place from 0 to 99, drawn anew for each release, always the same for one."""
    text = f"{device} {component} {version}".encode()
    return int.from_bytes(hashlib.sha256(text).digest(), "big") % 100


def admits(rollout: Rollout, group: str, device: str) -> bool:
    """Whether a device of ``group`` takes the release; percentages only ever let more in."""
    share = rollout.groups.get(group, rollout.groups.get(EVERYBODY, 0))
    return bucket(device, rollout.component, rollout.version) < share


def choose(
    offers: Iterable[Offer],
    group: str,
    device: str,
    floor: int,
    refused: Callable[[str], str | None],
) -> Offer | None:
    """The release to have; None where there is none for this device.

    ``refused`` says by the release file's hash why a release is not taken again.
    """
    fit = [
        offer
        for offer in offers
        if offer.rollout.version >= floor
        and admits(offer.rollout, group, device)
        and refused(offer.release_sha256) is None
    ]
    return max(fit, key=lambda offer: (offer.rollout.version, offer.target.path), default=None)
