"""Out of the cold, to the hot end and back, on the temperatures of a plant that the guest leads."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from device.processes.meters import BINS_PER_PERIOD, Reading
from hil.virtual.exchange import Question, from_line, to_line
from hil.virtual.guest.bench import Bench
from hil.virtual.guest.coil import Coil
from hil.virtual.guest.guitar import Guitar, riff
from hil.virtual.guest.pins import Edge, number_of
from hil.virtual.guest.plant_port import PlantPort
from hil.virtual.guest.relay import HEATER_OFFSET, RELAY_OFFSET

_ZONE = Path("/sys/class/thermal/thermal_zone0/temp")
_ROOM_C = 25.0
"""What the zone reads from the start (``guest/hardware.sh``)."""
_LONGEST_S = 400.0
"""Longer than every programme; the plant ends it."""


def run(bench: Bench) -> dict[str, Any]:
    """Ask the plant every ``exchange_s`` until its programme is over; the host judges."""
    every_s = bench.options["exchange_s"]
    sound = Path("/tmp/guitar.wav")
    riff(sound, bench.options["sound_s"])
    bench.wait("playing", bench.plays, 40.0)
    guitar = Guitar(sound)
    time.sleep(0.5)  # the far end's stream opens
    port = PlantPort()
    watch = _Watch(bench)
    # What is used for the first time comes from the disk, and the clock runs on meanwhile.
    from_line(Question, to_line(watch.question(key=True)))
    bench.temperature(_ROOM_C)
    watch.begin()
    deadline_s = time.monotonic() + _LONGEST_S
    done = False
    while not done:
        next_s = time.monotonic() + every_s
        answer = port.ask(watch.question(key=True))
        bench.temperature(answer.celsius)
        watch.applied_s = time.monotonic()
        done = answer.done
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"the plant's programme is not over after {_LONGEST_S:g} s")
        time.sleep(max(0.0, next_s - time.monotonic()))
    port.ask(watch.question(key=False))
    port.close()
    watch.close()
    guitar.stop()
    return {}


class _Watch:
    """What the pedal does, from one question to the next."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._pins = bench.scope.follow()
        self._coils = {number_of(offset): Coil() for offset in (RELAY_OFFSET, HEATER_OFFSET)}
        self._before: Reading | None = None
        self._number = 0
        self.applied_s: float | None = None
        # Long enough for the edges to arm what they hold.
        time.sleep(0.5)

    def begin(self) -> None:
        """Count questions from here."""
        self._number = 0

    def question(self, *, key: bool) -> Question:
        """What is so now."""
        edges: dict[int, list[Edge]] = {number: [] for number in self._coils}
        now_s = time.monotonic()
        for number, edge in self._pins.take():
            if number in edges:
                edges[number].append(edge)
        (relay, gap_s), (heater, _) = (
            coil.update(edges[number], now_s) for number, coil in self._coils.items()
        )
        reading, control = self._bench.meters(), self._bench.control()
        zone_c = None if self.applied_s is None else int(_ZONE.read_text()) / 1000.0
        asked = Question(
            number=self._number,
            time_s=now_s,
            key=key,
            load=_mean_load(reading, self._before),
            heater=heater,
            relay=relay,
            gap_s=gap_s,
            state=str(control.get("state", "")),
            plays=_plays(reading, self._before),
            xruns=-1 if reading is None else reading.values["xruns"],
            zone_c=zone_c,
            read_c=(control.get("temperatures") or {}).get("coldest_c"),
            applied_s=self.applied_s,
        )
        self._before = reading
        self._number += 1
        return asked

    def close(self) -> None:
        """Stop watching."""
        self._pins.close()


def _mean_load(reading: Reading | None, before: Reading | None) -> float:
    """Part of the period that processing took since the reading before, mean."""
    if reading is None or before is None:
        return 0.0
    counts = reading.since(before).histogram
    total = int(counts.sum())
    if total == 0:
        return 0.0
    return float((np.arange(counts.size) + 0.5) @ counts) / total / BINS_PER_PERIOD


def _plays(reading: Reading | None, before: Reading | None) -> bool:
    """Whether a prepared preset was played since the reading before."""
    if reading is None or reading.values["loading"] or reading.values["absent"]:
        return False
    return before is None or reading.values["periods"] > before.values["periods"]
