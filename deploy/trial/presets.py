"""Presets of a slot: readable, complete, and at home in the slot with all that they play."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from deploy.release import relative_path
from deploy.trial.graphs import GRAPH_BYTES, check_graph, read_bounded
from device.errors import PresetError
from device.files import read_sound
from device.preset import Preset, Side, read_preset
from models.errors import ModelError
from models.onnx_file import first_line

FOLDER = "presets"
MOST_PRESETS = 64
"""As many as a bank holds."""
MOST_SOUND_BYTES = 64 << 20
"""Of a recording or an impulse response."""
MOST_DIRECTION_S = 600.0
"""Of a recording that a direction is found from."""
ARRAY_BYTES = 64 << 20
"""Of an ``.npz``, and of the arrays that it unpacks to."""

_SOUNDS = frozenset({".wav", ".flac"})
_SIDES: tuple[Side, ...] = ("a", "b")


def preset_files(folder: Path) -> list[Path]:
    """The presets of a slot, in the order in which a player steps through them."""
    return sorted((folder / FOLDER).rglob("*.toml"))


def check_presets(folder: Path, interface_dbu: float) -> int:
    """Read every preset of a slot and everything that it plays; returns how many there are.

    Raises ``PresetError``, ``ModelError`` or ``AudioFileError`` with one sentence.
    """
    files = preset_files(folder)
    if len(files) > MOST_PRESETS:
        raise PresetError(
            f"{FOLDER}: holds {len(files)} presets, but a bank holds {MOST_PRESETS}; publish fewer."
        )
    for file in files:
        _check_preset(read_preset(file), folder, interface_dbu)
    for file in sorted((folder / FOLDER).rglob("*")):
        _check_other(file)
    return len(files)


def _check_preset(preset: Preset, folder: Path, interface_dbu: float) -> None:
    """One preset: its files before anything opens them, then what is in them."""
    for place, name in references(preset):
        try:
            relative_path(name)
        except ValueError as problem:
            raise PresetError(
                f"{preset.file}: {place}: {problem}; a preset of a release plays its own files."
            ) from None
        file = preset.file.parent / name
        if not file.is_file():
            raise PresetError(f"{preset.file}: {place}: {name} is not in the release; add it.")
        # No path with a "..", no link in the slot: it lies where it says.
        if not file.resolve().is_relative_to(folder.resolve()):
            raise PresetError(f"{preset.file}: {place}: {name} leads out of the slot.")
        if file.suffix.lower() in _SOUNDS and file.stat().st_size > MOST_SOUND_BYTES:
            raise PresetError(
                f"{preset.file}: {place}: {name} has more than {MOST_SOUND_BYTES} bytes; cut it."
            )
    for side in _SIDES:
        preset.chain(side, interface_dbu)
    direction = preset.table.morph.direction
    if direction is not None:
        for name in (direction.start, direction.to):
            read_sound(preset.file.parent / name, maximum_s=MOST_DIRECTION_S)


def references(preset: Preset) -> Iterator[tuple[str, str]]:
    """Every file that a preset names, with where it does so."""
    for side in _SIDES:
        for index, block in enumerate(getattr(preset.table.tone, side).chain):
            name = getattr(block, "file", None)
            if name is not None:
                yield f"tone.{side}.chain[{index}]", name
    direction = preset.table.morph.direction
    if direction is not None:
        yield "morph.direction.from", direction.start
        yield "morph.direction.to", direction.to


def _check_other(file: Path) -> None:
    """What a release may carry for presets to come, which nothing may trip over."""
    if file.suffix == ".onnx":
        check_graph(read_bounded(file, GRAPH_BYTES), str(file))
    elif file.suffix == ".npz":
        _check_arrays(read_bounded(file, ARRAY_BYTES), str(file))


def _check_arrays(content: bytes, where: str) -> None:
    """Plain arrays of finite numbers: no pickles, no bombs."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > ARRAY_BYTES:
            raise ModelError(f"{where}: unpacks to {unpacked} bytes, which is too much.")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            finite = all(
                np.isfinite(arrays[name]).all()
                for name in arrays.files
                if arrays[name].dtype.kind in "fc"
            )
    except ModelError:
        raise
    except Exception as problem:  # zipfile, zlib and numpy raise many kinds for a damaged file
        raise ModelError(
            f"{where}: is no file of plain arrays ({type(problem).__name__}: "
            f"{first_line(problem)}); publish another one."
        ) from None
    if not finite:
        raise ModelError(f"{where}: holds a NaN or an infinity; publish another one.")
