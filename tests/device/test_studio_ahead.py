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
from models.music2latent.codec import Codec
from models.music2latent.noise import WindowNoise
from models.music2latent.spectrum import BINS
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
    [*itertools.product([1, 2, 3], [1.7], [False, True]), (2, 0.01, False), (2, 0.7, True)],
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


class Failing:
    """A network of which one window is no number, whoever computes it and how often."""

    provider = "failing"

    def __init__(self, network: Codec, noise: Audio) -> None:
        self._network, self._noise = network, noise
        self.window_frames = network.window_frames
        self.failed = 0

    def encode(self, spectra: Audio, target: Audio) -> None:
        self._network.encode(spectra, target)

    def decode(self, latents: Audio, noise: Audio, position: float, target: Audio) -> None:
        self._network.decode(latents, noise, position, target)
        if np.array_equal(noise[0], self._noise):
            self.failed += 1
            target.fill(np.nan)


def test_a_window_that_fails_is_masked_as_it_is_in_one_stream(studio: StudioBundle) -> None:
    """In one piece; a next piece begins anew, and so recovers sooner."""
    played = studio.without_overlap()
    frames = played.settings.window_frames
    noise = np.zeros((2, BINS, frames), np.float32)
    WindowNoise(played.settings.seed, frames).window(5 * frames, noise)
    a, b, knob = tones(3 * RATE_HZ)
    timing = timing_of(played.settings, RATE_HZ)
    networks = [
        Failing(open_codec(played.bundle, played.precision, threads=1), noise) for _ in range(2)
    ]
    alone = Studio(Crossfade(), LocalPeer(networks[0], played.settings), timing)
    many = Studio(Crossfade(), ahead.AheadPeer(networks[1:], played.settings, (a, b, knob)), timing)
    wanted, _ = _morphed(alone, a, b, knob)
    made, _ = _morphed(many, a, b, knob)
    assert [network.failed for network in networks] == [1, 1]
    np.testing.assert_array_equal(made, wanted)


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
