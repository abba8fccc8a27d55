"""Loading a bank beside one that sounds, with Python's lock held for moments only.

Everything long is done by another process first (``device.ahead``): what is left here is reading
files and putting together what they hold, in the pauses of the loop that plays.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from device.ahead import Ready, Wanted, read_ready
from device.cache import default_cache, writable
from device.config import Config
from device.errors import SlotError
from device.plain import asdict, dataclass
from device.processes.beside import replace_json
from device.processes.spawn import Child
from device.sound.playable import Playable, prepared_bank

LONGEST_S = 900.0
"""A bank that takes longer to make ready is not taken."""

_LIBRARIES = (
    "zipfile",
    "numpy.lib.format",
    "onnx",
    "onnxruntime",
    "pedalboard",
    "models.runtime",
    "models.stage.model",
    "models.path",
    "models.quality",
    "device.bank",
    "device.fit",
    "device.ways",
    "device.kept",
    "device.sound.trajectory",
    "device.sound.twin",
    "device.sound.rate_bridge",
    "device.sound.parameter_path",
    "device.processes.studio_link",
    "device.sound.morph.studio_feed",
)


def load_libraries() -> None:
    """Import all that a bank may need; beside one that sounds it would take too long."""
    for name in _LIBRARIES:
        importlib.import_module(name)


@dataclass(frozen=True)
class Places:
    """Where what is found and laid out goes: to the cache, or beside the sockets."""

    ways: Path | None
    """None: ``default_cache()``."""
    kept: Path

    @classmethod
    def of(cls, config: Config) -> "Places":
        """The cache where it can be written."""
        if writable():
            return cls(None, default_cache().parent / "networks")
        return cls(config.runtime / "paths", config.runtime / "networks")


def make_ready(config: Config, folder: Path | None) -> Ready:
    """Have another process do what is long. Raises ``SlotError`` where it does not."""
    places, audio, studio = Places.of(config), config.table.audio, config.table.studio
    question, answer = config.runtime / "ahead.json", config.runtime / "ready.json"
    wanted = Wanted(
        folder="" if folder is None else str(folder),
        names=config.table.bank.presets,
        presets=tuple(str(file.absolute()) for file in config.presets),
        beside=str(config.folder.absolute()),
        named=config.named,
        bundle=None if config.bundle is None else str(config.bundle.absolute()),
        bundle_named=config.bundle_named,
        precision=studio.precision,
        hop_frames=studio.hop_frames,
        rate_hz=audio.rate_hz,
        period_frames=audio.period_frames,
        interface_dbu=audio.interface_dbu,
        ways=None if places.ways is None else str(places.ways),
        kept=str(places.kept),
        answer=str(answer),
    )
    where = folder or "the pedal's own models"
    try:
        replace_json(question, asdict(wanted))
        answer.unlink(missing_ok=True)
        code = Child([sys.executable, "-m", "device.ahead", str(question)]).wait(LONGEST_S)
        if code != 0:
            raise SlotError(f"{where}: the process that makes the bank ready ended with {code}")
        ready = read_ready(answer)
    except (OSError, ValueError, TypeError) as problem:
        if isinstance(problem, SlotError):
            raise
        raise SlotError(f"{where}: the bank cannot be made ready ({problem})") from None
    if ready.refused:
        raise SlotError(ready.refused)
    return ready


def quiet_bank(
    config: Config, ready: Ready
) -> tuple[tuple[Playable, ...], dict[int, str], tuple[Path, ...]]:
    """The prepared bank, its problems by index, and its files; ``config`` without a slot.

    Nothing is searched for or made here: what is missing is one more problem.
    """
    from device.bank import made_bank, read_bank, sentence
    from device.kept import KeptNetworks, Store
    from device.prepare import is_found
    from device.sound.dry import DryPath

    places, audio = Places.of(config), config.table.audio
    files = tuple(Path(each) for each in ready.presets)
    problems = {int(index): problem for index, problem in ready.problems.items()}
    store = Store(places.kept)
    stage = None if ready.stage is None else Path(ready.stage)
    presets = read_bank(files, problems, stage, KeptNetworks(store, make=False))
    for index, preset in list(presets.items()):
        if not is_found(preset, audio.rate_hz, audio.interface_dbu, places.ways):
            problems[index] = f"{preset.file}: its way was not found before; install again"
            del presets[index]
    studio = None
    if ready.timing is not None:
        from device.processes.studio_side import Known

        changes = {str(files[int(index)]): key for index, key in ready.changes.items()}
        studio = Known(
            config.studio_socket, ready.timing, ready.bundle, _changes(changes, store.read)
        )
    made = made_bank(
        files, presets, problems, audio.rate_hz, audio.interface_dbu, places.ways, studio
    )

    def instead(index: int, problem: Exception) -> Playable:
        problems[index] = sentence(files[index], problem)
        return DryPath(made[index].name)

    bank = prepared_bank(made, audio.rate_hz, audio.period_frames, instead)
    return bank, problems, files


def _changes(
    keys: Mapping[str, str], read: Callable[[str], tuple[object, bytes] | None]
) -> dict[str, np.ndarray]:
    found = {}
    for file, key in keys.items():
        kept = read(key)
        if kept is not None:
            found[file] = np.frombuffer(kept[1], np.float32).copy()[:, None]
    return found
