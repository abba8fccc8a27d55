"""Music2Latent's weights from files: what is read, and what is refused before anything runs."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import ModelError
from models.music2latent.architecture import TINY, Tensor, random_weights
from models.music2latent.checkpoint import (
    read_weights,
    weights_sha256,
    write_checkpoint,
    write_safetensors,
    write_whole,
)


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return random_weights(TINY, 3)


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch checkpoints need torch (make test-whole)")


def safetensors_file(weights: dict[str, Tensor], folder: Path) -> Path:
    write_safetensors(weights, folder / "w.safetensors")
    return folder / "w.safetensors"


def torch_file(weights: dict[str, Tensor], folder: Path) -> Path:
    pytest.importorskip("torch", reason="torch checkpoints need torch (make test-whole)")
    write_checkpoint(weights, folder / "w.pt")
    return folder / "w.pt"


BOTH = pytest.mark.parametrize(
    "written", [safetensors_file, pytest.param(torch_file, marks=pytest.mark.torch)]
)


def refused(file: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_weights(file)
    message = str(caught.value)
    assert message.startswith(str(file)), "the file is named"
    assert message.endswith(".") and "\n" not in message
    return message


@BOTH
def test_what_was_written_is_read_bit_for_bit(
    weights: dict[str, Tensor], tmp_path: Path, written: Callable[..., Path]
) -> None:
    read = read_weights(written(weights, tmp_path))
    assert read.keys() == weights.keys()
    assert all(np.array_equal(read[name], weights[name]) for name in weights)
    assert {value.dtype for value in read.values()} == {np.dtype(np.float32)}
    assert weights_sha256(read) == weights_sha256(weights)
    assert [file.name for file in tmp_path.iterdir()] == [written(weights, tmp_path).name]


@BOTH
def test_another_architecture_is_refused_by_its_first_difference(
    weights: dict[str, Tensor], tmp_path: Path, written: Callable[..., Path]
) -> None:
    missing = {name: value for name, value in weights.items() if name != "conv_out.weight"}
    assert "another architecture" in refused(written(missing, tmp_path))
    foreign = {**weights, "more.weight": np.zeros(3, np.float32)}
    assert "another architecture" in refused(written(foreign, tmp_path))
    wider = {**weights, "conv_out.bias": np.zeros(3, np.float32)}
    assert "another architecture" in refused(written(wider, tmp_path))


@BOTH
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_by_name(
    weights: dict[str, Tensor], tmp_path: Path, written: Callable[..., Path], bad: float
) -> None:
    broken = weights["conv_out.weight"].copy()
    broken.flat[5] = bad
    assert "conv_out.weight" in refused(written({**weights, "conv_out.weight": broken}, tmp_path))


@BOTH
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(
    weights: dict[str, Tensor], tmp_path: Path, written: Callable[..., Path], share: float
) -> None:
    file = written(weights, tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert "truncated" in refused(file)


def test_whole_numbers_are_no_weights(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    from safetensors.numpy import save_file

    file = tmp_path / "w.safetensors"
    counts: dict[str, Any] = {**weights, "conv_out.bias": np.zeros(2, np.int64)}
    save_file(counts, file)
    assert "conv_out.bias" in refused(file)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    assert "does not exist" in refused(tmp_path / name)
    (tmp_path / name).mkdir()
    assert "is a folder" in refused(tmp_path / name)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.file), "w"))


@pytest.mark.torch
@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_with_code_in_it_runs_nothing(
    torch: Any, weights: dict[str, Tensor], tmp_path: Path, zipped: bool
) -> None:
    file, sprung = tmp_path / "w.pt", tmp_path / "sprung"
    state = {name: torch.from_numpy(value) for name, value in weights.items()}
    content = {"gen_state_dict": state, "extra": Trap(sprung)}
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    assert "asks for io.open to be run" in refused(file)
    assert not sprung.exists()


@pytest.mark.torch
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_bare_pickle_with_code_in_it_runs_nothing(
    torch: Any, tmp_path: Path, protocol: int
) -> None:
    file, sprung = tmp_path / "w.pt", tmp_path / "sprung"
    file.write_bytes(pickle.dumps({"gen_state_dict": Trap(sprung)}, protocol))
    assert "asks for io.open to be run" in refused(file)
    assert not sprung.exists()
    pickle.loads(file.read_bytes())["gen_state_dict"].close()
    assert sprung.exists(), "the trap is one"


@pytest.mark.torch
@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, {"gen_state_dict": [1]}, [1, 2], 3])
def test_a_checkpoint_of_something_else_is_refused(
    torch: Any, tmp_path: Path, content: object
) -> None:
    torch.save(content, tmp_path / "w.pt")
    assert "holds no gen_state_dict" in refused(tmp_path / "w.pt")


@pytest.mark.torch
def test_a_state_that_is_not_of_tensors_is_refused(
    torch: Any, tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    state: dict[str, Any] = {name: torch.from_numpy(value) for name, value in weights.items()}
    for wrong in (3, torch.zeros(2, dtype=torch.int64)):
        torch.save({"gen_state_dict": {**state, "conv_out.bias": wrong}}, tmp_path / "w.pt")
        assert "conv_out.bias" in refused(tmp_path / "w.pt")


@pytest.mark.torch
def test_the_format_before_the_zip_and_half_floats_are_read(
    torch: Any, tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    state = {name: torch.from_numpy(value) for name, value in weights.items()}
    torch.save({"gen_state_dict": state}, tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    assert weights_sha256(read_weights(tmp_path / "w.pt")) == weights_sha256(weights)
    halves = {name: value.bfloat16() for name, value in state.items()}
    torch.save({"gen_state_dict": halves}, tmp_path / "w.pt")
    read = read_weights(tmp_path / "w.pt")
    for name, value in weights.items():
        np.testing.assert_allclose(read[name], value, rtol=2.0**-7, atol=1e-30)


@pytest.mark.torch
@pytest.mark.parametrize(
    "content", [b"", b"hello" * 100, b"PK\x03\x04" + bytes(100), b"RIFF....WAVE"]
)
def test_what_is_no_checkpoint_is_refused(torch: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    assert "no torch checkpoint" in refused(tmp_path / "w.pt")


def test_without_torch_a_checkpoint_says_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "w.pt").write_bytes(b"PK")
    assert "needs torch" in refused(tmp_path / "w.pt")


def test_the_digest_knows_numbers_names_and_shapes(weights: dict[str, Tensor]) -> None:
    digest = weights_sha256(weights)
    assert digest == weights_sha256(dict(reversed(weights.items())))
    one = {name: value.copy() for name, value in weights.items()}
    one["conv_out.bias"][0] = np.nextafter(one["conv_out.bias"][0], 1.0, dtype=np.float32)
    turned = {**weights, "conv_out.bias": weights["conv_out.bias"][None]}
    renamed = {f"{name}x": value for name, value in weights.items()}
    assert len({digest, *(weights_sha256(each) for each in (one, turned, renamed))}) == 4


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_bytes(b"old")

    def fails(beside: Path) -> None:
        beside.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(ModelError, match="No space left"):
        write_whole(file, fails)
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
    assert file.read_bytes() == b"old"
