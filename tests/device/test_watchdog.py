"""What a process tells its service manager: often enough, never waiting, if there is one."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.processes.age import age_ms
from device.processes.watchdog import Watchdog


class Clock:
    """Seconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Where the service manager listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


@pytest.fixture
def make() -> Iterator[Callable[..., Watchdog]]:
    """Makes watchdogs, and closes them behind the test."""
    made: list[Watchdog] = []

    def watchdog(*arguments: object) -> Watchdog:
        made.append(Watchdog(*arguments))  # type: ignore[arg-type]
        return made[-1]

    yield watchdog
    for each in made:
        each.close()


def heard(manager: socket.socket) -> list[str]:
    """All that was told since."""
    told = []
    while True:
        try:
            told.append(manager.recv(4096).decode())
        except BlockingIOError:
            return told


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify"), **more}


def test_ready_status_and_the_end_are_told(
    make: Callable[..., Watchdog], manager: socket.socket, tmp_path: Path
) -> None:
    watchdog = make(environment(tmp_path))
    assert watchdog.watched
    watchdog.ready("dry")
    watchdog.status("dry")  # the same: not told twice
    watchdog.status("playing")
    watchdog.alive()  # nobody asked for signs of life
    watchdog.stopping()
    assert heard(manager) == ["READY=1\nSTATUS=dry", "STATUS=playing", "STOPPING=1"]


def test_signs_of_life_come_four_times_in_the_time_that_counts_as_death(
    make: Callable[..., Watchdog], manager: socket.socket, tmp_path: Path
) -> None:
    clock = Clock()
    watchdog = make(environment(tmp_path, WATCHDOG_USEC="2000000"), clock)
    told = []
    for _ in range(400):  # four seconds of periods of 10 ms
        watchdog.alive()
        told += heard(manager)
        clock.now_s += 0.010
    assert set(told) == {"WATCHDOG=1"} and 7 <= len(told) <= 9


def test_signs_of_life_asked_of_another_process_are_not_ours(
    make: Callable[..., Watchdog], manager: socket.socket, tmp_path: Path
) -> None:
    for asked in ({"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}):
        make(environment(tmp_path, **{"WATCHDOG_USEC": "1000", **asked})).alive()
    assert heard(manager) == []
    ours = {"WATCHDOG_PID": str(os.getpid()), "WATCHDOG_USEC": "1000"}
    make(environment(tmp_path, **ours)).alive()
    assert heard(manager) == ["WATCHDOG=1"]


def test_a_manager_that_does_not_read_is_never_waited_for(
    make: Callable[..., Watchdog], manager: socket.socket, tmp_path: Path
) -> None:
    clock = Clock()
    watchdog = make(environment(tmp_path, WATCHDOG_USEC="1000"), clock)
    for number in range(2000):
        clock.now_s += 1.0
        watchdog.alive()
        watchdog.status(f"{number}")
    assert watchdog.refused > 0
    heard(manager)
    watchdog.alive()  # what was refused comes again, at once
    assert heard(manager) == ["WATCHDOG=1"]


def test_a_manager_that_is_gone_is_counted(make: Callable[..., Watchdog], tmp_path: Path) -> None:
    watchdog = make(environment(tmp_path, WATCHDOG_USEC="1000"))
    watchdog.ready()
    watchdog.alive()
    assert watchdog.refused == 3


def test_an_abstract_address_is_understood(make: Callable[..., Watchdog]) -> None:
    name = f"purga-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        manager.setblocking(False)
        make({"NOTIFY_SOCKET": "@" + name}).ready()
        assert heard(manager) == ["READY=1"]


@pytest.mark.parametrize("found", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_a_manager_nothing_happens(
    make: Callable[..., Watchdog], found: dict[str, str]
) -> None:
    watchdog = make({**found, "WATCHDOG_USEC": "1000"})
    watchdog.ready("dry")
    watchdog.alive()
    watchdog.status("playing")
    watchdog.stopping()
    assert not watchdog.watched and watchdog.refused == 0


def test_a_process_grows_older() -> None:
    first = age_ms()
    assert first > 0  # the tests were not started within this tick
    while age_ms() == first:
        pass
    assert age_ms() > first
