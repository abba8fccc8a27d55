"""The ways between two tones that are compared: blend only, by parameter, by way of drive."""

import importlib
from typing import Any

import numpy as np

from models.evaluate.pairs import Pairing, Route
from models.evaluate.result import WayPoint
from models.evaluate.tones import Tones, split_name
from models.quality import spectra
from models.stage.split import RATE_HZ

LAWS = ("linear", "perceptual")


class Ways:
    """All ways between two tones; those by way of drive are found on a probe phrase."""

    def __init__(self, probe: Tones) -> None:
        """``probe`` are the same tones playing another phrase than what is judged."""
        self._probe = probe
        self._paths: Any = importlib.import_module("models.path")
        self.missing = ""
        """Why the ways by drive are left out, if they are."""
        if not hasattr(self._paths, "find_path"):
            self.missing = "The drive path is left out: models/path cannot find one yet."

    def between(self, pairing: Pairing) -> list[Route]:
        """Every way between the two tones, the reference first."""
        found = [direct(pairing)]
        if split_name(pairing.a)[0] == split_name(pairing.b)[0]:
            found.append(parameter(pairing))
        if not self.missing:
            found += self._found(pairing)
        return found

    def _found(self, pairing: Pairing) -> list[Route]:
        ends = [self._tone(name) for name in (pairing.a, pairing.b)]
        direct_path = self._paths.find_path(*ends, RATE_HZ, drives=False)
        drive_path = self._paths.find_path(*ends, RATE_HZ)
        return [
            self._route(pairing, "direct", direct_path, "perceptual"),
            *(self._route(pairing, "drive", drive_path, law) for law in LAWS),
        ]

    def _tone(self, name: str) -> Any:
        """What a path is found on: the probe through the tone at every drive, levelled."""
        gain = np.float32(10.0 ** (self._probe.level_db(name) / 20.0))
        sounds = [self._probe.at(name, float(drive)) for drive in self._paths.DRIVES_DB]
        return self._paths.Tone(np.stack([spectra(sound * gain) for sound in sounds]))

    def _route(self, pairing: Pairing, path: str, found: Any, law: str) -> Route:
        way = self._paths.way_along(found, law)
        own_a_db, own_b_db = (pairing.tones.level_db(name) for name in (pairing.a, pairing.b))

        def at(position: float) -> WayPoint:
            point = way.at(position)
            return WayPoint(
                position=position,
                drive_a_db=float(point.drive_a_db),
                drive_b_db=float(point.drive_b_db),
                level_a_db=own_a_db + float(point.level_a_db),
                level_b_db=own_b_db + float(point.level_b_db),
                blend=float(point.blend),
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
