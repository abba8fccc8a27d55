"""``python -m build check DIR``: prove without a GPU that TensorRT can build a bundle.

TensorRT does not run without an NVIDIA GPU, and what it refuses it refuses on the Jetson, minutes
into a build. So what it documents is checked here: the operators it reads, the types, the Q/DQ it
asks for; and what a CPU can show or would hide: the golden pair, and half precision's range.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from build.operators import operator_list, targets
from build.rules import RULES
from build.rules.rule import Outcome, Rule
from build.rules.subject import Subject
from models.manifest import Bundle, read_bundle

SHOWN = 3
"""Findings of a rule that the table shows; ``--json`` gives more."""

MOST_FINDINGS = 100

Results = list[tuple[Rule, Outcome]]


def check(subject: Subject, rules: Sequence[Rule] = RULES) -> Results:
    """Apply the rules; the bundle is ready where none found anything."""
    return [(rule, rule.check(subject)) for rule in rules]


def ready(results: Results) -> bool:
    """Whether every rule holds."""
    return not any(outcome.findings for _, outcome in results)


def table(results: Results) -> list[str]:
    """A line for each rule, and below it what it found."""
    lines = []
    for rule, outcome in results:
        verdict = "FAILS" if outcome.findings else "holds"
        note = f" ({outcome.note})" if outcome.note else ""
        lines.append(f"{verdict}  {rule.id:15}{rule.statement}{note}")
        lines += [f"       {found.where}: {found.what}" for found in outcome.findings[:SHOWN]]
        if len(outcome.findings) > SHOWN:
            lines.append(f"       and {len(outcome.findings) - SHOWN} more")
    return lines


def figures(bundle: Bundle, subject: Subject, results: Results, took_s: float) -> dict[str, object]:
    """What ``--json`` prints."""
    return {
        "bundle": bundle.manifest.name,
        "sha256": bundle.sha256,
        "targets": [target.tensorrt for target in subject.targets],
        "ready": ready(results),
        "took_s": round(took_s, 2),
        "rules": [
            {
                "id": rule.id,
                "holds": not outcome.findings,
                "note": outcome.note,
                "source": rule.source,
                "findings": [
                    {"where": found.where, "what": found.what}
                    for found in outcome.findings[:MOST_FINDINGS]
                ],
            }
            for rule, outcome in results
        ],
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Check a bundle; returns 0 where it is ready, 1 where a rule fails.

    Raises ``ModelError`` for a folder that is no bundle.
    """
    options = _parser().parse_args(argv)
    started_s = time.monotonic()
    chosen = targets(options.target)
    bundle = read_bundle(options.folder)
    subject = Subject(bundle, chosen)
    count = len(bundle.manifest.files)
    print(f"holds  {'files':15}All {count} files are those that the manifest names.", flush=True)
    results: Results = []
    for rule in RULES:  # shown one by one: the golden pair takes a while
        results += check(subject, [rule])
        print("\n".join(table(results[-1:])), flush=True)
    took_s = time.monotonic() - started_s
    names = ", ".join(target.tensorrt for target in chosen)
    if ready(results):
        print(f"{options.folder}: ready for TensorRT {names}, {took_s:.1f} s")
    else:
        failed = ", ".join(rule.id for rule, outcome in results if outcome.findings)
        print(f"{options.folder}: not ready for TensorRT {names}: {failed}")
    if options.json:
        print(json.dumps(figures(bundle, subject, results, took_s)))
    return 0 if ready(results) else 1


def _parser() -> argparse.ArgumentParser:
    known = ", ".join(target.tensorrt for target in operator_list().target)
    parser = argparse.ArgumentParser(
        prog="python -m build check",
        description="Prove without a GPU that TensorRT can build a bundle.",
        epilog="Exit status: 0 ready, 1 a rule fails, 2 no bundle.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the bundle")
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="VERSION",
        help=f"check for this TensorRT only, may be repeated; of {known}, by default all",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    return parser
