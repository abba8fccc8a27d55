"""From a preset to a path that can be played: what has to be found for it is found here, once.

What finds it (``ways``, ``fit``, ``direction``) is imported where a preset needs it: most of a
start would be spent on searches that were done long ago.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from device.cache import Kept
from device.preset import Preset
from device.sound.playable import Playable

if TYPE_CHECKING:
    from device.studio import StudioBundle, StudioSource


def playable(
    preset: Preset,
    rate_hz: int,
    interface_dbu: float | None = None,
    scenes: bool = True,
    cache: Path | None = None,
    studio: "StudioSource | None" = None,
) -> Playable:
    """Make a preset's path, unprepared, with the way its knob takes. Raises ``PresetError``.

    ``cache`` is a folder; by default ``default_cache()``. ``studio`` makes the studio engine.
    """
    engine = None if studio is None else studio.engine
    if not preset.needs_way:
        change = None
        if preset.table.morph.direction is not None and studio is not None:
            change = studio.change(preset, cache)
        return preset.path(interface_dbu, scenes, studio=engine, change=change)
    from device.ways import found_law, found_path

    if preset.one_shape:
        law = found_law(preset, rate_hz, interface_dbu, cache)
        return preset.path(interface_dbu, scenes, law=law)
    from device.sound.trajectory import Trajectory
    from models.path import way_along

    found = found_path(preset, rate_hz, interface_dbu, cache)
    trajectory = Trajectory(way_along(found, preset.table.morph.law))
    fit = None
    if preset.needs_fit:
        from device.fit import found_fit

        fit = found_fit(preset, found, rate_hz, interface_dbu, cache)
    return preset.path(interface_dbu, scenes, trajectory, fit=fit, studio=engine)


def find(
    preset: Preset,
    rate_hz: int,
    interface_dbu: float | None = None,
    cache: Path | None = None,
    network: "StudioBundle | None" = None,
) -> None:
    """Find into the cache what ``playable`` needs. Raises as that does."""
    if preset.table.morph.direction is not None and network is not None:
        from device.direction import found_direction

        found_direction(preset, network, cache)
    if not preset.needs_way:
        return
    from device.ways import found_law, found_path

    if preset.one_shape:
        found_law(preset, rate_hz, interface_dbu, cache)
        return
    found = found_path(preset, rate_hz, interface_dbu, cache)
    if preset.needs_fit:
        from device.fit import found_fit

        found_fit(preset, found, rate_hz, interface_dbu, cache)


def is_found(
    preset: Preset,
    rate_hz: int,
    interface_dbu: float | None = None,
    cache: Path | None = None,
    network: "StudioBundle | None" = None,
) -> bool:
    """Whether all that ``playable`` has to find is in the cache. Raises ``ModelError``."""
    if preset.table.morph.direction is not None and network is not None:
        from device.direction import kept_direction

        return kept_direction(preset, network, cache).exists
    if not preset.needs_way:
        return True
    about = (preset, rate_hz, interface_dbu, cache)
    if preset.one_shape:
        return Kept("law", *about).exists
    if preset.needs_fit:
        from device.fit import kept_fit

        if not kept_fit(*about).exists:
            return False
    return Kept("way", *about).exists
