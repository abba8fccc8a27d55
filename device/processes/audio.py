"""The audio process: the only one that touches the interface, with one thread and one loop."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from device.boards.audio_port import AudioPort, PortStatus
from device.boards.board import StopWatch
from device.processes.link import ControlState, Heartbeat, Link, Listener
from device.processes.meters import Meters
from device.sound.guard import NanGuard, OutputGuard, all_finite
from device.sound.morph import Studio
from device.sound.player import Player

HEARTBEAT_S = 0.010
"""How often control is told that periods advance."""


class PeriodLog(Protocol):
    """Keeps every period's figures; only simulated runs, which have an end, do so."""

    def add(self, busy_ns: int, position: float, knob: float) -> None:
        """Store one period: what was played, and where the knob stood. Allocates nothing."""


class AudioLoop:
    """Read, play, write, period by period, whatever happens.

    Nothing on this way waits for anybody but the interface: control's packets are taken when
    they are there, the last position is held when they are not, and every failure is a counter
    and still a sound.
    """

    def __init__(
        self,
        port: AudioPort,
        player: Player,
        meters: Meters,
        watch: StopWatch,
        listener: Listener | None = None,
        log: PeriodLog | None = None,
        studios: Mapping[int, Studio] | None = None,
    ) -> None:
        """Take an unopened port and a prepared player.

        ``studios`` are the studio engines of its presets, by the preset's index.
        """
        self._port = port
        self._player = player
        self._meters = meters
        self._watch = watch
        self._listener = listener
        self._log = log
        self._studios = dict(studios or {})
        self._link: Link | None = None
        self.control = ControlState(preset=player.active)
        """What control said last."""
        self._heartbeat = Heartbeat()
        rate_hz, frames = port.rate_hz, port.period_frames
        self._period_ns = frames * 1_000_000_000 // rate_hz
        self._heartbeat_periods = max(1, round(HEARTBEAT_S * rate_hz / frames))
        self._guitar = np.zeros((1, frames), np.float32)
        self._sound = np.zeros((1, frames), np.float32)
        self._input_guard = NanGuard(rate_hz, frames)
        self._guard = OutputGuard(rate_hz, frames)
        self._broken_preset = -1
        self._asked_preset = player.active
        self._heard = False
        for name, value in (
            ("rate_hz", rate_hz),
            ("period_frames", frames),
            ("total_periods", getattr(port, "total_periods", 0)),
        ):
            meters.store(name, value)

    def run(self) -> None:
        """Play until a simulated input ends; a real one has no end. Opens and closes the port.

        Raises ``AudioError`` where the interface cannot do what is asked.
        """
        self._port.open()
        try:
            while self.step():
                pass
        finally:
            self._port.close()
            if self._link is not None:
                self._link.close()
            if self._listener is not None:
                self._listener.close()

    def step(self) -> bool:
        """Play one period; False when a simulated input has ended."""
        status = self._port.read(self._guitar)
        if status == PortStatus.END:
            return False
        start_ns = self._watch.busy_ns()
        self._hear_control()
        self._play()
        busy_ns = self._watch.busy_ns() - start_ns
        written = self._port.write(self._sound)
        self._note(max(status, written), busy_ns)
        return True

    def _hear_control(self) -> None:
        """Take what control said since; without it, everything stays as it was said last."""
        periods = self._heartbeat.periods
        if self._link is None:
            # A system call each period only while control is missing.
            self._link = self._listener.accept() if self._listener is not None else None
            if self._link is None:
                return
            # A control process that was restarted counts its packets from the beginning.
            self.control.sequence = 0
        link = self._link
        if link.receive(self.control) and not self._heard:
            self._heard = True
            # Nobody turned the knob: it is only now known where it is.
            self._player.forget_knob()
            if periods == 0:
                # Before the first sound there is nothing to glide from.
                self._player.glide.jump(self.control.position)
        if periods % self._heartbeat_periods == 0:
            link.send(self._heartbeat.pack())
        if not link.alive:
            self._meters.count("control_lost")
            link.close()
            self._link = None

    def _play(self) -> None:
        player, control, guitar, sound = self._player, self.control, self._guitar, self._sound
        if control.preset != self._asked_preset:
            self._asked_preset = control.preset
            if control.preset < len(player.bank):
                player.select(control.preset)
                self._broken_preset = -1
            else:
                self._meters.count("preset_refused")
        player.bypass(control.bypass)
        self._input_guard.apply(guitar, all_finite(guitar))
        if self._broken_preset == player.active:
            np.copyto(sound, guitar)
        else:
            try:
                player.process(guitar, control.position, sound)
            except Exception:  # whatever it is, the music goes on: dry, and counted
                self._meters.count("path_errors")
                self._broken_preset = player.active
                # The guard leads the last sound out and the dry guitar in.
                sound.fill(np.nan)
        self._guard.apply(sound)

    def _note(self, status: int, busy_ns: int) -> None:
        """Store this period's numbers."""
        meters, player, heartbeat = self._meters, self._player, self._heartbeat
        meters.load(busy_ns, self._period_ns)
        if status == PortStatus.XRUN:
            meters.count("xruns")
        elif status == PortStatus.ABSENT:
            meters.count("absent_periods")
        heartbeat.periods += 1
        heartbeat.preset = player.active
        heartbeat.absent = status == PortStatus.ABSENT
        position, knob = player.position, player.glide.position
        meters.store("absent", heartbeat.absent)
        meters.store("position_ppm", int(position * 1e6))
        meters.store("knob_ppm", int(knob * 1e6))
        meters.store("periods", heartbeat.periods)
        if self._log is not None:
            self._log.add(busy_ns, position, knob)
        if heartbeat.periods % self._heartbeat_periods == 0:
            self._note_rarely()

    def _note_rarely(self) -> None:
        """Store what changes seldom, or is summed up elsewhere."""
        meters, player, guard = self._meters, self._player, self._guard
        meters.store("preset", player.active)
        meters.store("latency_frames", player.latency_frames)
        meters.store("preset_changes", player.preset_changes)
        meters.store("tone_nan_periods", player.nan_periods)
        meters.store("input_nan_periods", self._input_guard.nan_periods)
        meters.store("guard_nan_periods", guard.nan_periods)
        meters.store("clipped_periods", guard.clipped_periods)
        meters.store("peak_ppm", int(min(guard.peak, 1e6) * 1e6))
        meters.store("bypass", self.control.bypass)
        meters.store("scenes", player.scenes_play)
        meters.store("knob_faults", self.control.knob_faults)
        # A port may measure its buffers only once it is open.
        meters.store("interface_frames", getattr(self._port, "latency_frames", 0))
        meters.say(getattr(self._port, "last_error", None))
        if self._link is not None:
            meters.store("control_refused", self._link.refused)
            meters.store("control_foreign", self._link.foreign)
        if self._studios:
            self._note_studios()

    def _note_studios(self) -> None:
        """Store what all studio engines counted, and how that of the playing preset is."""
        meters, active = self._meters, self._studios.get(self._player.active)
        absent = late = crossfades = lost = refused = stale = gaps = nan = foreign = 0
        for studio in self._studios.values():
            absent += studio.absent_periods
            late += studio.late_periods
            crossfades += studio.crossfades
            lost += studio.peer.lost
            refused += studio.peer.refused
            stale += studio.stale
            gaps += studio.gaps
            nan += studio.nan_replies
            foreign += studio.foreign + studio.peer.foreign
        meters.store("studio_absent_periods", absent)
        meters.store("studio_late_periods", late)
        meters.store("studio_crossfades", crossfades)
        meters.store("studio_lost", lost)
        meters.store("studio_refused", refused)
        meters.store("studio_stale", stale)
        meters.store("studio_gaps", gaps)
        meters.store("studio_nan", nan)
        meters.store("studio_foreign", foreign)
        meters.store("studio", active is not None)
        meters.store("studio_alive", active is not None and active.peer.alive)
        meters.store("studio_heard", active is not None and active.heard)
        meters.store("studio_reserve_frames", 0 if active is None else active.reserve_frames)

    def finish(self) -> None:
        """Store everything once more, for whoever reads the meters after the end."""
        self._note_rarely()
