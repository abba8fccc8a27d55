"""Integer samples of a sound interface ↔ float32, one period at a time, without allocation.

Full scale is ±1: an integer format of n bits divides by 2^(n−1), so the most negative integer
is −1.0 and the most positive one is one step below +1.0. That scale is a power of two, hence a
16- or 24-bit sample survives the way to float32 and back bit for bit. A 32-bit sample keeps the
24 bits that float32 has, which is more than a converter delivers.

No dither: at 24 bits the guitar's own noise is far above a step, and a bit-exact path can be
tested.
"""

import numpy as np
import numpy.typing as npt

from device.plain import dataclass
from models.units import Audio


@dataclass(frozen=True)
class SampleFormat:
    """How ALSA lays one sample out in memory (all little-endian, as the targets are)."""

    name: str
    """ALSA's name, as in ``S24_3LE``."""
    bits: int
    """Significant bits of an integer format; 0 for float."""
    bytes_per_sample: int


FORMATS: dict[str, SampleFormat] = {
    entry.name: entry
    for entry in (
        SampleFormat("S32_LE", 32, 4),
        SampleFormat("S24_3LE", 24, 3),  # three bytes, packed: most USB interfaces
        SampleFormat("S24_LE", 24, 4),  # the low three bytes of four; the top one is undefined
        SampleFormat("S16_LE", 16, 2),
        SampleFormat("FLOAT_LE", 0, 4),
    )
}
"""The formats that the pedal speaks, the preferred one first."""

_FLOAT32_MANTISSA_BITS = 24


def _dtype(sample_format: SampleFormat) -> str:
    """Name the NumPy type of one sample; three packed bytes pass through an int32."""
    return {"S16_LE": "<i2", "FLOAT_LE": "<f4"}.get(sample_format.name, "<i4")


class Decoder:
    """Interleaved samples of one period to one mono float32 channel.

    Copy the driver's bytes into ``raw`` and call ``decode``. All views are made here, once.

    ``channel`` (counted from 0) is the one input that is taken; the others are ignored.
    """

    def __init__(
        self, sample_format: SampleFormat, channels: int, frames: int, channel: int = 0
    ) -> None:
        if not 0 <= channel < channels:
            raise ValueError(f"channel is {channel}, but there are only {channels} channels")
        size = sample_format.bytes_per_sample
        self.raw = memoryview(bytearray(frames * channels * size))
        """Where the driver's bytes go: one period, all channels, writable."""
        raw = np.frombuffer(self.raw, dtype=np.uint8)
        self._is_float = sample_format.bits == 0
        # Integers of 24 bits are lifted to the top of an int32: that gives them their sign,
        # and the undefined fourth byte of S24_LE falls off.
        self._lifted = np.zeros((1, frames), dtype="<i4")
        self._shift: npt.NDArray[np.int32] | None = None
        self._copy_to: npt.NDArray[np.generic] | None = self._lifted
        if size == 3:
            self._copy_to = self._lifted.view(np.uint8).reshape(frames, 4)[:, 1:]
            self._copy_from: npt.NDArray[np.generic] = raw.reshape(frames, channels, 3)[:, channel]
            self._source: npt.NDArray[np.generic] = self._lifted
        else:
            samples = raw.view(_dtype(sample_format)).reshape(frames, channels)
            self._copy_from = self._source = samples[:, channel].reshape(1, frames)
            if sample_format.name == "S24_LE":
                self._shift = np.array(8, dtype=np.int32)
                self._source = self._lifted
            else:
                self._copy_to = None
        # 0-d arrays: a Python number would be turned into a new array in every call.
        self._scale = np.array(2.0**-15 if size == 2 else 2.0**-31, dtype=np.float32)

    def decode(self, target: Audio) -> None:
        """Turn what lies in ``raw`` into ``target``, float32 ``(1, frames)``, full scale ±1."""
        if self._copy_to is not None:
            np.copyto(self._copy_to, self._copy_from)
            if self._shift is not None:
                np.left_shift(self._lifted, self._shift, out=self._lifted)
        np.copyto(target, self._source, casting="unsafe")
        if not self._is_float:
            np.multiply(target, self._scale, out=target)


class Encoder:
    """One mono float32 channel to interleaved samples of one period, the same on every channel.

    ``raw`` holds the bytes for the driver after ``encode``. It starts as silence.
    """

    def __init__(self, sample_format: SampleFormat, channels: int, frames: int) -> None:
        size, bits = sample_format.bytes_per_sample, sample_format.bits
        self.raw = np.zeros(frames * channels * size, dtype=np.uint8)
        """The bytes for the driver, ``(frames × channels × bytes per sample,)``."""
        self._is_float = bits == 0
        self._work = np.zeros((1, frames), dtype=np.float32)
        self._column = self._work.reshape(frames, 1)
        self._nan = np.zeros((1, frames), dtype=np.bool_)
        # The highest value that is an integer of the format *and* a float32: 32767 and 8388607
        # steps are; 2147483647 is not, it would round up to full scale and wrap to the most
        # negative sample, so a 32-bit +1.0 is 2147483520.
        top = 1.0 - 2.0 ** -min(bits - 1, _FLOAT32_MANTISSA_BITS) if bits else 1.0
        self._top = np.array(top, dtype=np.float32)
        self._bottom = np.array(-1.0, dtype=np.float32)
        self._zero = np.array(0.0, dtype=np.float32)
        self._scale = np.array(2.0 ** (bits - 1) if bits else 1.0, dtype=np.float32)
        self._packed_from: npt.NDArray[np.uint8] | None = None
        if size == 3:
            self._integers: npt.NDArray[np.generic] = np.zeros((frames, 1), dtype="<i4")
            self._packed_from = self._integers.view(np.uint8).reshape(frames, 1, 4)[:, :, :3]
            self._packed_to = self.raw.reshape(frames, channels, 3)
        else:
            self._integers = self.raw.view(_dtype(sample_format)).reshape(frames, channels)

    def encode(self, source: Audio) -> None:
        """Turn ``source``, float32 ``(1, frames)``, into the bytes in ``raw``.

        Rounds to the nearest step (halves to even). Beyond ±1 it clips, so that +1.0 is the
        most positive sample and never wraps; NaN becomes silence. The signal path limits before
        this point: here nothing is counted, it is the last line of defence.
        """
        work = self._work
        np.isnan(source, out=self._nan)
        np.minimum(source, self._top, out=work)
        np.maximum(work, self._bottom, out=work)
        np.copyto(work, self._zero, where=self._nan)
        if not self._is_float:
            np.multiply(work, self._scale, out=work)
            np.rint(work, out=work)
        np.copyto(self._integers, self._column, casting="unsafe")
        if self._packed_from is not None:
            np.copyto(self._packed_to, self._packed_from)
