"""The house: packaging, locks, import contracts, make targets and scripts hold together."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from deploy import lock, resolve

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("models", "device", "build", "deploy", "hil")
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def wanted(name: str) -> list[str]:
    """The requirement lines of an .in file."""
    lines = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-"))]


# ---- packages -----------------------------------------------------------------------------------


def test_build_is_a_tracked_package() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-C", str(ROOT), "ls-files", "--error-unmatch", "build/__init__.py"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    ignored = ["git", "-C", str(ROOT), "check-ignore", "--no-index", "-q", "build/export.py"]
    assert subprocess.run(ignored, check=False).returncode == 1


def test_tools_see_the_build_folder() -> None:
    # Each of these skips folders called build unless told otherwise.
    assert not any("build" in name for name in PROJECT["tool"]["ruff"]["exclude"])
    assert "build" not in PROJECT["tool"]["pytest"]["ini_options"]["norecursedirs"]
    assert "build" in PROJECT["tool"]["mypy"]["files"]


def test_packages_import_without_vendor_libraries() -> None:
    absent = ["torch", "alsaaudio", "systemd", "gpiod", "gpiozero", "spidev", "tensorrt", "cuda"]
    program = f"""
import sys
for name in {absent!r}:
    sys.modules[name] = None  # an import of it raises ImportError
import {", ".join(PACKAGES)}
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# ---- requirements -------------------------------------------------------------------------------


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.stem)
def test_lock_has_hashes_and_no_address(file: Path) -> None:
    text = file.read_text()
    entries = [line for line in re.sub(r"\\\n", " ", text).splitlines() if line[:1].isalnum()]
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==[0-9][\w.]*( ; [^\\]+?)? +--hash=sha256:[0-9a-f]{64}", entry)
        assert "+" not in entry, "a local version is on no other machine"
    for trace in ("://", "index-url", "find-links", "trusted-host", ".org", ".com", "file:", " /"):
        assert trace not in text


def test_every_lock_has_its_source() -> None:
    assert {file.stem for file in LOCKS} == set(lock.FILES)
    for file in LOCKS:
        pinned = {line.split("==")[0] for line in file.read_text().splitlines() if "==" in line}
        for line in wanted(file.stem):
            assert Requirement(line).name in pinned, f"run make lock: {line} is not in {file.name}"


@pytest.mark.parametrize("python", resolve.PYTHONS, ids=str)
@pytest.mark.parametrize("machine", resolve.MACHINES)
def test_locks_agree(python: tuple[int, int], machine: str) -> None:
    target = resolve.Target(python, machine)
    versions: dict[str, dict[str, str]] = {}
    for file in LOCKS:
        for pin in resolve.read_pins(file.read_text(), target):
            assert pin.hashes
            versions.setdefault(pin.name, {})[file.stem] = pin.version
    assert "onnxruntime" in versions
    assert "onnxruntime-gpu" not in versions
    disagreeing = {name: where for name, where in versions.items() if len({*where.values()}) > 1}
    assert not disagreeing


def test_locked_versions_are_the_installed_ones() -> None:
    from importlib.metadata import version

    here = {name: str(value) for name, value in default_environment().items()}
    for line in (ROOT / "requirements" / "test.txt").read_text().splitlines():
        if "==" in line and line[:1].isalnum():
            requirement = Requirement(line.rstrip("\\ "))
            if requirement.marker is None or requirement.marker.evaluate(here):
                assert requirement.specifier.contains(version(requirement.name))


def test_project_depends_on_what_is_locked() -> None:
    assert PROJECT["project"]["dependencies"] == wanted("run")
    for name, extra in PROJECT["project"]["optional-dependencies"].items():
        assert extra == [line for line in wanted(name) if line not in wanted("run")]
    assert set(wanted("board")) & set(wanted("run")) == set()
    assert "torch" not in wanted("run") + wanted("test") + wanted("board")


def test_source_only_packages_are_stated_once_for_all() -> None:
    setup = (ROOT / "deploy" / "host-setup").read_text()
    compiled = re.search(r"--no-binary (\S+)", setup)
    assert compiled is not None
    assert set(compiled[1].split(",")) == set(resolve.SOURCE_ONLY)
    described = {entry["name"] for entry in PROJECT["tool"]["uv"]["dependency-metadata"]}
    assert described == set(resolve.SOURCE_ONLY)


LOCKED = "foo==1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:" + "a" * 64 + "\n    # via x\n"
FOO = {"name": "foo", "version": "1.0"}


def wheel(tag: str, digest: str = "a") -> dict[str, object]:
    """A wheel as the resolver reports it."""
    return {"url": f"x/foo-1.0-{tag}.whl", "hashes": {"sha256": digest * 64}}


def prove(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *packages: dict[str, object]
) -> tuple[int, set[str]]:
    """Check the one-package lock above against what the resolver is made to answer."""
    file = tmp_path / "foo.txt"
    file.write_text(LOCKED)
    answer = {str(package["name"]): package for package in packages}
    monkeypatch.setattr(resolve, "_resolve", lambda file, target: answer)
    return resolve.check(file, resolve.Target((3, 12), "aarch64"))


@pytest.mark.parametrize(
    "tag",
    ["py3-none-any", "cp312-cp312-manylinux_2_28_aarch64", "cp310-abi3-manylinux2014_aarch64"],
)
def test_proof_holds_with_a_fitting_wheel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tag: str
) -> None:
    assert prove(monkeypatch, tmp_path, {**FOO, "wheels": [wheel(tag)]}) == (1, set())


@pytest.mark.parametrize(
    ("packages", "complaint"),
    [
        ([{**FOO, "wheels": [wheel("cp312-cp312-manylinux_2_28_x86_64")]}], "no wheel"),
        ([{**FOO, "wheels": [wheel("cp312-cp312-manylinux_2_39_aarch64")]}], "no wheel"),
        ([{**FOO, "wheels": [wheel("cp313-cp313-manylinux_2_28_aarch64")]}], "no wheel"),
        ([{**FOO, "wheels": [wheel("py3-none-any", "b")]}], "hash is not locked"),
        ([{**FOO, "version": "1.1", "wheels": [wheel("py3-none-any")]}], "1.0 is locked"),
        ([{**FOO, "wheels": [wheel("py3-none-any")]}, {"name": "bar"}], "bar is needed"),
        ([], "locked in vain"),
    ],
)
def test_proof_fails(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    packages: list[dict[str, object]],
    complaint: str,
) -> None:
    with pytest.raises(resolve.ResolveError, match=complaint):
        prove(monkeypatch, tmp_path, *packages)


# ---- import contracts ---------------------------------------------------------------------------

SEEDS = {
    "models imports nothing of ours": ("models/seeded.py", "import device"),
    "device imports models only": ("device/seeded.py", "import build"),
    "build imports device and models only": ("build/seeded.py", "import deploy"),
    "deploy imports device, models and build only": ("deploy/seeded.py", "import hil"),
    "nobody imports tests": ("hil/seeded.py", "import tests"),
    # In a function of a module of models, and so only reached by way of it.
    "device never imports torch": ("models/lazy.py", "def load():\n    import torch"),
    "ALSA, pins, buses and MIDI live in device.boards": (
        "device/sound/seeded.py",
        "import alsaaudio",
    ),
    "systemd lives in the watchdog and the journal": (
        "device/processes/seeded.py",
        "from systemd import daemon",
    ),
    "TensorRT and CUDA live in models.plan": ("build/engine.py", "import tensorrt"),
    "pedalboard lives in device.sound.blocks": ("device/sound/chorus.py", "import pedalboard"),
    "torch lives where one trains, and where a checkpoint is read": (
        "models/music2latent/seeded.py",
        "def load():\n    import torch.nn",
    ),
    "music2latent and the hub's client have one home each": (
        "models/music2latent/fetching.py",
        "import huggingface_hub, music2latent.models",
    ),
}
# What brings the lazy module above into device's reach.
CHAIN = {"device/reaches_lazy.py": "import models.lazy"}
# Where each library is at home, so that the contracts are shown to let it in.
HOMES = {
    "device/boards/seeded.py": "import alsaaudio, gpiod, gpiozero, mido, smbus2, spidev",
    "device/sound/blocks/seeded.py": "import pedalboard",
}


def test_import_contracts_catch_violations(tmp_path: Path) -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    assert {contract["name"] for contract in contracts} == set(SEEDS), "each contract needs a seed"
    for package in (*PACKAGES, "tests"):
        sources = ROOT / package
        for source in sources.rglob("*.py"):
            copy = tmp_path / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for path, text in [*SEEDS.values(), *CHAIN.items(), *HOMES.items()]:
        (tmp_path / path).write_text(f"{text}\n")
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    kept = [
        name for name in SEEDS if not re.search(rf"^{re.escape(name)}.* BROKEN", done.stdout, re.M)
    ]
    assert not kept, done.stdout
    for home in HOMES:
        module = home.removesuffix(".py").replace("/", ".")
        assert f"{module} ->" not in done.stdout


# ---- make and scripts ---------------------------------------------------------------------------


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in the project's root, free of the options of a make around these tests."""
    outside = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=outside,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    listed = set(re.findall(r"^  make ([a-z-]+) ", make("help").stdout, re.M))
    assert listed == targets
    asked_for = "help run test check bench hil soak setup lock clean"
    assert targets >= set(asked_for.split())
    assert make().stdout == make("help").stdout


def test_every_target_runs_though_a_folder_has_its_name() -> None:
    makefile = (ROOT / "Makefile").read_text()
    declared = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, re.M)
    assert declared is not None
    phony = set(declared[1].replace("\\\n", " ").replace("$(PACKAGES)", "models build hil").split())
    assert phony >= {"build", *re.findall(r"^([a-z-]+):", makefile, re.M)}


def test_run_takes_an_input_with_spaces_and_quotes() -> None:
    shown = make("--dry-run", "run", "INPUT=my riff's take.wav")
    assert '--input "$INPUT"' in shown.stdout
    assert "--preset" in shown.stdout
    assert "--out out/run" in shown.stdout


def test_make_hil_sets_up_and_runs_the_virtual_pedal() -> None:
    shown = make("hil", "--dry-run", "ARGS=--only faults")
    assert "host-setup virtual" in shown.stdout
    assert "-m hil run --only faults" in shown.stdout


def test_ci_runs_checks_then_tests_then_the_virtual_pedal() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = [line for line in script.read_text().splitlines() if line.startswith("make ")]
    assert [command.split()[1] for command in commands] == ["check", "test", "test-whole", "hil"]
    assert "set -euo pipefail" in script.read_text()


@pytest.mark.parametrize("script", [".ci/run", "deploy/host-setup"])
def test_shell_scripts_parse(script: str) -> None:
    done = subprocess.run(
        ["bash", "-n", ROOT / script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [[], ["everything"], ["run", "test"]], ids=str)
def test_set_up_refuses_what_it_does_not_know(arguments: list[str]) -> None:
    command = [str(ROOT / "deploy" / "host-setup"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")
