"""What may lie on a stick besides a repository: links, pipes, devices, folders, and far too much.

A stick is made by anybody. The pedal opens plain files below the folder and nothing else.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.attacks.world import World

SECRET = b'{"signed": "the shadow of a password"}'


def _link(at: Path, secret: Path) -> None:
    at.unlink()
    at.symlink_to(secret)


def _link_to_the_truth(at: Path, secret: Path) -> None:
    """Even where it leads to the very file that was signed."""
    honest = secret.with_name("honest")
    at.rename(honest)
    at.symlink_to(honest)


def _pipe(at: Path, secret: Path) -> None:
    at.unlink()
    os.mkfifo(at)


def _socket(at: Path, secret: Path) -> None:
    at.unlink()
    here = os.open(at.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{here}/{at.name}")  # a socket's path is short
    os.close(here)


def _folder(at: Path, secret: Path) -> None:
    at.unlink()
    at.mkdir()


def _zeros(at: Path, secret: Path) -> None:
    at.unlink()
    at.symlink_to("/dev/zero")


def _loop(at: Path, secret: Path) -> None:
    at.unlink()
    at.symlink_to(at.name)


def _huge(at: Path, secret: Path) -> None:
    with at.open("ab") as file:
        file.truncate(1 << 40)


def _no_rights(at: Path, secret: Path) -> None:
    at.unlink()


THINGS: dict[str, Callable[[Path, Path], None]] = {
    "a link out of the stick": _link,
    "a link to the truth": _link_to_the_truth,
    "a pipe": _pipe,
    "a socket": _socket,
    "a folder": _folder,
    "a link to /dev/zero": _zeros,
    "a link to itself": _loop,
    "a terabyte": _huge,
    "nothing": _no_rights,
}


def places(world: World) -> dict[str, Path]:
    return {
        "timestamp": world.newest("timestamp"),
        "snapshot": world.newest("snapshot"),
        "models": world.newest("models"),
        "the release file": world.unpack(),
        "a chunk": world.chunks()[3],
    }


@pytest.mark.parametrize(
    "where", ["timestamp", "snapshot", "models", "the release file", "a chunk"]
)
@pytest.mark.parametrize("what", THINGS)
def test_in_the_place_of_a_file(stick: World, what: str, where: str) -> None:
    at = places(stick)[where]
    secret = stick.folder / "secret"
    secret.write_bytes(SECRET)
    honest = at.read_bytes()
    THINGS[what](at, secret)
    told = stick.get()
    assert told.code in (1, 2), told.said
    assert stick.pedal.version() == 1
    kept = [path for path in stick.pedal.places.root.rglob("*") if path.is_file()]
    assert not any(SECRET in path.read_bytes() for path in kept)
    if at.is_dir():
        at.rmdir()
    else:
        at.unlink(missing_ok=True)
    at.write_bytes(honest)
    stick.get().done()
    assert stick.pedal.version() == 2


@pytest.mark.parametrize("name", ["metadata", "targets", "chunks"])
def test_a_folder_that_is_a_link(stick: World, name: str) -> None:
    folder = stick.mirror / name
    elsewhere = stick.folder / f"elsewhere-{name}"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    assert stick.get().code in (1, 2)
    assert stick.pedal.version() == 1


def test_a_root_that_is_a_link_ends_no_walk_silently(stick: World) -> None:
    """The next root is a link to what is no root: neither followed nor taken for absent."""
    (stick.mirror / "metadata" / "2.root.json").symlink_to(stick.newest("timestamp"))
    told = stick.get()
    assert told.code in (1, 2)
    assert stick.pedal.version() == 1


def test_links_between_the_chunks_of_a_stick_bring_nothing_else(stick: World) -> None:
    """One chunk's name leads to another chunk."""
    first, second = stick.chunks()[:2]
    first.unlink()
    first.symlink_to(second.name if second.parent == first.parent else second)
    assert stick.get().code in (1, 2)
    assert stick.pedal.version() == 1


def test_names_that_lead_out_of_the_stick(stick: World) -> None:
    """What metadata and releases can name is plain; the fetcher refuses the rest by itself."""
    source = stick.pedal.stick(stick.mirror)
    (stick.folder / "secret").write_bytes(SECRET)
    for path in ("../secret", "%2e%2e/secret", "metadata/../../secret", "/../secret", "a\0b"):
        with pytest.raises(Exception) as caught:
            b"".join(source.fetcher().fetch(f"{source.url}{path}"))
        assert "secret" not in str(caught.value) or "elsewhere" in str(caught.value)


def test_an_empty_folder_is_no_repository(stick: World, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    stick.pedal.get(stick.pedal.stick(empty)).failed()
    stick.pedal.get(stick.pedal.stick(tmp_path / "nowhere")).failed()
    (tmp_path / "file").write_bytes(b"x")
    stick.pedal.get(stick.pedal.stick(tmp_path / "file")).failed()
    assert stick.pedal.version() == 1
