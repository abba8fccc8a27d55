"""From a bundle to the studio engine: what the audio loop, the engine process and offline need."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from device.config import Config, StudioTable
from device.slots import BUNDLE, PLANS
from device.sound.morph import MorphEngine, Studio
from device.sound.morph.studio_ahead import AheadPeer
from device.sound.morph.studio_feed import Change, LocalPeer, timing_of
from models.errors import ModelError
from models.facts import Precision
from models.manifest import Bundle, read_bundle
from models.morph import Positions
from models.music2latent.codec import CPU, PROVIDER_NAMES, Codec
from models.music2latent.stream import StreamSettings
from models.units import Audio

if TYPE_CHECKING:
    from device.preset import Preset

PREFERRED: tuple[Precision, ...] = ("int8", "fp16", "fp32")
"""What is taken where nobody asks for a precision."""

USUAL = StreamSettings(window_frames=16, hop_frames=4, look_ahead_frames=2)
"""What ``python -m build bundle`` makes unless it is told otherwise."""

RATE_HZ = 48_000
"""The rate at which offline work runs."""


class StudioSource(Protocol):
    """Where studio engines come from: this process, or another behind a socket."""

    @property
    def network(self) -> "StudioBundle | None":
        """What can encode recordings; None where there is nothing."""

    def change(self, preset: "Preset", cache: Path | None) -> Change | None:
        """What makes tone B of a preset with a direction; None where nothing can find it."""

    def engine(self, stand_in: MorphEngine, change: Change | None = None) -> Studio:
        """Make one, unprepared; ``change`` makes tone B of tone A's latents."""


@dataclass(frozen=True)
class StudioBundle:
    """A bundle and how it is to be played."""

    bundle: Bundle
    precision: Precision
    settings: StreamSettings

    @property
    def plans(self) -> Path | None:
        """Where an update has built its plans, beside it in its slot; None: in the usual cache."""
        beside = self.bundle.folder.parent / PLANS
        return beside if self.bundle.folder.name == BUNDLE and beside.is_dir() else None

    @cached_property
    def codec(self) -> Codec:
        """The network, loaded when it is first asked for. Raises ``ModelError``."""
        # Imported here because only who computes needs TensorRT, CUDA or a whole network.
        from models.plan import open_codec

        return open_codec(self.bundle, self.precision, self.plans)

    def with_hop(self, hop_frames: int) -> "StudioBundle":
        """The same with another hop. Raises ``ModelError`` where that does not fit the window."""
        return replace(self, settings=replace(self.settings, hop_frames=hop_frames))

    def without_overlap(self) -> "StudioBundle":
        """The same with windows that follow each other: least work, for recordings."""
        frames = self.settings.window_frames
        return replace(
            self, settings=replace(self.settings, hop_frames=frames, look_ahead_frames=0)
        )

    @property
    def network(self) -> "StudioBundle":
        """Itself: offline, this is a ``StudioSource``."""
        return self

    def change(self, preset: "Preset", cache: Path | None) -> Change | None:
        """See ``StudioSource``. Raises ``PresetError`` and ``ModelError``."""
        from device.direction import found_direction

        return found_direction(preset, self, cache)

    def engine(self, stand_in: MorphEngine, change: Change | None = None) -> Studio:
        """A studio engine that computes in this process, at once: for offline work."""
        peer = LocalPeer(self.codec, self.settings, change)
        return Studio(stand_in, peer, timing_of(self.settings, RATE_HZ), change is None)

    def engine_ahead(self, stand_in: MorphEngine, a: Audio, b: Audio, knob: Positions) -> Studio:
        """The same for recordings known as a whole ``(1, n)``: pieces of them at once."""
        from models.plan import open_codec

        opened = [open_codec(self.bundle, self.precision, self.plans, threads=1)]
        # A GPU serves one; processors one each.
        if opened[0].provider == PROVIDER_NAMES[CPU]:
            for _ in range(len(os.sched_getaffinity(0)) - 1):
                opened.append(open_codec(self.bundle, self.precision, self.plans, threads=1))
        peer = AheadPeer(opened, self.settings, (a, b, knob))
        return Studio(stand_in, peer, timing_of(self.settings, RATE_HZ), True)


def read_studio(
    folder: Path, table: StudioTable | None = None, graphs: bool = True
) -> StudioBundle:
    """Read and verify a bundle, of the graphs only what is to be played.

    Without ``graphs`` none of them is opened: enough to know when its sound is due. Raises
    ``ModelError`` with one sentence.
    """
    table = table or StudioTable()
    manifest = read_bundle(folder, ()).manifest
    precision = _chosen(table.precision, manifest.precisions)
    bundle = read_bundle(folder, (precision,)) if graphs else read_bundle(folder, ())
    settings = StreamSettings(
        window_frames=manifest.window_frames,
        hop_frames=manifest.hop_frames,
        look_ahead_frames=manifest.look_ahead_frames,
        seed=manifest.seed,
        rate_hz=manifest.rate_hz,
    )
    studio = StudioBundle(bundle, precision, settings)
    return studio if table.hop_frames is None else studio.with_hop(table.hop_frames)


def _chosen(asked: Precision | None, held: Sequence[Precision]) -> Precision:
    """What is to be played: what was asked for, or the first of the preferred that is held."""
    if asked is not None:
        return asked
    return next(each for each in PREFERRED if each in held)


def settings_or_default(config: Config) -> tuple[StreamSettings, str, str | None]:
    """The stream's settings, the bundle's hash, and why they are not the bundle's, if so.

    A pedal plays on without its studio engine, at the latency that it would have had by default.
    """
    try:
        if config.bundle is None:
            raise ModelError("no bundle is named; add [studio] bundle to pedal.toml.")
        studio = read_studio(config.bundle, config.table.studio, graphs=False)
        return studio.settings, studio.bundle.sha256, None
    except ModelError as error:
        return USUAL, "", str(error)
