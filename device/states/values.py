"""What the states are told and what they decide: values without behaviour."""

from collections.abc import Mapping
from typing import Literal

from device.plain import dataclass, field

State = Literal["hold", "warm-up", "ready", "play", "hot", "fault"]
Audio = Literal["dead", "loading", "absent", "playing"]
Ceiling = Literal["studio", "stage", "crossfade"]

STATES: tuple[State, ...] = ("hold", "warm-up", "ready", "play", "hot", "fault")
AUDIO: tuple[Audio, ...] = ("dead", "loading", "absent", "playing")
CEILINGS: tuple[Ceiling, ...] = ("crossfade", "stage", "studio")
"""From the least to the most that may be computed."""

STOPPING_FAULTS = frozenset(
    {
        "audio frozen",
        "card refused",
        "missing device",
        "no permission",
        "wrong config",
        "wrong pin",
    }
)
"""Faults that put the pedal in bypass; what else is told is a warning and is played through.

With these the sound, or what holds the relay, cannot be trusted. A knob that dies while one plays
("knob dead") holds its last position, a broken preset is left out, a full disk costs a log line:
none of them is worth the music.
"""


@dataclass(frozen=True)
class Temperatures:
    """One reading of all sensors, in °C; None where there is no sensor or it cannot be read."""

    coldest_c: float | None = None
    """Coldest of the module's own zones."""
    hottest_c: float | None = None
    """Hottest of the module's own zones."""
    surface_c: float | None = None
    """The coldest surface that could dew or that the heater heats: board or enclosure."""
    air_c: float | None = None
    """The air beside the humidity sensor."""
    humidity_percent: float | None = None
    """Relative humidity of that air over water, 0…100."""
    zones: Mapping[str, float] = field(default_factory=dict)
    """Every zone that could be read, by its kernel type (``cpu-thermal``)."""
    unreadable: tuple[str, ...] = ()
    """Zones that could not be read: GPU and CV zones while they are powered down, mostly."""


@dataclass(frozen=True)
class Inputs:
    """What the pedal knows at one moment."""

    now_s: float
    """Monotonic time; it never goes back."""
    temperatures: Temperatures
    audio: Audio
    """``dead``: its period counter stands; ``loading``: dry sound while presets are prepared;
    ``absent``: alive without an interface; ``playing``: all is well."""
    faults: frozenset[str] = frozenset()
    """Short names; details may follow a colon: ``wrong pin: relay on 99 …``. Those whose name is
    in ``STOPPING_FAULTS`` stop, all others warn."""


@dataclass(frozen=True)
class Decision:
    """What the pedal shall do until the next step. Equal as long as nothing changes."""

    state: State
    cause: str
    """Why, in words, with the figures at the moment the state or its reason changed."""
    relay: bool
    """Whether the relay shall be energised: the guitar goes through the pedal."""
    heater: bool
    ceiling: Ceiling
    """The most that may be computed for the morph."""
    engine: bool
    """Whether the studio engine's process may run."""
    warnings: tuple[str, ...] = ()
    """What is wrong without stopping anything, sorted: for ``status`` and the fault LED."""


@dataclass(frozen=True)
class Transition:
    """One change of state, of its reason, or of the ceiling."""

    now_s: float
    before: str
    after: str
    cause: str
