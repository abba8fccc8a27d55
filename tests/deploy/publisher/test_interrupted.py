"""The publisher stopped at each of its writes: clients read the old state or the new one."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tuf.api.exceptions import RepositoryError

from deploy.errors import UpdateError, UpdateFailedError
from deploy.publisher.folder import Folder
from deploy.publisher.publish import begin
from deploy.publisher.renewal import hand_over, take_root
from deploy.publisher.roles import TopRole
from deploy.publisher.root import next_root, replace_key, sign_root
from tests.deploy.publisher.client import Client
from tests.deploy.publisher.repository import Repo, make_repository

WRITES = [(os, "replace"), (os, "fsync"), (os, "mkdir"), (os, "fchmod"), (tempfile, "mkstemp")]


FILES = [{"stage.onnx": b"%d" % each * 20_000, "presets/a.toml": b"a"} for each in (1, 2)]
"""Two chunks and one."""


class PowerCut(BaseException):
    """Nothing runs after it: no clearing away either."""


class Steps:
    """Counts what changes the disk, and stops before the one numbered ``last``."""

    def __init__(self, last: int, error: BaseException) -> None:
        self.left = last
        self.error = error

    def take(self) -> None:
        if self.left == 0:
            raise self.error
        self.left -= 1


@contextmanager
def stopped(
    monkeypatch: pytest.MonkeyPatch, folder: Path, last: int, error: BaseException
) -> Iterator[Steps]:
    steps = Steps(last, error)

    def counted(real: Callable) -> Callable:
        def call(*arguments, **options):
            place = arguments[0] if arguments else options["dir"]
            # What a test puts together elsewhere is no write of the publisher.
            elsewhere = "dir_fd" in options or (
                not isinstance(place, int) and folder not in (Path(place), *Path(place).parents)
            )
            if not elsewhere:
                steps.take()
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        # After a power cut nothing is cleared away; after an error it is.
        for module, name in WRITES + [(os, "unlink")] * isinstance(error, PowerCut):
            patch.setattr(module, name, counted(getattr(module, name)))
        yield steps


def rotated(repo: Repo, role: TopRole, *, absent: bool) -> Callable[[Repo], object]:
    """Takes a root in which a role has another key, with the old one at hand or not."""
    new = repo.ring.make(f"{role}-2")
    draft = next_root(repo.state().root, repo.now)
    replace_key(draft.signed, role, new, None)
    sign_root(draft, repo.ring)
    if absent:
        repo.ring.absent = {role}
    return lambda repo: take_root(draft, repo.folder, repo.ring, repo.now)


def handed_over(repo: Repo) -> Callable[[Repo], object]:
    new = repo.ring.make("models-2")
    return lambda repo: hand_over("models", new, None, repo.folder, repo.ring, repo.now)


TASKS: dict[str, Callable[[Repo], Callable[[Repo], object]]] = {
    "publish": lambda repo: lambda repo: repo.publish(FILES[1], name="new"),
    "roll out": lambda repo: lambda repo: repo.roll_out("models:1", all=5),
    "withdraw": lambda repo: lambda repo: repo.withdraw("models:1"),
    "refresh": lambda repo: lambda repo: repo.refresh(),
    "hand over": handed_over,
    "rotate timestamp": lambda repo: rotated(repo, "timestamp", absent=False),
    "rotate snapshot": lambda repo: rotated(repo, "snapshot", absent=False),
    "rotate targets": lambda repo: rotated(repo, "targets", absent=False),
    "replace a lost timestamp": lambda repo: rotated(repo, "timestamp", absent=True),
    "replace a lost targets": lambda repo: rotated(repo, "targets", absent=True),
}
LOST = {"replace a lost timestamp", "replace a lost targets"}


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("name", "error"),
    [*((name, PowerCut()) for name in TASKS), ("roll out", FULL)],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_clients_can_use_whatever_is_left(
    name: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    repo = make_repository(tmp_path / "made")
    repo.publish(FILES[0], name="old")
    client = Client(tmp_path / "device", repo.root_bytes, repo.folder)
    old = client.contents(repo.now)
    task = TASKS[name](repo)
    whole = tmp_path / "whole"
    shutil.copytree(repo.folder.path, whole)

    for last in range(200):
        shutil.rmtree(repo.folder.path)
        shutil.copytree(whole, repo.folder.path)
        device = tmp_path / f"device-{last}"
        shutil.copytree(tmp_path / "device", device, symlinks=True)
        client = Client(device, repo.root_bytes, repo.folder)
        fresh = Client(tmp_path / f"fresh-{last}", repo.root_bytes, repo.folder)
        with stopped(monkeypatch, repo.folder.path, last, error) as steps:
            try:
                task(repo)
                finished = True
            except (PowerCut, UpdateFailedError):
                finished = False
        states = []
        for each in (client, fresh):
            try:
                states.append(each.contents(repo.now))
            except RepositoryError:
                # Only where an old key is gone is there a moment in which to look again later.
                assert name in LOST and not finished
        assert all(
            state.get("models/old.json", old["models/old.json"]) == old["models/old.json"]
            for state in states
        )
        if finished:
            assert steps.left == 0
            break
        try:
            task(repo)  # what was stopped is done again
        except UpdateError as told:
            # It was done but for its last words, and says so.
            assert re.search("already|no release", str(told))
        again = client.contents(repo.now)
        assert again == fresh.contents(repo.now)
        assert (again == old) == (name not in ("publish", "withdraw"))
        shutil.rmtree(device)
        shutil.rmtree(fresh.home)
    else:
        pytest.fail("it never finished")
    assert last > 5


def test_a_repository_half_begun_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    repo = make_repository(tmp_path / "made")
    for last in range(200):
        folder = Folder(tmp_path / f"begun-{last}")
        with stopped(monkeypatch, folder.path, last, PowerCut()):
            try:
                begin(folder, repo.ring, repo.now, {})
                break
            except PowerCut:
                pass
        if not folder.timestamp.exists():
            begin(folder, repo.ring, repo.now, {})
        assert Client(tmp_path / f"device-{last}", repo.root_bytes, folder).look(repo.now) == {}
    assert last > 10


def test_what_a_power_cut_left_is_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    repo = make_repository(tmp_path)
    with stopped(monkeypatch, repo.folder.path, 5, PowerCut()), pytest.raises(PowerCut):
        repo.publish(FILES[0])
    assert list(repo.folder.path.rglob(".partial-*"))
    repo.publish(FILES[0])
    assert not list(repo.folder.path.rglob(".partial-*"))
