"""Metadata as nobody should write them: never anything but one sentence, and what plays plays on.

Where the key is the attacker's, what is signed may be anything that JSON can hold.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

from deploy.client.floors import FloorsFile
from deploy.client.sources import FolderSource
from deploy.errors import UpdateError
from tests.deploy.attacks.pedal import Pedal
from tests.deploy.attacks.sentence import sentence_of
from tests.deploy.attacks.test_release_file import JSON, mutated_tree
from tests.deploy.attacks.world import World, make_world

Json = Any
ROLES = ["timestamp", "snapshot", "targets", "models", "root"]


def signed(world: World, role: str, content: Json) -> bytes:
    """``content`` as the role's metadata, signed by its keys whatever it is."""
    names = ["root-1", "root-2"] if role == "root" else [role]
    signatures = []
    for name in names:
        signer = world.repo.ring.signers[name]
        signature = signer.sign(str(encode_canonical(content)).encode())
        signatures.append({"keyid": signature.keyid, "sig": signature.signature})
    return json.dumps({"signatures": signatures, "signed": content}).encode()


def place(world: World, role: str) -> Path:
    if role == "root":
        return world.mirror / "metadata" / "2.root.json"
    return world.newest(role)


def content_of(world: World, role: str) -> Json:
    """What the role says now; for root, a next one that nothing is wrong with."""
    said = json.loads(world.newest(role).read_bytes())["signed"]
    if role == "root":
        said["version"] += 1
    return said


def name_it(world: World, role: str) -> None:
    """Have the metadata above a role name it without length or hash, as they may."""
    if role in ("targets", "models"):
        snapshot = content_of(world, "snapshot")
        snapshot["meta"][f"{role}.json"] = {"version": int(world.newest(role).name.split(".")[0])}
        world.newest("snapshot").write_bytes(signed(world, "snapshot", snapshot))
    if role in ("targets", "models", "snapshot"):
        timestamp = content_of(world, "timestamp")
        version = int(world.newest("snapshot").name.split(".")[0])
        timestamp["meta"]["snapshot.json"] = {"version": version}
        world.newest("timestamp").write_bytes(signed(world, "timestamp", timestamp))


@pytest.mark.parametrize("role", ROLES)
def test_metadata_that_are_signed_anew_without_a_change_are_taken(stick: World, role: str) -> None:
    """What the fuzzing starts from goes through, so that its refusals are for what it changes."""
    place(stick, role).write_bytes(signed(stick, role, content_of(stick, role)))
    name_it(stick, role)
    stick.get().done()
    assert stick.pedal.version() == 2


def _deep(said: Json) -> bytes:
    return json.dumps({"signatures": [], "signed": 0}).encode().replace(b"0", b"[" * 200_000)


def _twice(said: Json) -> bytes:
    return b'{"signatures": [], "signed": {"_type": "timestamp", "_type": "root"}}'


WRONG: dict[str, Callable[[Json], Json | bytes]] = {
    "nothing": lambda said: b"",
    "null": lambda said: b"null",
    "a list": lambda said: b"[]",
    "half of it": lambda said: json.dumps(said).encode()[:-20],
    "no UTF-8": lambda said: b"\xff\xfe" + json.dumps(said).encode(),
    "nested deeply": _deep,
    "keys twice": _twice,
    "a web page": lambda said: b"<html><body>" + b"x" * 600,
    "no signatures": lambda said: json.dumps({"signed": said}).encode(),
    "signatures that are none": lambda said: json.dumps(
        {"signatures": {"a": 1}, "signed": said}
    ).encode(),
    "a signature that is no hexadecimal": lambda said: json.dumps(
        {"signatures": [{"keyid": "a" * 64, "sig": "zz"}], "signed": said}
    ).encode(),
    "another type": lambda said: said | {"_type": "mirrors"},
    "a type that is none": lambda said: said | {"_type": ["root"]},
    "a type of another role": lambda said: said | {"_type": "root"},
    "a version of 0": lambda said: said | {"version": 0},
    "a version below 0": lambda said: said | {"version": -3},
    "a version in words": lambda said: said | {"version": "seven"},
    "no version": lambda said: {key: said[key] for key in said if key != "version"},
    "a specification of the future": lambda said: said | {"spec_version": "9.0.0"},
    "a specification that is none": lambda said: said | {"spec_version": "\x1b[2J"},
    "an expiry that is none": lambda said: said | {"expires": "tomorrow"},
    "an expiry in the year 0": lambda said: said | {"expires": "0000-00-00T00:00:00Z"},
    "an expiry long ago": lambda said: said | {"expires": "1969-12-31T23:59:59Z"},
    "an expiry of a number": lambda said: said | {"expires": 4102444800},
    "meta that are a list": lambda said: said | {"meta": [], "targets": [], "roles": []},
    "a megabyte of blanks": lambda said: b" " * 1_000_000 + json.dumps(said).encode(),
}


BELOW = (
    "half of it",
    "another type",
    "no version",
    "a type of another role",
    "meta that are a list",
)
CASES = [("timestamp", name) for name in WRONG] + [("models", name) for name in BELOW]


@pytest.mark.parametrize(("role", "name"), CASES)
def test_metadata_with(stick: World, name: str, role: str) -> None:
    wrong = WRONG[name](content_of(stick, role))
    honest = place(stick, role)
    content = wrong if isinstance(wrong, bytes) else signed(stick, role, wrong)
    name_it(stick, role)
    honest.write_bytes(content)
    stick.get().refused()
    assert stick.pedal.version() == 1


@pytest.fixture(scope="module")
def attacked(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all examples: what is refused leaves nothing behind, which is the point."""
    yield from make_world(template, tmp_path_factory.mktemp("fuzz") / "world", "stick")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(role=st.sampled_from(ROLES), data=st.data())
def test_whatever_is_signed_is_taken_or_refused_in_one_sentence(
    attacked: World, tmp_path_factory: pytest.TempPathFactory, role: str, data: st.DataObject
) -> None:
    """Whoever has a role's key writes what he likes: only sentences come out of it."""
    honest = {path: path.read_bytes() for path in (attacked.mirror / "metadata").iterdir()}

    @st.composite
    def changed(draw: st.DrawFn) -> Json:
        return mutated_tree(content_of(attacked, role), draw)

    said = data.draw(changed() | JSON)
    try:
        content = signed(attacked, role, said)
    except Exception:  # canonical JSON has no fractions; then nobody can sign it
        content = json.dumps({"signatures": [], "signed": said}).encode()
    try:
        name_it(attacked, role)
        place(attacked, role).write_bytes(content)
        pedal = Pedal(tmp_path_factory.mktemp("pedal"), attacked.repo.now, attacked.pedal.limits)
        pedal.trust(attacked.repo.root_bytes)
        told = pedal.get(pedal.stick(attacked.mirror))
        assert told.code in (0, 1, 2)
        assert pedal.version() in (None, 1, 2)
    finally:
        (attacked.mirror / "metadata" / "2.root.json").unlink(missing_ok=True)
        for path, bytes_ in honest.items():
            path.write_bytes(bytes_)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=300) | JSON.map(lambda tree: json.dumps(tree).encode()))
def test_whatever_lies_in_floors_json_the_next_update_goes_on(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """The pedal's own file, after a disk's accident: read, or made anew."""
    file = tmp_path_factory.mktemp("floors") / "floors.json"
    file.write_bytes(content)
    floors = FloorsFile(file)
    floors.raise_version("models", 3)
    assert FloorsFile(file).now.versions["models"] >= 3


@pytest.mark.parametrize("content", [b"", b'{"format": 1, "time": "x"}'])
@pytest.mark.parametrize(
    "name", ["floors.json", "record.jsonl", "trust/metadata/timestamp.json", "models/slots.json"]
)
def test_damage_to_the_pedal_s_own_files_is_lived_through(
    stick: World, name: str, content: bytes
) -> None:
    (stick.pedal.places.root / name).write_bytes(content)
    stick.get().done()
    assert stick.pedal.version() == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 100, b"[" * 100_000])
def test_a_root_of_trust_that_is_damaged_is_refused(stick: World, content: bytes) -> None:
    stick.pedal.trust(content)
    stick.get().refused()
    assert stick.pedal.version() == 1


def test_a_source_never_raises_anything_else(stick: World) -> None:
    """Also for what no release of ours names."""
    source = FolderSource(stick.mirror)
    blob = stick.repo.release("models:2").files[0].blobs[0]
    for name in ("0" * 64, blob.sha256):
        with pytest.raises(UpdateError) as caught:
            source.blob(blob.model_copy(update={"stored_sha256": name}))
        sentence_of(caught.value)
