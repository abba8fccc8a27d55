"""Two LEDs tell what the pedal does: displays die first in the cold.

Status (green) and fault (red) differ in place and rhythm, not in colour alone; nothing flashes
more than three times a second (WCAG 2.3.1, photosensitive players). A pure function of time, so
that a restart of the process does not change the rhythm.
"""

from collections.abc import Collection

from device.plain import dataclass

Pattern = tuple[float, ...]
"""Durations in s, on and off by turns, beginning with on, repeated for ever; ``()`` is off and
``(inf,)`` is on."""

ON: Pattern = (float("inf"),)
OFF: Pattern = ()
BLIP: Pattern = (0.06, 1.94)
"""A spark every two seconds: alive, but not in the way of the sound."""
SLOW: Pattern = (1.0, 1.0)
EVEN: Pattern = (0.4, 0.4)
WINK: Pattern = (1.8, 0.2)
"""On, with a short gap: about to."""
OTHERWISE: Pattern = (0.0, 0.4, 0.4, 0.0)
"""``EVEN`` the other way round."""

STATES: dict[str, Pattern] = {
    "hold": SLOW,
    "warm-up": SLOW,
    "ready": WINK,
    "play": ON,
    "hot": ON,
    "fault": OFF,
}
"""What the status LED shows in each state while the sound is neither bypassed nor muted."""
SOUNDING = ("warm-up", "ready", "play", "hot")
"""States in which the guitar goes through the pedal."""

INTERFACE_CODE = 1
CODES: dict[str, int] = {
    "audio": INTERFACE_CODE,
    "interface": INTERFACE_CODE,
    "knob": 2,
    "expression": 2,
    "midi": 2,
    "footswitch": 3,
    "dew": 4,
    "heater": 4,
    "sensor": 4,
    "temperatures": 4,
    "preset": 5,
    "studio": 6,
    "disk": 7,
}
"""Flashes of the fault LED by a word of the fault's name; 8 for any other."""
OTHER_CODE = 8

_FLASH_S = 0.15
_GAP_S = 0.25
_PAUSE_S = 1.6


@dataclass(frozen=True)
class Shown:
    """What the player is told. ``faults`` are names such as "knob dead"."""

    state: str = "hold"
    bypass: bool = False
    mute: bool = False
    learn: bool = False
    loading: bool = False
    faults: Collection[str] = ()


def leds(shown: Shown, now_s: float) -> tuple[bool, bool]:
    """Whether the status and the fault LED are lit at ``now_s``."""
    return lit(status_pattern(shown), now_s), lit(fault_pattern(shown), now_s)


def status_pattern(shown: Shown) -> Pattern:
    """What the status LED shows: learning before mute before bypass before the state."""
    if shown.learn:
        return EVEN
    if shown.state in SOUNDING:
        if shown.mute:
            return EVEN
        if shown.bypass:
            return BLIP
        if shown.loading and shown.state != "warm-up":
            return WINK
    return STATES.get(shown.state, OFF)


def fault_pattern(shown: Shown) -> Pattern:
    """What the fault LED shows: on for a fault that stops the sound, else the lowest code."""
    if shown.learn:
        return OTHERWISE
    if shown.state == "fault":
        return ON
    if shown.state == "ready" and not shown.loading:  # nothing loads: it waits for an interface
        return code_pattern(INTERFACE_CODE)
    if shown.faults:
        return code_pattern(min(code(fault) for fault in shown.faults))
    if shown.state == "hot":
        return SLOW
    if shown.state == "hold":
        return BLIP
    return OFF


def code(fault: str) -> int:
    """How often the fault LED flashes for it, told from the name before a colon."""
    words = fault.partition(":")[0].split()
    return min((CODES[word] for word in words if word in CODES), default=OTHER_CODE)


def code_pattern(flashes: int) -> Pattern:
    """So many short flashes, then a pause that is long enough to begin counting."""
    return (_FLASH_S, _GAP_S) * (flashes - 1) + (_FLASH_S, _PAUSE_S)


def lit(pattern: Pattern, now_s: float) -> bool:
    """Whether a pattern is in one of its on times."""
    if not pattern:
        return False
    if pattern == ON:
        return True
    left_s = now_s % sum(pattern)
    for index, duration_s in enumerate(pattern):
        if left_s < duration_s:
            return index % 2 == 0
        left_s -= duration_s
    return False
