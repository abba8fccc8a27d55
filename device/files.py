"""Sound files at the edge: reading, resampling, writing.

Each library is imported where it is needed: a pedal that starts needs few of them, or none.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from device.errors import AudioFileError
from models.units import Audio

MINIMUM_RATE_HZ, MAXIMUM_RATE_HZ = 8000, 192000
READABLE = "WAV, FLAC, MP3, OGG or AIFF"
WRITABLE = {".wav": ("WAV", "FLOAT"), ".flac": ("FLAC", "PCM_24")}


def read_sound(
    path: Path, maximum_s: float = 7200.0, notes: list[str] | None = None
) -> tuple[Audio, int]:
    """Read a mono or stereo file as ``(1, frames)`` float32 and its rate in Hz.

    Stereo is averaged, and a line that says so is added to ``notes``. Raises
    ``AudioFileError`` for a file that is missing, foreign, damaged, empty, longer than
    ``maximum_s``, of more than two channels, of a rate outside 8…192 kHz, or that holds NaN.
    """
    import soundfile

    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise AudioFileError(f"{path}: {what}; name a {READABLE} file")
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz, channels, frames = file.samplerate, file.channels, file.frames
            if not MINIMUM_RATE_HZ <= rate_hz <= MAXIMUM_RATE_HZ:
                raise AudioFileError(
                    f"{path}: its sample rate is {rate_hz} Hz, but must lie in "
                    f"{MINIMUM_RATE_HZ}…{MAXIMUM_RATE_HZ} Hz; convert it first"
                )
            if channels > 2:
                raise AudioFileError(
                    f"{path}: it has {channels} channels, but mono or stereo is expected; "
                    "export one channel first"
                )
            if frames > maximum_s * rate_hz:
                raise AudioFileError(
                    f"{path}: it is {frames / rate_hz:.1f} s long, but at most {maximum_s:g} s "
                    "are taken here; cut it first"
                )
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, RuntimeError, MemoryError, ValueError) as error:
        if isinstance(error, AudioFileError):
            raise
        reason = str(error).replace(f"'{path}'", "the file").rstrip(".")
        raise AudioFileError(
            f"{path}: it cannot be read as sound ({reason}); give a {READABLE} file"
        ) from None
    if len(samples) == 0:
        raise AudioFileError(f"{path}: it holds no samples; record or export it again")
    if not np.isfinite(samples).all():
        bad = int(np.argmin(np.isfinite(samples).all(axis=1)))
        raise AudioFileError(
            f"{path}: frame {bad} is not a number or infinite; export it again without"
        )
    if channels == 2 and notes is not None:
        notes.append(f"{path.name}: stereo was averaged to mono")
    return np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32)[None, :]), rate_hz


def resampled(sound: Audio, from_hz: int, to_hz: int) -> Audio:
    """Convert ``(1, frames)`` to another rate by libsoxr at its quality VHQ; not streaming."""
    if from_hz == to_hz:
        return sound
    import soxr

    converted = soxr.resample(sound[0], from_hz, to_hz, quality="VHQ")
    return np.ascontiguousarray(converted, dtype=np.float32)[None, :]


def read_sound_at(path: Path, rate_hz: int, notes: list[str]) -> Audio:
    """Read a file and bring it to ``rate_hz``, with a line in ``notes`` where that changed it."""
    sound, file_rate_hz = read_sound(path, notes=notes)
    if file_rate_hz != rate_hz:
        notes.append(f"{path.name}: resampled from {file_rate_hz} to {rate_hz} Hz")
    return resampled(sound, file_rate_hz, rate_hz)


def check_target(path: Path, *sources: Path) -> None:
    """Refuse, before any work, a sound file that could not be written in the end."""
    if path.suffix.lower() not in WRITABLE:
        raise AudioFileError(
            f"{path}: the output's name must end in {' or '.join(WRITABLE)}, not "
            f"{path.suffix or 'nothing'!r}"
        )
    if not path.parent.is_dir():
        raise AudioFileError(f"{path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise AudioFileError(f"{path}: is a folder; name a file")
    for source in sources:
        if path.exists() and source.exists() and path.samefile(source):
            raise AudioFileError(f"{path}: is also the input; name another output")
    if not os.access(path.parent, os.W_OK):
        raise AudioFileError(f"{path}: no permission to write in {path.parent}")


def write_sound(path: Path, sound: Audio, rate_hz: int) -> None:
    """Write ``(1, frames)`` as WAV (float32) or FLAC (24 bit, limited to ±1), whole or not at all.

    Raises ``AudioFileError`` when the disk does not take it.
    """
    import soundfile

    container, subtype = WRITABLE[path.suffix.lower()]
    data = sound[0] if subtype == "FLOAT" else np.clip(sound[0], -1.0, 1.0)
    with whole_file(path) as temporary:
        try:
            soundfile.write(temporary, data, rate_hz, format=container, subtype=subtype)
        except soundfile.LibsndfileError as error:
            raise OSError(str(error)) from None
        if container == "WAV":
            _without_time_of_writing(temporary)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name to write to; the file then appears under ``path``, whole or not at all.

    The folder is made if it is missing. Raises ``AudioFileError`` when the disk does not take it.
    """
    import tempfile

    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise AudioFileError(f"{path}: could not be written ({error})") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _without_time_of_writing(file: Path) -> None:
    """Zero the time stamp that libsndfile puts into a float WAV's PEAK chunk.

    The same sound must give the same file, byte for byte.
    """
    with file.open("r+b") as wav:
        at = wav.read(256).find(b"PEAK")
        if at >= 0:
            wav.seek(at + 12)  # behind the chunk's name, size and version
            wav.write(bytes(4))
