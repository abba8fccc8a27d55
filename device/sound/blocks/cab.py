"""The cabinet: an impulse response, convolved without latency."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from device.errors import AudioFileError
from device.files import read_sound, resampled
from device.sound.block import Block, Parameter
from device.sound.networks import Networks
from device.sound.ramp import SmoothGain
from models.units import Audio

if TYPE_CHECKING:
    import pedalboard

MAXIMUM_S = 10.0
"""Longest impulse response that is taken, seconds; a cabinet needs 0.5, a spring reverb 3."""

Normalise = Literal["energy", "none"]

PARAMETERS = MappingProxyType({"level_db": Parameter("level_db", -60.0, 24.0, 0.0)})
"""What can be moved."""


class CabBlock(Block):
    """Convolves with an impulse response of any usual rate and length, by pedalboard (JUCE).

    JUCE's partitioned convolution adds no latency, but scales every response to an energy of
    its own choice; that is measured with an impulse and undone. ``"energy"`` then plays each
    cabinet at unit energy (white noise leaves as loud as it came, so cabinets compare);
    ``"none"`` plays the file as it is.
    """

    kind = "cab"

    def __init__(
        self,
        file: Path,
        level_db: float = 0.0,
        normalise: Normalise = "energy",
        networks: Networks | None = None,
    ) -> None:
        """Read the file. Raises ``AudioFileError`` for one that cannot be used.

        Where ``networks`` has it laid out it is not read, but taken from there.
        """
        self._file = file
        self._networks = networks
        self._sound: _Sound | None = None
        if networks is None:
            self._sound = _read(file)
        self._normalise = normalise
        self._level_db = level_db

    @property
    def label(self) -> str:
        """``cab`` and the file's name."""
        return f"cab {self._file.name}"

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """``level_db``."""
        return PARAMETERS

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Resample the response to ``rate_hz`` and let the library lay out its partitions."""
        # Here, because presets are read where nothing is played, too.
        import pedalboard

        self._rate_hz = rate_hz
        self._period_frames = period_frames
        laid = None
        if self._networks is not None:
            laid = self._networks.response(self._file, rate_hz, period_frames)
        if laid is None:
            response = _at_rate(self._sound or _read(self._file), rate_hz)
            self._convolution = pedalboard.Convolution(response, 1.0, sample_rate=rate_hz)
            energy = _energy(response)
            gain = _library_gain(self._convolution, response, rate_hz, period_frames)
        else:
            # From a file the library takes it without Python's lock.
            self._convolution = pedalboard.Convolution(str(laid.file), 1.0)
            silence = np.zeros((1, period_frames), np.float32)
            self._convolution.process(silence, rate_hz, buffer_size=period_frames, reset=True)
            self._convolution.reset()
            energy, gain = laid.energy, laid.library_gain
        self._scale = (1.0 / energy if self._normalise == "energy" else 1.0) / gain
        self.level = SmoothGain(self._level_db, rate_hz, period_frames)

    def process(self, source: Audio, target: Audio) -> None:
        """Convolve one period. The library returns a new array, which is copied and freed."""
        answer = self._convolution.process(
            source, self._rate_hz, buffer_size=self._period_frames, reset=False
        )
        np.multiply(answer, self._scale, out=target)
        self.level.apply(target)

    def move(self, name: str, value: float) -> None:
        """Move ``level_db``, dB."""
        row = PARAMETERS[name]
        row.check(value)
        self.level.move(value)
        self._level_db = value

    def reset(self) -> None:
        """Forget the tail."""
        self._convolution.reset()
        self.level.settle()


_Sound = tuple[Audio, int]
"""A sound and its rate."""
_Samples = npt.NDArray[np.float32]


def lay_out(file: Path, rate_hz: int, period_frames: int) -> tuple[bytes, float, float]:
    """A response as WAV, and what ``Response`` says of it. Raises ``AudioFileError``."""
    import pedalboard

    response = _at_rate(_read(file), rate_hz)
    content = _as_wav(response, rate_hz)
    convolution = pedalboard.Convolution(response, 1.0, sample_rate=rate_hz)
    gain = _library_gain(convolution, response, rate_hz, period_frames)
    return content, _energy(response), gain


def _as_wav(response: _Samples, rate_hz: int) -> bytes:
    """The response as a WAV file of float32."""
    import tempfile

    import soundfile

    # By way of a file: to write into memory libsndfile is given callbacks, which libffi compiles,
    # and a process that may not compile (MemoryDenyWriteExecute=) is refused that.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "response.wav"
        soundfile.write(file, response, rate_hz, subtype="FLOAT", format="WAV")
        return file.read_bytes()


def _read(file: Path) -> _Sound:
    sound, rate_hz = read_sound(file, maximum_s=MAXIMUM_S)
    if not sound.any():
        raise AudioFileError(f"{file}: the impulse response is silent; use another file")
    return sound, rate_hz


def _at_rate(sound: _Sound, rate_hz: int) -> _Samples:
    samples, file_rate_hz = sound
    response: _Samples = resampled(samples, file_rate_hz, rate_hz)[0].copy()
    # A sampled response keeps its sound at another rate when its sum over time is kept.
    response *= file_rate_hz / rate_hz
    return response


def _energy(response: _Samples) -> float:
    return float(np.sqrt(np.sum(np.square(response, dtype=np.float64))))


def _library_gain(
    convolution: "pedalboard.Convolution", response: _Samples, rate_hz: int, frames: int
) -> float:
    """What the library multiplied the response by, from the answer to an impulse."""
    impulse = np.zeros((1, frames), np.float32)
    impulse[0, 0] = 1.0
    strongest = int(np.argmax(np.abs(response)))
    answer = impulse
    for period in range(strongest // frames + 1):
        answer = convolution.process(impulse, rate_hz, buffer_size=frames, reset=period == 0)
        impulse.fill(0.0)
    convolution.reset()
    return float(answer[0, strongest % frames] / response[strongest])
