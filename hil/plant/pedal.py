"""The pedal in the plant: the firmware's own states on the plant's temperatures, and its sound.

What decides is ``device.states``, the code that ships; what is modelled is how long things take
(measured in the virtual pedal) and what is heard. It is quick: a night takes seconds. The virtual
pedal is the other one, with the real processes.
"""

import math
import random
from typing import Any, Literal

import numpy as np

from device.states import Inputs, States, Temperatures
from device.states.values import Audio
from hil.plant.boot import BootChain
from hil.plant.faults import PlantFaults
from hil.plant.parameters import Parameters
from hil.suites.delay import Signal, shifted

Heard = Literal["relay", "silence", "dry", "wet"]
Engine = Literal["crossfade", "stage", "studio"]

CONVERTER_FRAMES = 62.0
"""Of both converters' filters and the USB transfers: assumption, to be measured on the rig."""
STUDIO_FRAMES = 6976
"""The studio engine's latency as bundles are built: 145 ms."""
_KNOB_S = 0.007
"""Knob to sound: SIMULATED, make hil ARGS='--only hands'."""
_SETTLE_S = 0.4
"""From audio's being well to the relay (device/states: settle_s), and the fade."""


class FastPedal:
    """Firmware and sound, from the moment that Linux runs."""

    def __init__(self, parameters: Parameters, faults: PlantFaults, rng: random.Random) -> None:
        """Off."""
        self._parameters, self._faults, self._random = parameters, faults, rng
        self.period_frames, self.periods, self.rate_hz = 64, 3, 48_000
        self.engine: Engine = "stage"
        """What the preset asks for."""
        self.position = 0.5
        self.heard: Heard = "relay"
        self.xruns = self.restarts = 0
        self.played_frames = 0.0
        self.knob_lost = False
        self.turned_s = -math.inf
        self._position_at: list[tuple[float, float]] = []
        self._down_until_s = -math.inf
        self._dead = False
        self._absent_until_s = -math.inf
        self._states: States | None = None
        self.heater = False
        self.relay = False
        self.changes: list[tuple[float, str, str]] = []
        """(s, state, why): every state it went to."""
        self.heard_changes: list[tuple[float, Heard]] = [(0.0, "relay")]
        self._state = "off"
        self._temperatures: Temperatures | None = None

    # -- what happens to it -----------------------------------------------------------------------

    def kill(self, now_s: float, process: str = "audio") -> None:
        """A process dies. Without the engine process the stage engine stands in."""
        p, f = self._parameters, self._faults
        self.restarts += 1
        if process == "engine":
            self.xruns += f.engine_death_xruns
            return
        if f.never_restarts:
            self._dead = True
        self._down_until_s = now_s + p.restart_s + f.restart_later_s

    def unplug(self, until_s: float) -> None:
        """The interface goes, and comes back at ``until_s``."""
        self._absent_until_s = until_s + self._parameters.enumerate_s

    def turn(self, now_s: float, position: float) -> None:
        """Somebody turns the knob at ``now_s``."""
        late_s = _KNOB_S + self._faults.knob_later_s
        self.knob_lost = self._faults.adc_dead
        if not self.knob_lost:
            self._position_at.append((now_s + late_s, position))
            self._position_at.sort()

    def inject(self, what: str, on: bool, now_s: float) -> None:
        """Break something that the firmware should bear: see ``hil.instruments.INJECTIONS``."""
        f = self._faults
        if what == "adc dead":
            f.adc_dead = on
            self.knob_lost = on and not f.adc_unsaid
            if on and f.adc_reads_zero:
                self.position = 0.0
        elif what == "heater stuck":
            f.heater_stuck = on
        elif what == "load":
            f.xruns_per_s = f.xruns_under_load_per_s if on else 0.0
        elif on and {"disk full": f.full_disk_kills, "clock jump": f.clock_jump_kills}.get(what):
            self.kill(now_s)
        elif what == "update" and on:
            self.xruns += f.update_xruns
            if f.update_stops_sound:
                self._down_until_s = now_s + self._parameters.restart_s

    # -- time -------------------------------------------------------------------------------------

    def advance(
        self,
        seconds: float,
        now_s: float,
        boot: BootChain,
        readings: dict[str, float],
        air_c: float,
        humidity_percent: float,
        interface_ppm: float,
    ) -> None:
        """Go on for ``seconds`` that end at ``now_s``."""
        if boot.phase != "running":
            self._off(now_s, boot)
            return
        if self._states is None:
            self._states = States()
        audio = self._audio(now_s, boot.running_s)
        if self._faults.damp_kills and humidity_percent > 80.0 and audio != "dead":
            audio = "absent"
        self._temperatures = self._read(readings, air_c, humidity_percent)
        decision = self._states.step(Inputs(now_s, self._temperatures, audio, frozenset()))
        if decision.state != self._state:
            self._state = decision.state
            self.changes.append((now_s, decision.state, decision.cause))
        self.heater = decision.heater or self._faults.heater_stuck
        self.relay = decision.relay or self._faults.relay_stuck
        if self._faults.plays_wet_when_cold and audio == "playing":
            self.relay = True
        self._hear(now_s, self._sounds(audio))
        while self._position_at and self._position_at[0][0] <= now_s:
            self.turned_s, self.position = self._position_at.pop(0)
        if audio in ("playing", "loading"):
            self.played_frames += seconds * self.rate_hz * (1.0 + interface_ppm * 1e-6)
            self._lose(seconds, readings["die"])

    @property
    def watts(self) -> float:
        """What computing takes beyond an idle module."""
        p = self._parameters
        if self._states is None or self.heard not in ("wet", "dry"):
            return 0.0
        return {"crossfade": p.crossfade_w, "stage": p.stage_w, "studio": p.studio_w}[
            self.engine_heard
        ]

    @property
    def engine_heard(self) -> Engine:
        """What computes the tone: the preset's, or what heat and cold leave of it."""
        if self._states is None:
            return "crossfade"
        decision = self._states.decision
        order: list[Engine] = ["crossfade", "stage", "studio"]
        most = "studio" if self._faults.no_throttle else decision.ceiling
        if most == "studio" and not decision.engine and not self._faults.no_throttle:
            most = "stage"
        return order[min(order.index(self.engine), order.index(most))]

    @property
    def latency_frames(self) -> int:
        """What it says of itself: the preset's, whatever stands in."""
        return STUDIO_FRAMES if self.engine == "studio" else 0

    def status(self) -> dict[str, Any]:
        """The keys of ``python -m device status --json`` that the suites ask for."""
        decision = None if self._states is None else self._states.decision
        temperatures = self._temperatures
        return {
            "periods": int(self.played_frames // self.period_frames),
            "xruns": self.xruns,
            "loading": int(self.heard != "wet"),
            "rate_hz": self.rate_hz,
            "period_frames": self.period_frames,
            "latency_frames": self.latency_frames,
            "engine_asked": self.engine,
            "position": self.position,
            "control": {
                "state": "off" if decision is None else decision.state,
                "cause": "" if decision is None else decision.cause,
                "relay": self.relay and not self._faults.says_bypass,
                "heater": self.heater,
                "ceiling": "crossfade" if decision is None else decision.ceiling,
                "engine": decision is not None and decision.engine,
                "warnings": [] if decision is None else list(decision.warnings),
                "knob": "dead" if self.knob_lost else "good",
                "temperatures": {
                    "coldest_c": None if temperatures is None else temperatures.coldest_c,
                    "hottest_c": None if temperatures is None else temperatures.hottest_c,
                    "surface_c": None if temperatures is None else temperatures.surface_c,
                },
                "restarts": self.restarts + self._faults.restarts,
            },
        }

    # -- sound ------------------------------------------------------------------------------------

    def sound(self, signal: Signal, now_s: float, tail_frames: int = 16_384) -> Signal:
        """What a recorder hears while ``signal`` is played into the jack."""
        p, f = self._parameters, self._faults
        length = len(signal) + tail_frames
        noise = np.random.default_rng(self._random.getrandbits(32)).standard_normal(length)
        heard = 10.0 ** (p.audio_noise_db / 20.0) * noise
        if self.heard == "silence":
            return heard
        if self.heard == "relay":
            return heard + shifted(signal, 0.0, length)
        late = self.round_trip_frames + f.latency_extra_frames
        if f.latency_jitter_frames:
            late += self._random.gauss(0.0, f.latency_jitter_frames)
        wave: Signal = signal.astype(np.float64)
        if self.heard == "wet":
            # The bench's preset: tone B is a quarter as loud as tone A.
            wave = wave * 4.0 ** (-self._positions(now_s, len(wave)))
            late += self.latency_frames
            late += f.stage_late_frames if self.engine_heard != "crossfade" else 0.0
            if self.engine == "studio":
                wave = np.tanh(3.0 * wave)
                late += f.studio_late_frames
        return heard + 10.0 ** (f.level_db / 20.0) * shifted(wave, late, length)

    def _positions(self, now_s: float, frames: int) -> Signal:
        """The knob through ``frames`` that begin at ``now_s``."""
        positions = np.full(frames, self.position)
        for at_s, position in self._position_at:
            first = max(0, round((at_s - now_s) * self.rate_hz))
            positions[first:] = position
        return positions

    @property
    def round_trip_frames(self) -> float:
        """Without any tone: buffers and converters."""
        return self.period_frames * self.periods + CONVERTER_FRAMES

    # -- inside -----------------------------------------------------------------------------------

    def _off(self, now_s: float, boot: BootChain) -> None:
        self._states, self.heater, self.relay = None, self._faults.heater_stuck, False
        if self._faults.heater_stuck and boot.phase == "off":
            self.heater = False
        self._state = "off"
        self.xruns = self.restarts = 0
        self.played_frames = 0.0
        self._dead, self._down_until_s = False, -math.inf
        self._position_at.clear()
        if self._faults.loses_settings:
            self.engine = "crossfade"
        self._hear(now_s, "silence" if self._faults.relay_stuck else "relay")

    def _audio(self, now_s: float, running_s: float) -> Audio:
        p, f = self._parameters, self._faults
        if self._dead or now_s < self._down_until_s or running_s < p.dry_s + f.dry_later_s:
            return "dead"
        if now_s < self._absent_until_s or f.interface_absent:
            return "absent"
        later_s = p.wet_s + f.dry_later_s + _SETTLE_S
        return "loading" if f.never_wet or running_s < later_s else "playing"

    def _read(
        self, readings: dict[str, float], air_c: float, humidity_percent: float
    ) -> Temperatures:
        p, f = self._parameters, self._faults
        offset_k = f.zone_offset_k
        zones = {
            name: readings["die"] + offset_k + self._random.gauss(0.0, p.zone_noise_k)
            for name in ("cpu-thermal", "gpu-thermal", "tj-thermal")
        }
        hottest_c = max(zones.values())
        return Temperatures(
            coldest_c=min(zones.values()),
            hottest_c=60.0 if f.no_throttle and hottest_c > 60.0 else hottest_c,
            surface_c=readings["board"],
            air_c=None if f.dew_ignored else air_c,
            humidity_percent=None if f.dew_ignored else humidity_percent,
            zones=zones,
        )

    def _sounds(self, audio: Audio) -> Heard:
        if not self.relay:
            return "relay"
        return {"playing": "wet", "loading": "dry"}.get(audio, "silence")  # type: ignore[return-value]

    def _hear(self, now_s: float, heard: Heard) -> None:
        if heard != self.heard:
            self.heard = heard
            self.heard_changes.append((now_s, heard))

    def _lose(self, seconds: float, die_c: float) -> None:
        f = self._faults
        if f.xruns_below_c is not None and die_c >= f.xruns_below_c:
            return
        rate = f.xruns_per_s
        if die_c > self._parameters.throttle_c:
            rate += 5.0  # a module that slows its clocks misses periods
        if rate:
            self.xruns += int(rate * seconds) + (self._random.random() < rate * seconds % 1.0)
