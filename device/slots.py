"""The models slot: what an update brought, in the place of what the pedal came with.

::

    active → a           the link that an update switches, in one step
    a/release.json       what lies there: version, name, files
    a/stage.onnx         the stage network
    a/studio/            the studio engine's bundle
    a/presets/*.toml     presets, with their captures and cabinets

Any of the last three may be missing. The link is followed once for each load, so that one bank is
all of one slot. No link: nothing was ever installed, and the pedal plays what it came with.
"""

import json
import os
from pathlib import Path

from device.errors import SlotError
from device.plain import dataclass

STAGE, BUNDLE, PRESETS, RELEASE = "stage.onnx", "studio", "presets", "release.json"
PLANS = "plans"
"""What was built of the bundle on this device; no part of the release."""

PREFIX = "slot:"
"""A preset of the bank that lies in the slot: ``slot:presets/x.toml``."""

_RELEASE_BYTES = 8_000_000
_NAME_LENGTH = 80


@dataclass(frozen=True)
class Slot:
    """A slot that can be used, as it was when it was looked at."""

    folder: Path
    """No link."""
    version: int | None = None
    """Of the release, where it says."""
    name: str = ""
    stage: Path | None = None
    bundle: Path | None = None
    presets: tuple[Path, ...] = ()
    """In the order of their names."""


class LinkWatch:
    """Tells that a link was switched since the last look; costs one system call."""

    def __init__(self, link: Path | None) -> None:
        """Remember it as it is; None: nothing ever changes."""
        self._link = None if link is None else os.fspath(link)
        self._seen = self._look()

    def changed(self) -> bool:
        """Look again; True once for each time it was found to be another."""
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def _look(self) -> tuple[int, int, int] | None:
        if self._link is None:
            return None
        try:
            found = os.lstat(self._link)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns


def follow(link: Path | None) -> Path | None:
    """The folder that the link leads to, there or not; None where there is no link."""
    if link is None or not os.path.lexists(link):
        return None
    return Path(os.path.realpath(link))


def identity(folder: Path | None) -> str:
    """Differs between two slots, and between two releases in one; costs two system calls.

    Empty for the pedal's own models.
    """
    if folder is None:
        return ""
    seen: list[object] = [folder]
    for place in (folder, folder / RELEASE):
        try:
            found = os.stat(place)
        except OSError:
            seen.append("none")
        else:
            seen += [found.st_dev, found.st_ino]
            seen += [found.st_mtime_ns, found.st_size] if place is not folder else []
    return " ".join(str(each) for each in seen)


def read_slot(folder: Path | None) -> Slot | None:
    """What lies in a slot, given by ``follow``; None for None. Raises ``SlotError``.

    A slot that lacks files which its release names, or has them in another size, is not used. What
    they hold is the update's to verify before the link is switched.
    """
    if folder is None:
        return None
    try:
        names = set(os.listdir(folder))
        release = _release(folder)
        presets = sorted((folder / PRESETS).glob("*.toml")) if PRESETS in names else []
    except OSError as error:
        raise SlotError(
            f"{folder}: the models slot cannot be read ({error.strerror}); install the update again"
        ) from None
    _check_files(folder, release)
    stage = folder / STAGE if STAGE in names else None
    bundle = folder / BUNDLE if BUNDLE in names else None
    if stage is None and bundle is None and not presets:
        raise SlotError(f"{folder}: the models slot holds nothing; install the update again")
    version, name = release.get("version"), release.get("name")
    return Slot(
        folder,
        version if isinstance(version, int) else None,
        name[:_NAME_LENGTH] if isinstance(name, str) else "",
        stage,
        bundle,
        tuple(presets),
    )


def slot_in_use(link: Path | None) -> Slot | None:
    """What plays just now; None for the pedal's own, also where the slot cannot be used."""
    try:
        return read_slot(follow(link))
    except SlotError:
        return None


def _release(folder: Path) -> dict[str, object]:
    """What the slot says of itself; nothing where it does not, or nothing that can be read."""
    try:
        with (folder / RELEASE).open("rb") as file:
            found = json.loads(file.read(_RELEASE_BYTES))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _check_files(folder: Path, release: dict[str, object]) -> None:
    files = release.get("files")
    for each in files if isinstance(files, list) else ():
        path, size = (each.get("path"), each.get("bytes")) if isinstance(each, dict) else (0, 0)
        if not isinstance(path, str) or not isinstance(size, int):
            continue
        try:
            whole = os.stat(folder / path).st_size == size
        except (OSError, ValueError):
            whole = False
        if not whole:
            raise SlotError(
                f"{folder}: {path[:_NAME_LENGTH]} of the models slot is missing or cut short; "
                "install the update again"
            )
