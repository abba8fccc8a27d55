"""The update as a whole: what it takes, what it refuses, and that it goes on after any end."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.client.alone import alone
from deploy.client.answers import LinkError
from deploy.client.budget import Budget
from deploy.client.floors import FloorsFile
from deploy.client.rollback_command import roll_back
from deploy.client.settings import Settings
from deploy.client.sources import FolderSource, HttpSource
from deploy.client.update import Outcome
from deploy.errors import UpdateError, UpdateFailedError
from deploy.places import Component
from deploy.record import intact
from deploy.release import Blob, Release, parse_release
from tests.deploy.client.stands import BAD, BUSY, GOOD, Pedal
from tests.deploy.link import faults
from tests.deploy.link.server import Fault, Link
from tests.deploy.publisher.repository import Repo, make_repository, some_files

ONE, TWO = {"stage.onnx": b"one" * 9000}, {"stage.onnx": b"two" * 9000}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = make_repository(tmp_path)
    repo.publish(ONE)
    return repo


@pytest.fixture
def pedal(tmp_path: Path, repo: Repo) -> Pedal:
    return Pedal(tmp_path, repo.root_bytes, repo.now)


@pytest.fixture
def stick(repo: Repo) -> FolderSource:
    return FolderSource(repo.folder.path)


def proven(pedal: Pedal, source: FolderSource, component: Component = "models") -> None:
    """The newest release, marked good."""
    pedal.update(source)
    pedal.trials[component].verdict = GOOD
    pedal.update(source)
    pedal.trials[component].verdict = None


def refused(pedal: Pedal, source: FolderSource | None, words: str) -> str:
    with pytest.raises(UpdateError, match=words) as caught:
        pedal.update(source)
    assert caught.value.exit_code == 2, caught.value
    return str(caught.value)


def states(outcome: Outcome) -> dict[str, str]:
    return {step.component: step.state for step in outcome.steps}


# ---- the way through ----------------------------------------------------------------------------


def test_from_the_factory_to_a_proven_release(pedal: Pedal, stick: FolderSource) -> None:
    outcome = pedal.update(stick)
    assert states(outcome) == {"firmware": "current", "models": "trial"}
    assert pedal.playing() == ONE
    trial = pedal.trials["models"]
    assert trial.asked == ["admit", "inspect", "build", "self_test", "begin"]
    assert states(pedal.update(stick))["models"] == "trial"
    trial.verdict = GOOD
    assert states(pedal.update(stick))["models"] == "good"
    assert states(pedal.update(stick))["models"] == "current"
    assert pedal.events() == ["assembled", "built", "self-test", "activated", "verdict"]
    assert intact(pedal.places.record)
    assert FloorsFile(pedal.places.floors).now.versions["models"] == 1


def test_the_record_binds_release_plans_test_and_verdict(
    pedal: Pedal, stick: FolderSource, repo: Repo
) -> None:
    proven(pedal, stick)
    sha256 = repo.state().of("models").signed.targets[repo.released[0]].hashes["sha256"]
    for line in pedal.record():
        assert (line["release_sha256"], line["version"]) == (sha256, 1)
    by_event = {line["event"]: line for line in pedal.record()}
    assert by_event["built"]["plans"] == {"plans/stage.plan": "0" * 64}
    assert by_event["self-test"]["ok"] is by_event["verdict"]["ok"] is True
    assert by_event["verdict"]["figures"] == {"played_s": 60.0}
    assert by_event["assembled"]["fetched_bytes"] > 0


def test_only_what_changed_is_fetched(pedal: Pedal, stick: FolderSource, repo: Repo) -> None:
    files = some_files()
    repo.publish(files)
    proven(pedal, stick)
    repo.publish(files | {"presets/one.toml": b"format = 1\n# changed\n"})
    pedal.update(stick)
    line = [line for line in pedal.record() if line["event"] == "assembled"][-1]
    assert line["fetched_bytes"] < 200 < 200_000 < line["full_bytes"]


def test_waits_for_a_verdict_as_long_as_it_may(pedal: Pedal, stick: FolderSource) -> None:
    assert states(pedal.update(stick, watch_s=30.0))["models"] == "trial"
    assert pedal.clock.passed_s == 30.0
    pedal.trials["models"].verdict = GOOD
    assert states(pedal.update(stick, watch_s=30.0))["models"] == "good"


def test_what_was_left_is_still_good_for_its_bytes(
    pedal: Pedal, stick: FolderSource, repo: Repo
) -> None:
    repo.publish(some_files())
    pedal.update(stick)
    roll_back(pedal.places, None, pedal.clock)
    repo.publish(some_files() | {"presets/one.toml": b"format = 1\n# changed\n"})
    pedal.update(stick)
    assert pedal.version() == 3
    line = [line for line in pedal.record() if line["event"] == "assembled"][-1]
    assert line["fetched_bytes"] < 200


def test_while_it_watches_anybody_may_roll_back(
    pedal: Pedal, stick: FolderSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pedal.clock.sleep

    def sleep(seconds: float) -> None:
        real(seconds)
        if pedal.clock.passed_s == 5.0:
            roll_back(pedal.places, None, pedal.clock)
            pedal.trials["models"].verdict = BAD

    monkeypatch.setattr(pedal.clock, "sleep", sleep)
    assert states(pedal.update(stick, watch_s=30.0))["models"] == "current"
    assert pedal.clock.passed_s == 5.0
    assert pedal.playing() is None


def test_it_stops_watching_where_somebody_else_updates(
    pedal: Pedal, stick: FolderSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pedal.clock.sleep

    def sleep(seconds: float) -> None:
        real(seconds)
        if pedal.clock.passed_s == 5.0:
            busy.__enter__()

    busy = alone(pedal.places)
    monkeypatch.setattr(pedal.clock, "sleep", sleep)
    assert states(pedal.update(stick, watch_s=30.0))["models"] == "trial"
    assert pedal.clock.passed_s == 5.0
    busy.__exit__(None, None, None)


def test_the_store_keeps_nothing_that_is_in_a_slot(pedal: Pedal, stick: FolderSource) -> None:
    pedal.update(stick)
    assert not [path for path in pedal.places.store.rglob("*") if path.is_file()]


# ---- what goes wrong with a release -------------------------------------------------------------


def test_one_that_plays_badly_is_rolled_back(pedal: Pedal, stick: FolderSource, repo: Repo) -> None:
    proven(pedal, stick)
    repo.publish(TWO)
    pedal.update(stick)
    assert pedal.playing() == TWO
    pedal.trials["models"].verdict = BAD
    assert "dropped out 9 times" in refused(pedal, stick, "release 1 plays again")
    assert pedal.playing() == ONE
    assert states(pedal.update(stick))["models"] == "current", "it is not taken again"
    assert pedal.playing() == ONE
    repo.publish({"stage.onnx": b"three"})
    pedal.trials["models"].verdict = None
    pedal.update(stick)
    assert pedal.version() == 3


def test_the_first_one_is_rolled_back_to_the_factory(pedal: Pedal, stick: FolderSource) -> None:
    pedal.update(stick)
    pedal.trials["models"].verdict = BAD
    refused(pedal, stick, "the factory's content plays again")
    assert pedal.playing() is None


@pytest.mark.parametrize("how", ["inspect", "self-test", "build"])
def test_one_that_does_not_stand_the_test_is_never_heard(
    pedal: Pedal, stick: FolderSource, repo: Repo, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(pedal, stick)
    repo.publish(TWO)
    trial = pedal.trials["models"]
    if how == "inspect":
        trial.inspects = "it holds NaN"
    elif how == "self-test":
        trial.tested = BAD
    else:

        def build(folder: Path) -> dict[str, str]:
            raise UpdateError("no plan can be made of it")

        monkeypatch.setattr(trial, "build", build)
    refused(pedal, stick, "models: release 2 is refused")
    assert pedal.playing() == ONE
    assert "refused" in pedal.events()
    asked = len(trial.asked)
    assert states(pedal.update(stick))["models"] == "current"
    assert len(trial.asked) == asked


def test_one_that_could_not_be_tested_now_stays_for_later(
    pedal: Pedal, stick: FolderSource
) -> None:
    pedal.trials["models"].tested = BUSY
    with pytest.raises(UpdateFailedError, match="busy"):
        pedal.update(stick)
    assert pedal.slots().inactive.state == "ready"
    pedal.trials["models"].tested = GOOD
    pedal.update(None)
    assert pedal.playing() == ONE


def test_one_this_pedal_cannot_take_is_not_even_fetched(pedal: Pedal, stick: FolderSource) -> None:
    pedal.trials["models"].refuses = "it needs a heavier pedal"
    refused(pedal, stick, "heavier pedal")
    assert not pedal.places.store.exists()


def test_models_that_need_newer_firmware(pedal: Pedal, stick: FolderSource, repo: Repo) -> None:
    repo.publish({"source/a.py": b""}, component="firmware")
    pedal.settings = Settings(components=("firmware",))
    proven(pedal, stick, "firmware")
    pedal.settings = Settings()

    real = parse_release

    def needy(content: bytes, where: str) -> Release:
        release = real(content, where)
        return release.model_copy(update={"needs_firmware": 2})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deploy.client.repository.parse_release", needy)
        refused(pedal, stick, "needs firmware 2, and this pedal has 1")
    assert not pedal.places.store.exists() or pedal.version() is None
    pedal.update(stick)
    assert pedal.version() == 1


# ---- two components -----------------------------------------------------------------------------


def test_one_component_is_tried_at_a_time(pedal: Pedal, stick: FolderSource, repo: Repo) -> None:
    repo.publish({"source/a.py": b"1"}, component="firmware")
    outcome = pedal.update(stick)
    assert states(outcome) == {"firmware": "trial", "models": "waiting"}
    assert states(pedal.update(stick)) == {"firmware": "trial", "models": "waiting"}
    pedal.trials["firmware"].verdict = GOOD
    assert states(pedal.update(stick)) == {"firmware": "good", "models": "trial"}


def test_only_the_component_that_is_asked_for(
    pedal: Pedal, stick: FolderSource, repo: Repo
) -> None:
    repo.publish({"source/a.py": b"1"}, component="firmware")
    assert states(pedal.update(stick, components=["models"])) == {"models": "trial"}


def test_one_that_fails_does_not_stop_the_other(
    pedal: Pedal, stick: FolderSource, repo: Repo
) -> None:
    repo.publish({"source/a.py": b"1"}, component="firmware")
    pedal.trials["firmware"].tested = BAD
    refused(pedal, stick, "firmware: release 1 is refused")
    assert pedal.version("models") == 1


# ---- what may be taken --------------------------------------------------------------------------


def test_nothing_below_the_floor(pedal: Pedal, stick: FolderSource, repo: Repo) -> None:
    repo.publish(TWO)
    proven(pedal, stick)
    repo.withdraw("models:2")
    assert states(pedal.update(stick))["models"] == "current"
    assert pedal.playing() == TWO, "what is withdrawn stays where it is"
    for path in (pedal.places.metadata, pedal.places.floors):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert states(pedal.update(stick))["models"] == "current"
    assert FloorsFile(pedal.places.floors).now.versions["models"] == 2


def test_the_floor_never_limits_the_other_slot(
    pedal: Pedal, stick: FolderSource, repo: Repo
) -> None:
    proven(pedal, stick)
    repo.publish(TWO)
    proven(pedal, stick)
    assert roll_back(pedal.places, None, pedal.clock) == ("models", 1)
    assert pedal.playing() == ONE
    assert states(pedal.update(stick))["models"] == "current", "what one left by hand stays left"
    repo.publish({"stage.onnx": b"three"})
    pedal.update(stick)
    assert pedal.version() == 3


def test_a_group_and_its_share(pedal: Pedal, stick: FolderSource, repo: Repo) -> None:
    repo.publish(TWO, groups={"beta": 100, "all": 0})
    pedal.update(stick)
    assert pedal.version() == 1
    pedal.trials["models"].verdict = GOOD
    pedal.settings = Settings(group="beta")
    pedal.update(stick)
    pedal.update(stick)
    assert pedal.version() == 2


# ---- by itself, and when asked ------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [Settings(automatic=False), Settings(budget_mb_per_month=0)], ids=["off", "0 MB"]
)
def test_by_itself_it_stays_off_the_network(
    pedal: Pedal, stick: FolderSource, settings: Settings
) -> None:
    pedal.settings = settings
    assert set(states(pedal.update(stick, asked=False)).values()) == {"not-asked"}
    assert pedal.playing() is None
    pedal.update(stick)
    pedal.trials["models"].verdict = GOOD
    assert states(pedal.update(stick, asked=False))["models"] == "good"


def test_one_update_at_a_time(pedal: Pedal, stick: FolderSource) -> None:
    with alone(pedal.places), pytest.raises(UpdateFailedError, match="another update is running"):
        pedal.update(stick)
    pedal.update(stick)


# ---- interrupted --------------------------------------------------------------------------------


class PowerCutError(BaseException):
    """Nothing runs behind it but what Python must."""


def cut(*given: object, **named: object) -> None:
    raise PowerCutError


def power_cut(pedal: Pedal, source: FolderSource, step: str) -> None:
    """Update twice, in a process that is gone once ``step`` is reached: its locks are too."""
    child = os.fork()
    if child == 0:
        with pytest.MonkeyPatch.context() as patch:
            if "." in step:
                patch.setattr(step, cut)
            else:
                patch.setattr(pedal.trials["models"], step, cut)
            try:
                pedal.update(source)
                pedal.update(source)
            except PowerCutError:
                os._exit(7)
            finally:
                os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.parametrize(
    "step",
    [
        "deploy.client.repository.DurableUpdater.refresh",
        "deploy.client.filling.plan",
        "deploy.client.filling.Store.put",
        "deploy.client.filling.Slots.begin",
        "deploy.client.filling.assemble",
        "deploy.client.filling.put",
        "deploy.client.filling.Slots.ready",
        "inspect",
        "build",
        "self_test",
        "begin",
        "deploy.slots.Slots.activate",
        "look",
        "deploy.client.floors.FloorsFile.raise_version",
        "deploy.slots.Slots.mark_good",
    ],
)
def test_a_second_update_goes_on(pedal: Pedal, stick: FolderSource, repo: Repo, step: str) -> None:
    proven(pedal, stick)
    repo.publish(TWO)
    pedal.trials["models"].verdict = GOOD
    power_cut(pedal, stick, step)
    assert pedal.playing() in (ONE, TWO)
    pedal.update(stick)
    assert states(pedal.update(stick))["models"] in ("good", "current")
    assert pedal.playing() == TWO
    assert intact(pedal.places.record)


def test_rolling_back_goes_on(pedal: Pedal, stick: FolderSource, repo: Repo) -> None:
    proven(pedal, stick)
    repo.publish(TWO)
    pedal.update(stick)
    pedal.trials["models"].verdict = BAD
    power_cut(pedal, stick, "deploy.slots.Slots.roll_back")
    refused(pedal, stick, "release 1 plays again")
    assert pedal.playing() == ONE


def http(pedal: Pedal, link: Link, most_bytes: int | None = None) -> HttpSource:
    spent = Budget(FloorsFile(pedal.places.floors), most_bytes, pedal.clock)
    return HttpSource(link.url, pedal.limits, spent, pedal.clock)


def test_chunks_outlast_the_power(pedal: Pedal, repo: Repo) -> None:
    repo.publish(some_files())
    with Link(repo.folder.path) as link:
        put = 0

        def cut_before(at: int) -> Callable[[Blob], bytes]:
            real = HttpSource.blob

            def blob(self: HttpSource, blob: Blob) -> bytes:
                nonlocal put
                put += 1
                if put == at:
                    raise PowerCutError
                return real(self, blob)

            return blob  # type: ignore[return-value]

        for at in (4, 8):
            with pytest.MonkeyPatch.context() as patch:
                put = 0
                patch.setattr(HttpSource, "blob", cut_before(at))
                with pytest.raises(PowerCutError):
                    pedal.update(http(pedal, link))
        pedal.update(http(pedal, link))
        chunks = link.paths("chunks/")
        assert len(chunks) == len(set(chunks)), "none is fetched twice"
        # Plain or packed, the release file came once.
        assert len(link.paths("targets/models/[0-9a-f]+.models-2.json")) == 1
    assert pedal.version() == 2


def test_the_budget_is_kept_and_the_rest_comes_later(pedal: Pedal, repo: Repo) -> None:
    repo.publish(some_files())
    with Link(repo.folder.path) as link:
        with pytest.raises(UpdateFailedError, match="used up"):
            pedal.update(http(pedal, link, 100_000), asked=False)
        assert link.sent < 140_000
        first = len(link.paths("chunks/"))
        assert first > 3
        pedal.update(http(pedal, link))
        assert pedal.version() == 2
        assert len(link.paths("chunks/")) <= first + 12


# ---- off the network ----------------------------------------------------------------------------


def interrupted_before_the_test(pedal: Pedal, stick: FolderSource) -> None:
    power_cut(pedal, stick, "build")
    assert pedal.slots().inactive.state == "ready"


def test_what_a_stick_brought_is_finished_without_it(pedal: Pedal, stick: FolderSource) -> None:
    interrupted_before_the_test(pedal, stick)
    pedal.limits = type(pedal.limits)(tries=2)
    with faults.refused() as url:
        spent = Budget(FloorsFile(pedal.places.floors), None, pedal.clock)
        outcome = pedal.update(HttpSource(url, pedal.limits, spent, pedal.clock))
    assert states(outcome)["models"] == "trial"
    assert pedal.playing() == ONE


def test_but_not_what_was_withdrawn_since(pedal: Pedal, stick: FolderSource, repo: Repo) -> None:
    interrupted_before_the_test(pedal, stick)
    repo.withdraw("models:1")
    assert states(pedal.update(stick))["models"] == "current"
    assert pedal.playing() is None
    assert pedal.slots().inactive.state == "empty"


def test_a_newer_one_takes_its_place(pedal: Pedal, stick: FolderSource, repo: Repo) -> None:
    interrupted_before_the_test(pedal, stick)
    repo.publish(TWO)
    pedal.update(stick)
    assert pedal.playing() == TWO


def test_no_network_and_nothing_here_is_a_failure(pedal: Pedal, repo: Repo) -> None:
    broken = Link(repo.folder.path, [Fault(faults.status(500))])
    with broken as link, pytest.raises(LinkError, match="status 500"):
        pedal.update(http(pedal, link))


# ---- what is sent is not what is signed ---------------------------------------------------------


def test_damaged_chunks_are_fetched_again(pedal: Pedal, repo: Repo) -> None:
    with Link(repo.folder.path, [Fault(faults.corrupted(), "chunks/", times=2)]) as link:
        pedal.update(http(pedal, link))
    assert pedal.playing() == ONE


def test_but_not_for_ever(pedal: Pedal, repo: Repo) -> None:
    lying = Link(repo.folder.path, [Fault(faults.corrupted(), "chunks/")])
    with lying as link, pytest.raises(UpdateError, match="keeps sending chunks") as caught:
        pedal.update(http(pedal, link))
    assert caught.value.exit_code == 2
    assert pedal.playing() is None


def test_a_chunk_that_lay_damaged_here_is_fetched_again(
    pedal: Pedal, stick: FolderSource, repo: Repo
) -> None:
    repo.publish(some_files())
    power_cut(pedal, stick, "deploy.client.filling.assemble")
    frame = max(
        (path for path in pedal.places.store.rglob("*") if path.is_file()),
        key=lambda path: path.stat().st_size,
    )
    content = bytearray(frame.read_bytes())
    content[len(content) // 2] ^= 1
    frame.write_bytes(content)
    pedal.update(stick)
    assert pedal.playing() == some_files()


def test_an_active_slot_that_was_damaged_is_no_base(
    pedal: Pedal, stick: FolderSource, repo: Repo
) -> None:
    repo.publish(some_files())
    proven(pedal, stick)
    active = pedal.slots().active
    assert active is not None
    (active.folder / "stage.onnx").write_bytes(b"\0" * 150_000)
    repo.publish(some_files() | {"presets/one.toml": b"format = 1\n# changed\n"})
    pedal.update(stick)
    assert (pedal.playing() or {})["stage.onnx"] == some_files()["stage.onnx"]


def test_a_disk_that_is_nearly_full_makes_room_first(
    pedal: Pedal, stick: FolderSource, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(pedal, stick)
    repo.publish(TWO)
    proven(pedal, stick)
    repo.publish({"stage.onnx": b"three"})
    seen: list[str] = []
    real = FolderSource.blob

    def blob(self: FolderSource, blob: Blob) -> bytes:
        seen.append(pedal.slots().inactive.state)
        return real(self, blob)

    monkeypatch.setattr(FolderSource, "blob", blob)
    monkeypatch.setattr("deploy.client.filling.ROOM_BYTES", 1 << 60)
    pedal.update(stick)
    assert set(seen) == {"writing"}
    assert pedal.version() == 3


def test_a_full_disk_leaves_what_plays(
    pedal: Pedal, stick: FolderSource, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(pedal, stick)
    repo.publish(TWO)

    def full(*given: object) -> None:
        raise UpdateFailedError("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deploy.client.filling.assemble", full)
        with pytest.raises(UpdateFailedError, match="disk is full"):
            pedal.update(stick)
    assert pedal.playing() == ONE
    assert pedal.slots().inactive.state == "empty"
    pedal.update(stick)
    assert pedal.playing() == TWO
