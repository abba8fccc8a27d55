"""The header's table: complete, without doubles, and the right one for the machine."""

import itertools
from pathlib import Path

import pytest

from device.boards.pin_tables import (
    AON,
    BCM_BY_PIN,
    MAIN,
    MODULES,
    SPI_PINS,
    WIRING_BY_PIN,
    Line,
    Module,
    find_module,
)

LINES = {MAIN: 164, AON: 32}


@pytest.mark.parametrize("module", MODULES.values(), ids=lambda module: module.name)
def test_a_table_is_a_whole_header(module: Module) -> None:
    assert set(module.lines) | set(module.other) == set(range(1, 41))
    assert not set(module.lines) & set(module.other)
    assert len(module.lines) == 22
    assert len(set(module.lines.values())) == 22, "two pins on one line"
    for line in module.lines.values():
        assert 0 <= line.offset < LINES[line.chip]
    assert set(module.lines) < set(BCM_BY_PIN) == set(WIRING_BY_PIN)
    assert set(module.lines) > SPI_PINS


def test_numbers_have_no_doubles() -> None:
    assert sorted(BCM_BY_PIN.values()) == list(range(28))
    assert len(set(WIRING_BY_PIN.values())) == len(WIRING_BY_PIN)


def test_the_pedals_pins() -> None:
    # NVIDIA's Jetson.GPIO, gpio_pin_data.py: footswitch, relay, heater and the LEDs.
    nano, agx = MODULES["orin-nano"], MODULES["agx"]
    assert [nano.lines[pin].offset for pin in (29, 31, 33, 35, 37)] == [105, 106, 43, 53, 124]
    assert {nano.lines[pin].chip for pin in nano.lines} == {MAIN}
    assert agx.lines[29] == Line(AON, 1)
    assert agx.lines[35] == Line(MAIN, 53)
    assert [pin for pin, line in agx.lines.items() if line.chip == AON] == [16, 29, 31, 32, 33, 37]
    assert nano.lines == MODULES["orin-nx"].lines


def test_no_part_is_two_modules() -> None:
    for one, other in itertools.combinations(MODULES.values(), 2):
        assert not set(one.parts) & set(other.parts)


def device_tree(folder: Path, compatible: str = "", model: str = "") -> Path:
    if compatible:
        (folder / "compatible").write_bytes(compatible.encode() + b"\0")
    if model:
        (folder / "model").write_bytes(model.encode() + b"\0")
    return folder


@pytest.mark.parametrize(
    ("compatible", "model", "name"),
    [
        (
            "nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234",
            "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
            "orin-nano",
        ),
        ("nvidia,p3768-0000+p3767-0003\0nvidia,tegra234", "", "orin-nano"),
        ("nvidia,p3509-0000+p3767-0000\0nvidia,tegra234", "a carrier of its own", "orin-nx"),
        ("nvidia,p3737-0000+p3701-0008\0nvidia,tegra234", "", "agx"),
        ("nvidia,tegra234", "NVIDIA Jetson AGX Orin Developer Kit", "agx"),
        ("acme,board\0nvidia,tegra234", "Acme carrier with Jetson Orin NX", "orin-nx"),
    ],
)
def test_the_device_tree_tells_the_module(
    tmp_path: Path, compatible: str, model: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PURGA_JETSON_MODULE", raising=False)
    assert find_module(device_tree=device_tree(tmp_path, compatible, model)).name == name


def test_a_name_goes_before_the_variable_and_that_before_the_device_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = device_tree(tmp_path, "nvidia,p3737-0000+p3701-0000")
    monkeypatch.setenv("PURGA_JETSON_MODULE", "orin-nx")
    assert find_module(device_tree=tree).name == "orin-nx"
    assert find_module("orin-nano", tree).name == "orin-nano"
    monkeypatch.setenv("PURGA_JETSON_MODULE", "")
    assert find_module(device_tree=tree).name == "agx"


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("Raspberry Pi 5 Model B", "the device tree says 'Raspberry Pi 5 Model B'; set PURGA_"),
        ("NVIDIA Jetson Xavier NX", "the device tree says 'NVIDIA Jetson Xavier NX'"),
        ("", "does not say; set PURGA_JETSON_MODULE to one of orin-nano, orin-nx, agx"),
    ],
)
def test_another_machine_is_refused(
    tmp_path: Path, model: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PURGA_JETSON_MODULE", raising=False)
    with pytest.raises(LookupError, match=text):
        find_module(device_tree=device_tree(tmp_path, model=model))
