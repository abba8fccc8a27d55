"""What the board itself has to offer: real-time kernel, power mode, SPI, I2C and pins."""

import gzip
import os
import re
from pathlib import Path

from deploy.provision.errors import ProvisionError
from deploy.provision.machine import SYSCTL, Machine
from deploy.provision.settings import player_settings
from deploy.provision.whole import differs, put

_MODE = re.compile(r"POWER_MODEL:?\s*ID=(\d+)\s+NAME=(\S+)")
_NOW = re.compile(r"NV Power Mode:\s*(\S+)")


def not_a_running_jetson(machine: Machine) -> str | None:
    """Why a step about the board has no meaning here."""
    if not machine.is_jetson:
        return "this is no Jetson"
    return None if machine.booted else "the machine does not run; this is its image"


def not_running(machine: Machine) -> str | None:
    """Why the kernel here says nothing about the pedal's."""
    return None if machine.booted else "the machine does not run; this is its image"


# ---- the kernel ---------------------------------------------------------------------------------


def realtime_kernel_missing(machine: Machine) -> str | None:
    """Whether the kernel is a real-time one, by its own word."""
    flag = machine.path("/sys/kernel/realtime")
    realtime = flag.exists() and flag.read_text().strip() == "1"
    if realtime or "PREEMPT_RT" in machine.kernel:
        return None
    how = "NVIDIA's nvidia-l4t-rt-kernel" if machine.is_jetson else "Debian's linux-image-rt"
    return f"the kernel is not a real-time one (PREEMPT_RT): short periods may drop out ({how})"


_SHARE = Path("/etc/sysctl.d/61-purga-realtime.conf")
_SHARE_TEXT = b"""\
# This kernel gives each group of processes its own share of real time, none by default, and so
# refuses SCHED_FIFO to every service. Without a limit it does not ask.
kernel.sched_rt_runtime_us = -1
"""


def _kernel_config(machine: Machine) -> str:
    """How the running kernel was configured; empty where it does not say."""
    packed = machine.path("/proc/config.gz")
    plain = machine.path(f"/boot/config-{machine.kernel.split()[0]}")
    try:
        return (
            gzip.decompress(packed.read_bytes()).decode() if packed.exists() else plain.read_text()
        )
    except OSError:
        return ""


def shares_no_realtime(machine: Machine) -> str | None:
    """Why services may have real-time priorities as it is."""
    reason = not_running(machine)
    if reason is not None:
        return reason
    grouped = "CONFIG_RT_GROUP_SCHED=y" in _kernel_config(machine).splitlines()
    return None if grouped else "the kernel gives it to whoever the service manager lets"


def realtime_share_missing(machine: Machine) -> str | None:
    """Whether the kernel refuses services real-time priorities."""
    if differs(machine.path(_SHARE), _SHARE_TEXT):
        return "the kernel shares real time among groups (RT_GROUP_SCHED) and gives services none"
    return None


def grant_realtime_share(machine: Machine) -> None:
    """Take the limit away, now and at every start."""
    put(machine.path(_SHARE), _SHARE_TEXT)
    machine.run([SYSCTL, _SHARE])


# ---- power --------------------------------------------------------------------------------------


def power_modes(verbose: str) -> dict[str, str]:
    """Names and numbers of the modes, as ``nvpmodel -p --verbose`` prints them: boards differ."""
    return {name: number for number, name in _MODE.findall(verbose)}


def _fastest(machine: Machine) -> tuple[str, str] | None:
    modes = power_modes(machine.run(["nvpmodel", "-p", "--verbose"]))
    # Without a limit: MAXN_SUPER where the module has it, else MAXN. Budgets are in the names else.
    for name in ("MAXN_SUPER", "MAXN"):
        if name in modes:
            return name, modes[name]
    watts = [
        (int(found[1]), name) for name in modes if (found := re.match(r"(?:MODE_)?(\d+)W", name))
    ]
    if not watts:
        return None
    name = max(watts)[1]
    return name, modes[name]


def power_mode_missing(machine: Machine) -> str | None:
    """Whether the module could run faster than it does."""
    try:
        fastest = _fastest(machine)
        now = _NOW.search(machine.run(["nvpmodel", "-q"]))
    except ProvisionError as error:
        return f"the power mode cannot be read: {error}"
    if fastest is None or (now is not None and now[1] == fastest[0]):
        return None
    return f"the power mode is {now[1] if now else 'unknown'}, not {fastest[0]}"


def set_power_mode(machine: Machine) -> None:
    """Choose the fastest mode. One that needs a restart asks for it, and is told no: not now."""
    fastest = _fastest(machine)
    if fastest is not None:
        machine.run(["nvpmodel", "-m", fastest[1]], answer="no\n")


# ---- buses and pins -----------------------------------------------------------------------------


def _device_missing(machine: Machine, device: str, needed_by: str, remedy: str) -> str | None:
    if machine.path(device).exists():
        return None
    return f"{device} is missing, which {needed_by} needs: {remedy}"


def bus_missing(machine: Machine) -> str | None:
    """Whether the knob's converter has its bus."""
    settings = player_settings(machine)
    knob, adc = settings.get("knob", {}), settings.get("adc", {})
    kind = knob.get("kind", "mcp3008")
    if kind == "mcp3008":
        device = f"/dev/spidev{adc.get('spi_port', 0)}.{adc.get('spi_device', 0)}"
        remedy = "enable SPI on the header (sudo /opt/nvidia/jetson-io/jetson-io.py) and restart"
        return _device_missing(machine, device, "the knob's MCP3008", remedy)
    if kind == "ads1115":
        device = f"/dev/i2c-{adc.get('i2c_bus', 7)}"
        return _device_missing(
            machine, device, "the knob's ADS1115", "enable that bus, or name another"
        )
    return None


def pins_missing(machine: Machine) -> str | None:
    """Whether there are pins at all; which of them, the pin tables say."""
    if any(machine.path("/dev").glob("gpiochip*")):
        return None
    return "there is no /dev/gpiochip*, which footswitch, relay, heater and LEDs need"


def card_missing(machine: Machine) -> str | None:
    """Whether the interface that pedal.toml names is there now."""
    card = str(player_settings(machine).get("audio", {}).get("card", ""))
    found = re.search(r"CARD=([^,]+)", card)
    if found is None:
        return None
    if os.path.lexists(machine.path(Path("/proc/asound") / found[1])):
        return None
    return f"no interface called {found[1]} is plugged in; the pedal waits for it"
