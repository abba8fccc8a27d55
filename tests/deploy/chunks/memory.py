"""How much memory a call takes at its peak, seen from outside: libraries' own allocations too."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

_AROUND = """
import gc

def peak():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024

{before}
gc.collect()
with open("/proc/self/clear_refs", "w") as refs:
    refs.write("5")  # the peak counts from here
at_rest = peak()
{measured}
print(peak() - at_rest)
"""


def peak_bytes(before: str, measured: str) -> int:
    """What ``measured`` takes above what is there after ``before``: programs in a new process."""
    program = _AROUND.format(before=before, measured=measured)
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    if "clear_refs" in ran.stderr:
        pytest.skip("this kernel does not let a process forget its peak")
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)
