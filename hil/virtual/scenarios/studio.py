"""The studio engine's process is killed and frozen while one plays: no period is lost."""

import signal
import time
from pathlib import Path
from typing import Any

from hil.virtual.guest.bench import Bench
from hil.virtual.guest.guitar import Guitar, recorded, riff
from hil.virtual.guest.relay import gap_after
from hil.virtual.scenarios.playing import longest_silence_s
from hil.virtual.scenarios.report import check, fact, mark, span

_GROUP = "engine killed"


def run(bench: Bench) -> dict[str, Any]:
    """Options: ``kills``."""
    kills = bench.options["kills"]
    sound, recording = Path("/tmp/guitar.wav"), Path("/tmp/recording.wav")
    riff(sound, 60.0 * (kills + 2))
    # Provisioning enables the engine only where pedal.toml names a bundle.
    bench.systemctl("start", "--no-block", "purga-studio.socket", "purga-engine.service")
    bench.wait("playing", bench.plays, 60.0)
    _wait_for_studio(bench)
    guitar = Guitar(sound, recording)
    time.sleep(1.0)
    first = bench.meters()
    assert first is not None
    start_s = time.monotonic()
    marks, back_s, held = [], [], True
    for number in range(kills):
        signal_ = signal.SIGSTOP if number == kills - 1 else signal.SIGKILL
        fault_s = bench.signal("engine", signal_)
        marks.append(mark(fault_s, "frozen" if signal_ == signal.SIGSTOP else "killed"))
        bench.wait("the stage engine stands in", lambda: bench.value("studio_heard") == 0, 5.0)
        back_s.append(_wait_for_studio(bench) - fault_s)
        held = held and gap_after(bench.scope, fault_s).dropped_s is None
        time.sleep(0.5)
    last = bench.meters()
    assert last is not None
    end_s = time.monotonic()
    guitar.stop()
    lost = last.values["xruns"] - first.values["xruns"]
    return {
        "checks": [
            check("engine-xruns", _GROUP, "xruns", 0, lost, "", note=f"{kills} times, once frozen"),
            check(
                "engine-silence",
                _GROUP,
                "longest silence in what came out",
                0.2,
                longest_silence_s(recorded(recording)),
                "s",
            ),
            fact("engine-relay", _GROUP, "the relay held all the time", held),
            fact(
                "engine-back",
                _GROUP,
                "the studio sound came back each time",
                len(back_s) == kills,
                note=f"after {max(back_s):.1f} s at most",
            ),
        ],
        "timeline": [span("wet", start_s, end_s)],
        "marks": marks,
    }


def _wait_for_studio(bench: Bench) -> float:
    """Wait until the engine process is up, which takes the guest long, and its sound is heard."""
    bench.wait(
        "the engine process",
        lambda: bench.systemctl("is-active", "purga-engine.service") == "active",
        120.0,
    )
    return bench.wait("the studio sound", lambda: bench.value("studio_heard") == 1, 30.0)
