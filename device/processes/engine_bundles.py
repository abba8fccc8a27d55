"""The engine process's bundles: the one it was started with, and those that updates bring.

A new one is opened in a thread beside the loop, which goes on serving whoever plays the old; each
connection says which bundle it is for, so both play side by side while the audio loop tries its new
bank, and the old one is let go of once nobody uses it.
"""

import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from device.config import Config
from device.plain import dataclass
from device.processes.engine import MOST_PENDING_FRAMES, MakeFeed, TimedCodec
from device.processes.engine_state import EngineState
from device.slots import LinkWatch, slot_in_use
from device.sound.morph.studio_feed import Change, StudioFeed
from device.studio import StudioBundle, read_studio
from models.errors import ModelError
from models.music2latent.spectrum import HOP

LOOK_S = 0.5
"""How often the link to the models slot is looked at."""


@dataclass(frozen=True)
class Held:
    """A bundle whose network is loaded."""

    studio: StudioBundle
    codec: TimedCodec

    def feed(self, rate_hz: int, change: Change | None) -> StudioFeed:
        """A stream of its own. Raises ``ModelError``."""
        return StudioFeed(self.codec, self.studio.settings, rate_hz, MOST_PENDING_FRAMES, change)


class Bundles:
    """What the engine process can compute."""

    def __init__(self, config: Config, say: Callable[[str], object]) -> None:
        """Nothing is opened yet; ``config`` is without a slot. ``say`` takes a line."""
        self._config, self._say = config, say
        self._rate_hz = config.table.audio.rate_hz
        self._link = None if config.bundle_named else config.slot_link
        self._watch = LinkWatch(self._link)
        self._look_s = 0.0
        self._held: dict[str, Held] = {}
        self._newest = ""
        self._opening: threading.Thread | None = None
        self._opened: Held | None = None

    @property
    def waits(self) -> bool:
        """Whether a bundle may come later."""
        return self._link is not None

    def begin(self) -> None:
        """Open the bundle to begin with. Raises ``ModelError`` for a named one that is unusable."""
        folder = self._folder()
        if folder is None:
            return
        try:
            self._take(self._open(folder))
        except ModelError as error:
            if not self.waits:
                raise
            self._say(f"{error} Waiting for another.")

    def turn(self) -> bool:
        """Look whether there is another; True where one has been taken. Never waits."""
        now_s = time.monotonic()
        if now_s - self._look_s < LOOK_S:
            return False
        self._look_s = now_s
        if self._opening is None and self._watch.changed():
            self._opening = threading.Thread(target=self._open_next, name="opener", daemon=True)
            self._opening.start()
        if self._opening is None or self._opening.is_alive():
            return False
        self._opening = None
        opened, self._opened = self._opened, None
        if opened is None:
            return False
        self._take(opened)
        return True

    def newest(self, change: Change | None) -> StudioFeed:
        """A stream on the newest. Raises ``ModelError`` where there is none."""
        held = self._held.get(self._newest)
        if held is None:
            raise ModelError("There is no bundle yet; install one.")
        return held.feed(self._rate_hz, change)

    def choose(self, bundle: str) -> MakeFeed | None:
        """What makes streams on one bundle, None where it is not held."""
        held = self._held.get(bundle)
        return None if held is None else partial(held.feed, self._rate_hz)

    def keep(self, used: Collection[str]) -> None:
        """Let go of what is neither the newest nor used."""
        for bundle in [each for each in self._held if each != self._newest and each not in used]:
            del self._held[bundle]

    def describe(self, state: EngineState) -> None:
        """Put the newest's figures where ``status`` finds them."""
        held = self._held.get(self._newest)
        if held is None:
            return
        settings = held.studio.settings
        state.provider = held.codec.provider
        state.precision = held.studio.precision
        state.bundle = held.studio.bundle.manifest.name
        state.window_frames, state.hop_frames = settings.window_frames, settings.hop_frames
        state.hop_ms = round(1000.0 * settings.hop_frames * HOP / settings.rate_hz, 2)
        held.codec.note(state)

    def _folder(self) -> Path | None:
        config = self._config
        return config.bundle if self._link is None else _bundle_of(self._link)

    def _open(self, folder: Path) -> Held:
        studio = read_studio(folder, self._config.table.studio)
        held = Held(studio, TimedCodec(studio.codec))
        held.feed(self._rate_hz, None)  # what cannot be played is said now, not by the first guitar
        return held

    def _open_next(self) -> None:
        folder = self._folder()
        if folder is None:
            return
        try:
            self._opened = self._open(folder)
        except Exception as error:  # whatever it is, what plays goes on playing
            self._say(f"{error} What was played goes on.")

    def _take(self, held: Held) -> None:
        self._newest = held.studio.bundle.sha256
        self._held.setdefault(self._newest, held)


def _bundle_of(link: Path) -> Path | None:
    slot = slot_in_use(link)
    return None if slot is None else slot.bundle
