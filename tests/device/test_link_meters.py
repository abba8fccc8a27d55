"""The link never waits and shows death; the meters count."""

import fcntl
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.engine_kinds import Ceiling
from device.errors import LinkError
from device.processes import activation
from device.processes.activation import passed_socket
from device.processes.link import ControlState, Heartbeat, Link, Listener, connect
from device.processes.meters import (
    BINS_PER_PERIOD,
    COUNTERS,
    FIELDS,
    HISTOGRAM_BINS,
    Meters,
    read_meters,
)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Link, Link]:
    listener = Listener(tmp_path / "s")
    assert listener.accept() is None
    there = connect(tmp_path / "s")
    here = listener.accept()
    assert here is not None and there is not None
    return here, there


def test_state_arrives_whole_and_the_newest_wins(pair: tuple[Link, Link]) -> None:
    here, there = pair
    sent = ControlState()
    for position in (0.25, 0.5, 0.75):
        sent.position, sent.preset, sent.bypass, sent.knob_faults = position, 3, True, 7
        there.send(sent.pack())
    heard = ControlState()
    assert here.receive(heard) and heard == sent
    assert not here.receive(heard)


def fields(kind: type) -> st.SearchStrategy[object]:
    """Any state that a process may tell."""
    u16, u32, yes = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.booleans()
    if kind is ControlState:
        return st.builds(
            ControlState,
            position=st.floats(0, 1, width=32),
            preset=u16,
            bypass=yes,
            mute=yes,
            ceiling=st.sampled_from(Ceiling),
            knob_faults=u32,
        )
    flags = ("absent", "loading", "studio", "studio_alive", "studio_heard")
    return st.builds(
        Heartbeat,
        periods=st.integers(0, 2**64 - 1),
        **dict.fromkeys(("preset", "presets", "broken", "latency_frames"), u16),
        **dict.fromkeys(("xruns", "misses"), u32),
        **dict.fromkeys(flags, yes),
    )


@pytest.mark.parametrize("kind", [ControlState, Heartbeat])
@given(data=st.data())
def test_every_field_arrives_as_it_was_sent(kind: type, data: st.DataObject) -> None:
    sent: ControlState | Heartbeat = data.draw(fields(kind))  # type: ignore[assignment]
    heard = kind()
    assert heard.unpack(memoryview(sent.pack()))
    assert heard == sent


def test_unknown_flags_and_ceilings_are_refused() -> None:
    for place, value in ((1, 4), (1, 0xFF), (2, 3), (0, 1)):
        packet = bytearray(ControlState(position=0.25).pack())
        packet[place] = value
        heard = ControlState(position=0.5)
        assert not heard.unpack(memoryview(packet)) and heard == ControlState(position=0.5)


@given(st.binary(min_size=1, max_size=64))
def test_foreign_packets_change_nothing(packet: bytes) -> None:
    for state in (ControlState(position=0.5), Heartbeat(periods=3)):
        before = repr(state)
        if not state.unpack(memoryview(packet)):
            assert repr(state) == before


@pytest.mark.parametrize("position", [float("nan"), float("inf"), -0.1, 1.5])
def test_impossible_positions_are_refused(pair: tuple[Link, Link], position: float) -> None:
    here, there = pair
    there.send(ControlState(position=position).pack())
    heard = ControlState(position=0.5)
    assert not here.receive(heard) and heard.position == 0.5 and here.foreign == 1


def test_stale_packets_are_discarded_even_round_the_end_of_the_counter() -> None:
    sender = ControlState(sequence=0xFFFFFFFE)
    old = [sender.pack() for _ in range(4)]
    heard = ControlState(sequence=0xFFFFFFFE)
    assert heard.unpack(memoryview(old[3])) and heard.sequence == 2
    assert not heard.unpack(memoryview(old[0]))


def test_a_full_queue_is_counted_and_a_flood_is_bounded(pair: tuple[Link, Link]) -> None:
    here, there = pair
    state = ControlState()
    for _ in range(5000):
        there.send(state.pack())
    assert there.refused > 0 and there.alive
    heard = ControlState()
    calls = 0
    while here.receive(heard):
        calls += 1
    assert calls > 1  # it took several bounded calls


def test_death_is_seen_by_both(pair: tuple[Link, Link]) -> None:
    here, there = pair
    there.close()
    assert not here.receive(ControlState()) and not here.alive
    here, there = pair


def test_who_connected_last_is_heard_where_several_wait(tmp_path: Path) -> None:
    """As many control processes as were started while audio was frozen, dead ones too."""
    listener = Listener(tmp_path / "s")
    listener._socket.listen(4)
    links = [connect(tmp_path / "s") for _ in range(3)]
    accepted = listener.accept()
    assert accepted is not None and None not in links
    accepted.send(Heartbeat(periods=7).pack())
    for link in links:
        heard = Heartbeat()
        assert link is not None and link.receive(heard) == (link is links[-1])
        assert link.alive == (link is links[-1])
    assert listener.accept() is None


def test_a_socket_that_the_service_manager_listens_on_is_taken_over_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept.bind(str(tmp_path / "s"))
    kept.listen(1)
    early = connect(tmp_path / "s")
    assert early is not None
    foreign = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Descriptors are passed from 3 on; here they lie where the test has none.
    first = 500
    for index, each in enumerate((foreign, kept, kept)):
        assert fcntl.fcntl(each, fcntl.F_DUPFD, first + index) == first + index
    monkeypatch.setattr(activation, "_FIRST", first)
    monkeypatch.setattr(activation, "_taken", set())
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "3")
    monkeypatch.setenv("LISTEN_FDNAMES", "audio:studio:audio")
    listener = Listener(tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()
    link = listener.accept()
    assert link is not None
    early.send(ControlState(position=0.75).pack())
    heard = ControlState()
    assert link.receive(heard) and heard.position == 0.75
    assert passed_socket("audio") is None  # each once
    listener.close()
    assert (tmp_path / "s").exists() and link.alive
    for number in (first, first + 1):
        os.close(number)
    kept.close()
    foreign.close()


def test_sockets_meant_for_another_process_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_FDNAMES", "audio")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    assert passed_socket("audio") is None
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "many")
    assert passed_socket("audio") is None


def test_a_listener_replaces_what_a_dead_one_left(tmp_path: Path) -> None:
    Listener(tmp_path / "s")._socket.close()
    Listener(tmp_path / "s").close()
    assert not (tmp_path / "s").exists()
    assert connect(tmp_path / "none") is None
    with pytest.raises(LinkError, match="--runtime"):
        Listener(tmp_path / "none" / "s")


def test_meters_are_read_as_written(tmp_path: Path) -> None:
    meters = Meters(tmp_path / "meters")
    for number, name in enumerate(FIELDS):
        meters.store(name, number)
    meters.count("xruns", 5)
    for busy_ns in (0, 500, 999, 1000, 1001, 10**9):
        meters.load(busy_ns, 1000)
    meters.say("ümlaut " * 60)
    reading = read_meters(tmp_path / "meters")
    assert reading.message.startswith("ümlaut ümlaut") and len(reading.message) < 257
    meters.say("short")
    assert read_meters(tmp_path / "meters").message == "short"
    base = {name: number for number, name in enumerate(FIELDS)}
    assert reading.values == {
        **base,
        "xruns": base["xruns"] + 5,
        "deadline_misses": base["deadline_misses"] + 2,
    }
    assert set(COUNTERS) <= set(FIELDS)
    assert reading.histogram.sum() == 6 and reading.histogram[HISTOGRAM_BINS - 1] == 1


@given(st.lists(st.integers(0, 1999), min_size=1, max_size=200), st.floats(1, 100))
def test_percentiles_are_within_a_bin(loads: list[int], percent: float) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        meters = Meters(Path(folder) / "m")
        for load in loads:
            meters.load(load, 1000)
        got = read_meters(Path(folder) / "m").load_percentile(percent)
    exact = float(np.percentile(loads, percent, method="inverted_cdf")) / 10.0
    assert exact - 1e-9 <= got <= exact + 100.0 / BINS_PER_PERIOD + 1e-9


def test_foreign_meters_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"x" * 100):
        (tmp_path / "meters").write_bytes(content)
        with pytest.raises(LinkError):
            read_meters(tmp_path / "meters")
    with pytest.raises(LinkError, match="device run"):
        read_meters(tmp_path / "none")
