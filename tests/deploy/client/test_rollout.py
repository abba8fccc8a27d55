"""Who takes a release: stable, staged, never below the floor, never what went wrong."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.metadata import TargetFile

from deploy.client.rollout import Offer, admits, bucket, choose
from deploy.release import Rollout

DEVICES = [f"{number:032x}" for number in range(2000)]


def offer(version: int, **groups: int) -> Offer:
    rollout = Rollout(component="models", version=version, groups=groups or {"all": 100})
    path = f"models/{version}.json"
    return Offer(rollout, TargetFile(1, {"sha256": f"{version:064x}"}, path))


def nothing_refused(release_sha256: str) -> None:
    return None


def test_a_percentage_is_a_share_of_devices() -> None:
    for share in (1, 10, 50, 90):
        rollout = offer(4, all=share).rollout
        taken = sum(admits(rollout, "all", device) for device in DEVICES)
        assert abs(taken / len(DEVICES) - share / 100) < 0.04


@settings(deadline=None)
@given(st.text(max_size=40), st.integers(1, 2**53), st.integers(0, 100), st.integers(0, 100))
def test_a_higher_percentage_only_lets_more_in(
    device: str, version: int, one: int, other: int
) -> None:
    low, high = sorted((one, other))
    if admits(offer(version, all=low).rollout, "all", device):
        assert admits(offer(version, all=high).rollout, "all", device)


@settings(deadline=None)
@given(st.sampled_from(DEVICES), st.integers(1, 2**53))
def test_a_bucket_is_stable_and_whole_rollouts_take_all(device: str, version: int) -> None:
    assert bucket(device, "models", version) == bucket(device, "models", version)
    assert 0 <= bucket(device, "models", version) < 100
    assert admits(offer(version, all=100).rollout, "all", device)
    assert not admits(offer(version, all=0).rollout, "all", device)


def test_it_is_not_always_the_same_devices_that_go_first() -> None:
    first = {device for device in DEVICES if bucket(device, "models", 1) < 10}
    second = {device for device in DEVICES if bucket(device, "models", 2) < 10}
    assert len(first & second) < len(first) / 2


def test_groups() -> None:
    staged = offer(5, beta=100, all=0).rollout
    assert admits(staged, "beta", DEVICES[0])
    assert not admits(staged, "stage", DEVICES[0])
    assert not admits(offer(5, beta=100).rollout, "all", DEVICES[0])


def test_the_highest_that_fits() -> None:
    offers = [offer(3), offer(5, beta=100), offer(4), offer(2)]
    assert choose(offers, "all", DEVICES[0], 0, nothing_refused) == offer(4)
    assert choose(offers, "beta", DEVICES[0], 0, nothing_refused) == offer(5, beta=100)
    assert choose(offers, "all", DEVICES[0], 4, nothing_refused) == offer(4)
    assert choose(offers, "all", DEVICES[0], 5, nothing_refused) is None
    assert choose([], "all", DEVICES[0], 0, nothing_refused) is None


def test_what_went_wrong_is_not_taken_again() -> None:
    def refused(release_sha256: str) -> str | None:
        return "it was silent" if release_sha256 == f"{4:064x}" else None

    assert choose([offer(3), offer(4)], "all", DEVICES[0], 0, refused) == offer(3)
