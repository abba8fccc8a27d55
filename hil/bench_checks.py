"""Reading ``bench.toml``, and what is wrong with its tables taken together.

Nothing is reached here.
"""

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from device.table import read_table
from hil.bench import Product
from hil.bench_tables import BenchTable, ConsoleUnitTable, LoggerTable, SimulatedTable
from hil.errors import BenchError
from hil.instruments.factory import ChamberTable
from hil.instruments.transport import is_serial

NEEDED = ("air", "module")
"""Positions of couples that the suites cannot do without."""
INSTRUMENTS = ("chamber", "supply", "thermocouples", "audio", "unit")


def simulated(table: BenchTable) -> list[str]:
    """Names of those instruments that the plant stands in for."""
    return [name for name in INSTRUMENTS if isinstance(getattr(table, name), SimulatedTable)]


def read_bench(file: Path) -> BenchTable:
    """Read and check ``bench.toml``; nothing is reached yet. Raises ``BenchError``."""
    table = read_table(file, BenchTable, BenchError, "bench.toml")
    for wrong in (*_mixed(table), *_product(table.product), *_chamber(table), *_wires(table)):
        raise BenchError(f"{file}: {wrong}.")
    return table


def _mixed(table: BenchTable) -> Iterator[str]:
    """What cannot be called measured."""
    stood_in = simulated(table)
    if len(stood_in) == len(INSTRUMENTS):
        yield "every instrument is simulated; leave --bench out for the simulated bench"
    if table.measured and stood_in:
        yield (
            f"{stood_in[0]} is simulated, and beside real instruments nothing that comes of it is "
            "measured; set measured = false"
        )
    if table.measured:
        for name, address in _addresses(table):
            if _is_here(address):
                yield (
                    f"{name}.address {address} is this machine, where simulated instruments are; "
                    "set measured = false, or give the network address of what forwards it"
                )


def _product(product: Product) -> Iterator[str]:
    """Limits that contradict each other."""
    low, high = product.operation_lowest_c, product.operation_highest_c
    if not product.storage_lowest_c <= low < high <= product.storage_highest_c:
        yield (
            "product: operation_lowest_c to operation_highest_c must lie within storage_lowest_c "
            "to storage_highest_c"
        )
    if product.storage_lowest_c < -100.0 or product.storage_highest_c > 150.0:
        yield "product: no pedal bears less than −100 °C or more than 150 °C; correct storage_…"
    if not 0.0 < product.lowest_v <= product.volts <= product.highest_v <= 60.0:
        yield "product: 0 < lowest_v ≤ volts ≤ highest_v ≤ 60 must hold"
    if not 0.0 < product.pre_heater_a < product.limit_a <= 20.0:
        yield "product: 0 < pre_heater_a < limit_a ≤ 20 must hold"


def _chamber(table: BenchTable) -> Iterator[str]:
    """A product that bears more than the chamber can give."""
    chamber, product = table.chamber, table.product
    if not isinstance(chamber, ChamberTable):
        return
    if product.storage_lowest_c < chamber.lowest_c or product.storage_highest_c > chamber.highest_c:
        yield (
            f"product bears {product.storage_lowest_c:g} to {product.storage_highest_c:g} °C, "
            f"wider than the chamber's {chamber.lowest_c:g} to {chamber.highest_c:g} °C; narrow "
            "storage_lowest_c and storage_highest_c of [product] to what the chamber can give"
        )


def _wires(table: BenchTable) -> Iterator[str]:
    """What is named twice, or not at all."""
    logger, chamber = table.thermocouples, table.chamber
    if isinstance(logger, LoggerTable):
        for what in ("channel", "position"):
            found = [getattr(each, what) for each in logger.couple]
            twice = next((each for each in found if found.count(each) > 1), None)
            if twice is not None:
                yield f"thermocouples.couple: {what} {twice} is there twice"
        positions = [each.position for each in logger.couple]
        missing = [each for each in NEEDED if each not in positions]
        if missing:
            yield f"thermocouples.couple: nothing sits at {missing[0]}, which is needed; add it"
    addresses = list(_addresses(table))
    for at, (name, address) in enumerate(addresses):
        other = next((each for each, same in addresses[:at] if same == address), None)
        if other is not None:
            yield f"{name}.address is {other}'s too ({address}); correct one of them"
    if isinstance(chamber, ChamberTable) and chamber.second == chamber.address:
        yield "chamber.second is chamber.address; leave it out or name another line"
    if isinstance(chamber, ChamberTable) and chamber.kind == "f4t" and is_serial(chamber.address):
        yield "chamber.address: an F4T is reached over its network (Modbus TCP), host:502"
    if isinstance(table.unit, ConsoleUnitTable) and table.console is None:
        yield "console is missing; the pedal is reached by it"


def _addresses(table: BenchTable) -> Iterator[tuple[str, str]]:
    for name in ("chamber", "supply", "thermocouples", "console"):
        address = getattr(getattr(table, name), "address", None)
        if address is not None:
            yield name, address


def _is_here(address: str) -> bool:
    """Whether an address is this machine's own."""
    if address.startswith("/"):
        return False
    at = address.split("://")[-1]
    parts = at.split("::")
    host = parts[1] if "::" in at and not at.startswith("[") and len(parts) > 1 else at
    host = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    host = host.removeprefix("[").removesuffix("]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() in ("localhost", "localhost.localdomain")
