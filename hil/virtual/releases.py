"""A repository of releases for the virtual pedal, made by the publishing commands themselves.

New each day, keys and all: what is signed expires. It holds one release of models, a light
stage network and a preset that plays through it.
"""

import shutil
import sys
from datetime import date
from pathlib import Path

from hil.virtual.cache import digest, kept, scratch
from hil.virtual.networks import light_stage, light_stage_onnx
from hil.virtual.steps import run

_ROOT = Path(__file__).resolve().parents[2]
_CABINET = Path(__file__).parent / "guest" / "image" / "presets" / "short-1x12.flac"

PRESET = """
format = 1
name = "Winter"

[tone.a]
chain = [{ block = "cab", file = "short-1x12.flac" }]

[tone.b]
chain = [
    { block = "distortion", drive_db = 12.0 },
    { block = "cab", file = "short-1x12.flac" },
]
level_db = -12.0

[morph]
engine = "stage"
path = "direct"
"""


def models_slot(folder: Path) -> None:
    """What the release holds, in ``folder``."""
    (folder / "presets").mkdir(parents=True)
    (folder / "presets" / "winter.toml").write_text(PRESET)
    shutil.copy(_CABINET, folder / "presets")
    shutil.copy(light_stage(), folder / "stage.onnx")


def broken_slot(folder: Path) -> None:
    """The same with a network that gives no number: what no self-test would let pass."""
    models_slot(folder)
    (folder / "stage.onnx").write_bytes(light_stage_onnx(float("nan")))


def releases() -> Path:
    """The folder with ``repository/``, its ``root.json`` and a ``broken`` slot; new each day."""
    sources = sorted(
        [
            *(_ROOT / "deploy").rglob("*.py"),
            *(_ROOT / "models").rglob("*.py"),
            *Path(__file__).parent.glob("*.py"),
        ]
    )
    return kept("releases", digest([date.today().isoformat(), *sources]), _make)


def _make(target: Path) -> None:
    with scratch("releases") as name:
        made = Path(name)
        keys = ["--keys", str(made / "keys"), "--passphrase-file", str(made / "passphrase")]
        repository = str(target / "repository")
        models_slot(made / "set")
        broken_slot(target / "broken")
        for words in (
            ["keys", "init", str(made / "keys"), "--passphrase-file", str(made / "passphrase")],
            ["publish", "init", repository, *keys],
            ["publish", "models", str(made / "set"), repository, *keys, "--name", "Winter"],
        ):
            run(" ".join(words[:2]), [sys.executable, "-m", "deploy", *words], cwd=_ROOT)
        shutil.copy(made / "keys" / "root.json", target / "root.json")
