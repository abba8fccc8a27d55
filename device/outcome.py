"""How a command of the pedal ended."""

from collections.abc import Mapping

from device.plain import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """Lines for a person, figures for a program."""

    lines: list[str] = field(default_factory=list)
    figures: Mapping[str, object] = field(default_factory=dict)
    exit_code: int = 0
