import os

import pytest


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """That every write is followed by its fsync is counted; that it takes time is not."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
