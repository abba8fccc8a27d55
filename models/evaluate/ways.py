"""The ways between two tones that are compared: blend only, by parameter, by way of drive."""

from models.evaluate.pairs import Pairing, Route
from models.evaluate.result import WayPoint
from models.evaluate.tones import split_name


def routes(pairing: Pairing) -> list[Route]:
    """Every way between the two tones, the reference first."""
    found = [direct(pairing)]
    if split_name(pairing.a)[0] == split_name(pairing.b)[0]:
        found.append(parameter(pairing))
    return found


def direct(pairing: Pairing) -> Route:
    """Blend only, both tones brought to one loudness first: what everyone else ships."""
    level_a_db, level_b_db = (pairing.tones.level_db(name) for name in (pairing.a, pairing.b))
    return Route(
        "direct", "linear", lambda p: WayPoint(p, 0.0, 0.0, level_a_db, level_b_db, blend=p)
    )


def parameter(pairing: Pairing) -> Route:
    """One capture at two drives: the knob moves the drive itself, in dB, and one chain runs."""
    (capture, from_db), (_, to_db) = split_name(pairing.a), split_name(pairing.b)

    def at(position: float) -> WayPoint:
        drive_db = position * (to_db - from_db)
        # Loudness does not rise evenly with drive, so every position is levelled by itself.
        level_db = pairing.tones.level_db(f"{capture}@{from_db + drive_db}")
        return WayPoint(position, drive_db, 0.0, level_db, 0.0, blend=0.0)

    return Route("parameter", "linear", at)
