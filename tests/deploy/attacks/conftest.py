"""What the attacks start from."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.slots import disk
from tests.deploy.attacks.world import World, make_template, make_world
from tests.deploy.memory import MEMORY


@pytest.fixture(scope="session", autouse=True)
def no_power_is_lost() -> Iterator[None]:
    """Nothing waits for the disk here: power cuts have their own tests, which are slow for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        patch.setattr(disk, "sync_below", lambda folder: None)
        yield


@pytest.fixture(scope="session")
def template(no_power_is_lost: None) -> Iterator[Path]:
    """Made once; every test gets a copy."""
    with tempfile.TemporaryDirectory(prefix="purga-", dir=MEMORY) as name:
        make_template(Path(name))
        yield Path(name)


@pytest.fixture(params=["link", "stick"])
def world(request: pytest.FixtureRequest, template: Path, tmp_path: Path) -> Iterator[World]:
    """A pedal that plays release 1, and a repository that offers release 2, both ways."""
    yield from make_world(template, tmp_path / "world", request.param)


@pytest.fixture
def linked(template: Path, tmp_path: Path) -> Iterator[World]:
    """The same, over a link."""
    yield from make_world(template, tmp_path / "world", "link")


@pytest.fixture
def stick(template: Path, tmp_path: Path) -> Iterator[World]:
    """The same, from a stick."""
    yield from make_world(template, tmp_path / "world", "stick")
