"""The virtual pedal's root file system: Debian, and the pedal installed by its own provisioning.

Three layers, each kept by the hash of what it is made of: Debian's packages; on them the pedal as
``python -m deploy provision`` leaves it, kept by what is installed; and the same once more with
the code as it is now, which is quick because provisioning is idempotent.
"""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from hil.virtual.cache import digest, kept, scratch
from hil.virtual.errors import VirtualError
from hil.virtual.kernel import Kernel, unpack_modules
from hil.virtual.steps import run, say

ROOT = Path(__file__).resolve().parents[2]
_GUEST = Path(__file__).parent / "guest"
_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "udev",
    "dbus",
    "kmod",
    "procps",
    "iproute2",
    "ca-certificates",
    "python3",
    "python3-venv",
    "alsa-utils",
    "i2c-tools",
)
"""What a bare machine has, and what the bench needs beside it; the pedal's own are provisioned."""

_PRODUCT = ("models", "device", "build", "deploy", "requirements", "pyproject.toml", "LICENSE")
_SOURCE = "srv/purga"
"""Where provisioning finds the project in the image."""

_SIZE = "6G"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_CHROOT = """
set -eu
mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"; mount -t sysfs sysfs "$1/sys"
mount -t tmpfs tmpfs "$1/run"
root=$1; shift
exec chroot "$root" "$@"
"""


def image(built: Kernel) -> Path:
    """A disk image (ext4) of the pedal as the project's files are now, with this kernel's modules.

    Raises ``VirtualError``; needs root, as a root file system's files belong to it.
    """
    if os.geteuid() != 0:
        raise VirtualError("the virtual pedal's image is built by root; run make hil as root")
    base = _base()
    files = project_files()
    installed = _installed(base, files)
    key = digest([base.name, installed.name, built.image, *_named(files), *_bench_files()])

    def build(target: Path) -> None:
        with scratch("image") as name:
            root = Path(name) / "root"
            run("copying the installed pedal", ["cp", "-a", installed / "root", root])
            _provision(root, files)
            unpack_modules(built, root)
            _add_bench(root)
            disk = target / "pedal.ext4"
            run("making the image", ["mke2fs", "-q", "-t", "ext4", "-d", root, disk, _SIZE])

    return kept("image", key, build) / "pedal.ext4"


def project_files() -> list[Path]:
    """The product's files as they lie here, ignored ones left out, relative to the project."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *_PRODUCT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise VirtualError(f"{ROOT}: is no git checkout, so what belongs to it cannot be told")
    return [Path(line) for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def _named(files: list[Path]) -> list[str | Path]:
    parts: list[str | Path] = []
    for file in files:
        parts += [str(file), ROOT / file]
    return parts


def _bench_files() -> list[Path]:
    return sorted(path for path in (_GUEST / "image").rglob("*") if path.is_file())


def _base() -> Path:
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    sources = _debian_sources()
    key = digest([suite, sources, *_PACKAGES])

    def build(target: Path) -> None:
        command = ["mmdebstrap", "--mode=root", "--variant=minbase"]
        command += [f"--include={','.join(_PACKAGES)}", suite, str(target / "root"), "-"]
        run(f"fetching Debian {suite} (about a minute)", command, text=sources)

    return kept("base", key, build)


def _debian_sources() -> str:
    """The machine's own mirror of its own distribution, as lines of a sources.list."""
    origin = platform.freedesktop_os_release()["ID"].capitalize()
    line = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    command = ["apt-get", "indextargets", "--format", line, "Created-By: Packages"]
    done = subprocess.run(
        [*command, f"Origin: {origin}"], capture_output=True, text=True, check=False
    )
    lines = sorted(set(done.stdout.split("\n")) - {""})
    if done.returncode != 0 or not lines:
        raise VirtualError(f"apt-get knows no mirror of {origin}; run apt-get update once, as root")
    return "\n".join(lines) + "\n"


def _installed(base: Path, files: list[Path]) -> Path:
    """The pedal as provisioned once with these requirements, whatever its code was."""
    deciding = [each for each in files if each.parts[0] in ("requirements", "pyproject.toml")]
    deciding += [Path("deploy/host-setup")]
    key = digest([base.name, *_named(deciding)])

    def build(target: Path) -> None:
        run("copying Debian", ["cp", "-a", base / "root", target / "root"])
        _provision(target / "root", files)

    return kept("installed", key, build)


def _provision(root: Path, files: list[Path]) -> None:
    source = root / _SOURCE
    shutil.rmtree(source, ignore_errors=True)
    # A player's settings are never overwritten; here nobody has any.
    shutil.rmtree(root / "etc" / "purga", ignore_errors=True)
    for file in files:
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, source / file)
    shutil.copytree(_GUEST / "image" / "presets", source / "presets")
    # What a machine has on its network anyway: names, and whom to trust.
    for path in (Path("/etc/resolv.conf"), _CERTIFICATES):
        if path.exists():
            there = root / path.relative_to("/")
            there.parent.mkdir(parents=True, exist_ok=True)
            there.unlink(missing_ok=True)
            shutil.copy(path.resolve(), there)
    inside = ["env", "-C", f"/{_SOURCE}", "/usr/bin/python3", "-m", "deploy", "provision"]
    inside += ["--config", f"/{_SOURCE}/presets/pedal.toml", "--presets", f"/{_SOURCE}/presets"]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not re.match(r"(VIRTUAL_ENV|PYTHON|XDG_|CACHE_|TMPDIR|MAKE|PATH$)", name)
    }
    environment |= {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    script = ["sh", "-c", _CHROOT, "sh"]
    run(
        "installing the pedal (python -m deploy provision)",
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", *script, root, *inside],
        env=environment,
    )


def _add_bench(root: Path) -> None:
    """What the bench adds to the product: simulated hardware before it starts, and its agent."""
    shutil.copytree(_GUEST / "image" / "files", root, dirs_exist_ok=True)
    wants = root / "etc/systemd/system"
    for unit, target in (
        ("bench-hardware.service", "sysinit.target.wants"),
        ("bench-agent.service", "multi-user.target.wants"),
    ):
        (wants / target).mkdir(exist_ok=True)
        (wants / target / unit).symlink_to(f"../{unit}")
    (root / "etc/machine-id").write_text("f" * 31 + "1\n")
    say("image: the bench's hardware and agent added")
