"""Training the stage network: what it writes is what was trained, and it goes on where it was."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (make test-whole)")

from models.errors import ModelError  # noqa: E402
from models.quality import log_spectral_distance  # noqa: E402
from models.runtime import StreamingModel  # noqa: E402
from models.stage.colour import Colour, colour_of  # noqa: E402
from models.stage.graph import coloured  # noqa: E402
from models.stage.loss import Objective, level_distance, log_levels  # noqa: E402
from models.stage.material import POSITIONS  # noqa: E402
from models.stage.shape import Shape  # noqa: E402
from models.stage.train import SEGMENT_FRAMES, Material, Plan, Training  # noqa: E402
from models.units import Audio  # noqa: E402

pytestmark = pytest.mark.torch

FRAMES = SEGMENT_FRAMES + 1000

torch.set_num_threads(1)


@pytest.fixture
def material(tmp_path: Path) -> Path:
    """Four cases whose truth is nearer to tone A than the crossfade is."""
    rng = np.random.default_rng(5)
    time = np.arange(FRAMES) / 48000.0
    a = np.zeros((4, FRAMES), np.float32)
    b = np.zeros_like(a)
    truths = np.zeros((4, POSITIONS, FRAMES), np.float32)
    positions = np.tile(np.array([0.25, 0.5, 0.75], np.float32), (4, 1))
    for case in range(4):
        clean = np.sin(2 * np.pi * rng.uniform(100, 400) * time) + 0.01 * rng.normal(size=FRAMES)
        drives = [1.0, *(16.0 ** positions[case]), 16.0]
        sounds = [np.tanh(drive * clean) for drive in drives]
        sounds = [0.1 * sound / np.sqrt(np.mean(sound**2)) for sound in sounds]
        a[case], b[case] = sounds[0], sounds[-1]
        truths[case] = sounds[1:-1]
    for name, value in (("a", a), ("b", b), ("truths", truths), ("positions", positions)):
        np.save(tmp_path / f"{name}.npy", value)
    return tmp_path


def test_the_pedal_plays_what_was_trained(material: Path) -> None:
    training = Training(Plan(steps=4), Shape(), "cpu")
    reader = Material(material)
    for _ in range(4):
        training.advance(reader)
    rng = np.random.default_rng(1)
    frames = 1920
    a = np.asarray(0.1 * rng.normal(size=(1, frames)), np.float32)
    b = np.asarray(np.tanh(8.0 * a) * 0.15, np.float32)
    position = np.linspace(0.2, 0.8, frames, dtype=np.float32)
    colour = colour_of(a, b)
    with torch.no_grad():
        given = [torch.from_numpy(each)[None] for each in (a, b, position[None])]
        taps = [torch.from_numpy(each)[None] for each in (colour.whiten, colour.shape)]
        wanted = training.mean(*given, *taps, torch.from_numpy(colour.traits)[None])[0].numpy()
    blend = (1.0 - position) * a + position * b
    assert np.abs(wanted - blend).max() > 1e-4, "four steps have moved something"
    model = StreamingModel(coloured(training.onnx(), colour), 64)
    heard = np.zeros((1, frames), np.float32)
    for start in range(0, frames, 64):
        piece = slice(start, start + 64)
        rows = np.concatenate([a[:, piece], b[:, piece], position[None, piece]])
        model.process(rows, heard[:, piece])
    np.testing.assert_allclose(heard, wanted, rtol=0, atol=1e-5)


def test_training_learns_and_goes_on_where_it_was(material: Path, tmp_path: Path) -> None:
    plan = Plan(steps=24)
    reader = Material(material)
    whole = Training(plan, Shape(), "cpu")
    ratios = [whole.advance(reader) for _ in range(24)]
    assert np.mean(ratios[-6:]) < 0.97 * np.mean(ratios[:3])
    half = Training(plan, Shape(), "cpu")
    for _ in range(12):
        half.advance(reader)
    half.save(tmp_path / "checkpoint.pt")
    later = Training(plan, Shape(), "cpu")
    later.load(tmp_path / "checkpoint.pt")
    assert later.step == 12
    rest = [later.advance(reader) for _ in range(12)]
    np.testing.assert_allclose(rest, ratios[12:], rtol=1e-3)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    Training(Plan(steps=4), Shape(), "cpu").save(tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match="another training"):
        Training(Plan(steps=5), Shape(), "cpu").load(tmp_path / "checkpoint.pt")
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match="damaged"):
        Training(Plan(steps=4), Shape(), "cpu").load(tmp_path / "checkpoint.pt")


def test_the_loss_measures_what_evaluation_measures() -> None:
    rng = np.random.default_rng(2)
    one, other = (np.asarray(0.1 * rng.normal(size=(1, 8192)), np.float32) for _ in range(2))
    levels = [log_levels(torch.from_numpy(each), 2048, 512) for each in (one, other)]
    assert float(level_distance(*levels)) == pytest.approx(
        log_spectral_distance(one, other), rel=1e-3
    )


def test_the_crossfade_costs_the_same_everywhere() -> None:
    """Relative to the crossfade: nothing gained is nearly the same loss for near and far."""
    rng = np.random.default_rng(3)

    def noise(level: float) -> Audio:
        return np.asarray(level * rng.normal(size=(1, 8192)), np.float32)

    truth = noise(0.1)
    losses = []
    for strange in (0.02, 0.1):
        blend = torch.from_numpy(truth + noise(strange))
        loss, _ = Objective(blend, torch.from_numpy(truth))(blend)
        losses.append(float(loss))
    assert losses[1] == pytest.approx(losses[0], rel=0.2)


def test_the_plain_colour_is_what_an_untold_network_has() -> None:
    training = Training(Plan(steps=1), Shape(), "cpu")
    plain = coloured(training.onnx(), Colour.plain())
    x = np.asarray(np.random.default_rng(4).normal(size=(3, 64)) * 0.1, np.float32)
    heard = []
    for model in (plain, training.onnx()):
        target = np.zeros((1, 64), np.float32)
        StreamingModel(model, 64).process(x, target)
        heard.append(target)
    assert np.array_equal(heard[0], heard[1])
