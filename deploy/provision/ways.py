"""``python -m deploy.provision.ways [--check] FILE``: what audio would have to find at its start.

Run by the pedal's user in the pedal's environment. ``--check`` prints the presets of which
something is not yet found; without it that is found, into ``$CACHE_DIRECTORY``. A preset that
cannot be played is named on stderr and passed over, as the pedal does.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from device.bank import find_ways
from device.config import Config, load_config
from device.prepare import find, is_found
from device.preset import Preset, read_preset
from device.studio import StudioBundle, read_studio
from models.errors import PurgaError


def _playable_presets(config: Config) -> list[Preset]:
    presets = []
    for file in config.presets:
        try:
            presets.append(read_preset(file))
        except PurgaError as error:
            print(error, file=sys.stderr)
    return presets


def _network(config: Config, presets: Sequence[Preset]) -> StudioBundle | None:
    """What directions are found with; only where there is one and a preset asks for it."""
    if config.bundle is None or not any(each.table.morph.direction for each in presets):
        return None
    return read_studio(config.bundle, config.table.studio)


def main(argv: Sequence[str] | None = None) -> int:
    """Find, or check; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.provision.ways")
    parser.add_argument("--check", action="store_true", help="only say what is not yet found")
    parser.add_argument("file", type=Path, help="pedal.toml")
    options = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="purga-") as scratch:
            config = load_config(options.file, runtime=Path(scratch))
        audio = config.table.audio
        presets = _playable_presets(config)
        network = _network(config, presets)
    except PurgaError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    about = (audio.rate_hz, audio.interface_dbu, None, network)
    unknown = [each for each in presets if not is_found(each, *about)]
    if options.check:
        print("\n".join(each.file.name for each in unknown), end="")
        return 0
    with contextlib.suppress(PurgaError):  # one cannot be played; which one, shows below
        find_ways(unknown, *about)  # side by side
    for preset in unknown:
        try:
            if not is_found(preset, *about):
                find(preset, *about)
        except PurgaError as error:
            print(error, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
