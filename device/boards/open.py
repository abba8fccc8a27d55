"""The one door to hardware: which board, and what each process needs of it.

Each half imports what it needs when it is opened: a simulated pedal needs no ALSA, and control no
arrays.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from device.boards.board import (
    Clock,
    Follower,
    Knob,
    Midi,
    Output,
    Sensors,
    StopWatch,
    Switch,
)
from device.boards.live import RealClock
from device.config import Config
from device.errors import ConfigError
from device.plain import dataclass
from device.script import Script

if TYPE_CHECKING:
    from device.boards.audio_port import AudioPort
    from models.units import Audio

PartT = TypeVar("PartT")
Opener = Callable[[], PartT]
"""Opens a part that may not be there; raises ``ConfigError`` or ``OSError``, may be tried again."""


@dataclass(frozen=True)
class AudioSide:
    """What the audio process needs of a board."""

    port: "AudioPort"
    watch: StopWatch


@dataclass(frozen=True)
class ControlSide:
    """What the control process needs of a board; what is None is not fitted."""

    clock: Clock
    knob: Opener[Knob]
    footswitch: Opener[Switch]
    relay: Opener[Output]
    status_led: Opener[Output]
    fault_led: Opener[Output]
    sensors: Sensors
    heater: Opener[Output] | None = None
    expression: Opener[Knob] | None = None
    midi: Opener[Midi] | None = None


def open_audio_side(
    config: Config,
    guitar: "Audio | None",
    followers: Sequence[Follower] = (),
    patient: bool = False,
) -> AudioSide:
    """Make the interface, unopened. ``guitar`` ``(1, frames)`` is what a simulated one plays.

    Simulated time waits for ``followers``; real time waits for nobody. With ``patient`` a card
    that refuses what is asked is looked for again, like one that is not there.

    Raises ``ConfigError`` for a simulated board without a guitar.
    """
    audio = config.table.audio
    if config.board == "simulated":
        from device.boards.simulated import LeadingClock, PortFaults, SimulatedAudio

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
    from device.boards.alsa import AlsaConfig, AlsaPort

    alsa = AlsaConfig(
        card=audio.card,
        rate_hz=audio.rate_hz,
        period_frames=audio.period_frames,
        periods=audio.periods,
        input_channel=audio.input_channel,
        patient=patient,
    )
    return AudioSide(AlsaPort(alsa), RealClock())


def open_control_side(config: Config, script: Script) -> ControlSide:
    """Make what control needs; only the clock is opened, and nothing missing is an error yet.

    ``script`` is what the knob follows where it is a script. Raises ``LinkError`` for a simulated
    board whose audio process does not lead the time.
    """
    if config.board == "simulated":
        return _simulated(config, script)
    from device.boards.jetson import control_side

    return control_side(config, script)


def _simulated(config: Config, script: Script) -> ControlSide:
    from device.boards.scripted import (
        FollowingClock,
        ScriptedKnob,
        ScriptedSensors,
        ScriptedSwitch,
        SimulatedOutput,
    )

    table = config.table.simulated
    clock = FollowingClock(config.clock_socket)
    knob = ScriptedKnob(script)

    def output() -> Output:
        return SimulatedOutput(clock)

    return ControlSide(
        clock=clock,
        knob=lambda: knob,
        footswitch=lambda: ScriptedSwitch(table.presses, clock),
        relay=output,
        status_led=output,
        fault_led=output,
        sensors=ScriptedSensors(table.temperatures, table.humidity_percent),
        heater=output,
    )
