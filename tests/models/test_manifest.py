"""Bundles: what was written is read, what is damaged or foreign is refused, the old one stays."""

import hashlib
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from models import manifest as manifest_module
from models import replace as replace_module
from models.errors import ModelError
from models.golden import pack_golden
from models.manifest import BundleWriteError, read_bundle, write_bundle
from tests.build.bundles import (
    CERTIFICATE,
    OPSETS,
    encoder,
    facts,
    golden_of,
    graphs,
    small_bundle,
)
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a good bundle."""
    folder = tmp_path_factory.mktemp("written") / "bundle"
    small_bundle(folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path, written: dict[str, bytes]) -> Path:
    """A good bundle, to spoil."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name, content in written.items():
        (folder / name).write_bytes(content)
    return folder


def refusal(folder: Path) -> str:
    """What is said against a bundle: one sentence, on one line, that names the folder."""
    with pytest.raises(ModelError) as caught:
        read_bundle(folder)
    said = str(caught.value)
    assert str(folder) in said
    assert "\n" not in said
    assert said.endswith(".")
    assert len(said) < 700
    return said


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = folder / "manifest.json"
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Another file, which the manifest vouches for."""
    (folder / name).write_bytes(content)

    def vouch(data: dict[str, Any]) -> None:
        entry = data["files"][name]
        entry["bytes"], entry["sha256"] = len(content), hashlib.sha256(content).hexdigest()

    change_manifest(folder, vouch)


# ---- good bundles --------------------------------------------------------------------------------


def test_what_was_written_is_read(tmp_path: Path) -> None:
    models = graphs()
    golden = golden_of(models)
    made = small_bundle(tmp_path / "bundle", golden=golden)
    bundle = read_bundle(tmp_path / "bundle")
    assert bundle == made
    assert bundle.certificate() == CERTIFICATE
    assert bundle.precisions == ("fp32", "fp16", "int8")
    for which, model in models.items():
        assert bundle.read_model(*which) == model.SerializeToString()
        assert bundle.model(*which).read_bytes() == model.SerializeToString()
    read = bundle.golden()
    assert set(read) == set(golden)
    for name, array in golden.items():
        np.testing.assert_array_equal(read[name], array)


def test_same_content_gives_the_same_files(tmp_path: Path, written: dict[str, bytes]) -> None:
    small_bundle(tmp_path / "again")
    assert {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()} == written


def test_hash_covers_every_file(tmp_path: Path) -> None:
    one = small_bundle(tmp_path / "one")
    other = small_bundle(tmp_path / "other", facts(seed=1))
    golden = golden_of(graphs())
    golden["noise"] = -golden["noise"]
    third = small_bundle(tmp_path / "third", golden=golden)
    assert len({one.sha256, other.sha256, third.sha256}) == 3
    assert one.model_sha256("encoder", "int8") == other.model_sha256("encoder", "int8")


def test_one_precision_can_be_read_alone(folder: Path) -> None:
    file = folder / "decoder.fp32.onnx"
    file.write_bytes(bytes(file.stat().st_size))
    bundle = read_bundle(folder, ["int8"])
    assert bundle.model("decoder", "int8").is_file()
    with pytest.raises(ModelError, match="fp32 was asked for"):
        bundle.model("decoder", "fp32")
    assert "SHA-256" in refusal(folder)


def test_precision_that_is_not_there(tmp_path: Path) -> None:
    small_bundle(tmp_path / "b", facts(opset={"fp32": 17, "fp16": 17}))
    with pytest.raises(ModelError, match="int8 was asked for, but it holds fp32, fp16"):
        read_bundle(tmp_path / "b", ["int8"])


def test_file_that_changes_after_reading_is_not_loaded(folder: Path) -> None:
    bundle = read_bundle(folder)
    file = bundle.model("encoder", "int8")
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(ModelError, match="SHA-256"):
        bundle.read_model("encoder", "int8")


def test_folder_may_be_reached_by_a_link(folder: Path) -> None:
    link = folder.parent / "current"
    link.symlink_to(folder)
    assert read_bundle(link).sha256 == read_bundle(folder).sha256


# ---- files ---------------------------------------------------------------------------------------


def test_folder_that_is_none(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    assert "is no folder" in refusal(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "holds no manifest.json" in refusal(tmp_path / "empty")


@pytest.mark.parametrize("name", ["encoder.int8.onnx", "golden.npz", "certificate.json"])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{name}: is missing" in refusal(folder)


def test_extra_file(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"1")
    assert "weights.bin: is no part of this bundle" in refusal(folder)


@pytest.mark.parametrize("name", ["encoder.int8.onnx", "golden.npz", "certificate.json"])
def test_changed_byte(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert "its SHA-256 differs" in refusal(folder)


def test_other_size_is_found_without_reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (folder / "encoder.fp32.onnx").open("ab") as file:
        file.write(b"1")
    read: list[Path] = []
    bounded = manifest_module._read_bounded

    def noted(path: Path, limit: int) -> bytes:
        read.append(path)
        return bounded(path, limit)

    monkeypatch.setattr(manifest_module, "_read_bounded", noted)
    assert "but the manifest says" in refusal(folder)
    assert [path.name for path in read] == ["manifest.json"]


def test_nothing_is_parsed_before_its_hash_is_right(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("golden.npz", "certificate.json", "encoder.fp32.onnx", "decoder.int8.onnx"):
        (folder / name).write_bytes(bytes((folder / name).stat().st_size))

    def never(*_: object) -> None:
        raise AssertionError("was parsed")

    for parser in ("unpack_golden", "parse_certificate", "parse_onnx"):
        monkeypatch.setattr(manifest_module, parser, never)
    assert "SHA-256" in refusal(folder)


@pytest.mark.parametrize("name", ["manifest.json", "encoder.int8.onnx", "golden.npz"])
def test_symlink_to_a_file(folder: Path, name: str) -> None:
    moved = folder.parent / name
    (folder / name).rename(moved)
    (folder / name).symlink_to(moved)
    assert f"{name}: is a symbolic link" in refusal(folder)


def test_symlink_to_a_folder(folder: Path) -> None:
    (folder / "more").symlink_to(folder.parent)
    assert "more: is a symbolic link" in refusal(folder)


def test_folder_and_pipe_inside(folder: Path) -> None:
    (folder / "golden.npz").unlink()
    (folder / "golden.npz").mkdir()
    assert "golden.npz: is no file" in refusal(folder)
    (folder / "golden.npz").rmdir()
    os.mkfifo(folder / "golden.npz")
    assert "golden.npz: is no file" in refusal(folder)


# ---- manifests -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not the JSON of"),
        (b"{", "is not the JSON of"),
        (b"\xff\xfe{}", "is not the JSON of"),
        (b"[" * 100_000, "is not the JSON of"),
        (b"[1, 2]", "holds no JSON object"),
        (b'{"format": 1, "format": 1}', "stands there twice"),
        (b"{}", "has format missing"),
        (b'{"format": 2}', "has format 2"),
        (b'{"format": "' + b"x" * 100_000 + b'"}', "has format 'xxx"),
        (b" " * 1_000_001, "expected at most 1000000"),
        (b'{"format": 1, "name": NaN}', "is not"),
    ],
    ids=range(11),
)
def test_foreign_manifest(folder: Path, content: bytes, says: str) -> None:
    (folder / "manifest.json").write_bytes(content)
    assert says in refusal(folder)


def put(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put("colour", value="blue"), "colour is not a key that exists here"),
        (put("files", "golden.npz", "mode", value=1), "files.golden.npz.mode is not a key"),
        (lambda data: data.pop("hop_frames"), "hop_frames is missing"),
        (put("window_frames", value="16"), "window_frames is '16'"),
        (put("window_frames", value=12), "expected a multiple of 8"),
        (put("hop_frames", value=17), "more than the window's 16"),
        (put("look_ahead_frames", value=9), "more than the window's 16"),
        (put("rate_hz", value=1), "rate_hz is 1"),
        (put("seed", value=-1), "seed is -1"),
        (put("name", value="a\nb"), "name is"),
        (put("checkpoint_sha256", value="0"), "checkpoint_sha256 is '0'"),
        (put("opset", "fp4", value=19), "opset"),
        (put("opset", value={"int8": 19}), "opset names no fp32"),
        (lambda data: data["files"].pop("golden.npz"), "files does not name golden.npz"),
        (
            lambda data: data["files"].update(extra=data["files"]["golden.npz"]),
            "files names 'extra', which is no part",
        ),
        (put("files", "golden.npz", "bytes", value=0), "bytes is 0"),
        (put("files", "golden.npz", "bytes", value=10**12), "bytes is 1000000000000"),
        (put("files", "golden.npz", "bytes", value=100_000_000), "are too many"),
        (put("files", "encoder.fp16.onnx", "outputs", value={}), "encoder.fp16.onnx the shapes"),
        (put("latent_channels", value=8), "but its window and channels ask for"),
    ],
    ids=range(20),
)
def test_manifest_with_one_fault(
    folder: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    change_manifest(folder, change)
    assert says in refusal(folder)


@pytest.mark.parametrize("name", ["../golden.npz", "/etc/passwd", "a/b", "..", "", "a\\b", "a\0b"])
def test_name_with_parts_of_a_path(folder: Path, name: str) -> None:
    def rename(data: dict[str, Any]) -> None:
        data["files"][name] = data["files"].pop("golden.npz")

    change_manifest(folder, rename)
    assert "has parts of a path" in refusal(folder)


# ---- graphs --------------------------------------------------------------------------------------


def test_truncated_graph(folder: Path, written: dict[str, bytes]) -> None:
    whole = written["encoder.fp32.onnx"]
    for size in (1, len(whole) // 2, len(whole) - 1):
        replace_file(folder, "encoder.fp32.onnx", whole[:size])
        assert "encoder.fp32.onnx: " in refusal(folder)


def test_graph_that_is_none(folder: Path) -> None:
    for content in (b"\0" * 100, b"PK\x03\x04", onnx.ModelProto(ir_version=9).SerializeToString()):
        replace_file(folder, "encoder.fp32.onnx", content)
        assert "is no whole ONNX file" in refusal(folder)


def spoilt(change: Callable[[onnx.ModelProto], None]) -> bytes:
    model = encoder("fp32")
    change(model)
    return model.SerializeToString()


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")


def external_inside_a_branch(model: onnx.ModelProto) -> None:
    tensor = TensorProto(name="inner", dims=[1], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    constant = helper.make_node("Constant", [], ["c"])
    constant.attribute.append(helper.make_attribute("value", tensor))
    branch = helper.make_graph([constant], "branch", [], [])
    model.graph.node.append(
        helper.make_node("If", ["spectra"], [], then_branch=branch, else_branch=branch)
    )


def foreign_node(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"


def foreign_import(model: onnx.ModelProto) -> None:
    model.opset_import.add(domain="ai.onnx.ml", version=3)


def foreign_inside_a_branch(model: onnx.ModelProto) -> None:
    branch = helper.make_graph([helper.make_node("Bad", [], [], domain="evil")], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], [], then_branch=branch))


def own_function(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="")


def output_of(*shape: int | str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        value = helper.make_tensor_value_info("latents", TensorProto.FLOAT, shape)
        model.graph.output[0].CopyFrom(value)

    return change


def double_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def two_opsets(model: onnx.ModelProto) -> None:
    model.opset_import.add(domain="ai.onnx", version=18)


def other_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 18


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (external, "in another file (external data)"),
        (external_inside_a_branch, "in another file (external data)"),
        (foreign_node, "operators of the domain 'com.microsoft'"),
        (foreign_import, "operators of the domain 'ai.onnx.ml'"),
        (foreign_inside_a_branch, "operators of the domain 'evil'"),
        (own_function, "defines functions of its own"),
        (output_of(2, 4, 3), "takes and gives"),
        (output_of(2, 4, "n"), "has no fixed shape"),
        (output_of(2, 4, 0), "has no fixed shape"),
        (double_output, "is not float32"),
        (two_opsets, "names 2 opsets"),
        (other_opset, "is of opset 18, but the manifest says 17"),
    ],
)
def test_graph_with_one_fault(
    folder: Path, change: Callable[[onnx.ModelProto], None], says: str
) -> None:
    replace_file(folder, "encoder.fp32.onnx", spoilt(change))
    assert says in refusal(folder)


# ---- golden pair and certificate -----------------------------------------------------------------


class Code:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("unpickled",)


def test_golden_pair_with_code_in_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = io.BytesIO()
    names = read_bundle(folder).golden()
    array = np.array([Code()], dtype=object)
    np.savez(file, allow_pickle=True, **dict.fromkeys(names, array))
    assert pickle.dumps(Code()) in file.getvalue() or b"posix" in file.getvalue()
    replace_file(folder, "golden.npz", file.getvalue())
    assert "is no file of plain arrays" in refusal(folder)
    assert not Path("unpickled").exists()


def test_golden_pair_that_unpacks_to_too_much(folder: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("spectra.npy", bytes(65 * 2**20))
    replace_file(folder, "golden.npz", file.getvalue())
    assert "which is too much" in refusal(folder)


@pytest.mark.parametrize("content", [b"PK", b"\x93NUMPY", b"x" * 1000])
def test_golden_pair_that_is_none(folder: Path, content: bytes) -> None:
    replace_file(folder, "golden.npz", content)
    assert "is no file of plain arrays" in refusal(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda arrays: arrays.pop("noise"), "'noise' is missing"),
        (lambda arrays: arrays.update(more=np.zeros(1)), "'more' does not belong there"),
        (
            lambda arrays: arrays.update(noise=np.zeros((1, 2, 3))),
            "expected float32 (1, 2, 32, 16)",
        ),
        (lambda arrays: arrays["noise"].fill(np.nan), "noise holds a NaN"),
    ],
    ids=range(4),
)
def test_golden_pair_with_one_fault(
    folder: Path, change: Callable[[dict[str, np.ndarray]], None], says: str
) -> None:
    arrays = read_bundle(folder).golden()
    change(arrays)
    replace_file(folder, "golden.npz", pack_golden(arrays))
    assert says in refusal(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data.clear(), "has format missing"),
        (lambda data: data.pop("calibration"), "calibration is missing"),
        (put("latent", value=1), "latent is not a key that exists here"),
        (put("maxima", "encoder", "tall", value=-1.0), "maxima.encoder.tall is -1.0"),
        (put("precisions", "int8", "latent_cosine", value=1.5), "latent_cosine is 1.5"),
    ],
    ids=range(5),
)
def test_certificate_with_one_fault(
    folder: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    data = json.loads((folder / "certificate.json").read_text())
    change(data)
    replace_file(folder, "certificate.json", json.dumps(data).encode())
    said = refusal(folder)
    assert "certificate.json: " in said
    assert says in said


def test_certificate_that_is_none(folder: Path) -> None:
    replace_file(folder, "certificate.json", b"no")
    assert "certificate.json: is not the JSON of a parity certificate" in refusal(folder)


# ---- writing -------------------------------------------------------------------------------------


def others_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_bundle_is_replaced_and_nothing_is_left_beside(tmp_path: Path) -> None:
    small_bundle(tmp_path / "b")
    changed = small_bundle(tmp_path / "b", facts(seed=2))
    assert read_bundle(tmp_path / "b") == changed
    assert changed.manifest.seed == 2
    assert others_in(tmp_path) == ["b"]


def test_replacing_without_the_exchange_of_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    small_bundle(tmp_path / "b")
    monkeypatch.setattr("models.replace._exchange", unknown)
    assert small_bundle(tmp_path / "b", facts(seed=2)) == read_bundle(tmp_path / "b")
    assert others_in(tmp_path) == ["b"]


def test_what_is_no_bundle_is_not_written(tmp_path: Path) -> None:
    old = small_bundle(tmp_path / "b")
    golden = golden_of(graphs())
    written = {which: model.SerializeToString() for which, model in graphs().items()}
    bad: list[tuple[Any, Any, str]] = [
        ({**written, ("encoder", "fp32"): b"x"}, golden, "encoder.fp32.onnx: is no whole ONNX"),
        ({**written, ("encoder", "fp32"): b""}, golden, "bytes"),
        (
            {which: model for which, model in written.items() if which[1] != "int8"},
            golden,
            "does not name",
        ),
        (written, {**golden, "noise": golden["noise"][..., :8]}, "expected float32"),
    ]
    for models, pair, says in bad:
        with pytest.raises(ModelError, match=says) as caught:
            write_bundle(tmp_path / "b", facts(), models, pair, CERTIFICATE)
        assert ".partial" not in str(caught.value)
        assert read_bundle(tmp_path / "b") == old
        assert others_in(tmp_path) == ["b"]


def test_full_disk_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = small_bundle(tmp_path / "b")
    write = replace_module.write_file

    def full(path: Path, content: bytes) -> None:
        if path.name == "golden.npz":
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(manifest_module, "write_file", full)
    with pytest.raises(BundleWriteError, match="No space left") as caught:
        small_bundle(tmp_path / "b", facts(seed=2))
    assert caught.value.exit_code == 1
    assert read_bundle(tmp_path / "b") == old
    assert others_in(tmp_path) == ["b"]


def test_folder_of_other_things_is_not_replaced(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleWriteError, match=r"holds 'thesis.txt'.* name another folder"):
        small_bundle(home)
    assert (home / "thesis.txt").read_text() == "years of work"
    with pytest.raises(BundleWriteError, match="is no folder"):
        small_bundle(home / "thesis.txt")


def test_damaged_bundle_is_replaced(folder: Path) -> None:
    (folder / "golden.npz").write_bytes(b"")
    assert small_bundle(folder) == read_bundle(folder)


KILLED = """
import os, signal, sys
from pathlib import Path
from models import manifest
from tests.build.bundles import facts, small_bundle

write = manifest.write_file
def killed(path, content):
    if path.name == "manifest.json":
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, content)
manifest.write_file = killed
small_bundle(Path(sys.argv[1]), facts(seed=2))
"""


def test_killed_while_writing(tmp_path: Path) -> None:
    old = small_bundle(tmp_path / "b")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "b"], cwd=ROOT, check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert read_bundle(tmp_path / "b") == old
    assert len(others_in(tmp_path)) == 2, "what was being written lies beside, hidden"
    small_bundle(tmp_path / "b", facts(seed=3))
    assert others_in(tmp_path) == ["b"]


def test_bundle_that_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    from models.replace import replaced_folder

    with replaced_folder(tmp_path / "b") as first:
        (first / "file").write_text("first")
        small_bundle(tmp_path / "b")
        assert (first / "file").read_text() == "first"


def test_device_reads_bundles_without_torch() -> None:
    program = """
import sys
for name in ("torch", "build"):
    sys.modules[name] = None
import models.manifest
assert "onnx" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_precisions_are_those_with_an_opset() -> None:
    assert facts().precisions == ("fp32", "fp16", "int8")
    assert facts(opset={"int8": 19, "fp32": 17}).precisions == ("fp32", "int8")
    assert set(OPSETS) == set(facts().precisions)
