"""A checkpoint becomes a bundle by the commands that the README names; and what stops it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import build.windows
from build.__main__ import main
from build.windows import encoder_feeds
from build.work import Work
from models.certificate import Certificate
from models.manifest import Bundle, read_bundle
from models.music2latent.adapters import Adapter, adapts, write_adapter
from models.music2latent.architecture import (
    OFFICIAL,
    TINY,
    Architecture,
    Weights,
    random_weights,
)
from models.music2latent.checkpoint import weights_sha256, write_safetensors
from models.music2latent.codec import OnnxCodec
from models.music2latent.parity import latent_cosine
from tests.conftest import ROOT, plucked

PRESET = str(ROOT / "device" / "presets" / "3-crunch-to-lead.toml")

LEFT = (
    "encoder.down_layers.1.c",
    "encoder.down_layers.2.res_conv",
    "encoder.down_layers.3.c",
    "encoder.down_layers.4.res_conv",
    "encoder.down_layers.5.c",
    "encoder.down_layers.7.c",
    "encoder.down_layers.0.conv1",
    "encoder.down_layers.0.conv2",
    "encoder.down_layers.4.att.mha.out_proj",
    "encoder.bottleneck_layers.0",
)
"""What the search leaves of the full-size network with seed 0; it takes minutes (its tests are on
the small one)."""


@pytest.fixture(scope="module")
def phrase(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("phrase") / "guitar.wav"
    soundfile.write(file, plucked(3 * 44_100, 44_100)[0], 44_100, subtype="FLOAT")
    return str(file)


def checkpoint(folder: Path, of: Architecture, seed: int = 0) -> tuple[Path, Weights]:
    weights = random_weights(of, seed)
    file = folder / "weights.safetensors"
    write_safetensors(weights, file)
    return file, weights


def arguments(file: Path, phrase: str, out: Path, *more: str) -> list[str]:
    chosen = ["--phrase", phrase, "--preset", PRESET, "--windows", "4"]
    return ["bundle", "--checkpoint", str(file), "--out", str(out), *chosen, *more]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, phrase: str
) -> tuple[Bundle, Work, Weights, Path]:
    folder = tmp_path_factory.mktemp("bundle")
    file, weights = checkpoint(folder, TINY)
    out, work = folder / "studio", folder / "work"
    assert main(arguments(file, phrase, out, "--work", str(work), "--hop-frames", "4")) == 0
    return read_bundle(out), Work(work), weights, file


def test_one_command_makes_a_bundle_that_is_ready(
    made: tuple[Bundle, Work, Weights, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, _, weights, _ = made
    assert bundle.manifest.checkpoint_sha256 == weights_sha256(weights)
    assert bundle.manifest.hop_frames == 4
    assert bundle.precisions == ("fp32", "fp16", "int8")
    assert main(["check", str(bundle.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ready"] is True
    certificate = bundle.certificate()
    assert certificate.precisions["int8"].latent_cosine >= certificate.limits.latent_cosine
    snrs = [row.snr_db for row in certificate.sensitivity]
    assert snrs == sorted(snrs) and len(snrs) > 50
    assert {"encoder/encoder.conv_inp", "decoder/conv_out"} <= set(certificate.left_in_fp16)


def test_the_certificate_is_what_the_files_do(made: tuple[Bundle, Work, Weights, Path]) -> None:
    bundle, work, _, _ = made
    kept_back = work.material().kept_back
    feeds = encoder_feeds(kept_back)
    cosines = []
    codecs = [
        OnnxCodec(bundle.model("encoder", at), bundle.model("decoder", at))
        for at in ("fp32", "fp16")
    ]
    for feed in feeds:
        latents = [np.zeros(codec.latents_shape, np.float32) for codec in codecs]
        for codec, target in zip(codecs, latents, strict=True):
            codec.encode(feed["spectra"], target)
        cosines.append(latent_cosine(latents[0], latents[1]))
    said = bundle.certificate().precisions["fp16"].latent_cosine
    assert abs(float(np.mean(cosines)) - said) < 1e-4


@pytest.mark.whole
def test_the_same_weights_and_material_make_the_same_bundle(
    made: tuple[Bundle, Work, Weights, Path], phrase: str, tmp_path: Path
) -> None:
    bundle, _, _, file = made
    out = tmp_path / "again"
    assert main(arguments(file, phrase, out, "--hop-frames", "4")) == 0
    assert read_bundle(out).sha256 == bundle.sha256


@pytest.mark.whole
def test_stages_one_by_one_make_the_same_graphs(
    made: tuple[Bundle, Work, Weights, Path], phrase: str, tmp_path: Path
) -> None:
    bundle, _, _, file = made
    work = str(tmp_path / "work")
    export = ["export", "--checkpoint", str(file), "--work", work, "--hop-frames", "4"]
    assert main(export) == 0
    chosen = ["--phrase", phrase, "--preset", PRESET, "--windows", "4"]
    assert main(["calibrate", "--work", work, *chosen]) == 0
    assert main(["quantise", "--work", work]) == 0
    for kind in ("encoder", "decoder"):
        name = f"{kind}.int8.onnx"
        assert (tmp_path / "work" / name).read_bytes() == (bundle.folder / name).read_bytes()


@pytest.mark.parametrize("stage", ["calibrate", "quantise"])
def test_a_stage_too_early_names_the_one_before(
    stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([stage, "--work", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "python -m build export" in error and error.count("\n") == 1


def small_adapter(weights: Weights, seed: int, rank: int = 2) -> Adapter:
    rng = np.random.default_rng(seed)
    factors = {}
    for name, weight in weights.items():
        if adapts(name, weight.shape):
            down = rng.standard_normal((rank, *weight.shape[1:])).astype(np.float32)
            up = 0.02 * rng.standard_normal((len(weight), rank)).astype(np.float32)
            factors[name] = down, up
    return Adapter(rank, float(rank), factors, weights_sha256(weights))


@pytest.mark.whole
def test_two_adapters_make_a_bundle_that_the_knob_moves(
    made: tuple[Bundle, Work, Weights, Path], phrase: str, tmp_path: Path
) -> None:
    _, _, weights, file = made
    files = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for seed, adapter in enumerate(files):
        write_adapter(small_adapter(weights, seed), adapter)
    given = [part for each in files for part in ("--adapter", str(each))]
    assert main(arguments(file, phrase, tmp_path / "out", *given)) == 0
    bundle = read_bundle(tmp_path / "out")
    assert [adapter.name for adapter in bundle.manifest.adapters] == ["a", "b"]
    golden = bundle.golden()
    codec = OnnxCodec(bundle.model("encoder", "int8"), bundle.model("decoder", "int8"))
    sounds = []
    for position in (0.0, 0.5, 1.0):
        sound = np.zeros_like(golden["decoded.int8"])
        codec.decode(golden["blend"], golden["noise"], position, sound)
        sounds.append(sound)
    assert np.abs(sounds[0] - sounds[2]).max() > 0.01
    assert np.abs(sounds[0] - sounds[1]).max() > 0.005


# ---- what stops it ------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    status = main(list(given))
    said = capsys.readouterr()
    assert status == 2, said
    assert said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--window-frames", "12"], "multiple of 8"),
        (["--hop-frames", "17"], "hop"),
        (["--look-ahead-frames", "13"], "look-ahead"),
        (["--windows", "0"], "--windows"),
        (["--trials", "0"], "--trials"),
        (["--leave", "nothing.like.it"], "no layer"),
        (["--adapter", "a", "--adapter", "b", "--adapter", "c"], "at most two"),
        (["--adapter", "gone.safetensors"], "gone.safetensors"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_the_old_bundle_stays(
    made: tuple[Bundle, Work, Weights, Path],
    phrase: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    says: str,
) -> None:
    bundle, _, _, file = made
    capsys.readouterr()
    given = arguments(file, phrase, bundle.folder, *more)
    given = [*given, "--windows", "2"] if says == "no layer" else given
    assert says in refused(capsys, *given)
    assert read_bundle(bundle.folder).sha256 == bundle.sha256


def test_another_architecture_is_refused(
    phrase: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.safetensors"
    write_safetensors({"lstm.weight": np.zeros((3, 3), np.float32)}, file)
    error = refused(capsys, *arguments(file, phrase, tmp_path / "out"))
    assert "architecture" in error
    assert not (tmp_path / "out").exists()


def test_a_network_that_half_precision_cannot_hold_is_refused(
    phrase: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights: dict[str, Any] = random_weights(TINY, 0)
    weights["down_layers.1.conv2.weight"] = weights["down_layers.1.conv2.weight"] * 3e5
    file = tmp_path / "loud.safetensors"
    write_safetensors(weights, file)
    error = refused(capsys, *arguments(file, phrase, tmp_path / "out"))
    assert "half precision" in error and "decoder" in error
    assert not (tmp_path / "out").exists()


# ---- the official size --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, phrase: str) -> Bundle:
    folder = tmp_path_factory.mktemp("full")
    file, _ = checkpoint(folder, OFFICIAL)
    few = ("--windows", "2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build.windows, "KEPT_BACK", 2)
        assert main(arguments(file, phrase, folder / "out", *few, "--leave", *LEFT)) == 0
    file.unlink()
    return read_bundle(folder / "out")


@pytest.mark.whole
@pytest.mark.timeout(900)
def test_the_full_network_in_int8_keeps_to_its_numbers(full: Bundle) -> None:
    sizes = [full.model(kind, "int8").stat().st_size for kind in ("encoder", "decoder")]
    assert sum(sizes) <= 70_000_000
    certificate: Certificate = full.certificate()
    int8 = certificate.precisions["int8"]
    assert int8.latent_cosine >= 0.999
    assert int8.log_spectral_distance_db <= 1.0
    assert certificate.precisions["fp16"].log_spectral_distance_db <= 0.1
