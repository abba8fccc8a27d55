"""The one door to hardware: which board, and what each process needs of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from device.boards.audio_port import AudioPort
from device.boards.board import Clock, Follower, Knob, StopWatch
from device.boards.live import RealClock
from device.boards.simulated import (
    FollowingClock,
    LeadingClock,
    PortFaults,
    ScriptedKnob,
    SimulatedAudio,
)
from device.config import Config
from device.errors import ConfigError
from device.script import Script
from models.units import Audio


@dataclass(frozen=True)
class AudioSide:
    """What the audio process needs of a board."""

    port: AudioPort
    watch: StopWatch


@dataclass(frozen=True)
class ControlSide:
    """What the control process needs of a board."""

    knob: Knob
    feet: Script
    clock: Clock


def open_audio_side(
    config: Config, guitar: Audio | None, followers: Sequence[Follower] = ()
) -> AudioSide:
    """Make the interface, unopened. ``guitar`` ``(1, frames)`` is what a simulated one plays.

    Simulated time waits for ``followers``; real time waits for nobody.

    Raises ``ConfigError`` for a simulated board without a guitar.
    """
    audio = config.table.audio
    if config.board == "simulated":
        if guitar is None:
            raise ConfigError("the simulated board needs a sound to play; give --input FILE")
        simulated = config.table.simulated
        faults = PortFaults(
            capture_xruns=frozenset(simulated.capture_xruns),
            playback_xruns=frozenset(simulated.playback_xruns),
            absent=frozenset(simulated.absent),
        )
        clock = LeadingClock(config.clock_socket, followers)
        port = SimulatedAudio(guitar, audio.rate_hz, audio.period_frames, faults, clock)
        return AudioSide(port, clock)
    # Imported here because a simulated pedal needs no ALSA.
    from device.boards.alsa import AlsaConfig, AlsaPort

    alsa = AlsaConfig(
        card=audio.card,
        rate_hz=audio.rate_hz,
        period_frames=audio.period_frames,
        periods=audio.periods,
        input_channel=audio.input_channel,
    )
    return AudioSide(AlsaPort(alsa), RealClock())


def open_control_side(config: Config, script: Script) -> ControlSide:
    """Make the knob and the feet; both follow ``script`` in this version."""
    clock: Clock
    simulated = config.board == "simulated"
    clock = FollowingClock(config.clock_socket) if simulated else RealClock()
    return ControlSide(ScriptedKnob(script), script, clock)
