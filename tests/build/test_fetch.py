"""Fetching the official weights: asked first, proven before they get their name, or not at all.

A server on this machine speaks the hub's protocol as far as the library's download needs it: the
metadata in the answer's headers, a redirect to another host for the content, ranges to resume.
"""

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import pty
import re
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from build.__main__ import main
from build.fetch import default_file
from models.music2latent.architecture import TINY, random_weights
from models.music2latent.checkpoint import read_checkpoint, write_checkpoint

ROOT = Path(__file__).resolve().parents[2]
RESOLVE = "/SonyCSLParis/music2latent/resolve/main/music2latent.pt"
NEEDS = "fetching needs torch and huggingface_hub (make test-whole)"


@dataclass
class Hub:
    """What the server serves, how it misbehaves, and what it was asked."""

    content: bytes = b""
    stops_at: int | None = None
    """The first answer ends after so many bytes."""
    claims: int | None = None
    """The size that the metadata states, where it is not the true one."""
    status: int = 302
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, wanted: bool) -> None:
            hub.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
            hub.tokens += self.headers.get_all("Authorization", [])
            if self.path == RESOLVE:
                self.metadata()
            elif self.path == "/stored":
                self.stored(wanted)
            else:
                self.send_error(404)

        def metadata(self) -> None:
            self.send_response(hub.status)
            if hub.status == 302:
                size = len(hub.content) if hub.claims is None else hub.claims
                self.send_header("X-Repo-Commit", "c" * 40)
                self.send_header("X-Linked-ETag", f'"{hashlib.sha256(hub.content).hexdigest()}"')
                self.send_header("X-Linked-Size", str(size))
                # Another host by name, as the hub's store is.
                self.send_header("Location", f"http://localhost:{hub.port}/stored")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def stored(self, wanted: bool) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked else 0
            self.send_response(206 if asked else 200)
            if asked:
                whole = len(hub.content)
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            self.send_header("Content-Length", str(len(hub.content) - start))
            self.end_headers()
            if wanted:
                end, hub.stops_at = hub.stops_at, None
                self.wfile.write(hub.content[start:end])
            self.close_connection = True

    return Handler


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    pytest.importorskip("torch", reason=NEEDS)
    pytest.importorskip("huggingface_hub", reason=NEEDS)
    made = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(made))
    made.port = server.server_address[1]
    monkeypatch.setenv("HF_ENDPOINT", made.address)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    write_checkpoint(random_weights(TINY, 1), tmp_path / "official.pt")
    made.content = (tmp_path / "official.pt").read_bytes()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fetch(file: Path, *more: str) -> int:
    return main(["fetch", "--out", str(file), *more])


def nothing_left(folder: Path, *kept: str) -> bool:
    return not folder.exists() or sorted(each.name for each in folder.iterdir()) == sorted(kept)


@pytest.mark.torch
def test_it_brings_the_file_and_says_where_and_under_which_licence(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new folder" / "weights.pt"
    assert fetch(file, "--accept-licence", "--json") == 0
    assert file.read_bytes() == hub.content
    said = capsys.readouterr()
    report = json.loads(said.out.splitlines()[-1])
    assert report["file"] == str(file) and report["fetched"] is True
    assert report["sha256"] == hashlib.sha256(hub.content).hexdigest()
    assert "CC BY-NC 4.0" in said.err and "non-commercial" in said.err
    assert nothing_left(file.parent, "weights.pt")
    assert not hub.tokens, "nobody's token is sent"


@pytest.mark.torch
def test_what_is_there_is_not_fetched_again(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(random_weights(TINY, 2), tmp_path / "weights.pt")
    assert fetch(tmp_path / "weights.pt") == 0
    assert "already there" in capsys.readouterr().out
    assert not hub.asked


@pytest.mark.torch
def test_a_line_that_breaks_is_taken_up_again(hub: Hub, tmp_path: Path) -> None:
    hub.stops_at = len(hub.content) // 2
    assert fetch(tmp_path / "weights.pt", "--accept-licence") == 0
    assert (tmp_path / "weights.pt").read_bytes() == hub.content
    assert [each.split()[0] for each in hub.asked if "/stored" in each].count("GET") == 2


@pytest.mark.torch
def test_without_consent_nothing_is_asked_of_the_hub(
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))  # a pipe, not a person
    assert fetch(tmp_path / "folder" / "weights.pt") == 2
    said = capsys.readouterr().err
    assert "--accept-licence" in said.splitlines()[-1]
    assert not hub.asked
    assert nothing_left(tmp_path / "folder")


def read_until_closed(person: int) -> Iterator[str]:
    """What a terminal shows until the last program there ends."""
    with contextlib.suppress(OSError):  # what Linux says when the other side is closed
        while shown := os.read(person, 4096):
            yield shown.decode(errors="replace")


@pytest.mark.torch
@pytest.mark.parametrize(("answer", "status"), [("yes", 0), ("y", 2), ("no", 2), ("", 2)])
def test_in_a_terminal_it_asks(hub: Hub, tmp_path: Path, answer: str, status: int) -> None:
    file = tmp_path / "folder" / "weights.pt"
    person, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (25, 80))  # without columns no bar is drawn
    os.write(person, f"{answer}\n".encode())
    command = [sys.executable, "-m", "build", "fetch", "--out", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdin=terminal, stderr=terminal) as asking:
        os.close(terminal)
        shown = "".join(read_until_closed(person))
    os.close(person)
    assert asking.returncode == status, shown
    assert "Do you accept it?" in shown
    assert ("100%" in shown) == (status == 0), "a bar is drawn"
    assert file.exists() == (status == 0)
    assert bool(hub.asked) == (status == 0)


@pytest.mark.torch
@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("sent", [b"<html>a login page</html>", b"", None])
def test_a_foreign_file_is_refused_and_not_left(
    hub: Hub,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    sent: bytes | None,
    old: bytes | None,
) -> None:
    hub.content = hub.content[: len(hub.content) // 2] if sent is None else sent
    file = tmp_path / "folder" / "weights.pt"
    if old is not None:
        file.parent.mkdir()
        file.write_bytes(old)
    assert fetch(file, "--accept-licence") == 2
    assert "is not Music2Latent's checkpoint and was deleted" in capsys.readouterr().err
    assert nothing_left(file.parent, *(["weights.pt"] if old else []))
    assert old is None or file.read_bytes() == old


@pytest.mark.torch
@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_hub_that_refuses_is_a_clear_failure(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    hub.status = status
    check_failure(tmp_path, hub.address, capsys)


@pytest.mark.torch
def test_a_file_of_another_size_than_stated_is_a_clear_failure(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.claims = len(hub.content) + 1
    check_failure(tmp_path, hub.address, capsys)


@pytest.mark.torch
def test_without_a_network_it_names_the_file_to_bring(
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"  # bound, and nobody listens
        monkeypatch.setenv("HF_ENDPOINT", address)
        began = time.monotonic()
        check_failure(tmp_path, address, capsys)
        assert time.monotonic() - began < 60, "it does not try for ever"


def check_failure(tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Fetching fails with exit code 1 and one sentence: what, where from, where to."""
    file = tmp_path / "folder" / "weights.pt"
    assert fetch(file, "--accept-licence") == 1
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert sentence.startswith("python -m build fetch: music2latent.pt could not be fetched (")
    assert f"{address}{RESOLVE}" in sentence
    assert sentence.endswith(f"put it at {file}.")
    assert nothing_left(file.parent)


@pytest.mark.torch
def test_a_place_that_cannot_be_written_is_named(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert fetch(tmp_path / "file" / "weights.pt", "--accept-licence") == 1
    assert "could not be written" in capsys.readouterr().err
    assert not hub.asked


@pytest.mark.parametrize("name", ["torch", "huggingface_hub"])
def test_without_its_packages_it_says_what_installs_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda asked: None if asked == name else found("json")
    )
    assert fetch(tmp_path / "weights.pt", "--accept-licence") == 2
    assert f"The package {name} is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ("/data", "/data/purga/music2latent.pt"),
        (None, "/home/me/.local/share/purga/music2latent.pt"),
        ("", "/home/me/.local/share/purga/music2latent.pt"),
        ("relative", "/home/me/.local/share/purga/music2latent.pt"),
    ],
)
def test_weights_lie_outside_the_project(
    monkeypatch: pytest.MonkeyPatch, data: str | None, wanted: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    if data is not None:
        monkeypatch.setenv("XDG_DATA_HOME", data)
    assert str(default_file()) == wanted


@pytest.mark.torch
def test_what_arrives_is_read_as_any_checkpoint(hub: Hub, tmp_path: Path) -> None:
    assert fetch(tmp_path / "weights.pt", "--accept-licence") == 0
    assert read_checkpoint(tmp_path / "weights.pt").keys() == random_weights(TINY, 1).keys()
