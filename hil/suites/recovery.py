"""The recovery suite: what breaks on a stage, and how soon the pedal plays again.

The guitar must be heard meanwhile, past the pedal; afterwards the pedal is what it was.
"""

from hil.errors import InstrumentError
from hil.suites.conditions import Soak, go_to, soak
from hil.suites.functional import key_off, key_on
from hil.suites.rig import Rig

CUTS = 5
_FINE_S = 0.05


def recovery(rig: Rig) -> None:
    """Everything that can be broken at room temperature."""
    go_to(rig, 23.0)
    key_on(rig, "recovery", cold=False)
    _power_cuts(rig)
    _brown_out(rig)
    _killed(rig)
    _unplugged(rig)
    _converter_dead(rig)
    for what in ("disk full", "clock jump", "update"):
        _borne(rig, what)
    key_off(rig)


def cold_recovery(rig: Rig) -> None:
    """What is worse in the cold: an update, a heater that stays on."""
    soak(rig, Soak("cold recovery", -40.0, 0.5))
    key_on(rig, "cold recovery", cold=True)
    _borne(rig, "update", at="in the cold")
    _heater_stuck(rig)
    key_off(rig)


def _power_cuts(rig: Rig) -> None:
    """The plug is pulled: the guitar passes at once, and all is as it was when power is back."""
    supply, unit = rig.bench.supply, rig.bench.unit
    unit.choose("stage")
    rig.wait(5.0)
    was = (rig.status().get("latency_frames"), _engine(rig))
    passes, back, same = [], [], []
    for number in range(CUTS):
        supply.switch(False)
        rig.bench.clock.sleep(0.15)
        passes.append(rig.heard() == "relay")
        rig.bench.clock.sleep(0.5 + 2.0 * number)
        supply.switch(True)
        back.append(rig.wait_until("plays again", lambda: _plays(rig), 90.0, 0.25))
        same.append((rig.status().get("latency_frames"), _engine(rig)) == was)
    rig.check("cut-passes", all(passes), "power cut", note=f"{sum(passes)} of {CUTS}")
    worst = None if None in back else max(float(each or 0.0) for each in back)
    rig.check("cut-back", worst, "power cut")
    rig.check("cut-same", all(same), "power cut")


def _brown_out(rig: Rig) -> None:
    """The voltage sags below what the module bears, and recovers."""
    supply, product = rig.bench.supply, rig.bench.product
    supply.set(0.8 * product.lowest_v, product.limit_a)
    rig.bench.clock.sleep(0.3)
    passes = rig.heard() == "relay"
    supply.set(product.volts, product.limit_a)
    rig.check("cut-passes", passes, "brown-out")
    took_s = rig.wait_until("plays again", lambda: _plays(rig), 90.0, 0.25)
    rig.check("cut-back", took_s, "brown-out")


def _killed(rig: Rig) -> None:
    """A process is killed: audio comes back, without the engine nothing is lost."""
    unit = rig.bench.unit
    rig.wait(5.0)
    unit.kill("audio")
    rig.bench.clock.sleep(0.15)
    rig.check("fault-passes", rig.heard() == "relay", "audio killed")
    took_s = rig.wait_until("plays again", lambda: _plays(rig), 30.0, _FINE_S)
    rig.check("kill-back", None if took_s is None else took_s + 0.15, "audio killed")
    rig.wait(5.0)
    unit.choose("studio")
    rig.wait(10.0)
    before = rig.status().get("xruns")
    unit.kill("engine")
    rig.wait(10.0)
    after = rig.status().get("xruns")
    lost = None if before is None or after is None else float(after - before)
    rig.check("engine-xruns", lost, "engine killed")
    unit.choose("stage")


def _unplugged(rig: Rig) -> None:
    """The interface goes for five seconds."""
    away_s = 5.0
    rig.bench.unit.unplug(away_s)
    rig.bench.clock.sleep(0.3)
    rig.check("fault-passes", rig.heard() == "relay", "unplugged")
    rig.bench.clock.sleep(away_s - 0.3 - _shot_s(rig))
    took_s = rig.wait_until("plays again", lambda: _plays(rig), 30.0, _FINE_S)
    rig.check("unplug-back", took_s, "unplugged")


def _converter_dead(rig: Rig) -> None:
    """The knob's converter falls silent: the position is held, said, and the sound goes on."""
    unit = rig.bench.unit
    unit.turn(0.7)
    rig.bench.clock.sleep(1.0)
    level = rig.shot()
    if not unit.inject("adc dead", True):
        return _skipped(rig, "dead converter")
    rig.bench.clock.sleep(1.0)
    held = rig.shot()
    same = level is not None and held is not None and abs(level.gain_db - held.gain_db) < 0.5
    rig.check("knob-held", same, "converter dead")
    said = (rig.status().get("control") or {}).get("knob") != "good"
    rig.check("knob-said", said, "converter dead")
    unit.inject("adc dead", False)
    unit.turn(0.5)
    rig.bench.clock.sleep(1.0)
    return None


def _borne(rig: Rig, what: str, at: str = "") -> None:
    """Something that must not be heard at all."""
    before = rig.status().get("xruns")
    if not rig.bench.unit.inject(what, True):
        return _skipped(rig, what)
    silent = 0
    for _ in range(10):
        rig.bench.clock.sleep(0.5)
        silent += rig.heard() != "pedal"
    after = rig.status().get("xruns")
    rig.bench.unit.inject(what, False)
    name = f"{what} {at}".strip()
    lost = None if before is None or after is None else float(after - before)
    rig.check("borne-xruns", lost, name)
    rig.check("borne-plays", silent == 0, name, note=f"{silent} of 10 looks without it")
    return None


def _heater_stuck(rig: Rig) -> None:
    """The heater stays on: nothing that it touches goes beyond its rating."""
    if not rig.bench.unit.inject("heater stuck", True):
        return _skipped(rig, "heater stuck")
    rig.wait(3600.0)
    module_c = rig.couples().get("module")
    rig.check("heater-bounded", module_c, "heater stuck", note="after an hour at −40 °C")
    rig.bench.unit.inject("heater stuck", False)
    return None


def link_lost(rig: Rig) -> None:
    """The chamber's line goes dead while it cools: the bench must leave a safe state behind.

    Only for a bench that can take the line away (``chamber.lose_link``): the simulated one.
    """
    lose = getattr(rig.bench.chamber, "lose_link", None)
    if lose is None:
        return _skipped(rig, "chamber link lost")
    go_to(rig, 10.0)
    still_regulates = lose()
    refused = False
    try:
        for _ in range(12):
            rig.wait(10.0)
    except InstrumentError:
        refused = True
    rig.check("link-said", refused, "chamber link lost")
    rig.check("link-safe", not still_regulates(), "chamber link lost")
    return None


def _skipped(rig: Rig, what: str) -> None:
    rig.figures["not measured"] = [*rig.figures.get("not measured", []), what]


def _plays(rig: Rig) -> bool:
    status = rig.status()
    control = status.get("control") or {}
    return bool(control.get("relay")) and not status.get("loading") and rig.heard() == "pedal"


def _engine(rig: Rig) -> object:
    return rig.status().get("engine_asked")


def _shot_s(rig: Rig) -> float:
    """What a look takes of the bench's time."""
    before_s = rig.now_s()
    rig.shot()
    return rig.now_s() - before_s
