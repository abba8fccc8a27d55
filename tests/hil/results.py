"""Results of a bench run that never was: one that passes, and parts to make others of."""

from collections.abc import Sequence
from typing import Any

from hil.results import Check, Mark, ScenarioResult, Span

GOOD = Check(
    id="relay-killed-audio",
    group="audio killed",
    what="until the guitar passes through the relay",
    asked="≤ 150 ms",
    limit=150.0,
    measured=121.25,
    unit="ms",
    ok=True,
    note="worst of 2",
)
BAD = Check(
    "back", "audio killed", "until processed sound is back", "≤ 2.5 s", 2.5, 3.5, "s", False
)
UNSEEN = Check("led", "LEDs", "the LED is lit", "yes", 1.0, None, "", False)


def scenario(
    name: str = "faults", checks: Sequence[Check] = (GOOD,), **changes: Any
) -> ScenarioResult:
    """A scenario of a kill: sound, the relay, the dry guitar, sound."""
    given: dict[str, Any] = {
        "timeline": [
            Span("wet", 10.0, 12.0),
            Span("relay", 12.0, 13.0),
            Span("dry", 13.0, 14.0),
            Span("wet", 14.0, 20.0),
        ],
        "marks": [Mark(11.5, "audio killed"), Mark(19.0, "")],
        "virtual_s": 24.5,
        "wall_s": 18.25,
        "figures": {"restarts": 1},
    }
    return ScenarioResult(name, list(checks), **{**given, **changes})
