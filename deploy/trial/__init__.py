"""Whether what was fetched may play: inspected, built, tried on sound, watched while it plays.

``inspect`` → ``build_engines`` → ``self_test`` → (activated) → ``Probation``.
"""

from deploy.trial.files import check_files
from deploy.trial.limits import Here, Limits, here_of
from deploy.trial.probation import Probation
from deploy.trial.trials import build_engines, inspect, self_test
from deploy.trial.verdict import Verdict
from deploy.trial.watched import WatchLimits

__all__ = [
    "Here",
    "Limits",
    "Probation",
    "Verdict",
    "WatchLimits",
    "build_engines",
    "check_files",
    "here_of",
    "inspect",
    "self_test",
]
