"""The plant that a guest leads, with a guest that is none: the firmware's states and a clock."""

import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.states import Inputs, States, Temperatures
from hil.plant.faults import PlantFaults
from hil.plant.plant import STEP_S
from hil.virtual import machine
from hil.virtual.climate import EXCHANGE_S, RAW, judge
from hil.virtual.exchange import PORT, Answer, Question, from_line, to_line
from hil.virtual.guest.coil import Coil
from hil.virtual.guest.pins import Edge
from hil.virtual.kernel import Kernel
from hil.virtual.led import COLD_HALF, WHOLE, Programme, Record, serve
from hil.virtual.suite import SCENARIOS

_SENSOR_S = 0.5
_STEP_S = 0.05

Change = Callable[[Question], Question]


class Guest:
    """What the emulated machine does, as far as the plant can tell."""

    def __init__(self, change: Change = lambda asked: asked, read_ago_s: float = 0.2) -> None:
        """Playing at 25 °C; ``change`` makes a question wrong.

        ``read_ago_s``: when control read its sensor last, which it does twice a second.
        """
        self._change = change
        self._states = States()
        self._now_s = 30.0
        self._zone_c = 25.0
        self._number = 0
        self._applied_s: float | None = None
        self._read = Temperatures(coldest_c=25.0, hottest_c=25.0)
        self._read_s = self._now_s - read_ago_s
        self._heats = False
        self._decision = self._states.step(self._inputs(self._now_s - 9.0))

    def _inputs(self, now_s: float) -> Inputs:
        return Inputs(now_s, self._read, "playing", frozenset())

    def question(self, key: bool = True) -> Question:
        """What it would say now."""
        decision = self._decision
        asked = Question(
            number=self._number,
            time_s=self._now_s,
            key=key,
            load=0.3,
            # What holds the coil is seen one exchange later: edges must arm it first.
            heater=self._heats,
            relay=decision.relay,
            gap_s=0.0,
            state=decision.state,
            plays=True,
            xruns=3,
            zone_c=None if self._applied_s is None else self._zone_c,
            read_c=self._read.coldest_c,
            applied_s=self._applied_s,
        )
        self._number += 1
        self._heats = decision.heater
        return self._change(asked)

    def take(self, answer: Answer) -> None:
        """Apply the temperature, and go on until the next question."""
        self._zone_c = answer.celsius
        self._applied_s = self._now_s + 0.004
        for number in range(round(EXCHANGE_S / _STEP_S)):
            at_s = self._now_s + 0.01 + number * _STEP_S
            if at_s - self._read_s >= _SENSOR_S:
                self._read_s = at_s
                self._read = Temperatures(coldest_c=self._zone_c, hottest_c=self._zone_c)
            self._decision = self._states.step(self._inputs(at_s))
        self._now_s += EXCHANGE_S


def _pair(programme: Programme) -> tuple[socket.socket, Callable[[], Record]]:
    """The guest's end of a line whose other end is served, and what waits for the record."""
    guest, host = socket.socketpair()
    guest.settimeout(20.0)
    found: list[Record] = []
    thread = threading.Thread(target=lambda: found.append(serve(host, programme, 20.0)))
    thread.start()

    def record() -> Record:
        guest.close()
        thread.join(20.0)
        return found[0]

    return guest, record


def _heard(line: socket.socket) -> bytes:
    """What came; nothing where the plant has ended the exchange."""
    try:
        return line.recv(4096)
    except ConnectionResetError:
        return b""


def _exchange(line: socket.socket, guest: Guest, questions: int = 5000) -> None:
    """Ask until the programme is over or the plant ends it."""
    for _ in range(questions):
        line.sendall(to_line(guest.question()))
        got = _heard(line)
        if not got:
            return
        answer = from_line(Answer, got)
        guest.take(answer)
        if answer.done:
            line.sendall(to_line(guest.question(key=False)))
            assert line.recv(4096)
            return


def _walk(
    programme: Programme, change: Change = lambda asked: asked, read_ago_s: float = 0.2
) -> Record:
    line, record = _pair(programme)
    _exchange(line, Guest(change, read_ago_s))
    return record()


def _failed(record: Record) -> set[str]:
    return {each["id"] for each in judge(record).get("checks", ()) if not each["ok"]}


@pytest.mark.parametrize("read_ago_s", [0.0, 0.1, 0.3, 0.5])
@pytest.mark.parametrize(
    ("factor", "legs"), [(60.0, WHOLE), (120.0, COLD_HALF)], ids=["whole", "cold half"]
)
def test_a_sound_guest_walks_the_way_and_every_check_holds(
    factor: float, legs: tuple[Any, ...], read_ago_s: float
) -> None:
    record = _walk(Programme(factor=factor, legs=legs), read_ago_s=read_ago_s)
    found = judge(record)
    assert not record.failed
    assert not record.missed
    assert not _failed(record)
    assert found["failed_because"] is None
    rows = record.rows
    guest_s = rows[-1].asked.time_s - rows[0].asked.time_s
    assert rows[-1].plant_s == pytest.approx(factor * guest_s, abs=STEP_S)
    assert found["figures"]["exchanges"] == len(rows)
    ends = [(each["start_s"], each["end_s"]) for each in found["timeline"]]
    assert ends[0][0] == rows[0].asked.time_s
    assert ends[-1][1] == rows[-1].asked.time_s
    assert all(one[1] == other[0] for one, other in pairwise(ends))


def test_a_dead_heater_never_leaves_the_cold() -> None:
    record = _walk(Programme(factor=120.0, legs=COLD_HALF, faults=PlantFaults(heater_dead=True)))
    assert "did not come" in record.missed
    assert {"climate-order", "climate-1-warm-up", "climate-on"} <= _failed(record)


def test_a_stuck_heater_cools_nothing_when_it_is_off_and_burns_the_module_in_the_heat() -> None:
    stuck = PlantFaults(heater_stuck=True)
    record = _walk(Programme(factor=120.0, legs=COLD_HALF, faults=stuck))
    assert "climate-off" in _failed(record)
    record = _walk(Programme(factor=60.0, legs=WHOLE, faults=stuck))
    assert "module is off" in record.failed
    assert "module is off" in judge(record)["failed_because"]
    assert {"climate-order", "climate-off"} <= _failed(record)


_WRONG: Sequence[tuple[str, Change, str]] = (
    ("the heater stays on", lambda asked: replace(asked, heater=True), "climate-heats-not"),
    ("the heater stays off", lambda asked: replace(asked, heater=False), "climate-heats"),
    ("the relay drops", lambda asked: replace(asked, gap_s=0.03), "climate-relay"),
    ("the relay holds", lambda asked: replace(asked, relay=True), "climate-relay-hold"),
    ("xruns", lambda asked: replace(asked, xruns=asked.number // 50), "climate-xruns"),
    (
        "silence",
        lambda asked: replace(asked, plays=asked.number != 20),
        "climate-plays",
    ),
    (
        "answers are applied late",
        lambda asked: replace(
            asked, applied_s=None if asked.applied_s is None else asked.applied_s + 0.25
        ),
        "climate-clocks",
    ),
    (
        "answers are applied wrongly",
        lambda asked: replace(asked, zone_c=None if asked.zone_c is None else abs(asked.zone_c)),
        "climate-applied",
    ),
    ("answers are not applied", lambda asked: replace(asked, zone_c=None), "climate-applied"),
    ("control reads another sensor", lambda asked: replace(asked, read_c=21.0), "climate-read"),
    (
        "a state that does not belong there",
        lambda asked: replace(asked, state="hot" if asked.number == 30 else asked.state),
        "climate-order",
    ),
    (
        "a state too early",
        lambda asked: replace(asked, state="hold" if 3 <= asked.number < 9 else asked.state),
        "climate-0-hold",
    ),
    (
        "a state too late",
        lambda asked: replace(asked, state="play" if asked.number < 14 else asked.state),
        "climate-0-hold",
    ),
)


@pytest.mark.parametrize(
    ("change", "check"), [each[1:] for each in _WRONG], ids=[each[0] for each in _WRONG]
)
def test_each_wrong_guest_is_seen(change: Change, check: str) -> None:
    assert check in _failed(_walk(Programme(factor=120.0, legs=COLD_HALF), change))


def test_a_guest_that_ends_is_said_and_what_it_exchanged_is_kept() -> None:
    line, record = _pair(Programme())
    _exchange(line, Guest(), questions=20)
    found = record()
    assert "the guest ended before the programme did" in found.failed
    assert len(found.rows) == 20
    assert judge(found)["failed_because"] == found.failed


def test_a_guest_that_never_says_anything_has_exchanged_nothing() -> None:
    guest, host = socket.socketpair()
    record = serve(host, Programme(), silence_s=0.05)
    guest.close()
    assert "said nothing" in record.failed
    assert judge(record) == {"failed_because": record.failed}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"\x00\xff\n", "is no question"),
        (b"[]\n", "it is a list"),
        (b"[" * 3000 + b"\n", "is no question"),
        (b'{"number": 1}\n', "missing"),
        (b"x" * 9000, "without the end of a line"),
    ],
)
def test_garbage_ends_the_exchange_with_a_sentence(line: bytes, says: str) -> None:
    end, record = _pair(Programme())
    guest = Guest()
    _exchange(end, guest, questions=3)
    end.sendall(line)
    while _heard(end):
        pass
    found = record()
    assert says in found.failed
    assert len(found.rows) == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda asked: replace(asked, time_s=asked.time_s - 0.5), "cannot go back"),
        (lambda asked: replace(asked, time_s=asked.time_s - EXCHANGE_S), "cannot go back"),
        (lambda asked: replace(asked, time_s=asked.time_s + 3600.0), "said nothing from"),
        (lambda asked: replace(asked, number=asked.number + 1), "lines were lost"),
        (lambda asked: replace(asked, number=0), "started again"),
        (lambda asked: replace(asked, key=False), "went off in the leg"),
    ],
)
def test_a_guest_that_cannot_be_followed_ends_the_exchange(change: Change, says: str) -> None:
    found = _walk(Programme(), lambda asked: change(asked) if asked.number == 10 else asked)
    assert says in found.failed
    assert len(found.rows) == 10


def test_a_module_that_the_boot_chain_refuses_is_never_led() -> None:
    assert "does not start" in _walk(Programme(release_c=-35.0)).failed


_QUESTION = Guest().question()


@settings(deadline=None)
@given(
    st.sampled_from(["time_s", "load", "gap_s", "xruns", "key", "state", "zone_c", "number"]),
    st.one_of(
        st.none(),
        st.text(max_size=4),
        st.lists(st.integers(), max_size=2),
        st.floats(max_value=-1000.0),
        st.sampled_from([float("nan"), float("inf")]),
    ),
)
def test_no_impossible_value_is_a_question(name: str, value: object) -> None:
    whole: dict[str, Any] = {**vars(_QUESTION), name: value}
    if (name, value) in (("zone_c", None), ("state", "")):
        Question(**whole)
        return
    with pytest.raises(ValueError, match=name):
        Question(**whole)


@settings(deadline=None)
@given(st.floats(-60.0, 120.0), st.floats(0.0, 2.0), st.booleans())
def test_a_line_says_what_was_meant(celsius: float, load: float, key: bool) -> None:
    asked = replace(_QUESTION, zone_c=celsius, load=load, key=key)
    assert from_line(Question, to_line(asked)) == asked
    answer = Answer(3, celsius, key, "leg")
    assert from_line(Answer, to_line(answer)) == answer


def test_only_a_job_that_asks_for_a_plant_has_its_port() -> None:
    names = ("climate", "temperatures", "hands")
    led = {each.name: each.job("ci").plant for each in SCENARIOS if each.name in names}
    assert [name for name in names if led[name] is not None] == ["climate"]
    assert machine._port([]) == []
    assert f"virtserialport,chardev=plant,name={PORT}" in machine._port([7])


_MACHINE = """
import os, sys
end = int(next(each for each in sys.argv if "fd=" in each).rpartition("=")[2])
for line in sys.argv[2].split(";"):
    os.write(end, line.encode() + b"\\n")
    os.read(end, 4096)
with open(sys.argv[1], "w") as file:
    file.write('{"failed_because": "the guest says so", "virtual_s": 3.0, "boots": 1}')
"""


@pytest.mark.parametrize(
    ("lines", "says", "rows"),
    [
        ([_QUESTION], "the guest ended before the programme did", 1),
        ([_QUESTION, replace(_QUESTION, number=1, time_s=9.0)], "cannot go back", 1),
    ],
)
def test_a_machine_is_judged_by_what_its_plant_saw(
    lines: Sequence[Question],
    says: str,
    rows: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = ";".join(to_line(line).decode().strip() for line in lines)
    result = str(tmp_path / "run" / "out" / "result.json")
    command = [sys.executable, "-c", _MACHINE, result, said]
    monkeypatch.setattr(machine, "_command", lambda *_: command)
    kernel = Kernel(tmp_path / "kernel", tmp_path / "modules")
    job = machine.Job("climate", plant=Programme(), limit_s=30.0)
    found = machine.run(tmp_path / "image", kernel, job, tmp_path / "run").result
    assert says in found["failed_because"]
    assert found["virtual_s"] == 3.0
    raw = (tmp_path / "run" / RAW).read_text().splitlines()
    assert len(raw) == 1 + rows
    assert raw[0].startswith("guest_s,applied_s,plant_s,air_c")


def _edges(start_s: float, end_s: float) -> list[Edge]:
    return [
        Edge(start_s + 0.01 * number, number % 2)
        for number in range(round(100 * (end_s - start_s)))
    ]


def test_a_coil_is_told_bit_by_bit_what_it_is_told_at_once() -> None:
    edges = _edges(10.0, 13.0) + _edges(13.2, 15.0)
    coil = Coil()
    told = []
    for number in range(25):
        now_s = 10.0 + 0.2 * (number + 1)
        new = [edge for edge in edges if now_s - 0.2 <= edge.time_s < now_s]
        told.append(coil.update(new, now_s))
    held = [each[0] for each in told]
    assert held[:2] == [False, True] or held[0]
    assert all(held[2:14])
    # 13.0 s to 13.2 s nothing came, and eight rising edges must arm it again.
    assert sum(gap_s for _, gap_s in told[14:18]) == pytest.approx(0.29, abs=0.06)
    assert max(gap_s for _, gap_s in told[2:14]) == 0.0
    assert max(gap_s for _, gap_s in told[18:]) == 0.0
    assert Coil().update([], 5.0) == (False, 0.0)
