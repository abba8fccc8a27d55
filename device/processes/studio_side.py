"""Studio engines whose sound comes from the engine process; only for presets that ask for one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from device.processes.studio_link import StudioLink
from device.sound.morph import MorphEngine, Studio
from device.sound.morph.studio import StudioTiming
from device.sound.morph.studio_feed import Change, timing_of

if TYPE_CHECKING:
    from device.config import Config
    from device.preset import Preset
    from device.studio import StudioBundle


class BehindASocket:
    """A ``StudioSource``: engines that are linked to the engine process, should there be one."""

    def __init__(self, config: "Config") -> None:
        """Find out what the bundle's timing is; without one, what it usually is."""
        from device.studio import settings_or_default

        self._config = config
        settings, self.bundle, instead = settings_or_default(config)
        self.notice: str | None = None
        """That and why the stage engine plays in the studio engine's place; None where not."""
        if instead is not None:
            self.notice = f"the stage engine plays in the studio engine's place: {instead}"
        self.timing = timing_of(settings, config.table.audio.rate_hz)
        """When its sound is due."""

    @property
    def network(self) -> "StudioBundle | None":
        """Read when it is asked for, which is where a preset has a direction."""
        from device.studio import read_studio

        config = self._config
        if config.bundle is None or self.notice is not None:
            return None
        return read_studio(config.bundle, config.table.studio)

    def change(self, preset: "Preset", cache: Path | None) -> Change | None:
        """See ``StudioSource``."""
        network = self.network
        return None if network is None else network.change(preset, cache)

    def engine(self, stand_in: MorphEngine, change: Change | None = None) -> Studio:
        """See ``StudioSource``."""
        link = StudioLink(self._config.studio_socket, change, self.bundle)
        return Studio(stand_in, link, self.timing, change is None)


class Known:
    """The same where another process has found out all that there is to know of the bundle."""

    network = None

    def __init__(
        self,
        socket: Path,
        timing: tuple[int, int],
        bundle: str,
        changes: Mapping[str, Change],
    ) -> None:
        """``timing`` are the fields of ``StudioTiming``; ``changes`` by a preset's file."""
        self._socket, self._bundle, self._changes = socket, bundle, changes
        self._timing = StudioTiming(*timing)

    def change(self, preset: "Preset", cache: Path | None) -> Change | None:
        """See ``StudioSource``."""
        return self._changes.get(str(preset.file))

    def engine(self, stand_in: MorphEngine, change: Change | None = None) -> Studio:
        """See ``StudioSource``."""
        link = StudioLink(self._socket, change, self._bundle)
        return Studio(stand_in, link, self._timing, change is None)
