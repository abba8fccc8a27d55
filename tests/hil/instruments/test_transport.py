"""Lines that break, stay silent, are late or never end."""

import os
import time
import tty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import BenchError, InstrumentError
from hil.instruments.transport import Link, Patience, is_serial, parse_tcp
from tests.hil.instruments.peers import QUICK, SHORT, Peer, nobody


def test_an_answer_is_what_stands_before_its_end() -> None:
    with Peer(lambda line: line[::-1] + b"\r\n") as peer:
        link = Link("chamber", peer.address, patience=QUICK)
        assert [link.ask(b"TEMP?\r\n"), link.ask(b"MON?\r\n")] == [b"?PMET", b"?NOM"]
        assert peer.connections == 1


def test_an_answer_may_come_in_pieces(opened) -> None:
    pieces = iter([b"23", b".1,2", b"3.0\r", b"\n"])

    class Slow(Peer):
        def _serve(self, connection) -> None:
            connection.recv(100)
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.01)

    with Slow(lambda line: None) as peer:
        assert opened(Link("chamber", peer.address)).ask(b"TEMP?\r\n") == b"23.1,23.0"


def test_a_line_that_breaks_is_opened_again_and_asked_again() -> None:
    with Peer(lambda line: b"OK\r\n") as peer:
        link = Link("chamber", peer.address, patience=QUICK)
        link.ask(b"a\r\n")
        peer.cut()
        assert link.ask(b"b\r\n") == b"OK"
        peer.drops = 1
        assert link.ask(b"c\r\n") == b"OK"
        assert peer.heard == [b"a", b"b", b"c", b"c"]
        assert link.reopened == 3


def test_opening_anew_is_bounded_and_says_what_was_sent() -> None:
    with Peer(lambda line: b"OK\r\n", drops=99) as peer:
        link = Link("chamber", peer.address, patience=Patience(0.5, 0.2, 3))
        with pytest.raises(InstrumentError, match=r"chamber at 127.*'TEMP\?\\r\\n'.*3 tries"):
            link.ask(b"TEMP?\r\n")
        assert peer.connections == 3


def test_silence_ends_with_a_sentence() -> None:
    with Peer(lambda line: None) as peer:
        link = Link("supply", peer.address, patience=Patience(0.5, 0.05, 1))
        with pytest.raises(InstrumentError, match=r"nothing came within 0.05 s"):
            link.ask(b"x\r\n")


def test_half_an_answer_is_no_answer() -> None:
    with Peer(lambda line: b"23.1") as peer:
        link = Link("chamber", peer.address, patience=Patience(0.5, 0.05, 1))
        with pytest.raises(InstrumentError, match=r"only '23.1' came"):
            link.ask(b"x\r\n")


def test_what_never_ends_is_cut_off() -> None:
    with Peer(lambda line: b"x" * 300_000) as peer:
        link = Link("chamber", peer.address, patience=Patience(0.5, 5.0, 1))
        with pytest.raises(InstrumentError, match="bytes without an end"):
            link.ask(b"x\r\n")


def test_a_late_answer_is_never_the_next_requests() -> None:
    late = [True]

    def answer(line: bytes) -> bytes:
        if line == b"old" and late[0]:
            late[0] = False
            time.sleep(0.15)
        return line + b"!\r\n"

    with Peer(answer) as peer:
        link = Link("chamber", peer.address, patience=Patience(0.5, 0.08, 3))
        assert link.ask(b"old\r\n") == b"old!"
        time.sleep(0.15)
        assert link.ask(b"new\r\n") == b"new!"


def test_what_was_not_asked_for_is_left_out() -> None:
    with Peer(lambda line: b"OK\r\nALARM 7\r\n") as peer:
        link = Link("chamber", peer.address, patience=QUICK)
        link.ask(b"a\r\n")
        time.sleep(0.05)
        assert link.ask(b"b\r\n") == b"OK"


def test_nobody_there() -> None:
    with nobody() as address, pytest.raises(InstrumentError, match="refused"):
        Link("chamber", address, patience=QUICK).ask(b"x\r\n")


def test_gather_takes_all_lines(opened) -> None:
    with Peer(lambda line: b"one\r\ntwo\r\n") as peer:
        link = opened(Link("chamber", peer.address, patience=QUICK))
        assert link.gather(b"?\r\n", 0.05) == b"one\r\ntwo\r\n"


def test_a_serial_line_by_pyserial() -> None:
    with Peer(lambda line: line + b"\r\n") as peer:
        link = Link("chamber", f"socket://{peer.address}", patience=QUICK)
        assert link.ask(b"hello\r\n") == b"hello"
        link.close()


def test_a_real_terminal() -> None:
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    link = Link("chamber", os.ttyname(theirs), patience=SHORT)
    os.write(ours, b"early noise\r\n")
    with pytest.raises(InstrumentError):
        link.ask(b"TEMP?\r\n")
    assert os.read(ours, 100).startswith(b"TEMP?\r\n")
    link.close()
    os.close(ours)
    os.close(theirs)


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(InstrumentError, match="/dev/ttyNOPE"):
        Link("console", "/dev/ttyNOPE", patience=QUICK).ask(b"x")


@pytest.mark.parametrize("address", ["", "chamber", "host:", ":1", "host:0", "host:70000", "h:x"])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(BenchError):
        Link("chamber", address)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        host, port = parse_tcp(text)
    except BenchError:
        return
    assert host and 0 < port < 65536


def test_which_addresses_are_serial_lines() -> None:
    assert is_serial("/dev/ttyUSB0") and is_serial("socket://1.2.3.4:5")
    assert not is_serial("192.168.0.20:10001") and not is_serial("[::1]:10001")
    assert parse_tcp("[::1]:10001") == ("::1", 10001)
