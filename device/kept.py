"""Networks and impulse responses laid out for one rate and period, kept in files.

Each file is named by a hash of all that went into it and begins with the hash of its content,
which is verified when it is read: what is damaged is as good as missing. Reading one takes file
reads and hashing, during which Python's lock is free.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device.errors import PresetError
from device.plain import asdict
from device.sound.networks import (
    Capture,
    CaptureFacts,
    MadeCapture,
    Response,
    stage_network,
)

VERSION = 1
"""Of how things are laid out: a change makes every kept file a stranger."""
MOST_BYTES = 256 << 20
"""What is kept at most, by ``Store.trim``."""

_DIGEST = hashlib.sha256().digest_size
_LENGTH = 4
_MOST_FACTS = 1 << 16


class Store:
    """A folder of kept files."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made yet."""
        self.folder = folder

    def key(self, what: str, *parts: object) -> str:
        """The name for something, by all that it depends on."""
        about = json.dumps([VERSION, what, *(str(part) for part in parts)])
        return hashlib.sha256(about.encode()).hexdigest()[:40]

    def file(self, key: str, ending: str = "kept") -> Path:
        """Where it lies."""
        return self.folder / f"{key}.{ending}"

    def read(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """Facts and content; None where they are missing or damaged."""
        try:
            data = self.file(key).read_bytes()
        except OSError:
            return None
        rest = memoryview(data)[_DIGEST:]
        if hashlib.sha256(rest).digest() != data[:_DIGEST]:
            return None
        size = int.from_bytes(rest[:_LENGTH], "little")
        if size > min(_MOST_FACTS, len(rest) - _LENGTH):
            return None
        facts = json.loads(bytes(rest[_LENGTH : _LENGTH + size]))
        return facts, bytes(rest[_LENGTH + size :])

    def write(self, key: str, facts: dict[str, Any], content: bytes = b"") -> None:
        """Keep it, whole or not at all. Raises ``OSError``."""
        about = json.dumps(facts).encode()
        rest = len(about).to_bytes(_LENGTH, "little") + about + content
        self.put(self.file(key), hashlib.sha256(rest).digest() + rest)

    def put(self, file: Path, content: bytes) -> None:
        """Write one file, whole or not at all. Raises ``OSError``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}.new")
        try:
            temporary.write_bytes(content)
            temporary.replace(file)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def use(self, key: str) -> None:
        """What is used is the last to be trimmed."""
        for file in (self.file(key), self.file(key, "wav")):
            with contextlib.suppress(OSError):
                os.utime(file)

    def trim(self, most_bytes: int = MOST_BYTES) -> None:
        """Remove what was not used for longest, where there is more than that."""
        found = []
        with contextlib.suppress(OSError):
            for file in self.folder.iterdir():
                about = file.stat()
                found.append((about.st_mtime_ns, about.st_size, file))
        total = sum(size for _, size, _ in found)
        for _, size, file in sorted(found):
            if total <= most_bytes:
                return
            with contextlib.suppress(OSError):
                file.unlink()
                total -= size


class KeptNetworks:
    """A ``Networks`` that takes what is kept; what is not is made and kept, or refused."""

    def __init__(self, store: Store, make: bool) -> None:
        """With ``make`` this is who lays out; without, what is missing raises ``PresetError``."""
        self._store, self._make = store, make

    def capture(self, file: Path, size: float) -> Capture:
        """See ``Networks``."""
        return KeptCapture(self._store, self._make, file, size)

    def stage(self, file: Path | None, frames: int) -> bytes:
        """See ``Networks``."""
        store = self._store
        network = stage_network(file)
        key = store.key("stage", hashlib.sha256(network).hexdigest(), frames)
        return _network(store, key, self._make, lambda: stage_for_period(network, frames))

    def response(self, file: Path, rate_hz: int, frames: int) -> Response | None:
        """See ``Networks``."""
        store = self._store
        key = store.key("response", _digest(file), rate_hz, frames)
        wav = store.file(key, "wav")
        found = store.read(key)
        if found is not None and _digest(wav) == found[0]["wav"]:
            return Response(wav, found[0]["energy"], found[0]["library_gain"])
        if not self._make:
            raise _missing(file)
        from device.sound.blocks.cab import lay_out

        content, energy, gain = lay_out(file, rate_hz, frames)
        store.put(wav, content)
        facts = {"wav": _digest(wav), "energy": energy, "library_gain": gain}
        store.write(key, facts)
        store.use(key)
        return Response(wav, energy, gain)


class KeptCapture:
    """A capture of which only what is kept is read."""

    def __init__(self, store: Store, make: bool, file: Path, size: float) -> None:
        """Find what the file says. Raises ``ModelError``, and ``PresetError`` where not kept."""
        self._store, self._make, self._file, self._size = store, make, file, size
        self._made: MadeCapture | None = None
        self._id = f"{_digest(file)} {size!r}"
        key = store.key("capture", self._id)
        found = store.read(key)
        if found is None:
            found = (asdict(self._making().facts), b"")
            store.write(key, found[0])
        store.use(key)
        self.facts = CaptureFacts(**found[0])

    def alone(self, frames: int) -> bytes:
        """See ``Capture``."""
        key = self._store.key("alone", self._id, frames)
        return _network(
            self._store, key, self._make, lambda: for_period(self._making().alone(frames), frames)
        )

    def beside(self, other: Capture, frames: int) -> bytes | None:
        """See ``Capture``."""
        assert isinstance(other, KeptCapture), "both come from one place"

        def make() -> bytes:
            graph = self._making().beside(other._making(), frames)
            return b"" if graph is None else for_period(graph, frames)

        key = self._store.key("beside", self._id, other._id, frames)
        return _network(self._store, key, self._make, make) or None

    def _making(self) -> MadeCapture:
        if not self._make:
            raise _missing(self._file)
        if self._made is None:
            self._made = MadeCapture(self._file, self._size)
        return self._made


def for_period(model: bytes, frames: int) -> bytes:
    """A streaming network fixed to one period, still one for ``StreamingModel``.

    What that does when it loads a network is then done already, and takes next to no time.
    """
    import onnx

    from models.streaming import period
    from models.streaming.builder import DELAY

    fixed = period.for_period(onnx.load_model_from_string(model), frames)
    for node in fixed.graph.node:
        # By these names the delay lines are found that are to be rewritten: none is any more.
        if node.name.startswith(f"{DELAY}/"):
            node.name = f"fixed/{node.name}"
    return bytes(fixed.SerializeToString())


def stage_for_period(network: bytes, frames: int) -> bytes:
    """The stage network as it is laid out for periods of ``frames``."""
    from models.stage.shape import BLOCK_FRAMES

    # Where periods are not whole blocks the network plays others.
    return for_period(network, frames) if frames % BLOCK_FRAMES == 0 else network


def _network(store: Store, key: str, make: bool, lay: Callable[[], bytes]) -> bytes:
    found = store.read(key)
    if found is None:
        if not make:
            raise _missing(store.file(key))
        found = ({}, lay())
        store.write(key, *found)
    store.use(key)
    return found[1]


def _digest(file: Path) -> str:
    """Of a file's content; of nothing where it cannot be read, which whoever reads it says."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return "none"


def _missing(file: Path) -> PresetError:
    return PresetError(f"{file}: was not laid out before; install the update again")
