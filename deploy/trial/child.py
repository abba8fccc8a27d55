"""``python -m deploy.trial.child JOB FOLDER SETTINGS``: what a trial does with a slot, confined.

Started by ``deploy.trial``; prints one JSON object. Everything foreign is opened here and nowhere
else: graphs, captures, sounds, plans.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.trial.confined import confine
from deploy.trial.limits import Here, Limits, unpacked
from deploy.trial.verdict import one_line, plain_figures
from device.processes.realtime import die_with_parent, quiet_arithmetic
from models.errors import PurgaError

Answer = dict[str, object]
Job = Callable[[Path, Limits, Here], Mapping[str, object]]


def _inspect(folder: Path, limits: Limits, here: Here) -> Mapping[str, object]:
    from deploy.trial.contents import check_contents

    return check_contents(folder, here)


def _build(folder: Path, limits: Limits, here: Here) -> Mapping[str, object]:
    from deploy.trial.engines import built_engines

    return built_engines(folder, here)


def _test(folder: Path, limits: Limits, here: Here) -> Mapping[str, object]:
    from deploy.trial.playing import try_slot

    return try_slot(folder, limits, here)


JOBS: Mapping[str, Job] = {"inspect": _inspect, "build": _build, "test": _test}


def main(argv: Sequence[str]) -> int:
    """Do one job; returns 0 with an answer on standard output, whatever it is."""
    # Libraries that print must not spoil the answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job, folder, settings = argv
    limits, here = unpacked(settings)
    die_with_parent()
    confine(limits.memory_bytes, limits.cpu_s, gpu(), limits.idle)
    quiet_arithmetic()
    print(json.dumps(answer(JOBS[job], Path(folder), limits, here)), file=answers, flush=True)
    return 0


def answer(job: Job, folder: Path, limits: Limits, here: Here) -> Answer:
    """What a job gives, or in one sentence why it refuses."""
    try:
        return {"ok": True, "figures": plain_figures(job(folder, limits, here))}
    except PurgaError as problem:
        failed = problem.exit_code == 1
        figures = plain_figures(getattr(problem, "figures", {}))
        return {
            "ok": False,
            "why": one_line(str(problem), folder),
            "failed": failed,
            "figures": figures,
        }
    except MemoryError:
        why = f"it takes more than the {limits.memory_bytes >> 20} MiB that a trial may take"
        return {"ok": False, "why": f"{why}.", "failed": False, "figures": {}}
    except Exception as problem:  # whatever a library makes of a foreign file
        said = str(problem).rstrip(". ")
        why = one_line(f"it cannot be tried ({type(problem).__name__}: {said}).", folder)
        return {"ok": False, "why": why, "failed": False, "figures": {}}


def gpu() -> bool:
    """Whether TensorRT could be loaded, and CUDA with it."""
    return importlib.util.find_spec("tensorrt") is not None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
