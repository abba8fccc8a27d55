"""Which units and settings of the machine a firmware was made for: only provisioning brings those.

They are root's; the code of a slot is not. So a release names the hash of its own, provisioning
notes the hash of what it installed, and firmware for others has to be provisioned.
"""

import hashlib
from pathlib import Path

from deploy.provision.host import place_of
from deploy.provision.whole import files_below

TOOL = Path("/usr/local/lib/purga-slots")
"""What runs at boot, outside of all slots; the hash of the installed units lies there."""
NOTE = "units.sha256"


def units_sha256(source: Path) -> str:
    """The hash of what the units and settings below ``source`` say; comments do not count."""
    total = hashlib.sha256()
    folder = source / "deploy" / "units"
    for inside in files_below(folder):
        place = place_of(inside)
        if place is None:
            continue
        lines = (line.strip() for line in (folder / inside).read_text().splitlines())
        said = [line for line in lines if line and not line.startswith(("#", ";"))]
        total.update(f"{place}\n{len(said)}\n".encode() + "".join(f"{s}\n" for s in said).encode())
    return total.hexdigest()


def installed_units(tool: Path = TOOL) -> str | None:
    """The hash of what provisioning installed here; None where it did not."""
    try:
        return (tool / NOTE).read_text().strip() or None
    except OSError:
        return None
