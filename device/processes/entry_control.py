"""What the control process does from its start to its end."""

from device.boards.open import open_control_side
from device.config import Config
from device.processes.control import ControlLoop
from device.processes.link import connect
from device.processes.realtime import end_on_signals
from device.script import Script, there_and_back


def run_control(config: Config, duration_s: float | None = None) -> None:
    """Follow the knob's script, by default from A to B and back within ``duration_s``."""
    script = config.script()
    if script is None:
        script = there_and_back(duration_s) if duration_s else Script()
    side = open_control_side(config, script)
    end_on_signals()
    ControlLoop(
        side.knob,
        side.feet,
        side.clock,
        lambda: connect(config.control_socket),
        config.first_preset,
    ).run()
