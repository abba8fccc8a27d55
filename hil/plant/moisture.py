"""Water: what the air holds, what condenses on a surface that is colder, what it does there."""

import math

from hil.plant.parameters import Parameters

_MOLAR_KG = 0.018015
_GAS_J_PER_MOL_K = 8.314


def saturation_pa(celsius: float) -> float:
    """Vapour pressure over water, over ice below zero (Magnus; Sonntag, Z. Meteorol. 70, 1990)."""
    if celsius >= 0.0:
        return 611.2 * math.exp(17.62 * celsius / (243.12 + celsius))
    return 611.2 * math.exp(22.46 * celsius / (272.62 + celsius))


def dew_point_c(vapour_pa: float) -> float:
    """Where air with this vapour pressure begins to condense; frost point below zero."""
    ratio = math.log(max(vapour_pa, 1e-6) / 611.2)
    if ratio >= 0.0:
        return 243.12 * ratio / (17.62 - ratio)
    return 272.62 * ratio / (22.46 - ratio)


def vapour_density(vapour_pa: float, celsius: float) -> float:
    """kg/m³ of vapour in air."""
    return vapour_pa * _MOLAR_KG / (_GAS_J_PER_MOL_K * (celsius + 273.15))


class Film:
    """Water, or frost, on one surface, g/m²: it condenses, and dries again."""

    def __init__(self, parameters: Parameters) -> None:
        """Dry."""
        self._parameters = parameters
        self.g_per_m2 = 0.0

    def advance(self, seconds: float, surface_c: float, air_c: float, vapour_pa: float) -> None:
        """Go on; vapour goes to where there is less of it."""
        at_surface = vapour_density(saturation_pa(surface_c), surface_c)
        flow = self._parameters.film_m_per_s * (vapour_density(vapour_pa, air_c) - at_surface)
        self.g_per_m2 = max(0.0, self.g_per_m2 + 1000.0 * flow * seconds)

    def leaks(self, surface_c: float) -> float:
        """0…1: how far it conducts. Frost does not."""
        if surface_c < 0.0:
            return 0.0
        return min(1.0, self.g_per_m2 / self._parameters.film_leaks_g_per_m2)
