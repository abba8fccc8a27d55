"""A bank of presets, made ready to be played.

What is not yet known of a preset takes seconds and much memory to find. So it is found in
processes of its own, one for each core, and reaches the one that plays through the cache: that one
stays small.
"""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from pathlib import Path

from device.cache import writable
from device.prepare import find, is_found, playable
from device.preset import Preset, read_preset
from device.processes.realtime import die_with_parent
from device.sound.player import Playable
from device.studio import StudioBundle, StudioSource
from device.tools.progress import count_bar
from models.errors import PurgaError

_MOST_WORKERS = 4
"""However many cores there are: each takes hundreds of megabytes."""


def playable_bank(
    presets: Sequence[Preset],
    rate_hz: int,
    interface_dbu: float | None = None,
    cache: Path | None = None,
    studio: StudioSource | None = None,
) -> list[Playable]:
    """``playable`` for each preset. Raises ``PresetError`` and ``ModelError``."""
    network = None
    if studio is not None and any(each.table.morph.direction for each in presets):
        network = studio.network
    find_ways(presets, rate_hz, interface_dbu, cache, network)
    return [
        playable(preset, rate_hz, interface_dbu, cache=cache, studio=studio) for preset in presets
    ]


def find_ways(
    presets: Sequence[Preset],
    rate_hz: int,
    interface_dbu: float | None = None,
    cache: Path | None = None,
    network: StudioBundle | None = None,
) -> None:
    """Find what is not yet known of these presets, into the cache, with a bar on stderr.

    ``network`` is what finds directions. Where that cannot be, nothing is done: ``playable`` then
    finds it itself. Raises ``PresetError`` and ``ModelError``.
    """
    about = (rate_hz, interface_dbu, cache, network)
    unknown = [each for each in presets if not is_found(each, *about)]
    if not unknown or not writable(cache):
        return
    workers = min(len(unknown), len(os.sched_getaffinity(0)), _MOST_WORKERS)
    try:
        with (
            # A fork would copy threads that hold locks.
            ProcessPoolExecutor(
                workers, multiprocessing.get_context("spawn"), initializer=die_with_parent
            ) as pool,
            count_bar("preparing presets", len(unknown)) as bar,
        ):
            files = [each.file.absolute() for each in unknown]
            found = [pool.submit(_find, file, *about) for file in files]
            for one in as_completed(found):
                bar.update()
                if one.exception() is not None:
                    for other in found:
                        other.cancel()
                one.result()
    except PurgaError:
        raise
    except (BrokenExecutor, OSError):
        return  # a machine that is out of memory, or grants no processes


def _find(
    file: Path,
    rate_hz: int,
    interface_dbu: float | None,
    cache: Path | None,
    network: StudioBundle | None,
) -> None:
    find(read_preset(file), rate_hz, interface_dbu, cache, network)
