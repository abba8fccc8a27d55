"""Every figure of the plant by name, with its unit and where it is from.

Most are assumptions: no pedal of this design has been measured in a chamber. They are of the right
order, so that what the bench does with them is what it will do on the rig; what it measures in the
simulation is the model, not a pedal. ``python -m hil.plant`` prints the table.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

ASSUMED = "assumption"


def named(value: float, unit: str, source: str = ASSUMED) -> Any:
    """A field with a value, a unit, and where the value is from."""
    return field(default=value, metadata={"unit": unit, "source": source})


@dataclass(frozen=True)
class Parameters:
    """Units stand beside each; J/K are heat capacities, W/K conductances."""

    # ---- what is warmed: an Orin Nano in an aluminium box of 190 × 120 × 60 mm -----------------
    enclosure_j_per_k: float = named(540.0, "J/K", "0.6 kg of aluminium at 900 J/(kg K)")
    module_j_per_k: float = named(160.0, "J/K", "module and heat sink, 0.18 kg")
    die_j_per_k: float = named(6.0, "J/K")
    board_j_per_k: float = named(60.0, "J/K", "carrier of FR-4 with connectors, 60 g")
    adc_j_per_k: float = named(8.0, "J/K")
    interface_j_per_k: float = named(55.0, "J/K", "a USB interface's board, 60 g")
    display_j_per_k: float = named(22.0, "J/K")
    battery_j_per_k: float = named(250.0, "J/K", "four 18650 cells, 0.19 kg")
    enclosure_to_air: float = named(
        1.6, "W/K", "0.085 m² at 19 W/(m² K): forced convection of a chamber's fan"
    )
    enclosure_to_room_still: float = named(0.7, "W/K", "the same at 8 W/(m² K): still air")
    module_to_enclosure: float = named(0.95, "W/K", "thermal pad and screws")
    die_to_module: float = named(3.3, "W/K", "0.3 K/W, die to heat spreader")
    board_to_module: float = named(0.25, "W/K")
    board_to_enclosure: float = named(0.45, "W/K")
    adc_to_board: float = named(0.12, "W/K")
    adc_to_enclosure: float = named(0.05, "W/K")
    interface_to_enclosure: float = named(0.5, "W/K")
    display_to_enclosure: float = named(0.2, "W/K")
    display_to_air: float = named(0.12, "W/K")
    battery_to_enclosure: float = named(0.5, "W/K")

    # ---- what warms it -----------------------------------------------------------------------
    module_idle_w: float = named(4.0, "W", "Orin Nano, 7 W mode, idle: order of NVIDIA's guide")
    module_boot_w: float = named(7.0, "W")
    module_refused_w: float = named(1.0, "W", "halted by the boot chain: assumption")
    crossfade_w: float = named(0.6, "W")
    stage_w: float = named(1.4, "W")
    studio_w: float = named(6.0, "W")
    interface_w: float = named(1.6, "W")
    display_w: float = named(0.4, "W")
    heater_w: float = named(18.0, "W", "deploy/hardware.md: heater on the module's plate")
    preheater_w: float = named(24.0, "W", "deploy/hardware.md: pre-heater with its own thermostat")
    converter_efficiency: float = named(0.88, "1")

    # ---- before Linux ------------------------------------------------------------------------
    release_c: float = named(-20.0, "°C", "deploy/hardware.md: the hold-off lets power through")
    release_hysteresis_k: float = named(3.0, "K", "deploy/hardware.md")
    chip_limit_c: float = named(-28.0, "°C", "T234 MB1 log: min_chip_limit = -28")
    chip_limit_high_c: float = named(105.0, "°C", "T234 MB1 log: max_chip_limit = 105")
    shutdown_c: float = named(104.5, "°C", "Orin NX / Nano: critical trip")
    throttle_c: float = named(95.0, "°C", "Orin NX / Nano: passive trip")
    firmware_boot_s: float = named(6.0, "s", "MB1, MB2, UEFI: assumption")
    linux_boot_s: float = named(7.5, "s", "kernel to purga.target: assumption")
    dry_s: float = named(3.9, "s", "SIMULATED: make hil ARGS='--only start'")
    wet_s: float = named(4.3, "s", "SIMULATED: the same, both from the unit's start")
    restart_s: float = named(2.31, "s", "SIMULATED: make hil ARGS='--only faults', killed to sound")
    enumerate_s: float = named(0.9, "s", "SIMULATED: make hil ARGS='--only unplugged'")

    # ---- electricity -------------------------------------------------------------------------
    cable_ohm: float = named(0.12, "Ω")
    battery_ohm_25c: float = named(0.09, "Ω", "four 18650 cells in series, fresh")
    battery_ohm_per_k: float = named(0.028, "1/K", "tenfold from 25 to −57 °C: Li-ion, order of")
    battery_open_v: float = named(14.8, "V", "four cells at 3.7 V")
    battery_open_v_per_k: float = named(0.012, "V/K", "below 25 °C")
    bulk_uf_25c: float = named(2200.0, "µF")
    bulk_left_at_minus_55c: float = named(0.35, "1", "30 to 40 % left: facts on electrolytics")
    bulk_esr_ohm_25c: float = named(0.04, "Ω")
    bulk_esr_ohm_per_k: float = named(0.035, "1/K", "order of 15-fold at −55 °C")
    inrush_a: float = named(2.5, "A", "converters charging, beyond what the load takes")
    inrush_ms: float = named(1.2, "ms")
    brownout_v: float = named(9.0, "V", "the carrier's 9 to 20 V input")
    reset_ms: float = named(1.0, "ms")

    # ---- moisture ----------------------------------------------------------------------------
    film_m_per_s: float = named(0.009, "m/s", "mass transfer, from 10 W/(m² K) by Lewis' relation")
    film_leaks_g_per_m2: float = named(2.0, "g/m²", "a film that drops join in")
    leak_position: float = named(0.08, "1", "what such a film adds to the wiper's position")

    # ---- clocks ------------------------------------------------------------------------------
    turnover_c: float = named(25.0, "°C", "AT cut")
    module_ppm_per_k: float = named(-0.12, "ppm/K", "AT cut, angle of a commercial crystal")
    module_ppm_per_k3: float = named(1.05e-4, "ppm/K³", "AT cut: third order, Bechmann 1960")
    module_offset_ppm: float = named(4.0, "ppm")
    interface_ppm_per_k: float = named(-0.25, "ppm/K")
    interface_ppm_per_k3: float = named(1.05e-4, "ppm/K³", "AT cut, as above")
    interface_offset_ppm: float = named(-9.0, "ppm")

    # ---- chamber and room --------------------------------------------------------------------
    room_c: float = named(23.0, "°C")
    room_humidity_percent: float = named(45.0, "%")
    chamber_lowest_c: float = named(-70.0, "°C", "ESPEC class of chamber")
    chamber_highest_c: float = named(150.0, "°C")
    chamber_cooling_k_per_min: float = named(3.0, "K/min", "ESPEC class of chamber")
    chamber_heating_k_per_min: float = named(4.0, "K/min")
    chamber_lag_s: float = named(45.0, "s", "first order, near the setpoint")
    chamber_wanders_k: float = named(0.15, "K", "1 σ of its air at the setpoint")
    chamber_off_s: float = named(5400.0, "s", "time constant to the room, switched off")
    door_s: float = named(25.0, "s", "time constant to the room's air, door open")
    humidity_lag_s: float = named(240.0, "s")
    coil_below_air_k: float = named(4.0, "K", "a cooling coil dries the air to below its own dew")

    # ---- sensors -----------------------------------------------------------------------------
    thermocouple_noise_k: float = named(0.05, "K", "1 σ, type T, logger's resolution")
    zone_noise_k: float = named(0.2, "K", "1 σ, Tegra thermal sensors")
    audio_noise_db: float = named(-72.0, "dB", "under full scale, interface and cable")


def rows(parameters: Parameters | None = None) -> Iterator[tuple[str, float, str, str]]:
    """Name, value, unit and source of every parameter."""
    parameters = parameters or Parameters()
    for each in fields(parameters):
        yield (
            each.name,
            getattr(parameters, each.name),
            each.metadata["unit"],
            each.metadata["source"],
        )
