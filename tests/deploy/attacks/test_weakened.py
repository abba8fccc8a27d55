"""Each attack against a client that lacks what stops it: the tests of the attacks have to fail.

What they prove is worth no more than this. A row says how the client is weakened, which test is
run against it, and how that test ends.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import zstandard
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Targets
from tuf.ngclient import FetcherInterface
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet

from deploy.chunks import Store, assembly, store
from deploy.client import answers, link, repository, update
from deploy.client.budget import Budget
from deploy.client.repository import Repository
from deploy.client.rollout import choose
from deploy.client.tuf_updater import DurableUpdater
from deploy.client.watchdog import Watchdog
from deploy.errors import UpdateError
from deploy.release import Blob, ReleaseFile
from tests.deploy.attacks import (
    test_clocks,
    test_content,
    test_link_faults,
    test_resume,
    test_room,
    test_stick,
)
from tests.deploy.attacks import test_stolen_keys as keys
from tests.deploy.attacks import test_tuf_attacks as attacks
from tests.deploy.attacks.pedal import LIMITS, LightTrial
from tests.deploy.attacks.world import Kind, World, make_world

Weaken = Callable[[pytest.MonkeyPatch, World], None]
TAKEN = "exit code 0, expected 2"


def nothing(*given: object, **named: object) -> None:
    """Does nothing, whatever was to be checked."""


def no_signatures(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(Root, "verify_delegate", nothing)
    patch.setattr(Targets, "verify_delegate", nothing)


def no_belonging_together(patch: pytest.MonkeyPatch, world: World) -> None:
    """Whatever a snapshot says of a role, what comes is what it meant."""
    honest = TrustedMetadataSet.update_delegated_targets

    def taken(self: TrustedMetadataSet, data: bytes, role: str, parent: str) -> Targets:
        metadata: Metadata = Metadata.from_bytes(data)
        self.snapshot.meta[f"{role}.json"] = MetaFile(metadata.signed.version)
        return honest(self, data, role, parent)

    patch.setattr(TrustedMetadataSet, "update_delegated_targets", taken)


def no_chunk_hashes(patch: pytest.MonkeyPatch, world: World) -> None:
    def believed(frame: bytes, blob: Blob) -> bytes:
        return bytes(blob.bytes)

    def written(folder: Path, file: ReleaseFile, content: object) -> None:
        (folder / file.path).write_bytes(bytes(file.bytes))

    patch.setattr(store, "unpack", believed)
    patch.setattr(assembly, "_write", written)
    patch.setattr(LightTrial, "inspect", nothing)


def no_memory_limit(patch: pytest.MonkeyPatch, world: World) -> None:
    def unbounded(frame: bytes, blob: Blob) -> bytes:
        content = zstandard.ZstdDecompressor().decompress(frame)
        raise UpdateError(f"It has {len(content)} bytes.")

    patch.setattr(store, "unpack", unbounded)


def no_expiry(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(Signed, "is_expired", lambda self, now=None: False)


def no_time_floor(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(repository, "moment", lambda clock, floor: clock.now())


def no_floors(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(Repository, "_check_versions", nothing)


def no_memory_of_versions(patch: pytest.MonkeyPatch, world: World) -> None:
    no_floors(patch, world)
    honest = DurableUpdater._load_timestamp

    def forgetting(self: DurableUpdater) -> None:
        for file in Path(self._dir).glob("*.json"):
            if file.name != "root.json":
                file.unlink()
        honest(self)

    patch.setattr(DurableUpdater, "_load_timestamp", forgetting)


def no_recovery(patch: pytest.MonkeyPatch, world: World) -> None:
    """What keys said that were replaced since is still believed."""
    patch.setattr(DurableUpdater, "_forget_what_lost_its_keys", nothing)


def no_version_floor(patch: pytest.MonkeyPatch, world: World) -> None:
    def unfloored(offers, group, device, floor, refused):
        return choose(offers, group, device, 0, refused)

    patch.setattr(update, "choose", unfloored)


def no_refusals(patch: pytest.MonkeyPatch, world: World) -> None:
    def forgetting(offers, group, device, floor, refused):
        return choose(offers, group, device, floor, lambda release: None)

    patch.setattr(update, "choose", forgetting)


def no_length_limit(patch: pytest.MonkeyPatch, world: World) -> None:
    """Up to 40 million bytes, to have an end."""
    honest = FetcherInterface.download_bytes

    def longer(self: FetcherInterface, url: str, max_length: int) -> bytes:
        return honest(self, url, 40_000_000)

    patch.setattr(FetcherInterface, "download_bytes", longer)


def no_lowest_rate(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(attacks, "TIGHT", LIMITS)


def no_watchdog(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(Watchdog, "feed", nothing)


def no_portals(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(link, "looks_like_a_page", lambda beginning: False)


def no_manners(patch: pytest.MonkeyPatch, world: World) -> None:
    """Retry-After is not read."""
    patch.setattr(answers, "retry_after", lambda headers: 0.0)


def endless_redirects(patch: pytest.MonkeyPatch, world: World) -> None:
    world.pedal.limits = replace(world.pedal.limits, redirects=100)


def links_followed(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(os, "O_NOFOLLOW", 0)


def no_store(patch: pytest.MonkeyPatch, world: World) -> None:
    """What is in the store is fetched again."""
    patch.setattr(Store, "has", lambda self, blob: False)


def no_budget(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(Budget, "spend", nothing)


@dataclass(frozen=True)
class Row:
    """A weakened client, a test, and the words of its failure."""

    weaken: Weaken
    test: Callable[[World], None]
    says: str = TAKEN
    kind: Kind = "stick"


def faulty(name: str) -> Callable[[World], None]:
    return partial(test_link_faults.test_a_link_that, name=name)


ROWS: dict[str, Row] = {
    "unsigned": Row(no_signatures, attacks.test_arbitrary_software_in_metadata_that_nobody_signed),
    "one root key": Row(no_signatures, keys.test_one_of_three_root_keys_changes_nothing),
    "one key twice": Row(no_signatures, keys.test_one_signature_does_not_count_twice),
    "a revoked key": Row(no_signatures, keys.test_a_revoked_key_signs_nothing_any_more),
    "another role's key": Row(no_signatures, keys.test_the_key_of_firmware_signs_no_models),
    "a stolen key": Row(no_signatures, keys.test_a_new_root_lets_go_of_stolen_online_keys),
    "online keys": Row(
        no_signatures, partial(keys.test_the_online_keys_alone_install_nothing, keys=[])
    ),
    "mix and match": Row(no_belonging_together, partial(attacks.test_mix_and_match, role="models")),
    "changed chunks": Row(
        no_chunk_hashes,
        attacks.test_arbitrary_software_in_chunks_that_were_changed,
        "SHA-256 differs",
    ),
    "a bomb": Row(
        no_memory_limit,
        partial(test_content.test_a_signed_chunk_that_is, name="a bomb"),
        "< 100000",
    ),
    "a freeze": Row(no_expiry, attacks.test_indefinite_freeze),
    "an expired stick": Row(
        no_expiry, partial(test_clocks.test_a_stick_whose_metadata_expired_is_refused, days=31)
    ),
    "2099": Row(no_expiry, test_clocks.test_in_2099_the_update_is_refused_and_names_the_clock),
    "1970": Row(no_time_floor, test_clocks.test_in_1970_what_expired_before_the_build_is_refused),
    "a replay": Row(
        no_memory_of_versions, attacks.test_rollback_by_replaying_all_of_an_older_repository
    ),
    "a replay to one who forgot": Row(
        no_floors, attacks.test_rollback_after_the_metadata_were_lost
    ),
    "an old release": Row(
        no_version_floor,
        attacks.test_rollback_by_an_old_release_under_new_metadata,
        "assert 1 == 2",
    ),
    "a fast-forward": Row(
        no_recovery,
        partial(attacks.test_fast_forward_of_what_a_snapshot_names, role="timestamp"),
        "exit code 2, expected 0",
    ),
    "a refused release": Row(
        no_refusals,
        attacks.test_a_rollback_of_metadata_does_not_bring_back_a_refused_release,
        "exit code 2, expected 0",
    ),
    "endless data": Row(
        no_length_limit, partial(attacks.test_endless_data, which="timestamp"), "24000000", "link"
    ),
    "slow retrieval": Row(
        no_lowest_rate,
        partial(attacks.test_slow_retrieval, which="timestamp"),
        "exit code 0, expected 1",
        "link",
    ),
    "a slow head": Row(
        no_watchdog, faulty("a head by the byte"), "exit code 0, expected 1", "link"
    ),
    "a portal": Row(
        no_portals,
        faulty("a portal that does not say that it is one"),
        "exit code 2, expected 1",
        "link",
    ),
    "Retry-After": Row(no_manners, faulty("429, a day"), "left alone", "link"),
    "redirects": Row(endless_redirects, faulty("a redirect to itself"), "requests|64", "link"),
    "a link on the stick": Row(
        links_followed,
        partial(
            test_stick.test_in_the_place_of_a_file, what="a link to the truth", where="timestamp"
        ),
        "release 2 is active",
    ),
    "a lost store": Row(
        no_store,
        partial(test_resume.test_a_link_that_ends_at_any_chunk_costs_at_most_that_one, at=6),
        "lost_chunks",
        "link",
    ),
    "no budget": Row(
        no_budget,
        test_room.test_a_release_that_the_budget_does_not_hold_goes_on_next_month,
        "exit code 0, expected 1",
        "link",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_weakened_client_is_noticed(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    row = ROWS[name]
    worlds = make_world(template, tmp_path / "world", row.kind)
    world = next(worlds)
    try:
        with monkeypatch.context() as patch:
            row.weaken(patch, world)
            with pytest.raises(AssertionError, match=row.says):
                row.test(world)
    finally:
        next(worlds, None)
