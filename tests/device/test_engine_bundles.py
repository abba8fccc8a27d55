"""The engine process and its bundles: one beside the other, each for whoever asks for it."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from device.config import Config, load_config
from device.errors import ConfigError
from device.processes.engine import EngineLoop
from device.processes.engine_bundles import Bundles
from device.processes.engine_state import EngineState
from device.processes.entry_engine import run_engine
from device.processes.studio_link import StudioLink
from device.studio import read_studio
from models.errors import ModelError
from tests.device.studio_parts import tiny_bundle

RATE_HZ, FRAMES = 48000, 512
PATIENCE_S = 60.0
HALF = np.full(FRAMES, 0.5, np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny").folder


class Slots:
    """Two slots with a bundle each, and an engine that follows the link."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder = folder
        for name in ("a", "b"):
            shutil.copytree(bundle, folder / name / "studio")
            manifest = folder / name / "studio" / "manifest.json"
            manifest.write_text(manifest.read_text().replace('"tiny"', f'"tiny {name}"'))
        (folder / "pedal.toml").write_text('[slots]\nmodels = "active"\n')
        self.said: list[str] = []

    def switch(self, name: str) -> None:
        (self.folder / "new").symlink_to(name)
        os.replace(self.folder / "new", self.folder / "active")

    def sha256(self, name: str) -> str:
        return read_studio(self.folder / name / "studio", graphs=False).bundle.sha256

    @property
    def config(self) -> Config:
        return load_config(self.folder / "pedal.toml", None, None, self.folder / "rt")

    def bundles(self) -> Bundles:
        made = Bundles(self.config, self.said.append)
        made.begin()
        return made


@pytest.fixture
def slots(tmp_path: Path, bundle: Path) -> Slots:
    return Slots(tmp_path, bundle)


def wait_for(bundles: Bundles) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not bundles.turn():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_a_new_bundle_is_opened_beside_the_old_which_goes_when_nobody_uses_it(
    slots: Slots,
) -> None:
    slots.switch("a")
    bundles = slots.bundles()
    a, b = slots.sha256("a"), slots.sha256("b")
    state = EngineState(1, "", "", "", 0, 0, 0.0)
    bundles.describe(state)
    assert state.bundle == "tiny a" and bundles.choose(a) and not bundles.choose(b)
    assert not bundles.turn()
    slots.switch("b")
    wait_for(bundles)
    bundles.describe(state)
    assert state.bundle == "tiny b" and bundles.choose(a) and bundles.choose(b)
    bundles.keep({a})
    assert bundles.choose(a)
    bundles.keep({""})
    assert not bundles.choose(a) and bundles.choose(b) and slots.said == []


def test_without_a_bundle_it_waits_for_one(slots: Slots) -> None:
    bundles = slots.bundles()
    with pytest.raises(ModelError, match="no bundle yet"):
        bundles.newest(None)
    slots.switch("b")
    wait_for(bundles)
    assert bundles.choose(slots.sha256("b")) and bundles.newest(None).latency_frames > 0


def test_a_bundle_that_cannot_be_played_leaves_the_old_one(slots: Slots) -> None:
    slots.switch("a")
    bundles = slots.bundles()
    (slots.folder / "b" / "studio" / "decoder.fp32.onnx").write_bytes(b"nonsense")
    slots.switch("b")
    deadline_s = time.monotonic() + PATIENCE_S
    while not slots.said and time.monotonic() < deadline_s:
        assert not bundles.turn()
        time.sleep(0.05)
    assert "What was played goes on." in slots.said[0] and bundles.choose(slots.sha256("a"))


def test_a_bundle_that_the_file_names_is_not_the_slot_s(slots: Slots) -> None:
    shutil.copytree(slots.folder / "a" / "studio", slots.folder / "mine")
    (slots.folder / "pedal.toml").write_text(
        '[slots]\nmodels = "active"\n[studio]\nbundle = "mine"\n'
    )
    slots.switch("b")
    bundles = slots.bundles()
    assert bundles.choose(slots.sha256("a")) and not bundles.waits
    (slots.folder / "pedal.toml").write_text('[slots]\nmodels = ""\n')
    with pytest.raises(ConfigError, match="needs a bundle"):
        run_engine(slots.config)


@pytest.fixture
def served(slots: Slots) -> Iterator[tuple[Slots, Bundles, EngineLoop, Path]]:
    slots.switch("a")
    bundles = slots.bundles()
    path = slots.folder / "s"
    state = EngineState(1, "", "", "", 0, 0, 0.0)
    loop = EngineLoop(path, bundles.newest, RATE_HZ, state, bundles.choose)
    yield slots, bundles, loop, path
    loop.close()


def test_each_connection_is_for_the_bundle_it_asks_for(
    served: tuple[Slots, Bundles, EngineLoop, Path],
) -> None:
    """As the old bank plays on while the new one is tried: neither is heard through the other's."""
    slots, bundles, loop, path = served
    old = StudioLink(path, bundle=slots.sha256("a"))
    new = StudioLink(path, bundle=slots.sha256("b"))
    received = {old: 0, new: 0}
    frame = dict.fromkeys(received, 0)

    def play(links: tuple[StudioLink, ...], periods: int) -> None:
        guitar = np.full((1, FRAMES), 0.1, np.float32)
        for _ in range(periods):
            for link in links:
                link.send(1, frame[link], guitar, guitar, HALF)
                frame[link] += FRAMES
            for _ in range(4):
                loop.turn(0)
            for link in links:
                while (frames := link.receive()) != 0:
                    received[link] += max(0, frames)

    for link in received:
        link.prepare(RATE_HZ, FRAMES)
    play((old, new), 40)
    assert received[old] > 0 and received[new] == 0 and not new.alive
    assert new.lost == 0 and old.lost == 0, "who is not served is absent, not lost"
    slots.switch("b")
    wait_for(bundles)
    bundles.keep(loop.bundles)
    play((old, new), 60)
    assert received[new] > 0 and new.alive and new.lost == old.lost == 0
    assert loop.state().gaps == 1, "the new one begins in the middle, the old one goes on"
    assert loop.bundles == {slots.sha256("a"), slots.sha256("b")}
    old.close()
    play((new,), 2)
    bundles.keep(loop.bundles)
    assert not bundles.choose(slots.sha256("a"))
    assert loop.state().foreign == 0
