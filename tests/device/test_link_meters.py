"""The link never waits and shows death; the meters count."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import LinkError
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
