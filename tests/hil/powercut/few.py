"""As many cuts as `make test-whole` has time for; ``python -m hil.powercut`` makes the others.

Every boundary, for one way of the kernel or for none, and some random moments. In a process of its
own, as the whole campaign is: it moves into mounts of its own.
"""

import json
import sys
from collections.abc import Sequence

from hil.powercut.__main__ import SUBJECTS
from hil.powercut.campaign import KERNELS, Campaign
from hil.powercut.disk import Rig
from models.errors import PurgaError


def main(argv: Sequence[str]) -> int:
    """``SUBJECT KERNEL CUTS [MOUNT OPTION …]``; KERNEL is ``none`` for no boundaries.

    Prints the figures of ``hil.powercut --json``. Returns 0 where every disk was sound, else 1.
    """
    subject, kernel, cuts, *options = argv
    try:
        with Rig(options) as rig:
            campaign = Campaign(rig, SUBJECTS[subject](), seed=1)
            for each in KERNELS:
                if each == kernel:
                    campaign.every_boundary(each)
            campaign.at_random(int(cuts))
    except PurgaError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    tally = campaign.tally
    figures = {
        "subject": subject,
        "mount_options": options,
        "cuts": tally.cuts,
        "boundaries": sum(tally.calls.values()),
        "states": tally.states,
        "sound": tally.sound,
        "faults": dict(tally.faults),
        "examples": tally.examples,
        "calls": dict(tally.calls),
    }
    print(json.dumps(figures))
    return 0 if tally.sound == tally.cuts else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
