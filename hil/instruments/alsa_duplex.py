"""The bench's own sound card: out to the pedal, in from it, both directions started together.

The same lower half as the pedal's port (``device/boards/alsa_pcm.py``), but with two inputs: the
pedal's output, and where one is wired a cable straight from the bench's own output, the reference.
"""

import errno
from typing import Any

import numpy as np

from device.boards.alsa_pcm import XRUN_CODES, Absent, Request, errno_of, load_library, open_stream
from device.boards.samples import FORMATS, Decoder, Encoder
from device.errors import AudioError
from hil.errors import InstrumentError
from hil.instruments.duplex_stream import Broken
from hil.suites.delay import Signal

_STALL_S = 1.0
_CHANNELS = (2, 4, 6, 8, 1)


class AlsaDuplex:
    """Full duplex on one card, and so on one clock."""

    def __init__(
        self,
        card: str,
        rate_hz: int,
        period_frames: int,
        periods: int,
        inputs: tuple[int, ...],
        *,
        library: Any = None,
    ) -> None:
        """Open and verify both directions. ``inputs`` are channels, counted from 0.

        Raises ``InstrumentError``. ``library`` stands in for ``alsaaudio`` in tests.
        """
        self.card, self.rate_hz = card, rate_hz
        self.period_frames, self.periods = period_frames, periods
        self.inputs = len(inputs)
        common = (rate_hz, period_frames, periods, tuple(FORMATS))
        try:
            self._library = library or load_library()
            self._capture = open_stream(
                self._library,
                card,
                capture=True,
                request=Request(*common, channels=[n for n in _CHANNELS if n > max(inputs)]),
            )
            try:
                self._playback = open_stream(
                    self._library,
                    card,
                    capture=False,
                    request=Request(*common, channels=_CHANNELS),
                )
            except (Absent, AudioError):
                self._capture.close()
                raise
        except (Absent, AudioError) as error:
            raise InstrumentError(f"audio: {error}; check [audio] in bench.toml.") from None
        self._decoders = [
            Decoder(self._capture.sample_format, self._capture.channels, period_frames, channel)
            for channel in inputs
        ]
        self._encoder = Encoder(
            self._playback.sample_format, self._playback.channels, period_frames
        )
        self._silence = np.zeros(self._encoder.raw.nbytes * periods, dtype=np.uint8)
        self._work = np.zeros((1, period_frames), dtype=np.float32)

    def start(self) -> None:
        """Start both: playback with all its periods of silence, then capture.

        Raises ``Broken``, ``InstrumentError``.
        """
        try:
            self._playback.pcm.drop()
            self._capture.pcm.drop()
            written = self._playback.pcm.write(self._silence)
            self._check(written, self.periods * self.period_frames)
            self._capture.pcm.read()
        except self._library.ALSAAudioError as error:
            self._check(-errno_of(error) or -errno.EIO, 0)

    def cycle(self, out: Signal) -> Signal:
        """One period: what came ``(inputs, period_frames)``; then ``out`` ``(period_frames,)``.

        ``out`` is played ``periods × period_frames`` after what came was recorded. Raises
        ``Broken`` after an xrun, ``InstrumentError`` where the card is gone.
        """
        frames = self.period_frames
        try:
            ready = self._capture.wait(_STALL_S)
            self._check(min(ready, frames), frames)
            read, data = self._capture.pcm.read()
            self._check(read, frames)
            came = np.zeros((self.inputs, frames), dtype=np.float32)
            for row, decoder in enumerate(self._decoders):
                decoder.raw[:] = data
                decoder.decode(came[row : row + 1])
            self._work[0] = out
            self._encoder.encode(self._work)
            ready = self._playback.wait(_STALL_S)
            self._check(min(ready, frames), frames)
            self._check(self._playback.pcm.write(self._encoder.raw), frames)
        except self._library.ALSAAudioError as error:
            self._check(-errno_of(error) or -errno.EIO, frames)
        return came

    def close(self) -> None:
        """Stop both and let go of the card."""
        self._playback.close()
        self._capture.close()

    def _check(self, moved: int, frames: int) -> None:
        """Sort a transfer that was not whole."""
        if moved == frames:
            return
        if moved >= 0 or -moved in XRUN_CODES:
            raise Broken
        reason = "it moves nothing" if moved == -errno.ETIMEDOUT else errno.errorcode.get(-moved)
        raise InstrumentError(
            f"audio: the bench's card {self.card} has stopped ({reason}); plug it in again."
        )
