"""Small releases for the tests of slots, and slots filled with them."""

import hashlib
import json
from pathlib import Path

from deploy.places import Component
from deploy.slots import Slots


def contents(version: int, component: Component = "models") -> dict[str, bytes]:
    """The files of a release, by path; different for each version."""
    if component == "firmware":
        return {"source/main.py": f"VERSION = {version}\n".encode()}
    return {"stage.onnx": f"weights {version}".encode(), "presets/x.toml": b"tone = 1\n"}


def release_json(version: int, component: Component = "models") -> bytes:
    """What slots look at in a signed release file."""
    files = [
        {"path": path, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for path, content in contents(version, component).items()
    ]
    return json.dumps({"component": component, "version": version, "files": files}).encode()


def sha256_of(version: int, component: Component = "models") -> str:
    """What a release is known by."""
    return hashlib.sha256(release_json(version, component)).hexdigest()


def fill(slots: Slots, version: int) -> Path:
    """Begin a release, write it and have it ready."""
    folder = slots.begin(version, sha256_of(version, slots.component))
    write(folder, version, slots.component)
    slots.ready()
    return folder


def write(folder: Path, version: int, component: Component = "models") -> None:
    """Every file of a release, its release file last."""
    for path, content in contents(version, component).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "release.json").write_bytes(release_json(version, component))


def install(slots: Slots, version: int) -> None:
    """A release that went all the way."""
    fill(slots, version)
    slots.activate()
    slots.mark_good()
