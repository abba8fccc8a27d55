"""Temperatures, humidity and power from sysfs, wherever the kernel puts them.

- ``class/thermal/thermal_zone*/{type,temp}`` in m°C: the module's own zones.
- ``class/hwmon/hwmon*`` (Documentation/hwmon/sysfs-interface): ``humidity1_input`` in milli-percent
  with the air's ``temp1_input`` in m°C (SHT3x, SHT4x), a thermometer on the board (``BOARD_CHIPS``)
  and ``ina3221`` power monitors, their rails in mV and mA.
- ``bus/iio/devices/iio:device*`` (ABI/testing/sysfs-bus-iio): ``in_humidityrelative_*`` with
  ``in_temp_*`` (HDC1080, HTS221, BME280), or a device that measures nothing but temperature
  (TMP117): a thermometer on the board. ``input``, or ``(raw + offset) × scale``, in the same units.

Files are opened once and read with ``pread``: a reading costs a system call, no path look-up. A
zone that cannot be read is powered down (GPU, CV) and named, not an error; it may answer later.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from device.states import Temperatures
from device.states.thermal import believed, believed_percent

RENEW_S = 0.5
"""Readings are renewed no faster: sysfs reads go over I²C or to the power processor and block."""

SEARCH_S = 10.0
"""Where something is missing one looks again so often: drivers load late, devices come back."""

BOARD_CHIPS = frozenset({"jc42", "lm75", "lm75b", "tmp102", "tmp1075", "tmp108", "tmp75"})
"""hwmon names of thermometers that one puts on a board to know the board (MCP9808: ``jc42``)."""

LONGEST_BYTES = 32


class Value:
    """One number in a file of sysfs."""

    def __init__(self, path: Path, scale: float = 0.001, offset: float = 0.0) -> None:
        """Name the file, opened when first read; the value is ``(number + offset) × scale``."""
        self._path = path
        self._scale = scale
        self._offset = offset
        self._file: int | None = None

    def read(self) -> float | None:
        """Return the value, None where it cannot be read now."""
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            return (float(os.pread(self._file, LONGEST_BYTES, 0)) + self._offset) * self._scale
        except OSError:
            self.close()  # a device that comes back has a new file behind the same name
            return None
        except ValueError:
            return None

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class SysfsSensors:
    """Thermal zones, thermometers, humidity sensors and power rails below a ``/sys``."""

    def __init__(self, root: Path) -> None:
        """Look below ``root`` at the first reading; nothing there is no error."""
        self._root = root
        self._zones: dict[str, Value] = {}
        self._humidity: Value | None = None
        self._air: Value | None = None
        self._surface: Value | None = None
        self._rails: dict[str, tuple[Value, Value]] = {}
        self._read_s: float | None = None
        self._searched_s: float | None = None
        self._known: set[str] = set()
        self._missing = True
        self._latest = Temperatures()

    def read(self, now_s: float) -> Temperatures:
        """Return the latest reading, renewed at most twice a second. Never raises.

        The same object comes back until it is renewed, so who holds it sees that nothing changed.
        """
        if self._read_s is not None and 0.0 <= now_s - self._read_s < RENEW_S:
            return self._latest
        self._read_s = now_s
        if self._missing and (self._searched_s is None or now_s - self._searched_s >= SEARCH_S):
            self._searched_s = now_s
            self._search()
        read = {name: believed(zone.read()) for name, zone in self._zones.items()}
        zones = {name: value_c for name, value_c in read.items() if value_c is not None}
        surface_c = believed(reading(self._surface))
        air_c = believed(reading(self._air))
        humidity = believed_percent(reading(self._humidity))
        self._latest = Temperatures(
            coldest_c=min(zones.values(), default=None),
            hottest_c=max(zones.values(), default=None),
            surface_c=surface_c,
            air_c=air_c,
            humidity_percent=humidity,
            zones=zones,
            unreadable=tuple(name for name in read if name not in zones),
        )
        found = {"surface": surface_c, "air": air_c, "humidity": humidity}
        present = {name for name, value in found.items() if value is not None}
        self._known |= present
        self._missing = not zones or present != self._known
        return self._latest

    def power_w(self) -> dict[str, float]:
        """Return each rail's power by its label (``VDD_IN``); what cannot be read is left out."""
        powers = {}
        for label, (voltage, current) in self._rails.items():
            volts, amperes = voltage.read(), current.read()
            if volts is not None and amperes is not None:
                powers[label] = volts * amperes
        return powers

    def close(self) -> None:
        """Give the files back; a later ``read`` finds them again."""
        rails = [value for pair in self._rails.values() for value in pair]
        for value in (*self._zones.values(), self._humidity, self._air, self._surface, *rails):
            if value is not None:
                value.close()
        self._zones, self._rails = {}, {}
        self._humidity = self._air = self._surface = None
        self._read_s = self._searched_s = None
        self._missing = True

    def _search(self) -> None:
        """Look through the tree afresh; the first humidity sensor and board thermometer count."""
        read_s, searched_s = self._read_s, self._searched_s
        self.close()
        self._read_s, self._searched_s = read_s, searched_s
        for folder in folders(self._root / "class/thermal", "thermal_zone"):
            kind = text(folder / "type")
            if kind:
                name = kind if kind not in self._zones else f"{kind} {folder.name}"
                self._zones[name] = Value(folder / "temp")
        for folder in folders(self._root / "class/hwmon", "hwmon"):
            chip = text(folder / "name")
            if (folder / "humidity1_input").exists():
                self._take_air(Value(folder / "humidity1_input"), Value(folder / "temp1_input"))
            elif chip in BOARD_CHIPS:
                self._surface = self._surface or Value(folder / "temp1_input")
            elif chip == "ina3221":
                self._take_rails(folder)
        for folder in folders(self._root / "bus/iio/devices", "iio:device"):
            temperature = iio_channel(folder, "in_temp")
            humidity = iio_channel(folder, "in_humidityrelative")
            if humidity is not None:
                self._take_air(humidity, temperature)
            elif temperature is not None and measures_only(folder, "in_temp"):
                self._surface = self._surface or temperature

    def _take_air(self, humidity: Value, temperature: Value | None) -> None:
        """Keep the first humidity sensor with its own thermometer."""
        if self._humidity is None:
            self._humidity, self._air = humidity, temperature

    def _take_rails(self, folder: Path) -> None:
        """Keep the rails of a power monitor that are connected and named."""
        for number in (1, 2, 3):
            label = text(folder / f"in{number}_label")
            if label and label != "NC":
                voltage = Value(folder / f"in{number}_input")
                self._rails[label] = (voltage, Value(folder / f"curr{number}_input"))


def open_sensors(root: Path = Path("/sys")) -> SysfsSensors:
    """The sensors below ``root``; what is there is found at the first reading, and later too."""
    return SysfsSensors(root)


def reading(value: Value | None) -> float | None:
    """The value of a sensor that may not exist."""
    return None if value is None else value.read()


def folders(place: Path, prefix: str) -> Iterator[Path]:
    """The devices of one class, in the order of their numbers."""
    for name in sorted(names(place), key=lambda name: (len(name), name)):
        if name.startswith(prefix):
            yield place / name


def iio_channel(folder: Path, name: str) -> Value | None:
    """One IIO channel in thousandths of its unit, processed or raw; None where it has none."""
    if (folder / f"{name}_input").exists():
        return Value(folder / f"{name}_input")
    if not (folder / f"{name}_raw").exists():
        return None
    try:
        scale = float(text(folder / f"{name}_scale") or "1")
        offset = float(text(folder / f"{name}_offset") or "0")
    except ValueError:
        return None
    return Value(folder / f"{name}_raw", scale * 0.001, offset)


def measures_only(folder: Path, name: str) -> bool:
    """Whether an IIO device has no other channel: an accelerometer knows its own die only."""
    channels = [entry for entry in names(folder) if entry.endswith(("_raw", "_input"))]
    return all(entry.startswith(f"{name}_") for entry in channels)


def names(place: Path) -> list[str]:
    """What stands in a folder; nothing where it cannot be read."""
    try:
        return os.listdir(place)
    except OSError:
        return []


def text(path: Path) -> str:
    """A short file's text without its newline; empty where it cannot be read."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
