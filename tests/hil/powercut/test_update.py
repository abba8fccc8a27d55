"""An update whose power is cut: at every write boundary and at random, in both ways of ext4.

In `make test-whole` the boundaries for one way of the kernel; in the long run for all of them.
"""

from typing import Any

import pytest

from tests.hil.powercut.harness import few, side_by_side

NO_HEURISTIC = ("--mount-option", "noauto_da_alloc")
SYNCING = {"write", "fsync", "syncfs", "pwrite64", "ftruncate", "fchmod"}
NAMING = {"openat", "mkdirat", "unlinkat", "symlink", "rename"}


def check(figures: dict[str, Any], random: int) -> None:
    assert figures["faults"] == {}, figures["examples"]
    assert figures["sound"] == figures["cuts"] == figures["boundaries"] + random
    assert figures["states"] >= figures["cuts"] // 4
    said = f"{figures['cuts']} power cuts, {figures['states']} different disks, none at fault"
    print(f"{figures['subject']} {' '.join(figures['mount_options'])}: {said}")


@pytest.mark.whole
@pytest.mark.timeout(1200)
def test_an_update_survives_every_cut() -> None:
    """The kernel that commits before each cut leaves names without data, where ext4 lets it."""
    strict, usual = few(
        ("update", "commit", "100", "noauto_da_alloc"),
        ("update", "none", "100"),
    )
    check(strict, random=100)
    check(usual, random=100)
    assert strict["boundaries"] >= 200
    assert set(strict["calls"]) >= SYNCING
    names = {name.removesuffix("at") for name in NAMING}
    assert {name.removesuffix("at").removesuffix("2") for name in strict["calls"]} >= names


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", [1, 2])
def test_an_update_survives_thousands(seed: int) -> None:
    arguments = ("--cuts", "1200", "--every-boundary", "--seed", str(seed))
    for figures in side_by_side(arguments, (*arguments, *NO_HEURISTIC)):
        check(figures, random=1200)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_slots_survive_thousands() -> None:
    arguments = ("--subject", "slots", "--cuts", "1000", "--every-boundary")
    for figures in side_by_side(arguments, (*arguments, *NO_HEURISTIC)):
        check(figures, random=1000)
