"""Every figure that a trial judges by, with its reason; and the pedal that it judges for."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from device.config import PedalTable
from device.errors import ConfigError
from device.table import read_table
from models.errors import PurgaError
from models.music2latent.budget import ADMISSIBLE


@dataclass(frozen=True)
class Limits:
    """What a model may take and do. Levels in dB or LU, times in s, shares of a period or hop."""

    memory_bytes: int = 3 << 30
    """Of the child: the full-size bundle with all its precisions takes a third of it, and the
    smallest module has 8 GB that also play."""
    cpu_s: int = 14_400
    """Of all its threads: a preset whose way must be found takes up to a minute of a slow module,
    and there may be 64. What was found is kept, so that the next trial is shorter."""
    wall_s: float = 14_400.0
    """It runs when everything else rests, so it may take long; it may not take for ever."""
    build_s: float = 7200.0
    """Building plans takes minutes on an Orin; then the release is kept for another time."""
    phrase_s: float = 2.0
    """Of the riff at each position of the knob."""
    share: float = 0.6
    """Of a period for the stage network: two captures and two cabinets need the rest."""
    slower: float = 1.3
    """Times what plays now: a machine on which that is slow already is not the model's fault."""
    louder_db: float = 3.0
    """In between, over the louder end: what the network's own bound promises
    (``models.stage.shape.MOST_GAIN``)."""
    fainter_db: float = 20.0
    """In between, under the fainter end: a crossfade of tones that have nothing in common loses 3;
    a hole in the middle of the knob is no morph."""
    quiet_dbfs: float = -60.0
    """What nobody calls loud."""
    preset_share: float = 0.8
    """Of a period for a whole preset; what is left is the interface's and the kernel's."""
    preset_louder_lu: float = 18.0
    """Over the dry guitar: the bundled ones lie 4 to 10 above it, and whoever changes a preset on
    a stage must not be frightened."""
    preset_fainter_lu: float = 40.0
    """Under the dry guitar: below, a player hears nothing and takes the pedal for broken."""
    beyond_full_scale: float = 0.01
    """Of the samples: the last guard clips them; a few are the pick, more are a wrong level."""
    studio_share: float = ADMISSIBLE
    """Of a hop for encoding and decoding, as for every bundle."""
    studio_share_alone: float = 1.0
    """The same where no bundle plays now: the stage engine stands in either way, so only what
    could never be played live is refused."""
    idle: bool = True
    """Whether the child computes only when nobody else wants to; where nobody plays it need not."""
    bundled: int = 2
    """Bundled presets that a new stage network is tried on where the slot brings none."""


@dataclass(frozen=True)
class Here:
    """The pedal that it is to play on."""

    rate_hz: int = 48000
    period_frames: int = 64
    interface_dbu: float | None = None
    """Of full scale; where it is not known, presets that ask for it are tried at a usual one."""
    present: Path | None = None
    """The slot that plays now, which the new one is compared with; None: what is bundled."""

    @property
    def period_s(self) -> float:
        """How long a period lasts."""
        return self.period_frames / self.rate_hz

    @property
    def dbu(self) -> float:
        """The interface's level, or a usual one."""
        return 12.0 if self.interface_dbu is None else self.interface_dbu


def here_of(pedal: Path | None, present: Path | None = None) -> Here:
    """What a ``pedal.toml`` says of the pedal; the defaults where it is not there or wrong.

    A wrong file is no reason to refuse a model: the pedal says itself what is wrong with it.
    """
    here = Here(present=present)
    if pedal is None:
        return here
    try:
        audio = read_table(pedal, PedalTable, ConfigError, "pedal.toml").audio
    except PurgaError:
        return here
    return replace(
        here,
        rate_hz=audio.rate_hz,
        period_frames=audio.period_frames,
        interface_dbu=audio.interface_dbu,
    )


def packed(limits: Limits, here: Here) -> str:
    """Both as JSON, for the child's command line."""
    about = {**asdict(here), "present": None if here.present is None else str(here.present)}
    return json.dumps({"limits": asdict(limits), "here": about})


def unpacked(text: str) -> tuple[Limits, Here]:
    """What ``packed`` made. Raises ``ValueError``, ``TypeError`` or ``KeyError``."""
    given: dict[str, Any] = json.loads(text)
    here = given["here"]
    present = here.pop("present")
    return Limits(**given["limits"]), Here(
        **here, present=None if present is None else Path(present)
    )
