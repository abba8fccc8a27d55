"""``python -m build check``: exit codes, table and JSON; and the list of operators behind it."""

import itertools
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import onnx
import pytest

from build import check as check_module
from build.commands import COMMANDS
from build.errors import TargetError
from build.operators import FILE, operator_list, targets
from build.rules import RULES
from models.errors import ModelError
from tests.build.bundles import CERTIFICATE, small_bundle
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that is ready."""
    folder = tmp_path_factory.mktemp("check") / "bundle"
    small_bundle(folder)
    return folder


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """A bundle that reaches too far for fp16."""
    maxima = CERTIFICATE.maxima.model_copy(
        update={"encoder": {name: 3e4 for name in CERTIFICATE.maxima.encoder}}
    )
    small_bundle(tmp_path / "b", certificate=CERTIFICATE.model_copy(update={"maxima": maxima}))
    return tmp_path / "b"


def build(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    command = [sys.executable, "-m", "build", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_bundle_that_is_ready(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_module.main([str(folder), "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    figures = json.loads(lines[-1])
    assert figures["ready"] is True
    assert figures["targets"] == ["10.3", "10.16", "11.0", "11.5"]
    assert all(rule["holds"] and not rule["findings"] for rule in figures["rules"])
    assert all(rule["source"] for rule in figures["rules"])
    assert f"{folder}: ready for TensorRT 10.3, 10.16, 11.0, 11.5" in lines[-2]
    assert not [line for line in lines if line.startswith("FAILS")]


def test_bundle_that_fails_a_rule(failing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_module.main([str(failing), "--json", "--target", "10.3"]) == 1
    lines = capsys.readouterr().out.splitlines()
    figures = json.loads(lines[-1])
    assert figures["ready"] is False
    assert [rule["id"] for rule in figures["rules"] if not rule["holds"]] == ["half-range"]
    assert lines[-2] == f"{failing}: not ready for TensorRT 10.3: half-range"
    at = next(index for index, line in enumerate(lines) if line.startswith("FAILS  half-range"))
    assert "reaches 3e+04, expected below 16376" in lines[at + 1]
    assert "and 1 more" in lines[at + check_module.SHOWN + 1]


def test_exit_codes_of_the_command(folder: Path, failing: Path, tmp_path: Path) -> None:
    done = build("check", folder, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["ready"] is True
    assert build("check", failing).returncode == 1
    done = build("check", tmp_path / "absent")
    assert done.returncode == 2
    assert done.stderr.startswith("python -m build check: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_damaged_bundle_is_none(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "b")
    (tmp_path / "b" / "decoder.int8.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"decoder.int8.onnx: has 0 bytes"):
        check_module.main([str(tmp_path / "b")])


def test_unknown_target(folder: Path) -> None:
    with pytest.raises(TargetError, match=r"'9\.9' is not in operators.toml, which holds 10.3"):
        check_module.main([str(folder), "--target", "9.9"])


# ---- the list ------------------------------------------------------------------------------------


def test_list_names_its_sources() -> None:
    text = FILE.read_text()
    assert "Not found" in text
    for target in targets():
        assert target.source.startswith("https://github.com/")
        assert target.opset[0] <= target.opset[1]
        assert target.date.year >= 2024


def test_every_listed_operator_is_one_of_onnx() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}
    listed = [name for group in operator_list().operators for name in group.names]
    assert len(listed) == len(set(listed)), "an operator stands in one group"
    assert set(listed) <= known
    for restriction in operator_list().restriction:
        assert set(restriction.operators) <= set(listed)
    assert set(operator_list().since) <= set(listed)


def test_every_type_is_one_of_onnx() -> None:
    known = {name.lower() for name, _ in onnx.TensorProto.DataType.items()}
    assert {name for group in operator_list().operators for name in group.types} <= known


def test_later_versions_read_no_less() -> None:
    lists = [set(operator_list().types(target)) for target in targets()]
    for earlier, later in itertools.pairwise(lists):
        assert earlier <= later
    assert "Attention" not in lists[0]
    assert "Attention" in lists[1]


def test_targets_are_those_of_the_file_in_order() -> None:
    names = [target["tensorrt"] for target in tomllib.loads(FILE.read_text())["target"]]
    assert [target.tensorrt for target in targets()] == names
    assert [target.tensorrt for target in targets(["11.0", "10.3"])] == ["11.0", "10.3"]


def test_readme_names_every_rule_and_command() -> None:
    readme = (ROOT / "build" / "README.md").read_text()
    for rule in RULES:
        assert f"| `{rule.id}` |" in readme
    for command in COMMANDS:
        assert f"| `python -m build {command}" in readme
