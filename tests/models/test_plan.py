"""TensorRT plans: built, kept, judged, run; and what runs where there are none."""

import functools
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from models import plan
from models.errors import ModelError
from models.manifest import Bundle, Kind, read_bundle
from models.music2latent import codec as onnx_codec
from models.music2latent import parity
from models.music2latent.codec import CPU, CUDA, TENSORRT, CodecError, OnnxCodec
from models.plan import open_codec, open_plans, provide_plan, start_provider, this_device
from models.plans.cache import BuildSettings, PlanCache, PlanError
from models.plans.codec import TensorRtCodec
from tests.build.bundles import BINS, CHANNELS, WINDOW, run, small_bundle
from tests.models.tensorrt_double import Bench, install, uninstall

SPECTRA, LATENTS, TARGET = (2, 2, BINS, WINDOW), (2, CHANNELS, WINDOW // 8), (1, 2, BINS, WINDOW)
VERSIONS = ("10.3.0", "10.13.3.9", "11.4.0.106")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_bundle(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench()
    install(monkeypatch, bench)
    return bench


@pytest.fixture
def plans(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "plans")


def _build(bundle: Bundle, plans: PlanCache, **settings) -> None:
    for kind in ("encoder", "decoder"):
        provide_plan(bundle, kind, "int8", plans, BuildSettings(), **settings)


def _normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _cpu(bundle: Bundle) -> OnnxCodec:
    return OnnxCodec(bundle.read_model("encoder", "int8"), bundle.read_model("decoder", "int8"))


# ---- building -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_a_plan_is_built_strongly_typed_idly_and_within_its_workspace(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, plans: PlanCache, version: str
) -> None:
    bench = Bench(version=version)
    install(monkeypatch, bench)
    before = os.sched_getscheduler(0)
    settings = BuildSettings(workspace_mb=64, optimisation_level=2)
    built = provide_plan(bundle, "encoder", "int8", plans, settings)
    assert built.build_s is not None
    asked = dict((name, rest) for name, *rest in bench.asked)
    # Asked for up to 10; deprecated, because always so, from 11 on.
    assert asked["create_network"] == [version.startswith("10.")]
    assert asked["build"] == [64 << 20, 2, 0, b"", set()]
    assert bench.policies == [os.SCHED_IDLE]
    assert os.sched_getscheduler(0) == before


def test_a_build_tells_its_outermost_phases_step_by_step(
    bench: Bench, bundle: Bundle, plans: PlanCache
) -> None:
    steps: list[tuple[str, int, int]] = []
    provide_plan(
        bundle, "encoder", "int8", plans, BuildSettings(), lambda *step: steps.append(step)
    )
    assert steps == [("Building", 0, 2), ("Building", 1, 2), ("Building", 2, 2)]


def test_what_a_build_learns_of_the_device_helps_the_next_one(
    bench: Bench, bundle: Bundle, plans: PlanCache
) -> None:
    _build(bundle, plans)
    timings = [rest[3] for name, *rest in bench.asked if name == "build"]
    assert timings == [b"", b"10.3.0 timings"]


def test_timings_that_tensorrt_does_not_take_are_left_out(
    bench: Bench, bundle: Bundle, plans: PlanCache
) -> None:
    plans.write_timing(this_device(), b"of another GPU")
    provide_plan(bundle, "encoder", "int8", plans, BuildSettings())
    assert [rest[3] for name, *rest in bench.asked if name == "build"] == [b""]


def test_every_operator_that_the_parser_refuses_is_named(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, plans: PlanCache
) -> None:
    install(monkeypatch, Bench(refuse=("Tanh", "Squeeze")))
    with pytest.raises(PlanError, match=r"Squeeze flat: .*; Tanh bounded: ") as caught:
        provide_plan(bundle, "encoder", "int8", plans, BuildSettings())
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    assert not plans.folder.exists()


def test_a_build_that_fails_says_why_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, plans: PlanCache
) -> None:
    bench = Bench(out_of_memory=True)
    install(monkeypatch, bench)
    with pytest.raises(PlanError, match=r"builds no plan \(insufficient memory.*--workspace-mb"):
        provide_plan(bundle, "encoder", "int8", plans, BuildSettings())
    assert not plans.folder.exists()
    assert not bench.streams


def test_ctrl_c_ends_a_build(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, plans: PlanCache
) -> None:
    bench = Bench(endless=True)
    install(monkeypatch, bench)

    def interrupt(phase: str, done: int, steps: int) -> None:
        if done == 0:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    # Whoever started the tests in the background has had Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            provide_plan(bundle, "encoder", "int8", plans, BuildSettings(), interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 10.0
    while ("stopped",) not in bench.asked and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ("stopped",) in bench.asked
    assert not plans.folder.exists()


@pytest.mark.parametrize("workspace_mb", [0, -1, 100_000])
def test_a_workspace_out_of_range_is_wrong_input(workspace_mb: int) -> None:
    with pytest.raises(ModelError, match="--workspace-mb") as caught:
        BuildSettings(workspace_mb=workspace_mb)
    assert caught.value.exit_code == 2


# ---- running ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_plans_compute_what_the_graphs_do(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, plans: PlanCache, version: str
) -> None:
    install(monkeypatch, Bench(version=version))
    _build(bundle, plans)
    codec = open_plans(bundle, "int8", plans)
    graphs = {kind: onnx.load(bundle.model(kind, "int8")) for kind in ("encoder", "decoder")}
    assert codec.provider == "TensorRT " + ".".join(version.split(".")[:2])
    assert codec.window_frames == WINDOW
    for seed in (1, 2):
        spectra, noise = _normal(seed, *SPECTRA), _normal(seed + 10, *TARGET)
        latents, decoded = np.zeros(LATENTS, np.float32), np.zeros(TARGET, np.float32)
        codec.encode(spectra, latents)
        np.testing.assert_array_equal(latents, run(graphs["encoder"], spectra=spectra))
        codec.decode(latents[:1], noise, 0.5, decoded)
        expected = run(graphs["decoder"], latents=latents[:1], noise=noise)
        np.testing.assert_array_equal(decoded, expected)


def test_the_live_stream_goes_first_and_whoever_waits_sleeps(
    bench: Bench, bundle: Bundle, plans: PlanCache
) -> None:
    _build(bundle, plans)
    codec = open_plans(bundle, "int8", plans)
    assert [bench.priorities[stream] for stream in bench.streams] == [-5]
    assert ("cudaSetDeviceFlags", 4) in bench.asked
    codec.close()


def test_a_codec_gives_back_all_it_took(bench: Bench, bundle: Bundle, plans: PlanCache) -> None:
    _build(bundle, plans)
    codec = open_plans(bundle, "int8", plans)
    assert bench.memory
    codec.close()
    codec.close()
    assert not bench.memory
    assert not bench.streams


@pytest.mark.parametrize(
    ("latents", "noise", "target", "position"),
    [
        ((1, *LATENTS[1:]), TARGET, (1, 2, BINS, WINDOW - 1), 0.0),
        ((2, *LATENTS[1:]), TARGET, TARGET, 0.0),
        ((1, *LATENTS[1:]), SPECTRA, TARGET, 0.0),
        ((1, *LATENTS[1:]), TARGET, TARGET, 1.5),
    ],
)
def test_other_shapes_and_positions_are_refused(
    bench: Bench, bundle: Bundle, plans: PlanCache, latents, noise, target, position
) -> None:
    _build(bundle, plans)
    codec = open_plans(bundle, "int8", plans)
    arrays = [np.zeros(shape, np.float32) for shape in (latents, noise, target)]
    with pytest.raises(ValueError, match="expected"):
        codec.decode(arrays[0], arrays[1], position, arrays[2])


@pytest.mark.parametrize("how", ["cudaMemcpyAsync", "cudaStreamSynchronize", "enqueue"])
def test_a_gpu_that_fails_is_a_codec_error(
    bench: Bench, bundle: Bundle, plans: PlanCache, how: str
) -> None:
    _build(bundle, plans)
    codec = open_plans(bundle, "int8", plans)
    if how == "enqueue":
        bench.not_enqueued = True
    else:
        bench.failing[how] = 700
    with pytest.raises(CodecError, match="encoder fails on TensorRT"):
        codec.encode(np.zeros(SPECTRA, np.float32), np.zeros(LATENTS, np.float32))


def test_a_gpu_without_memory_is_one_sentence_and_gives_back_the_rest(
    bench: Bench, bundle: Bundle, plans: PlanCache
) -> None:
    _build(bundle, plans)
    bench.failing["cudaMallocHost"] = 2
    # Whoever keeps the error keeps no memory of the GPU's.
    with pytest.raises(PlanError, match="cudaErrorMemoryAllocation") as caught:
        open_plans(bundle, "int8", plans)
    assert caught
    assert not bench.memory
    assert not bench.streams


# ---- the cache ----------------------------------------------------------------------------------


def test_a_plan_that_is_there_is_not_built_again(
    bench: Bench, bundle: Bundle, plans: PlanCache
) -> None:
    _build(bundle, plans)
    asked = len(bench.asked)
    again = provide_plan(bundle, "encoder", "int8", plans, BuildSettings())
    assert again.build_s is None
    assert not any(name == "build" for name, *_ in bench.asked[asked:])


@pytest.mark.parametrize(
    "change",
    [{"version": "10.4.0"}, {"driver": 13010}, {"multiprocessors": 16}],
    ids=["another TensorRT", "another driver", "another module"],
)
def test_plans_of_another_device_are_not_used_and_stay(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, bundle: Bundle, plans: PlanCache, change: dict
) -> None:
    _build(bundle, plans)
    before = set(plans.folder.glob("*.plan"))
    install(monkeypatch, Bench(**change))
    with pytest.raises(PlanError, match="There is no plan"):
        open_plans(bundle, "int8", plans)
    assert set(plans.folder.glob("*.plan")) == before


def test_a_plan_under_another_devices_name_is_not_used(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, bundle: Bundle, plans: PlanCache
) -> None:
    _build(bundle, plans)
    theirs = [plans.plan_file(key) for key in plan.plan_keys(bundle, "int8")]
    install(monkeypatch, Bench(multiprocessors=16))
    for key, file in zip(plan.plan_keys(bundle, "int8"), theirs, strict=True):
        for suffix in (".plan", ".json"):
            file.with_suffix(suffix).rename(plans.plan_file(key).with_suffix(suffix))
    with pytest.raises(PlanError, match="does not say what it was built from"):
        open_plans(bundle, "int8", plans)


def test_another_system_release_makes_plans_strangers(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, tmp_path: Path
) -> None:
    release = tmp_path / "nv_tegra_release"
    monkeypatch.setattr(plan, "DRIVER_FILES", (release,))
    devices = set()
    for line in ("# R38 (release), REVISION: 2.0", "# R38 (release), REVISION: 2.1"):
        release.write_text(line + "\nmore\n")
        devices.add(this_device())
    assert len(devices) == 2


def test_plans_built_with_other_settings_play_but_are_built_anew_when_asked(
    bench: Bench, bundle: Bundle, plans: PlanCache
) -> None:
    _build(bundle, plans)
    other = BuildSettings(workspace_mb=64)
    assert provide_plan(bundle, "encoder", "int8", plans, other).build_s is not None
    open_plans(bundle, "int8", plans)


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def _without_sidecar(file: Path) -> None:
    file.with_suffix(".json").unlink()


def _foreign_sidecar(file: Path) -> None:
    file.with_suffix(".json").write_text('{"format": 1, "key": "..."}')


@pytest.mark.parametrize("spoil", [_flip, _cut, _without_sidecar, _foreign_sidecar, Path.unlink])
@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_a_damaged_plan_is_not_used_and_is_built_anew(
    bench: Bench, bundle: Bundle, plans: PlanCache, spoil, kind: Kind
) -> None:
    _build(bundle, plans)
    (file,) = plans.folder.glob(f"{kind}.*.plan")
    spoil(file)
    with pytest.raises(PlanError, match="python -m build compile"):
        open_plans(bundle, "int8", plans)
    again = provide_plan(bundle, kind, "int8", plans, BuildSettings())
    assert again.build_s is not None
    assert again.because
    open_plans(bundle, "int8", plans)


def test_a_plan_that_tensorrt_does_not_load_is_one_sentence(
    bench: Bench, bundle: Bundle, plans: PlanCache
) -> None:
    _build(bundle, plans)
    (key, _) = plan.plan_keys(bundle, "int8")
    plans.write_plan(key, BuildSettings(), b"whole, and not a plan", 1.0)
    with pytest.raises(PlanError, match=r"does not load the encoder's plan \(magicTag") as caught:
        open_plans(bundle, "int8", plans)
    assert "\n" not in str(caught.value)
    assert not bench.memory


def test_a_folder_that_takes_no_files_is_one_sentence(
    bench: Bench, bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "plans").write_text("a file")
    with pytest.raises(PlanError, match=r"cannot be written .*--cache"):
        provide_plan(bundle, "encoder", "int8", PlanCache(tmp_path / "plans"), BuildSettings())


@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_plan(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, bundle: Bundle, plans: PlanCache, at: str
) -> None:
    _build(bundle, plans)
    (key, _) = plan.plan_keys(bundle, "int8")
    before = {file.name: file.read_bytes() for file in plans.folder.iterdir()}

    def full(*what: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"models.plans.cache.os.{at}", full)
    with pytest.raises(PlanError, match="No space left"):
        plans.write_plan(key, BuildSettings(), b"another", 1.0)
    assert {file.name: file.read_bytes() for file in plans.folder.iterdir()} == before


# ---- the verdict --------------------------------------------------------------------------------


def _count_judgements(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    judged: list[object] = []
    real = plan.judge

    def judge(codec, *bundle):
        judged.append(codec)
        return real(codec, *bundle)

    monkeypatch.setattr(plan, "judge", judge)
    return judged


def test_plans_are_judged_by_the_golden_pair_once(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, bundle: Bundle, plans: PlanCache
) -> None:
    _build(bundle, plans)
    judged = _count_judgements(monkeypatch)
    for _ in range(3):
        open_plans(bundle, "int8", plans).close()
    assert len(judged) == 1


def test_plans_that_do_not_reproduce_the_golden_pair_are_never_used(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, plans: PlanCache
) -> None:
    bench = Bench(gain=1.3)
    install(monkeypatch, bench)
    _build(bundle, plans)
    for _ in range(2):
        with pytest.raises(PlanError, match="does not reproduce the golden pair: The ") as caught:
            open_plans(bundle, "int8", plans)
        assert caught
        assert not bench.memory
        bench.gain = 1.0  # the verdict stands: it was on these plans


def test_a_plan_built_anew_is_judged_anew(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, bundle: Bundle, plans: PlanCache
) -> None:
    _build(bundle, plans)
    open_plans(bundle, "int8", plans)
    # The same computation in other bytes, as another choice of kernels would be.
    monkeypatch.setattr(PlanCache, "read_plan", _other_bytes(PlanCache.read_plan))
    judged = _count_judgements(monkeypatch)
    open_plans(bundle, "int8", plans)
    assert len(judged) == 1


def _other_bytes(read):
    @functools.wraps(read)
    def other(*arguments):
        found = read(*arguments)
        return type(found)(found.content, found.sha256[::-1])

    return other


# ---- choosing -----------------------------------------------------------------------------------


def test_plans_are_the_first_choice(bench: Bench, bundle: Bundle, plans: PlanCache) -> None:
    _build(bundle, plans)
    codec = open_codec(bundle, cache=plans.folder)
    assert isinstance(codec, TensorRtCodec)
    assert codec.why == ()


def test_nothing_is_built_where_one_plays(bench: Bench, bundle: Bundle, plans: PlanCache) -> None:
    codec = open_codec(bundle, cache=plans.folder)
    assert codec.provider == "ONNX Runtime CPU"
    assert not any(name == "build" for name, *_ in bench.asked)
    assert not plans.folder.exists()
    assert "There is no plan of this encoder for Orin and TensorRT 10.3.0" in codec.why[0]


def test_a_machine_without_tensorrt_computes_on_the_cpu_and_says_why(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, plans: PlanCache
) -> None:
    uninstall(monkeypatch)
    codec = open_codec(bundle, cache=plans.folder, threads=1)
    assert codec.provider == "ONNX Runtime CPU"
    assert codec.why[0].startswith("TensorRT is not on this machine")
    assert [TENSORRT in codec.why[1], CUDA in codec.why[2]] == [True, True]
    made, expected = (np.zeros(LATENTS, np.float32) for _ in range(2))
    codec.encode(_normal(1, *SPECTRA), made)
    _cpu(bundle).encode(_normal(1, *SPECTRA), expected)
    np.testing.assert_array_equal(made, expected)


def test_a_machine_without_a_gpu_computes_on_the_cpu_and_says_why(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, plans: PlanCache
) -> None:
    install(monkeypatch, Bench(gpus=0))
    codec = open_codec(bundle, cache=plans.folder)
    assert codec.why[0].startswith("No NVIDIA GPU answers here (cudaGetDeviceCount: cudaError")


@pytest.fixture
def gpu_runtime(monkeypatch: pytest.MonkeyPatch) -> list:
    """An ONNX Runtime with GPU providers; what it was asked to start is listed."""
    asked: list = []

    class OnGpu(OnnxCodec):
        def __init__(self, encoder, decoder, providers, threads=None, why=()):
            asked.append(providers)
            super().__init__(encoder, decoder, why=why)

        @property
        def provider(self) -> str:
            first = asked[-1][0]
            return onnx_codec.PROVIDER_NAMES[first if isinstance(first, str) else first[0]]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(plan, "OnnxCodec", OnGpu)
    return asked


def test_the_cuda_provider_is_taken_before_the_cpu(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, plans: PlanCache, gpu_runtime: list
) -> None:
    uninstall(monkeypatch)
    codec = open_codec(bundle, cache=plans.folder)
    assert codec.provider == "ONNX Runtime CUDA"
    assert gpu_runtime == [[CUDA, CPU]]
    assert "has no engines" in codec.why[1]


def test_onnx_runtimes_tensorrt_is_taken_where_its_engines_lie(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, plans: PlanCache, gpu_runtime: list
) -> None:
    uninstall(monkeypatch)
    start_provider(bundle, "int8", TENSORRT, plans, build=True)
    (folder,) = plans.folder.iterdir()
    (folder / "TensorrtExecutionProvider_graph_1.engine").write_bytes(b"engine")
    codec = open_codec(bundle, cache=plans.folder)
    assert codec.provider == "ONNX Runtime TensorRT"
    (name, options), *rest = gpu_runtime[-1]
    assert (name, rest) == (TENSORRT, [CUDA, CPU])
    assert options["trt_engine_cache_path"] == str(folder)


def test_a_gpu_provider_that_computes_something_else_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, plans: PlanCache, gpu_runtime: list
) -> None:
    uninstall(monkeypatch)
    real = parity.run_golden
    monkeypatch.setattr(plan, "run_golden", lambda *of: [1.5 * array for array in real(*of)])
    codec = open_codec(bundle, cache=plans.folder)
    assert codec.provider == "ONNX Runtime CPU"
    assert "ONNX Runtime CUDA does not reproduce the golden pair" in codec.why[2]


def test_a_precision_that_the_bundle_lacks_is_wrong_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plans: PlanCache
) -> None:
    uninstall(monkeypatch)
    small_bundle(tmp_path / "small")
    with pytest.raises(ModelError, match="fp16 was asked for"):
        open_codec(read_bundle(tmp_path / "small", ["int8"]), "fp16", plans.folder)


# ---- the double ---------------------------------------------------------------------------------


def test_the_double_has_nothing_that_the_real_bindings_lack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Runs where TensorRT and cuda-python are installed: on a Jetson."""
    real = pytest.importorskip("tensorrt")
    runtime = pytest.importorskip("cuda.bindings.runtime")
    install(monkeypatch, Bench())
    own = {"made", "content", "limits", "session", "tensors", "model", "real", "flags"}
    for name, thing in vars(sys.modules["tensorrt"]).items():
        if isinstance(thing, type):
            public = {each for each in vars(thing) if not each.startswith("_")} - own
            missing = {each for each in public if not hasattr(getattr(real, name), each)}
            assert not missing, f"{name} has no {missing}"
    for name in vars(sys.modules["cuda.bindings.runtime"]):
        assert name.startswith("_") or hasattr(runtime, name), name
