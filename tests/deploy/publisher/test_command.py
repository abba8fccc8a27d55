"""The commands as one types them, from no key at all to a repository that pedals read."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.__main__ import main
from deploy.publisher.folder import Folder
from tests.deploy.publisher.client import Client

ROOT = Path(__file__).parents[3]


class Publisher:
    """Types commands in one folder."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.capsys = capsys
        self.passphrase = home / "passphrase"
        self.keys = home / "keys"
        self.repository = home / "repository"

    def __call__(self, *words: str | Path, keys: Path | None = None, fails: int = 0) -> dict:
        """Run ``keys …`` or ``publish …``; gives the last line, or the error as ``error``."""
        keyed = words[0] == "publish" or words[1] not in ("init", "new")
        options: list[str | Path] = ["--passphrase-file", self.passphrase, "--json"]
        if keyed:
            options += ["--keys", keys or self.keys]
        status = main([str(word) for word in (*words, *options)])
        said = self.capsys.readouterr()
        assert status == fails, said.err
        if fails:
            assert said.err.count("\n") == 1
            return {"error": said.err.strip()}
        answer: dict = json.loads(said.out.splitlines()[-1])
        return answer

    def client(self, name: str = "device") -> Client:
        root = (self.keys / "root.json").read_bytes()
        return Client(self.home / name, root, Folder(self.repository))


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Publisher:
    run = Publisher(tmp_path, capsys)
    run("keys", "init", run.keys)
    run("publish", "init", run.repository)
    return run


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder that a pedal can play."""
    folder = tmp_path / "models"
    shutil.copytree(ROOT / "device" / "presets", folder / "presets")
    shutil.copyfile(ROOT / "models" / "stage" / "stage.onnx", folder / "stage.onnx")
    return folder


def test_a_release_from_no_key_to_a_pedal(run: Publisher, models: Path):
    made = run("publish", "models", models, run.repository, "--name", "Winter set")
    assert (made["release"], made["version"]) == ("models/winter-set.json", 1)
    assert made["new_bytes"] == made["full_bytes"] > 0
    (release,) = run.client().look(datetime.now(UTC)).values()
    assert release.name == "Winter set"

    rolled = run("publish", "rollout", "models:1", run.repository, "--group", "all=5")
    assert rolled["groups"] == {"all": 5}
    checked = run("publish", "check", run.repository)
    assert checked["releases"] == [
        {"release": "models/winter-set.json", "version": 1, "groups": {"all": 5}}
    ]
    assert checked["soon"] == []
    run("publish", "withdraw", "models/winter-set", run.repository)
    renewed = run("publish", "refresh", run.repository, keys=run.keys / "online")
    assert renewed["signed"] == ["snapshot", "timestamp"]
    assert run("publish", "tidy", run.repository)["freed_bytes"] == 0
    assert run.client().look(datetime.now(UTC)) == {}


def test_a_model_that_no_pedal_plays_is_not_published(run: Publisher, models: Path):
    (models / "stage.onnx").write_bytes(b"noise")
    refused = run("publish", "models", models, run.repository, fails=2)
    assert "stage.onnx" in refused["error"]
    assert run("publish", "check", run.repository)["releases"] == []


def test_firmware_names_its_units(run: Publisher, tmp_path: Path):
    folder = tmp_path / "firmware"
    for name in ("deploy/__main__.py", "device/__main__.py", "pyproject.toml"):
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "source" / name).write_text("# code\n")
    made = run("publish", "firmware", folder, run.repository)
    release = run.client().look(datetime.now(UTC))[made["release"]]
    assert release.units_sha256 is not None
    (folder / "source" / "pyproject.toml").unlink()
    refused = run("publish", "firmware", folder, run.repository, fails=2)
    assert "`python -m deploy firmware` makes a folder" in refused["error"]


def sticks(run: Publisher, away: Path) -> list[Path]:
    """The root keys are taken off the machine."""
    moved = []
    for number in (1, 2, 3):
        (away / f"stick-{number}").mkdir(parents=True)
        moved.append(away / f"stick-{number}" / "purga")
        shutil.move(run.keys / f"root-{number}", moved[-1])
    return moved


def test_a_root_key_is_lost_and_replaced_step_by_step(run: Publisher, tmp_path: Path):
    client = run.client()
    client.look(datetime.now(UTC))
    _, second, third = sticks(run, tmp_path / "away")  # the first stick never comes back
    new = run("keys", "new", "root-4", tmp_path / "away" / "stick-4")
    draft = tmp_path / "next-root.json"
    rotate = ["keys", "rotate", "root", new["public"], run.repository, "--draft", draft]
    assert "Say which key of root" in run(*rotate, fails=2)["error"]
    drafted = run(*rotate, "--old", "root-1")
    assert drafted["version"] == 2

    early = run("publish", "root", draft, run.repository, fails=2)
    assert "lacks 2 signatures" in early["error"] and "root-2" in early["error"]
    assert run("keys", "sign", draft, keys=second)["missing"] == 1
    assert run("keys", "sign", draft, keys=third) | {"missing": 0} == run(
        "keys", "sign", draft, keys=third
    )
    done = run("publish", "root", draft, run.repository)
    assert done["version"] == 2 and done["smooth"]
    client.look(datetime.now(UTC))
    rows = run("keys", "list", run.repository)["keys"]
    roots = {row["key"].split()[0]: row["private"] for row in rows if row["role"] == "root"}
    assert roots == {"root-2": None, "root-3": None, "root-4": None}


def test_a_stolen_online_machine_is_replaced(run: Publisher, tmp_path: Path):
    client = run.client()
    client.look(datetime.now(UTC))
    draft = tmp_path / "next-root.json"
    online = tmp_path / "new-online"
    for role in ("snapshot", "timestamp"):
        new = run("keys", "new", f"{role}-2", online)
        run("keys", "rotate", role, new["public"], run.repository, "--draft", draft)
    assert run("keys", "sign", draft)["missing"] == 0
    shutil.rmtree(run.keys / "online")
    shutil.move(online, run.keys / "online")
    done = run("publish", "root", draft, run.repository)
    assert not done["smooth"] and done["signed"] == ["snapshot", "timestamp"]
    client.look(datetime.now(UTC))
    run("publish", "refresh", run.repository)
    client.look(datetime.now(UTC))


def test_the_key_of_models_is_replaced(run: Publisher, tmp_path: Path):
    new = run("keys", "new", "models-2", run.keys / "offline")
    done = run("keys", "rotate", "models", new["public"], run.repository)
    assert done["signed"][:2] == ["targets", "models"]
    run.client().look(datetime.now(UTC))
    again = run("keys", "rotate", "models", new["public"], run.repository, fails=2)
    assert "models-2 is in use already" in again["error"]


def test_a_root_key_is_revoked_and_a_root_renewed(run: Publisher, tmp_path: Path):
    draft = tmp_path / "next-root.json"
    run("keys", "revoke", "root-3", run.repository, "--draft", draft)
    refused = run("keys", "revoke", "root-2", run.repository, "--draft", draft, fails=2)
    assert "give root 1 keys" in refused["error"]
    refused = run("keys", "revoke", "timestamp", run.repository, "--draft", draft, fails=2)
    assert "give timestamp 0 keys" in refused["error"]
    refused = run("keys", "revoke", "models", run.repository, "--draft", draft, fails=2)
    assert "`keys rotate`" in refused["error"]
    run("keys", "sign", draft)
    run("publish", "root", draft, run.repository)
    draft.unlink()
    run("keys", "renew", run.repository, "--draft", draft)
    run("keys", "sign", draft)
    assert run("publish", "root", draft, run.repository)["version"] == 3
    assert (
        "remove it and begin again"
        in run("keys", "renew", run.repository, "--draft", draft, fails=2)["error"]
    )


def test_a_root_whose_keys_never_meet(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Each root key is made, and signs, on a machine of its own."""
    run = Publisher(tmp_path, capsys)
    public: list[str | Path] = []
    for number in (1, 2, 3):
        made = run("keys", "new", f"root-{number}", tmp_path / f"machine-{number}")
        public += ["--public", made["public"]]
    refused = run("keys", "init", run.keys, *public[:2], fails=2)
    assert "names 1 root key, and 2 must sign" in refused["error"]
    begun = run("keys", "init", run.keys, *public, "--days", "root=365")
    assert not begun["signed"]
    refused = run("publish", "init", run.repository, fails=2)
    assert "is not signed by enough root keys yet" in refused["error"]
    root = run.keys / "root.json"
    assert run("keys", "sign", root, keys=tmp_path / "machine-1")["missing"] == 1
    assert run("keys", "sign", root, keys=tmp_path / "machine-3")["missing"] == 0
    run("publish", "init", run.repository)
    assert run.client().look(datetime.now(UTC)) == {}


def test_cron_says_who_has_to_come_with_a_key(run: Publisher, monkeypatch: pytest.MonkeyPatch):
    later = datetime.now(UTC) + timedelta(days=340)
    monkeypatch.setattr("deploy.publisher.publish_command.now", lambda: later)
    due = run("publish", "refresh", run.repository, keys=run.keys / "online")["due"]
    assert [line.split()[0] for line in due] == ["targets", "models", "firmware"]
    assert "`publish refresh --also targets`" in due[0]
    also = ["--also", "targets", "--also", "models", "--also", "firmware"]
    assert run("publish", "refresh", run.repository, *also)["due"] == []


def test_other_expiries_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = Publisher(tmp_path, capsys)
    run("keys", "init", run.keys)
    run("publish", "init", run.repository, "--days", "timestamp=3")
    assert run("publish", "refresh", run.repository)["due"] == []
    checked = run("publish", "check", run.repository)
    left = datetime.fromisoformat(checked["expires"]["timestamp"]) - datetime.now(UTC)
    assert timedelta(days=2) < left <= timedelta(days=3)
    assert checked["soon"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["publish", "models", "nowhere"], "nowhere"),
        (["publish", "rollout", "models:3", "--group", "all=1"], "There is no release 'models:3'"),
        (["publish", "withdraw", "songs/a"], "'songs' is no component"),
        (["publish", "root", "nowhere"], "nowhere"),
        (["publish", "init"], "is a repository already"),
    ],
)
def test_wrong_input_is_one_sentence(run: Publisher, words: list[str], said: str):
    place = 3 if words[1] == "rollout" else len(words)
    refused = run(*words[:place], run.repository, *words[place:], fails=2)
    assert said in refused["error"]


def test_a_key_folder_that_is_not_there(run: Publisher):
    refused = run("publish", "refresh", run.repository, keys=run.home / "stick", fails=2)
    assert "there is no such folder of keys" in refused["error"]


def test_a_repository_that_is_not_there(run: Publisher):
    refused = run("publish", "refresh", run.home / "typo", fails=2)
    assert "is no repository" in refused["error"]
    assert not (run.home / "typo").exists()


def test_keys_are_not_made_over_others(run: Publisher):
    assert "is not empty" in run("keys", "init", run.keys, fails=2)["error"]


@pytest.mark.parametrize("words", [["keys"], ["publish"], ["publish", "models"], ["keys", "sign"]])
def test_help_is_there(words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert "usage: python -m deploy" in capsys.readouterr().out
