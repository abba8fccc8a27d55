"""What a preset's preparation finds, found here: the guest would take minutes for it."""

import shutil
from pathlib import Path

from device.prepare import find
from device.preset import read_preset
from hil.virtual.cache import digest, kept
from hil.virtual.steps import say

_ROOT = Path(__file__).resolve().parents[2]
_CAB = Path(__file__).parent / "guest" / "image" / "presets" / "short-1x12.flac"
RATE_HZ = 48000


def ways(text: str) -> Path:
    """A cache folder with all that the pedal keeps of a preset, which names the short cabinet.

    It is kept under hashes of contents, so the guest finds it again.
    """
    sources = sorted([*(_ROOT / "device").rglob("*.py"), *(_ROOT / "models").rglob("*.py")])

    def build(target: Path) -> None:
        say("what preparing the studio preset finds")
        shutil.copy(_CAB, target)
        (target / "preset.toml").write_text(text)
        find(read_preset(target / "preset.toml"), RATE_HZ, cache=target / "cache")

    return kept("ways", digest([text, _CAB, *sources]), build) / "cache"
