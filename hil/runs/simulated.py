"""What is simulated on every bench: the proof of the checks, and cold starts by the hundred."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from hil.budgets import BUDGETS
from hil.faults import FAULTS, Fault
from hil.raw import Csv
from hil.results import Check, ScenarioResult
from hil.runs.stages import COLD_STARTS, Scale
from hil.simulated import link_failures
from hil.suites.cold_starts import Start, cold_starts
from hil.suites.functional import Found
from hil.suites.proof import STAGES, WIRED, Caught, failures, prove, reference, unproven

Say = Callable[[float, str], None]
"""How much of it is done, 0…1, and what."""


def run_simulated(name: str, scale: Scale, folder: Path, say: Say) -> ScenarioResult:
    """Run one of ``SIMULATED_STAGES``; its raw data goes to ``folder/NAME``."""
    start_s = time.monotonic()
    own = folder / name
    if name == "proof":
        checks, figures = proof(own, say)
    else:
        part = COLD_STARTS.index(name)
        count = scale.starts // len(COLD_STARTS)
        checks, figures = starts(count, part, own, say)
    return ScenarioResult(
        name, checks, (), (), 0.0, time.monotonic() - start_s, figures, simulated=True
    )


def proof(
    folder: Path,
    say: Say,
    faults: Sequence[Fault] = FAULTS,
    stages: Sequence[str] = (*STAGES, *sorted(WIRED)),
) -> tuple[list[Check], dict[str, object]]:
    """Seed every fault; demand that its checks fail, and that nothing fails without one."""
    sound = reference()
    rows = Csv(folder / "faults.csv")
    total = len(faults) + len(stages)
    checks, table = [], []
    for number, stage in enumerate(stages, 1):
        imagined = sorted(link_failures() if stage in WIRED else failures(stage, sound))
        note = f"failed: {', '.join(imagined)}" if imagined else ""
        what = f"nothing fails without a fault ({stage})"
        checks.append(_yes(f"sound@{stage}", what, not imagined, note))
        say(number / total, f"no fault, {stage}: {note or 'nothing fails'}")
    for number, fault in enumerate(faults, 1 + len(stages)):
        caught = _unwatched(fault) if fault.stage in WIRED else prove(fault, sound)
        note = f"not seen by {', '.join(caught.escaped)}" if caught.escaped else ""
        checks.append(_yes(f"caught@{fault.id}", f"{fault.what}: is caught", not note, note))
        row = {
            "fault": fault.id,
            "what": fault.what,
            "stage": fault.stage,
            "expected": " ".join(fault.caught_by),
            "failed": " ".join(caught.failed),
            "escaped": " ".join(caught.escaped),
        }
        table.append(row)
        rows.add(row)
        say(number / total, f"{fault.id}: {note or 'caught by ' + ', '.join(fault.caught_by)}")
    rows.close()
    nowhere = sorted(unproven())
    note = f"without one: {', '.join(nowhere)}" if nowhere else f"{len(BUDGETS)} limits"
    checks.append(_yes("proven", "every limit has a fault that breaks it", not nowhere, note))
    return checks, {"faults": table}


def _unwatched(fault: Fault) -> Caught:
    """The fault that needs a line to be cut, and nobody who watches it."""
    failed = link_failures("nobody")
    missed = tuple(budget for budget in fault.caught_by if budget not in failed)
    return Caught(fault.id, fault.what, tuple(sorted(failed)), missed)


def starts(
    count: int, part: int, folder: Path, say: Say, sound: Found | None = None
) -> tuple[list[Check], dict[str, object]]:
    """So many cold starts, half of them with a fault; each must be seen, and none imagined."""
    say(0.0, f"{count} starts")
    found = cold_starts(count, sound or reference(), seed=part)
    rows = Csv(folder / "starts.csv")
    for start in found:
        rows.add(_row(start))
    rows.close()
    missed = [start for start in found if start.missed]
    false = [start for start in found if start.false]
    faulty = [start for start in found if start.fault is not None]
    at = f"part {part + 1}"
    checks = [
        _none(f"missed@{part + 1}", f"faults that no check saw, of {len(faulty)} ({at})", missed),
        _none(f"false@{part + 1}", f"checks that failed without ({at})", false),
    ]
    by_fault = {
        name: {
            "starts": len(same),
            "seen": sum(not start.missed for start in same),
            "by": sorted({check for start in same for check in start.failed}),
        }
        for name in sorted({str(start.fault) for start in faulty})
        for same in [[start for start in faulty if start.fault == name]]
    }
    celsius = [start.celsius for start in found]
    figures: dict[str, object] = {
        "starts": {
            "count": len(found),
            "with a fault": len(faulty),
            "missed": len(missed),
            "false": len(false),
            "coldest_c": min(celsius, default=None),
            "warmest_c": max(celsius, default=None),
            "by_fault": by_fault,
            "by_check": dict(Counter(check for each in faulty for check in each.failed)),
        }
    }
    return checks, figures


def _row(start: Start) -> dict[str, float | str]:
    return {
        "number": float(start.number),
        "air_c": start.celsius,
        "fault": start.fault or "",
        "failed": " ".join(start.failed),
        "missed": float(start.missed),
        "false": float(start.false),
    }


def _yes(id_: str, what: str, holds: bool, note: str) -> Check:
    return Check(id_, "proof of the checks", what, "yes", 1.0, float(holds), "", holds, note)


def _none(id_: str, what: str, those: Sequence[Start]) -> Check:
    note = ", ".join(f"start {each.number}: {each.fault or each.failed[0]}" for each in those[:5])
    count = float(len(those))
    return Check(id_, "cold starts", what, "0", 0.0, count, "", not those, note)
