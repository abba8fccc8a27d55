"""What a thread beside the loop is to the scheduler: never one that keeps the kernel's timers."""

import os
import subprocess
import sys
import threading

from device.processes.thread import go_above_ordinary, go_ordinary


def test_the_loader_s_thread_comes_first_among_the_ordinary() -> None:
    """The main thread stays what it is, and so does what the thread starts."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    seen: list[int] = []

    def run() -> None:
        go_ordinary()
        go_above_ordinary()
        seen.append(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK)
        seen.append(os.getpriority(os.PRIO_PROCESS, 0))
        told = subprocess.run(
            [sys.executable, "-c", "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"],
            capture_output=True,
            text=True,
            check=True,
        )
        seen.append(int(told.stdout))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    policy, nice, child = seen
    assert policy == os.SCHED_OTHER
    # Where the system does not grant it, it is as it was.
    assert nice == -20 or (os.geteuid() != 0 and nice == before)
    assert child == max(before, 0)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
