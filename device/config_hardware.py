"""``pedal.toml``: which part of the pedal is wired to which pin, bus and channel.

The defaults are the wiring of ``deploy/hardware.md`` on the 40-pin header of an Orin Nano or NX
carrier. A pin is the header's number (``pin = 29``) or any of gpiozero's names (``"GPIO5"``).
"""

import itertools
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from device.plain import dataclass
from device.script import FaultKind
from device.table import Range, Size

Unit = Annotated[float, Range(0.0, 1.0)]
Seconds = Annotated[float, Range(0.0, 1e6)]
Index = Annotated[int, Range(0, 65535)]
HeaderPin = Annotated[int, Range(1, 40)]
Channel = Annotated[int, Range(0, 7)]
KnobKind = Literal["script", "mcp3008", "ads1115"]
Module = Literal["orin-nano", "orin-nx", "agx"]


@dataclass(frozen=True)
class FaultTable:
    """One entry of ``[[knob.faults]]``: a fault of the scripted knob, seconds."""

    kind: FaultKind
    from_s: Seconds
    to_s: Seconds


@dataclass(frozen=True)
class AdcTable:
    """``[adc]``: the converter that the knob and the expression pedal share."""

    spi_port: Annotated[int, Range(0, 7)] = 0
    spi_device: Annotated[int, Range(0, 3)] = 0
    """Chip select; the MCP3008 of ``/dev/spidev0.0`` is on pins 19, 21, 23 and 24."""
    half_channel: Channel = 7
    """MCP3008: the channel on half the reference, which tells a dead bus from position 0."""
    i2c_bus: Annotated[int, Range(0, 31)] = 7
    """ADS1115: pins 3 and 5 of the Orin Nano's carrier are ``/dev/i2c-7``."""
    i2c_address: Annotated[int, Range(0x48, 0x4B)] = 0x48
    reference_channel: Annotated[int, Range(0, 3)] = 3
    """ADS1115: the channel on the potentiometers' supply."""


@dataclass(frozen=True)
class KnobTable:
    """``[knob]``: a potentiometer, or a script in its place.

    The script's times are seconds from the start; its knob rests where ``points`` is empty.
    """

    kind: KnobKind | None = None
    """By default the script on the simulated board and where one is written here, else mcp3008."""
    channel: Channel = 0
    points: tuple[tuple[Seconds, Unit], ...] = ()
    presets: tuple[tuple[Seconds, Index], ...] = ()
    bypass: tuple[tuple[Seconds, bool], ...] = ()
    faults: tuple[FaultTable, ...] = ()

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a script that goes back in time."""
        for name in ("points", "presets", "bypass"):
            _rising(name, getattr(self, name))

    @property
    def scripted(self) -> bool:
        """Whether a script is written here."""
        return bool(self.points or self.presets or self.bypass or self.faults)


@dataclass(frozen=True)
class ExpressionTable:
    """``[expression]``: an expression pedal on the knob's converter, moving the same position."""

    fitted: bool = False
    channel: Channel = 1


@dataclass(frozen=True)
class MidiTable:
    """``[midi]``: a class-compliant input; a controller moves the position, programs the preset."""

    card: Annotated[str, Size(1, 64)] | None = None
    """Part of the card's name; by default any that is plugged."""
    channel: Annotated[int, Range(1, 16)] | None = None
    """As a musician counts, from 1; by default all."""
    cc: Annotated[int, Range(0, 127)] | None = None
    """The controller, instead of the learnt one; else 11 (expression) until one is learnt."""
    enabled: bool = True


@dataclass(frozen=True)
class FootswitchTable:
    """``[footswitch]``: from the pin to ground, with the pull-up of ``deploy/hardware.md``."""

    pin: HeaderPin | str = 29
    pull_up: bool = True


@dataclass(frozen=True)
class RelayTable:
    """``[relay]``: the pin whose edges hold the bypass relay."""

    pin: HeaderPin | str = 31


@dataclass(frozen=True)
class HeaterTable:
    """``[heater]``: the pin whose edges hold the heater."""

    pin: HeaderPin | str = 33
    fitted: bool = True


@dataclass(frozen=True)
class LedsTable:
    """``[leds]``: status (green) and fault (red)."""

    status: HeaderPin | str = 35
    fault: HeaderPin | str = 37


@dataclass(frozen=True)
class PinsTable:
    """``[pins]``: which module's header it is; by default what the device tree says."""

    module: Module | None = None


@dataclass(frozen=True)
class SimulatedTable:
    """``[simulated]``: faults of the simulated interface by period index, and what happens else."""

    capture_xruns: tuple[int, ...] = ()
    playback_xruns: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    presses: tuple[tuple[Seconds, Seconds], ...] = ()
    """The footswitch is pressed from … to, s."""
    temperatures: tuple[tuple[Seconds, Annotated[float, Range(-100.0, 200.0)]], ...] = ()
    """(s, °C) of module and board, straight lines between; 25 °C where there are none."""
    humidity_percent: Annotated[float, Range(0.0, 100.0)] | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a script that goes back in time."""
        _rising("temperatures", self.temperatures)
        times = list(itertools.chain.from_iterable(self.presses))
        if any(later <= earlier for earlier, later in itertools.pairwise(times)):
            raise ValueError("the times of presses must rise from entry to entry")


def _rising(name: str, entries: Sequence[tuple[Any, ...]]) -> None:
    times = [entry[0] for entry in entries]
    if any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise ValueError(f"the times of {name} must rise from entry to entry")
