"""An update in a process of its own, to be killed.

``python -m tests.deploy.attacks.child ROOT URL``. The clock is as the template's repository has it.
"""

import sys
from pathlib import Path

from tests.deploy.attacks.pedal import Pedal
from tests.deploy.publisher.repository import NOW


def main(root: str, url: str) -> int:
    """Update once, and say how it ended."""
    pedal = Pedal(Path(root), NOW)
    told = pedal.get(pedal.http(url))
    print(told.said)
    return told.code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
