"""What the bench found: checks, timelines and figures of each scenario, and the verdict on all.

Times are seconds on the clock of the machine under test (``CLOCK_MONOTONIC``: 0 is its boot); in
the virtual pedal that is virtual time. Everything goes to JSON and back unchanged, but for numbers
that JSON does not have: an infinite or undefined one comes back as None, not measured.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal

from models.errors import PurgaError

Verdict = Literal["pass", "fail", "incomplete"]

KINDS: Mapping[str, str] = {
    "wet": "processed sound",
    "dry": "the guitar as it is, by way of the pedal",
    "relay": "the guitar through the relay, past the pedal",
    "absent": "no interface, no sound",
}
"""What may be heard at a time."""


class ResultsError(PurgaError, ValueError):
    """Results that cannot be what a run of the bench found."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True)
class Check:
    """One number that was asked for, and what was measured.

    ``asked`` is for people (``≤ 150 ms``), ``limit`` the number in it, None where there is none.
    ``measured`` is in ``unit``; a question of yes or no is 1 or 0, asked ``yes``. None: it could
    not be measured, and then it is not ``ok``.
    """

    id: str
    group: str
    what: str
    asked: str
    limit: float | None
    measured: float | None
    unit: str
    ok: bool
    note: str = ""

    def __post_init__(self) -> None:
        """Raise ``ResultsError`` for a check that holds without a measurement."""
        if self.ok and (self.measured is None or not math.isfinite(self.measured)):
            raise ResultsError(
                f"check {self.id} is said to hold, but {self.measured} was measured; "
                "only a finite number can hold"
            )


@dataclass(frozen=True)
class Span:
    """What was heard from ``start_s`` to ``end_s``; ``kind`` is one of ``KINDS``."""

    kind: str
    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        """Raise ``ResultsError`` for another kind, or an end before the start."""
        if self.kind not in KINDS:
            raise ResultsError(f"a span of {self.kind!r}; expected one of {', '.join(KINDS)}")
        if not self.start_s <= self.end_s < math.inf:
            raise ResultsError(
                f"a span from {self.start_s} s to {self.end_s} s; expected an end that is finite "
                "and not before the start"
            )


@dataclass(frozen=True)
class Mark:
    """Something that was done to the pedal at a time; without a label, the same as before it."""

    time_s: float
    label: str


@dataclass(frozen=True)
class ScenarioResult:
    """What one scenario found.

    ``virtual_s`` is how long it took on the machine's own clock, ``wall_s`` on the host's.
    ``figures`` are further numbers by name, nested as JSON is; two names are drawn: ``loads`` (or
    ``figures`` itself) may hold ``histogram``, periods by load in half percents of a period, the
    last for all beyond; and ``period_ms``, how long a period lasts. ``artefacts`` are paths in the
    report's folder. ``failed_because`` says why the scenario broke off; None when it did not.
    ``stopped`` says what ended it without judging the pedal: a hand, or an instrument that failed;
    what it found until then stands, the rest is missing. ``simulated``: whether its numbers are;
    None: as the report says of all.
    """

    name: str
    checks: Sequence[Check]
    timeline: Sequence[Span]
    marks: Sequence[Mark]
    virtual_s: float
    wall_s: float
    figures: Mapping[str, Any] = field(default_factory=dict)
    artefacts: Sequence[str] = ()
    failed_because: str | None = None
    stopped: str | None = None
    simulated: bool | None = None

    @property
    def missed(self) -> list[Check]:
        """The checks that do not hold."""
        return [check for check in self.checks if not check.ok]

    @property
    def verdict(self) -> Verdict:
        """Judged by itself: no check at all proves nothing."""
        return verdict([self], [self.name])


Expected = Collection[str] | Mapping[str, Collection[str]]
"""Names of scenarios, or with each the ids of its checks, that must be there."""


def missing(results: Sequence[ScenarioResult], expected: Expected) -> list[str]:
    """What a whole run has and this one has not: scenarios, checks (``scenario: check``)."""
    found = {result.name: {check.id for check in result.checks} for result in results}
    wanted = expected if isinstance(expected, Mapping) else dict.fromkeys(expected, ())
    absent = [name for name in wanted if name not in found]
    # A scenario that checked nothing was there in name only; one that broke off is a failure.
    absent += [each.name for each in results if not each.checks and not each.failed_because]
    absent += [each.name for each in results if each.stopped]
    for name, checks in wanted.items():
        absent += [f"{name}: {check}" for check in checks if check not in found.get(name, checks)]
    return list(dict.fromkeys(absent))


def verdict(results: Sequence[ScenarioResult], expected: Expected) -> Verdict:
    """``fail`` when anything failed, else ``incomplete`` when anything is missing, else ``pass``.

    Nothing expected and nothing found is incomplete too. Raises ``ResultsError`` when a scenario,
    or a check in one, is there twice: which of the two counts nobody knows.
    """
    _check_once([result.name for result in results], "scenario")
    for result in results:
        _check_once([check.id for check in result.checks], f"{result.name}: check")
    if any(result.failed_because or result.missed for result in results):
        return "fail"
    return "pass" if results and not missing(results, expected) else "incomplete"


def _check_once(names: Sequence[str], what: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ResultsError(
            f"{what} {twice[0]} is there more than once; give each a name of its own"
        )


# ---- JSON ---------------------------------------------------------------------------------------


def to_json(result: ScenarioResult) -> dict[str, Any]:
    """As dictionaries, lists, texts, numbers and None."""
    return dict(_plain(asdict(result)))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def from_json(value: Mapping[str, Any]) -> ScenarioResult:
    """The same from what ``to_json`` made. Raises ``ResultsError`` for anything else."""
    try:
        parts = {name: [kind(**each) for each in value[name]] for name, kind in _PARTS.items()}
        known = {each.name for each in fields(ScenarioResult)}
        if unknown := sorted(set(value) - known):
            raise ResultsError(f"results hold {unknown[0]!r}, which this version does not know")
        return ScenarioResult(**{**value, **parts})
    except (TypeError, KeyError, AttributeError) as error:
        raise ResultsError(
            f"these are no results of a scenario ({type(error).__name__}: {error}); "
            "run python -m hil run again"
        ) from None


_PARTS: Mapping[str, Callable[..., Check | Span | Mark]] = {
    "checks": Check,
    "timeline": Span,
    "marks": Mark,
}
