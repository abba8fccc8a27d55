"""A ``bench.toml`` with the simulated instruments' addresses: the way of a real bench, whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil.bench import Bench
from hil.bench_file import Stand, open_bench
from hil.errors import BenchError, InstrumentError
from hil.instruments.factory import ChamberKind
from hil.instruments.transport import PATIENCE, Patience
from hil.instruments.watchdog import Watch
from hil.plant.direct import DirectAudio, DirectUnit, Willing
from hil.plant.plant import Plant
from hil.servers.faults import ServerFaults
from hil.servers.servers import Servers, start_servers
from hil.suites.conditions import go_to
from hil.suites.rig import Rig
from hil.suites.trace import Trace, column, rates_k_per_min

KINDS: tuple[ChamberKind, ...] = ("espec", "simserv", "ascii2", "f4t")


def text(servers: Servers, kind: str) -> str:
    couples = "".join(
        f'    {{ channel = {channel}, position = "{position}", where = "in the model" }},\n'
        for channel, position in servers.positions.items()
    )
    return f"""
measured = false
[chamber]
kind = "{kind}"
address = "{getattr(servers, kind)}"
second = "{servers.second(kind)}"
lowest_c = -70.0
highest_c = 150.0
cooling_k_per_min = 3.0
heating_k_per_min = 4.0
humidity = true
[supply]
address = "{servers.supply}"
[thermocouples]
address = "{servers.logger}"
couple = [
{couples}]
[audio]
kind = "simulated"
[unit]
kind = "simulated"
"""


@contextmanager
def opened(
    folder: Path,
    kind: str = "espec",
    faults: ServerFaults | None = None,
    patience: Patience = PATIENCE,
) -> Iterator[tuple[Bench, Plant]]:
    plant = Plant(seed=1)
    with start_servers(plant, faults) as servers:
        file = folder / "bench.toml"
        file.write_text(text(servers, kind))
        stand = Stand(
            clock=plant,
            operator=Willing(),
            audio=DirectAudio(plant),
            unit=DirectUnit(plant),
            patience=patience,
            watch=Watch(persist_s=5.0),
        )
        bench = open_bench(file, stand)
        try:
            yield bench, plant
        finally:
            bench.supply.close()
            bench.chamber.close()
            bench.thermocouples.close()


@pytest.mark.parametrize("kind", KINDS)
def test_each_chamber_from_its_file_to_a_ramp_and_back(kind: str, tmp_path: Path) -> None:
    with opened(tmp_path, kind) as (bench, plant):
        rig = Rig(bench, Trace(), "file", say=lambda line: None)
        go_to(rig, 13.0)
        rig.wait(400.0)
        assert plant.chamber.running and abs(bench.chamber.read().air_c - 13.0) < 3.0
        fastest = max(rates_k_per_min(rig.trace.rows, "air_c"))
        assert fastest <= 3.0 and min(column(rig.trace.rows, "air_c")) > 8.0
        bench.supply.set(12.0, 5.0)
        bench.supply.switch(True)
        bench.clock.sleep(1.0)
        assert bench.supply.read().volts == pytest.approx(12.0, abs=0.3)
    assert not plant.chamber.running and not plant.source.on


def test_a_far_setpoint_is_led_however_it_is_asked(tmp_path: Path) -> None:
    with opened(tmp_path) as (bench, _):
        rig = Rig(bench, Trace(), "file", say=lambda line: None)
        bench.chamber.set(-30.0)
        bench.chamber.start()
        rig.wait(3600.0)
        assert max(rates_k_per_min(rig.trace.rows, "air_c")) <= 3.0
        assert bench.chamber.read().air_c == pytest.approx(-30.0, abs=1.5)


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("fahrenheit", "one of them does not tell the truth"),
        ("door_open", "mend that first"),
        ("alarm", "mend that first"),
    ],
)
def test_what_is_wrong_beforehand_is_refused(fault: str, match: str, tmp_path: Path) -> None:
    faults = ServerFaults()
    setattr(faults.chamber, fault, "Compressor" if fault == "alarm" else True)
    with pytest.raises((InstrumentError, BenchError), match=match), opened(tmp_path, faults=faults):
        pass


@pytest.mark.parametrize("name", ["chamber_line", "supply_line", "logger_line"])
@pytest.mark.parametrize("how", ["closed", "silent"])
def test_a_line_that_is_dead_beforehand_is_refused(name: str, how: str, tmp_path: Path) -> None:
    faults = ServerFaults()
    getattr(faults, name).lost = how
    impatient = Patience(connect_s=0.5, answer_s=0.3, tries=1)
    with (
        pytest.raises(InstrumentError, match="does not answer"),
        opened(tmp_path, faults=faults, patience=impatient),
    ):
        pass
