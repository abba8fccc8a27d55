"""The guitar's way in and out: a full-duplex ALSA port that survives xruns and unplugging.

::

    port = AlsaPort(AlsaConfig(card="hw:CARD=USB"))
    port.open()
    while True:
        port.read(period)    # paces the loop
        ...
        port.write(period)

**Latency.** ``read`` starts both directions together: playback first, with all ``periods``
periods of silence queued (one ``write``, since the first frame starts it), then capture. A sample
that is captured at the start arrives after one period, and is queued behind what is left of the
silence, so it is played ``periods × period_frames`` later. Fewer periods of silence would save
one period, but with the usual two the queue would be empty at the very moment the first
captured period arrives. What the converters and USB add is not known here: it is measured.

**Xruns.** One stopped direction stops both (``drop``): the next ``read`` starts them together
again, silence queued anew. So the latency is the nominal one after every xrun and never creeps.

**Unplugging.** The streams are closed, ``read`` gives silence at the pace of the clock, and looks
for the card by its name, less and less often. Nothing but a wrong request at ``open`` raises.

**What is allocated in a period.** ``read()`` of pyalsaaudio makes one ``bytes`` of
``period_frames × channels × bytes per sample`` (512 at 64 frames of stereo S32), and a few small
Python objects come with it, ``avail`` and ``poll``; all are freed before the call returns.
Samples are converted in arrays made at ``open``. No lock, no log, no file, as long as the card
is there; looking for a card that is not opens files and allocates.
"""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from device.boards.alsa_pcm import (
    XRUN_CODES,
    Absent,
    Request,
    Stream,
    card_is_missing,
    errno_of,
    load_library,
    open_stream,
)
from device.boards.audio_port import PortStatus
from device.boards.samples import FORMATS, Decoder, Encoder
from device.errors import AudioError, ConfigError
from device.plain import dataclass
from models.units import Audio

_XRUNS_IN_A_ROW = 16
"""Starts without one good period, after which the card counts as lost and is opened anew."""


@dataclass(frozen=True)
class AlsaConfig:
    """Which card, and how it must run. Raises ``ConfigError`` for what no card could be."""

    card: str
    """A PCM by a stable name: ``"hw:CARD=USB"`` (ids: ``/proc/asound/cards``), not ``"hw:1"``."""
    capture: str | None = None
    """Another PCM for the guitar in; only if both run on one clock."""
    playback: str | None = None
    """Another PCM for the way out; only if both run on one clock."""
    rate_hz: int = 48000
    period_frames: int = 64
    """Frames of one transfer."""
    periods: int = 2
    """Periods of the card's buffer, in each direction."""
    input_channel: int = 0
    """The guitar's input, counted from 0."""
    capture_channels: tuple[int, ...] = (2, 1)
    """Channel counts to try; those without ``input_channel`` are passed over."""
    playback_channels: tuple[int, ...] = (2, 1)
    """Channel counts to try; the mono output goes to every channel."""
    formats: tuple[str, ...] = tuple(FORMATS)
    """Sample formats to try, in order."""
    retry_first_s: float = 0.05
    """After this long an absent card is looked for again; then after twice as long, and so on."""
    retry_longest_s: float = 1.0
    """The longest time between two looks."""
    stall_s: float = 0.2
    """A card that moves no period in this time (or in ten periods, if longer) is lost."""
    patient: bool = False
    """A card that is there and refuses does not stop the start: it is looked for again."""
    start_s: float = 1.0
    """The same for the first period after a start: some cards and servers take their time."""

    def __post_init__(self) -> None:
        """Check what can be checked without a card."""
        for name, low in (("rate_hz", 1), ("period_frames", 1), ("periods", 2)):
            if getattr(self, name) < low:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be {low} or more")
        if self.input_channel < 0 or not self.usable_capture_channels:
            raise ConfigError(
                f"input_channel {self.input_channel} does not exist in any of capture_channels "
                f"{self.capture_channels}; channels are counted from 0"
            )
        if not self.playback_channels or min(self.playback_channels) < 1:
            raise ConfigError(f"playback_channels is {self.playback_channels}; give 1 or more")
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            raise ConfigError(f"formats is {self.formats}; choose from {', '.join(FORMATS)}")
        if not 0.0 < self.retry_first_s <= self.retry_longest_s:
            raise ConfigError(
                f"retry_first_s is {self.retry_first_s} and retry_longest_s "
                f"{self.retry_longest_s}; they must be above 0 and in this order"
            )

    @property
    def usable_capture_channels(self) -> tuple[int, ...]:
        """Those channel counts that have the guitar's input."""
        return tuple(count for count in self.capture_channels if count > self.input_channel)


class AlsaPort:
    """A full-duplex mono ``AudioPort`` on an ALSA card, see the module's text.

    ``read`` paces the loop. ``write`` never waits longer than the card needs for one period, and
    returns at once while the card is absent. The counters are plain numbers, to be read at any
    time.

    ``library`` (a module like ``alsaaudio``), ``monotonic``, ``sleep`` (seconds) and ``cards``
    (the kernel's list of cards) stand in for the real ones in tests.
    """

    def __init__(
        self,
        config: AlsaConfig,
        *,
        library: Any = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        cards: Path = Path("/proc/asound"),
    ) -> None:
        self.config = config
        self.rate_hz = config.rate_hz
        self.period_frames = config.period_frames
        self.periods = config.periods
        self.xruns_capture = 0
        self.xruns_playback = 0
        self.absences = 0
        """Times the card was lost, or missing at ``open``."""
        self.stalls = 0
        """Those absences where the card was there and moved nothing."""
        self.refusals = 0
        """Times a card was there while running and could not be used as asked."""
        self.reopens = 0
        self.last_error: str | None = None
        """Why the card was last lost, missing or refused; kept when it is back."""
        self.latency_frames = config.periods * config.period_frames
        """Nominal delay from capture to playback, without the converters' and the bus's own."""
        self._library = library
        self._monotonic = monotonic
        self._sleep = sleep
        self._cards = cards
        self._period_s = config.period_frames / config.rate_hz
        self._stall_s = max(config.stall_s, 10 * self._period_s)
        self._start_s = max(config.start_s, self._stall_s)
        self._capture: Stream | None = None
        self._playback: Stream | None = None
        self._is_open = False
        self._running = False
        self._xruns_in_a_row = 0
        self._retry_s = config.retry_first_s
        self._retry_at_s = 0.0
        self._next_period_s = 0.0

    @property
    def absent(self) -> bool:
        """Whether the card is missing now."""
        return self._capture is None

    def open(self) -> None:
        """Open both directions and verify what the driver gave.

        A card that is missing, or held by another program, is no error: it is looked for while
        ``read`` is called. Raises ``AudioError`` when pyalsaaudio is missing or too old, and,
        unless it is to be patient, when the card is there but refuses what was asked.
        """
        self.close()
        if self._library is None:
            self._library = load_library()
        self._is_open = True
        try:
            self._open_streams()
        except Absent as reason:
            self._lose(str(reason))
        except AudioError as reason:
            if not self.config.patient:
                self._is_open = False
                raise
            self.refusals += 1
            self._lose(str(reason))

    def read(self, target: Audio) -> PortStatus:
        """Wait for one period of the guitar and put it into ``target`` ``(1, period_frames)``.

        Returns ``OK``; ``XRUN`` after a lost period; or ``ABSENT``, after one period's time.
        Unless it is ``OK`` the target is silence. Raises ``AudioError`` only before ``open``.
        """
        if self._capture is None and not self._look_for_card():
            return self._absent_period(target)
        status = self._read_period(target)
        if status is PortStatus.OK:
            return status
        if status is PortStatus.ABSENT:
            return self._absent_period(target)
        target.fill(0.0)
        return status

    def write(self, source: Audio) -> PortStatus:
        """Queue one period ``(1, period_frames)``, samples within ±1 (beyond, they clip).

        After an ``XRUN`` of ``read`` the period is dropped: the silence that is queued at the
        next start takes its place. That is ``OK``, since the loss has been told already.
        """
        playback = self._playback
        if playback is None:
            return PortStatus.ABSENT
        if not self._running:
            return PortStatus.OK
        self._encoder.encode(source)
        try:
            frames = playback.wait(self._stall_s)
            if frames > 0:
                frames = playback.pcm.write(self._encoder.raw)
        except self._library.ALSAAudioError as error:
            return self._failed(-errno_of(error), capture=False)
        if frames == self.period_frames:
            return PortStatus.OK
        # A short transfer leaves the queue shorter than it should be: it ends as an xrun does.
        return self._failed(frames if frames < 0 else -errno.EPIPE, capture=False)

    def close(self) -> None:
        """Stop both directions and release the card; may be called twice."""
        self._is_open = False
        self._close_streams()

    # -- one period ----------------------------------------------------------------------------

    def _read_period(self, target: Audio) -> PortStatus:
        assert self._capture is not None
        pcm = self._capture.pcm
        started = False
        try:
            frames = 0
            if not self._running:
                started = True
                frames = self._prefill()
                if frames < 0:
                    return self._failed(frames, capture=False)
                # In non-blocking mode this starts capture and brings nothing; a PCM without a
                # clock (type null, type file) has its first period at once, which is kept.
                frames, data = pcm.read()
            if frames != self.period_frames:
                frames = self._capture.wait(self._start_s if started else self._stall_s)
                if frames > 0:
                    frames, data = pcm.read()
        except self._library.ALSAAudioError as error:
            return self._failed(-errno_of(error), capture=True)
        if frames != self.period_frames:
            return self._failed(frames if frames < 0 else -errno.EPIPE, capture=True)
        self._decoder.raw[:] = data
        self._decoder.decode(target)
        self._running = True
        self._xruns_in_a_row = 0
        return PortStatus.OK

    def _prefill(self) -> int:
        """Queue all periods as silence, which starts playback. Negative errno, or 0."""
        assert self._playback is not None
        try:
            frames: int = self._playback.pcm.write(self._silence)
        except self._library.ALSAAudioError as error:
            return -errno_of(error)
        if frames == self.periods * self.period_frames:
            return 0
        return frames if frames < 0 else -errno.EPIPE

    def _failed(self, code: int, *, capture: bool) -> PortStatus:
        """Sort a failed transfer, ``code`` a negative errno: start again, or look for the card."""
        if -code in XRUN_CODES and self._xruns_in_a_row < _XRUNS_IN_A_ROW and self._stop():
            self._xruns_in_a_row += 1
            if capture:
                self.xruns_capture += 1
            else:
                self.xruns_playback += 1
            return PortStatus.XRUN
        direction = "capture" if capture else "playback"
        if code == -errno.ETIMEDOUT:
            self.stalls += 1
            self._lose(f"{direction} stalled: the card is there but moves nothing")
        elif -code in XRUN_CODES:
            self._lose(f"{direction} broke off again after each of {_XRUNS_IN_A_ROW} starts")
        else:
            self._lose(f"{direction} stopped: {os.strerror(-code) if code else 'unknown error'}")
        return PortStatus.ABSENT

    def _stop(self) -> bool:
        """Drop what both directions hold; pyalsaaudio prepares them at the next transfer."""
        assert self._capture is not None and self._playback is not None
        self._running = False
        try:
            self._playback.pcm.drop()
            self._capture.pcm.drop()
        except self._library.ALSAAudioError:
            return False
        return True

    # -- the card that comes and goes ------------------------------------------------------------

    def _open_streams(self) -> None:
        """Open and verify both directions. Raises ``Absent`` or ``AudioError``."""
        config = self.config
        names = (config.capture or config.card, config.playback or config.card)
        for name in names:
            if card_is_missing(name, self._cards):
                raise Absent(f"{name} is not among the kernel's cards: plug it in")
        common = (config.rate_hz, config.period_frames, config.periods, config.formats)
        capture = open_stream(
            self._library,
            names[0],
            capture=True,
            request=Request(*common, channels=config.usable_capture_channels),
        )
        try:
            playback = open_stream(
                self._library,
                names[1],
                capture=False,
                request=Request(*common, channels=config.playback_channels),
            )
        except (Absent, AudioError):
            capture.close()
            raise
        frames = config.period_frames
        self._decoder = Decoder(
            capture.sample_format, capture.channels, frames, config.input_channel
        )
        self._encoder = Encoder(playback.sample_format, playback.channels, frames)
        self._silence = np.zeros(self._encoder.raw.nbytes * config.periods, dtype=np.uint8)
        self._capture, self._playback = capture, playback
        self._running = False
        self._xruns_in_a_row = 0
        self._retry_s = config.retry_first_s

    def _close_streams(self) -> None:
        for stream in (self._playback, self._capture):
            if stream is not None:
                stream.close()
        self._playback = self._capture = None
        self._running = False

    def _lose(self, reason: str) -> None:
        """Enter absence: release the card and set the time of the first look for it."""
        self._close_streams()
        self.absences += 1
        self.last_error = reason
        now_s = self._monotonic()
        self._retry_s = self.config.retry_first_s
        self._retry_at_s = now_s + self._retry_s
        self._next_period_s = now_s + self._period_s

    def _look_for_card(self) -> bool:
        """Try to open an absent card if it is time to. Whether it is there now."""
        if not self._is_open:
            raise AudioError("the audio port is not open: call open() before read()")
        if self._monotonic() < self._retry_at_s:
            return False
        try:
            self._open_streams()
        except (Absent, AudioError) as reason:
            # Back, but not as asked: the music cannot be helped by stopping the pedal, so it
            # is counted and tried again. A card may settle, or be swapped for the right one.
            if isinstance(reason, AudioError):
                self.refusals += 1
            self.last_error = str(reason)
            self._retry_s = min(2.0 * self._retry_s, self.config.retry_longest_s)
            self._retry_at_s = self._monotonic() + self._retry_s
            return False
        self.reopens += 1
        return True

    def _absent_period(self, target: Audio) -> PortStatus:
        """Silence, after what is left of one period by the clock."""
        target.fill(0.0)
        now_s = self._monotonic()
        if self._next_period_s > now_s:
            self._sleep(self._next_period_s - now_s)
            self._next_period_s += self._period_s
        else:
            # Late (a look for the card took long): the beat starts anew, nothing is caught up.
            self._next_period_s = now_s + self._period_s
        return PortStatus.ABSENT
