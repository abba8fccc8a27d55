"""A bank of presets, made ready to be played.

What is not yet known of a preset takes seconds and much memory to find. So it is found in
processes of its own, one for each core, and reaches the one that plays through the cache: that one
stays small.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from device.cache import writable
from device.prepare import find, is_found, playable
from device.preset import Preset, read_preset
from device.processes.realtime import die_with_parent
from device.sound.dry import DryPath
from device.sound.playable import Playable
from device.sound.player import Player
from models.errors import PurgaError

if TYPE_CHECKING:
    from device.sound.networks import Networks
    from device.studio import StudioBundle, StudioSource

_MOST_WORKERS = 4
"""However many cores there are: each takes hundreds of megabytes."""


def playable_bank(
    presets: Sequence[Preset],
    rate_hz: int,
    interface_dbu: float | None = None,
    cache: Path | None = None,
    studio: "StudioSource | None" = None,
) -> list[Playable]:
    """``playable`` for each preset. Raises ``PresetError`` and ``ModelError``."""
    network = None
    if studio is not None and any(each.table.morph.direction for each in presets):
        network = studio.network
    find_ways(presets, rate_hz, interface_dbu, cache, network)
    return [
        playable(preset, rate_hz, interface_dbu, cache=cache, studio=studio) for preset in presets
    ]


def loaded_bank(
    files: Sequence[Path],
    first: int,
    rate_hz: int,
    period_frames: int,
    interface_dbu: float | None = None,
    studio_of: "Callable[[], StudioSource] | None" = None,
    cache: Path | None = None,
    stage: Path | None = None,
) -> tuple[Player, dict[int, str]]:
    """A prepared player of these presets, and why any of them cannot be played, by its index.

    For the stage: the dry guitar plays in the place of a preset that is broken, whatever is
    wrong with it. ``studio_of`` gives the source of studio engines, and is asked only where a
    preset wants one. ``stage`` is the stage network, by default the one that ships.
    """
    problems: dict[int, str] = {}
    presets = read_bank(files, problems, stage)
    studio = None
    if studio_of is not None and any(each.plays_studio for each in presets.values()):
        studio = studio_of()
    find_for_stage(list(presets.values()), rate_hz, interface_dbu, cache, studio)
    bank = made_bank(files, presets, problems, rate_hz, interface_dbu, cache, studio)

    def instead(index: int, problem: Exception) -> Playable:
        problems[index] = sentence(files[index], problem)
        return DryPath(bank[index].name)

    player = Player(bank, first)
    player.prepare(rate_hz, period_frames, instead=instead)
    return player, problems


def read_bank(
    files: Sequence[Path],
    problems: dict[int, str],
    stage: Path | None = None,
    networks: "Networks | None" = None,
) -> dict[int, Preset]:
    """The presets that can be read, by their index; ``problems`` gets a sentence for the others.

    Which has one already is not read.
    """
    presets: dict[int, Preset] = {}
    for index, file in enumerate(files):
        if index in problems:
            continue
        try:
            presets[index] = read_preset(file, stage, networks)
        except Exception as problem:
            problems[index] = sentence(file, problem)
    return presets


def made_bank(
    files: Sequence[Path],
    presets: Mapping[int, Preset],
    problems: dict[int, str],
    rate_hz: int,
    interface_dbu: float | None,
    cache: Path | None,
    studio: "StudioSource | None",
) -> list[Playable]:
    """An unprepared path for each file; the dry guitar for what is not among ``presets``, or fails.

    ``problems`` gets a sentence for each that fails.
    """
    bank: list[Playable] = []
    for index, file in enumerate(files):
        path: Playable = DryPath(file.stem)
        if index in presets:
            try:
                path = playable(presets[index], rate_hz, interface_dbu, cache=cache, studio=studio)
            except Exception as problem:
                problems[index] = sentence(file, problem)
        bank.append(path)
    return bank


def find_for_stage(
    presets: Sequence[Preset],
    rate_hz: int,
    interface_dbu: float | None,
    cache: Path | None,
    studio: "StudioSource | None",
) -> None:
    """``find_ways`` for those that can be found; what fails shows when the preset is made."""
    whole = []
    for preset in presets:
        try:
            if is_found(preset, rate_hz, interface_dbu, cache):
                continue
            # A capture that is missing is seen here, before processes are started for it.
            for tone in (preset.table.tone.a, preset.table.tone.b):
                for block in tone.chain:
                    block.build(preset.file.parent, interface_dbu)
            whole.append(preset)
        except Exception:
            continue
    network = None
    try:
        if studio is not None and any(each.table.morph.direction for each in whole):
            network = studio.network
        find_ways(whole, rate_hz, interface_dbu, cache, network)
    except PurgaError:
        return


def sentence(file: Path, problem: Exception) -> str:
    """What is wrong with a preset; a defect of ours is said to be one."""
    if isinstance(problem, PurgaError):
        text = str(problem)
        return text if text.startswith(str(file)) else f"{file}: {text}"
    return f"{file}: cannot be played ({type(problem).__name__}: {problem}); report this"


def find_ways(
    presets: Sequence[Preset],
    rate_hz: int,
    interface_dbu: float | None = None,
    cache: Path | None = None,
    network: "StudioBundle | None" = None,
) -> None:
    """Find what is not yet known of these presets, into the cache, with a bar on stderr.

    ``network`` is what finds directions. Where that cannot be, nothing is done: ``playable`` then
    finds it itself. Raises ``PresetError`` and ``ModelError``.
    """
    about = (rate_hz, interface_dbu, cache, network)
    unknown = [each for each in presets if not is_found(each, *about)]
    if not unknown or not writable(cache):
        return
    # Here, because a bank that is known needs none of it, and somebody waits for the sound.
    import multiprocessing
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed

    from device.tools.progress import count_bar

    workers = min(len(unknown), len(os.sched_getaffinity(0)), _MOST_WORKERS)
    try:
        with (
            # A fork would copy threads that hold locks.
            ProcessPoolExecutor(
                workers, multiprocessing.get_context("spawn"), initializer=die_with_parent
            ) as pool,
            count_bar("preparing presets", len(unknown)) as bar,
        ):
            found = [
                pool.submit(_find, each.file.absolute(), each.stage, *about) for each in unknown
            ]
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
    stage: Path | None,
    rate_hz: int,
    interface_dbu: float | None,
    cache: Path | None,
    network: "StudioBundle | None",
) -> None:
    find(read_preset(file, stage), rate_hz, interface_dbu, cache, network)
