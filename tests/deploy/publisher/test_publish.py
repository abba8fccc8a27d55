from pathlib import Path

from tests.deploy.publisher.client import Client
from tests.deploy.publisher.repository import make_repository, some_files


def test_a_client_gets_what_was_published(tmp_path: Path):
    repo = make_repository(tmp_path)
    client = Client(tmp_path / "device", repo.root_bytes, repo.folder)
    assert client.look(repo.now) == {}
    repo.publish(some_files(1), name="Winter set")
    repo.publish({"source/main.py": b"print()\n"}, component="firmware")
    assert client.contents(repo.now) == {
        "models/winter-set.json": some_files(1),
        "firmware/firmware-1.json": {"source/main.py": b"print()\n"},
    }
