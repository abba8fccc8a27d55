"""A studio bundle of few channels for the virtual pedal, made by the build commands themselves.

The network has random weights: what it computes is no tone, what it costs is little enough for
the guest, and everything around it is real.
"""

import sys
from pathlib import Path

from hil.virtual.cache import digest, kept, scratch
from hil.virtual.steps import run

_ROOT = Path(__file__).resolve().parents[2]


def studio_bundle() -> Path:
    """The folder of the bundle; built once for each state of the code that makes it."""
    sources = [*(_ROOT / "build").glob("*.py"), *(_ROOT / "models").rglob("*.py")]
    return kept("bundle", digest(sorted(sources)), _build) / "bundle"


def _build(target: Path) -> None:
    from safetensors.numpy import save_file

    from models.music2latent.architecture import TINY, random_weights

    with scratch("bundle") as name:
        weights = Path(name) / "tiny.safetensors"
        save_file(dict(random_weights(TINY, 0)), weights)
        command = [sys.executable, "-m", "build", "bundle", "--checkpoint", str(weights)]
        command += ["--hop-frames", "8", "--windows", "2", "--out", str(target / "bundle")]
        run("a small studio bundle", command, cwd=_ROOT)
