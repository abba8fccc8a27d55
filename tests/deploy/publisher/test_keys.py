import os
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from deploy.errors import UpdateError
from deploy.publisher.key_files import KeyFolders, make_key, read_public
from deploy.publisher.passphrase import VARIABLE, Passphrases
from deploy.publisher.roles import role_of

PASSPHRASE = "correct horse battery"


def given(passphrase: str = PASSPHRASE) -> Passphrases:
    return Passphrases([], {VARIABLE: passphrase}, None)


def test_a_key_signs_after_it_was_read_back(tmp_path: Path):
    made = make_key("root-2", tmp_path / "stick", given())
    keys = KeyFolders([tmp_path], given())  # the folder above it will do
    (public,) = keys.public()
    assert (public.name, public.role, public.key.keyid) == ("root-2", "root", made.key.keyid)
    signer = keys.signer(public.key.keyid)
    assert signer is not None
    made.key.verify_signature(signer.sign(b"content"), b"content")
    assert keys.signer("0" * 64) is None


def test_only_its_owner_may_read_it_and_only_with_the_passphrase(tmp_path: Path):
    make_key("models", tmp_path / "k", given())
    private = tmp_path / "k" / "models.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert private.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    keys = KeyFolders([tmp_path / "k"], given("another passphrase"))
    with pytest.raises(UpdateError, match=r"models\.pem: no passphrase opens it"):
        keys.signer(keys.public()[0].key.keyid)


def test_openssl_reads_it(tmp_path: Path):
    make_key("models", tmp_path, given())
    command = ["openssl", "pkey", "-in", str(tmp_path / "models.pem"), "-noout", "-text"]
    try:
        ran = subprocess.run(
            [*command, "-passin", f"pass:{PASSPHRASE}"], capture_output=True, text=True, timeout=30
        )
    except FileNotFoundError:
        pytest.skip("no openssl on this machine")
    assert "ED25519" in ran.stdout.upper()


def test_a_key_is_never_overwritten(tmp_path: Path):
    make_key("models", tmp_path, given())
    before = (tmp_path / "models.pem").read_bytes()
    with pytest.raises(UpdateError, match="holds a key models already"):
        make_key("models", tmp_path, given())
    assert (tmp_path / "models.pem").read_bytes() == before


def test_a_public_half_of_another_key_is_noticed(tmp_path: Path):
    make_key("models", tmp_path / "a", given())
    make_key("models", tmp_path / "b", given())
    os.replace(tmp_path / "b" / "models.pub", tmp_path / "a" / "models.pub")
    keys = KeyFolders([tmp_path / "a"], given())
    with pytest.raises(UpdateError, match=r"is not the private half of models\.pub"):
        keys.signer(keys.public()[0].key.keyid)


def test_an_unencrypted_key_is_refused(tmp_path: Path):
    make_key("models", tmp_path, given())
    signer = CryptoSigner(Ed25519PrivateKey.generate())
    (tmp_path / "models.pem").write_bytes(signer.private_bytes)
    keys = KeyFolders([tmp_path], given())
    with pytest.raises(UpdateError, match="is not encrypted"):
        keys.signer(keys.public()[0].key.keyid)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\xff", b'{"format": 1, "name": "models", "keyid": "x", "public": "y"}'],
)
def test_a_damaged_public_half_is_refused_in_a_sentence(tmp_path: Path, content: bytes):
    (tmp_path / "models.pub").write_bytes(content)
    with pytest.raises(UpdateError, match=r"models\.pub") as refused:
        read_public(tmp_path / "models.pub")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "Root", "root_1", "admin", "root-", "../root", "root-1/2"])
def test_names_say_their_role(name: str):
    with pytest.raises(UpdateError, match="is no name of a key"):
        role_of(name)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(UpdateError, match="there is no such folder of keys"):
        KeyFolders([tmp_path / "stick"], given())


# ---- passphrases --------------------------------------------------------------------------------


def test_a_passphrase_comes_from_the_first_line_of_a_file(tmp_path: Path):
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\r\nnot this\n")
    make_key("models", tmp_path, Passphrases([file], {}, None))
    keys = KeyFolders([tmp_path], given())
    assert keys.signer(keys.public()[0].key.keyid) is not None


def test_a_passphrase_file_that_is_not_there_is_made(tmp_path: Path):
    file = tmp_path / "passphrase"
    passphrases = Passphrases([file], {}, None)
    make_key("models", tmp_path, passphrases)
    make_key("firmware", tmp_path, passphrases)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().strip()) >= 20
    keys = KeyFolders([tmp_path], Passphrases([file], {}, None))
    assert all(keys.signer(public.key.keyid) for public in keys.public())


def test_opening_makes_no_passphrase_file(tmp_path: Path):
    make_key("models", tmp_path, given())
    keys = KeyFolders([tmp_path], Passphrases([tmp_path / "nowhere"], {}, None))
    with pytest.raises(UpdateError, match="a passphrase cannot be read"):
        keys.signer(keys.public()[0].key.keyid)


@pytest.mark.parametrize("content", [b"", b"\nsecond line\n", b"\xff\xfe"])
def test_a_passphrase_file_without_one_is_refused(tmp_path: Path, content: bytes):
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    with pytest.raises(UpdateError, match="passphrase"):
        make_key("models", tmp_path / "k", Passphrases([file], {}, None))


def test_a_short_passphrase_is_refused(tmp_path: Path):
    with pytest.raises(UpdateError, match="has 5 characters; a key needs 12"):
        make_key("models", tmp_path, given("short"))
    assert not list(tmp_path.iterdir())


def test_nobody_to_ask_is_said(tmp_path: Path):
    with pytest.raises(UpdateError, match="needs a passphrase: name a file"):
        make_key("models", tmp_path, Passphrases([], {}, None))


class Typist:
    """Types these, in order."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def __call__(self, prompt: str) -> str:
        return self.lines.pop(0)


def test_a_new_passphrase_is_asked_for_twice_and_then_known(tmp_path: Path):
    passphrases = Passphrases([], {}, Typist(PASSPHRASE, PASSPHRASE))
    make_key("models", tmp_path, passphrases)
    make_key("firmware", tmp_path, passphrases)
    with pytest.raises(UpdateError, match="are not the same"):
        make_key("targets", tmp_path, Passphrases([], {}, Typist(PASSPHRASE, PASSPHRASE + "x")))


def test_a_mistyped_passphrase_is_asked_for_again(tmp_path: Path):
    make_key("models", tmp_path, given())
    make_key("firmware", tmp_path, given())
    typist = Typist("wrong", PASSPHRASE)
    keys = KeyFolders([tmp_path], Passphrases([], {}, typist))
    assert all(keys.signer(public.key.keyid) for public in keys.public())
    keys = KeyFolders([tmp_path], Passphrases([], {}, Typist("a", "b", "c", PASSPHRASE)))
    with pytest.raises(UpdateError, match="no passphrase opens it"):
        keys.signer(keys.public()[0].key.keyid)
