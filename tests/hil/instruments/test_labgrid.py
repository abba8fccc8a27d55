"""The bench as labgrid's power and command; only where labgrid is installed, in its own place."""

import importlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hil.errors import InstrumentError
from tests.hil.instruments.test_bench_file import Room

labgrid = pytest.importorskip("labgrid", reason="labgrid is not installed")


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with ExitStack() as stack:
        made = Room(tmp_path)
        made.open(stack)
        yield made


def test_power_and_command(room: Room) -> None:
    from hil.instruments.labgrid import PurgaBench, PurgaBenchDriver

    file = room.folder / "bench.toml"
    file.write_text(room.text)
    protocol = importlib.import_module("labgrid.protocol")
    target = labgrid.Target("main")
    PurgaBench(target, "bench", file=str(file))
    driver = PurgaBenchDriver(target, "bench", stand=room.stand())
    with pytest.raises(InstrumentError, match="is not open"):
        assert driver.bench
    target.activate(driver)
    power = target.get_driver(protocol.PowerProtocol)
    power.on()
    assert room.supply.on and driver.get()
    shell = target.get_driver(protocol.CommandProtocol)
    assert shell.run_check("echo here") == ["here"]
    assert shell.run("exit_with() { return 3; }; exit_with") == ([], [], 3)
    with pytest.raises(Exception, match="ended with 1"):
        shell.run_check("false")
    assert shell.poll_until_success("true") and not shell.poll_until_success(
        "false", tries=2, sleepduration=0.01
    )
    power.off()
    assert not room.supply.on
    driver.bench.chamber.set(20.0)
    driver.bench.chamber.start()
    target.deactivate(driver)
    assert room.espec.mode == "STANDBY"
