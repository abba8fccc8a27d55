"""Lines for the journal: structured, at a bounded rate, and never waited for."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.processes.journal import Journal


@pytest.fixture
def journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A journald that a test reads, or does not."""
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "journal"))
        server.settimeout(1.0)
        yield server


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_line_carries_its_fields_by_the_native_protocol(
    journald: socket.socket, tmp_path: Path
) -> None:
    journal = Journal("control", str(tmp_path / "journal"))
    assert journal.say("play → hot: 90 °C", "warning", PURGA_STATE="hot", PURGA_CAUSE="a\nb")
    packet = journald.recv(4096)
    assert (
        packet
        == (
            "MESSAGE=play → hot: 90 °C\nPRIORITY=4\nSYSLOG_IDENTIFIER=purga-control\n"
            "PURGA_STATE=hot\nPURGA_CAUSE\n"
        ).encode()
        + (3).to_bytes(8, "little")
        + b"a\nb\n"
    )


def test_a_flood_is_bounded_and_what_was_left_out_is_counted(
    journald: socket.socket, tmp_path: Path
) -> None:
    clock = Clock()
    journal = Journal("control", str(tmp_path / "journal"), clock)
    journald.settimeout(0.0)
    said = 0
    for _ in range(1000):
        clock.now_s += 0.01
        said += journal.say("again", "error")
        while True:
            try:
                journald.recv(4096)
            except BlockingIOError:
                break
    assert said == pytest.approx(20 + 5, abs=1)  # a burst, then one each 2 s
    clock.now_s += 10.0
    left_out = journal.unsaid
    assert left_out > 100 and journal.say("later", "error")
    assert f"(and {left_out} lines left out before)".encode() in journald.recv(4096)


def test_a_journald_that_does_not_read_or_is_gone_is_not_waited_for(
    journald: socket.socket, tmp_path: Path
) -> None:
    clock = Clock()
    journal = Journal("control", str(tmp_path / "journal"), clock)
    said = 0
    for _ in range(500):  # far more than its queue holds
        clock.now_s += 10.0
        said += journal.say("x" * 1000, "error")
    assert 0 < said < 500 and journal.unsaid == 500 - said
    journald.close()
    clock.now_s += 10.0
    assert not journal.say("gone", "error")


def test_in_the_foreground_only_what_is_amiss_is_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    journal = Journal("control")
    journal.say("hold → play: all well", "notice")
    journal.say("knob: not there", "warning")
    assert capfd.readouterr().err == "control: knob: not there\n"
