"""Every way in which a link goes wrong: the update finishes, or gives up cleanly and goes on later.

The table is the list of faults. ``times`` says how often a fault hits: one that passes is lived
through in the same run, one that stays ends the run with its sentence, and the next run over a link
that is well again needs nothing twice.
"""

import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.deploy.attacks.pedal import LIMITS, TIGHT
from tests.deploy.attacks.world import World
from tests.deploy.link import faults
from tests.deploy.link.server import Change, Fault

TIMESTAMP, ROOT, SNAPSHOT = r"metadata/timestamp", r"metadata/2\.root", r"\d\.snapshot"
RELEASE, CHUNKS = r"^targets/", r"^chunks/"
MANY = 10**6


@dataclass(frozen=True)
class Row:
    """What goes wrong, where, how often, and how the update has to end."""

    where: str
    change: Change | Callable[[World], Change]
    times: int | None
    code: int
    words: tuple[str, ...] = ()
    skip: int = 0
    most_requests: int = 64


def passing(where: str, change: Change, times: int = 1, skip: int = 0) -> Row:
    return Row(where, change, times, 0, (), skip)


def staying(where: str, change: Change, code: int, *words: str, most_requests: int = 64) -> Row:
    return Row(where, change, None, code, words, 0, most_requests)


def _old(world: World) -> Change:
    return faults.replayed(world.old)


status, cut = faults.status, faults.cut
TABLE: dict[str, Row] = {
    # It passes.
    "breaks off in a chunk": passing(CHUNKS, cut(5000), skip=3),
    "breaks off in every chunk": passing(CHUNKS, cut(9000), times=MANY, skip=1),
    "is reset in a chunk": passing(CHUNKS, cut(5000, "reset"), skip=2),
    "falls silent in a chunk": passing(CHUNKS, cut(5000, "stall"), skip=2),
    "breaks off in the release file": passing(RELEASE, cut(700)),
    "breaks off in the snapshot": passing(SNAPSHOT, cut(100)),
    "breaks off in the timestamp": passing(TIMESTAMP, cut(10), times=2),
    "breaks off before a byte": passing(CHUNKS, cut(0), times=2),
    "does not answer once": passing(CHUNKS, faults.silent),
    "answers late": passing("", faults.delayed(0.02), times=10),
    "408 once": passing(CHUNKS, status(408)),
    "429 with Retry-After": passing(CHUNKS, status(429, "7"), times=2),
    "503 with Retry-After": passing(TIMESTAMP, status(503, "2")),
    "500 twice": passing(RELEASE, status(500), times=2),
    "502 twice for the next root": passing(ROOT, status(502), times=2),
    "one chunk truncated": passing(CHUNKS, faults.truncated(0.5), skip=2),
    "one chunk corrupted": passing(CHUNKS, faults.corrupted(), skip=2),
    "three chunks corrupted": passing(CHUNKS, faults.corrupted(0.9), times=3, skip=1),
    "a length that is too long": passing(CHUNKS, faults.wrong_length(100)),
    "a length that is too short": passing(CHUNKS, faults.wrong_length(-100)),
    "a corrupted snapshot once": passing(SNAPSHOT, faults.corrupted()),
    "a truncated timestamp once": passing(TIMESTAMP, faults.truncated(0.7)),
    "a redirect": passing(RELEASE, faults.redirected("/{path}?again")),
    # It stays.
    "never a timestamp": staying(TIMESTAMP, status(404), 1, "404", most_requests=4),
    "never a snapshot": staying(SNAPSHOT, status(404), 1, "404"),
    "never a release file": staying(RELEASE, status(404), 1, "404"),
    "never a chunk": staying(CHUNKS, status(404), 1, "lacks chunk", most_requests=12),
    "forbidden": staying("", status(403), 1, "403", most_requests=4),
    "401": staying("", status(401), 1, "401", most_requests=4),
    "418 for the next root": staying(ROOT, status(418), 1, "418", most_requests=4),
    "500 for the next root": staying(ROOT, status(500), 1, "500", most_requests=8),
    "500 for chunks": staying(CHUNKS, status(500), 1, "500"),
    "511": staying("", status(511), 1, "web page", most_requests=4),
    "408 for ever": staying(CHUNKS, status(408), 1, "408"),
    "429 for ever": staying(CHUNKS, status(429, "5"), 1, "429"),
    "429, a day": staying(TIMESTAMP, status(429, "86400"), 1, "left alone", most_requests=4),
    "429, for all of time": staying(TIMESTAMP, status(429, "9" * 4000), 1, "left alone"),
    "429 until 9999": staying(
        TIMESTAMP, status(429, "Fri, 31 Dec 9999 23:59:59 GMT"), 1, "429", most_requests=8
    ),
    "429 since 1970": staying(TIMESTAMP, status(429, "Thu, 01 Jan 1970 00:00:00 GMT"), 1, "429"),
    "429, minus five": staying(TIMESTAMP, status(429, "-5"), 1, "429", most_requests=8),
    "429, no number": staying(TIMESTAMP, status(429, "1e9, soon٣"), 1, "429", most_requests=8),
    "a portal": staying("", faults.portal, 1, "web page", most_requests=4),
    "a portal for chunks": staying(CHUNKS, faults.portal, 1, "web page"),
    "a portal that does not say that it is one": staying(
        "", faults.replaced(b"\n <!DOCTYPE HTML><html>"), 1, "web page"
    ),
    "a redirect to a portal": staying(
        "^(?!login)", faults.redirected("/login"), 1, "404", "web page", most_requests=8
    ),
    "a redirect to itself": staying("", faults.redirected("/{path}"), 1, "leads elsewhere"),
    "redirects without end": staying("", faults.redirected("/{path}?{number}"), 1, "leads elsewh"),
    "a redirect to a file": staying("", faults.redirected("file:///etc/passwd"), 1, "elsewhere"),
    "a redirect to nowhere": staying("", faults.redirected("http://"), 1),
    "a redirect to nonsense": staying("", faults.redirected("http://[::1"), 1),
    "a redirect to a port that is none": staying("", faults.redirected("http://a:99999/"), 1),
    "never answers": staying("", faults.silent, 1, "in time", most_requests=8),
    "a head by the byte": staying(TIMESTAMP, faults.slow_head(0.03), 1, "in time"),
    "a head without end": staying("", faults.endless_head, 1, most_requests=8),
    "a status that is none": staying("", faults.not_http, 1, "999", most_requests=4),
    "falls silent in every chunk": staying(CHUNKS, cut(1000, "stall"), 1, "in time"),
    "every chunk truncated": staying(CHUNKS, faults.truncated(0.5), 1, "of"),
    "every chunk corrupted": staying(CHUNKS, faults.corrupted(), 2, "not the signed ones"),
    "a corrupted timestamp": staying(TIMESTAMP, faults.corrupted(), 2),
    "a corrupted release file": staying(RELEASE, faults.corrupted(), 2, "damaged"),
    "an empty timestamp": staying(TIMESTAMP, faults.replaced(b""), 2, "damaged"),
    "empty chunks": staying(CHUNKS, faults.replaced(b""), 1),
    "old metadata": Row("^metadata/", _old, None, 0),
    "a gzip bomb for a timestamp": staying(TIMESTAMP, faults.bomb(64), 2, "damaged"),
    "a gzip bomb for chunks": staying(CHUNKS, faults.bomb(64), 2, "not the signed ones"),
    "gzip that nobody asked for": staying(TIMESTAMP, faults.compressed(), 2, "damaged"),
}


SLOW = {
    "falls silent in a chunk",
    "does not answer once",
    "never answers",
    "a head by the byte",
    "falls silent in every chunk",
}
"""What is noticed by the time that it takes."""


def _faults(world: World, row: Row) -> list[Fault]:
    change = row.change(world) if row.change is _old else row.change
    return [Fault(change, row.where, row.skip, row.times)]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TABLE)
def test_a_link_that(linked: World, name: str) -> None:
    row, pedal = TABLE[name], linked.pedal
    if name in SLOW:
        # One that passes may be unlucky a few times more where the machine is busy.
        pedal.limits = TIGHT if row.times is None else replace(TIGHT, tries=10)
    told = linked.get(*_faults(linked, row))
    told._ended(row.code, row.words)
    assert linked.link.faults[0].hits, "the fault never hit"
    assert sum(pedal.clock.naps) < LIMITS.deadline_s
    if row.times is not None:
        assert pedal.version() == 2
        return
    assert pedal.version() == 1
    assert len(linked.link.requests) <= row.most_requests
    # The link is well again, after a reboot: it goes on, and what had come does not come again.
    linked.pedal = pedal.restarted()
    had = {path.name for path in pedal.places.store.rglob("*") if path.is_file()}
    linked.link.forget()
    linked.get().done()
    assert linked.pedal.version() == 2
    assert not {path.rpartition("/")[2] for path in linked.link.paths("chunks/")} & had


def test_waits_are_the_server_s_where_it_asks_and_else_grow_with_jitter(linked: World) -> None:
    linked.get(Fault(faults.status(429, "7"), CHUNKS, times=2))
    assert linked.pedal.clock.naps[:2] == [7.0, 7.0]
    again = linked.pedal.restarted()
    linked.repo.publish({"stage.onnx": b"three"}, name="three")
    linked.pedal = again
    linked.get()  # proves release 2
    linked.get(Fault(faults.status(500), TIMESTAMP))
    first, second = again.clock.naps
    pause = LIMITS.pause_s
    assert pause / 2 <= first <= pause <= second <= 2 * pause
    assert len({first % 0.1, second % 0.2}) == 2


def test_two_pedals_do_not_knock_at_the_same_moments(linked: World) -> None:
    naps = []
    for seed in range(2):
        pedal = linked.pedal = linked.pedal.restarted()
        random.seed(seed)
        linked.get(Fault(faults.status(500), TIMESTAMP))
        naps.append(tuple(pedal.clock.naps))
    assert naps[0] != naps[1]


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
def test_a_release_file_whose_announced_length_was_too_long(
    linked: World, times: int | None
) -> None:
    linked.get(Fault(faults.wrong_length(100), RELEASE, times=times)).done()


def test_nobody_listens(linked: World) -> None:
    with faults.refused() as url:
        linked.pedal.get(linked.pedal.http(url)).failed("cannot be reached")
    assert linked.pedal.version() == 1


def test_the_name_is_not_found(linked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*given: object, **named: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    linked.pedal.get(linked.pedal.http("http://updates.example/")).failed()
    assert linked.pedal.version() == 1


def test_the_deadline_ends_what_nothing_else_does(linked: World) -> None:
    """Every request succeeds at the last try: the whole is bounded all the same."""
    linked.link.faults = [Fault(faults.status(503, "50"), CHUNKS)]
    told = linked.pedal.get(linked.pedal.http(linked.link.url))
    told.failed("503", "deadline_s")
    assert sum(linked.pedal.clock.naps) <= LIMITS.deadline_s


def test_a_stick_that_is_pulled_out(stick: World) -> None:
    moved = Path(f"{stick.mirror}-gone")
    stick.mirror.rename(moved)
    stick.get().failed()
    moved.rename(stick.mirror)
    stick.get().done()
    assert stick.pedal.version() == 2
