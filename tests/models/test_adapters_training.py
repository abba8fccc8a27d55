"""Adapters learn a tone beside the authors' own modules, and nothing but the adapter changes."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch (make test-whole)")
published = pytest.importorskip(
    "music2latent.models", reason="adapters are trained beside music2latent (make test-whole)"
)

import torch  # noqa: E402

from build.__main__ import main  # noqa: E402
from device.files import write_sound  # noqa: E402
from models.errors import ModelError, PurgaError  # noqa: E402
from models.music2latent.adapters import (  # noqa: E402
    adapts,
    between,
    merge,
    read_adapter,
    write_adapter,
)
from models.music2latent.adapters_train import AdapterTraining, Plan, TrainingError, generator  # noqa: E402
from models.music2latent.architecture import (  # noqa: E402
    OFFICIAL,
    TINY,
    Tensor,
    random_weights,
)
from models.music2latent.checkpoint import weights_sha256, write_checkpoint  # noqa: E402
from models.music2latent.spectrum import spectra_of  # noqa: E402
from tests.conftest import plucked  # noqa: E402

pytestmark = pytest.mark.torch

FRAMES = 8
RATE_HZ = 44_100
WEIGHTS = random_weights(TINY, 0)
PLAN = Plan(rank=4, alpha=16.0, steps=160, window_frames=FRAMES, rate=8e-3)
HELD_OUT = 99
"""A seed of noise that nothing is learnt under."""

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package build its network of the small sizes: they are globals there."""
    for name, value in (
        ("base_channels", TINY.base_channels),
        ("bottleneck_base_channels", TINY.bottleneck_base_channels),
        ("num_bottleneck_layers", TINY.bottleneck_blocks),
        ("cond_channels", TINY.condition_channels),
        ("layers_list", [TINY.blocks_unet] * TINY.levels),
    ):
        monkeypatch.setattr(published, name, value)


def note(seed: int, frames: int = FRAMES) -> Tensor:
    """Spectra ``(2, 1024, frames)`` of something plucked."""
    return spectra_of(plucked(2048 + 512 * (frames - 1), RATE_HZ, seed))[0]


def decoded(network: Any, truth: Tensor, seed: int) -> Tensor:
    """What the network makes of a window's latents and noise, ``(1, 2, 1024, frames)``."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((1, *truth.shape), np.float32) * OFFICIAL.sigma_max
    with torch.no_grad():
        latents = network.encoder(torch.from_numpy(truth[None]))
        return network(latents, torch.from_numpy(noise), OFFICIAL.sigma_max).numpy()


def moved(seed: int) -> AdapterTraining:
    """A training whose adapter differs from nothing everywhere."""
    training = AdapterTraining(WEIGHTS, [note(seed)], Plan(rank=2, steps=3, window_frames=FRAMES))
    for _ in range(3):
        training.advance()
    return training


def test_it_learns_a_tone_under_noise_it_has_not_heard() -> None:
    truth = note(1)
    training = AdapterTraining(WEIGHTS, [truth], PLAN)
    before = training.judge(HELD_OUT)
    for _ in range(PLAN.steps):
        training.advance()
    after = training.judge(HELD_OUT)
    silence = float(np.sqrt(np.mean(np.square(truth))))
    assert after < 0.6 * before
    assert after < 0.6 * silence, "it has learnt the tone, not merely to be quiet"
    others = AdapterTraining(WEIGHTS, [note(2)], PLAN)
    assert others.judge(HELD_OUT) == pytest.approx(before, rel=0.5), "another tone is as hard"


def test_merged_weights_are_the_network_that_was_trained() -> None:
    training, truth = moved(1), note(3)
    adapter = training.adapter()
    merged = merge(WEIGHTS, adapter)
    changed = {name for name, value in WEIGHTS.items() if merged[name] is not value}
    assert changed == {name for name, value in WEIGHTS.items() if adapts(name, value.shape)}
    for name in sorted(changed):
        path, _, parameter = name.rpartition(".")
        trained = getattr(training.network.get_submodule(path), parameter).detach().numpy()
        np.testing.assert_allclose(merged[name], trained, rtol=0, atol=1e-6)
    before = decoded(generator(WEIGHTS), truth, 5)
    wanted, found = decoded(training.network, truth, 5), decoded(generator(merged), truth, 5)
    assert np.abs(wanted - before).max() > 1e-2, "three steps have moved something"
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_at_each_end_two_sides_decode_as_the_adapter_of_that_side() -> None:
    a, b, truth = moved(1), moved(2), note(3)
    for position, side in ((0.0, a), (1.0, b)):
        weights = between(WEIGHTS, a.adapter(), b.adapter(), position)
        wanted = decoded(side.network, truth, 5)
        found = decoded(generator(weights), truth, 5)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    middle = decoded(generator(between(WEIGHTS, a.adapter(), b.adapter(), 0.5)), truth, 5)
    ends = [decoded(each.network, truth, 5) for each in (a, b)]
    apart = np.abs(ends[0] - ends[1]).max()
    assert min(np.abs(middle - end).max() for end in ends) > 0.1 * apart > 0.0


def test_rank_0_and_untrained_factors_change_no_bit() -> None:
    for rank in (0, 2):
        plan = Plan(rank=rank, steps=2, window_frames=FRAMES)
        training = AdapterTraining(WEIGHTS, [note(1)], plan)
        if not rank:
            before = training.judge(HELD_OUT)
            training.advance()
            assert training.judge(HELD_OUT) == before
        merged = merge(WEIGHTS, training.adapter())
        assert all(merged[name] is WEIGHTS[name] for name in WEIGHTS)


def test_the_base_stays_frozen_and_the_same_seed_learns_the_same(tmp_path: Path) -> None:
    digest = weights_sha256(WEIGHTS)
    files = []
    for run in range(2):
        write_adapter(moved(1).adapter("a note"), tmp_path / f"{run}.safetensors")
        files.append((tmp_path / f"{run}.safetensors").read_bytes())
    assert files[0] == files[1]
    assert weights_sha256(WEIGHTS) == digest
    network = moved(1).network
    assert not any(
        each.requires_grad for name, each in network.named_parameters() if ".0." not in name
    )
    originals = {
        name.replace("parametrizations.", "").replace(".original", ""): value.numpy()
        for name, value in network.state_dict().items()
        if not name.endswith((".up", ".down"))
    }
    assert all(np.array_equal(originals[name], value) for name, value in WEIGHTS.items())


@pytest.mark.parametrize(
    ("recordings", "complaint"),
    [
        ([np.zeros((2, 1024, 20), np.float32)], "no window of 8 frames that sounds"),
        ([note(1, 4)], "no window of 8 frames that sounds"),
        ([note(1), note(1, 4)], "shorter than a window"),
    ],
)
def test_recordings_that_cannot_be_learnt_from_are_refused(
    recordings: list[Tensor], complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint):
        AdapterTraining(WEIGHTS, recordings, PLAN)


@pytest.mark.parametrize(
    "plan", [Plan(rank=-1), Plan(rank=10_000), Plan(steps=0), Plan(window_frames=12)], ids=str
)
def test_a_plan_that_cannot_be_carried_out_is_refused(plan: Plan) -> None:
    with pytest.raises(ModelError, match=r"given, expected"):
        AdapterTraining(WEIGHTS, [note(1, 16)], plan)


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "base_channels", 16)
    with pytest.raises(ModelError, match="do not fit the network"):
        generator(WEIGHTS)


def test_a_training_that_breaks_down_is_no_adapter() -> None:
    training = AdapterTraining(WEIGHTS, [note(1)], replace(PLAN, rate=1e30))
    with pytest.raises(TrainingError, match=r"broke down at step .* take a smaller rate"):
        for _ in range(5):
            training.advance()


def test_quiet_stretches_are_left_out() -> None:
    gap = np.zeros((2, 1024, 40), np.float32)
    recording = np.concatenate([note(1), gap, note(1)], axis=2)
    training = AdapterTraining(WEIGHTS, [recording], PLAN)
    starts = [start for _, start in training._windows]
    assert 0 in starts and 48 in starts
    assert not any(FRAMES <= start <= 40 for start in starts)


# ---- the command --------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    write_checkpoint(WEIGHTS, tmp_path / "w.pt")
    return tmp_path / "w.pt"


def test_the_command_writes_an_adapter_that_fits(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tone, out = tmp_path / "riff.wav", tmp_path / "made" / "a.safetensors"
    write_sound(tone, plucked(24_000), 48_000)
    command = ["train-adapter", "--checkpoint", str(checkpoint), "--tone", str(tone)]
    command += ["--out", str(out), "--rank", "2", "--steps", "12", "--window", "8", "--json"]
    assert main([*command, "--rate", "0.005"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out.splitlines()[-1])
    assert report["distance_after"] < report["distance_before"]
    assert "resampled from 48000 to 44100 Hz" in said.out
    assert "training" in said.err, "a bar is drawn"
    adapter = read_adapter(out, WEIGHTS)
    assert adapter.rank == 2 and adapter.alpha == 2.0
    assert "riff.wav" in adapter.note
    assert str(tmp_path) not in adapter.note


def without_weights(arguments: dict[str, str]) -> None:
    Path(arguments["--checkpoint"]).unlink()


def of_another_kind(arguments: dict[str, str]) -> None:
    arguments["--out"] = arguments["--out"].replace(".safetensors", ".pt")


def without_tone(arguments: dict[str, str]) -> None:
    Path(arguments["--tone"]).unlink()


@pytest.mark.parametrize("spoil", [without_weights, of_another_kind, without_tone])
def test_the_command_refuses_in_one_sentence_and_writes_nothing(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], spoil: Any
) -> None:
    tone = tmp_path / "riff.wav"
    write_sound(tone, plucked(24_000), 48_000)
    arguments = {
        "--checkpoint": str(checkpoint),
        "--tone": str(tone),
        "--out": str(tmp_path / "a.safetensors"),
        "--steps": "2",
    }
    spoil(arguments)
    assert main(["train-adapter", *(word for pair in arguments.items() for word in pair)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error
    assert not list(tmp_path.glob("a.*"))


def test_without_the_package_it_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "music2latent.models", None)
    with pytest.raises(PurgaError, match="not installed; deploy/host-setup music2latent"):
        generator(WEIGHTS)
