"""The jetson board's half for the control process: pins, converter, MIDI, thermometers.

Nothing is opened here: each part is opened when control first asks for it, and again after it was
lost. gpiozero and mido are loaded beside the loop, which holds the relay meanwhile. The audio
process's half is ``alsa.py``.
"""

import importlib
import sys
import threading
from typing import TYPE_CHECKING

from device.boards.board import Knob, Midi, NotYet, Output, Switch
from device.boards.live import RealClock
from device.config import Config
from device.processes.thread import go_ordinary
from device.script import Script

if TYPE_CHECKING:
    from device.boards.adc import Adc, AdcKind
    from device.boards.open import ControlSide

_SWITCH_S = 0.0005


def control_side(config: Config, script: Script) -> "ControlSide":
    """What ``pedal.toml`` says is wired; see ``open_control_side``."""
    from device.boards.open import ControlSide
    from device.boards.sensors import open_sensors

    table = config.table
    kind = config.knob_kind
    module = table.pins.module
    libraries = Libraries("gpiozero", "device.boards.pins", "mido.parser")

    def switch() -> Switch:
        from device.boards.gpio import open_input

        libraries.need("device.boards.pins")
        return open_input(table.footswitch.pin, table.footswitch.pull_up, module=module)

    def output(pin: int | str) -> Output:
        from device.boards.gpio import open_output

        libraries.need("device.boards.pins")
        return open_output(pin, module=module)

    def relay() -> Output:
        from device.boards.line import header_pin, open_line

        pin = header_pin(table.relay.pin)
        return output(table.relay.pin) if pin is None else open_line(pin, module)

    def midi() -> Midi:
        from device.boards.midi import open_midi

        libraries.need("mido.parser")
        return open_midi(table.midi.card)

    adc = None if kind == "script" else _SharedAdc(config, kind)

    def knob() -> Knob:
        if adc is not None:
            return adc.channel(table.knob.channel)
        from device.boards.scripted import ScriptedKnob

        return ScriptedKnob(script)

    expression = None
    if adc is not None and table.expression.fitted:
        shared = adc

        def expression() -> Knob:
            return shared.channel(table.expression.channel)

    return ControlSide(
        clock=RealClock(),
        knob=knob,
        footswitch=switch,
        relay=relay,
        status_led=lambda: output(table.leds.status),
        fault_led=lambda: output(table.leds.fault),
        sensors=open_sensors(),
        heater=(lambda: output(table.heater.pin)) if table.heater.fitted else None,
        expression=expression,
        midi=midi if table.midi.enabled else None,
    )


class _SharedAdc:
    """The converter that knob and expression pedal have in common."""

    def __init__(self, config: Config, kind: "AdcKind") -> None:
        """Nothing is opened yet."""
        self._table = config.table
        self._kind = kind
        self._adc: Adc | None = None

    def channel(self, number: int) -> Knob:
        """Open the converter unless it is, and one channel of it."""
        from device.boards.adc import open_adc

        if self._adc is None:
            table, adc = self._table, self._table.adc
            channels = [table.knob.channel]
            if table.expression.fitted:
                channels.append(table.expression.channel)
            if self._kind == "mcp3008":
                self._adc = open_adc(
                    "mcp3008", adc.spi_port, adc.spi_device, channels, adc.half_channel
                )
            else:
                self._adc = open_adc(
                    "ads1115", adc.i2c_bus, adc.i2c_address, channels, adc.reference_channel
                )
        return self._adc.channel(number)


class Libraries:
    """Loads modules one after another beside the loop, at an ordinary priority."""

    def __init__(self, *names: str) -> None:
        """Name them in the order in which they are needed; nothing is loaded yet."""
        self._names = names
        self._loaded: set[str] = set()
        self._thread: threading.Thread | None = None

    def need(self, name: str) -> None:
        """Return where it is loaded, or could not be; else begin, and raise ``NotYet``."""
        if name in self._loaded:
            return
        if self._thread is None:
            # The loop waits for no longer than this until a thread that loads lets it run.
            sys.setswitchinterval(_SWITCH_S)
            self._thread = threading.Thread(target=self._load, name="libraries", daemon=True)
            self._thread.start()
        raise NotYet

    def _load(self) -> None:
        go_ordinary()
        for name in self._names:
            try:
                importlib.import_module(name)
            except ImportError:
                pass  # said by whoever opens what needs it
            finally:
                self._loaded.add(name)
