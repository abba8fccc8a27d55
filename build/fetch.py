"""``python -m build fetch``: the official weights from the Hugging Face hub, after asking.

They are Sony CSL's, under CC BY-NC 4.0, and no part of this project. What arrives is read as a
checkpoint before it gets its name: a foreign or damaged file is not left behind, and an old one
stays until the new one is proven.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from models.command import PackageMissingError
from models.errors import ModelError, PurgaError
from models.music2latent.checkpoint import read_checkpoint

REPOSITORY = "SonyCSLParis/music2latent"
FILE = "music2latent.pt"

LICENCE = f"""\
{FILE}, about 230 MB, from the Hugging Face hub ({REPOSITORY}).
Pasini, Lattner, Fazekas: Music2Latent, ISMIR 2024; © Sony Computer Science Laboratories Paris.
Licence: Creative Commons Attribution-NonCommercial 4.0 (CC BY-NC 4.0),
https://creativecommons.org/licenses/by-nc/4.0/
You may use the weights, and bundles made from them, for non-commercial purposes and must name
their authors. A pedal that is sold needs Sony CSL's permission, or weights of its own."""


class ConsentError(PurgaError):
    """The licence was not accepted."""


class FetchError(PurgaError, OSError):
    """The weights did not arrive."""

    exit_code: ClassVar[int] = 1


def default_file() -> Path:
    """Where the weights lie unless told otherwise: ``$XDG_DATA_HOME/purga/music2latent.pt``.

    Outside the project, so that ``make clean`` and a commit leave them alone.
    """
    data = os.environ.get("XDG_DATA_HOME") or ""
    # The XDG specification has relative paths ignored.
    folder = Path(data) if Path(data).is_absolute() else Path.home() / ".local" / "share"
    return folder / "purga" / FILE


def fetch(file: Path, accepted: bool) -> bool:
    """Bring the weights to ``file``; whether anything had to be fetched.

    Raises ``ConsentError`` without consent, ``FetchError`` where they do not arrive and
    ``ModelError`` where something else does; then nothing has changed.
    """
    _check_packages()
    with contextlib.suppress(ModelError):
        read_checkpoint(file)
        return False
    print(LICENCE, file=sys.stderr)
    if not accepted:
        _ask()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as beside:
            arrived = _download(Path(beside), file)
            _prove(arrived, file)
            with arrived.open("rb") as written:
                os.fsync(written.fileno())
            arrived.replace(file)
    except PurgaError:
        raise
    except OSError as error:
        raise FetchError(
            f"{file}: could not be written ({error.strerror or error}); choose another place with "
            "--out."
        ) from error
    return True


def _check_packages() -> None:
    for name in ("huggingface_hub", "torch"):
        if importlib.util.find_spec(name) is None:
            raise PackageMissingError(
                f"The package {name} is not installed; deploy/host-setup music2latent installs it."
            )


def _ask() -> None:
    if not sys.stdin.isatty():
        raise ConsentError(
            "The licence of the weights has to be accepted: run this in a terminal, or give "
            "--accept-licence."
        )
    print("Do you accept it? Type yes to fetch the weights: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() != "yes":
        raise ConsentError("The licence was not accepted, so nothing was fetched.")


def _download(folder: Path, target: Path) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    endpoint = os.environ.get("HF_ENDPOINT") or None
    url = hf_hub_url(REPOSITORY, FILE, endpoint=endpoint)
    try:
        # Asked first, as the download itself tries for half a minute where there is no network.
        get_hf_file_metadata(url, token=False, endpoint=endpoint)
        # Public, so nobody's token is sent. The library draws the bar, in a terminal.
        return Path(
            hf_hub_download(REPOSITORY, FILE, local_dir=folder, endpoint=endpoint, token=False)
        )
    except Exception as error:  # the library lets its own, its client's and the system's through
        raise FetchError(
            f"{FILE} could not be fetched ({_reason(error)}); check the network, or get {url} "
            f"with another machine and put it at {target}."
        ) from error


def _reason(error: BaseException) -> str:
    """The innermost cause, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__


def _prove(arrived: Path, target: Path) -> None:
    try:
        read_checkpoint(arrived)
    except ModelError as error:
        why = str(error).removeprefix(f"{arrived}: ").rstrip(".")
        kept = "; the old file stays" if target.exists() else ""
        raise ModelError(
            f"What the hub sent is not Music2Latent's checkpoint and was deleted{kept} ({why})."
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0. Raises ``PurgaError``."""
    parser = argparse.ArgumentParser(
        prog="python -m build fetch",
        description="Get Music2Latent's official weights (CC BY-NC 4.0: non-commercial).",
    )
    parser.add_argument(
        "--out", type=Path, default=default_file(), help="file to write (default %(default)s)"
    )
    parser.add_argument(
        "--accept-licence", action="store_true", help="accept CC BY-NC 4.0 without being asked"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = parser.parse_args(arguments)
    fetched = fetch(given.out, given.accept_licence)
    with given.out.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    print(f"{given.out}: {'fetched' if fetched else 'already there'}, SHA-256 {sha256}")
    print(f"Next: python -m build bundle --checkpoint {given.out} --out DIR")
    if given.json:
        print(json.dumps({"file": str(given.out), "fetched": fetched, "sha256": sha256}))
    return 0
