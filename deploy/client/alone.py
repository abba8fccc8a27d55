"""One update at a time, and as the user whose files they are."""

import fcntl
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from deploy.errors import UpdateError, UpdateFailedError
from deploy.places import USER, Places


class BusyError(UpdateFailedError):
    """Another update is running."""


@contextmanager
def alone(places: Places) -> Iterator[None]:
    """Hold the update's lock; the end of the process, however it comes, gives it back.

    Raises ``BusyError`` where another update runs, ``UpdateError`` where one may not.
    """
    try:
        places.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(places.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except PermissionError:
        raise UpdateError(
            f"{places.root} may not be written; run it with sudo, or as the user {USER}."
        ) from None
    except OSError as problem:
        raise UpdateFailedError(
            f"{places.root}: cannot be written ({problem.strerror}); check the disk."
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"{places.root}: another update is running; wait until it has ended, or end it: "
                "sudo systemctl stop purga-update."
            ) from None
        yield
    finally:
        os.close(handle)


def become_owner(places: Places) -> None:
    """As root: go on as the user that the folder of updates belongs to.

    So nothing that root leaves there is out of the update's own reach later, and what comes from
    elsewhere is never opened with root's rights.
    """
    if os.geteuid() != 0:
        return
    try:
        owner = places.root.stat()
    except OSError:
        return
    if owner.st_uid == 0:
        return
    os.umask(0o022)
    with suppress(KeyError, PermissionError):
        os.initgroups(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
