"""What a player's terminal shows: the exit code, one line of reason, and for scripts one object."""

import json
from pathlib import Path

import pytest

from deploy.__main__ import main
from deploy.client.clock import SystemClock
from deploy.client.settings import check_url
from tests.deploy.attacks.pedal import Pedal
from tests.deploy.attacks.world import World
from tests.deploy.link import faults
from tests.deploy.link.server import Fault
from tests.deploy.publisher.repository import make_repository, some_files


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries take no time."""
    monkeypatch.setattr(SystemClock, "sleep", lambda self, seconds: None)


def run(
    pedal: Pedal, capfd: pytest.CaptureFixture[str], command: str, *options: str
) -> tuple[int, dict, str]:
    """A command as one types it; its exit code, its JSON object and what it complains of."""
    before = pedal.playing()
    root = ["--root", str(pedal.places.root), "--settings", str(pedal.places.root / "none.toml")]
    try:
        code = main([command, *options, *root, "--json"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    assert pedal.playing() == before
    said = json.loads(out.strip().splitlines()[-1])
    return code, said, err


def test_a_foreign_stick(stick: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    foreign = make_repository(tmp_path, seed=666)
    foreign.publish(some_files(66))
    code, said, err = run(stick.pedal, capfd, "import", str(foreign.folder.path))
    assert code == 2 and said["done"] is False
    assert "not signed by keys" in said["error"] and said["error"] in err


def test_a_folder_that_is_no_repository(
    stick: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = ["--root", str(stick.pedal.places.root)]
    assert main(["import", str(tmp_path), *root]) == 2
    assert "is no repository" in capfd.readouterr().err


def test_a_server_that_is_down(stick: World, capfd: pytest.CaptureFixture[str]) -> None:
    code, said, err = run(stick.pedal, capfd, "update", "--source", "http://127.0.0.1:1/")
    assert code == 1 and said["done"] is False
    assert "cannot be reached" in said["error"] and said["error"] in err


def test_a_portal(linked: World, capfd: pytest.CaptureFixture[str]) -> None:
    linked.link.faults = [Fault(faults.portal)]
    code, said, err = run(linked.pedal, capfd, "update", "--source", linked.link.url)
    assert code == 1 and "login page" in said["error"] and said["error"] in err


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://x/", "http://", "file:///etc", "http://[::1", "http://a b/", "http://a\tb/"),
        *("http://a\nb/", "http://a/b c/", "http://a\u00a0b/", "http://a,b/", "http://-/"),
        *("http://..%2f/", "http://a\x1b[2Jb/", "http://münchen.example/", "http://" + "a" * 300),
    ],
)
def test_addresses_that_are_none(stick: World, capfd: pytest.CaptureFixture[str], url: str) -> None:
    code = main(["update", "--root", str(stick.pedal.places.root), "--source", url])
    assert code == 2
    said = capfd.readouterr().err.removesuffix("\n")
    assert said and said.isprintable()


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://a/",
            "https://updates.example/purga",
            "http://user:word@a_b-c.example:8080/x%20y/",
        ),
        *("http://192.0.2.7/", "http://[2001:db8::1]:80/", "http://[fe80::1%eth0]/", "http://a./"),
        *("https://xn--mnchen-3ya.example/", "http://a/ö/"),
    ],
)
def test_addresses_that_are_some(url: str) -> None:
    check_url(url)
