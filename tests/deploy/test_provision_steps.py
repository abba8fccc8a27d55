"""Provisioning's way through its table: it asks, acts once, says so; --check changes nothing."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.__main__ import main
from deploy.provision import command
from deploy.provision.errors import ProvisionError
from deploy.provision.machine import Machine, run_command
from deploy.provision.step import Outcome, State, Step, go_through
from tests.conftest import ROOT

MACHINE = Machine()


class Thing:
    """Something that a step makes."""

    def __init__(self, there: bool = False, helps: bool = True) -> None:
        self.there = there
        self.made = 0
        self._helps = helps

    def missing(self, _machine: Machine) -> str | None:
        return None if self.there else "it is missing"

    def make(self, _machine: Machine) -> None:
        self.made += 1
        self.there = self._helps


def through(*steps: Step, check: bool = False) -> tuple[list[Outcome], list[str]]:
    said: list[str] = []
    return list(go_through(steps, MACHINE, check, said.append)), said


def test_what_is_missing_is_made_once_and_then_left_alone() -> None:
    thing = Thing()
    step = Step("thing", thing.missing, thing.make)
    assert [each.state for each in through(step)[0]] == [State.CHANGED]
    assert [each.state for each in through(step)[0]] == [State.DONE]
    assert thing.made == 1


def test_check_names_what_is_missing_and_makes_nothing() -> None:
    there, absent = Thing(there=True), Thing()
    outcomes, said = through(
        Step("there", there.missing, there.make),
        Step("absent", absent.missing, absent.make),
        check=True,
    )
    assert [each.state for each in outcomes] == [State.DONE, State.MISSING]
    assert [each.lacks for each in outcomes] == [False, True]
    assert "absent: it is missing" in said[-1]
    assert there.made == absent.made == 0


def test_what_the_machine_does_not_need_is_not_even_asked() -> None:
    def asked(_machine: Machine) -> str | None:
        raise AssertionError

    outcomes, said = through(Step("board", asked, needless=lambda machine: "this is no Jetson"))
    assert outcomes[0].state is State.SKIPPED
    assert not outcomes[0].lacks
    assert "this is no Jetson" in said[0]


def test_what_only_a_person_can_do_is_said_and_the_rest_is_done() -> None:
    person, thing = Thing(), Thing()
    outcomes, _ = through(Step("SPI", person.missing), Step("thing", thing.missing, thing.make))
    assert [each.state for each in outcomes] == [State.YOURS, State.CHANGED]
    assert outcomes[0].lacks


def test_advice_never_fails_anything() -> None:
    thing = Thing(helps=False)
    outcomes, said = through(Step("speed", thing.missing, thing.make, advice=True))
    assert outcomes[0].state is State.YOURS
    assert not outcomes[0].lacks
    assert said[-1].startswith("advised")


def test_an_action_that_does_not_help_ends_the_way() -> None:
    useless, later = Thing(helps=False), Thing()
    with pytest.raises(ProvisionError, match=r"^first: it was done, and still it is missing$"):
        through(
            Step("first", useless.missing, useless.make), Step("later", later.missing, later.make)
        )
    assert later.made == 0


def test_an_action_that_fails_says_which_step_in_one_sentence() -> None:
    def fail(_machine: Machine) -> None:
        raise PermissionError(13, "Permission denied", "/etc/purga")

    with pytest.raises(ProvisionError, match=r"^presets: .*Permission denied.*/etc/purga"):
        through(Step("presets", Thing().missing, fail))


# ---- the command --------------------------------------------------------------------------------


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests: nothing here reaches the machine."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(command, "updates_held", contextlib.nullcontext)


def table(monkeypatch: pytest.MonkeyPatch, *steps: Step) -> None:
    monkeypatch.setattr(command, "STEPS", steps)


@pytest.mark.usefixtures("as_root")
def test_check_exits_1_and_the_last_line_is_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    thing = Thing()
    table(monkeypatch, Step("thing", thing.missing, thing.make))
    assert main(["provision", "--check", "--json"]) == 1
    printed = capsys.readouterr()
    figures = json.loads(printed.out.splitlines()[-1])
    assert figures["missing"] == ["thing"]
    assert figures["ready"] is False
    assert "thing" in printed.err
    assert main(["provision", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ready"] is True


@pytest.mark.usefixtures("as_root")
def test_a_running_pedal_is_started_again_with_what_has_changed_and_only_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    restarts: list[Machine] = []
    monkeypatch.setattr(command, "restart_services", restarts.append)
    monkeypatch.setattr(Machine, "booted", True)
    thing = Thing()
    table(monkeypatch, Step("thing", thing.missing, thing.make))
    assert main(["provision", "--check"]) == 1
    assert len(restarts) == 0
    assert [main(["provision"]), main(["provision"])] == [0, 0]
    assert len(restarts) == 1


@pytest.mark.usefixtures("as_root")
def test_failed_work_exits_1_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table(monkeypatch, Step("thing", Thing().missing, Thing(helps=False).make))
    assert main(["provision", "--json"]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert json.loads(printed.out.splitlines()[-1])["error"].startswith("thing")


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", "/no/such/file"],
        ["--presets", "/no/such/folder"],
        ["--target", "relative"],
        ["--target", "/opt"],
    ],
    ids=" ".join,
)
def test_wrong_input_exits_2(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["provision", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,,2", "-1"])
def test_processors_that_are_none_exit_2(text: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["provision", f"--cpus={text}"])
    assert ended.value.code == 2


def test_it_needs_nothing_but_the_standard_library() -> None:
    # A bare machine has a Python and no packages: -S leaves those of this environment out.
    program = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import deploy.provision.steps, deploy.__main__
sys.exit(deploy.__main__.main(["provision", "--config", "/no/such/file"]))
"""
    command = [sys.executable, "-I", "-S", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "there is no such file" in done.stderr


def test_only_root_may(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["provision", "--check"]) == 2
    assert "sudo" in capsys.readouterr().err


def test_a_command_that_fails_says_what_it_said_last() -> None:
    with pytest.raises(ProvisionError, match=r"ended with 3: the reason$"):
        run_command(["sh", "-c", "echo first >&2; echo the reason >&2; exit 3"])
    with pytest.raises(ProvisionError, match="could not be run"):
        run_command([Path("/no/such/tool")])
    assert run_command(["cat"], answer="no\n") == "no\n"
