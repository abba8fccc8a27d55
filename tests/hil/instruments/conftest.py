"""What is opened in a test is closed after it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.hil.instruments.peers import StepClock


@pytest.fixture
def opened() -> Iterator[Callable[[Any], Any]]:
    """Take something with ``close``; it is closed when the test ends."""
    with ExitStack() as stack:

        def keep(thing: Any) -> Any:
            stack.callback(thing.close)
            return thing

        yield keep


@pytest.fixture
def clock() -> StepClock:
    return StepClock()
