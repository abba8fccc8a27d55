"""Real captures against renders of the reference implementation."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.nam.capture import read_capture
from models.nam.graph import streaming_onnx
from models.runtime import StreamingModel
from models.units import Audio
from tests.models.playing import play

GOLDEN = [
    "5153",
    "A2",
    "ac10",
    "ampeg",
    "deluxe",
    "jc",
    "linear_1",
    "linear_10",
    "lstm",
    "my_model",
    "slimmable_container",
    "slimmable_wavenet",
    "wavenet",
    "wavenet_a2_max",
    "wavenet_condition_dsp",
    "wavenet_minimal",
    "wavenet_standard",
    "slim/A2.slim-0.00",
    "slim/slimmable_wavenet.slim-0.00",
    "slim/slimmable_wavenet.slim-0.50",
]

# (frames in a period, frames to compare): all six seconds at 64, the rest as far as is quick.
PERIODS = ((64, 288_000), (16, 72_000), (128, 96_000), (1000, 288_000))


def capture_of(golden: str, audio: Path) -> tuple[Path, float]:
    """The capture that a golden render was made of, and its slim size."""
    name, size = golden.split("/")[-1], 1.0
    if match := re.fullmatch(r"(.*)\.slim-(.*)", name):
        name, size = match[1], float(match[2])
    for folder in ("", "core", "core/trainer-tests"):
        path = audio / "nam" / folder / f"{name}.nam"
        if path.exists():
            return path, size
    raise FileNotFoundError(name)


@pytest.mark.parametrize("golden", GOLDEN)
def test_equals_the_reference(golden: str, shared_audio: Path) -> None:
    path, size = capture_of(golden, shared_audio)
    source, _ = soundfile.read(
        shared_audio / "di" / "jazz-trot.flac", frames=288_000, dtype="float32", always_2d=True
    )
    expected, _ = soundfile.read(
        shared_audio / "nam" / "golden" / f"{golden}.wav", dtype="float32", always_2d=True
    )
    graph = streaming_onnx(read_capture(path, size))
    first: Audio | None = None
    for period, frames in PERIODS:
        target = play(StreamingModel(graph, period), source.T[:, :frames])
        wanted = expected.T[:, : target.shape[1]].astype(np.float64)
        error = np.sum(np.square(target - wanted)) / np.sum(np.square(wanted - wanted.mean()))
        assert error <= 1e-9, f"{golden} at {period} frames: error-to-signal ratio {error:.2g}"
        peak = float(np.abs(wanted).max())
        # Settled before the first sample, as the reference is.
        assert abs(target[0, 0] - wanted[0, 0]) <= 1e-6 * max(1.0, peak)
        if first is None:
            first = target
        else:
            apart = np.abs(target - first[:, : target.shape[1]]).max()
            assert apart <= 1e-5 * max(1.0, peak), f"{golden} at {period} frames: {apart}"


def test_states_what_the_file_says(shared_audio: Path) -> None:
    capture = read_capture(shared_audio / "nam" / "5153.nam")
    assert capture.architecture == "WaveNet"
    assert capture.sample_rate_hz == 48_000
    assert capture.loudness_db == pytest.approx(-22.9458, abs=1e-4)
    assert (capture.input_level_dbu, capture.output_level_dbu) == (18.0, 18.0)
    assert capture.receptive_field_frames == 4093
    bare = read_capture(shared_audio / "nam" / "jc.nam")
    assert bare.sample_rate_hz == 48_000
    assert bare.loudness_db is None
    container = read_capture(shared_audio / "nam" / "core" / "A2.nam")
    assert container.architecture == "SlimmableContainer"
    assert container.receptive_field_frames == 6347
    assert container.input_level_dbu == 14.76


@pytest.mark.parametrize(
    ("size", "same_as"),
    [(0.0, "lstm"), (0.32, "lstm"), (0.33, "wavenet"), (0.5, "wavenet")],
)
def test_a_breakpoint_selects_the_larger_size(
    size: float, same_as: str, shared_audio: Path
) -> None:
    container = read_capture(shared_audio / "nam" / "core" / "slimmable_container.nam", size)
    single = read_capture(shared_audio / "nam" / "core" / f"{same_as}.nam")
    assert streaming_onnx(container) == streaming_onnx(single)
