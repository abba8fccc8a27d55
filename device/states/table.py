"""The table of states: the first row that applies decides."""

from collections.abc import Callable

from device.plain import dataclass
from device.states.values import Audio, Ceiling, State

HELD, WARMING, WARM = 0, 1, 2
"""Levels of cold."""
COOL, STAGE_ONLY, CROSSFADE_ONLY, CRITICAL = 0, 1, 2, 3
"""Levels of heat."""


@dataclass(frozen=True)
class Facts:
    """What the rows ask for."""

    audio: Audio
    stopping: tuple[str, ...]
    """Faults that stop, sorted."""
    cold: int
    heat: int
    damp: bool
    """Whether the dew guard holds."""
    started: bool
    """Whether audio was alive once."""
    overdue: bool
    """Whether it should be by now."""
    settled: bool
    """Whether nothing has kept the relay down for ``settle_s``."""
    failed: bool
    """Whether the state so far is ``fault``."""


@dataclass(frozen=True)
class Row:
    """One row: when it applies, and what it allows."""

    state: State
    when: str
    applies: Callable[[Facts], bool]
    reason: Callable[[Facts], str]
    """The cause in words that change only when the reason does; "" keeps the last one."""
    relay: bool
    """Whether the relay may be energised: with audio sounding and settled."""
    heater: bool
    """Whether the thermostat may heat."""


TABLE = (
    Row(
        "fault",
        "module at `bypass_from_c`",
        lambda facts: facts.heat >= CRITICAL,
        lambda facts: "the module is about to shut down from heat",
        relay=False,
        heater=False,
    ),
    Row(
        "fault",
        "a stopping fault",
        lambda facts: bool(facts.stopping),
        lambda facts: ", ".join(facts.stopping),
        relay=False,
        heater=False,
    ),
    Row(
        "fault",
        "audio dead, after it lived or `start_s` after the start",
        lambda facts: facts.audio == "dead" and (facts.started or facts.overdue),
        lambda facts: "audio stands still" if facts.started else "audio did not start",
        relay=False,
        heater=False,
    ),
    Row(
        "fault",
        "all well again for less than `settle_s`",
        lambda facts: facts.failed and not facts.settled,
        lambda facts: "",
        relay=False,
        heater=False,
    ),
    Row(
        "hold",
        "audio not there yet",
        lambda facts: facts.audio == "dead",
        lambda facts: "waiting for audio",
        relay=False,
        heater=True,
    ),
    Row(
        "hold",
        "zones below `hold_below_c`",
        lambda facts: facts.cold == HELD,
        lambda facts: "too cold",
        relay=False,
        heater=True,
    ),
    Row(
        "hold",
        "surface at the dew point, before anything was played, `dew_max_s` at most",
        lambda facts: facts.damp,
        lambda facts: "dew",
        relay=False,
        heater=True,
    ),
    Row(
        "hot",
        "zones at `stage_from_c` or `crossfade_from_c`",
        lambda facts: facts.heat > COOL,
        lambda facts: "hot, no studio" if facts.heat == STAGE_ONLY else "hot, crossfade only",
        relay=True,
        heater=True,
    ),
    Row(
        "warm-up",
        "zones below `warm_from_c`",
        lambda facts: facts.cold == WARMING,
        lambda facts: "too cold for the studio engine",
        relay=True,
        heater=True,
    ),
    Row(
        "ready",
        "presets loading (dry sound) or no interface",
        lambda facts: facts.audio != "playing",
        lambda facts: "presets are loading" if facts.audio == "loading" else "no sound interface",
        relay=True,
        heater=True,
    ),
    Row(
        "play",
        "else",
        lambda facts: True,
        lambda facts: "playing",
        relay=True,
        heater=True,
    ),
)


def decide(facts: Facts) -> Row:
    """Return the first row that applies; the last one always does."""
    return next(row for row in TABLE if row.applies(facts))


def ceiling(facts: Facts) -> Ceiling:
    """The most that may be computed at these levels, whatever the state."""
    if facts.heat >= CROSSFADE_ONLY:
        return "crossfade"
    return "stage" if facts.heat == STAGE_ONLY or facts.cold < WARM else "studio"


def engine(facts: Facts) -> bool:
    """Whether the engine may run: warm enough, and not so hot that it could not be heard.

    At ``stage`` it idles, so that studio is back at once; at ``crossfade`` its power counts.
    """
    return facts.cold == WARM and facts.heat <= STAGE_ONLY


def markdown() -> str:
    """The table as it stands in the README."""
    lines = ["| state | when | relay | heater |", "|---|---|---|---|"]
    for row in TABLE:
        relay = "audio sounds" if row.relay else "off"
        heater = "thermostat" if row.heater else "off"
        lines.append(f"| {row.state} | {row.when} | {relay} | {heater} |")
    return "\n".join(lines)
