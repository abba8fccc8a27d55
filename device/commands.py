"""What each command does, between its arguments and its figures."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device.config import (
    Config,
    StudioTable,
    interface_level_dbu,
    load_config,
    stage_of,
    studio_of,
)
from device.errors import ConfigError
from device.outcome import Outcome
from device.preset import read_preset
from device.script import Script, sweep
from device.sound.morph import Studio
from device.studio import StudioBundle, read_studio
from device.tools import bench as bench_tool
from device.tools import render as render_tool
from device.tools import session
from device.tools.render import Rendered


def _config(options: argparse.Namespace, runtime: Path | None = None) -> Config:
    return load_config(
        options.config, options.board, options.preset, runtime or options.runtime, options.bundle
    )


def run(options: argparse.Namespace) -> Outcome:
    """Play in the foreground: every process, and a report where ``--out`` asks for one."""
    with tempfile.TemporaryDirectory(prefix="purga-") as scratch:
        # A run of its own beside others, unless a folder was named for `status` to find.
        named = options.runtime or options.board == "jetson"
        config = _config(options, None if named else Path(scratch))
        result = session.play(config, options, Path(scratch))
    return Outcome(result.lines, result.figures, result.exit_code)


def render(options: argparse.Namespace) -> Outcome:
    """Render a file through a preset."""
    preset = read_preset(options.preset, stage_of(options.config))
    rendered = render_tool.render(
        preset,
        options.source,
        options.target,
        None if options.scenes else _script(options),
        interface_level_dbu(options.config),
        _studio(options) if preset.plays_studio else None,
    )
    return _rendered(rendered, options)


def _studio(options: argparse.Namespace) -> StudioBundle:
    """The studio engine's network: that of ``--bundle``, or of ``--config``'s pedal.toml.

    Raises ``ConfigError`` where neither names one, ``ModelError`` for one that cannot be played.
    """
    file = getattr(options, "config", None)
    table, folder = (StudioTable(), None) if file is None else studio_of(file)
    bundle = options.bundle or folder
    if bundle is None:
        raise ConfigError(
            "the studio engine needs its network; give --bundle FOLDER, or name one as [studio] "
            "bundle in pedal.toml (python -m build bundle makes one)"
        )
    studio = read_studio(bundle, table)
    hop_frames = getattr(options, "hop_frames", None)
    return studio if hop_frames is None else studio.with_hop(hop_frames)


def tone(options: argparse.Namespace) -> Outcome:
    """Render a file through one tone."""
    preset = read_preset(options.preset)
    rendered = render_tool.tone(
        preset, options.source, options.target, options.side, interface_level_dbu(options.config)
    )
    return _rendered(rendered, options)


def morph(options: argparse.Namespace) -> Outcome:
    """Morph two recordings."""
    engine = None
    if options.engine == Studio.kind:
        studio = _studio(options)
        if options.hop_frames is None:
            studio = studio.without_overlap()
        engine = studio.engine_ahead
    rendered = render_tool.morph(
        options.a, options.b, options.target, options.engine, _script(options), engine
    )
    return _rendered(rendered, options)


def _script(options: argparse.Namespace) -> Callable[[float], Script]:
    """What the knob does for a duration in s, by ``--sweep`` or ``--position``."""

    def script(duration_s: float) -> Script:
        return sweep(duration_s) if options.sweep else Script(points=((0.0, options.position),))

    return script


def _rendered(rendered: Rendered, options: argparse.Namespace) -> Outcome:
    figures = {"file": str(options.target), **rendered.summary()}
    for note in rendered.notes:
        print(note, file=sys.stderr)
    beyond = figures["beyond_full_scale"]
    lines = [
        f"{options.target}: {rendered.sound.shape[1] / rendered.rate_hz:.2f} s, peak "
        f"{figures['peak_dbfs']} dBFS, RMS {figures['rms_dbfs']} dBFS, latency compensated "
        f"{rendered.latency_frames} frames"
    ]
    lines += _steered_lines(rendered)
    if beyond:
        lines.append(f"{beyond} samples lie beyond full scale; lower output.level_db to play it")
    if rendered.nan_periods:
        lines.append(f"{rendered.nan_periods} periods held a NaN and were faded out")
    return Outcome(lines, figures)


def _steered_lines(rendered: Rendered) -> list[str]:
    """Where the position was, in a render with a knob; and how loud the playing, where it led."""
    if rendered.trace is None:
        return []
    figures: Any = rendered.trace.summary()
    at = figures["position"]
    lines = []
    if at["lowest"] != at["highest"]:
        lines.append(f"position {at['lowest']:.3f}…{at['highest']:.3f}, mean {at['mean']:.3f}")
    if "playing_dbfs" in figures:
        level = figures["playing_dbfs"]
        lines.append(
            f"playing, after input gain: p10 {level['p10']}, p50 {level['p50']}, p90 "
            f"{level['p90']}, highest {level['p100']} dBFS; "
            "follow.from_db and to_db belong between them"
        )
    return lines


def bench(options: argparse.Namespace) -> Outcome:
    """Time every block."""
    if not 0.1 <= options.seconds <= 600.0:
        raise ConfigError(f"--seconds is {options.seconds:g}, but must lie in 0.1…600")
    result = bench_tool.bench(options.seconds, options.preset)
    if options.json_file is not None:
        bench_tool.write(result, options.json_file)
    return Outcome(bench_tool.table(result), result)
