"""What the audio loop notes of itself: meters for eyes, a heartbeat for control."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from device.boards.audio_port import AudioPort, PortStatus
from device.processes.link import ControlState, Heartbeat, Link
from device.processes.meters import Meters
from device.sound.guard import NanGuard, OutputGuard
from device.sound.player import Player

if TYPE_CHECKING:
    from device.sound.morph import Studio

HEARTBEAT_S = 0.010
"""How often control is told that periods advance, and rare figures are stored."""


_STUDIO_METERS = (
    "studio_absent_periods",
    "studio_late_periods",
    "studio_crossfades",
    "studio_lost",
    "studio_refused",
    "studio_stale",
    "studio_gaps",
    "studio_nan",
    "studio_foreign",
)
_STUDIO_COUNTS: "tuple[Callable[[Studio], int], ...]" = (
    lambda studio: studio.absent_periods,
    lambda studio: studio.late_periods,
    lambda studio: studio.crossfades,
    lambda studio: studio.peer.lost,
    lambda studio: studio.peer.refused,
    lambda studio: studio.stale,
    lambda studio: studio.gaps,
    lambda studio: studio.nan_replies,
    lambda studio: studio.foreign + studio.peer.foreign,
)
"""Of one studio engine, in the order of their meters."""


class AudioNotes:
    """Stores numbers only; nothing here allocates, waits or writes text."""

    def __init__(self, meters: Meters, port: AudioPort) -> None:
        """Take the meters and an unopened port."""
        self._meters, self._port = meters, port
        self._period_ns = port.period_frames * 1_000_000_000 // port.rate_hz
        self.studios: Mapping[int, Studio] = {}
        """The studio engines of the bank, by the preset's index."""
        self._before: tuple[Mapping[int, Studio], int] = ({}, 0)
        self._counted = [0] * len(_STUDIO_COUNTS)
        self.heartbeat = Heartbeat()
        for name, value in (
            ("rate_hz", port.rate_hz),
            ("period_frames", port.period_frames),
            ("total_periods", getattr(port, "total_periods", 0)),
        ):
            meters.store(name, value)

    def play(self, studios: "Mapping[int, Studio]", broken: int) -> None:
        """Another bank plays from now on; so many of its presets cannot be played."""
        self._before = (self.studios, self.heartbeat.broken)
        self._go_on_with(studios, broken)

    def play_again(self) -> None:
        """The one before plays again."""
        self._go_on_with(*self._before)

    def _go_on_with(self, studios: "Mapping[int, Studio]", broken: int) -> None:
        """What was counted does not begin anew."""
        for index, count in enumerate(_STUDIO_COUNTS):
            for studio in self.studios.values():
                self._counted[index] += count(studio)
            for studio in studios.values():
                self._counted[index] -= count(studio)
        self.studios, self.heartbeat.broken = studios, broken

    def period(self, status: int, busy_ns: int) -> None:
        """One period has passed; without a player, as ``loading`` says, the guitar was dry."""
        meters, heartbeat = self._meters, self.heartbeat
        meters.load(busy_ns, self._period_ns)
        if busy_ns > self._period_ns:
            heartbeat.misses += 1
        if status == PortStatus.XRUN:
            meters.count("xruns")
            heartbeat.xruns += 1
        elif status == PortStatus.ABSENT:
            meters.count("absent_periods")
        if heartbeat.loading:
            meters.count("loading_periods")
        heartbeat.periods += 1
        heartbeat.absent = status == PortStatus.ABSENT
        meters.store("absent", heartbeat.absent)
        meters.store("periods", heartbeat.periods)

    def position(self, position: float, knob: float) -> None:
        """What was played, and where the knob stood."""
        self._meters.store("position_ppm", int(position * 1e6))
        self._meters.store("knob_ppm", int(knob * 1e6))

    def rarely(
        self,
        player: Player | None,
        control: ControlState,
        guard: OutputGuard,
        input_guard: NanGuard,
        link: Link | None,
    ) -> None:
        """Store what changes seldom, or is summed up elsewhere."""
        meters, heartbeat = self._meters, self.heartbeat
        meters.store("input_nan_periods", input_guard.nan_periods)
        meters.store("guard_nan_periods", guard.nan_periods)
        meters.store("clipped_periods", guard.clipped_periods)
        meters.store("peak_ppm", int(min(guard.peak, 1e6) * 1e6))
        meters.store("loading", heartbeat.loading)
        meters.store("bypass", control.bypass)
        meters.store("mute", control.mute)
        meters.store("ceiling", control.ceiling)
        meters.store("knob_faults", control.knob_faults)
        # A port may measure its buffers only once it is open.
        meters.store("interface_frames", getattr(self._port, "latency_frames", 0))
        meters.say(getattr(self._port, "last_error", None))
        if link is not None:
            meters.store("control_refused", link.refused)
            meters.store("control_foreign", link.foreign)
        if player is None:
            return
        heartbeat.preset, heartbeat.presets = player.active, len(player.bank)
        heartbeat.latency_frames = player.latency_frames
        meters.store("preset", player.active)
        meters.store("presets", heartbeat.presets)
        meters.store("presets_broken", heartbeat.broken)
        meters.store("latency_frames", player.latency_frames)
        meters.store("preset_changes", player.preset_changes)
        meters.store("tone_nan_periods", player.nan_periods)
        meters.store("scenes", player.scenes_play)
        self._studios(self.studios.get(player.active))

    def _studios(self, active: "Studio | None") -> None:
        """Store what all studio engines counted, and how that of the playing preset is."""
        meters, heartbeat = self._meters, self.heartbeat
        for index, count in enumerate(_STUDIO_COUNTS):
            total = self._counted[index]
            for studio in self.studios.values():
                total += count(studio)
            meters.store(_STUDIO_METERS[index], total)
        heartbeat.studio = active is not None
        heartbeat.studio_alive = active is not None and active.peer.alive
        heartbeat.studio_heard = active is not None and active.heard
        meters.store("studio", heartbeat.studio)
        meters.store("studio_alive", heartbeat.studio_alive)
        meters.store("studio_heard", heartbeat.studio_heard)
        meters.store("studio_reserve_frames", 0 if active is None else active.reserve_frames)
