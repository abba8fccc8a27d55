"""A run of the pedal in the foreground, from the command line to the report."""

import argparse
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from device.bank import find_ways
from device.config import Config
from device.errors import AudioFileError, ConfigError, LinkError
from device.files import read_sound, read_sound_at, write_sound
from device.preset import Preset, read_preset
from device.processes.engine_state import EngineState, read_state
from device.processes.meters import COUNTERS, Reading, read_meters
from device.processes.record import PATH_FILE, RECORD_FILE
from device.processes.supervisor import Supervisor
from device.slots import slot_in_use
from device.studio import StudioBundle, read_studio
from device.tools.machine import machine
from device.tools.progress import sound_bar
from device.tools.report import RunRecord, summary, write_report
from device.tools.riff import riff


@dataclass(frozen=True)
class Played:
    """How a run ended."""

    exit_code: int
    lines: list[str] = field(default_factory=list)
    figures: Mapping[str, object] = field(default_factory=dict)


def play(config: Config, options: argparse.Namespace, scratch: Path) -> Played:
    """Run the pedal until its input ends, or on a real board until it is told to stop.

    Raises ``PurgaError`` for wrong input before any process is started.
    """
    shared = _shared_arguments(config, options)
    config.control_state.unlink(missing_ok=True)  # a new run begins as the file says
    config = config.with_slot(slot_in_use(config.slot_link))
    presets = [read_preset(file, config.stage) for file in config.presets]
    if config.board != "simulated":
        if options.input is not None or options.out is not None:
            raise ConfigError("--input and --out belong to the simulated board; leave them out")
        arguments = {
            "audio": shared,
            "control": shared,
            **_engine_arguments(config, presets, shared),
        }
        return Played(Supervisor(arguments, restart_audio=True).run())
    out = (options.out or scratch / "out").absolute()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioFileError(f"{out}: cannot be made ({error.strerror}); name another") from None
    notes: list[str] = []
    rate_hz = config.table.audio.rate_hz
    config.engine_state.unlink(missing_ok=True)
    sound = read_sound_at(options.input, rate_hz, notes) if options.input else riff(rate_hz)
    write_sound(out / "input.wav", sound, rate_hz)
    for name in ("run.wav", RECORD_FILE, PATH_FILE, "report.html", "report.json"):
        (out / name).unlink(missing_ok=True)
    # Before the processes start, so that its bar and theirs do not mix.
    network = _network(config, presets)
    find_ways(presets, rate_hz, config.table.audio.interface_dbu, network=network)
    duration_s = sound.shape[1] / rate_hz
    first = presets[config.first_preset].table.morph
    arguments = {
        "audio": [*shared, "--input", str(out / "input.wav"), "--out", str(out)],
        # A knob that turned by itself would end the scenes.
        "control": shared if first.scenes else [*shared, "--duration", f"{duration_s:.6f}"],
        **_engine_arguments(config, presets, shared),
    }
    code = _play_with_progress(config, Supervisor(arguments, restart_audio=False), duration_s)
    if code != 0 or not (out / "run.wav").exists():
        return Played(code or 1, notes)
    record = _record(config, options, out)
    lines = [*notes, *_closing_lines(record)]
    if options.out is not None:
        page = write_report(record, out)
        lines.append(f"sound   {out / 'run.wav'}")
        lines.append(f"report  {page}")
    return Played(0, lines, summary(record))


def _engine_arguments(
    config: Config, presets: Sequence[Preset], shared: list[str]
) -> dict[str, list[str]]:
    """What the engine process is started with, where a preset needs it and there is a bundle.

    Raises ``ModelError`` for a bundle that cannot be played: a run begins with what was asked for.
    """
    return {} if _network(config, presets) is None else {"engine": shared}


def _network(config: Config, presets: Sequence[Preset]) -> StudioBundle | None:
    """The studio engine's network, where a preset needs it and there is a bundle."""
    if config.bundle is None or not any(preset.plays_studio for preset in presets):
        return None
    return read_studio(config.bundle, config.table.studio)


def _shared_arguments(config: Config, options: argparse.Namespace) -> list[str]:
    arguments = ["--board", config.board, "--runtime", str(config.runtime.absolute())]
    if options.config is not None:
        arguments += ["--config", str(options.config.absolute())]
    if options.preset is not None:
        arguments += ["--preset", str(options.preset.absolute())]
    if options.bundle is not None:
        arguments += ["--bundle", str(options.bundle.absolute())]
    return arguments


def _play_with_progress(config: Config, supervisor: Supervisor, duration_s: float) -> int:
    """Run, with a bar that follows the meters."""
    with sound_bar("playing", duration_s) as bar:

        def follow() -> None:
            try:
                values = read_meters(config.meters).values
            except LinkError:
                return  # not yet started
            if values["rate_hz"]:
                played_s = values["periods"] * values["period_frames"] / values["rate_hz"]
                bar.update(min(played_s, duration_s) - bar.n)

        return supervisor.run(follow)


def _record(config: Config, options: argparse.Namespace, out: Path) -> RunRecord:
    """Gather what the processes left behind."""
    sound, rate_hz = read_sound(out / "run.wav")
    dry, _ = read_sound(out / "input.wav")
    log = np.load(out / RECORD_FILE)
    path = json.loads((out / PATH_FILE).read_text())
    reading: Reading = read_meters(config.meters)
    audio = config.table.audio
    periods = len(log["positions"])
    return RunRecord(
        title=f"{path['name']}: {options.input.name if options.input else 'the riff'}",
        preset_name=path["name"],
        board=config.board,
        simulated=True,
        rate_hz=rate_hz,
        period_frames=audio.period_frames,
        sound=sound,
        dry=dry,
        position_times_s=(np.arange(periods) + 1.0) * audio.period_frames / rate_hz,
        positions=log["positions"],
        knob=log["knob"],
        period_ms=log["busy_ns"] / 1e6,
        counters={name: reading.values[name] for name in COUNTERS},
        counter_help=COUNTERS,
        latency=[(where, what, frames) for where, what, frames in path["latency"]],
        tones=path["tones"],
        way=path["way"],
        machine={
            **machine(),
            "audio process": f"{path['peak_resident_mib']} MiB resident at most",
            **_engine_row(read_state(config.engine_state)),
        },
        command=_command(options),
    )


def _engine_row(state: EngineState | None) -> dict[str, str]:
    """What the engine process said of itself, where one ran."""
    if state is None:
        return {}
    return {
        "engine process": f"{state.provider}, {state.precision}, {state.bundle}: {state.windows} "
        f"windows, {state.window_ms:.1f} ms each, for hops of {state.hop_ms:.1f} ms"
    }


def _command(options: argparse.Namespace) -> str:
    words = ["python", "-m", "device", "run", "--board", "simulated"]
    for name in ("config", "preset", "bundle", "input", "out"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def _closing_lines(record: RunRecord) -> list[str]:
    period_ms = 1000.0 * record.period_frames / record.rate_hz
    p50, p99, worst = (float(np.percentile(record.period_ms, p)) for p in (50, 99, 100))
    counted = {name: count for name, count in record.counters.items() if count}
    counted.pop("periods", None)
    return [
        f"played {record.sound.shape[1] / record.rate_hz:.1f} s of {record.preset_name} "
        f"(SIMULATED board)",
        f"period {period_ms:.3f} ms: p50 {p50:.3f}, p99 {p99:.3f}, max {worst:.3f} ms of CPU time",
        "counted " + (", ".join(f"{k} {v}" for k, v in counted.items()) or "nothing amiss"),
    ]
