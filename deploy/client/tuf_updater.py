"""python-tuf's client with three additions: durable files, a time of ours, forgetting keys.

The only file that reaches into the library, which is pinned: tests hold each of these against it.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from deploy.client.durable import point, put
from models.replace import sync_folder


class DurableUpdater(Updater):
    """One refresh and the look-ups after it; then it is thrown away.

    ``moment(root)`` gives what expiry is judged against, once the newest root is known; None is
    the clock. Raises what ``Updater`` raises.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        fetcher: FetcherInterface,
        bootstrap: bytes,
        *,
        targets: Path | None = None,
        targets_url: str | None = None,
        moment: Callable[[Root], datetime] | None = None,
        config: UpdaterConfig | None = None,
    ) -> None:
        self._moment = moment
        super().__init__(
            metadata_dir=str(folder),
            metadata_base_url=url,
            target_dir=None if targets is None else str(targets),
            target_base_url=targets_url,
            fetcher=fetcher,
            config=config,
            bootstrap=bootstrap,
        )

    @property
    def root(self) -> Root:
        """The newest root."""
        return self._trusted_set.root

    @property
    def timestamp(self) -> Timestamp:
        """After ``refresh``."""
        return self._trusted_set.timestamp

    @property
    def snapshot(self) -> Snapshot:
        """After ``refresh``."""
        return self._trusted_set.snapshot

    def role(self, name: str) -> Targets | None:
        """``targets`` or a role below it, if it was loaded and verified."""
        return cast(Targets | None, self._trusted_set.get(name))

    def _persist_file(self, filename: str, data: bytes) -> None:
        put(Path(filename), data)

    def _update_root_symlink(self) -> None:
        link = Path(self._dir) / "root.json"
        point(link, f"root_history/{self._trusted_set.root.version}.root.json")

    def _load_timestamp(self) -> None:
        root = self._trusted_set.root
        if self._moment is not None:
            self._trusted_set.reference_time = self._moment(root)
        self._forget_what_lost_its_keys(root)
        super()._load_timestamp()

    def _forget_what_lost_its_keys(self, root: Root) -> None:
        """Drop timestamp and snapshot where a key of either was replaced (TUF 5.3.11).

        Whoever had the key may have signed versions so high that no honest one comes after them.
        """
        for role in (Timestamp.type, Snapshot.type):
            signers = self._signers(role)
            asked = root.roles[role]
            if signers is not None and len(signers & set(asked.keyids)) < asked.threshold:
                for name in (Timestamp.type, Snapshot.type):
                    (Path(self._dir) / f"{name}.json").unlink(missing_ok=True)
                sync_folder(Path(self._dir))
                return

    def _signers(self, role: str) -> set[str] | None:
        """Ids of the keys that the kept metadata of a role are signed by; None without any."""
        with contextlib.suppress(OSError, RepositoryError):
            content = (Path(self._dir) / f"{quote(role, '')}.json").read_bytes()
            metadata: Metadata[Any] = Metadata.from_bytes(content)
            return set(metadata.signatures)
        return None
