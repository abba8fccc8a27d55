"""The jetson board's half for the control process: pins, converter, MIDI, thermometers.

Nothing is opened here: each part is opened when control first asks for it, and again after it was
lost. The audio process's half is ``alsa.py``.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from device.boards.board import Knob, Midi, MidiEvent, Output, Switch
from device.boards.live import RealClock
from device.config import Config
from device.config_hardware import MidiTable
from device.script import Script

if TYPE_CHECKING:
    from device.boards.adc import Adc, AdcKind
    from device.boards.open import ControlSide


def control_side(config: Config, script: Script) -> "ControlSide":
    """What ``pedal.toml`` says is wired; see ``open_control_side``."""
    from device.boards.open import ControlSide
    from device.boards.sensors import open_sensors

    table = config.table
    kind = config.knob_kind
    module = table.pins.module

    def switch() -> Switch:
        from device.boards.gpio import open_input

        return open_input(table.footswitch.pin, table.footswitch.pull_up, module=module)

    def output(pin: int | str) -> Output:
        from device.boards.gpio import open_output

        return open_output(pin, module=module)

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
        relay=lambda: output(table.relay.pin),
        status_led=lambda: output(table.leds.status),
        fault_led=lambda: output(table.leds.fault),
        sensors=open_sensors(),
        heater=(lambda: output(table.heater.pin)) if table.heater.fitted else None,
        expression=expression,
        midi=(lambda: LateMidi(table.midi)) if table.midi.enabled else None,
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


class LateMidi:
    """A MIDI input whose library is loaded beside the loop: a pedal that starts need not wait."""

    def __init__(self, table: MidiTable) -> None:
        """Begin to load. What then is wrong is raised by ``poll``."""
        self._table = table
        self._midi: Midi | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._load, name="midi", daemon=True)
        self._thread.start()

    def _load(self) -> None:
        try:
            from device.boards.midi import open_midi

            self._midi = open_midi(self._table.card)
        except (ImportError, OSError) as error:
            self._error = error

    def poll(self) -> Sequence[MidiEvent]:
        """Return what has come since; nothing while it loads. Raises ``OSError``."""
        if self._midi is not None:
            return self._midi.poll()
        if self._error is not None:
            raise OSError(f"MIDI cannot be read ({self._error}); install requirements/board.txt")
        return ()

    def close(self) -> None:
        """Give the devices back."""
        close = getattr(self._midi, "close", None)
        if close is not None:
            close()
