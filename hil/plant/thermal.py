"""Temperatures of the pedal: a network of lumps, stepped without error of its own.

Linear between two changes of what heats it, so each step is the exact solution,
x(t+h) = e^(Ah) x(t) + A⁻¹(e^(Ah) − 1) b, whatever the step (van Loan, IEEE Trans. Automat. Contr.
23(3), 1978: both from one exponential).
"""

from collections.abc import Mapping

import numpy as np

from hil.plant.parameters import Parameters

NODES = (
    "enclosure",
    "module",
    "die",
    "board",
    "adc",
    "interface",
    "display",
    "battery",
)
"""What has one temperature each; the air around is a boundary."""

_TERMS = 26  # of the exponential's series, after scaling: exact to the last bit


class Network:
    """Eight temperatures in °C and the heat between them."""

    def __init__(self, parameters: Parameters, start_c: float) -> None:
        """All at ``start_c``."""
        self._parameters = parameters
        self._capacity = np.array([getattr(parameters, f"{name}_j_per_k") for name in NODES])
        self._steps: dict[tuple[float, bool], tuple[np.ndarray, np.ndarray]] = {}
        self._to_air: dict[bool, np.ndarray] = {}
        self._x = np.full(len(NODES), start_c)

    def __getitem__(self, name: str) -> float:
        """°C of one node."""
        return float(self._x[NODES.index(name)])

    def all_c(self) -> dict[str, float]:
        """Every node's temperature."""
        return dict(zip(NODES, map(float, self._x), strict=True))

    def settle(self, celsius: float) -> None:
        """Have all of it at one temperature, as after a night there."""
        self._x[:] = celsius

    def advance(
        self, seconds: float, air_c: float, watts: Mapping[str, float], blown: bool = True
    ) -> None:
        """Go on for ``seconds``, the heat ``watts`` going into nodes; ``blown``: air is moved."""
        key = (seconds, blown)
        if key not in self._steps:
            self._steps[key] = self._step(seconds, blown)
        state, drive = self._steps[key]
        heat = self._to_air[blown] * air_c
        for name, power_w in watts.items():
            heat[NODES.index(name)] += power_w
        self._x = state @ self._x + drive @ (heat / self._capacity)

    def heat_to_air_w(self, air_c: float, blown: bool = True) -> float:
        """What the pedal gives to the air around it."""
        if blown not in self._to_air:
            self._step(1.0, blown)
        return float(self._to_air[blown] @ (self._x - air_c))

    def _step(self, seconds: float, blown: bool) -> tuple[np.ndarray, np.ndarray]:
        p = self._parameters
        size = len(NODES)
        conduct = np.zeros((size, size))
        for first, second, watts_per_k in (
            ("module", "enclosure", p.module_to_enclosure),
            ("die", "module", p.die_to_module),
            ("board", "module", p.board_to_module),
            ("board", "enclosure", p.board_to_enclosure),
            ("adc", "board", p.adc_to_board),
            ("adc", "enclosure", p.adc_to_enclosure),
            ("interface", "enclosure", p.interface_to_enclosure),
            ("display", "enclosure", p.display_to_enclosure),
            ("battery", "enclosure", p.battery_to_enclosure),
        ):
            one, other = NODES.index(first), NODES.index(second)
            conduct[one, other] = conduct[other, one] = watts_per_k
        to_air = np.zeros(size)
        to_air[NODES.index("enclosure")] = (
            p.enclosure_to_air if blown else p.enclosure_to_room_still
        )
        to_air[NODES.index("display")] = p.display_to_air
        self._to_air[blown] = to_air
        rate = (conduct - np.diag(conduct.sum(axis=1) + to_air)) / self._capacity[:, None]
        both = np.zeros((2 * size, 2 * size))
        both[:size, :size], both[:size, size:] = rate, np.eye(size)
        solved = _exponential(both * seconds)
        return solved[:size, :size], solved[:size, size:]


def _exponential(matrix: np.ndarray) -> np.ndarray:
    """e^matrix by scaling and squaring of its series."""
    halvings = max(0, int(np.ceil(np.log2(max(1e-12, np.abs(matrix).sum(axis=1).max())))) + 1)
    scaled = matrix / 2.0**halvings
    result = term = np.eye(len(matrix))
    for number in range(1, _TERMS):
        term = term @ scaled / number
        result = result + term
    for _ in range(halvings):
        result = result @ result
    return result
