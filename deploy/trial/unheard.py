"""A slot on trial that nobody hears: for how long, by what no clock of the calendar is needed for.

A slot that never plays never comes to a verdict: the pedal is set to play its own models, or the
slot has nothing that it uses, or the interface is not found any more. What counts is how often the
machine was started, and how long it was up, since the slot last played.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class UnheardLimits:
    """From when on a newer release may take the place of one that has no verdict."""

    boots: int = 5
    """As many evenings. In each of them the slot was not heard at all."""
    boot_s: float = 60.0
    """From the first look at which a start counts: the pedal loads meanwhile."""
    up_s: float = 14 * 86400.0
    """For a pedal that is never switched off."""


@dataclass(frozen=True)
class Unheard:
    """What has been added up since the slot last played."""

    boots: int = 0
    """Starts of the machine in which it was not heard for ``UnheardLimits.boot_s``."""
    up_s: float = 0.0
    """How long the machine was up."""
    boot: str = ""
    """Which start of the machine the latest look was in."""
    boot_s: float = 0.0
    """How long the machine was up in it, from the first look on."""
    at_s: float = 0.0
    """The machine's monotonic time at the latest look."""


def looked(
    unheard: Unheard, boot: str, now_s: float, heard: bool, limits: UnheardLimits
) -> Unheard:
    """Add one look; ``heard``: the slot has played since the one before."""
    if heard:
        return Unheard(boot=boot, at_s=now_s)
    if unheard.boot != boot:
        return replace(unheard, boot=boot, boot_s=0.0, at_s=now_s)
    passed_s = max(0.0, now_s - unheard.at_s)
    boot_s = unheard.boot_s + passed_s
    counts = unheard.boot_s < limits.boot_s <= boot_s
    return Unheard(unheard.boots + counts, unheard.up_s + passed_s, boot, boot_s, now_s)


def given_up(unheard: Unheard, limits: UnheardLimits) -> str:
    """Why there will hardly be a verdict, as a sentence; empty where there may well be one."""
    if unheard.boots >= limits.boots:
        return f"It has not played in {unheard.boots} starts of the pedal."
    if unheard.up_s >= limits.up_s:
        return f"It has not played for {unheard.up_s / 86400:.0f} days in which the pedal was on."
    return ""


def unpacked(data: object) -> Unheard:
    """What ``dataclasses.asdict`` made; raises ``TypeError`` for anything else."""
    if not isinstance(data, dict):
        raise TypeError("no object")
    unheard = Unheard(**data)
    numbers = (unheard.up_s, unheard.boot_s, unheard.at_s)
    if type(unheard.boots) is not int or not isinstance(unheard.boot, str):
        raise TypeError("not the types")
    if not all(isinstance(each, int | float) for each in numbers):
        raise TypeError("not the types")
    return unheard
