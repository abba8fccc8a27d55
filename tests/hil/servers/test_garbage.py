"""Any bytes at any server: nothing moves, nothing dies, the next request is answered."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hil.plant.plant import Plant
from hil.servers.ascii2 import CLIMATE, PLAIN, Ascii2
from hil.servers.controller import Controller
from hil.servers.espec import Espec
from hil.servers.f4t import F4T
from hil.servers.faults import ChamberFaults, LoggerFaults, SupplyFaults
from hil.servers.logger import Logger
from hil.servers.scpi import Scpi
from hil.servers.servers import Servers, start_servers
from hil.servers.shell import Shell
from hil.servers.simserv import Simserv
from hil.servers.supply import Supply
from tests.hil.servers.wire import Dialogue, modbus, shout, speak, state

QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
PURE = settings(max_examples=300, deadline=None, derandomize=True)
ALIVE: dict[str, Dialogue] = {
    "espec": [(b"TEMP?\r\n", b"23.0,23.0,160.0,-75.0\r\n")],
    "simserv": [(b"11004\xb61\xb61\r", b"1\xb623.00\r\n")],
    "ascii2": [
        (b"$01I\r", b"0023.0 0023.0 0000.0 0045.0 0000.0 0000.0 0000.0 " + b"0" * 32 + b"\r")
    ],
    "f4t": [(modbus(9, 3, b"\x0b\x04\x00\x02"), modbus(9, 3, b"\x04\x00\x00\x41\xb8"))],
    "supply": [(b"VOLT?\n", b"+1.20000000E+01\n")],
    "logger": [(b"*IDN?\n", b"Simulated,34970A,0,1.0\n")],
}


@pytest.fixture(scope="module")
def bench() -> Iterator[tuple[Plant, Servers]]:
    plant = Plant(seed=2)
    with start_servers(plant) as servers:
        yield plant, servers


@pytest.mark.parametrize(
    "name", ["espec", "simserv", "ascii2", "f4t", "supply", "logger", "console"]
)
@QUICK
@given(data=st.binary(max_size=300))
def test_any_bytes(bench: tuple[Plant, Servers], name: str, data: bytes) -> None:
    plant, servers = bench
    before = state(plant)
    shout(getattr(servers, name), data)
    assert state(plant) == before
    if name in ALIVE:
        speak(getattr(servers, name), ALIVE[name])


@pytest.mark.parametrize("name", ["espec", "simserv", "ascii2", "supply", "logger"])
def test_a_request_that_never_ends(bench: tuple[Plant, Servers], name: str) -> None:
    plant, servers = bench
    before = state(plant)
    shout(getattr(servers, name), b"TEMP, S" * 20_000)
    assert state(plant) == before
    speak(getattr(servers, name), ALIVE[name])


# -- the dialects alone, with what nearly is a request ------------------------------------------

_ESPEC = st.text("TEMPHUIODRNGAYLSX ?,.:-+0123456789%", max_size=40)
_SIMSERV = st.lists(
    st.sampled_from(["11001", "11002", "14001", "11068", "1", "2", "-40.0", "nan", ""])
)
_ASCII2 = st.text("$01IE? .-+23456789\n", max_size=60)
_SCPI = st.text("VOLTCURRENTOUPMEASYS:;?*() ,@\"'01259.eE+-", max_size=60)


def _controller() -> tuple[Plant, Controller]:
    plant = Plant(seed=3)
    return plant, Controller(plant, ChamberFaults())


def _within(plant: Plant) -> bool:
    """Whatever was said, the chamber was never told more than it can."""
    p, humidity = plant.parameters, plant.chamber.humidity_setpoint_percent
    return p.chamber_lowest_c <= plant.chamber.setpoint_c <= p.chamber_highest_c and (
        humidity is None or 0.0 <= humidity <= 100.0
    )


@PURE
@given(requests=st.lists(_ESPEC, max_size=6))
def test_espec_answers_anything_in_one_line(requests: list[str]) -> None:
    plant, controller = _controller()
    dialect = Espec(controller)
    for request in requests:
        answer = dialect.answer(request.encode())
        assert not request.strip() or (answer.endswith(b"\r\n") and answer.count(b"\n") == 1)
    assert _within(plant)


@PURE
@given(celsius=st.floats(-300, 300), high=st.floats(-300, 300), low=st.floats(-300, 300))
def test_espec_takes_only_what_is_within_its_limits(
    celsius: float, high: float, low: float
) -> None:
    plant, controller = _controller()
    dialect = Espec(controller)
    answer = dialect.answer(f"TEMP, S{celsius:.1f} H{high:.1f} L{low:.1f}".encode())
    taken = round(celsius, 1)
    if answer.startswith(b"OK"):
        assert -70.0 <= taken <= 150.0 and round(low, 1) <= taken <= round(high, 1)
        assert plant.chamber.setpoint_c == taken
    else:
        assert answer == b"NA:DATA OUT OF RANGE\r\n" and plant.chamber.setpoint_c == 23.0


@PURE
@given(fields=_SIMSERV)
def test_simserv_answers_a_number_first(fields: list[str]) -> None:
    plant, controller = _controller()
    answer = Simserv(controller).answer(b"\xb6".join(each.encode() for each in fields))
    assert not fields or answer == b"" or int(answer.split(b"\xb6")[0]) <= 1
    assert _within(plant)


@PURE
@given(text=_ASCII2, plain=st.booleans())
def test_ascii2_answers_a_state_or_nothing(text: str, plain: bool) -> None:
    plant, controller = _controller()
    dialect = Ascii2(controller, PLAIN if plain else CLIMATE)
    answer = dialect.answer(text.encode())
    assert answer == b"" or answer.endswith(b"\r") or b"ASCII-2" in answer
    assert _within(plant)
    assert dialect.answer(b"$01I").count(b".") == (3 if plain else 7)


@PURE
@given(text=_SCPI)
def test_scpi_answers_or_complains(text: str) -> None:
    plant = Plant(seed=4)
    for dialect in (Supply(plant, SupplyFaults()), Logger(plant, LoggerFaults())):
        assert isinstance(dialect, Scpi)
        answer = dialect.answer(text.encode())
        assert answer == b"" or answer.endswith(b"\n")
        assert len(dialect.errors) <= 20
    assert 0.0 <= plant.source.volts <= 30.0 and 0.0 <= plant.source.limit_a <= 10.0


@PURE
@given(
    address=st.sampled_from([2730, 2782, 2783, 2890, 2942, 16558, 16562, 16566, 1356]),
    values=st.lists(st.integers(0, 65535), min_size=1, max_size=3),
)
def test_f4t_takes_only_what_is_whole_and_within(address: int, values: list[int]) -> None:
    plant, controller = _controller()
    registers = F4T(controller)
    refused = registers.write(address, values)
    assert _within(plant)
    if refused is not None:
        assert (plant.chamber.setpoint_c, plant.chamber.running) == (23.0, False)


@PURE
@given(text=st.text("ab;&|{}'\"$?\\ \nprintf%s=PS1", max_size=60))
def test_the_shell_takes_anything(text: str) -> None:
    shell = Shell(lambda words: ("", 127), "# ")
    assert isinstance(shell.line(text), str)
    assert isinstance(shell.prompt, str)
