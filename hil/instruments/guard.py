"""The guard: a chamber and a supply that do nothing unsafe, and are made safe whatever happens.

::

    guard = Guard(bounds, clock, chamber, supply, watchdog)
    guard.chamber.set(-60.0)        # BenchError: the product bears −45 °C
    guard.chamber.read()            # InstrumentError: the door is open; both have been switched off

A setpoint outside of the bounds is refused before anything moves; one that is far is led there at
the pace that was asked, a step with each reading. Whatever an instrument does not do, and every
alarm, door or lost line, trips the guard: the chamber is stopped, the output switched off, by the
bench's own lines and by the watchdog's; after that nothing starts again. The watchdog is another
process (``watchdog.py``): it does the same when this one cannot.
"""

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

from hil.clock import Clock
from hil.errors import BenchError, InstrumentError
from hil.instruments.bounds import Bounds, Ramp
from hil.instruments.protocols import (
    Chamber,
    ChamberLimits,
    ChamberReading,
    Supply,
    SupplyReading,
    Thermocouples,
)
from hil.instruments.watchdog import Watchdog

Value = TypeVar("Value")
_STEP_K = 0.1
"""What chambers resolve: a step below it is not sent."""
_AIR = "air"


class Guard:
    """Of one bench."""

    def __init__(
        self,
        bounds: Bounds,
        clock: Clock,
        chamber: Chamber,
        supply: Supply,
        watchdog: Watchdog | None = None,
        *,
        lose_link: Callable[[], Callable[[], bool]] | None = None,
    ) -> None:
        """``lose_link`` cuts the chamber's line, where it is simulated."""
        self.bounds, self.clock = bounds, clock
        self.tripped = ""
        """Why everything was switched off; empty while nothing was."""
        self._own_chamber, self._own_supply = chamber, supply
        self._watchdog = watchdog
        self._closed: set[str] = set()
        self.chamber = GuardedChamber(self, chamber)
        self.supply = GuardedSupply(self, supply)
        if lose_link is not None:
            self.chamber.lose_link = lose_link

    def call(self, what: str, act: Callable[[], Value]) -> Value:
        """Have an instrument do something; where it does not, everything is switched off.

        Raises ``InstrumentError``.
        """
        self.check()
        try:
            return act()
        except InstrumentError as error:
            raise self.trip(f"{what}: {error}") from None

    def check(self) -> None:
        """Raise ``InstrumentError`` once guard or watchdog have switched everything off."""
        if self._watchdog is not None and not self.tripped:
            self._watchdog.stir()
            if self._watchdog.tripped:
                raise self.trip(f"the watchdog: {self._watchdog.tripped}")
        if self.tripped:
            raise InstrumentError(f"the bench was switched off: {self.tripped}")

    def trip(self, reason: str) -> InstrumentError:
        """Switch everything off, once; gives what to raise, with what could not be."""
        reason = reason.rstrip(".")
        if self.tripped:
            return InstrumentError(f"the bench was switched off: {self.tripped}.")
        self.tripped = reason
        if self._watchdog is not None:
            # Its lines may hold where the bench's do not, and it need not wait for those.
            self._watchdog.ask(reason)
        failed = self._switch_off()
        if failed and self._watchdog is not None:
            left = self._watchdog.wait_safe()
            failed = [what for what in failed if what in left]
        said = "the chamber is stopped and the output is off"
        if failed:
            said = f"not switched off: {', '.join(failed)}; DO IT BY HAND"
        return InstrumentError(f"{reason}; {said}.")

    def safe_otherwise(self, what: str, reason: str) -> bool:
        """Whether the watchdog makes ``chamber`` or ``supply`` safe, where our line does not."""
        if self._watchdog is None:
            return False
        self._watchdog.ask(reason)
        return what not in self._watchdog.wait_safe()

    def close(self, what: str) -> None:
        """Let go of ``chamber`` or ``supply``: switched off first. The second ends the watchdog."""
        if what in self._closed:
            return
        self._closed.add(what)
        try:
            if what == "chamber":
                self._closing(what, self._own_chamber.stop)
            else:
                self._closing(what, lambda: self._own_supply.switch(False))
        finally:
            (self._own_chamber if what == "chamber" else self._own_supply).close()
            if self._closed == {"chamber", "supply"} and self._watchdog is not None:
                self._watchdog.close()

    def _closing(self, what: str, act: Callable[[], None]) -> None:
        try:
            act()
        except InstrumentError as error:
            if not self.safe_otherwise(what, str(error)):
                raise InstrumentError(f"the {what} may still be on: {error}") from None

    def _switch_off(self) -> list[str]:
        failed = []
        for what, act in (
            ("chamber", self._own_chamber.stop),
            ("supply", lambda: self._own_supply.switch(False)),
        ):
            try:
                act()
            except InstrumentError:
                failed.append(what)
            else:
                if self._watchdog is not None:
                    self._watchdog.told_safe(what)
        return failed


class GuardedChamber:
    """See ``hil.instruments.protocols.Chamber``."""

    lose_link: Callable[[], Callable[[], bool]]
    """Takes the line away, and gives what tells whether it still regulates. Simulated ones only."""

    def __init__(self, guard: Guard, chamber: Chamber) -> None:
        self._guard, self._chamber = guard, chamber
        self.model = chamber.model
        limits, bounds = chamber.limits, guard.bounds
        self.limits = ChamberLimits(
            max(limits.lowest_c, bounds.lowest_c),
            min(limits.highest_c, bounds.highest_c),
            limits.cooling_k_per_min,
            limits.heating_k_per_min,
            limits.humidity,
        )
        """Narrowed to what the guard lets through."""
        self._ramp = Ramp(guard.bounds.ramp_k_per_min)
        self._goal_c: float | None = None
        self._sent_c: float | None = None
        self._humidity_percent: float | None = None
        self._runs = False

    def read(self) -> ChamberReading:
        """See the protocol. Goes on with what was asked to be set."""
        reading = self._reading()
        if self._goal_c is not None and self._sent_c != self._goal_c:
            self._lead(self._goal_c)
            reading = self._reading()
        return reading

    def set(self, temperature_c: float, humidity_percent: float | None = None) -> None:
        """See the protocol. Raises ``BenchError`` for what is out of bounds."""
        self._guard.bounds.check_setpoint(temperature_c, humidity_percent)
        self._guard.check()
        if humidity_percent is not None and not self._chamber.limits.humidity:
            raise BenchError(f"{self.model} does not regulate humidity; nothing was set.")
        if not self._runs or self._goal_c is None:
            self._ramp.begin(self._reading().air_c, self._guard.clock.now_s())
        self._goal_c, self._humidity_percent, self._sent_c = temperature_c, humidity_percent, None
        self._lead(temperature_c)

    def start(self) -> None:
        """See the protocol. Raises ``BenchError`` where nothing was set before."""
        if self._goal_c is None:
            raise BenchError("the chamber was given no setpoint; set one before it is started.")
        self._reading()
        self._guard.call("start", self._chamber.start)
        self._runs = True

    def stop(self) -> None:
        """See the protocol. Goes through whatever has happened."""
        self._runs, self._goal_c = False, None
        try:
            self._chamber.stop()
        except InstrumentError as error:
            if not self._guard.tripped:
                raise self._guard.trip(f"stop: {error}") from None
            if not self._guard.safe_otherwise("chamber", str(error)):
                raise

    def close(self) -> None:
        """See the protocol; stopped first."""
        self._guard.close("chamber")

    def _reading(self) -> ChamberReading:
        reading = self._guard.call("the chamber's line", self._chamber.read)
        if wrong := self._guard.bounds.wrong_with(reading):
            raise self._guard.trip(f"{self.model}: {wrong}")
        return reading

    def _lead(self, goal_c: float) -> None:
        """Send the setpoint that is due, where it is another than the last."""
        due_c = self._ramp.toward(goal_c, self._guard.clock.now_s())
        sent_c = self._sent_c
        if sent_c is not None and due_c != goal_c and abs(due_c - sent_c) < _STEP_K:
            return
        humidity = self._humidity_percent
        self._guard.call("set", lambda: self._chamber.set(due_c, humidity))
        self._sent_c = due_c


class GuardedSupply:
    """See ``hil.instruments.protocols.Supply``."""

    def __init__(self, guard: Guard, supply: Supply) -> None:
        self._guard, self._supply = guard, supply
        self.model = supply.model

    def set(self, volts: float, limit_a: float) -> None:
        """See the protocol. Raises ``BenchError`` for what is out of bounds."""
        self._guard.bounds.check_supply(volts, limit_a)
        self._guard.call("supply", lambda: self._supply.set(volts, limit_a))

    def switch(self, on: bool) -> None:
        """See the protocol. Off goes through whatever has happened."""
        if on:
            self._guard.call("supply", lambda: self._supply.switch(True))
            return
        try:
            self._supply.switch(False)
        except InstrumentError as error:
            if not self._guard.tripped:
                raise self._guard.trip(f"supply: {error}") from None
            if not self._guard.safe_otherwise("supply", str(error)):
                raise

    def read(self) -> SupplyReading:
        """See the protocol."""
        reading = self._guard.call("supply", self._supply.read)
        if wrong := self._guard.bounds.wrong_with_supply(reading):
            raise self._guard.trip(f"{self.model}: {wrong}")
        return reading

    def close(self) -> None:
        """See the protocol; switched off first."""
        self._guard.close("supply")


class GuardedThermocouples:
    """See ``hil.instruments.protocols.Thermocouples``: the air by a couple of our own, too."""

    def __init__(self, guard: Guard, couples: Thermocouples) -> None:
        self._guard, self._couples = guard, couples
        self.model = couples.model

    def read(self) -> Mapping[str, float]:
        """See the protocol. An open couple in the air is no reason to stop: a soak goes on."""
        read = self._guard.call("the logger", self._couples.read)
        air_c = read.get(_AIR)
        if air_c is None or math.isnan(air_c):
            return read
        if wrong := self._guard.bounds.wrong_with_air(air_c):
            raise self._guard.trip(f"{self.model}, the couple in the air: {wrong}")
        return read

    def close(self) -> None:
        """See the protocol."""
        self._couples.close()
