"""The bench's commands: ``python -m hil COMMAND``."""

import argparse
import json
import sys
from pathlib import Path

from models.errors import PurgaError


def _run(options: argparse.Namespace) -> int:
    # What only a run needs is imported by a run.
    from hil.runs.finish import begin, finish
    from hil.runs.whole import Options, run_whole

    asked = Options(
        out=options.out,
        profile=options.profile,
        only=tuple(options.only),
        suites=tuple(options.suites),
        resume=options.resume,
        virtual=options.virtual,
        at_once=options.at_once,
        bench=options.bench,
    )
    command = f"python -m hil run --profile {asked.profile}"
    if asked.bench is not None:
        command += f" --bench {asked.bench.name}"
    # Whatever becomes of the run, no report of an earlier one may be taken for its own.
    outcome = run_whole(asked, lambda begun: begin(begun, asked.out, command))
    done = finish(outcome, asked.out, command)
    for line in done.lines:
        print(line)
    if options.json:
        print(json.dumps({"verdict": done.verdict, "report": str(asked.out / "report.json")}))
    if outcome.refused:
        print(f"python -m hil run: {outcome.refused}", file=sys.stderr)
        return 2
    return 0 if done.verdict == "pass" else 1


def _report(options: argparse.Namespace) -> int:
    from hil.runs.finish import again

    done = again(options.folder)
    for line in done.lines:
        print(line)
    if options.json:
        print(json.dumps({"verdict": done.verdict, "report": str(options.folder / "report.json")}))
    return 0 if done.verdict == "pass" else 1


def _check(options: argparse.Namespace) -> int:
    from hil.raw import check_manifest

    good, wrong = check_manifest(options.folder)
    for line in wrong:
        print(line)
    print(f"{good} files as they were written, {len(wrong)} not")
    if options.json:
        print(json.dumps({"good": good, "wrong": list(wrong)}))
    return 1 if wrong else 0


def _loopback(options: argparse.Namespace) -> int:
    from hil.bench_file import measure_audio

    found, file = measure_audio(options.bench)
    print(f"{file}: {found.own_frames:.3f} frames, ± {found.spread_frames / 2:.3f}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0, 1 for missed numbers and runs that are not whole, 2 for wrong input.
    """
    parser = argparse.ArgumentParser(prog="python -m hil", description=__doc__)
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    line = "run the bench, simulated or the one of a file; a report (page, PDF, JSON) in out/hil"
    run = choices.add_parser("run", help=line, description=line)
    run.set_defaults(act=_run)
    run.add_argument("--bench", type=Path, metavar="FILE", help="the real bench of this bench.toml")
    run.add_argument(
        "--profile",
        choices=("short", "ci", "full"),
        default="ci",
        help="short: a tenth of the shots, half of the cold starts; ci: 1,000 shots, 100 starts, "
        "a minute for each configuration of the virtual pedal; full: 400 starts, ten minutes",
    )
    run.add_argument(
        "--suites", nargs="+", default=[], metavar="SUITE",
        help="these suites alone: thermal, latency, recovery, proof, cold-starts, virtual",
    )  # fmt: skip
    run.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these stages alone")
    run.add_argument(
        "--resume", action="store_true", help="take up what an interrupted run has finished"
    )
    run.add_argument(
        "--virtual", action=argparse.BooleanOptionalAction,
        help="with the virtual pedal's scenarios, or without; by default in a simulation",
    )  # fmt: skip
    run.add_argument("--out", type=Path, default=Path("out/hil"), metavar="FOLDER")
    run.add_argument(
        "--at-once", type=int, metavar="N", help="tasks side by side; by default one a core"
    )
    run.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    line = "make a run's report anew from what its stages left"
    report = choices.add_parser("report", help=line, description=line)
    report.set_defaults(act=_report)
    report.add_argument("folder", type=Path, metavar="FOLDER", help="of a run, as out/hil")
    report.add_argument(
        "--json", action="store_true", help="print one JSON object as the last line"
    )
    line = "whether every file of a report is what was written"
    check = choices.add_parser("check", help=line, description=line)
    check.set_defaults(act=_check)
    check.add_argument("folder", type=Path, metavar="FOLDER", help="of a report, as out/hil")
    check.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    line = "measure the bench's own interface, a cable in the pedal's place; kept beside bench.toml"
    loopback = choices.add_parser("loopback", help=line, description=line)
    loopback.set_defaults(act=_loopback)
    loopback.add_argument("--bench", type=Path, metavar="FILE", required=True)
    options = parser.parse_args(arguments)
    if getattr(options, "at_once", None) is not None and options.at_once < 1:
        parser.error(f"--at-once is {options.at_once}, but must be 1 or more")
    try:
        return int(options.act(options))
    except PurgaError as error:
        print(f"{parser.prog} {options.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
