"""Whatever is done to a repository in whatever order, devices see what is offered and no less."""

import random
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from deploy.places import COMPONENTS
from deploy.publisher.publish import offers
from deploy.publisher.renewal import hand_over, newest_root, take_root
from deploy.publisher.root import next_root, replace_key, sign_root
from tests.deploy.memory import MEMORY
from tests.deploy.publisher.client import Client
from tests.deploy.publisher.repository import make_repository

NEWEST = {"models": "stage.onnx", "firmware": "source/a.py"}


class Repositories(RuleBasedStateMachine):
    """Publishes, withdraws, renews and changes keys; a device looks now and then."""

    @initialize()
    def begin(self) -> None:
        self.home = Path(tempfile.mkdtemp(dir=MEMORY))
        self.repo = make_repository(self.home)
        self.offered: dict[str, dict[str, bytes]] = {}
        self.highest = dict.fromkeys(COMPONENTS, 0)
        self.numbers = dict.fromkeys(("root", "targets", "snapshot", "timestamp", *COMPONENTS), 10)
        self.names = {role: role for role in self.numbers} | {"root": "root-1"}
        self.device = Client(self.home / "device", self.repo.root_bytes, self.repo.folder)

    @rule(component=st.sampled_from(COMPONENTS), seed=st.integers(0, 9), skip=st.integers(0, 3))
    def publish(self, component, seed: int, skip: int) -> None:
        files = {NEWEST[component]: random.Random(seed).randbytes(20_000)}
        self.highest[component] += 1 + skip
        path, _ = self.repo.publish(
            files, component=component, version=self.highest[component] if skip else 0
        )
        self.offered[path] = files

    @precondition(lambda self: self.offered)
    @rule(pick=st.randoms(use_true_random=False))
    def withdraw(self, pick: random.Random) -> None:
        path = pick.choice(sorted(self.offered))
        self.repo.withdraw(path)
        del self.offered[path]

    @precondition(lambda self: self.offered)
    @rule(pick=st.randoms(use_true_random=False), percent=st.integers(0, 100))
    def roll_out(self, pick: random.Random, percent: int) -> None:
        path = pick.choice(sorted(self.offered))
        self.repo.roll_out(path, all=percent)
        found = [each for name in COMPONENTS for each in offers(self.repo.state(), name)]
        assert {each.path: each.rollout.groups for each in found}[path] == {"all": percent}

    @rule(days=st.integers(0, 13))
    def refresh(self, days: int) -> None:
        self.repo.refresh(timedelta(days=days))

    def another(self, role: str, lost: bool):
        self.numbers[role] += 1
        new = self.repo.ring.make(f"{role}-{self.numbers[role]}")
        if lost:
            self.repo.ring.absent.add(self.names[role])
        old, self.names[role] = self.names[role], new.name
        return new, old

    @rule(role=st.sampled_from(["root", "targets", "snapshot", "timestamp"]), lost=st.booleans())
    def rotate(self, role, lost: bool) -> None:
        new, old = self.another(role, lost)
        repo = self.repo
        draft = next_root(newest_root(repo.folder, repo.ring), repo.now)
        replace_key(draft.signed, role, new, old)
        sign_root(draft, repo.ring)
        done = take_root(draft, repo.folder, repo.ring, repo.now)
        assert done.smooth == (not lost or role == "root")

    @rule(component=st.sampled_from(COMPONENTS), lost=st.booleans())
    def hand_over(self, component, lost: bool) -> None:
        new, old = self.another(component, lost)
        repo = self.repo
        hand_over(component, new, old, repo.folder, repo.ring, repo.now)

    @rule()
    def look(self) -> None:
        assert self.device.contents(self.repo.now) == self.offered

    @invariant()
    def a_new_device_sees_all(self) -> None:
        fresh = Client(self.home / "fresh", self.repo.root_bytes, self.repo.folder)
        assert fresh.contents(self.repo.now) == self.offered
        shutil.rmtree(fresh.home)

    def teardown(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)


TestRepositories = Repositories.TestCase
TestRepositories.settings = settings(
    max_examples=12,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
