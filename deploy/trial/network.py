"""Which stage network plays in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.stage import model


@contextmanager
def stage_network(file: Path | None) -> Iterator[None]:
    """Let the stage engine, and what is found for it, use another network; None: the bundled.

    For a process of one thread, such as the child that a trial runs in.
    """
    before = model.STAGE_FILE
    if file is not None:
        model.STAGE_FILE = file
    try:
        yield
    finally:
        model.STAGE_FILE = before
