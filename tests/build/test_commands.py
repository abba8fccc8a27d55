"""``python -m build``: usage, exit codes, and packages that are not installed."""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence

import pytest

from build import __main__ as command
from build.commands import COMMANDS
from models.command import Command, PackageMissingError
from models.errors import ModelError
from tests.conftest import ROOT


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--help"]) == 0
    usage = capsys.readouterr().out
    assert all(f"  {name} " in usage for name in COMMANDS)
    for wrong in ([], ["compress"]):
        assert command.main(wrong) == 2
        assert capsys.readouterr().err == usage


def test_every_stage_is_a_command() -> None:
    asked = "fetch export calibrate quantise check compile verify bundle measure train-adapter"
    assert set(COMMANDS) == set(asked.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    assert importlib.util.find_spec(COMMANDS[name].module), "the module is not there"
    program = [sys.executable, "-m", "build", name, "--help"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 2 and "is not installed" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: python -m build {name}")


def test_listing_commands_imports_none_of_them() -> None:
    program = """
import sys
import build.__main__
loaded = set(sys.modules) & {command.module for command in build.__main__.COMMANDS.values()}
assert not loaded, loaded
assert not set(sys.modules) & {"torch", "onnx", "onnxruntime", "numpy"}
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_missing_package_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)  # an import of it raises ModuleNotFoundError
    for module in [name for name in sys.modules if name.startswith(("build.check", "build.rules"))]:
        monkeypatch.delitem(sys.modules, module)
    assert command.main(["check", "x"]) == PackageMissingError.exit_code
    said = capsys.readouterr().err
    assert said.startswith("python -m build check: The package onnx is not installed; ")
    assert "deploy/host-setup build installs it" in said


def test_missing_module_of_ours_is_a_defect() -> None:
    with pytest.raises(ModuleNotFoundError):
        Command("build.absent", "nothing", "nobody")([])


def test_errors_become_one_line_and_their_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(argv: Sequence[str]) -> int:
        raise ModelError(f"{argv[0]}: is no bundle; name one.")

    monkeypatch.setattr("build.check.main", refuse)
    assert command.main(["check", "x"]) == 2
    assert capsys.readouterr().err == "python -m build check: x: is no bundle; name one.\n"
