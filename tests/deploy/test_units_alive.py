"""The units under a real service manager: what dies is back, or degraded, and never dead.

A stand-in takes the program's place, so these are the service manager's own figures. Where they
hold is shown by the quickest of a few trials: the machine may be busy with something else.
"""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.container import Container, NoContainerError, why_not

AUDIO, CONTROL, DEGRADED = "purga-audio.service", "purga-control.service", "purga-degraded.service"
RESTART_S = 0.7
TRIALS = 8
WATCHDOG_S = 1.5
SHORTENED = {
    # Minutes to seconds; what follows upon what stays as it is.
    AUDIO: "[Unit]\nStartLimitIntervalSec=5\nStartLimitBurst=4\n",
    "purga-retry@.timer": "[Timer]\nOnActiveSec=\nOnActiveSec=5200ms\nAccuracySec=50ms\n",
}

# It times restarts.
pytestmark = pytest.mark.alone


def container(folder: Path, drop_ins: dict[str, str]) -> Iterator[Container]:
    """A container, or a skip."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    try:
        made = Container(folder, drop_ins)
    except NoContainerError as error:
        pytest.skip(str(error))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """One container for all these tests."""
    yield from container(tmp_path_factory.mktemp("container"), SHORTENED)


@pytest.fixture
def pedal(booted: Container) -> Container:
    """The container with all of the pedal running."""
    booted.reset()
    return booted


def test_processes_have_what_they_need_and_no_more(pedal: Container) -> None:
    pedal.systemctl("start", "purga-engine.service")
    for role, passed in (("audio", "audio"), ("control", ""), ("engine", "studio")):
        about = pedal.about(role)
        assert about["user"] != 0
        assert about["sockets"] == passed
        rights = about["rights"]
        # How much of it is the service manager's to set, if it may; the sandbox does not forbid it.
        assert rights.pop("lock memory") in ("yes", "ENOMEM")
        granted = {name for name, answer in rights.items() if answer == "yes"}
        assert granted == {"write runtime", "write state", "write cache"}, rights
    pedal.systemctl("stop", "purga-engine.service", "purga-studio.socket")


@pytest.mark.parametrize("unit", [AUDIO, CONTROL])
def test_killed_process_is_back_at_once(pedal: Container, unit: str) -> None:
    trials_s: list[float] = []
    while len(trials_s) < 2 or (len(trials_s) < TRIALS and min(trials_s) > RESTART_S):
        if len(trials_s) % 3 == 2:
            pedal.reset()  # its start limit
        trials_s.append(pedal.restarted(unit, signal.SIGKILL))
    print(f"{unit}: SIGKILL to running {[round(each, 2) for each in trials_s]} s")
    assert min(trials_s) <= RESTART_S


def test_frozen_process_is_aborted_with_a_traceback_and_is_back(pedal: Container) -> None:
    took_s = pedal.restarted(AUDIO, signal.SIGSTOP)
    print(f"{AUDIO}: freeze to running {took_s:.2f} s")
    assert took_s > WATCHDOG_S / 2
    said = pedal.journal()
    assert "Watchdog timeout" in said
    assert "status=6/ABRT" in said
    assert "Current thread" in said, "faulthandler tells where it stood"


def test_a_restart_keeps_folders_and_socket(pedal: Container) -> None:
    paths = ("/run/purga/tried", "/run/purga/audio.sock", "/var/lib/purga/tried")
    before = pedal.inside("stat", "--format=%i", *paths)
    pedal.inside("touch", "/run/purga/kept")
    pedal.restarted(CONTROL, signal.SIGKILL)
    pedal.restarted(AUDIO, signal.SIGKILL)
    assert pedal.inside("stat", "--format=%i", *paths) == before
    pedal.inside("stat", "/run/purga/kept")
    assert pedal.inside("stat", "--format=%U %a", "/run/purga").split() == ["purga", "750"]
    assert pedal.inside("stat", "--format=%U %a", "/run/purga/audio.sock").split() == [
        "purga",
        "600",
    ]


def test_what_dies_again_and_again_is_degraded_and_then_tried_again(pedal: Container) -> None:
    kills = 0
    while not pedal.is_running(DEGRADED):
        assert kills < 30
        if pedal.is_running(AUDIO):
            pedal.send(AUDIO, signal.SIGKILL)
            kills += 1
        pedal.wait(lambda: pedal.is_running(AUDIO) or pedal.is_running(DEGRADED), 20.0)
    assert kills >= 4
    arguments = pedal.about("degraded")["arguments"]
    assert arguments[arguments.index("--preset") + 1].endswith("dry.toml")
    # It binds the socket itself: whoever connects must not start the other by it.
    assert pedal.show("purga-audio.socket", "ActiveState") != "active"
    # It is alive like any other.
    pedal.restarted(DEGRADED, signal.SIGKILL)
    # And when the time has come the pedal is itself again.
    pedal.wait(lambda: pedal.is_running(AUDIO), 20.0)
    pedal.wait(lambda: not pedal.is_running(DEGRADED), 20.0)
    assert pedal.about("audio")["sockets"] == "audio"


def test_what_no_start_would_mend_is_not_started_again_and_again(pedal: Container) -> None:
    (pedal.root / "etc/purga/audio.exit").write_text("2")
    pedal.send(AUDIO, signal.SIGTERM)
    pedal.wait(lambda: pedal.is_running(DEGRADED), 20.0)
    # Control goes on connecting, and by that starts nothing.
    last = pedal.show(AUDIO, "InvocationID")
    time.sleep(1.0)
    assert pedal.is_running(DEGRADED)
    assert pedal.show(AUDIO, "InvocationID") == last

    (pedal.root / "etc/purga/control.exit").write_text("2")
    restarts = int(pedal.show(CONTROL, "NRestarts"))
    pedal.send(CONTROL, signal.SIGTERM)
    pedal.wait(lambda: pedal.show(CONTROL, "ActiveState") == "failed", 20.0)
    assert int(pedal.show(CONTROL, "NRestarts")) <= restarts + 1
    assert pedal.show("purga-retry@control.timer", "ActiveState") == "active"


def test_the_target_stops_everything(pedal: Container) -> None:
    def left() -> list[str]:
        listed = pedal.systemctl("list-units", "--plain", "--no-legend", "--state=active", "purga*")
        return [line.split()[0] for line in listed.splitlines()]

    assert {AUDIO, CONTROL, "purga-audio.socket"} <= set(left())
    pedal.systemctl("stop", "purga.target")
    pedal.wait(lambda: left() == [], 10.0)
    time.sleep(0.3)
    assert left() == [], "nothing comes back by itself"


# ---- long ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def as_shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container with the units' own times."""
    yield from container(tmp_path_factory.mktemp("as-shipped"), {})


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_fifty_kills_never_leave_it_dead(as_shipped: Container) -> None:
    pedal = as_shipped
    took_s = []
    for _ in range(50):
        unit = AUDIO if pedal.is_running(AUDIO) else DEGRADED
        pedal.send(unit, signal.SIGKILL)
        pedal.wait(lambda: pedal.is_running(AUDIO) or pedal.is_running(DEGRADED), 10.0)
    for _ in range(50):
        took_s.append(pedal.restarted(CONTROL, signal.SIGKILL))
    print(f"control: {sorted(round(each, 2) for each in took_s)} s")
    assert min(took_s) <= RESTART_S
    assert pedal.is_running(DEGRADED), "so many kills in so short a time are the degraded mode's"
    pedal.wait(lambda: pedal.is_running(AUDIO) and not pedal.is_running(DEGRADED), 180.0)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_frozen_twenty_times(as_shipped: Container) -> None:
    took_s = []
    for _ in range(4):
        as_shipped.reset()
        took_s += [as_shipped.restarted(AUDIO, signal.SIGSTOP) for _ in range(5)]
    print(f"freeze to running: {sorted(round(each, 2) for each in took_s)} s")
    assert not as_shipped.is_running(DEGRADED)
