"""The suite: which scenarios run on the virtual pedal, how configured, in which profile."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hil.virtual.bundles import studio_bundle
from hil.virtual.captures import write_capture
from hil.virtual.climate import EXCHANGE_S
from hil.virtual.led import COLD_HALF, WHOLE, Programme
from hil.virtual.machine import Job
from hil.virtual.networks import light_stage
from hil.virtual.releases import PRESET, releases
from hil.virtual.ways import ways

Profile = Literal["ci", "full"]
_ROOT = Path(__file__).resolve().parents[2]
_PEDAL = (Path(__file__).parent / "guest" / "image" / "presets" / "pedal.toml").read_text()


@dataclass(frozen=True)
class Scenario:
    """One run of the machine."""

    name: str
    job: Callable[[Profile], Job]
    claims: str
    """What it proves, in a line."""
    profiles: tuple[Profile, ...] = ("ci", "full")


def pedal_toml(period_frames: int = 128, periods: int = 4, presets: str | None = None) -> str:
    """The virtual pedal's configuration with another period or bank."""
    text = _PEDAL.replace("period_frames = 128", f"period_frames = {period_frames}")
    text = text.replace("periods = 2", f"periods = {periods}")
    if presets is not None:
        head, _, tail = text.partition("presets = [")
        text = f"{head}presets = [{presets}]{tail.partition(']')[2]}"
    return text


COARSE_PERCENT = 10.0
"""Tolerated xruns at 128 × 2, % of the periods. The loopback interface keeps time by the kernel's
timer wheel and is up to 2 ms late, while a period lasts 2.7 ms and two are all there is: it runs
dry where processing takes more than 1 ms. At 128 × 4 the same work loses none."""


def _playing(frames: int, periods: int, tolerated: float = 0.0) -> Callable[[Profile], Job]:
    """``tolerated`` is the part of periods, %, that the loopback's coarse clock may lose."""

    def job(profile: Profile) -> Job:
        seconds = 60.0 if profile == "ci" else 600.0
        return Job(
            "playing",
            options={
                "label": f"{frames}x{periods}",
                "seconds": seconds,
                "changes": 6 if profile == "ci" else 30,
                "tolerated": tolerated,
            },
            etc={"purga/pedal.toml": pedal_toml(frames, periods)},
            limit_s=seconds * 10.0 + 300.0,
        )

    return job


def _capture(profile: Profile) -> Job:
    job = _playing(256, 4)(profile)
    return replace(
        job,
        options=job.options | {"label": "capture-256x4", "changes": 0},
        etc={
            "purga/pedal.toml": pedal_toml(256, 4, '"presets/capture.toml"'),
            "purga/presets/capture.toml": _CAPTURE_PRESET,
            "purga/presets/small.nam": write_capture(),
        },
    )


_CAPTURE_PRESET = """
format = 1
name = "A small capture"

[tone.a]
chain = [{ block = "nam", file = "small.nam" }]

[tone.b]
chain = [
    { block = "highpass", cutoff_frequency_hz = 150.0 },
    { block = "cab", file = "short-1x12.flac" },
]

[morph]
engine = "crossfade"
path = "direct"
"""


def _plain(name: str, **options: dict[Profile, object]) -> Callable[[Profile], Job]:
    def job(profile: Profile) -> Job:
        chosen = {key: by_profile[profile] for key, by_profile in options.items()}
        return Job(name, options=chosen, etc={"purga/pedal.toml": pedal_toml()}, limit_s=900.0)

    return job


def _studio(profile: Profile) -> Job:
    text = pedal_toml(256, 4, '"presets/studio.toml"')
    return Job(
        "studio",
        options={"kills": 2 if profile == "ci" else 6},
        etc={
            "purga/pedal.toml": f'{text}\n[studio]\nbundle = "/job/files/bundle"\n{_SLOT}',
            "purga/presets/studio.toml": _STUDIO_PRESET,
        },
        files={
            "bundle": studio_bundle(),
            "slot/stage.onnx": light_stage(),
            "cache/paths": ways(_STUDIO_PRESET),
        },
        limit_s=900.0,
    )


_SLOT = """
[slots]
models = "/job/files/slot"
"""

_STUDIO_PRESET = """
format = 1
name = "Studio"

[tone.a]
chain = [{ block = "cab", file = "short-1x12.flac" }]

[tone.b]
chain = [
    { block = "distortion", drive_db = 20.0 },
    { block = "cab", file = "short-1x12.flac" },
]
level_db = -12.0

[morph]
engine = "studio"
path = "direct"
"""


def _update(profile: Profile) -> Job:
    bank = '"presets/dark-to-bright.toml", "slot:presets/winter.toml"'
    return Job(
        "update",
        etc={"purga/pedal.toml": pedal_toml(256, 4, bank), **_import_units()},
        files={"releases": releases(), "cache/paths": ways(PRESET)},
        limit_s=1800.0,
    )


def _import_units() -> dict[str, str]:
    """The unit that imports from a stick, its sandbox too, for a guest that has no stick.

    The repository lies on the shared folder instead; all that goes is what waits for a device.
    """
    units = _ROOT / "deploy" / "units"
    lines = (units / "purga-import.service").read_text().splitlines()
    kept = [line for line in lines if "media-purga.mount" not in line]
    text = "\n".join(kept).replace("/media/purga", "/job/files/releases/repository")
    sandbox = (units / "purga-update.service.d" / "all.conf").read_text()
    where = "systemd/system/purga-bench.service"
    return {where: text + "\n", f"{where}.d/all.conf": sandbox}


def _hands(profile: Profile) -> Job:
    tests = _ROOT / "tests"
    files = [tests / "__init__.py", tests / "device" / "__init__.py"]
    files += sorted((tests / "device").glob("pins_*.py"))
    return Job(
        "hands",
        etc={"purga/pedal.toml": pedal_toml()},
        files={str(file.relative_to(_ROOT)): file for file in files},
        limit_s=900.0,
    )


def _unplugged(profile: Profile) -> Job:
    return Job(
        "unplugged",
        options={"rounds": 20},
        etc={"purga/pedal.toml": pedal_toml()},
        leave_out=("card",),
        limit_s=900.0,
    )


def _climate(profile: Profile) -> Job:
    """The cold half alone, and quicker, in every run; the whole way takes minutes."""
    quick, whole = Programme(factor=120.0, legs=COLD_HALF), Programme(factor=60.0, legs=WHOLE)
    return Job(
        "climate",
        options={"exchange_s": EXCHANGE_S, "sound_s": 40.0 if profile == "ci" else 120.0},
        etc={"purga/pedal.toml": pedal_toml(256, 4)},
        limit_s=1800.0,
        plant=quick if profile == "ci" else whole,
    )


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("start", _plain("start"), "starts by itself, sandboxed, deaf to the network"),
    Scenario("playing-256x4", _playing(256, 4), "no lost period at 256 × 4"),
    Scenario("playing-128x4", _playing(128, 4), "no lost period at 128 × 4"),
    Scenario(
        "playing-128x2", _playing(128, 2, tolerated=COARSE_PERCENT), "no lost period at 128 × 2"
    ),
    Scenario("capture-256x4", _capture, "a small capture at 256 × 4"),
    Scenario(
        "faults",
        _plain("faults", rounds={"ci": 2, "full": 5}),
        "killed or frozen: the relay, then sound",
    ),
    Scenario("kills", _plain("kills", kills={"ci": 50, "full": 50}), "killed 50 times in a row"),
    # The guest takes half a minute to start the engine process, so not in every run.
    Scenario(
        "studio",
        _studio,
        "the studio engine's process dies and no period is lost",
        profiles=("full",),
    ),
    # The guest computes a release's trial for minutes, so not in every run.
    Scenario(
        "update", _update, "models are updated from a stick while one plays", profiles=("full",)
    ),
    Scenario("unplugged", _unplugged, "the interface comes and goes"),
    Scenario("hands", _hands, "knob, footswitch, LEDs, MIDI and pins on real drivers"),
    Scenario("temperatures", _plain("temperatures"), "from −40 to 100 °C"),
    Scenario(
        "climate",
        _climate,
        "out of the cold by its own heater, on the plant's temperatures",
    ),
    Scenario("bad-input", _plain("bad_input"), "wrong files, pins, cards, disks and clocks"),
    Scenario("hang", _plain("hang"), "the kernel hangs and the machine comes back"),
)


def scenarios(profile: Profile) -> tuple[Scenario, ...]:
    """Those that a whole run of the profile holds."""
    return tuple(each for each in SCENARIOS if profile in each.profiles)
