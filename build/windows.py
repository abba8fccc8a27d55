"""Material for calibrating and judging: windows of two tones of one performance, real guitar.

Phrases are played through presets, each tone alone, as a pedal would; windows are drawn where
something sounds. By default the phrases are the recordings in ``../shared/audio/di`` where that
folder exists, and the project's own riff elsewhere; the presets are those that come along.
"""

import argparse
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from tqdm import tqdm

from build.graph import Array, Feed, session
from build.work import Material
from device.files import read_sound_at
from device.preset import Preset, Side, read_preset
from device.probe import PROBE_PERIOD_FRAMES, played
from device.tools.riff import riff
from models.latent import slerp
from models.music2latent.noise import WindowNoise
from models.music2latent.spectrum import BINS, spectra_of
from models.music2latent.stream import NETWORK_RATE_HZ
from models.units import Audio

ROOT = Path(__file__).resolve().parents[1]
REAL_PHRASES = ROOT.parent / "shared" / "audio" / "di"
PRESETS = ("1-clean-to-lead", "3-crunch-to-lead", "5-phaser-to-lead")

WINDOWS = 12
KEPT_BACK = 4
"""How many windows to judge by, besides those to calibrate on."""

_PHRASE_S = 12.0
_QUIET_DB = -30.0
"""A window is silent when it lies this far below its phrase."""
_POSITIONS = (0.5, 0.25, 0.75, 0.0, 1.0)


@dataclass(frozen=True)
class _Take:
    """One performance in two tones, compressed spectra ``(2, 2, bins, frames)``."""

    name: str
    spectra: Array


def add_material_arguments(parser: argparse.ArgumentParser) -> None:
    """``--phrase``, ``--preset``, ``--windows``, ``--material-seed``."""
    parser.add_argument(
        "--phrase", action="append", metavar="FILE", help="a direct recording of a guitar; repeat"
    )
    parser.add_argument(
        "--preset", action="append", metavar="FILE", help="a preset whose tones to use; repeat"
    )
    parser.add_argument(
        "--windows", type=int, default=WINDOWS, help=f"windows to calibrate on ({WINDOWS})"
    )
    parser.add_argument("--material-seed", type=int, default=0, help="which windows (0)")


def draw(options: argparse.Namespace, window_frames: int) -> Material:
    """Windows from the phrases and presets asked for. Raises ``PurgaError`` for bad files."""
    if options.phrase:
        phrases = [(Path(file).name, _read(Path(file))) for file in options.phrase]
        source = "recordings given"
    elif REAL_PHRASES.is_dir():
        phrases = [(file.name, _read(file)) for file in sorted(REAL_PHRASES.glob("*.flac"))]
        source = "recordings of direct guitar"
    else:
        phrases = [("riff", riff(NETWORK_RATE_HZ))]
        source = "the project's riff"
    files = options.preset or [str(ROOT / "device" / "presets" / f"{p}.toml") for p in PRESETS]
    presets = [read_preset(Path(file)) for file in files]
    names = f"{source} ({', '.join(name for name, _ in phrases)}), by {len(presets)} presets"
    rng = np.random.default_rng(options.material_seed)
    total = options.windows + KEPT_BACK
    pairs = [(phrase, presets[index % len(presets)]) for index, phrase in enumerate(phrases)]
    if len(pairs) < len(presets):
        pairs = [(phrases[0], preset) for preset in presets]
    takes = [_take(name, phrase, preset) for (name, phrase), preset in _bar(pairs)]
    windows = [
        _window(takes[index % len(takes)].spectra, window_frames, rng) for index in range(total)
    ]
    # Those kept back come from every take, not from the last ones.
    order = rng.permutation(total)
    drawn = np.stack(windows)[order]
    calibration, kept_back = drawn[: options.windows], drawn[options.windows :]
    digest = hashlib.sha256(np.ascontiguousarray(calibration, "<f4").tobytes()).hexdigest()
    return Material(calibration, kept_back, names[:200], digest)


def encoder_feeds(windows: Array) -> list[Feed]:
    """Windows ``(n, 2, 2, bins, frames)`` as the encoder takes them."""
    return [{"spectra": window} for window in windows]


def decoder_feeds(encoder: onnx.ModelProto, windows: Array, seed: int) -> list[Feed]:
    """What the decoder gets while the knob turns: latents half way and elsewhere, fresh noise."""
    run = session(encoder)
    frames = windows.shape[-1]
    noise = WindowNoise(seed, frames)
    feeds: list[Feed] = []
    for index, window in enumerate(windows):
        a, b = run.run(None, {"spectra": window})[0]
        between = slerp(a, b, _POSITIONS[index % len(_POSITIONS)])
        drawn = np.zeros((1, 2, BINS, frames), np.float32)
        noise.window(index * frames, drawn)
        feeds.append({"latents": np.asarray(between, np.float32)[None], "noise": drawn})
    return feeds


def along_the_knob(decoder: onnx.ModelProto, feeds: Sequence[Feed]) -> list[Feed]:
    """The same with positions along the knob's travel, for a decoder that asks for them."""
    if not any(value.name == "position" for value in decoder.graph.input):
        return list(feeds)
    places = np.linspace(0.0, 1.0, len(feeds)) if len(feeds) > 1 else np.array([0.5])
    return [
        {**feed, "position": np.full((1, 1, 1, 1), place, np.float32)}
        for feed, place in zip(feeds, places, strict=True)
    ]


def tones_of(rate_hz: int) -> tuple[Audio, Audio]:
    """One performance in two tones, ``(1, frames)`` each: what measurements are made on."""
    phrase = riff(rate_hz)
    if REAL_PHRASES.is_dir():
        file = sorted(REAL_PHRASES.glob("*.flac"))[0]
        phrase = _read(file, rate_hz)
    preset = read_preset(ROOT / "device" / "presets" / f"{PRESETS[0]}.toml")
    return _tones(phrase, preset, rate_hz)


def _read(file: Path, rate_hz: int = NETWORK_RATE_HZ) -> Audio:
    return read_sound_at(file, rate_hz, [])[:, : int(_PHRASE_S * rate_hz)]


def _bar(pairs: Sequence[tuple[tuple[str, Audio], Preset]]) -> Iterable:
    return tqdm(pairs, "playing phrases", leave=False, disable=None)


def _take(name: str, phrase: Audio, preset: Preset) -> _Take:
    tones = _tones(phrase, preset, NETWORK_RATE_HZ)
    return _Take(f"{name} by {preset.name}", spectra_of(np.concatenate(tones)))


def _tones(phrase: Audio, preset: Preset, rate_hz: int) -> tuple[Audio, Audio]:
    sides: tuple[Side, Side] = ("a", "b")
    tones = []
    for side in sides:
        chain = preset.chain(side)
        chain.prepare(rate_hz, PROBE_PERIOD_FRAMES)
        tones.append(played(chain.process, phrase, chain.latency_frames))
    return tones[0], tones[1]


def _window(spectra: Array, frames: int, rng: np.random.Generator) -> Array:
    """A random window that is not silent."""
    loudest = float(np.square(spectra).mean(axis=(0, 1, 2)).max())
    for _ in range(50):
        start = int(rng.integers(spectra.shape[-1] - frames + 1))
        window = spectra[..., start : start + frames]
        # Compressed amplitude: a level in dB is 0.65 of what it is in a spectrum.
        if float(np.square(window).mean()) > loudest * 10.0 ** (0.65 * _QUIET_DB / 10.0):
            break
    return np.ascontiguousarray(window)
