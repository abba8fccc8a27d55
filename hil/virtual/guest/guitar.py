"""The other end of the cable: plays guitar into the interface and records what comes out."""

import math
import subprocess
import wave
from pathlib import Path

import numpy as np

RATE_HZ = 48000
_DEVICE = "hw:Loopback,1,0"
_LOOP_S = 4
# The far end's own periods are long, so that it costs next to nothing of the guest's processor.
_FORMAT = ["-f", "S32_LE", "-c", "2", "-r", str(RATE_HZ)]
_LONG = ["--period-size=2400", "--buffer-size=24000"]


def riff(path: Path, seconds: float, seed: int = 0) -> None:
    """Write decaying plucks, stereo S32 as a WAV, peak 0.4; the same four seconds over and over."""
    generator = np.random.default_rng(seed)
    frames = _LOOP_S * RATE_HZ
    sound = np.zeros(frames)
    note_frames = RATE_HZ // 4
    time_s = np.arange(3 * note_frames) / RATE_HZ
    for start in range(0, frames, note_frames):
        note_hz = 82.4 * 2.0 ** (generator.integers(0, 24) / 12.0)
        note = np.zeros(time_s.size)
        for partial in range(1, 6):
            decay = np.exp(-time_s * (2.0 + partial))
            note += decay * np.sin(2.0 * np.pi * partial * note_hz * time_s) / partial
        end = min(frames, start + note.size)
        sound[start:end] += note[: end - start]
    sound *= 0.4 / np.abs(sound).max()
    codes = np.round(sound * (2**31 - 1)).astype("<i4")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(4)
        file.setframerate(RATE_HZ)
        loop = np.repeat(codes, 2).tobytes()
        for _ in range(math.ceil(seconds / _LOOP_S)):
            file.writeframesraw(loop)


def recorded(path: Path) -> np.ndarray:
    """What a recording holds, first channel, full scale ±1."""
    data = np.frombuffer(path.read_bytes()[44:], "<i4")
    return data[::2] / 2.0**31


class Guitar:
    """A player at the far end of the loopback interface; both directions run until ``stop``."""

    def __init__(self, sound: Path, recording: Path | None = None) -> None:
        """Start playing ``sound`` and, where a file is named, recording."""
        self._children = [
            subprocess.Popen(
                ["aplay", "-q", "-D", _DEVICE, *_LONG, str(sound)], stderr=subprocess.DEVNULL
            )
        ]
        if recording is not None:
            command = ["arecord", "-q", "-D", _DEVICE, *_FORMAT, *_LONG, str(recording)]
            self._children.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))

    @property
    def started(self) -> bool:
        """Whether no direction failed: each is running, or came to its end in order."""
        return all(child.poll() in (None, 0, -15) for child in self._children)

    def stop(self) -> None:
        """Stop both directions."""
        for child in self._children:
            if child.poll() is None:
                child.terminate()
        for child in self._children:
            child.wait()
