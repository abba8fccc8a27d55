"""How much a quartz runs off, by temperature."""

from hil.plant.parameters import Parameters


def module_ppm(parameters: Parameters, celsius: float) -> float:
    """Of the module's clock, which paces the processes."""
    p = parameters
    return p.module_offset_ppm + _at_cut(p, celsius, p.module_ppm_per_k, p.module_ppm_per_k3)


def interface_ppm(parameters: Parameters, celsius: float) -> float:
    """Of the interface's clock, which paces the samples."""
    p = parameters
    return p.interface_offset_ppm + _at_cut(
        p, celsius, p.interface_ppm_per_k, p.interface_ppm_per_k3
    )


def _at_cut(parameters: Parameters, celsius: float, linear: float, cubic: float) -> float:
    """Parts per million of an AT-cut quartz: a cubic about its turnover (Bechmann, 1960)."""
    away_k = celsius - parameters.turnover_c
    return linear * away_k + cubic * away_k**3
