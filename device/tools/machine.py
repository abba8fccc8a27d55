"""What a figure was measured on."""

import os
import platform
from importlib import metadata
from pathlib import Path


def machine() -> dict[str, str]:
    """What ran it: processor, cores, system, versions of what the sound depends on."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass  # not Linux: the name above will do
    return {
        "processor": model,
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("numpy", "onnxruntime", "pedalboard")},
    }
