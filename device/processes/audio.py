"""The audio process: the only one that touches the interface, with one loop that never waits.

Reading, playing and writing is all that happens here; presets are loaded in a thread beside it
(``loading``), and until they are there the guitar is heard dry.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from device.boards.audio_port import AudioPort, PortStatus
from device.boards.board import StopWatch
from device.engine_kinds import Ceiling
from device.processes.audio_bank import BankChange, Source
from device.processes.audio_notes import HEARTBEAT_S, AudioNotes
from device.processes.link import ControlState, Link, Listener
from device.processes.meters import Meters
from device.sound.guard import NanGuard, OutputGuard, all_finite
from device.sound.player import Player
from device.sound.ramp import Fade, SmoothValue

if TYPE_CHECKING:
    from device.sound.morph import Studio


class PeriodLog(Protocol):
    """Keeps every period's figures; only simulated runs, which have an end, do so."""

    def add(self, busy_ns: int, position: float, knob: float) -> None:
        """Store one period: what was played, and where the knob stood. Allocates nothing."""


class Life(Protocol):
    """Who is told that periods advance: ``watchdog.Watchdog``."""

    def alive(self) -> None:
        """Periods advance. Costs nothing most of the time."""


class AudioLoop:
    """Read, play, write, period by period, whatever happens.

    Nothing on this way waits for anybody but the interface: control's packets are taken when
    they are there, the last position is held when they are not, and every failure is a counter
    and still a sound.
    """

    def __init__(
        self,
        port: AudioPort,
        player: Player | None,
        meters: Meters,
        watch: StopWatch,
        listener: Listener | None = None,
        log: PeriodLog | None = None,
        studios: "Mapping[int, Studio] | None" = None,
        *,
        source: Source | None = None,
        life: Life | None = None,
        age_ms: Callable[[], int] | None = None,
    ) -> None:
        """Take an unopened port, and a prepared player or the ``source`` one will come from.

        From the ``source`` other banks come as well, while one plays.

        ``studios`` are the studio engines of its presets, by the preset's index. ``age_ms`` says
        for how long the process has run.
        """
        self._port, self._player = port, player
        self._meters, self._watch = meters, watch
        self._listener, self._log = listener, log
        self._source, self._life = source, life
        self._age_ms = age_ms
        self._link: Link | None = None
        first = 0 if player is None else player.active
        self.control = ControlState(preset=first)
        """What control said last."""
        rate_hz, frames = port.rate_hz, port.period_frames
        self._notes = AudioNotes(meters, port)
        self._notes.studios = dict(studios or {})
        self._bank = BankChange(source, meters, self._notes)
        self._heartbeat = self._notes.heartbeat
        self._heartbeat.loading = player is None
        self._heartbeat_periods = max(1, round(HEARTBEAT_S * rate_hz / frames))
        self._period_ns = frames * 1_000_000_000 // rate_hz
        self._guitar = np.zeros((1, frames), np.float32)
        self._sound = np.zeros((1, frames), np.float32)
        self._input_guard = NanGuard(rate_hz, frames)
        self._guard = OutputGuard(rate_hz, frames)
        self._loudness = SmoothValue(1.0, rate_hz, frames)
        # From the dry guitar to the preset that was loaded, once it has something to say.
        self._entry = Fade(rate_hz, frames)
        self._entry.stop()
        self._unheard = 0
        self._ceiling = Ceiling.STUDIO
        self._asked_preset = first
        self._heard = self._dry = False

    def run(self, opened: Callable[[], None] | None = None) -> None:
        """Play until a simulated input ends; a real one has no end. Opens and closes the port.

        ``opened`` is called in between. Raises ``AudioError`` where the interface cannot do what
        is asked.
        """
        self._port.open()
        try:
            if opened is not None:
                opened()
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
        if self._player is None:
            self._look_for_player()
        else:
            self._follow_bank(self._player)
        self._play()
        busy_ns = self._watch.busy_ns() - start_ns
        written = self._port.write(self._sound)
        self._note(max(status, written), busy_ns)
        self._bank.period_ended()
        return True

    @property
    def studios(self) -> "Mapping[int, Studio]":
        """The studio engines of the bank that plays, by the preset's index."""
        return self._notes.studios

    def finish(self) -> None:
        """Store everything once more, for whoever reads the meters after the end."""
        self._notes.rarely(self._player, self.control, self._guard, self._input_guard, self._link)
        self._bank.store()

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
        link, player = self._link, self._player
        if link.receive(self.control) and not self._heard:
            self._heard = True
            if player is not None:
                # Nobody turned the knob: it is only now known where it is.
                player.forget_knob()
                if periods == 0:
                    # Before the first sound there is nothing to glide from.
                    player.glide.jump(self.control.position)
        if periods % self._heartbeat_periods == 0:
            link.send(self._heartbeat.pack())
        if not link.alive:
            self._meters.count("control_lost")
            link.close()
            self._link = None

    def _follow_bank(self, player: Player) -> None:
        """Another bank, where control has noticed one and it has been loaded."""
        if self._heard:
            self._bank.ask(self.control.bank)
        tried = player.trial
        self._bank.follow(player)
        if player.trial is not tried:
            player.limit(self._ceiling)

    def _look_for_player(self) -> None:
        """Begin with a bank that has been loaded: the preset and the position asked for by now."""
        source = self._source
        if source is None:
            return
        loaded = source.take()
        if loaded is None:
            if source.failure is not None:
                # Nothing will come: the guitar stays dry.
                self._source = None
                self._heartbeat.loading = False
                self._heartbeat.broken = 1
            return
        player, self._player = loaded.player, loaded.player
        self._notes.studios = loaded.studios
        self._heartbeat.loading = False
        self._heartbeat.broken = len(loaded.problems)
        wanted = self.control.preset if self._heard else player.active
        self._asked_preset = wanted
        if wanted >= len(player.bank):
            self._meters.count("preset_refused")
            wanted = player.active
        player.begin(wanted, self.control.position)
        self._limit(player)
        self._unheard = -(-player.latency_frames // self._port.period_frames)
        self._entry.start()

    def _limit(self, player: Player) -> None:
        self._ceiling = self.control.ceiling
        player.limit(self._ceiling)

    def _play(self) -> None:
        """What goes out: the tone, the dry guitar in its place, or nothing."""
        control, guitar, sound, player = self.control, self._guitar, self._sound, self._player
        self._input_guard.apply(guitar, all_finite(guitar))
        if player is None:
            np.copyto(sound, guitar)
        else:
            self._follow(player)
            self._process(player)
            if self._entry.running:
                self._enter()
        self._loudness.move(0.0 if control.mute else 1.0)
        if self._loudness.moving():
            np.multiply(sound, self._loudness.advance(), out=sound)
        elif self._loudness.value == 0.0:
            sound.fill(0.0)
        self._guard.apply(sound)

    def _follow(self, player: Player) -> None:
        """Have the player do what control says."""
        control = self.control
        if control.preset != self._asked_preset:
            self._asked_preset = control.preset
            if control.preset < len(player.bank):
                player.select(control.preset)
            else:
                self._meters.count("preset_refused")
        if control.ceiling != self._ceiling:
            self._limit(player)
        player.bypass(control.bypass)

    def _process(self, player: Player) -> None:
        sound = self._sound
        try:
            player.process(self._guitar, self.control.position, sound)
        except Exception as error:  # whatever it is, the music goes on, and it is counted
            self._meters.count("path_errors")
            player.failed(error)
            # The guard leads the last sound out and the dry guitar in.
            sound.fill(np.nan)

    def _enter(self) -> None:
        """Lead from the dry guitar to the tone, once what its latency holds back has come."""
        guitar, sound = self._guitar, self._sound
        if self._unheard:
            self._unheard -= 1
            np.copyto(sound, guitar)
            return
        np.subtract(sound, guitar, out=sound)
        np.multiply(sound, self._entry.advance(), out=sound)
        np.add(sound, guitar, out=sound)

    def _note(self, status: int, busy_ns: int) -> None:
        """Store this period's numbers."""
        notes, player, heartbeat = self._notes, self._player, self._heartbeat
        notes.period(status, busy_ns)
        if player is not None:
            if busy_ns > self._period_ns:
                player.late()
            knob = player.glide.position
            notes.position(player.position, knob)
            if self._log is not None:
                self._log.add(busy_ns, player.position, knob)
        if status == PortStatus.OK and self._age_ms is not None:
            self._note_age(self._age_ms)
        if heartbeat.periods % self._heartbeat_periods == 0:
            self.finish()
            if self._life is not None:
                self._life.alive()

    def _note_age(self, age_ms: Callable[[], int]) -> None:
        """How long it took until the guitar was heard, and until a preset was."""
        if not self._dry:
            self._dry = True
            self._meters.store("dry_after_ms", age_ms())
        if self._player is not None and not self._entry.running:
            self._meters.store("wet_after_ms", age_ms())
            self._age_ms = None
