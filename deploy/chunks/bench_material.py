"""What the bench compares: networks before and after, as the project's own code writes them."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from build.half import to_half
from build.qdq import with_qdq
from deploy.errors import UpdateFailedError
from models.music2latent.architecture import OFFICIAL, TINY, random_weights

Weights = dict[str, np.ndarray]
Files = dict[str, bytes]

_ROOT = Path(__file__).resolve().parents[2]
_COVERED = 4.0
"""What int8 covers of every activation here; its scale, which a fine-tune hardly moves."""


def official_weights(parameters: int) -> Weights:
    """Convolutions of the network that ships, with random weights: about so many parameters."""
    chosen: Weights = {}
    for name, value in random_weights(OFFICIAL, 0).items():
        if value.ndim == 4 and min(value.shape[:2]) > 8:
            chosen[name] = np.asarray(value)
            parameters -= value.size
            if parameters <= 0:
                break
    return chosen


def fine_tuned(weights: Weights, relative: float, seed: int = 1) -> Weights:
    """Every weight moved by noise of ``relative`` times its tensor's standard deviation.

    Vectors stay: biases and norms are few, and trained little.
    """
    generator = np.random.default_rng(seed)
    return {
        name: value
        if value.ndim < 2
        else (value + relative * value.std() * generator.standard_normal(value.shape)).astype(
            value.dtype
        )
        for name, value in weights.items()
    }


def last_retrained(weights: Weights, share: float, seed: int = 2) -> Weights:
    """The last ``share`` of the weights drawn anew."""
    generator = np.random.default_rng(seed)
    left = share * sum(value.size for value in weights.values())
    drawn = dict(weights)
    for name, value in reversed(weights.items()):
        flat = value.reshape(-1).copy()
        new = min(int(left), flat.size)
        flat[flat.size - new :] = generator.permutation(flat)[:new]
        drawn[name], left = flat.reshape(value.shape), left - new
    return drawn


def as_network(weights: Weights, precision: str, note: str = "first") -> bytes:
    """A graph of these convolutions as ``build quantise`` writes it: fp32, fp16 or int8.

    The first and the last stay in half precision, as there.
    """
    nodes, inputs, outputs = [], [], []
    for index, (name, value) in enumerate(weights.items()):
        kernel = value.shape[2:]
        taken, given = f"x{index}", f"y{index}"
        inputs.append(
            helper.make_tensor_value_info(taken, TensorProto.FLOAT, [1, value.shape[1], *kernel])
        )
        shape = [1, value.shape[0], 1, 1]
        outputs.append(helper.make_tensor_value_info(given, TensorProto.FLOAT, shape))
        nodes.append(helper.make_node("Conv", [taken, name], [given], name.removesuffix(".weight")))
    stored = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "bench", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    if precision != "fp32":
        model = to_half(model)
    if precision == "int8":
        inner = [node.name for node in nodes[1:-1]]
        model = with_qdq(model, dict.fromkeys(inner, _COVERED))
    model.metadata_props.add(key="note", value=note)
    return model.SerializeToString()


def built_bundles(changes: Mapping[str, float]) -> Iterator[tuple[str, Files]]:
    """Bundles of the small network by ``python -m build bundle``: the first, then each fine-tune.

    Those leave the layers in half precision that the first one's certificate names: so one builds
    a fine-tune of what is in the field. Raises ``UpdateFailedError`` where the build fails.
    """
    first = dict(random_weights(TINY, 0))
    with tempfile.TemporaryDirectory() as name:
        base = _built(Path(name) / "base", first, [])
        yield "base", base
        left = json.loads(base["certificate.json"])["left_in_fp16"]
        layers = sorted({each.split("/", 1)[1].split(".phase")[0] for each in left})
        for label, relative in changes.items():
            yield label, _built(Path(name) / label, fine_tuned(first, relative), layers)


def _built(folder: Path, weights: Weights, leave: list[str]) -> Files:
    from safetensors.numpy import save_file

    folder.mkdir()
    save_file(weights, folder / "weights.safetensors")
    command = [sys.executable, "-m", "build", "bundle", "--hop-frames", "8", "--windows", "2"]
    command += ["--checkpoint", str(folder / "weights.safetensors")]
    command += [*(["--leave", *leave] if leave else []), "--out", str(folder / "bundle")]
    ran = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    if ran.returncode != 0:
        last = (ran.stderr.strip() or ran.stdout.strip()).splitlines()[-1:]
        raise UpdateFailedError(f"A small bundle could not be built: {' '.join(last)[:300]}")
    return read_folder(folder / "bundle")


def read_folder(folder: Path) -> Files:
    """Every file of a folder by name."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
