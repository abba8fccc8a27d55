"""What a rule of ``check`` is: an id, one sentence, a source, and a function that finds faults."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from build.rules.subject import Subject


@dataclass(frozen=True)
class Finding:
    """A fault: the file and node or tensor, and what is wrong there."""

    where: str
    what: str


@dataclass(frozen=True)
class Outcome:
    """What came of a rule: it holds where nothing was found."""

    findings: list[Finding] = field(default_factory=list)
    note: str = ""
    """What was measured, for the table."""


@dataclass(frozen=True)
class Rule:
    """One rule."""

    id: str
    statement: str
    source: str
    find: Callable[[Subject], Iterable[Finding] | Outcome]

    def check(self, subject: Subject) -> Outcome:
        """Apply it."""
        found = self.find(subject)
        return found if isinstance(found, Outcome) else Outcome(list(found))
