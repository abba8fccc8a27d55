"""The machine that is being provisioned: its folders, and what is run on it."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from deploy.provision.errors import ProvisionError

SOURCE = Path(__file__).resolve().parents[2]
TARGET = Path("/opt/purga")
SETTINGS = Path("/etc/purga")
CACHE = Path("/var/cache/purga")
USER = "purga"
SYSCTL = Path("/usr/lib/systemd/systemd-sysctl")
"""The service manager's own; the other is in a package that a small system does without."""

RUN_TIMEOUT_S = 3600.0


class Run(Protocol):
    """Run a command to its end and give what it printed. Raises ``ProvisionError``."""

    def __call__(
        self,
        command: Sequence[object],
        *,
        user: str | None = None,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        answer: str = "",
        shown: bool = False,
    ) -> str:
        """As ``user`` (None: root), in ``folder``, with ``answer`` on its standard input.

        ``shown`` lets the person read its output as it comes, instead of giving it back.
        """


def run_command(
    command: Sequence[object],
    *,
    user: str | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    answer: str = "",
    shown: bool = False,
) -> str:
    """See ``Run``."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            input=answer,
            stdout=None if shown else subprocess.PIPE,
            stderr=None if shown else subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
    except (OSError, LookupError, subprocess.TimeoutExpired) as error:
        raise ProvisionError(f"{words[0]} could not be run: {error}") from None
    if done.returncode != 0:
        said = "" if shown else (done.stderr.strip() or done.stdout.strip())
        last = said.splitlines()[-1] if said else "its lines above say why"
        raise ProvisionError(f"{' '.join(words)} ended with {done.returncode}: {last}")
    return done.stdout or ""


@dataclass(frozen=True)
class Machine:
    """Where the pedal goes on a machine, what goes there, and how commands are run."""

    target: Path = TARGET
    """Folder of the code and its environment; the units name it."""
    source: Path = SOURCE
    """The project that is installed."""
    config: Path | None = None
    """A ``pedal.toml`` for a machine that has none; by default the project's."""
    presets: Path | None = None
    """A folder of presets for it; by default the project's."""
    cpus: tuple[int, ...] | None = None
    """Processors that audio has to itself; by default those of ``[audio] cpus``."""
    root_json: Path | None = None
    """A root of trust for updates; by default the project's, where it ships one."""
    root: Path = Path("/")
    """Of the file system; another one in tests only."""
    run: Run = field(default=run_command)

    def path(self, absolute: Path | str) -> Path:
        """A path of the machine, such as ``/etc/purga``, as it is found from here."""
        return self.root / str(absolute).lstrip("/")

    @property
    def home(self) -> Path:
        """The folder of the code, as it is found from here."""
        return self.path(self.target)

    @property
    def python(self) -> Path:
        """The interpreter that the pedal runs with."""
        return self.home / ".venv" / "bin" / "python"

    @property
    def pedal_toml(self) -> Path:
        """The player's file, on the machine."""
        return self.path(SETTINGS / "pedal.toml")

    @property
    def given_config(self) -> Path:
        """The ``pedal.toml`` that a machine without one is given."""
        return self.config or self.source / "deploy" / "units" / "pedal.toml"

    @property
    def given_presets(self) -> Path:
        """The presets that a machine is given where it has none of that name."""
        return self.presets or self.source / "device" / "presets"

    @property
    def given_root(self) -> Path | None:
        """The root of trust that a machine without one is given; None where nobody gave any."""
        shipped = self.source / "deploy" / "root.json"
        return self.root_json or (shipped if shipped.is_file() else None)

    @property
    def booted(self) -> bool:
        """Whether the service manager runs: not while an image is built."""
        return self.path("/run/systemd/system").is_dir()

    @property
    def is_jetson(self) -> bool:
        """Whether it is an NVIDIA Jetson, by its release file or its device tree."""
        compatible = self.path("/proc/device-tree/compatible")
        try:
            return b"nvidia,tegra" in compatible.read_bytes()
        except OSError:
            return self.path("/etc/nv_tegra_release").exists()

    @property
    def kernel(self) -> str:
        """What runs: release and version."""
        about = platform.uname()
        return f"{about.release} {about.version}"
