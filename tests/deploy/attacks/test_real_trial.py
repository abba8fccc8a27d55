"""Models that may not play, properly signed, all the way: publisher, link, client and real trial.

What each check of the trial refuses is tested beside it; here that a refusal reaches the player as
one sentence, leaves what plays untouched, and is not fetched again.
"""

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto

from deploy.chunks import describe
from deploy.trial.limits import Limits
from deploy.trial.models_trial import ModelsTrial
from models.stage.model import STAGE_FILE
from tests.deploy.attacks.pedal import Pedal
from tests.deploy.link.server import Link
from tests.deploy.publisher.repository import Repo, make_repository
from tests.deploy.trial.slots_made import (
    PLAIN,
    louder_between,
    nan_between,
    slower,
    stage_model,
    whole_slot,
)

FULL_S = 600.0
"""Trials run at idle priority: beside anything else they take their time."""

pytestmark = pytest.mark.timeout(900)


class Tried(ModelsTrial):
    """The real trial with a short riff."""

    def begin(self, slot: object) -> None:
        """The self-test has noted how the pedal is."""


def evil_stage(change: Callable[[onnx.ModelProto], object]) -> dict[str, bytes]:
    model = stage_model()
    change(model)
    return {"stage.onnx": model.SerializeToString()}


def _external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[20]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="../../../trust/root.json")


def _loud(model: onnx.ModelProto) -> None:
    louder_between(model, 9.0)


def _bundle(folder: Path) -> dict[str, bytes]:
    """A studio bundle whose manifest lies about a shape."""
    whole_slot(folder, presets=False)
    manifest = folder / "studio" / "manifest.json"
    text = manifest.read_text()
    changed = text.replace('"window_frames":', '"window_frames": 8, "was":', 1)
    assert changed != text
    manifest.write_text(changed)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _preset(folder: Path) -> dict[str, bytes]:
    text = PLAIN.replace('"cab.wav"', '"/etc/passwd"')
    return {"stage.onnx": STAGE_FILE.read_bytes(), "presets/plain.toml": text.encode()}


LOOKED_AT: dict[str, tuple[Callable[[Path], dict[str, bytes]], str]] = {
    "a network whose weights lie elsewhere": (lambda _: evil_stage(_external), "external data"),
    "a bundle that lies about its shapes": (_bundle, "manifest.json"),
    "a preset that reads other files": (_preset, "/etc/passwd"),
}
LISTENED_TO: dict[str, tuple[Callable[[Path], dict[str, bytes]], str]] = {
    "a network that gives NaN": (lambda _: evil_stage(nan_between), "NaN"),
    "a network that is too loud": (lambda _: evil_stage(_loud), "loud"),
    "a network that is too slow": (lambda _: evil_stage(lambda m: slower(m, 60, 512)), "period"),
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repo, Pedal]:
    """A pedal on which a good release went through the real trial."""
    folder = tmp_path_factory.mktemp("real")
    repo = make_repository(folder)
    repo.describe = describe
    pedal = Pedal(folder / "pedal", repo.now)
    pedal.bound_s = FULL_S
    pedal.trust(repo.root_bytes)
    repo.publish({"stage.onnx": STAGE_FILE.read_bytes()}, name="good")
    for _ in range(2):
        pedal.get(pedal.stick(repo.folder.path)).done()
    assert pedal.version() == 1
    runtime = folder / "run"
    runtime.mkdir()
    limits = Limits(phrase_s=0.3, bundled=1)
    pedal.trials["models"] = Tried(pedal.places, runtime, limits=limits)  # type: ignore[assignment]
    return repo, pedal


@pytest.mark.alone
@pytest.mark.parametrize("what", LOOKED_AT)
def test_a_signed_release_with(played: tuple[Repo, Pedal], tmp_path: Path, what: str) -> None:
    refused(*played, tmp_path, what, *LOOKED_AT[what])


@pytest.mark.soak
@pytest.mark.parametrize("what", LISTENED_TO)
def test_a_signed_release_that_plays(played: tuple[Repo, Pedal], tmp_path: Path, what: str) -> None:
    refused(*played, tmp_path, what, *LISTENED_TO[what])


def refused(
    repo: Repo,
    pedal: Pedal,
    folder: Path,
    what: str,
    make: Callable[[Path], dict[str, bytes]],
    word: str,
) -> None:
    """Publish it, get it, and see it refused once and for all."""
    path, _ = repo.publish(make(folder / "slot"), name=what)
    before = os.listdir("/etc")
    with Link(repo.folder.path) as link:
        told = pedal.get(pedal.http(link.url)).refused(word)
        assert "models: release" in told.said
        link.forget()
        pedal.get(pedal.http(link.url)).done()
        assert not link.paths("^chunks/"), "it was fetched again"
    assert pedal.version() == 1
    assert os.listdir("/etc") == before
    repo.withdraw(path)


@pytest.mark.soak
def test_the_next_good_release_goes_in_all_the_same(played: tuple[Repo, Pedal]) -> None:
    repo, pedal = played
    repo.publish({"stage.onnx": STAGE_FILE.read_bytes()}, name="better")
    pedal.get(pedal.stick(repo.folder.path)).done()
    assert (pedal.version() or 0) > 1
