"""The bench's commands: ``python -m hil COMMAND``."""

import argparse
import json
import sys
from pathlib import Path

from models.errors import PurgaError


def _run(options: argparse.Namespace) -> int:
    # What only a run needs is imported by a run.
    from hil.report import write_report
    from hil.results import verdict
    from hil.virtual.run import run_suite
    from hil.virtual.suite import scenarios

    results = run_suite(options.profile, options.out, options.only, options.at_once)
    expected = options.only or [each.name for each in scenarios(options.profile)]
    command = f"python -m hil run --profile {options.profile}"
    page = write_report(results, options.out, expected=expected, command=command)
    found = verdict(results, expected)
    missed = sum(len(each.missed) + (each.failed_because is not None) for each in results)
    held = sum(len(each.checks) - len(each.missed) for each in results)
    print(f"report  {page}")
    print(f"verdict {found} (SIMULATED)")
    print(f"{held} passed, {missed} failed")
    if options.json:
        print(json.dumps({"verdict": found, "report": str(page.with_name("report.json"))}))
    return 0 if found == "pass" else 1


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 for missed numbers, 2 for wrong input."""
    parser = argparse.ArgumentParser(prog="python -m hil", description=__doc__)
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    line = "build the virtual pedal and prove what it promises; a page and JSON in out/hil"
    run = choices.add_parser("run", help=line, description=line)
    run.add_argument(
        "--profile",
        choices=("ci", "full"),
        default="ci",
        help="ci: a minute for each configuration; full: ten, as make soak does",
    )
    run.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these scenarios alone")
    run.add_argument("--out", type=Path, default=Path("out/hil"), metavar="FOLDER")
    run.add_argument(
        "--at-once", type=int, metavar="N", help="machines side by side; by default one a core"
    )
    run.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args(arguments)
    if options.at_once is not None and options.at_once < 1:
        parser.error(f"--at-once is {options.at_once}, but must be 1 or more")
    try:
        return _run(options)
    except PurgaError as error:
        print(f"{parser.prog} {options.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
