"""What can be broken in the plant: each neutral by default, seeded by the fault library."""

from dataclasses import dataclass


@dataclass
class PlantFaults:
    """The pedal's and the box's defects; ``hil/faults.py`` names them."""

    # the box
    hold_off_missing: bool = False
    """The module gets power as soon as there is any."""
    pre_heater_dead: bool = False
    heater_dead: bool = False
    heater_stuck: bool = False
    """On, whatever the firmware says, and its thermostat too."""
    relay_stuck: bool = False
    """Never lets the guitar pass by: welded."""
    extra_w: float = 0.0
    """What a short or a wet board takes."""
    no_throttle: bool = False
    """The firmware does not hear of heat."""
    clock_extra_ppm: float = 0.0
    """The interface's quartz runs off."""
    bulk_dry: bool = False
    """The bulk capacitor has dried out."""

    # the firmware
    dry_later_s: float = 0.0
    never_wet: bool = False
    never_restarts: bool = False
    restart_later_s: float = 0.0
    xruns_per_s: float = 0.0
    xruns_under_load_per_s: float = 0.0
    engine_death_xruns: int = 0
    xruns_below_c: float | None = None
    """xruns come only where the die is colder."""
    latency_extra_frames: float = 0.0
    latency_jitter_frames: float = 0.0
    stage_late_frames: float = 0.0
    """The stage engine is later than it says."""
    studio_late_frames: float = 0.0
    level_db: float = 0.0
    knob_later_s: float = 0.0
    says_bypass: bool = False
    """Status is wrong about the relay."""
    restarts: int = 0
    """Processes that died by themselves."""
    update_xruns: int = 0
    damp_kills: bool = False
    """Damp air takes the interface away."""
    adc_reads_zero: bool = False
    """A dead converter is taken for position 0."""
    adc_unsaid: bool = False
    plays_wet_when_cold: bool = False
    """The relay is energised without the firmware's asking for the temperature."""
    dew_ignored: bool = False
    clicks: bool = False
    """The sound breaks off at each change of state."""
    loses_settings: bool = False
    """After a power cut the bank is gone."""
    update_stops_sound: bool = False
    full_disk_kills: bool = False
    clock_jump_kills: bool = False

    # the sensors
    zone_offset_k: float = 0.0
    adc_dead: bool = False
    interface_absent: bool = False
