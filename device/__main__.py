"""The pedal's commands: ``python -m device COMMAND``."""

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from device.engine_kinds import ENGINE_KINDS
from device.outcome import Outcome
from models.errors import PurgaError


def _unit(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no position; give a number from 0 to 1")
    return value


def _preset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", type=Path, required=True, metavar="P", help="preset (TOML)")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="pedal.toml, for interface_dbu and [studio]"
    )
    _bundle(parser)


def _bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="FOLDER",
        help="the studio engine's network, instead of [studio] bundle in pedal.toml",
    )


def _hop(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--hop-frames",
        type=int,
        metavar="N",
        help=f"studio engine: STFT frames from one window to the next; by default {default}",
    )


def _sound_in_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="IN", help="WAV, FLAC, MP3, OGG or AIFF")
    parser.add_argument("target", type=Path, metavar="OUT", help="WAV (float32) or FLAC (24 bit)")


def _pedal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="pedal.toml")
    parser.add_argument("--board", choices=("simulated", "jetson"), help="instead of the file's")
    parser.add_argument("--preset", type=Path, metavar="P", help="this preset alone")
    parser.add_argument(
        "--runtime", type=Path, metavar="FOLDER", help="where sockets and meters are kept"
    )
    _bundle(parser)


def _run(parser: argparse.ArgumentParser) -> None:
    _pedal(parser)
    parser.add_argument("--input", type=Path, metavar="FILE", help="guitar (simulated board)")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write the sound and a report there"
    )


def _audio(parser: argparse.ArgumentParser) -> None:
    _run(parser)
    parser.add_argument("--supervised", action="store_true", help="end with the supervisor")


def _control(parser: argparse.ArgumentParser) -> None:
    _pedal(parser)
    parser.add_argument("--duration", type=float, metavar="S", help="of the default script")
    parser.add_argument("--supervised", action="store_true", help="end with the supervisor")


def _engine(parser: argparse.ArgumentParser) -> None:
    _pedal(parser)
    parser.add_argument("--supervised", action="store_true", help="end with the supervisor")


def _render(parser: argparse.ArgumentParser) -> None:
    _sound_in_out(parser)
    _preset(parser)
    _hop(parser, "as live")
    knob = parser.add_mutually_exclusive_group(required=True)
    knob.add_argument("--position", type=_unit, metavar="0…1", help="hold the knob there")
    knob.add_argument("--sweep", action="store_true", help="turn it from tone A to tone B")
    knob.add_argument("--scenes", action="store_true", help="let the preset's scenes move it")


def _tone(parser: argparse.ArgumentParser) -> None:
    _sound_in_out(parser)
    _preset(parser)
    parser.add_argument("--side", choices=("a", "b"), required=True, help="which tone")


def _morph(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", type=Path, metavar="A", help="tone A of a performance")
    parser.add_argument("b", type=Path, metavar="B", help="tone B of the same performance")
    parser.add_argument("target", type=Path, metavar="OUT", help="WAV or FLAC")
    parser.add_argument("--engine", choices=ENGINE_KINDS, default="stage", help="by default stage")
    _bundle(parser)
    _hop(parser, "as many as a window has, so that none overlap")
    knob = parser.add_mutually_exclusive_group()
    knob.add_argument(
        "--position", type=_unit, default=0.5, metavar="0…1", help="hold the knob there; else 0.5"
    )
    knob.add_argument("--sweep", action="store_true", help="turn it from A to B")


def _bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", type=Path, metavar="P", help="time this preset as well")
    parser.add_argument("--seconds", type=float, default=4.0, help="of sound per row")
    parser.add_argument("--json-file", type=Path, metavar="FILE", help="write the figures there")


def _status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runtime", type=Path, metavar="FOLDER", help="the pedal's folder")
    parser.add_argument("--watch", action="store_true", help="again each second, until Ctrl-C")


def _learn(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runtime", type=Path, metavar="FOLDER", help="the pedal's folder")
    parser.add_argument("--seconds", type=float, metavar="S", help="instead of until Enter")


Command = tuple[str, Callable[[argparse.ArgumentParser], None], str]
_OFFLINE, _UNIT = "device.commands", "device.unit_commands"
COMMANDS: dict[str, Command] = {
    "run": ("play: the pedal in the foreground", _run, _OFFLINE),
    "render": ("a file through a preset, offline", _render, _OFFLINE),
    "tone": ("a file through one tone of a preset", _tone, _OFFLINE),
    "morph": ("morph two recordings of one performance", _morph, _OFFLINE),
    "bench": ("what each block costs per period", _bench, _OFFLINE),
    "status": ("what a pedal that runs says of itself", _status, "device.status"),
    "learn": ("find the ends of knob and pedals by turning them", _learn, "device.learn_command"),
    "audio": ("the audio process alone (a unit starts it)", _audio, _UNIT),
    "engine": ("the studio engine's process alone (a unit starts it)", _engine, _UNIT),
    "control": ("the control process alone (a unit starts it)", _control, _UNIT),
}
"""Each command's line of help, its arguments, and the module with the function of its name.

The module is imported when the command is called: a pedal that starts needs no pictures.
"""


def _call(options: argparse.Namespace) -> Outcome:
    """Do what was asked for. Raises ``PurgaError``."""
    module = importlib.import_module(COMMANDS[options.command][2])
    outcome: Outcome = getattr(module, options.command)(options)
    return outcome


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 for failed work, 2 for wrong input."""
    parser = argparse.ArgumentParser(prog="python -m device", description=__doc__)
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    given = sys.argv[1:] if arguments is None else arguments
    for name, (line, declare, _) in COMMANDS.items():
        command = choices.add_parser(name, help=line, description=line)
        if name not in given:
            continue  # argparse formats a help text for each argument, and a unit's start waits
        declare(command)
        command.add_argument(
            "--json", action="store_true", help="print one JSON object as the last line"
        )
    options = parser.parse_args(arguments)
    try:
        outcome = _call(options)
    except PurgaError as error:
        print(f"{parser.prog} {options.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(json.dumps(outcome.figures))
    else:
        print("\n".join(outcome.lines))
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
