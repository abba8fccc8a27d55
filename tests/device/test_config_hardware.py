"""``pedal.toml``'s tables of hardware: the documented wiring by default, and one sentence else."""

from pathlib import Path
from typing import get_args

import pytest

from device.boards.pin_tables import MODULES
from device.config import Config, StudioTable, load_config
from device.config_hardware import Module
from device.errors import ConfigError
from device.states import Limits
from models.facts import Precision


def load(text: str, folder: Path, board: str | None = None) -> Config:
    (folder / "pedal.toml").write_text(text)
    return load_config(folder / "pedal.toml", board, runtime=folder)  # type: ignore[arg-type]


def test_the_defaults_are_the_wiring_of_the_hardware_page(tmp_path: Path) -> None:
    table = load("", tmp_path).table
    pins = (table.footswitch.pin, table.relay.pin, table.heater.pin)
    assert (*pins, table.leds.status, table.leds.fault) == (29, 31, 33, 35, 37)
    assert (table.knob.channel, table.expression.channel, table.adc.half_channel) == (0, 1, 7)
    assert table.temperature == Limits()
    used = [*pins, table.leds.status, table.leds.fault]
    for module in MODULES.values():
        assert all(pin in module.lines for pin in used), module.name


def test_every_table_is_read(tmp_path: Path) -> None:
    table = load(
        """
board = "jetson"
[adc]
spi_port = 1
i2c_address = 0x49
[knob]
kind = "ads1115"
channel = 2
[expression]
fitted = true
channel = 3
[midi]
card = "UM"
channel = 16
cc = 1
[footswitch]
pin = "GPIO5"
pull_up = false
[relay]
pin = 7
[heater]
fitted = false
[leds]
status = "BOARD12"
[temperature]
stage_from_c = 85
[pins]
module = "agx"
[simulated]
presses = [[1.0, 1.5], [2, 2.5]]
temperatures = [[0, -40], [60, 25.5]]
humidity_percent = 80
""",
        tmp_path,
    ).table
    assert (table.adc.spi_port, table.adc.i2c_address, table.knob.kind) == (1, 0x49, "ads1115")
    assert (table.midi.card, table.midi.channel, table.midi.cc) == ("UM", 16, 1)
    assert (table.footswitch.pin, table.relay.pin, table.leds.status) == ("GPIO5", 7, "BOARD12")
    assert (table.heater.fitted, table.expression.fitted) == (False, True)
    assert table.temperature.stage_from_c == 85.0 and table.pins.module == "agx"
    assert table.simulated.presses == ((1.0, 1.5), (2.0, 2.5))
    assert table.simulated.temperatures == ((0.0, -40.0), (60.0, 25.5))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[relay]\npin = 41", "relay.pin is 41, but should be an integer from 1 to 40"),
        ("[relay]\npni = 31", "relay.pni is not a key"),
        ("[knob]\nkind = 'mcp3208'", "knob.kind is 'mcp3208', but must be 'script' or"),
        ("[knob]\nchannel = 8", "knob.channel is 8, but should be an integer from 0 to 7"),
        ("[midi]\nchannel = 0", "midi.channel is 0, but should be an integer from 1 to 16"),
        ("[pins]\nmodule = 'nano'", "pins.module is 'nano', but must be"),
        ("[simulated]\npresses = [[2, 1]]", "simulated cannot be used: the times of presses"),
        ("[knob]\npoints = [[1, 0], [1, 1]]", "knob cannot be used: the times of points"),
        ("[temperature]\nstage_from_c = 99", "[temperature] crossfade_from_c = 92 must be"),
        ("[temperature]\nheater_max_c = true", "temperature.heater_max_c is True"),
    ],
)
def test_what_cannot_be_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(text, tmp_path)
    assert sentence in str(raised.value) and "pedal.toml" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "board", "kind"),
    [
        ("", "simulated", "script"),
        ("", "jetson", "mcp3008"),
        ("[knob]\npoints = [[0, 0]]", "jetson", "script"),
        ("[knob]\nkind = 'mcp3008'\npoints = [[0, 0]]", "jetson", "mcp3008"),
    ],
)
def test_the_knob_is_a_script_where_one_is_written(
    text: str, board: str, kind: str, tmp_path: Path
) -> None:
    assert load(text, tmp_path, board).knob_kind == kind


def test_names_that_are_written_twice_agree() -> None:
    assert set(get_args(Module)) == set(MODULES)
    precision = StudioTable.__annotations__["precision"]
    literal = next(each for each in get_args(precision) if each is not type(None))
    assert set(get_args(literal)) == set(get_args(Precision))
