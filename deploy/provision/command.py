"""``python -m deploy provision``: arguments in, lines and one JSON object out."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from deploy.provision.errors import ProvisionError, ProvisionInputError
from deploy.provision.host import restart_services
from deploy.provision.machine import TARGET, Machine
from deploy.provision.step import Outcome, State, go_through
from deploy.provision.steps import STEPS
from deploy.provision.updates import checked_root, updates_held


def _cpus(text: str) -> tuple[int, ...]:
    cpus: set[int] = set()
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
    except ValueError:
        cpus.clear()
    if not cpus:
        raise argparse.ArgumentTypeError(f"{text!r} names no processors; give 4,5 or 4-5")
    return tuple(sorted(cpus))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy provision",
        description="Make this machine a pedal. What is done already is left alone.",
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing, say what is missing; exit 1 if any is"
    )
    parser.add_argument(
        "--config", type=Path, metavar="F", help="pedal.toml for a machine that has none"
    )
    parser.add_argument(
        "--presets", type=Path, metavar="DIR", help="presets for it, where it has none of that name"
    )
    parser.add_argument(
        "--target", type=Path, default=TARGET, help=f"folder of the code; by default {TARGET}"
    )
    parser.add_argument(
        "--cpus",
        type=_cpus,
        metavar="LIST",
        help="processors for audio alone, such as 4,5; by default [audio] cpus of pedal.toml",
    )
    parser.add_argument(
        "--root",
        type=Path,
        metavar="FILE",
        help="root.json of whoever publishes updates for it, and so their root of trust",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser


def _machine(options: argparse.Namespace) -> Machine:
    """What is given, checked. Raises ``ProvisionInputError``."""
    for path, kind in ((options.config, "file"), (options.presets, "folder")):
        if path is not None and not (path.is_file() if kind == "file" else path.is_dir()):
            raise ProvisionInputError(f"{path}: there is no such {kind}")
    if not options.target.is_absolute() or len(options.target.parts) < 3:
        raise ProvisionInputError(f"--target {options.target} must be a path such as {TARGET}")
    if os.geteuid() != 0:
        raise ProvisionInputError("only root can set a machine up; run it with sudo")
    return Machine(
        target=options.target,
        config=None if options.config is None else options.config.absolute(),
        presets=None if options.presets is None else options.presets.absolute(),
        cpus=options.cpus,
        root_json=None if options.root is None else checked_root(options.root),
    )


def _figures(outcomes: Sequence[Outcome], error: str | None) -> dict[str, object]:
    return {
        "ready": error is None and not any(outcome.lacks for outcome in outcomes),
        "missing": [outcome.step for outcome in outcomes if outcome.lacks],
        "error": error,
        "steps": [
            {"step": each.step, "state": each.state, "about": each.about, "advice": each.advice}
            for each in outcomes
        ],
    }


def _say(line: str) -> None:
    print(line, flush=True)


def main(argv: Sequence[str]) -> int:
    """Provision, or check; returns 0, or 1 where the machine is no pedal yet."""
    options = _parser().parse_args(argv)
    machine = _machine(options)
    os.umask(0o022)
    outcomes: list[Outcome] = []
    try:
        with nullcontext() if options.check else updates_held(machine):
            for outcome in go_through(STEPS, machine, options.check, _say):
                outcomes.append(outcome)
        if machine.booted and any(each.state is State.CHANGED for each in outcomes):
            _say("starting the services again, with what has changed")
            restart_services(machine)
    except ProvisionError as error:
        if options.json:
            print(json.dumps(_figures(outcomes, str(error))))
        raise
    lacking = [outcome for outcome in outcomes if outcome.lacks]
    if lacking:
        names = ", ".join(outcome.step for outcome in lacking)
        print(f"not a pedal yet: {names}", file=sys.stderr)
    if options.json:
        print(json.dumps(_figures(outcomes, None)))
    return 1 if lacking else 0
