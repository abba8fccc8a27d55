"""Does it run at all? What firmware has to do in its slot before it may be tried.

That it plays well is shown on trial; here whatever could not even start is found.
"""

import json
import math
import struct
import time
import tomllib
import wave
from pathlib import Path

from deploy.errors import UpdateError
from deploy.firmware.idle import clean_environment, run_idle

MODULES = (
    *("alsaaudio", "gpiod", "gpiozero", "mido", "smbus2", "spidev", "systemd.daemon"),
    *("numpy", "onnx", "onnxruntime", "pedalboard", "pydantic", "soundfile", "soxr"),
    *("cryptography", "securesystemslib", "tuf.ngclient", "urllib3", "zstandard"),
    *("device.processes.audio", "device.processes.control", "device.processes.engine"),
    *("device.boards.jetson", "deploy.provision.steps", "deploy.slots", "deploy.firmware.install"),
)
"""What playing on a real board and updating import."""

_IMPORT = """
import importlib, importlib.metadata, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(importlib.metadata.version("purga"))
"""
_RATE_HZ, _SOUND_S, _PITCH_HZ = 48000, 0.25, 110.0
_PRESET = "device/presets/6-dry-to-ambient.toml"
_TIMEOUT_S = 600.0


def test(home: Path, scratch: Path) -> dict[str, float]:
    """Try the firmware in ``home``; returns the seconds that each part took.

    ``scratch`` is written to. Raises ``UpdateError`` with what does not work, and
    ``UpdateFailedError`` where it could not be tried.
    """
    python = home / ".venv" / "bin" / "python"
    environment = clean_environment() | {
        "CACHE_DIRECTORY": str(scratch),
        "TMPDIR": str(scratch),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    seconds = {}

    def run(name: str, what: str, *words: object) -> str:
        started_s = time.monotonic()
        said = run_idle(
            [python, *words],
            folder=home,
            environment=environment,
            timeout_s=_TIMEOUT_S,
            what=what,
            fault=UpdateError,
        )
        seconds[name] = round(time.monotonic() - started_s, 2)
        return said

    version = run("import", "Importing the new firmware", "-c", _IMPORT, *MODULES).strip()
    project = tomllib.loads((home / "pyproject.toml").read_text())["project"]
    if version != project["version"]:
        raise UpdateError(f"The new firmware calls itself {version}, not {project['version']}.")
    for package in ("device", "deploy"):
        run(package, f"python -m {package} of the new firmware", "-m", package, "--help")
    guitar, sound = scratch / "guitar.wav", scratch / "sound.wav"
    _write_tone(guitar)
    words = ["-m", "device", "render", guitar, sound, "--preset", home / _PRESET]
    said = run("render", "Playing through the new firmware", *words, "--position", "0.5", "--json")
    _check_sound(said, sound)
    return seconds


def _write_tone(file: Path) -> None:
    """A string that is plucked: 16 bit, mono, decaying from −10 dBFS."""
    frames = int(_RATE_HZ * _SOUND_S)
    values = (
        10000.0 * math.exp(-8.0 * n / _RATE_HZ) * math.sin(2 * math.pi * _PITCH_HZ * n / _RATE_HZ)
        for n in range(frames)
    )
    with wave.open(str(file), "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(_RATE_HZ)
        written.writeframes(b"".join(struct.pack("<h", round(value)) for value in values))


def _check_sound(said: str, sound: Path) -> None:
    """Raises ``UpdateError`` for silence, less sound than was asked for, or no figures."""
    lines = said.strip().splitlines()
    try:
        figures = json.loads(lines[-1])
    except (IndexError, ValueError):
        figures = None
    # A float32 sound: four bytes a frame, after a head that is no longer than the rest.
    content = sound.read_bytes() if sound.is_file() else b""
    frames = int(_RATE_HZ * _SOUND_S)
    if (
        not isinstance(figures, dict)
        or len(content) < 4 * frames
        or not any(content[-4 * frames :])
    ):
        raise UpdateError("The new firmware plays nothing through its own preset.")
