"""Everything a player or a drawer full of parts can get wrong: said in one line, pedal alive."""

import itertools
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from hil.virtual.guest.bench import RUNTIME, Bench
from hil.virtual.guest.relay import RELAY_OFFSET
from hil.virtual.scenarios.report import check, fact, mark, span

_PEDAL = Path("/etc/purga/pedal.toml")
_SETTLE_S = 6.0


@contextmanager
def _edited(before: str, after: str) -> Any:
    """``pedal.toml`` with one thing written otherwise."""
    text = _PEDAL.read_text()
    assert before in text, before
    _PEDAL.write_text(text.replace(before, after))
    try:
        yield
    finally:
        _PEDAL.write_text(text)


@contextmanager
def _spi_missing() -> Any:
    subprocess.run(["rmmod", "spidev"], check=True)
    try:
        yield
    finally:
        subprocess.run(["modprobe", "spidev"], check=True)


@contextmanager
def _no_permission() -> Any:
    device = Path("/dev/spidev0.0")
    mode = device.stat().st_mode
    owner = (device.stat().st_uid, device.stat().st_gid)
    os.chown(device, 0, 0)
    device.chmod(0o600)
    try:
        yield
    finally:
        os.chown(device, *owner)
        device.chmod(mode & 0o777)


@contextmanager
def _card_of_44100() -> Any:
    """Another program holds the far end at 44.1 kHz, so the interface refuses 48."""
    command = ["aplay", "-q", "-D", "hw:Loopback,1,0", "-f", "S32_LE", "-c", "2", "-r", "44100"]
    child = subprocess.Popen([*command, "/dev/zero"], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    try:
        yield
    finally:
        child.terminate()
        child.wait()


_MUSIC = "the pedal goes on playing"
_RELAY = "the guitar passes through the relay"

_CASES: tuple[tuple[str, str, str, Callable[[], AbstractContextManager[None]], str], ...] = (
    (
        "a wrong key in pedal.toml",
        "toml",
        "perodis",
        lambda: _edited("periods = ", "perodis = "),
        _RELAY,
    ),
    (
        "a file that is no TOML",
        "broken",
        "pedal.toml",
        lambda: _edited("[audio]", "[audio"),
        _RELAY,
    ),
    (
        "a pin that does not exist",
        "pin",
        "99",
        lambda: _edited("[pins]", '[relay]\npin = "BOARD99"\n\n[pins]'),
        _RELAY,
    ),
    (
        "a footswitch pin that does not exist",
        "foot",
        "BOARD99",
        lambda: _edited("[pins]", '[footswitch]\npin = "BOARD99"\n\n[pins]'),
        _MUSIC,
    ),
    ("no SPI device", "spi", "spidev", _spi_missing, _MUSIC),
    ("no permission for the SPI device", "permission", "no right", _no_permission, _MUSIC),
    ("a card that refuses 48 kHz", "rate", "48000", _card_of_44100, _RELAY),
    (
        "a preset that is not there",
        "preset",
        "nowhere.toml",
        lambda: _edited("presets/dry-to-echo.toml", "presets/nowhere.toml"),
        _MUSIC,
    ),
)


def run(bench: Bench) -> dict[str, Any]:
    """Each case: start with it, look, mend it, and it must play again."""
    checks, timeline, marks = [], [], []
    bench.wait("playing", bench.plays, 40.0)
    for what, name, word, wrong, expected in _CASES:
        bench.systemctl("stop", "purga.target", "purga-audio", "purga-control")
        started_s = time.monotonic()
        marks.append(mark(started_s, what))
        with wrong():
            bench.systemctl("start", "--no-block", "purga.target")
            time.sleep(_SETTLE_S)
            wet = expected == _MUSIC
            if wet:
                bench.wait(f"playing with {what}", bench.plays, 15.0)
            bench.scope.clear()
            time.sleep(0.4)
            held = len(bench.scope.edges(RELAY_OFFSET)) >= 15
            status, journal = _status(), _journal(started_s)
            alive = all(bench.main_pid(each) > 1 for each in ("audio", "control"))
        timeline.append(span("wet" if held else "relay", started_s, time.monotonic()))
        quoted = _line_with(status, word)
        checks += [
            fact(f"bad-{name}-alive", what, "audio and control run", alive),
            fact(f"bad-{name}-relay", what, expected, held == wet),
            fact(f"bad-{name}-status", what, "status says it", bool(quoted), note=quoted[:200]),
            fact(f"bad-{name}-journal", what, "the journal says it", word in journal),
        ]
        bench.systemctl("restart", "--no-block", "purga-audio", "purga-control")
        time.sleep(0.5)
        bench.wait(f"playing after {what} was mended", bench.plays, 25.0)
    checks += _full_disk(bench) + _clock(bench)
    return {"checks": checks, "timeline": timeline, "marks": marks}


def _status() -> str:
    done = subprocess.run(
        ["/opt/purga/.venv/bin/python", "-m", "device", "status", "--runtime", str(RUNTIME)],
        cwd="/opt/purga",
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def _line_with(text: str, word: str) -> str:
    return next((line.strip() for line in text.splitlines() if word in line), "")


def _journal(since_s: float) -> str:
    command = ["journalctl", "--no-pager", "-o", "short-monotonic", "-u", "purga-*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = []
    for line in done.stdout.splitlines():
        stamp = line[1:].split("]")[0].strip()
        if stamp.replace(".", "").isdigit() and float(stamp) >= since_s - 0.1:
            lines.append(line)
    return "\n".join(lines)


def _full_disk(bench: Bench) -> list[dict[str, Any]]:
    """State and cache lie on a disk without a byte to spare."""
    for folder in ("/var/lib/purga", "/var/cache/purga"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "full", folder], check=True)
        Path(folder, "full").write_bytes(b"x" * 4096)
    bench.systemctl("restart", "--no-block", "purga-audio", "purga-control")
    time.sleep(1.0)
    try:
        bench.wait("playing with a full disk", bench.plays, 40.0)
        plays = True
    except TimeoutError:
        plays = False
    for folder in ("/var/lib/purga", "/var/cache/purga"):
        subprocess.run(["umount", folder], check=True)
    return [fact("bad-disk", "a full disk", _MUSIC, plays)]


def _clock(bench: Bench) -> list[dict[str, Any]]:
    """The time of day jumps by years, both ways: nothing that plays may care."""
    bench.systemctl("restart", "--no-block", "purga-audio", "purga-control")
    time.sleep(1.0)
    bench.wait("playing", bench.plays, 25.0)
    time.sleep(1.0)
    before = bench.meters()
    assert before is not None
    restarts = bench.restarts("audio") + bench.restarts("control")
    bench.scope.clear()
    start_s = time.monotonic()
    for when in ("2035-01-01 00:00:00", "1999-01-01 00:00:00", "2026-11-21 12:00:00"):
        subprocess.run(["date", "-s", when], check=True, capture_output=True)
        time.sleep(1.0)
    passed_s = time.monotonic() - start_s
    edges = [edge.time_s for edge in bench.scope.edges(RELAY_OFFSET)]
    longest_ms = 1000.0 * max(
        (later - earlier for earlier, later in itertools.pairwise(edges)),
        default=passed_s,
    )
    after = bench.meters()
    assert after is not None
    group = "a clock that jumps by years"
    return [
        check("clock-xruns", group, "xruns", 0, after.values["xruns"] - before.values["xruns"], ""),
        check("clock-edges", group, "longest time between edges", 60.0, longest_ms, "ms"),
        check(
            "clock-restarts",
            group,
            "restarts",
            0,
            bench.restarts("audio") + bench.restarts("control") - restarts,
            "",
        ),
    ]
