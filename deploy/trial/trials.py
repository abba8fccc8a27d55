"""The parent's side of inspecting, building and testing a models slot: it opens nothing foreign."""

import sys
from pathlib import Path

from deploy.errors import UpdateError, UpdateFailedError
from deploy.release import Release
from deploy.trial.confined import Ended, run_child, told
from deploy.trial.files import check_files
from deploy.trial.limits import Here, Limits, packed
from deploy.trial.verdict import Figures, Verdict, one_line

_HERE, _LIMITS = Here(), Limits()


def inspect(folder: Path, release: Release, here: Here = _HERE, limits: Limits = _LIMITS) -> None:
    """Refuse an assembled models slot that is not its release, or that holds what may not play.

    First the files: exactly those that are named, with their sizes and hashes, no links, devices
    or foreign folders. Then, in a process of their own, what is in them: the stage network's
    signature and numbers, the studio bundle's manifest, presets and all that they play.

    Raises ``UpdateError`` with one sentence, ``UpdateFailedError`` where it could not be looked at.
    """
    if release.component != "models":
        raise UpdateError(f"{folder}: is a release of {release.component}, expected models.")
    check_files(folder, release)
    ended = _child("inspect", folder, limits, here, limits.wall_s)
    _raise(ended, "The inspection of the slot")


def build_engines(folder: Path, here: Here = _HERE, limits: Limits = _LIMITS) -> dict[str, str]:
    """Build this device's engines into an inspected slot, at idle priority; gives their SHA-256.

    With TensorRT these are plans in ``folder/plans``; without, nothing is built, and the hashes
    are those of the graphs that ONNX Runtime is given. Keys say which file, and what runs it.

    Raises ``UpdateError`` for a model that does not load, ``UpdateFailedError`` where plans could
    not be built now.
    """
    ended = _child("build", folder, limits, here, limits.build_s)
    return {name: str(value) for name, value in _raise(ended, "Building the engines").items()}


def self_test(folder: Path, limits: Limits = _LIMITS, here: Here = _HERE) -> Verdict:
    """Play the riff through everything that an inspected slot brings, in a process of its own.

    Never raises: a child that crashes, is killed or runs out of memory or time is a verdict.
    """
    ended = _child("test", folder, limits, here, limits.wall_s)
    if ended.answer is None:
        figures: Figures = {"trial_s": round(ended.seconds, 1)}
        return Verdict(False, told("The self-test", ended), figures, again=ended.again)
    figures = {**ended.answer.get("figures", {}), "trial_s": round(ended.seconds, 1)}
    if ended.answer.get("ok") is True:
        return Verdict(True, "The self-test found nothing wrong.", figures)
    return Verdict(False, one_line(str(ended.answer.get("why", ""))), figures)


def _child(job: str, folder: Path, limits: Limits, here: Here, wall_s: float) -> Ended:
    settings = packed(limits, here)
    command = [sys.executable, "-m", "deploy.trial.child", job, str(folder.absolute()), settings]
    return run_child(command, wall_s)


def _raise(ended: Ended, what: str) -> Figures:
    """The figures of a child that found nothing wrong; raises what it says otherwise."""
    if ended.answer is None:
        failed = UpdateFailedError if ended.again else UpdateError
        raise failed(told(what, ended))
    if ended.answer.get("ok") is not True:
        failed = UpdateFailedError if ended.answer.get("failed") is True else UpdateError
        raise failed(one_line(str(ended.answer.get("why", ""))))
    figures: Figures = ended.answer.get("figures", {})
    return figures
