"""Two threads at one plant: neither waits long, and who looks changes nothing."""

import threading

from hil.instruments.factory import make_chamber
from hil.instruments.transport import Patience
from hil.plant.plant import Plant
from hil.servers.servers import Servers, start_servers
from hil.simulated import simulated_bench, tables
from hil.suites.conditions import go_to
from hil.suites.rig import Rig
from hil.suites.trace import Row, Trace

PATIENT = Patience(connect_s=5.0, answer_s=5.0, tries=1)


class Onlooker:
    """Somebody else who reads the chamber all the time."""

    def __init__(self, plant: Plant, servers: Servers) -> None:
        table, _ = tables(plant, servers, "espec")
        self._chamber = make_chamber(table, plant, patience=PATIENT)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.looks = 0

    def __enter__(self) -> "Onlooker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self._chamber.close()

    def _look(self) -> None:
        while not self._ends.wait(0.001):
            self._chamber.read()
            self.looks += 1


def test_a_server_is_let_in_while_the_plant_goes_on() -> None:
    plant = Plant(seed=1)
    with start_servers(plant) as servers, Onlooker(plant, servers) as somebody:
        plant.sleep(12 * 3600.0)
    assert plant.now_s() > 12 * 3600.0 - 1e-6
    # Each look is several questions, and each of them waits for one piece of the plant's at most:
    # it takes a second, in which who is let in only at its end has looked once.
    assert somebody.looks > 5


def test_the_plant_goes_by_the_same_steps_as_alone() -> None:
    alone, served = Plant(seed=1), Plant(seed=1)
    alone.chamber.setpoint_c = served.chamber.setpoint_c = -20.0
    alone.chamber.running = served.chamber.running = True
    with start_servers(served):
        for seconds in (0.3, 25.0, 1234.5):
            alone.sleep(seconds)
            served.sleep(seconds)
    assert served.network.all_c() == alone.network.all_c()
    assert served.chamber.air_c == alone.chamber.air_c
    # Afterwards the plant is alone again, and watched by nobody.
    assert served.watchers == [] and served.sleep.__func__ is Plant.sleep  # type: ignore[attr-defined]


def _cool(watched: bool) -> list[Row]:
    with simulated_bench(Plant(seed=1), watched="watchdog" if watched else "guard") as bench:
        rig = Rig(bench, Trace(), "cool", say=lambda line: None)
        go_to(rig, 15.0)
        rig.wait(600.0)
    return rig.trace.rows


def test_who_watches_changes_nothing_that_is_measured() -> None:
    assert repr(_cool(watched=True)) == repr(_cool(watched=False))


def test_something_happens_at_its_time() -> None:
    plant = Plant(seed=1)
    happened: list[float] = []
    with start_servers(plant) as servers:
        servers.at(60.0, lambda: happened.append(plant.now_s()))
        servers.at(90.0, lambda: servers.lose("chamber"))
        plant.sleep(59.0)
        assert happened == []
        plant.sleep(60.0)
        assert happened == [60.0] and servers.faults.chamber_line.lost == "closed"
