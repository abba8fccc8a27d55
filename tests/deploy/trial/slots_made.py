"""Models slots made for tests, and the release that signs for exactly what lies in them."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from deploy.release import Blob, Release, ReleaseFile
from device.files import write_sound
from models.stage.model import STAGE_FILE
from tests.build.bundles import small_bundle

PLAIN = """format = 1
name = "Plain"
[tone.a]
chain = [{ block = "lowpass", cutoff_frequency_hz = 6000.0 }]
[tone.b]
chain = [{ block = "drive", drive_db = 6.0 }, { block = "cab", file = "cab.wav" }]
[morph]
engine = "crossfade"
path = "direct"
"""
"""A preset that is prepared at once."""


def whole_slot(folder: Path, *, studio: bool = True, presets: bool = True) -> Path:
    """A slot in which everything is right."""
    folder.mkdir(parents=True)
    (folder / "stage.onnx").write_bytes(STAGE_FILE.read_bytes())
    if studio:
        small_bundle(folder / "studio")
    if presets:
        preset(folder, PLAIN)
    return folder


def preset(folder: Path, text: str, name: str = "plain.toml") -> Path:
    """A preset in the slot, and a cabinet beside it."""
    (folder / "presets").mkdir(exist_ok=True)
    decay = np.exp(-np.arange(256) / 30.0) * np.random.default_rng(2).standard_normal(256)
    write_sound(folder / "presets" / "cab.wav", decay[None].astype(np.float32), 48000)
    file = folder / "presets" / name
    file.write_text(text)
    return file


def release_of(folder: Path, **changes: object) -> Release:
    """What a publisher would say of a folder."""
    files = tuple(
        _entry(path, str(path.relative_to(folder)))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "release.json" and "plans" not in path.parts
    )
    given = {"component": "models", "version": 7, "name": "test", "files": files, **changes}
    return Release(**given)  # type: ignore[arg-type]


def _entry(path: Path, name: str) -> ReleaseFile:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    blobs = tuple(
        Blob(
            sha256=hashlib.sha256(piece).hexdigest(),
            bytes=len(piece),
            stored_sha256=hashlib.sha256(b"frame" + piece).hexdigest(),
            stored_bytes=len(piece),
        )
        for piece in (content[at : at + (1 << 20)] for at in range(0, len(content), 1 << 20))
    )
    return ReleaseFile(path=name, bytes=len(content), sha256=digest, blobs=blobs)


def stage_model() -> onnx.ModelProto:
    """The stage network that ships, to be changed."""
    return onnx.load_model_from_string(STAGE_FILE.read_bytes())


def constant(model: onnx.ModelProto, name: str) -> np.ndarray:
    """A stored array of it, to be changed and put back by ``put``."""
    tensor = next(each for each in model.graph.initializer if each.name == name)
    return numpy_helper.to_array(tensor).copy()


def put(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    """Put an array in the place of another."""
    tensor = next(each for each in model.graph.initializer if each.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), name))


def before_target(model: onnx.ModelProto, *nodes: onnx.NodeProto, **constants: np.ndarray) -> None:
    """Put nodes between the network and its target; they read ``made`` and give ``given``."""
    last = next(node for node in model.graph.node if node.output[0] == "target")
    made = last.input[0]
    last.input[0] = "given"
    at = list(model.graph.node).index(last)
    kept = list(model.graph.node)
    for node in nodes:
        for index, name in enumerate(node.input):
            if name == "made":
                node.input[index] = made
    kept[at:at] = nodes
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value), name)
        for name, value in constants.items()
    )


def louder(model: onnx.ModelProto, gain: float) -> None:
    """Let everything the network gives be louder, also at the ends."""
    node = helper.make_node("Mul", ["made", "gain"], ["given"])
    before_target(model, node, gain=np.array(gain, np.float32))


def louder_between(model: onnx.ModelProto, gain: float) -> None:
    """Louder half way only: times ``1 + 4p(1 − p)·gain``."""
    _between(
        model,
        gain,
        helper.make_node("Add", ["more", "one"], ["factor"]),
        helper.make_node("Mul", ["made", "factor"], ["given"]),
    )


def hum_between(model: onnx.ModelProto, level: float) -> None:
    """Plus ``4p(1 − p)·level``, whether anybody plays or not."""
    _between(model, level, helper.make_node("Add", ["made", "more"], ["given"]))


def _between(model: onnx.ModelProto, gain: float, *nodes: onnx.NodeProto) -> None:
    """Put nodes before the target that read ``more``, which is ``4p(1 − p)·gain``."""
    before_target(
        model,
        helper.make_node("Split", ["source", "three"], ["a.", "b.", "place"], axis=1),
        helper.make_node("Sub", ["one", "place"], ["rest"]),
        helper.make_node("Mul", ["place", "rest"], ["share"]),
        helper.make_node("Mul", ["share", "four"], ["more"]),
        *nodes,
        one=np.array(1.0, np.float32),
        four=np.array(4.0 * gain, np.float32),
        three=np.array([1, 1, 1], np.int64),
    )


def nan_between(model: onnx.ModelProto) -> None:
    """The logarithm of a negative number half way, with finite weights only."""
    before_target(
        model,
        helper.make_node("Split", ["source", "three"], ["a.", "b.", "place"], axis=1),
        helper.make_node("Sub", ["place", "most"], ["beyond"]),
        helper.make_node("Sqrt", ["beyond"], ["root"]),
        helper.make_node("Mul", ["root", "nothing"], ["zero"]),
        helper.make_node("Add", ["made", "zero"], ["given"]),
        most=np.array(0.4, np.float32),
        nothing=np.array(0.0, np.float32),
        three=np.array([1, 1, 1], np.int64),
    )


def slower(model: onnx.ModelProto, layers: int = 40, width: int = 256) -> None:
    """Layers that take their time and change nothing that one could hear."""
    generator = np.random.default_rng(3)
    enter = generator.standard_normal((width, 1, 1)).astype(np.float32)
    mix = (generator.standard_normal((width, width, 1)) / width).astype(np.float32)
    leave = (1e-9 * generator.standard_normal((1, width, 1))).astype(np.float32)
    nodes = [helper.make_node("Conv", ["made", "slow.enter"], ["slow.0"])]
    for layer in range(layers):
        nodes.append(
            helper.make_node("Conv", [f"slow.{layer}", "slow.mix"], [f"slow.{layer}.mixed"])
        )
        nodes.append(helper.make_node("Tanh", [f"slow.{layer}.mixed"], [f"slow.{layer + 1}"]))
    nodes.append(helper.make_node("Conv", [f"slow.{layers}", "slow.leave"], ["slow.small"]))
    nodes.append(helper.make_node("Add", ["made", "slow.small"], ["given"]))
    before_target(model, *nodes, **{"slow.enter": enter, "slow.mix": mix, "slow.leave": leave})
