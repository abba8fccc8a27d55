"""Campaigns as one runs them: in a process of their own, which moves into mounts of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hil.powercut.disk import why_not

ROOT = Path(__file__).resolve().parents[3]


def campaign(*arguments: str, expected: int = 0) -> dict[str, Any]:
    """The figures of ``python -m hil.powercut``; skips where no power can be cut."""
    (figures,) = side_by_side(arguments, expected=expected)
    return figures


def few(*runs: tuple[str, ...]) -> list[dict[str, Any]]:
    """The figures of ``tests.hil.powercut.few``, several at once."""
    return _figures([sys.executable, "-m", "tests.hil.powercut.few"], runs)


def side_by_side(*runs: tuple[str, ...], expected: int = 0) -> list[dict[str, Any]]:
    """The figures of several campaigns at once: most of a cut is waiting for a disk."""
    return _figures([sys.executable, "-m", "hil.powercut", "--json"], runs, expected)


def _figures(
    command: list[str], runs: tuple[tuple[str, ...], ...], expected: int = 0
) -> list[dict[str, Any]]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    children = [
        subprocess.Popen(
            [*command, *run], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        for run in runs
    ]
    figures = []
    for child in children:
        out, err = child.communicate()
        if child.returncode not in (0, 1) or not out:
            if "no mounts of its own" in err or "does not mount" in err:
                pytest.skip(err.strip())
            raise AssertionError(err)
        assert child.returncode == expected, out + err
        figures.append(json.loads(out.splitlines()[-1]))
    return figures
