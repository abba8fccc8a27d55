"""What each block and each preset costs per period."""

import itertools
import json
import resource
import socket
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from device.bank import find_ways
from device.config import bundled_presets
from device.files import whole_file, write_sound
from device.prepare import playable
from device.preset import read_preset
from device.processes.realtime import no_garbage_collection
from device.processes.studio_link import StudioLink
from device.sound.block import Block
from device.sound.blocks.cab import CabBlock
from device.sound.blocks.effects import EFFECTS, EffectBlock
from device.sound.blocks.nam import NamBlock
from device.sound.follow import Follow, FollowSettings
from device.sound.morph import ENGINES, Stage, Studio
from device.sound.morph.studio_feed import timing_of
from device.sound.player import Player
from device.sound.steering import Steering
from device.tools.machine import machine
from device.tools.riff import riff
from models.music2latent.stream import StreamSettings
from models.units import Audio

PERIODS_FRAMES = (16, 32, 64, 128)
RATE_HZ = 48000
_WARM_UP = 200
_PERCENTILES = {"p50": 50.0, "p99": 99.0, "p999": 99.9, "max": 100.0}

Step = Callable[[Audio, Audio], None]


def bench(seconds: float, preset: Path | None = None) -> dict[str, Any]:
    """Time every kind of block, each engine, and the presets, at 16 to 128 frames.

    Times are µs per period: ``cpu_…`` of this thread, which other work on the machine does not
    lengthen, and ``wall_…``. ``load_percent`` is the CPU p99 against the period,
    ``beyond_the_period`` counts periods whose CPU time was longer than they last.
    """
    no_garbage_collection()
    guitar = riff(RATE_HZ)
    with tempfile.TemporaryDirectory() as folder:
        presets = (_two_captures(Path(folder)), *bundled_presets(), *([preset] if preset else []))
        find_ways([read_preset(file) for file in presets], RATE_HZ)
        rows = _rows(Path(folder), presets)
        total = len(rows) * len(PERIODS_FRAMES)
        results = []
        with tqdm(total=total, desc="bench", disable=None) as bar:
            for name, make in rows.items():
                for frames in PERIODS_FRAMES:
                    step = make(frames)
                    results.append({"name": name, **_time(step, guitar, frames, seconds)})
                    bar.update()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"machine": machine(), "rate_hz": RATE_HZ, "rows": results, "peak_rss_mib": peak_mib}


def _rows(folder: Path, presets: Sequence[Path]) -> Mapping[str, Callable[[int], Step]]:
    """What is timed: a name, and what makes a prepared step for a period."""
    capture, response = folder / "1.nam", folder / "1.wav"
    blocks: dict[str, Callable[[], Block]] = {
        "nam (WaveNet standard, seeded weights)": partial(NamBlock, capture),
        "cab (0.5 s)": partial(CabBlock, response),
        **{kind: partial(EffectBlock, kind) for kind in EFFECTS},
    }
    return {
        **{name: partial(_block_step, make) for name, make in blocks.items()},
        **{f"morph {kind}": partial(_morph_step, kind) for kind in ENGINES},
        "morph studio, the period's part of it": _studio_step,
        "follow": _follow_step,
        **{f"preset {file.stem}": partial(_preset_step, file) for file in presets},
        "changes all presets, 30 times": partial(_changing_step, presets),
    }


def _two_captures(folder: Path) -> Path:
    """A preset of two standard captures and two cabinets of half a second."""
    for seed in (1, 2):
        (folder / f"{seed}.nam").write_text(json.dumps(standard_capture(seed)))
        decay = np.exp(-np.arange(RATE_HZ // 2) / (0.02 * RATE_HZ))
        noise = np.random.default_rng(seed).normal(size=decay.size)
        response = (0.1 * decay * noise).astype(np.float32)
        write_sound(folder / f"{seed}.wav", response[None, :], RATE_HZ)
    file = folder / "two captures, two cabs.toml"
    tones = "".join(
        f'[tone.{side}]\nchain = [{{ block = "nam", file = "{seed}.nam" }}, '
        f'{{ block = "cab", file = "{seed}.wav" }}]\n'
        for side, seed in (("a", 1), ("b", 2))
    )
    file.write_text(f'format = 1\nname = "Two captures"\n{tones}')
    return file


def _block_step(make: Callable[[], Block], frames: int) -> Step:
    block = make()
    block.prepare(RATE_HZ, frames)
    return block.process


def _morph_step(kind: str, frames: int) -> Step:
    engine = ENGINES[kind]()
    engine.prepare(RATE_HZ, frames)
    positions = np.full(frames, 0.5, np.float32)
    other = np.empty((1, frames), np.float32)

    def step(source: Audio, target: Audio) -> None:
        np.tanh(source, out=other)
        engine.process(source, other, positions, target)

    return step


def _studio_step(frames: int) -> Step:
    """The stand-in, the delay, and a queue that nobody empties; the network runs elsewhere."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer = StudioLink(Path("none"))
    engine = Studio(Stage(), peer, timing_of(StreamSettings(), RATE_HZ))
    engine.prepare(RATE_HZ, frames)
    peer.adopt(here)
    positions = np.full(frames, 0.5, np.float32)
    other = np.empty((1, frames), np.float32)

    def step(source: Audio, target: Audio) -> None:
        np.tanh(source, out=other)
        engine.process(source, other, positions, target)

    for end in (here, there):
        weakref.finalize(step, end.close)
    return step


def _follow_step(frames: int) -> Step:
    steering = Steering(Follow(FollowSettings(depth=1.0)))
    steering.prepare(RATE_HZ, frames)
    knob = np.zeros(frames, np.float32)

    def step(source: Audio, _target: Audio) -> None:
        steering.process(source, 0.0, knob)

    return step


def _preset_step(file: Path, frames: int) -> Step:
    player = Player([playable(read_preset(file), RATE_HZ)])
    player.prepare(RATE_HZ, frames)
    return lambda source, target: player.process(source, 0.5, target)


def _changing_step(files: Sequence[Path], frames: int) -> Step:
    """Go through the bank, one change each 50 periods until there were 30."""
    player = Player([playable(read_preset(file), RATE_HZ) for file in files])
    player.prepare(RATE_HZ, frames)
    periods = itertools.count()

    def step(source: Audio, target: Audio) -> None:
        if next(periods) % 50 == 0 and player.preset_changes < 30 + _WARM_UP // 50:
            player.select((player.active + 1) % len(files))
        player.process(source, 0.5, target)

    return step


def _time(step: Step, guitar: Audio, frames: int, seconds: float) -> dict[str, float]:
    periods = max(_WARM_UP, round(seconds * RATE_HZ / frames))
    cpu_ns = np.zeros(periods, np.int64)
    wall_ns = np.zeros(periods, np.int64)
    target = np.zeros((1, frames), np.float32)
    starts = guitar.shape[1] // frames
    for index in range(-_WARM_UP, periods):
        at = (index % starts) * frames
        source = guitar[:, at : at + frames]
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        step(source, target)
        cpu, wall = time.thread_time_ns() - cpu, time.perf_counter_ns() - wall
        if index >= 0:
            cpu_ns[index], wall_ns[index] = cpu, wall
    period_us = 1e6 * frames / RATE_HZ
    figures: dict[str, float] = {"period_frames": frames, "period_us": round(period_us, 1)}
    for clock, times in (("cpu", cpu_ns), ("wall", wall_ns)):
        for label, percent in _PERCENTILES.items():
            figures[f"{clock}_{label}_us"] = round(float(np.percentile(times, percent)) / 1e3, 1)
    figures["beyond_the_period"] = int(np.count_nonzero(cpu_ns > 1e3 * period_us))
    figures["cpu_mean_us"] = round(float(cpu_ns.mean()) / 1e3, 1)
    figures["load_p50_percent"] = round(100.0 * figures["cpu_p50_us"] / period_us, 1)
    figures["load_percent"] = round(100.0 * figures["cpu_p99_us"] / period_us, 1)
    return figures


def standard_capture(seed: int) -> dict[str, Any]:
    """A .nam of the common "standard" size with seeded weights: its cost is a real one's."""
    common = {
        "condition_size": 1,
        "kernel_size": 3,
        "dilations": [2**power for power in range(10)],
        "activation": "Tanh",
        "gated": False,
    }
    arrays = [
        {**common, "input_size": 1, "channels": 16, "head_size": 8, "head_bias": False},
        {**common, "input_size": 16, "channels": 8, "head_size": 1, "head_bias": True},
    ]
    weights = np.random.default_rng(seed).normal(0.0, 0.2, 13802)
    return {
        "version": "0.5.4",
        "architecture": "WaveNet",
        "config": {"layers": arrays, "head": None, "head_scale": 0.02},
        "weights": [round(float(weight), 6) for weight in weights],
        "sample_rate": RATE_HZ,
    }


def table(result: Mapping[str, Any]) -> list[str]:
    """The figures for a terminal."""
    machine_line = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    lines = [
        machine_line,
        f"{'CPU µs per period':<42}{'frames':>7}{'p50':>9}{'p99':>9}{'p99.9':>9}{'max':>9}"
        f"{'load p50':>10}{'p99':>8}{'wall p99':>10}{'too long':>10}",
    ]
    lines += [
        f"{row['name']:<42}{row['period_frames']:>7}{row['cpu_p50_us']:>9}{row['cpu_p99_us']:>9}"
        f"{row['cpu_p999_us']:>9}{row['cpu_max_us']:>9}{row['load_p50_percent']:>8} %"
        f"{row['load_percent']:>6} %"
        f"{row['wall_p99_us']:>10}{row['beyond_the_period']:>10}"
        for row in result["rows"]
    ]
    return [*lines, f"peak resident memory {result['peak_rss_mib']:.0f} MiB"]


def write(result: Mapping[str, Any], file: Path) -> None:
    """Write the figures as JSON, whole or not at all. Raises ``AudioFileError``."""
    with whole_file(file) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")
