"""The ways between two tones that are compared: blend only, by parameter, by way of drive."""

import numpy as np

from models.evaluate.pairs import Pairing, Route
from models.evaluate.result import WayPoint
from models.evaluate.tones import Tones, split_name
from models.path.tone import DRIVES_DB, Tone
from models.path.way import DrivePath, Law, find_path, way_along
from models.quality import spectra
from models.units import RATE_HZ, db_from_gain, gain_from_db


class Ways:
    """All ways between two tones; what is searched for is found on a probe phrase."""

    def __init__(self, probe: Tones) -> None:
        """``probe`` are the same tones playing another phrase than what is judged."""
        self._probe = probe

    def between(self, pairing: Pairing) -> list[Route]:
        """Every way between the two tones, the reference first."""
        if split_name(pairing.a)[0] == split_name(pairing.b)[0]:
            # Chains of one shape: the pedal moves their parameter, and searches for nothing.
            return [direct(pairing), parameter(pairing)]
        a, b = self._tone(pairing.a), self._tone(pairing.b)
        blend_only, by_drive = (find_path(a, b, RATE_HZ, drives) for drives in (False, True))
        return [
            direct(pairing),
            along(pairing, "direct", blend_only, "perceptual"),
            along(pairing, "drive", by_drive, "linear"),
            along(pairing, "drive", by_drive, "perceptual"),
        ]

    def _tone(self, name: str) -> Tone:
        """What a path is found on: the probe through the tone at every drive, levelled."""
        gain = np.float32(gain_from_db(self._probe.level_db(name)))
        sounds = [self._probe.at(name, float(drive_db)) for drive_db in DRIVES_DB]
        return Tone(np.stack([spectra(sound * gain) for sound in sounds]))


def along(pairing: Pairing, path: str, found: DrivePath, law: Law) -> Route:
    """A path that was found between tones of one loudness, laid over the pair."""
    way = way_along(found, law)
    own_db = [pairing.tones.level_db(name) for name in (pairing.a, pairing.b)]

    def at(position: float) -> WayPoint:
        *gains, blend = way.at(position)
        drive_a_db, drive_b_db, level_a_db, level_b_db = (db_from_gain(gain) for gain in gains)
        return WayPoint(
            position=position,
            drive_a_db=drive_a_db,
            drive_b_db=drive_b_db,
            level_a_db=own_db[0] + level_a_db,
            level_b_db=own_db[1] + level_b_db,
            blend=blend,
        )

    return Route(path, law, at)


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
