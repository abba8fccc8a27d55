"""From key-on to Linux: the hold-off, the boot chain's own limit, the start.

The boot ROM's next stage reads the die before Linux exists and stops below −28 °C; no firmware of
ours runs then. So a pre-heater with a thermostat of its own warms the module while a hold-off keeps
its power off (deploy/hardware.md). What the plant must never show is a module that is given power
colder than that: ``powered_at_c`` remembers.
"""

from typing import Literal

from hil.plant.faults import PlantFaults
from hil.plant.parameters import Parameters

Phase = Literal["off", "held", "firmware", "refused", "linux", "running", "shut down"]


class BootChain:
    """The phase, and how long it lasts."""

    def __init__(self, parameters: Parameters, faults: PlantFaults) -> None:
        """Off."""
        self._parameters, self._faults = parameters, faults
        self.phase: Phase = "off"
        self._for_s = 0.0
        self.key_s: float | None = None
        """When there was voltage last."""
        self.powered_at_c: list[float] = []
        """The die's temperature each time the module was given power."""
        self.boots = 0

    @property
    def module_on(self) -> bool:
        """Whether the module has power."""
        return self.phase in ("firmware", "refused", "linux", "running")

    @property
    def pre_heats(self) -> bool:
        """Whether the pre-heater is on: before the module has power, never after."""
        return self.phase == "held" and not self._faults.pre_heater_dead

    def advance(self, seconds: float, now_s: float, supplied: bool, module_c: float, die_c: float):
        """Go on for ``seconds`` that end at ``now_s``."""
        p = self._parameters
        if not supplied:
            self.phase, self.key_s = "off", None
            return
        if self.phase == "off":
            self.phase, self._for_s, self.key_s = "held", 0.0, now_s - seconds
        self._for_s += seconds
        if self.phase == "held" and (module_c >= p.release_c or self._faults.hold_off_missing):
            self.powered_at_c.append(die_c)
            self.boots += 1
            allowed = p.chip_limit_c <= die_c <= p.chip_limit_high_c
            self._enter("firmware" if allowed else "refused")
        elif self.phase == "firmware" and self._for_s >= p.firmware_boot_s:
            self._enter("linux", self._for_s - p.firmware_boot_s)
        elif self.phase == "linux" and self._for_s >= p.linux_boot_s:
            self._enter("running", self._for_s - p.linux_boot_s)

    @property
    def running_s(self) -> float:
        """How long the pedal's units have been running."""
        return self._for_s if self.phase == "running" else 0.0

    def reset(self) -> None:
        """A brown-out: the module starts again, from the hold-off."""
        if self.phase != "off":
            self._enter("held")

    def shut_down(self) -> None:
        """The module's own last resort: it is off until the power is cycled."""
        self._enter("shut down")

    def _enter(self, phase: Phase, already_s: float = 0.0) -> None:
        self.phase, self._for_s = phase, already_s
