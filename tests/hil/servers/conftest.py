"""A plant with servers in front of it."""

from collections.abc import Iterator

import pytest

from hil.plant.plant import Plant
from hil.servers.servers import Servers, start_servers


@pytest.fixture
def plant() -> Plant:
    return Plant(seed=1)


@pytest.fixture
def servers(plant: Plant) -> Iterator[Servers]:
    with start_servers(plant) as running:
        yield running
