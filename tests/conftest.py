"""What many tests need: where real audio lies, and a guitar made on the spot."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.units import Audio

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A paced interface keeps its clock whatever else runs: such a test runs by itself."""
    for item in items:
        if item.get_closest_marker("pipewire"):
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
def shared_audio() -> Path:
    """The folder of real guitar, captures and cabinets; skips where it is not at hand."""
    folder = ROOT.parent / "shared" / "audio"
    if not folder.is_dir():
        pytest.skip("real audio (../shared/audio) is not on this machine")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What presets keep goes into a folder of this run, for commands that tests start too.

    Processes that share the run (pytest-xdist) share it: what one has searched, all have found.
    """
    run = tmp_path_factory.getbasetemp()
    cache = (run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "cache"
    cache.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CACHE_DIRECTORY", raising=False)
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield


def plucked(frames: int, rate_hz: int = 48000, seed: int = 0) -> Audio:
    """A few decaying, slightly inharmonic notes: guitar enough for a signal path."""
    generator = np.random.default_rng(seed)
    time_s = np.arange(frames) / rate_hz
    sound = np.zeros(frames)
    for start_s in np.arange(0.0, frames / rate_hz, 0.25):
        note_hz = 82.4 * 2.0 ** (generator.integers(0, 24) / 12.0)
        since = np.maximum(time_s - start_s, 0.0)
        for partial in range(1, 9):
            frequency = note_hz * partial * np.sqrt(1.0 + 1e-4 * partial**2)
            sound += (
                (time_s >= start_s)
                * np.exp(-since * (2.0 + partial))
                * np.sin(2.0 * np.pi * frequency * since)
                / partial
            )
    sound *= 0.3 / max(1e-9, np.abs(sound).max())
    return sound.astype(np.float32)[None, :]


@pytest.fixture(scope="session")
def guitar() -> Audio:
    """Two seconds of guitar, ``(1, 96000)``, peak 0.3."""
    return plucked(96000)
