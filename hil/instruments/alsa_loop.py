"""The audio loop: the bench's card out to the pedal's jack, and in from the pedal's output.

The streams run all the time (``duplex_stream.py``): started anew for each shot, a USB card would
be a few frames later or sooner each time. Its own round trip, with a cable in the pedal's place, is
measured by ``python -m hil loopback`` and taken off by the suites (``own_frames``). A start still
moves it; a second cable, from the bench's own output to another of its inputs, shows by how much,
and what is given is shifted back by that.
"""

import math

import numpy as np

from hil.errors import BenchError, InstrumentError
from hil.instruments.duplex_stream import Duplex, DuplexStream
from hil.instruments.loopback import Loopback, check_same
from hil.suites.delay import Signal, chirp, find_delay, shifted

_TRIES = 3
_NOTHING_FRAMES = 1e-4
_TAIL_S = 1.0 / 3.0


class AlsaLoop:
    """See ``hil.instruments.protocols.AudioLoop``."""

    def __init__(self, duplex: Duplex, loopback: Loopback | None = None) -> None:
        """Start the streams. ``loopback``: as it was measured; None to measure it.

        Raises ``BenchError`` for a measurement of another card or other periods,
        ``InstrumentError`` for a card that does not run.
        """
        if loopback is not None:
            check_same(duplex, loopback)
        self._loopback = loopback
        self._stream = DuplexStream(duplex)
        self.model = f"{duplex.card}, {duplex.period_frames} × {duplex.periods}"
        self.rate_hz = duplex.rate_hz
        self.own_frames = 0.0 if loopback is None else loopback.own_frames
        self._aligned = 0
        self._moved_frames = 0.0
        """Later than when it was measured, by the reference."""
        try:
            self.restart()
        except (BenchError, InstrumentError):
            self.close()
            raise

    def shot(self, signal: Signal) -> Signal:
        """See the protocol: ``(frames + tail,)``; the card's own round trip is still in it."""
        came: Signal = self.both(signal)[0]
        if abs(self._moved_frames) < _NOTHING_FRAMES:
            return came
        return shifted(came, -self._moved_frames, len(came)).astype(np.float32)

    def both(self, signal: Signal) -> Signal:
        """All inputs ``(inputs, frames + tail)``, as recorded. Raises ``InstrumentError``."""
        for _ in range(_TRIES):
            if self._aligned != self._stream.starts:
                self._align()
            came = self._exchanged(signal)
            if came is not None and self._aligned == self._stream.starts:
                return came
        raise InstrumentError(_XRUNS)

    def restart(self) -> None:
        """Start the streams anew, and find out by the reference how that has moved them."""
        self._stream.restart()
        self._align()

    def close(self) -> None:
        """See the protocol."""
        self._stream.close()

    def _align(self) -> None:
        measured = None if self._loopback is None else self._loopback.reference_frames
        for _ in range(_TRIES):
            self._aligned = self._stream.starts
            if measured is None:
                return
            signal = chirp()
            came = self._exchanged(signal)
            if came is None:
                continue
            try:
                self._moved_frames = find_delay(signal, came[1]).frames - measured
            except BenchError as error:
                raise InstrumentError(f"audio: the reference cable is not heard: {error}") from None
            return
        raise InstrumentError(_XRUNS)

    def _exchanged(self, signal: Signal) -> "Signal | None":
        duplex = self._stream.duplex
        own = duplex.period_frames * duplex.periods
        frames = len(signal) + math.ceil(_TAIL_S * self.rate_hz) + own
        return self._stream.exchange(signal, frames)


_XRUNS = (
    "audio: the bench's own card loses periods again and again; give it longer ones (period_frames "
    "of [audio]) or the machine less to do."
)
