"""Cut the power of an update, many times: ``python -m hil.powercut``."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from hil.powercut import naive
from hil.powercut.campaign import KERNELS, Campaign, Tally
from hil.powercut.disk import Rig, why_not
from hil.powercut.slots import SlotsSubject
from hil.powercut.subject import Subject
from hil.powercut.update import UpdateSubject
from models.errors import PurgaError

SUBJECTS: Mapping[str, Callable[[], Subject]] = MappingProxyType(
    {
        "update": UpdateSubject,
        "slots": SlotsSubject,
        "in-place": lambda: naive.Writer(naive.in_place, promises=False),
        "renamed": lambda: naive.Writer(naive.renamed, promises=False),
        "durable": lambda: naive.Writer(naive.durable, promises=True),
    }
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hil.powercut",
        description="Run an update on a disk whose power is cut, many times, and look at what is "
        "found afterwards. Needs root. Exit status 1 if anything is wrong.",
    )
    parser.add_argument(
        "--subject",
        choices=tuple(SUBJECTS),
        default="update",
        help="what is cut; in-place and renamed are wrong on purpose, to be caught",
    )
    parser.add_argument("--cuts", type=int, default=200, metavar="N", help="at random moments")
    parser.add_argument(
        "--every-boundary",
        action="store_true",
        help="besides, behind every system call that changes the disk, for each way of the kernel",
    )
    parser.add_argument(
        "--mount-option", action="append", default=[], metavar="O", help="of ext4; repeatable"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser


def _figures(options: argparse.Namespace, tally: Tally, seconds: float) -> dict[str, object]:
    return {
        "subject": options.subject,
        "mount_options": options.mount_option,
        "seed": options.seed,
        "cuts": tally.cuts,
        "boundaries": sum(tally.calls.values()),
        "states": tally.states,
        "sound": tally.sound,
        "faults": dict(tally.faults),
        "examples": tally.examples,
        "calls": dict(tally.calls),
        "seconds": round(seconds, 1),
    }


def _run(options: argparse.Namespace) -> int:
    reason = why_not()
    if reason is not None:
        print(f"python -m hil.powercut: {reason}", file=sys.stderr)
        return 2
    started = time.monotonic()
    with Rig(options.mount_option) as rig:
        campaign = Campaign(rig, SUBJECTS[options.subject](), options.seed)
        if options.every_boundary:
            for kernel in KERNELS:
                campaign.every_boundary(kernel)
        campaign.at_random(options.cuts)
    tally = campaign.tally
    figures = _figures(options, tally, time.monotonic() - started)
    for example in tally.examples:
        print(example)
    print(
        f"{tally.cuts} cuts ({figures['boundaries']} at write boundaries), {tally.states} different"
        f" disks: {tally.sound} sound, {dict(tally.faults) or 'none at fault'}"
    )
    if options.json:
        print(json.dumps(figures))
    return 0 if tally.sound == tally.cuts else 1


def main(argv: Sequence[str]) -> int:
    """Returns 0 where every disk was sound, 1 where one was not, 2 where none can be cut here."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.cuts < 0:
        parser.error(f"--cuts is {options.cuts}, but must be 0 or more")
    try:
        return _run(options)
    except PurgaError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
