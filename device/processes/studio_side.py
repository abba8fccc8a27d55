"""Studio engines whose sound comes from the engine process; only for presets that ask for one."""

from device.config import Config
from device.processes.studio_link import StudioLink
from device.sound.morph import MorphEngine, Studio
from device.sound.morph.studio_feed import Change, timing_of
from device.studio import StudioBundle, read_studio, settings_or_default


class BehindASocket:
    """A ``StudioSource``: engines that are linked to the engine process, should there be one."""

    def __init__(self, config: Config) -> None:
        """Find out what the bundle's timing is; without one, what it usually is."""
        self._config = config
        settings, instead = settings_or_default(config)
        self.notice: str | None = None
        """That and why the stage engine plays in the studio engine's place; None where not."""
        if instead is not None:
            self.notice = f"the stage engine plays in the studio engine's place: {instead}"
        self._timing = timing_of(settings, config.table.audio.rate_hz)

    @property
    def network(self) -> StudioBundle | None:
        """Read when it is asked for, which is where a preset has a direction."""
        config = self._config
        if config.bundle is None or self.notice is not None:
            return None
        return read_studio(config.bundle, config.table.studio)

    def engine(self, stand_in: MorphEngine, change: Change | None = None) -> Studio:
        """See ``StudioSource``."""
        link = StudioLink(self._config.studio_socket, change)
        return Studio(stand_in, link, self._timing, change is None)
