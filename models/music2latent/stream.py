"""The studio engine's stream: two tones in, the morph out, one window after another.

    a, b ─► network's rate ─► STFT ─► window of T frames ─► encode both ─► slerp ─► decode
         ─► the newest frames of the window ─► overlap-add ─► device's rate ─► morph

Every ``hop_frames`` new short-time frames the window of the latest T is encoded and decoded, and
only frames that no window has given yet go on: hop after hop they are overlap-added as if one
decoder had made them all. What is heard is one morph, never a sum of dry and wet: the decoder
makes its own phase, and a sum would comb.

Everything is anchored to absolute time: frame k to samples 512·k … of the network's rate, hops to
multiples of ``hop_frames``, noise to the frame. So the same input gives the same bits whatever the
periods, and a stream that starts in the middle gives the same bits as one that never stopped, once
its window holds the same frames.

With ``h`` hop and ``l`` look-ahead frames the output trails the input by 1536 + 512·(h + l) − 1
samples of the network's rate, the most that can be missing the moment before a hop is complete,
and by the resamplers' filters. Computing comes on top and is the caller's to count.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.latent import slerp
from models.morph import Positions
from models.music2latent.architecture import OFFICIAL
from models.music2latent.codec import Codec
from models.music2latent.frames import FrameRing
from models.music2latent.noise import WindowNoise
from models.music2latent.rates import RateWay
from models.music2latent.spectrum import BINS, HOP, OVERLAPS, WINDOW, Analysis, Synthesis
from models.resample import drop_first
from models.units import Audio

NETWORK_RATE_HZ = 44_100
"""The rate the network was trained at."""

FRAMES_PER_LATENT, LATENT_CHANNELS = OFFICIAL.frames_per_latent, OFFICIAL.latent_channels

LOUDEST = 1e4
"""Compressed amplitude beyond which a decode has failed; sound within full scale stays below 31."""

_PIECE = HOP  # device frames taken at a time, so that buffers stay small


@dataclass(frozen=True)
class StreamSettings:
    """How the stream cuts time. Raises ``ModelError`` where the parts do not fit."""

    window_frames: int = 16
    """Short-time frames that one encode and decode see: a multiple of 8; the codec's."""
    hop_frames: int = 8
    """New frames from one decode to the next, 1 … ``window_frames``."""
    look_ahead_frames: int = 0
    """Frames at the window's end that are only looked at: later output, more context."""
    seed: int = 0
    """Of the decoder's noise, 0 … 2^64 − 1."""
    rate_hz: int = NETWORK_RATE_HZ
    """The rate at which the network is fed; the device's, if another, is converted both ways.

    44100 is what the network learnt. 48000 feeds it a device's 48 kHz as it is: sooner by 5 ms at
    a hop of 1 frame, 8 at 4, 12 at 8 (frames are shorter, and no filters: 1.5 ms), by 9 % more
    decodes a second; but then the network hears everything 1.5 semitones lower, and what it makes
    of that only trained weights can tell. Converting is transparent: 0.001 dB of ripple to 18 kHz,
    aliases and images below −80 dB, guitar 0.03 … 0.6 dB from what went in, by what lies above
    19 kHz. So the network gets what it learnt, and 48000 is for who needs the milliseconds and has
    listened. The numbers are ``models.music2latent.measure_rates``'s.
    """

    def __post_init__(self) -> None:
        if self.window_frames < FRAMES_PER_LATENT or self.window_frames % FRAMES_PER_LATENT:
            raise ModelError(
                f"The window has {self.window_frames} frames, expected a multiple of "
                f"{FRAMES_PER_LATENT}: 8, 16 or 32."
            )
        if not 1 <= self.hop_frames <= self.window_frames:
            raise ModelError(
                f"The hop has {self.hop_frames} frames, expected 1 to the window's "
                f"{self.window_frames}."
            )
        most = self.window_frames - self.hop_frames
        if not 0 <= self.look_ahead_frames <= most:
            raise ModelError(
                f"The look-ahead has {self.look_ahead_frames} frames, expected 0 to {most}: with "
                f"the hop of {self.hop_frames} it must fit into the window of "
                f"{self.window_frames}."
            )
        if not 0 <= self.seed < 2**64:
            raise ModelError(f"The seed is {self.seed}, expected 0 to 2^64 - 1.")
        if self.rate_hz <= 0:
            raise ModelError(f"The network's rate is {self.rate_hz} Hz, expected above 0 Hz.")


class StudioStream:
    """Morphs two tones by a codec. Not for two threads at once.

    After a ``push`` take what is ready with ``pull``: the queue holds ``latency_frames`` and two
    pushes, enough for a caller that plays ``latency_frames`` late.
    """

    def __init__(
        self,
        codec: Codec,
        settings: StreamSettings,
        rate_hz: int,
        most_frames: int,
        change: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Allocate for pushes of at most ``most_frames`` frames at ``rate_hz``.

        With a ``change``, ``(64, 1)`` or one vector a latent, tone B is tone A's latents plus it
        (``models.latent.direction``: "more drive"), and what is pushed as ``b`` is not heard.

        Raises ``ModelError`` for a codec of another window or a rate that cannot be converted.
        """
        frames = settings.window_frames
        if codec.window_frames != frames:
            raise ModelError(
                f"The codec's window has {codec.window_frames} frames and the settings' {frames}, "
                "expected one length; build the bundle for this window or change the settings."
            )
        latents = (LATENT_CHANNELS, frames // FRAMES_PER_LATENT)
        if change is not None and change.shape not in (latents, (latents[0], 1)):
            raise ModelError(
                f"The change of the latents is {change.shape}, expected {(latents[0], 1)} or "
                f"{latents}."
            )
        self.settings, self._codec, self._change = settings, codec, change
        self._most_frames = most_frames
        self._in = RateWay(rate_hz, settings.rate_hz, 2, _PIECE)
        self._out = RateWay(settings.rate_hz, rate_hz, 1, HOP)
        self.latency_frames = _latency_frames(self._in, self._out, settings)
        """Frames at ``rate_hz`` by which the output trails the input at most; never changes."""
        self.nan_windows = 0
        """Decodes that were not finite, or beyond ``LOUDEST``, since the stream was made."""

        # In: both tones' samples at the network's rate, one piece at a time; then frames.
        self._tones = np.zeros((2, _PIECE), np.float32)
        most_samples = self._in.most_out(_PIECE)
        self._samples = np.zeros((2, most_samples), np.float32)
        self._analysis = Analysis(2)
        self._made = np.zeros((most_samples // HOP + 2, 2, 2, BINS), np.float32)
        self._frames = FrameRing(frames, (2, 2, BINS))
        self._noise = WindowNoise(settings.seed, frames)
        reach = self._out.most_out((frames + OVERLAPS + 2) * HOP) + self._in.lookahead_frames
        self._positions = np.zeros(reach + 2 * _PIECE, np.float32)

        # One window's way through the codec.
        self._window = np.zeros((2, 2, BINS, frames), np.float32)
        self._latents = np.zeros((2, *latents), np.float32)
        self._morph = np.zeros((1, *latents), np.float32)
        self._window_noise = np.zeros((1, 2, BINS, frames), np.float32)
        self._decoded = np.zeros((1, 2, BINS, frames), np.float32)

        # Out: frames to samples to the device's rate, and the queue.
        self._frame = np.zeros((2, BINS), np.float32)
        self._synthesis = Synthesis()
        self._block = np.zeros((1, HOP), np.float32)
        self._converted = np.zeros((1, self._out.most_out(HOP)), np.float32)
        self._hop_out = self._out.most_out(settings.hop_frames * HOP)
        room = self.latency_frames + 2 * most_frames + 2 * self._hop_out
        self._queue = np.zeros(room, np.float32)
        self.reset()

    @property
    def ready(self) -> int:
        """Frames that ``pull`` can give."""
        return self._ready

    @property
    def next_frame(self) -> int:
        """The absolute index of the frame that ``pull`` gives next."""
        return self._pulled

    @property
    def settling_frames(self) -> int:
        """Frames after a reset until the output is that of a stream that was never reset."""
        settings = self.settings
        frames = settings.window_frames + settings.hop_frames + 2 * OVERLAPS
        lookahead = self._in.lookahead_frames + self._out.most_out(self._out.lookahead_frames)
        return self._out.most_out(frames * HOP) + lookahead

    def reset(self, frame: int = 0) -> None:
        """Forget everything: the next frame pushed is number ``frame``, silence came before it.

        The next frame pulled is the same one. Computes nothing.
        """
        self._start = self._pushed = self._pulled = frame
        self._analysis.reset(self._in.reset(frame))
        self._frames.clear()
        # The first frame that holds a sample at or behind the start.
        block = frame * self._in.phases // self._in.step // HOP
        self._first = block - OVERLAPS + 1
        self._whole = block  # the first block of samples that all its frames have made
        self._synthesis.reset()
        self._skip = frame - self._out.reset(block * HOP)
        self._ready = 0
        self._position = 0.0

    def push(self, a: Audio, b: Audio, position: Positions) -> None:
        """Take ``(1, n)`` of both tones and the knob ``(n,)``, n ≤ ``most_frames``; any n.

        Computes as many windows as become complete. A tone that is not finite spoils the windows
        that hold it, and only those. A window whose decode is not finite is counted in
        ``nan_windows`` and its frames are silent: mask the sound while that number moves.

        Raises ``ValueError`` for other shapes and when too little was pulled, and what the codec
        raises; after that, ``reset``.
        """
        count = position.shape[0]
        if a.shape != (1, count) or b.shape != (1, count) or count > self._most_frames:
            raise ValueError(
                f"The tones are {a.shape} and {b.shape} and the positions {position.shape}, "
                f"expected (1, n), (1, n) and (n,) with n up to {self._most_frames}."
            )
        if self._ready + self._out.most_out(0) + count + self._hop_out > self._queue.shape[0]:
            raise ValueError(
                f"{self._ready} frames wait to be pulled, and the queue has no room for what "
                f"{count} more would make; pull before pushing."
            )
        # A tone or a decode that is not finite is counted, not warned of.
        with np.errstate(all="ignore"):
            for start in range(0, count, _PIECE):
                stop = min(count, start + _PIECE)
                tones = self._tones[:, : stop - start]
                np.copyto(tones[0], a[0, start:stop])
                np.copyto(tones[1], b[0, start:stop])
                self._keep_positions(position[start:stop])
                self._take(tones)

    def pull(self, target: Audio) -> int:
        """Write what is ready, at most ``target``'s ``(1, n)``; return how many frames.

        The first is frame ``next_frame``: the morph at that input frame's time.
        """
        frames = min(self._ready, int(target.shape[1]))
        if frames:
            np.copyto(target[0, :frames], self._queue[:frames])
            self._ready = drop_first(self._queue, frames, self._ready)
            self._pulled += frames
        return frames

    def _keep_positions(self, position: Positions) -> None:
        size = self._positions.shape[0]
        at = self._pushed % size
        first = min(position.shape[0], size - at)
        np.copyto(self._positions[at : at + first], position[:first])
        np.copyto(self._positions[: position.shape[0] - first], position[first:])
        self._pushed += position.shape[0]

    def _take(self, tones: Audio) -> None:
        count = self._in.push(tones, self._samples)
        # At most one frame at a time: the ring must not run past the window of a hop.
        for start in range(0, count, HOP):
            frame = self._analysis.next_frame
            samples = self._samples[:, start : min(count, start + HOP)]
            if not self._analysis.push(samples, self._made):
                continue
            np.copyto(self._frames.slot(frame), self._made[0])
            newest = frame - self.settings.look_ahead_frames
            if (frame + 1) % self.settings.hop_frames == 0 and newest >= self._first:
                self._run_window(frame, newest)

    def _run_window(self, last: int, newest: int) -> None:
        """Decode the window that ends with frame ``last``, give its frames up to ``newest``."""
        settings = self.settings
        first, oldest = last - settings.window_frames + 1, newest - settings.hop_frames + 1
        self._frames.window(first, self._window)
        self._codec.encode(self._window, self._latents)
        if self._change is not None:
            np.add(self._latents[0], self._change, out=self._latents[1])
        position = self._position_between(oldest, newest)
        slerp(self._latents[:1], self._latents[1:], position, out=self._morph)
        failed = not _within(self._morph, math.inf)
        if not failed:
            self._noise.window(first, self._window_noise[0])
            self._codec.decode(self._morph, self._window_noise, position, self._decoded)
            failed = not _within(self._decoded[..., oldest - first : newest - first + 1], LOUDEST)
        self.nan_windows += failed
        for frame in range(max(oldest, self._first), newest + 1):
            if failed:
                self._frame.fill(0.0)
            else:
                np.copyto(self._frame, self._decoded[0, :, :, frame - first])
            self._give(frame)

    def _position_between(self, oldest: int, newest: int) -> float:
        """The knob at the centre of frames, 0 … 1; one that is not a number leaves it where it was.

        Before the first frame pushed it stood where it stood then.
        """
        twice_samples = (oldest + newest) * HOP + WINDOW
        frame = twice_samples * self._in.step // (2 * self._in.phases)
        position = float(self._positions[max(frame, self._start) % self._positions.shape[0]])
        if not math.isnan(position):
            self._position = min(max(position, 0.0), 1.0)
        return self._position

    def _give(self, frame: int) -> None:
        self._synthesis.push(self._frame, self._block[0])
        if frame < self._whole:
            return
        made = self._out.push(self._block, self._converted)
        skipped = min(self._skip, made)
        self._skip -= skipped
        kept = made - skipped
        np.copyto(self._queue[self._ready : self._ready + kept], self._converted[0, skipped:made])
        self._ready += kept


def _within(array: npt.NDArray[np.float32], most: float) -> bool:
    """Whether every value is a number below ``most`` in magnitude (below infinity: finite)."""
    return bool(np.max(array) < most and np.min(array) > -most)


def _latency_frames(way_in: RateWay, way_out: RateWay, settings: StreamSettings) -> int:
    """The most input frames that may have come without their output.

    That is the moment before a hop is complete; the rates' phases at the hops repeat after
    ``way_in.phases`` hops.
    """
    hop = settings.hop_frames
    worst = 0
    for number in range(way_in.phases):
        given = (number * hop - settings.look_ahead_frames) * HOP
        complete = way_in.needed(((number + 1) * hop + OVERLAPS - 1) * HOP)
        worst = max(worst, complete - 1 - way_out.made(given))
    return worst
