"""Passphrases of private keys: from files, from the environment, or asked for."""

import getpass
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from deploy.errors import UpdateError
from deploy.publisher.folder import read
from models.replace import sync_folder, write_file

VARIABLE = "PURGA_PASSPHRASE"
SHORTEST = 12
"""Characters. PKCS #8 as OpenSSL writes it stretches a passphrase by 2048 rounds only, so that it
has to be long by itself."""
_LONGEST = 1024


class Passphrases:
    """Those given, and those asked for so far."""

    def __init__(
        self,
        files: Sequence[Path],
        environment: Mapping[str, str] = os.environ,
        ask: Callable[[str], str] | None = None,
    ) -> None:
        """``ask`` shows a line and returns what is typed; None asks on the terminal, if any."""
        if ask is None and sys.stdin is not None and sys.stdin.isatty():
            ask = getpass.getpass
        self._ask = ask
        self._files = files
        self._given = [environment[VARIABLE]] if environment.get(VARIABLE) else []
        self._read = False
        self._asked: list[str] = []

    def candidates(self, what: str) -> Iterator[bytes]:
        """What might open ``what``, the given ones first; then one is asked for, three times."""
        for passphrase in [*self._all_given(), *self._asked]:
            yield passphrase.encode()
        for _ in range(3 if self._ask is not None else 0):
            assert self._ask is not None
            typed = self._ask(f"Passphrase of {what}: ")
            self._asked.insert(0, typed)
            yield typed.encode()

    def new(self, what: str) -> bytes:
        """One to encrypt ``what`` with. Raises ``UpdateError`` where there is none fit for it.

        A passphrase file that is not there yet is made, with a random one of 128 bits in it.
        """
        if self._files and not self._files[0].exists():
            _make(self._files[0])
        given = self._all_given()
        if given:
            return _fit(given[0]).encode()
        if self._asked:
            return _fit(self._asked[0]).encode()
        if self._ask is None:
            raise UpdateError(
                f"{what} needs a passphrase: name a file with --passphrase-file (it is made if it "
                f"is not there), or set {VARIABLE}."
            )
        typed = _fit(self._ask(f"New passphrase for {what}: "))
        if typed != self._ask("The same again: "):
            raise UpdateError("The two passphrases are not the same; nothing was made.")
        self._asked.insert(0, typed)
        return typed.encode()

    def _all_given(self) -> list[str]:
        if not self._read:
            self._given = [_first_line(file) for file in self._files] + self._given
            self._read = True
        return self._given


def _first_line(file: Path) -> str:
    try:
        text = read(file, _LONGEST, "a passphrase").decode()
    except UnicodeDecodeError:
        raise UpdateError(f"{file}: is not text, so it holds no passphrase.") from None
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line:
        raise UpdateError(f"{file}: its first line is empty; write the passphrase there.")
    return line


def _fit(passphrase: str) -> str:
    if len(passphrase) < SHORTEST:
        raise UpdateError(
            f"The passphrase has {len(passphrase)} characters; a key needs {SHORTEST} or more."
        )
    return passphrase


def _make(file: Path) -> None:
    previous = os.umask(0o077)
    try:
        write_file(file, f"{secrets.token_urlsafe(16)}\n".encode())
        sync_folder(file.parent)
    except OSError as problem:
        raise UpdateError(f"{file}: could not be made ({problem.strerror}).") from None
    finally:
        os.umask(previous)
