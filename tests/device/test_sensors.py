"""Sensors on a small ``/sys`` of one's own: what is found and believed, and nothing raised."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.boards.sensors import RENEW_S, SEARCH_S, SysfsSensors, open_sensors
from device.states import Temperatures


class Tree:
    """A ``/sys`` in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: str, value: object) -> None:
        """Write a file in place, as a driver would: an open file sees it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n", "utf-8")

    def zone(self, number: int, kind: str, millidegrees: object) -> None:
        self.put(f"class/thermal/thermal_zone{number}/type", kind)
        self.put(f"class/thermal/thermal_zone{number}/temp", millidegrees)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def found(tree: Tree):
    """Sensors on the tree; what they opened is given back."""
    before = len(os.listdir("/proc/self/fd"))
    opened = open_sensors(tree.root)
    yield opened
    opened.close()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_nothing_there_is_no_error(found: SysfsSensors) -> None:
    assert found.read(0.0) == Temperatures()
    assert found.power_w() == {}


def test_zones_below_zero_are_read_by_their_type(tree: Tree, found: SysfsSensors) -> None:
    tree.zone(0, "cpu-thermal", -40000)
    tree.zone(2, "tj-thermal", -38500)
    tree.zone(10, "soc0-thermal", -39000)
    reading = found.read(0.0)
    assert (reading.coldest_c, reading.hottest_c) == (-40.0, -38.5)
    assert list(reading.zones) == ["cpu-thermal", "tj-thermal", "soc0-thermal"]
    assert reading.unreadable == ()


def test_zones_that_are_powered_down_are_named_and_come_back(
    tree: Tree, found: SysfsSensors
) -> None:
    tree.zone(0, "cpu-thermal", 41000)
    tree.zone(1, "gpu-thermal", -256000)
    tree.put("class/thermal/thermal_zone2/type", "cv0-thermal")  # its temp cannot be opened
    reading = found.read(0.0)
    assert (reading.coldest_c, reading.unreadable) == (41.0, ("gpu-thermal", "cv0-thermal"))
    tree.zone(1, "gpu-thermal", 39000)
    tree.zone(2, "cv0-thermal", 38000)
    reading = found.read(1.0)
    assert (reading.coldest_c, reading.unreadable) == (38.0, ())


def test_a_zone_that_fails_to_read_raises_nothing(
    tree: Tree, found: SysfsSensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.zone(0, "cpu-thermal", 41000)
    tree.zone(1, "gpu-thermal", 40000)
    found.read(0.0)

    def fail(*_: object) -> bytes:
        raise OSError(61, "No data available")

    monkeypatch.setattr(os, "pread", fail)
    reading = found.read(1.0)
    assert (reading.coldest_c, reading.hottest_c) == (None, None)
    assert reading.unreadable == ("cpu-thermal", "gpu-thermal")
    monkeypatch.undo()
    assert found.read(2.0).coldest_c == 40.0


def test_a_device_that_was_away_is_read_from_its_new_file(
    tree: Tree, found: SysfsSensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.zone(0, "cpu-thermal", 41000)
    found.read(0.0)

    def fail(*_: object) -> bytes:
        raise OSError(19, "No such device")

    with monkeypatch.context() as away:
        away.setattr(os, "pread", fail)
        found.read(1.0)
    (tree.root / "class/thermal/thermal_zone0/temp").unlink()
    tree.zone(0, "cpu-thermal", 42000)
    assert found.read(2.0).coldest_c == 42.0


def test_zones_of_one_type_are_told_apart(tree: Tree, found: SysfsSensors) -> None:
    tree.zone(0, "acpitz", 20000)
    tree.zone(1, "acpitz", 30000)
    assert found.read(0.0).zones == {"acpitz": 20.0, "acpitz thermal_zone1": 30.0}


def test_readings_are_renewed_twice_a_second_at_most(tree: Tree, found: SysfsSensors) -> None:
    tree.zone(0, "cpu-thermal", 20000)
    first = found.read(10.0)
    tree.zone(0, "cpu-thermal", 30000)
    assert found.read(10.0 + 0.99 * RENEW_S) is first
    assert found.read(10.0 + RENEW_S).hottest_c == 30.0


def test_zones_that_appear_later_are_found(tree: Tree, found: SysfsSensors) -> None:
    assert found.read(0.0).coldest_c is None
    tree.zone(0, "cpu-thermal", 20000)
    assert found.read(SEARCH_S - 1.0).coldest_c is None
    assert found.read(SEARCH_S).coldest_c == 20.0


def test_humidity_by_iio_raw_and_processed(tree: Tree, found: SysfsSensors) -> None:
    device = "bus/iio/devices/iio:device0"
    # HDC1080: RH = raw / 2^16 · 100 %, T = raw / 2^16 · 165 − 40 °C, scales in thousandths.
    tree.put(f"{device}/in_humidityrelative_raw", 0x8000)
    tree.put(f"{device}/in_humidityrelative_scale", 1.525878906)
    tree.put(f"{device}/in_temp_raw", 0x4000)
    tree.put(f"{device}/in_temp_scale", 2.517700195)
    tree.put(f"{device}/in_temp_offset", -15887.515151)
    reading = found.read(0.0)
    assert reading.humidity_percent == pytest.approx(50.0, abs=0.01)
    assert reading.air_c == pytest.approx(1.25, abs=0.01)
    assert reading.surface_c is None


def test_humidity_by_hwmon_and_a_board_thermometer(tree: Tree, found: SysfsSensors) -> None:
    tree.put("class/hwmon/hwmon0/name", "sht4x")
    tree.put("class/hwmon/hwmon0/temp1_input", -12500)
    tree.put("class/hwmon/hwmon0/humidity1_input", 81000)
    tree.put("class/hwmon/hwmon1/name", "tmp102")
    tree.put("class/hwmon/hwmon1/temp1_input", -20250)
    reading = found.read(0.0)
    assert (reading.air_c, reading.humidity_percent) == (-12.5, 81.0)
    assert reading.surface_c == -20.25
    assert reading.coldest_c is None  # the module's own zones, nothing else


def test_an_accelerometer_is_no_surface(tree: Tree, found: SysfsSensors) -> None:
    tree.put("bus/iio/devices/iio:device0/in_temp_input", 50000)
    tree.put("bus/iio/devices/iio:device0/in_accel_x_raw", 1)
    assert found.read(0.0).surface_c is None


def test_a_bare_iio_thermometer_is_the_surface_and_is_found_again(
    tree: Tree, found: SysfsSensors
) -> None:
    tree.zone(0, "cpu-thermal", 20000)
    tree.put("bus/iio/devices/iio:device0/in_temp_input", 5000)
    assert found.read(0.0).surface_c == 5.0
    gone = tree.root / "bus/iio/devices/iio:device0"
    (gone / "in_temp_input").write_text("", "utf-8")
    assert found.read(1.0).surface_c is None
    (gone / "in_temp_input").unlink()
    gone.rmdir()
    tree.put("bus/iio/devices/iio:device1/in_temp_input", 6000)
    assert found.read(2.0).surface_c is None
    reading = found.read(1.0 + SEARCH_S)
    assert (reading.surface_c, reading.coldest_c) == (6.0, 20.0)


def test_power_of_named_rails(tree: Tree, found: SysfsSensors) -> None:
    tree.put("class/hwmon/hwmon0/name", "ina3221")
    for number, label, millivolts, milliamperes in (
        (1, "VDD_IN", 5000, 1500),
        (2, "VDD_CPU_GPU_CV", 5000, 300),
        (3, "NC", 5000, 0),
    ):
        tree.put(f"class/hwmon/hwmon0/in{number}_label", label)
        tree.put(f"class/hwmon/hwmon0/in{number}_input", millivolts)
        tree.put(f"class/hwmon/hwmon0/curr{number}_input", milliamperes)
    found.read(0.0)
    assert found.power_w() == {"VDD_IN": pytest.approx(7.5), "VDD_CPU_GPU_CV": pytest.approx(1.5)}


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(st.text(max_size=40), st.floats().map(str), st.integers().map(str)))
def test_no_content_of_a_file_raises_or_passes_for_a_wild_reading(tree: Tree, content: str) -> None:
    files = ("class/thermal/thermal_zone0/temp", "bus/iio/devices/iio:device0/in_temp_scale")
    tree.zone(0, "cpu-thermal", 0)
    for path in (*files, "bus/iio/devices/iio:device0/in_humidityrelative_input"):
        tree.put(path, "")
        (tree.root / path).write_bytes(content.encode("utf-8", "replace"))
    tree.put("bus/iio/devices/iio:device0/in_temp_raw", 1000)
    found = open_sensors(tree.root)
    reading = found.read(0.0)
    found.close()
    for value in (reading.coldest_c, reading.hottest_c, reading.air_c):
        assert value is None or -90.0 <= value <= 150.0
    humidity = reading.humidity_percent
    assert humidity is None or 0.0 <= humidity <= 110.0


def test_a_reading_looks_up_no_path(
    tree: Tree, found: SysfsSensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.zone(0, "cpu-thermal", 20000)
    found.read(0.0)

    def fail(*_: object) -> int:
        raise AssertionError("a path was looked up")

    monkeypatch.setattr(os, "open", fail)
    monkeypatch.setattr(os, "listdir", fail)
    assert found.read(SEARCH_S).hottest_c == 20.0
    monkeypatch.undo()


def test_this_machine_is_read_without_an_error() -> None:
    found = open_sensors()
    found.read(0.0)
    found.close()
