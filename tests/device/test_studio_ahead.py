"""Recordings morphed in pieces, side by side, are the bits of one unbroken stream."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import device.sound.morph.studio_ahead as ahead
from device.sound.morph import Crossfade, Studio
from device.sound.morph.studio_feed import LocalPeer, timing_of
from device.studio import RATE_HZ, StudioBundle, read_studio
from device.tools.render import _morphed
from models.plan import open_codec
from models.units import Audio
from tests.conftest import plucked
from tests.device.studio_parts import tiny_bundle


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> StudioBundle:
    return read_studio(tiny_bundle(tmp_path_factory.mktemp("ahead") / "tiny").folder)


def tones(frames: int) -> tuple[Audio, Audio, Audio]:
    knob = np.linspace(-0.1, 1.1, frames).clip(0.0, 1.0).astype(np.float32)
    return plucked(frames, seed=1), plucked(frames, seed=2), knob


@pytest.mark.parametrize(
    ("workers", "seconds", "overlap"),
    [*itertools.product([1, 2, 3], [3.0], [False, True]), (2, 0.01, False), (2, 0.7, True)],
)
def test_pieces_are_the_unbroken_stream(
    studio: StudioBundle,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    seconds: float,
    overlap: bool,
) -> None:
    monkeypatch.setattr(ahead, "PIECE_S", 0.5)
    played = studio if overlap else studio.without_overlap()
    a, b, knob = tones(int(seconds * RATE_HZ))
    timing = timing_of(played.settings, RATE_HZ)
    alone = Studio(Crossfade(), LocalPeer(played.codec, played.settings), timing)
    codecs = [open_codec(played.bundle, played.precision, threads=1) for _ in range(workers)]
    many = Studio(Crossfade(), ahead.AheadPeer(codecs, played.settings, (a, b, knob)), timing)
    wanted, latency = _morphed(alone, a, b, knob)
    made, same = _morphed(many, a, b, knob)
    assert same == latency
    np.testing.assert_array_equal(made, wanted)
    assert np.abs(wanted).max() > 1e-4


def test_what_a_worker_meets_is_met_by_the_caller(studio: StudioBundle, tmp_path: Path) -> None:
    class Broken:
        window_frames = studio.settings.window_frames
        provider = "broken"

        def encode(self, spectra: Audio, target: Audio) -> None:
            raise RuntimeError("the network is gone")

        def decode(self, latents: Audio, noise: Audio, position: float, target: Audio) -> None:
            raise AssertionError

    a, b, knob = tones(RATE_HZ)
    peer = ahead.AheadPeer([Broken()], studio.settings, (a, b, knob))
    machine = Studio(Crossfade(), peer, timing_of(studio.settings, RATE_HZ))
    with pytest.raises(RuntimeError, match="the network is gone"):
        _morphed(machine, a, b, knob)
