"""``/etc/purga/update.toml``: where updates come from, and how much of them."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, TypeGuard
from urllib.parse import urlsplit

from deploy.errors import UpdateError
from deploy.places import COMPONENTS, Component
from device.table import Range, Size, read_table

MB = 1_000_000
_NAME = re.compile(r"(\w[\w-]{0,62}\.)*\w[\w-]{0,62}\.?")


@dataclass(frozen=True)
class Settings:
    """One device's settings; each has a default, so an empty file will do."""

    url: Annotated[str, Size(0, 500)] = ""
    """Of the folder that holds ``metadata/``, ``targets/`` and ``chunks/``; empty for none."""
    group: str = "all"
    """Of devices that get a release together; a release's rollout names groups."""
    components: tuple[Component, ...] = COMPONENTS
    budget_mb_per_month: Annotated[int, Range(0, 1_000_000)] = 200
    """Million bytes that runs by themselves may fetch in a month; 0: only when asked."""
    deadline_s: Annotated[float, Range(10, 86400)] = 3600.0
    """Spent on the link in one run."""
    automatic: bool = True
    """Whether the timer looks for updates; False leaves it to watch what was installed by hand."""

    def __post_init__(self) -> None:
        """Raise ``ValueError`` with the end of a sentence."""
        if self.url:
            check_url(self.url)
        if not re.fullmatch(r"[a-z0-9-]{1,40}", self.group):
            raise ValueError(f"group {self.group[:60]!r} must be 1 to 40 of a-z, 0-9 and -")
        if len(set(self.components)) != len(self.components):
            raise ValueError("components names one twice")


def check_url(url: str) -> None:
    """Raise ``ValueError`` for what is no address of a web server's folder."""
    try:
        parts = urlsplit(url)
        port_is_one = parts.port is None or parts.port > 0
    except ValueError:
        port_is_one = False
    # Line ends are dropped when an address is taken apart, but not when it is asked for.
    if not url.isprintable() or " " in url:
        raise ValueError(f"url {url[:60]!r} must have no blanks or control signs; a blank is %20")
    if not port_is_one or parts.scheme not in ("http", "https") or not _is_host(parts.hostname):
        raise ValueError(f"url {url[:60]!r} must begin with https:// or http:// and name a server")
    if not parts.hostname.isascii():
        raise ValueError(f"url {url[:60]!r} must name the server in ASCII, as xn--…")
    if parts.query or parts.fragment:
        raise ValueError(f"url {url[:60]!r} must be a folder, without ? and #")


def _is_host(name: str | None) -> TypeGuard[str]:
    """Whether that can be a server's name, in whatever letters, or its address."""
    if name is None or len(name) > 253:
        return False
    try:
        return bool(_NAME.fullmatch(name) or IPv6Address(name))
    except ValueError:
        return False


def read_settings(path: Path) -> Settings:
    """Read ``update.toml``; a file that is not there is all defaults. Raises ``UpdateError``."""
    if not path.exists():
        return Settings()
    return read_table(path, Settings, UpdateError, "file of update settings")
