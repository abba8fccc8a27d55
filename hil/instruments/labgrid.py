"""An extra: the bench as labgrid's resource and driver, for laboratories that run on it.

::

    targets:
      main:
        resources:
          PurgaBench: {file: bench.toml}
        drivers:
          PurgaBenchDriver: {}
    imports:
      - hil.instruments.labgrid

The driver is labgrid's power (the pedal's key, through the guarded supply) and command (the pedal's
shell) to any test; ``driver.bench`` is the whole bench. Nothing else imports this module. labgrid
brings ``pyserial-labgrid``, which is the module ``serial`` too: install it in an environment of its
own, ``pip install labgrid numpy pymodbus pyvisa pyvisa-py``.
"""

import importlib
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from hil.bench import Bench
from hil.bench_file import Stand, open_bench
from hil.errors import InstrumentError
from hil.instruments.serial_console import SerialConsole

# By their names, so that those who have no labgrid can check the types of the rest.
attr: Any = importlib.import_module("attr")
_factory: Any = importlib.import_module("labgrid.factory").target_factory
_Resource: Any = importlib.import_module("labgrid.resource.common").Resource
_Driver: Any = importlib.import_module("labgrid.driver.common").Driver
_power: Any = importlib.import_module("labgrid.driver.powerdriver")
_protocol: Any = importlib.import_module("labgrid.protocol")
_ExecutionError: Any = importlib.import_module("labgrid.driver.exception").ExecutionError
_step: Any = importlib.import_module("labgrid.step").step

OFF_S = 2.0
"""Between off and on of a cycle: what the pedal's capacitors hold."""


@_factory.reg_resource
@attr.s(eq=False)
class PurgaBench(_Resource):
    """A bench by its ``bench.toml``."""

    file = attr.ib(validator=attr.validators.instance_of(str))


@_factory.reg_driver
@attr.s(eq=False)
class PurgaBenchDriver(
    _Driver, _power.PowerResetMixin, _protocol.PowerProtocol, _protocol.CommandProtocol
):
    """Opens the bench when it is activated; deactivated, everything is switched off."""

    bindings = {"source": {"PurgaBench"}}  # noqa: RUF012 - labgrid's own way
    stand = attr.ib(default=None)
    """``hil.bench_reach.Stand``, in tests."""

    def __attrs_post_init__(self) -> None:
        """Nothing is open."""
        super().__attrs_post_init__()
        self._bench: Bench | None = None

    def on_activate(self) -> None:
        """Open it. Raises ``BenchError``, ``InstrumentError``."""
        self._bench = open_bench(Path(self.source.file), self.stand or Stand())

    def on_deactivate(self) -> None:
        """Switch off, and let go of everything."""
        bench, self._bench = self._bench, None
        if bench is None:
            return
        failed: InstrumentError | None = None
        parts = (bench.unit, bench.audio, bench.thermocouples, bench.console)
        for part in (bench.supply, bench.chamber, *parts):
            try:
                if part is not None:
                    part.close()
            except InstrumentError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    @property
    def bench(self) -> Bench:
        """All of it. Raises ``InstrumentError`` while it is not active."""
        if self._bench is None:
            raise InstrumentError("the bench is not open; activate its driver first.")
        return self._bench

    # -- PowerProtocol ----------------------------------------------------------------------------

    @_Driver.check_active
    @_step()
    def on(self) -> None:
        """The pedal's key."""
        product = self.bench.product
        self.bench.supply.set(product.volts, product.limit_a)
        self.bench.supply.switch(True)

    @_Driver.check_active
    @_step()
    def off(self) -> None:
        """The pedal's key."""
        self.bench.supply.switch(False)

    @_Driver.check_active
    @_step()
    def cycle(self) -> None:
        """Off and on again."""
        self.off()
        self.bench.clock.sleep(OFF_S)
        self.on()

    @_Driver.check_active
    @_step()
    def get(self) -> bool:
        """Whether it is on."""
        return self.bench.supply.read().on

    # -- CommandProtocol --------------------------------------------------------------------------

    @_Driver.check_active
    @_step(args=["command"])
    def run(self, command: str, timeout: float = 30.0) -> tuple[list[str], list[str], int]:
        """Run it on the pedal; both streams come as one."""
        printed, code = self._console.run(command, timeout)
        return printed.splitlines(), [], code

    @_Driver.check_active
    @_step(args=["command"])
    def run_check(self, command: str, timeout: float = 30.0) -> list[str]:
        """The same; raises labgrid's ``ExecutionError`` where it fails."""
        printed, _, code = self.run(command, timeout=timeout)
        if code != 0:
            raise _ExecutionError(f"{command!r} ended with {code}", stdout=printed, stderr=[])
        return printed

    @_Driver.check_active
    def get_status(self) -> int:
        """1 while it is active."""
        return 1

    @_Driver.check_active
    @_step(args=["command", "pattern"])
    def wait_for(
        self, command: str, pattern: str, timeout: float = 30.0, sleepduration: float = 1.0
    ) -> None:
        """Until what ``command`` prints holds ``pattern``."""
        self._until(
            lambda: pattern in "\n".join(self.run_check(command)), command, timeout, sleepduration
        )

    @_Driver.check_active
    @_step(args=["command"])
    def poll_until_success(
        self,
        command: str,
        *,
        expected: int = 0,
        tries: int | None = None,
        timeout: float = 30.0,
        sleepduration: float = 1.0,
    ) -> bool:
        """Until ``command`` ends with ``expected``; False where it did not in so many tries."""
        left = [tries]

        def again() -> bool:
            if left[0] is not None:
                left[0] -= 1
            return self.run(command)[2] == expected

        while left[0] is None or left[0] > 0:
            if again():
                return True
            if left[0] is None:
                self._until(again, command, timeout, sleepduration)
                return True
            time.sleep(sleepduration)
        return False

    @property
    def _console(self) -> SerialConsole:
        console = self.bench.console
        if not isinstance(console, SerialConsole):
            raise InstrumentError("the bench has no console; add [console] to bench.toml.")
        return console

    def _until(self, holds: Any, command: str, timeout: float, every_s: float) -> None:
        end_s = time.monotonic() + timeout
        while True:
            with suppress(InstrumentError):
                if holds():
                    return
            if time.monotonic() >= end_s:
                raise _ExecutionError(f"{command!r}: not within {timeout:g} s")
            time.sleep(every_s)
