"""The studio engine as the audio loop sees it: another process's sound, or the stand-in's.

The network runs in a process of its own (``device.processes.engine``), because it takes longer
than a period. Both tones go there, what comes back waits until it is due. A second engine plays
all the time, delayed to the same latency, and is heard whenever the studio sound is not there:
before a gap is due, because a little is held back.
"""

import math
from typing import Protocol

import numpy as np

from device.engine_kinds import Ceiling
from device.plain import dataclass
from device.sound.delay import Delay
from device.sound.guard import all_finite
from device.sound.morph.engine import MorphEngine
from device.sound.morph.studio_fades import EndFade, Reserve
from device.sound.morph.studio_ring import ReplyRing, Taken
from device.sound.ramp import FADE_S
from models.morph import Positions
from models.units import Audio

COMPUTE_SHARE = 0.6
"""Part of a hop that encoding both tones and decoding one may take. A module on which they take
longer needs a longer hop."""

MOST_REPLIES = 8
"""Replies taken per period: a flood costs a bounded time."""


class Peer(Protocol):
    """Who computes the studio sound: a process behind a socket, or the same process, offline.

    Nothing here waits. A generation is one unbroken stream that begins at frame 0 after silence.
    """

    alive: bool
    """Whether somebody is there, as far as the last transfer showed."""
    lost: int
    """Times that somebody was there and then not."""
    refused: int
    """Periods not sent because the queue was full."""
    foreign: int
    """Packets received that are none of ours."""

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Allocate."""

    def send(self, generation: int, frame: int, a: Audio, b: Audio, position: Positions) -> None:
        """Send a period ``(1, period_frames)`` of both tones, all finite, beginning at ``frame``.

        ``position`` is ``(period_frames,)``.
        """

    def receive(self) -> int:
        """Take one packet: its frames if it is a reply, 0 where none waits, −1 if it is another."""

    generation: int
    """Of the last reply."""
    frame: int
    """The last reply's first frame: what it is the morph of."""
    sound: Audio
    """The last reply is the beginning of this, ``(1, most frames)``."""

    def behind(self) -> bool:
        """Whether what was sent has not been computed yet, by somebody who is there."""

    def wait(self, patience_s: float) -> bool:
        """Wait until a packet is there to be received, or somebody is there at all.

        Only for a simulated clock, between periods: it is time that waits there.
        """


@dataclass(frozen=True)
class StudioTiming:
    """What decides when the studio sound is due, in frames at the pedal's rate."""

    stream_frames: int
    """From a frame that goes in until the frame that answers it can be computed."""
    hop_frames: int
    """From one window to the next, rounded up."""

    def latency_frames(self, rate_hz: int, period_frames: int) -> int:
        """The engine's latency: the stream's, computing, and the reserve, in whole periods.

        The reserve is a fade, for the gap that may come, and a period, for the way there and back.
        """
        compute = math.ceil(COMPUTE_SHARE * self.hop_frames)
        reserve = round(FADE_S * rate_hz) + period_frames
        return -(-(self.stream_frames + compute + reserve) // period_frames) * period_frames


class Studio(MorphEngine):
    """The studio sound from a peer, a stand-in where it is missing; constant latency, exact ends.

    Where the knob rests at an end the stand-in is heard, which is the tone itself there. Should
    the peer send what is not finite, that is a gap like any other.
    """

    kind = "studio"

    def __init__(
        self, stand_in: MorphEngine, peer: Peer, timing: StudioTiming, exact_b: bool = True
    ) -> None:
        """Take an unprepared engine without latency, and whoever computes the studio sound.

        Without ``exact_b`` there is no tone B but the decoded one, which is heard at that end.
        """
        self._stand_in = stand_in
        self.peer = peer
        self._timing = timing
        self._exact_b = exact_b
        self._latency_frames = 0
        self.absent_periods = 0
        """Periods that were played while nobody computed."""
        self.late_periods = 0
        """Periods in which the studio sound was asked for, somebody was there, and it was not."""
        self.stale = 0
        """Replies that came too late or twice, or belonged to what was played before."""
        self.foreign = 0
        """Replies to what was never asked."""
        self.gaps = 0
        """Replies that did not join the ones before, left out while those sounded."""
        self.nan_replies = 0
        """Replies that held a NaN or an infinity."""
        self.reserve_frames = 0
        """Frames held beyond the period that was played last; below a fade it leads to a gap."""
        self._generation = 0
        self._allowed = True

    @property
    def latency_frames(self) -> int:
        """Frames by which the output trails the tones, whoever is heard."""
        return self._latency_frames

    @property
    def nan_periods(self) -> int:
        """The stand-in's; what the peer sends is counted as ``nan_replies``."""
        return self._stand_in.nan_periods

    @property
    def crossfades(self) -> int:
        """Fades from the studio sound to its stand-in."""
        return self._reserve.crossfades

    @property
    def heard(self) -> bool:
        """Whether the studio sound is what is heard between the ends."""
        return self._reserve.heard

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Allocate, and prepare the stand-in. Raises what that raises."""
        latency = self._timing.latency_frames(rate_hz, period_frames)
        self._stand_in.prepare(rate_hz, period_frames)
        self.peer.prepare(rate_hz, period_frames)
        self._latency_frames, self._period_frames = latency, period_frames
        self._delay = Delay(latency, period_frames)
        self._ring = ReplyRing(latency + 2 * period_frames)
        self._reserve = Reserve(rate_hz, period_frames, self._timing.hop_frames)
        self._ends = EndFade(rate_hz, period_frames, latency // period_frames, self._exact_b)
        self._silence = np.zeros((1, period_frames), np.float32)
        self._sound = np.zeros((1, period_frames), np.float32)
        self._weights = np.zeros(period_frames, np.float32)
        self._begin()

    def process(
        self,
        a: Audio,
        b: Audio,
        position: Positions,
        target: Audio,
        knob: Positions | None = None,
    ) -> None:
        """Morph one period; see ``MorphEngine.process``."""
        self._stand_in.process(a, b, position, target, knob)
        self._delay.process(target, target)
        # The stream remembers what it hears, so a tone that is not finite is silence there.
        if self._allowed:
            heard_a = a if all_finite(a) else self._silence
            heard_b = b if all_finite(b) else self._silence
            self.peer.send(self._generation, self._frame, heard_a, heard_b, position)
        self._frame += self._period_frames
        self._drain(MOST_REPLIES)
        due = self._due
        ahead = self._ring.ahead(due)
        weights = self._reserve.advance(ahead)
        ends = self._ends.advance(position if knob is None else knob)
        self._count(ahead)
        self._mix(due, min(ahead, self._period_frames), weights, ends, target)

    def reset(self) -> None:
        """Forget all history: the next period is frame 0 of a new generation."""
        self._stand_in.reset()
        self._delay.reset()
        self._begin()

    def limit(self, ceiling: Ceiling) -> None:
        """Below ``STUDIO`` nobody is given anything to compute.

        What is still held is played and faded out as at any gap, then the stand-in is heard. The
        peer takes what comes after the ceiling was lifted for a stream that begins anew.
        """
        self._allowed = ceiling >= Ceiling.STUDIO
        self._stand_in.limit(ceiling)

    def catch_up(self, patience_s: float) -> bool:
        """Wait until all that was sent has been computed and received.

        False where that took longer than ``patience_s``. Only for a simulated clock, between
        periods; who is not there is not waited for, unless time has not yet begun.
        """
        peer = self.peer
        if not peer.alive and self._frame == 0:
            peer.wait(patience_s)
        while peer.behind():
            if not peer.wait(patience_s):
                return False
            self._drain(MOST_REPLIES)
        return True

    @property
    def _due(self) -> int:
        """First frame of the period that goes out."""
        return self._frame - self._period_frames - self._latency_frames

    def _begin(self) -> None:
        self._generation = (self._generation + 1) & 0xFFFFFFFF
        self._frame = 0
        # Silence came before: until frame 0 is due that is known, whoever computes.
        self._ring.begin(-self._latency_frames, 0)
        self._reserve.reset()
        self._ends.reset()

    def _drain(self, most: int) -> None:
        """Take what waits, up to a number of packets."""
        peer, ring = self.peer, self._ring
        for _ in range(most):
            frames = peer.receive()
            if frames == 0:
                return
            if frames < 0:
                continue
            if peer.generation != self._generation:
                self.stale += 1
                continue
            sound = peer.sound[:, :frames]
            if not all_finite(sound):
                self.nan_replies += 1
                continue
            taken = ring.take(peer.frame, sound, self._due, self._frame, not self._reserve.heard)
            if taken == Taken.STALE:
                self.stale += 1
            elif taken == Taken.FOREIGN:
                self.foreign += 1
            elif taken == Taken.GAP:
                self.gaps += 1

    def _count(self, ahead: int) -> None:
        self.reserve_frames = max(0, ahead - self._period_frames)
        if not self._allowed:
            return
        if not self.peer.alive:
            self.absent_periods += 1
        elif not self._reserve.full:
            self.late_periods += 1

    def _mix(
        self, due: int, held: int, weights: Positions, ends: Positions | float, target: Audio
    ) -> None:
        """Lead from the stand-in in ``target`` to the studio sound, as far as both weights say."""
        if isinstance(ends, float):
            if ends == 0.0:
                return
            if ends == 1.0:
                if self._reserve.full and weights[0] == 1.0:
                    self._ring.read(due, target, held)
                    return
                ends_curve = weights
            else:
                ends_curve = self._weights
                ends_curve.fill(ends)
        else:
            ends_curve = ends
        np.minimum(weights, ends_curve, out=self._weights)
        if not self._weights.any():
            return
        sound = self._sound
        self._ring.read(due, sound, held)
        np.subtract(sound, target, out=sound)
        np.multiply(sound, self._weights, out=sound)
        np.add(target, sound, out=target)
