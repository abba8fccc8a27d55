"""The commands: one sentence and an exit code for everything, JSON as the last line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.__main__ import COMMANDS, main
from deploy.client import update_command
from deploy.client.alone import alone, become_owner
from deploy.client.seams import Trial
from deploy.client.trials import trials_here
from deploy.places import Component, Places
from tests.deploy.client.stands import BAD, GOOD, FakeTrial
from tests.deploy.link.server import Link
from tests.deploy.publisher.repository import Repo, make_repository

ROOT = Path(__file__).resolve().parents[3]


class Run:
    """The commands on one device."""

    def __init__(self, folder: Path, repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
        self.places = Places(folder / "pedal")
        self.places.trusted_root.parent.mkdir(parents=True)
        self.places.trusted_root.write_bytes(repo.root_bytes)
        self.settings = folder / "update.toml"
        self.trials: dict[Component, FakeTrial] = {"models": FakeTrial(), "firmware": FakeTrial()}
        self._capsys = capsys
        self.error = ""

    def __call__(self, command: str, *words: object, code: int = 0) -> dict[str, Any]:
        """What the last line says; asserts the exit code."""
        arguments = [command, "--root", self.places.root, *words, "--json"]
        if command != "rollback":
            arguments += ["--settings", self.settings]
        self._capsys.readouterr()
        assert main([str(word) for word in arguments]) == code, self._capsys.readouterr().err
        said = self._capsys.readouterr()
        self.error = said.err
        if code:
            assert said.err.count("\n") <= 1, said.err
        return json.loads(said.out.splitlines()[-1]) if said.out else {}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    from datetime import UTC, datetime

    # These commands go by the machine's own clock.
    repo = make_repository(tmp_path, now=datetime.now(UTC))
    repo.publish({"stage.onnx": b"one"}, name="Cold start")
    return repo


@pytest.fixture
def run(
    tmp_path: Path, repo: Repo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    run = Run(tmp_path, repo, capsys)

    def trials(places: Places) -> Mapping[Component, Trial]:
        return run.trials

    monkeypatch.setattr(update_command, "trials_here", trials)
    return run


@pytest.fixture
def link(repo: Repo) -> Iterator[Link]:
    with Link(repo.folder.path) as link:
        yield link


def test_the_way_of_an_owner(run: Run, link: Link, repo: Repo) -> None:
    run.settings.write_text(f'url = "{link.url}"\n')
    done = run("update")
    assert done["done"] is True
    assert [step["state"] for step in done["steps"]] == ["current", "trial"]
    status = run("status")
    assert status["slots"]["models"][0]["name"] == "Cold start"
    assert status["offered"] == {"firmware": 0, "models": 1}
    assert status["spent_bytes"] > 1000
    run.trials["models"].verdict = GOOD
    assert run("update", "--automatic")["steps"][1]["state"] == "good"
    assert run("status")["floors"]["models"] == 1
    repo.publish({"stage.onnx": b"two"})
    run("update", "--component", "models")
    assert run("rollback") == {"component": "models", "version": 1}
    status = run("status", "--lines", 2)
    assert [line["event"] for line in status["record"]] == ["activated", "rolled-back"]


def test_a_stick(run: Run, repo: Repo) -> None:
    assert run("import", repo.folder.path)["steps"][1]["version"] == 1
    run.trials["models"].verdict = BAD
    failed = run("import", repo.folder.path, code=2)
    assert "the factory's content plays again" in failed["error"]
    assert "dropped out 9 times" in run.error


def test_update_takes_a_folder_too(run: Run, repo: Repo) -> None:
    assert run("update", "--source", repo.folder.path)["done"] is True


def test_what_is_wrong_is_said_in_one_line(run: Run, tmp_path: Path, repo: Repo) -> None:
    run("update", code=2)
    assert "has no url to update from" in run.error
    run("update", "--source", "ftp://x/", code=2)
    assert "must begin with https" in run.error
    run("import", tmp_path / "nowhere", code=2)
    assert "there is no such folder" in run.error
    run("import", tmp_path, code=2)
    assert "it has no metadata/" in run.error
    run("rollback", code=2)
    assert "nothing to go back to" in run.error
    run.settings.write_text("speed = 1\n")
    run("status", code=2)
    assert "speed" in run.error
    run.settings.write_text("")
    with alone(run.places):
        run("import", repo.folder.path, code=1)
    assert "another update is running" in run.error
    run.places.trusted_root.unlink()
    assert "root of trust" in run("import", repo.folder.path, code=2)["error"]


def test_the_timer_without_a_url_is_content(run: Run) -> None:
    assert [step["state"] for step in run("update", "--automatic")["steps"]] == ["not-asked"] * 2


def test_status_before_anything_happened(run: Run) -> None:
    status = run("status")
    assert status["record"] == []
    assert status["record_intact"] is True
    assert status["problems"] == []
    assert not run.places.floors.exists(), "looking changes nothing"


def test_status_tells_a_record_that_was_changed(run: Run, repo: Repo) -> None:
    run("import", repo.folder.path)
    lines = run.places.record.read_bytes().splitlines(keepends=True)
    run.places.record.write_bytes(b"".join(lines[:1] + lines[2:]))
    status = run("status", code=1)
    assert status["record_intact"] is False
    run.places.floors.write_bytes(b"?")
    assert len(run("status", code=1)["problems"]) == 2


@pytest.mark.parametrize("command", ["update", "import", "status", "rollback"])
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command in COMMANDS
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"python -m deploy {command}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--watch", "-1"], ["--watch", "x"], ["--component", "tubes"]])
def test_wrong_options(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["update", *words])
    assert ended.value.code == 2


def test_the_trials_of_this_machine_are_the_real_ones(tmp_path: Path) -> None:
    trials = trials_here(Places(tmp_path))
    assert set(trials) == {"models", "firmware"}
    assert all(type(trial).__module__ == "deploy.client.trials" for trial in trials.values())


def test_root_goes_on_as_the_owner_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[tuple[str, int]] = []

    class Owner:
        st_uid, st_gid = 4242, 4343

    places = Places(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "stat", lambda path: Owner)
    monkeypatch.setattr(os, "setgid", lambda gid: became.append(("gid", gid)))
    monkeypatch.setattr(os, "setuid", lambda uid: became.append(("uid", uid)))
    become_owner(places)
    assert became == [("gid", 4343), ("uid", 4242)], "the group first: after the user it may not"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    become_owner(places)
    assert len(became) == 2


def test_as_a_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "status", "--root", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "plays the factory's content" in done.stdout
