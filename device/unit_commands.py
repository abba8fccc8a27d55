"""The commands that are one process of the pedal each; a unit or the supervisor starts them.

They are started while somebody waits for the sound, so each imports only what it needs.
"""

import argparse
import gc

from device.config import Config, load_config
from device.outcome import Outcome
from device.processes.realtime import die_with_parent


def audio(options: argparse.Namespace) -> Outcome:
    """Be the audio process."""
    # Until the loop begins nothing is thrown away that would be worth looking for.
    gc.disable()
    from device.processes.entry_audio import run_audio
    from device.unit_config import FileChange, unit_config

    if options.supervised:
        die_with_parent()
    file = FileChange(options.config)
    config, problem = unit_config(options)
    run_audio(config, options.input, options.out, problem, file)
    return Outcome()


def control(options: argparse.Namespace) -> Outcome:
    """Be the control process."""
    gc.disable()  # as above
    from device.processes.entry_control import run_control
    from device.unit_config import FileChange, unit_config

    if options.supervised:
        die_with_parent()
    file = FileChange(options.config)
    config, problem = unit_config(options)
    run_control(config, options.duration, problem, file)
    return Outcome()


def engine(options: argparse.Namespace) -> Outcome:
    """Be the engine process."""
    from device.processes.entry_engine import run_engine

    run_engine(_config(options))
    return Outcome()


def _config(options: argparse.Namespace) -> Config:
    """What ``pedal.toml`` and the command line say. Raises ``ConfigError``."""
    if options.supervised:
        die_with_parent()
    return load_config(
        options.config, options.board, options.preset, options.runtime, options.bundle
    )
