"""The pedal starts by itself: dry at once, wet soon after; sandboxed; deaf to the network."""

import subprocess
from typing import Any

from hil.virtual.guest.bench import UNITS, Bench
from hil.virtual.scenarios.report import check, fact

# The update fetches: a process with a network is exposed by that alone.
_EXPOSURE = {
    "purga-audio": 2.0,
    "purga-engine": 2.0,
    "purga-control": 2.0,
    "purga-update": 2.0,
}
_OTHERS = 1.0
_GIVEN = "/srv/purga/presets"
"""What provisioning was given when the image was made."""
_CHECK = ["/opt/purga/.venv/bin/python", "-m", "deploy", "provision", "--check"]
_CHECK += ["--config", f"{_GIVEN}/pedal.toml", "--presets", _GIVEN]
DRY_LIMIT_S, WET_LIMIT_S = 5.0, 15.0


def run(bench: Bench) -> dict[str, Any]:
    """What systemd and the meters say about a boot."""
    bench.wait("playing", bench.plays, 60.0)
    started_s = (
        int(bench.systemctl("show", "-P", "InactiveExitTimestampMonotonic", "purga-audio.service"))
        / 1e6
    )
    process_s = (
        int(bench.systemctl("show", "-P", "ExecMainStartTimestampMonotonic", "purga-audio.service"))
        / 1e6
    )
    lead_s = process_s - started_s
    dry_s = lead_s + bench.value("dry_after_ms") / 1000.0
    wet_s = lead_s + bench.value("wet_after_ms") / 1000.0
    group = "start of the unit"
    checks = [
        check("start-dry", group, "until the dry guitar sounds", DRY_LIMIT_S, dry_s, "s"),
        check("start-wet", group, "until the preset sounds", WET_LIMIT_S, wet_s, "s"),
        check(
            "start-dry-first",
            group,
            "periods played dry while presets loaded",
            1,
            bench.value("loading_periods"),
            "",
            least=True,
        ),
    ]
    checks += _security(bench)
    checks += _network()
    provision = subprocess.run(
        _CHECK,
        cwd="/opt/purga",
        capture_output=True,
        text=True,
        check=False,
    )
    checks.append(
        fact(
            "provision-check",
            "provisioning",
            "`provision --check` finds nothing missing",
            provision.returncode == 0,
            note=(provision.stdout + provision.stderr)[-300:],
        )
    )
    return {
        "checks": checks,
        "figures": {"boot": bench.systemctl("show", "-P", "FinishTimestampMonotonic")},
    }


def _security(bench: Bench) -> list[dict[str, Any]]:
    listed = bench.systemctl("list-unit-files", "--no-legend", "purga*.service").split("\n")
    units = sorted({line.split()[0] for line in listed if line} | set(UNITS))
    checks = []
    for unit in units:
        if unit.endswith("@.service"):
            unit = unit.replace("@.", "@audio.")
        done = subprocess.run(
            ["systemd-analyze", "security", "--no-pager", unit],
            capture_output=True,
            text=True,
            check=False,
        )
        words = done.stdout.rsplit("Overall exposure level for", 1)[-1].split()
        score = float(words[1]) if len(words) > 1 else None
        limit = _EXPOSURE.get(unit.split(".")[0].split("@")[0], _OTHERS)
        checks.append(
            check(
                f"security-{unit}",
                "sandboxing",
                f"`systemd-analyze security {unit}`",
                limit,
                score,
                "",
            )
        )
    return checks


def _network() -> list[dict[str, Any]]:
    done = subprocess.run(["ss", "-Hltun"], capture_output=True, text=True, check=False)
    ports = [line for line in done.stdout.splitlines() if line.strip()]
    return [
        check(
            "network",
            "sandboxing",
            "listening network ports",
            0,
            len(ports),
            "",
            note="; ".join(ports)[:200],
        )
    ]
