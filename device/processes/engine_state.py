"""What the engine process says of itself, in a small file beside the meters, for ``status``."""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from device.processes.beside import replace_json
from device.processes.meters import resident_mib

_MOST_BYTES = 4096


@dataclass
class EngineState:
    """Figures of the engine process, all since it was started."""

    pid: int
    provider: str
    """What computes."""
    precision: str
    bundle: str
    window_frames: int
    hop_frames: int
    hop_ms: float
    """Time from one window to the next."""
    windows: int = 0
    """Windows encoded and decoded."""
    window_ms: float = 0.0
    """What one took at the mean."""
    longest_ms: float = 0.0
    connections: int = 0
    """Presets that are connected now."""
    gaps: int = 0
    """Times that periods were missing and a stream began anew."""
    foreign: int = 0
    """Packets that were none of ours."""
    refused: int = 0
    """Replies not sent because the queue was full."""
    nan_windows: int = 0
    """Windows that were not finite, and not sent."""

    def resident_mib(self) -> float | None:
        """Memory that the process holds now, MiB; None when it no longer runs."""
        return resident_mib(self.pid)


def write_state(path: Path, state: EngineState) -> None:
    """Replace the file, whole or not at all; a disk that does not take it costs ``status`` only."""
    with contextlib.suppress(OSError):
        replace_json(path, asdict(state))


def read_state(path: Path) -> EngineState | None:
    """What an engine process wrote last; None where none has, or the file is foreign."""
    try:
        with path.open("rb") as file:
            fields = json.loads(file.read(_MOST_BYTES))
        return EngineState(**fields)
    except (OSError, ValueError, TypeError):
        return None
