"""What the machine itself needs: Debian packages, the user, units and the files of /etc."""

import grp
import os
import pwd
from pathlib import Path

from deploy.places import COMPONENTS, Places
from deploy.places import USER as UPDATES
from deploy.provision.errors import ProvisionError
from deploy.provision.machine import CACHE, SYSCTL, USER, Machine
from deploy.provision.whole import differs, files_below, put

_APT = (
    *("apt-get", "-qq", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300"),
    *("-o", "Dpkg::Use-Pty=0"),
)

PACKAGES = {
    "systemd-sysusers": "systemd",
    "systemd-tmpfiles": "systemd",
    "init": "systemd-sysv",
    "udevadm": "udev",
    "modprobe": "kmod",
    "python3": "python3",
}
"""What has to be there, and the package that brings it; compilers are host-setup's affair."""

_BINARIES = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")


def _packages_wanted(machine: Machine) -> list[str]:
    absent = [
        package
        for name, package in PACKAGES.items()
        if not any(machine.path(f"{folder}/{name}").exists() for folder in _BINARIES)
    ]
    return sorted(set(absent))


def packages_missing(machine: Machine) -> str | None:
    """Which Debian packages are wanted."""
    names = _packages_wanted(machine)
    return f"{', '.join(names)} not installed" if names else None


def install_packages(machine: Machine) -> None:
    """Install them from the machine's own mirrors."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    machine.run([*_APT, "update"], environment=quiet)
    install = [*_APT, "install", "-y", "--no-install-recommends", *_packages_wanted(machine)]
    machine.run(install, environment=quiet)


CURRENT = Path("/run/purga-firmware/current")
"""Leads to the firmware that the services run; made at boot."""

# ---- files --------------------------------------------------------------------------------------

_UNITS = Path("/etc/systemd/system")
_UNIT_KINDS = frozenset({".mount", ".service", ".socket", ".target", ".timer"})


def place_of(inside: Path) -> Path | None:
    """Where a file of ``deploy/units`` goes on a machine; None for one that only others read."""
    if inside.parts[0] == "etc":
        return Path("/") / inside
    if inside.suffix in _UNIT_KINDS or inside.parts[0].endswith(".service.d"):
        return _UNITS / inside
    return None


def host_files(machine: Machine) -> dict[Path, bytes]:
    """Every file that provisioning owns on the machine, and what it has to hold."""
    folder = machine.source / "deploy" / "units"
    files = {}
    for inside in files_below(folder):
        place = place_of(inside)
        if place is None:
            continue
        text = (folder / inside).read_text()
        files[machine.path(place)] = text.replace("/opt/purga", str(machine.target)).encode()
    return files


def _is_users(path: Path) -> bool:
    return path.parent.name == "sysusers.d"


def _differing(machine: Machine, users: bool) -> list[Path]:
    files = host_files(machine).items()
    return [path for path, text in files if _is_users(path) is users and differs(path, text)]


def files_missing(machine: Machine) -> str | None:
    """Which units and settings are not as they are here."""
    return _named(_differing(machine, users=False))


def _named(paths: list[Path]) -> str | None:
    if not paths:
        return None
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{', '.join(path.name for path in paths[:3])}{more} not installed as they are here"


def put_files(machine: Machine) -> None:
    """Install units and settings, and have a running machine take them over."""
    files = host_files(machine)
    changed = _differing(machine, users=False)
    for path in changed:
        put(path, files[path])
    if not machine.booted:
        return
    folders = {path.parent.name for path in changed}
    machine.run(["systemctl", "daemon-reload"])
    if "rules.d" in folders and machine.path("/run/udev/control").exists():
        machine.run(["udevadm", "control", "--reload"])
        for subsystem in ("sound", "gpio", "spidev", "i2c-dev"):
            machine.run(["udevadm", "trigger", f"--subsystem-match={subsystem}"])
    if "journald.conf.d" in folders:
        machine.run(["systemctl", "restart", "systemd-journald.service"])
    if "system.conf.d" in folders:
        machine.run(["systemctl", "daemon-reexec"])
    if "sysctl.d" in folders:
        machine.run([SYSCTL, "/etc/sysctl.d/60-purga.conf"])
    if "modules-load.d" in folders:
        _load_modules(machine)


def _load_modules(machine: Machine) -> None:
    lines = machine.path("/etc/modules-load.d/purga.conf").read_text().splitlines()
    for module in (line for line in lines if line and not line.startswith("#")):
        try:
            machine.run(["modprobe", module])
        except ProvisionError:
            continue  # a kernel without it; the steps about the hardware say what that means


# ---- user and folders ---------------------------------------------------------------------------


def user_missing(machine: Machine) -> str | None:
    """Whether the pedal and its updates have users, and the groups that units name."""
    changed = _named(_differing(machine, users=True))
    if changed is not None:
        return changed
    try:
        for line in machine.path("/etc/sysusers.d/purga.conf").read_text().splitlines():
            if line.startswith("u "):
                pwd.getpwnam(line.split()[1])
            if line.startswith("g "):
                grp.getgrnam(line.split()[1])
            if line.startswith("m "):
                _, user, group = line.split()
                if user not in grp.getgrnam(group).gr_mem:
                    return f"{user} is not in the group {group}"
    except KeyError as error:
        return f"{error.args[0]}"
    return None


def make_user(machine: Machine) -> None:
    """Have the service manager's tool make user and groups; those that are there it leaves."""
    files = host_files(machine)
    for path in _differing(machine, users=True):
        put(path, files[path])
    machine.run(["systemd-sysusers", "purga.conf"])


def folders_missing(machine: Machine) -> str | None:
    """Whether the pedal has its folders."""
    places = Places()
    theirs = (places.root, places.trusted_root.parent, *map(places.slots, COMPONENTS))
    owners = {USER: (CACHE, Path("/var/lib/purga")), UPDATES: theirs}
    for owner, folders in owners.items():
        try:
            user = pwd.getpwnam(owner).pw_uid
        except KeyError:
            return f"the user {owner} is missing"
        for name in folders:
            path = machine.path(name)
            if not path.is_dir() or path.stat().st_uid != user:
                return f"{name} is missing or not {owner}'s"
    if machine.booted and not os.path.lexists(machine.path(CURRENT)):
        return f"{CURRENT} is missing"
    return None


def make_folders(machine: Machine) -> None:
    """Have the service manager's tool make them; /sys is another machine's in an image."""
    machine.run(["systemd-tmpfiles", "--create", "purga.conf"])


# ---- services -----------------------------------------------------------------------------------

SERVICES = (
    "purga.target",
    "purga-audio.socket",
    "purga-audio.service",
    "purga-control.service",
    "purga-slots.service",
    "purga-alive.timer",
    "purga-update.timer",
)
STUDIO_SERVICES = ("purga-studio.socket", "purga-engine.service")
"""Only where ``pedal.toml`` names a bundle."""


def _systemctl(machine: Machine, *words: str) -> str:
    offline = {} if machine.booted else {"SYSTEMD_OFFLINE": "1"}
    return machine.run(["systemctl", *words], environment=offline)


def _is_enabled(machine: Machine, name: str) -> bool:
    wants = ("multi-user.target.wants", "purga.target.wants")
    return any(os.path.lexists(machine.path(_UNITS / folder / name)) for folder in wants)


def services_missing(machine: Machine) -> str | None:
    """Which services would not start with the machine, or do not run."""
    wanted, unwanted = _wanted_services(machine)
    absent = [name for name in wanted if not _is_enabled(machine, name)]
    if absent:
        return f"{', '.join(absent)} not enabled"
    surplus = [name for name in unwanted if _is_enabled(machine, name)]
    if surplus:
        why = "though pedal.toml names no bundle and no update can bring one"
        return f"{', '.join(surplus)} enabled, {why}"
    if machine.booted:
        try:
            _systemctl(machine, "--quiet", "is-active", "purga.target")
        except ProvisionError:
            return "purga.target is not started"
    return None


def enable_services(machine: Machine) -> None:
    """Have them start with the machine; on one that runs, start them now."""
    wanted, unwanted = _wanted_services(machine)
    surplus = [name for name in unwanted if _is_enabled(machine, name)]
    if surplus:
        _systemctl(machine, "disable", *surplus)
    _systemctl(machine, "enable", *wanted)
    if machine.booted:
        _systemctl(machine, "start", "purga.target")


def restart_services(machine: Machine) -> None:
    """Have running services take over what has changed; all of them are parts of the target."""
    _systemctl(machine, "restart", "purga.target")


def _wanted_services(machine: Machine) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from deploy.provision.settings import player_settings

    named = player_settings(machine).get("studio", {}).get("bundle")
    # Where updates are taken one may bring a bundle; until then the engine waits for it.
    if named or machine.path(Places().trusted_root).exists():
        return SERVICES + STUDIO_SERVICES, ()
    return SERVICES, STUDIO_SERVICES


# ---- what else the machine does -----------------------------------------------------------------

UPGRADES = ("apt-daily.timer", "apt-daily-upgrade.timer")
"""Upgrades that come by themselves: they take the disk and the processors, restart services, and
may do so in the middle of a song."""


def _unmasked(machine: Machine) -> list[str]:
    return [
        name
        for name in UPGRADES
        if machine.path(f"/lib/systemd/system/{name}").exists()
        and not _is_masked(machine.path(_UNITS / name))
    ]


def _is_masked(path: Path) -> bool:
    return path.is_symlink() and str(path.readlink()) == "/dev/null"


def upgrades_happen(machine: Machine) -> str | None:
    """Whether the machine would upgrade itself while one plays."""
    names = _unmasked(machine)
    return f"{', '.join(names)} may run while one plays" if names else None


def stop_upgrades(machine: Machine) -> None:
    """Leave upgrades to whoever asks for them."""
    now = ("--now",) if machine.booted else ()
    _systemctl(machine, "mask", *now, *_unmasked(machine))
