"""The state machine: readings to facts, facts through the table, the row to a decision."""

from collections import deque

from device.states.heater import Heater
from device.states.limits import Limits
from device.states.table import CRITICAL, CROSSFADE_ONLY, HELD, WARM, Facts, ceiling, decide, engine
from device.states.thermal import Ladder, Watched, believed, believed_percent, dew_point_c
from device.states.values import STOPPING_FAULTS, Decision, Inputs, Temperatures, Transition

RENEW_S = 0.05
"""Steps with equal inputs closer than this return the last decision: control turns 500×/s."""

HISTORY = 256
"""Transitions that are kept, and that wait to be logged."""

SOUNDING = ("loading", "playing")
"""What audio does while the guitar can be heard through it: dry or processed."""

DAMP, DRY = 0, 1
"""Levels of the surface above the dew point."""


class States:
    """Decides what the pedal does; pure logic, no clock and no hardware of its own.

    The first reading is believed at once; every later change of band must be confirmed. Sensors
    that are lost are no cold: the pedal plays on with a warning, keeps the throttle it had, and
    does not heat.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        """Begin in ``hold``, waiting for audio."""
        self.limits = limits = limits or Limits()
        cold = (limits.hold_below_c + limits.cold_hysteresis_k, limits.warm_from_c)
        heat = (limits.stage_from_c, limits.crossfade_from_c, limits.bypass_from_c)
        dry = (limits.dew_margin_k + limits.dew_hysteresis_k,)
        lost_s, confirm_s = limits.sensors_lost_s, limits.confirm_s
        self._cold = Watched(
            Ladder(cold, limits.cold_hysteresis_k, confirm_s), lost_s, lambda level: WARM
        )
        self._heat = Watched(
            Ladder(heat, limits.hot_hysteresis_k, confirm_s),
            lost_s,
            lambda level: min(level, CROSSFADE_ONLY),  # bypass for ever would be no answer
        )
        self._dry = Watched(
            Ladder(dry, limits.dew_hysteresis_k, confirm_s), lost_s, lambda level: DRY
        )
        self._heater = Heater(limits)
        self._surface_seen = False
        self._start_s: float | None = None
        self._now_s = float("-inf")
        self._renewed_s = float("-inf")
        self._trouble_s = 0.0  # the last moment at which a fault was there
        self._silent_s = 0.0  # the last moment at which audio made no sound
        self._started = False
        self._sounded = False
        self._damp_s: float | None = None
        self._reason = "starting"
        self._inputs: Inputs | None = None
        self.decision = Decision("hold", "starting", False, False, "crossfade", False)
        """What was decided last."""
        self.transitions: deque[Transition] = deque(maxlen=HISTORY)
        """The latest changes, oldest first."""
        self._pending: deque[Transition] = deque(maxlen=HISTORY)

    def step(self, inputs: Inputs) -> Decision:
        """Return what to do now; the same object as before as long as nothing changes."""
        last = self._inputs
        if (
            last is not None
            and inputs.temperatures is last.temperatures
            and inputs.audio == last.audio
            and inputs.faults == last.faults
            and 0.0 <= inputs.now_s - self._renewed_s < RENEW_S
        ):
            return self.decision
        self._inputs = inputs
        self._renewed_s = inputs.now_s
        self._now_s = max(self._now_s, inputs.now_s)
        if self._start_s is None:
            self._start_s = self._trouble_s = self._silent_s = self._now_s
        self._decide(inputs)
        return self.decision

    def drain(self) -> list[Transition]:
        """Return the transitions since the last call: what is still to be logged."""
        waiting = list(self._pending)
        self._pending.clear()
        return waiting

    def _decide(self, inputs: Inputs) -> None:
        """Go through the table and keep the decision."""
        now_s = self._now_s
        temperatures = inputs.temperatures
        facts = self._facts(inputs)
        row = decide(facts)
        sounds = now_s - self._silent_s >= self.limits.settle_s and inputs.audio in SOUNDING
        relay = row.relay and sounds
        if facts.cold == HELD:
            self._sounded = False  # what comes back from the cold may be wet
        elif relay:
            self._sounded = True
        board_c = self._board_c(temperatures)
        heater = self._heater.step(
            now_s,
            board_c,
            self._warmest_c(temperatures),
            believed(temperatures.surface_c),
            allowed=row.heater,
            damp=self._damp_s is not None,
        )
        reason = row.reason(facts) or self._reason
        most = ceiling(facts)
        cause = self.decision.cause
        if (row.state, reason, most) != (self.decision.state, self._reason, self.decision.ceiling):
            cause = self._cause(reason, row.state, temperatures)
            change = Transition(now_s, self.decision.state, row.state, cause)
            self.transitions.append(change)
            self._pending.append(change)
            self._reason = reason
        decision = Decision(
            row.state, cause, relay, heater, most, engine(facts), self._warnings(inputs)
        )
        if decision != self.decision:
            self.decision = decision

    def _facts(self, inputs: Inputs) -> Facts:
        """What the table asks for, from what is read."""
        now_s, limits = self._now_s, self.limits
        temperatures = inputs.temperatures
        cold = self._cold.update(now_s, believed(temperatures.coldest_c))
        heat = self._heat.update(now_s, believed(temperatures.hottest_c))
        stopping = tuple(sorted(fault for fault in inputs.faults if stops(fault)))
        if inputs.audio != "dead":
            self._started = True
        if stopping or inputs.audio == "dead" or heat >= CRITICAL:
            self._trouble_s = now_s
        if inputs.audio not in SOUNDING:
            self._silent_s = now_s
        return Facts(
            audio=inputs.audio,
            stopping=stopping,
            cold=cold,
            heat=heat,
            damp=self._guard(temperatures),
            started=self._started,
            overdue=now_s - (self._start_s or 0.0) >= limits.start_s,
            settled=now_s - self._trouble_s >= limits.settle_s,
            failed=self.decision.state == "fault",
        )

    def _guard(self, temperatures: Temperatures) -> bool:
        """Whether the dew guard holds: wet, nothing played yet, and not for too long."""
        board_c = self._board_c(temperatures)
        dew_c = settling_c(temperatures)
        above_k = None if board_c is None or dew_c is None else board_c - dew_c
        if self._dry.update(self._now_s, above_k) == DRY:
            self._damp_s = None
            return False
        if self._damp_s is None:
            self._damp_s = self._now_s
        return not self._sounded and self._now_s - self._damp_s < self.limits.dew_max_s

    def _board_c(self, temperatures: Temperatures) -> float | None:
        """The board's temperature: its own sensor, or the coldest zone less its own heat.

        A surface sensor that was there and is lost is not replaced by a guess.
        """
        surface_c = believed(temperatures.surface_c)
        if surface_c is not None:
            self._surface_seen = True
            return surface_c
        coldest_c = believed(temperatures.coldest_c)
        if self._surface_seen or coldest_c is None:
            return None
        return coldest_c - self.limits.self_heating_k

    def _warmest_c(self, temperatures: Temperatures) -> float | None:
        """The warmest of all readings; None where the module's own cannot be read."""
        hottest_c = believed(temperatures.hottest_c)
        coldest_c = believed(temperatures.coldest_c)
        if hottest_c is None or coldest_c is None:
            return None
        others = (believed(temperatures.surface_c), believed(temperatures.air_c))
        return max(hottest_c, coldest_c, *(other for other in others if other is not None))

    def _warnings(self, inputs: Inputs) -> tuple[str, ...]:
        """What is wrong and stops nothing."""
        warnings = {fault for fault in inputs.faults if not stops(fault)}
        if self._cold.lost or self._heat.lost:
            warnings.add("no temperatures")
        if self._surface_seen and believed(inputs.temperatures.surface_c) is None:
            warnings.add("surface sensor lost")
        if self._damp_s is not None:
            warnings.add("dew")
        if self._heater.fault:
            warnings.add(self._heater.fault)
        return tuple(sorted(warnings))

    def _cause(self, reason: str, state: str, temperatures: Temperatures) -> str:
        """The reason with the figures of this moment, for those who read the journal."""
        limits = self.limits
        coldest_c, hottest_c = believed(temperatures.coldest_c), believed(temperatures.hottest_c)
        if coldest_c is None or hottest_c is None:
            return f"{reason}; no temperatures"
        text = f"{reason}; module {coldest_c:.1f} to {hottest_c:.1f} °C"
        if state == "hold" and reason == "too cold":
            return f"{text}, plays from {limits.hold_below_c + limits.cold_hysteresis_k:g} °C"
        if state == "warm-up":
            return f"{text}, studio from {limits.warm_from_c:g} °C"
        if state == "hot" or hottest_c >= limits.stage_from_c:
            zone = max(temperatures.zones, key=temperatures.zones.__getitem__, default="")
            return f"{text} ({zone})" if zone else text
        dew_c = settling_c(temperatures)
        if reason == "dew" and dew_c is not None:
            return f"{text}, dew point {dew_c:.1f} °C"
        return text


def settling_c(temperatures: Temperatures) -> float | None:
    """The dew point of the air inside, None where no humidity sensor tells."""
    air_c = believed(temperatures.air_c)
    humidity = believed_percent(temperatures.humidity_percent)
    if air_c is None or humidity is None:
        return None
    return dew_point_c(air_c, humidity)


def stops(fault: str) -> bool:
    """Whether a fault, by the name before its colon, puts the pedal in bypass."""
    return fault.partition(":")[0] in STOPPING_FAULTS
