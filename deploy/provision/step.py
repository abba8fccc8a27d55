"""A step of provisioning, and the way through a table of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from deploy.provision.errors import ProvisionError
from deploy.provision.machine import Machine


class State(StrEnum):
    """How a step ended."""

    DONE = "done"
    """It was so already."""
    CHANGED = "changed"
    SKIPPED = "skipped"
    """It has no meaning on this machine."""
    MISSING = "missing"
    """``--check`` found that it has to be done."""
    YOURS = "yours"
    """Only a person can do it."""


def _always(machine: Machine) -> str | None:
    return None


@dataclass(frozen=True)
class Step:
    """One row of the table: a name, a question and an action."""

    name: str
    missing: Callable[[Machine], str | None]
    """What is missing, in one sentence; None where nothing is. Changes nothing."""
    act: Callable[[Machine], object] | None = None
    """Makes it so; raises ``ProvisionError``. None where only a person can."""
    needless: Callable[[Machine], str | None] = _always
    """Why the machine does not need this; None where it does."""
    advice: bool = False
    """Whether the pedal plays without, only less well: then nothing fails for it."""


@dataclass(frozen=True)
class Outcome:
    """How one step ended, and the sentence that goes with it."""

    step: str
    state: State
    about: str = ""
    advice: bool = False

    @property
    def lacks(self) -> bool:
        """Whether the machine is not a pedal yet for want of this."""
        return self.state in (State.MISSING, State.YOURS) and not self.advice

    def line(self) -> str:
        """For a person."""
        kind = (
            "advised" if self.advice and self.state in (State.MISSING, State.YOURS) else self.state
        )
        return f"{kind:8} {self.step}" + (f": {self.about}" if self.about else "")


def go_through(
    steps: Sequence[Step], machine: Machine, check: bool, say: Callable[[str], None]
) -> Iterator[Outcome]:
    """Ask each step's question and, unless only checking, take its action where needed.

    Says one line for each step. Raises ``ProvisionError`` where an action fails or does not help:
    what comes after it may need it.
    """
    for step in steps:
        with _named(step):
            outcome = _ask(step, machine)
            if outcome.state is State.MISSING and not check:
                say(f"doing    {step.name}: {outcome.about}")
                outcome = _take(step, machine)
        say(outcome.line())
        yield outcome


@contextmanager
def _named(step: Step) -> Iterator[None]:
    """Have an error say which step it was."""
    try:
        yield
    except ProvisionError as error:
        raise type(error)(f"{step.name}: {error}") from None
    except OSError as error:
        raise ProvisionError(f"{step.name}: {error}") from None


def _ask(step: Step, machine: Machine) -> Outcome:
    needless = step.needless(machine)
    if needless is not None:
        return Outcome(step.name, State.SKIPPED, needless, step.advice)
    missing = step.missing(machine)
    if missing is None:
        return Outcome(step.name, State.DONE)
    state = State.YOURS if step.act is None else State.MISSING
    return Outcome(step.name, state, missing, step.advice)


def _take(step: Step, machine: Machine) -> Outcome:
    assert step.act is not None
    step.act(machine)
    still = step.missing(machine)
    if still is not None and step.advice:
        return Outcome(step.name, State.YOURS, still, advice=True)
    if still is not None:
        raise ProvisionError(f"it was done, and still {still}")
    return Outcome(step.name, State.CHANGED)
