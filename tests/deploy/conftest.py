"""What the tests of provisioning share."""

from pathlib import Path

import pytest

from deploy.provision.machine import Machine
from tests.deploy.recorder import Recorder


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine whose file system is an empty folder."""
    return Machine(root=tmp_path / "root", run=Recorder())
