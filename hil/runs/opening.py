"""Which bench a run is given: the one of a ``bench.toml``, or the simulated one."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hil.bench import Bench


@contextlib.contextmanager
def opened(file: Path | None) -> Iterator[Bench]:
    """The bench of ``file``, or the simulated one; its lines are let go of at the end.

    Raises ``BenchError`` for a file that is wrong, ``InstrumentError`` for an instrument that
    cannot be reached.
    """
    if file is None:
        from hil.simulated import simulated_bench

        with simulated_bench() as bench:
            yield bench
        return
    from hil.bench_file import open_bench

    bench = open_bench(file)
    try:
        yield bench
    finally:
        close(bench)


def close(bench: Bench) -> None:
    """Let go of every instrument, whatever the others do."""
    instruments = (bench.chamber, bench.supply, bench.thermocouples, bench.audio, bench.unit)
    for instrument in (*instruments, bench.console):
        if instrument is not None:
            with contextlib.suppress(Exception):
                instrument.close()


def can_lose_link(bench: Bench) -> bool:
    """Whether the chamber's line can be cut by the suite: only a simulated one."""
    return callable(getattr(bench.chamber, "lose_link", None))


def described(bench: Bench) -> dict[str, Any]:
    """What the report says of the bench and of the unit; plain, for JSON."""
    limits = bench.chamber.limits
    return {
        "measured": bench.measured,
        "file": None if bench.file is None else bench.file.name,
        "unit": {"serial": bench.unit.serial, "software": bench.unit.software},
        "chamber": {
            "model": bench.chamber.model,
            "lowest_c": limits.lowest_c,
            "highest_c": limits.highest_c,
            "cooling_k_per_min": limits.cooling_k_per_min,
            "heating_k_per_min": limits.heating_k_per_min,
            "humidity": limits.humidity,
        },
        "instruments": {
            "supply": bench.supply.model,
            "thermocouples": bench.thermocouples.model,
            "audio": f"{bench.audio.model}, {bench.audio.rate_hz} Hz, "
            f"own round trip {bench.audio.own_frames:g} frames, taken off",
        },
        "product": vars(bench.product),
        "certificates": [vars(each) for each in bench.certificates],
        "positions": dict(bench.positions) or dict.fromkeys(bench.thermocouples.read(), ""),
        "operator": str(getattr(bench.operator, "name", "")),
    }
