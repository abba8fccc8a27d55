"""What the tests of shipping share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.provision.machine import Machine
from tests.deploy.memory import MEMORY
from tests.deploy.recorder import Recorder

SMALL_FILES = ("attacks", "client", "publisher", "slots")
"""Folders whose tests write thousands of small files, and for none of which a disk matters."""


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """In memory for those, where there is room: a disk makes each wait for the ones before."""
    if MEMORY is None or request.path.parent.name not in SMALL_FILES:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="purga-", dir=MEMORY))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine whose file system is an empty folder."""
    return Machine(root=tmp_path / "root", run=Recorder())
