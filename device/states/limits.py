"""Every figure the states decide by, with its reason; ``[temperature]`` of ``pedal.toml``."""

import math

from device.errors import ConfigError
from device.plain import dataclass, fields

SHUTDOWN_C = 104.5
"""Where Orin NX and Nano shut down."""

HEATED_PARTS_C = 70.0
"""The lowest upper rating among the parts that the heater may heat: commercial grade."""


@dataclass(frozen=True)
class Limits:
    """Limits in °C, K and s. Raises ``ConfigError`` where they contradict each other.

    The module's own limits: Orin NX and Nano are specified from −25 °C, their kernel slows the
    clocks at 95 °C, calls 99 °C hot and shuts down at 104.5 °C. Figures marked *estimate* have
    not been measured on a built pedal.
    """

    hold_below_c: float = -25.0
    """Colder zones: bypass and heat. Left ``cold_hysteresis_k`` above."""
    warm_from_c: float = 0.0
    """From here the studio engine may run; it ends ``cold_hysteresis_k`` below. *Estimate.*"""
    cold_hysteresis_k: float = 5.0
    stage_from_c: float = 88.0
    """From here the stage engine stands in for studio: well before the kernel slows the clocks."""
    crossfade_from_c: float = 92.0
    """From here no network is computed: the last step before the kernel slows the clocks."""
    bypass_from_c: float = 99.0
    """From here bypass: the module may shut down at any moment. 5.5 K below its 104.5 °C."""
    hot_hysteresis_k: float = 4.0
    """A step is taken back this much below where it was taken."""
    confirm_s: float = 1.0
    """A new band must be read for this long: one wild reading changes nothing."""
    settle_s: float = 0.2
    """Audio must be well for this long before the relay is energised (again)."""
    start_s: float = 15.0
    """Audio that is not there so long after the start is a fault; before, one waits."""
    sensors_lost_s: float = 5.0
    """For so long lost sensors are taken to read what they read last (the heater is off)."""
    heater_below_c: float = 5.0
    """The heater is wanted below this and until ``cold_hysteresis_k`` above. *Estimate.*"""
    heater_max_c: float = 50.0
    """Never on while anything reads more: what touches the heater is specified to 70 °C or more."""
    heater_pause_s: float = 30.0
    """Shortest time off, so that the heater cannot chatter."""
    heater_max_on_s: float = 1800.0
    """Longest time on, then ``heater_rest_s`` off."""
    heater_rest_s: float = 300.0
    heater_window_s: float = 300.0
    """On for so long it must have warmed by ``heater_effect_k``, or it is put to the test."""
    heater_trial_s: float = 120.0
    """The test: off for so long it must cool by ``heater_effect_k``, or it has no effect."""
    heater_effect_k: float = 1.0
    heater_fast_k: float = 15.0
    """A surface that warms by more within a minute is no heater's doing: off. *Estimate.*"""
    heater_retry_s: float = 900.0
    """After a fault the heater is tried again so much later."""
    self_heating_k: float = 10.0
    """How much warmer the module's zones are than the board around; used only where no surface
    sensor tells. *Estimate.*"""
    dew_margin_k: float = 1.0
    """A surface less than this above the dew point counts as wet."""
    dew_hysteresis_k: float = 1.0
    dew_max_s: float = 1200.0
    """The dew guard never holds for longer: a wrong humidity sensor must not end the evening."""

    def __post_init__(self) -> None:
        """Refuse figures that contradict each other, naming the key."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"[temperature] {entry.name} must be a number, not {value!r}.")
            if not math.isfinite(value):
                raise ConfigError(f"[temperature] {entry.name} must be finite, not {value}.")
            if entry.name.endswith(("_s", "_k")) and value < 0:
                raise ConfigError(f"[temperature] {entry.name} must not be negative, is {value}.")
        for name in ("cold_hysteresis_k", "hot_hysteresis_k", "heater_pause_s", "heater_effect_k"):
            if getattr(self, name) == 0:
                raise ConfigError(f"[temperature] {name} must be more than 0.")
        self._ascend("hold_below_c", "warm_from_c", 2 * self.cold_hysteresis_k)
        self._ascend("warm_from_c", "stage_from_c", self.hot_hysteresis_k)
        self._ascend("stage_from_c", "crossfade_from_c", 0.0)
        self._ascend("crossfade_from_c", "bypass_from_c", 0.0)
        self._ascend("heater_below_c", "heater_max_c", self.cold_hysteresis_k)
        if self.bypass_from_c >= SHUTDOWN_C:
            raise ConfigError(
                f"[temperature] bypass_from_c = {self.bypass_from_c:g} must be below "
                f"{SHUTDOWN_C:g}, where the module shuts down."
            )
        if self.heater_max_c > HEATED_PARTS_C:
            raise ConfigError(
                f"[temperature] heater_max_c = {self.heater_max_c:g} must not be above "
                f"{HEATED_PARTS_C:g}, what commercial parts endure."
            )
        if self.heater_trial_s < self.heater_pause_s:
            raise ConfigError("[temperature] heater_trial_s must be at least heater_pause_s.")

    def _ascend(self, low: str, high: str, gap_k: float) -> None:
        """Refuse where ``high`` is not more than ``gap_k`` above ``low``."""
        low_c, high_c = getattr(self, low), getattr(self, high)
        if high_c - low_c < max(gap_k, 0.5):
            raise ConfigError(
                f"[temperature] {high} = {high_c:g} must be at least {max(gap_k, 0.5):g} K above "
                f"{low} = {low_c:g}."
            )
