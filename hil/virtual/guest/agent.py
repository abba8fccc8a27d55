"""The agent: does the job that lies in ``/job``, writes down what it found, powers off."""

import importlib
import json
import os
import subprocess
import time
import traceback
from pathlib import Path
from typing import Any

from hil.virtual.guest.bench import Bench

JOB = Path("/job")


def main() -> None:
    """Do the job. Whatever happens, a result is written and the machine goes off."""
    out = JOB / "out"
    boots = _count_boot(out / "boots")
    job = json.loads((JOB / "job.json").read_text())
    print(f"agent: boot {boots}, {job['name']} at {time.monotonic():.2f} s", flush=True)
    bench = Bench(out, job["options"], boots)
    result: dict[str, Any] = {"failed_because": None}
    try:
        module = importlib.import_module(f"hil.virtual.scenarios.{job['name']}")
        result |= module.run(bench) or {}
    except Exception:
        result["failed_because"] = traceback.format_exc()
        print(result["failed_because"], flush=True)
    result["virtual_s"] = time.monotonic()
    result["boots"] = boots
    bench.close()
    _keep_logs(out)
    (out / "result.json.new").write_text(json.dumps(result))
    os.replace(out / "result.json.new", out / "result.json")
    print(f"agent: done at {time.monotonic():.2f} s", flush=True)
    os.sync()
    subprocess.run(["systemctl", "poweroff", "--force", "--force"], check=False)


def _count_boot(file: Path) -> int:
    boots = int(file.read_text()) + 1 if file.exists() else 1
    file.write_text(str(boots))
    return boots


def _keep_logs(out: Path) -> None:
    """The journal, for whoever looks why."""
    with (out / "journal.txt").open("wb") as file:
        command = ["journalctl", "--no-pager", "-o", "short-monotonic", "--all"]
        subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)


if __name__ == "__main__":
    main()
