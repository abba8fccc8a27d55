"""The heater: a thermostat that trusts neither its sensor nor its heater."""

from typing import Literal

from device.states.limits import Limits

NO_EFFECT = "heater has no effect"
TOO_FAST = "heater sensor implausible"

FAST_S = 60.0
"""The time in which ``heater_fast_k`` counts."""


class Heater:
    """Switches the heater, with hysteresis, limits, rests, and a proof that it heats.

    A die that plays warms itself, so "it became warmer" proves no heater; and in a cold that is
    stronger than a good heater nothing becomes warmer. So where a window on brought no rise, the
    heater is switched off as a test: what then cools was heated. What does neither has no effect,
    and a heater without feedback stays off. What also has to exist in hardware: a thermostat in
    series, because a relay can weld.
    """

    def __init__(self, limits: Limits) -> None:
        """Begin off."""
        self._limits = limits
        self._mode: Literal["off", "on", "test"] = "off"
        self._not_before_s = float("-inf")
        self._since_s = 0.0
        self._window_s = 0.0
        self._window_c = 0.0
        self._fast: tuple[float, float] | None = None
        self.fault = ""
        """``NO_EFFECT``, ``TOO_FAST`` or nothing; cleared by the first rise of a later try."""

    def step(
        self,
        now_s: float,
        board_c: float | None,
        warmest_c: float | None,
        surface_c: float | None = None,
        *,
        allowed: bool = True,
        damp: bool = False,
    ) -> bool:
        """Return whether to heat now.

        ``board_c`` is what the thermostat follows, ``warmest_c`` the warmest reading of all (for
        the limit), None where lost; ``surface_c`` a real surface sensor, which cannot jump.
        ``damp`` asks for heat against dew at any temperature below the limit.
        """
        limits = self._limits
        if not allowed or board_c is None or warmest_c is None:
            self._fast = None
            return self._off(now_s, limits.heater_pause_s)
        if warmest_c > limits.heater_max_c:
            return self._off(now_s, limits.heater_pause_s)
        if self._rises_too_fast(now_s, surface_c):
            self.fault = TOO_FAST
            return self._off(now_s, limits.heater_retry_s)
        if self._mode == "off":
            if now_s >= self._not_before_s and (damp or board_c < limits.heater_below_c):
                self._on(now_s, board_c)
        elif not damp and board_c >= limits.heater_below_c + limits.cold_hysteresis_k:
            self._off(now_s, limits.heater_pause_s)
        elif self._mode == "on":
            self._watch(now_s, board_c)
        else:
            self._test(now_s, board_c)
        return self._mode == "on"

    def _watch(self, now_s: float, board_c: float) -> None:
        """While on: rest after the longest time, and put to the test where nothing warmed."""
        limits = self._limits
        if board_c - self._window_c >= limits.heater_effect_k:
            self.fault = ""
            self._window_s, self._window_c = now_s, board_c
        if now_s - self._since_s >= limits.heater_max_on_s:
            self._off(now_s, limits.heater_rest_s)
        elif now_s - self._window_s >= limits.heater_window_s:
            self._mode = "test"
            self._window_s, self._window_c = now_s, board_c

    def _test(self, now_s: float, board_c: float) -> None:
        """While off as a test: what cools was heated."""
        limits = self._limits
        off_s = now_s - self._window_s
        self._window_c = max(self._window_c, board_c)  # heat still arrives from the heater's mass
        if self._window_c - board_c >= limits.heater_effect_k:
            self.fault = ""
            if off_s >= limits.heater_pause_s:
                self._on(now_s, board_c)
        elif off_s >= limits.heater_trial_s:
            self.fault = NO_EFFECT
            self._off(now_s, limits.heater_retry_s)

    def _rises_too_fast(self, now_s: float, surface_c: float | None) -> bool:
        """Whether a surface warmed faster than any heater of this size could, while heated."""
        if surface_c is None:
            self._fast = None
            return False
        fast = self._fast
        if (
            fast is None
            or self._mode != "on"
            or now_s - fast[0] >= FAST_S
            or surface_c < fast[1]  # from the coldest: a dip must not hide what follows
        ):
            self._fast = fast = (now_s, surface_c)
        return surface_c - fast[1] > self._limits.heater_fast_k

    def _on(self, now_s: float, board_c: float) -> None:
        self._mode = "on"
        self._since_s = self._window_s = now_s
        self._window_c = board_c

    def _off(self, now_s: float, pause_s: float) -> Literal[False]:
        """Off, and not on again within the pause, which begins when it was switched off."""
        if self._mode != "off":
            self._not_before_s = now_s + pause_s
        self._mode = "off"
        return False
