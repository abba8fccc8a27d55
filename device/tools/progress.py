"""Bars of what takes a while; not drawn where stderr is no terminal."""

from typing import Any

from tqdm import tqdm


def sound_bar(what: str, duration_s: float, shown: bool = True) -> "tqdm[Any]":
    """A bar on stderr that counts seconds of sound."""
    return tqdm(
        total=round(duration_s),
        unit="s",
        desc=what,
        disable=None if shown else True,
        bar_format="{l_bar}{bar}| {n:.0f}/{total} s of sound, {remaining} left",
    )


def count_bar(what: str, total: int) -> "tqdm[Any]":
    """A bar on stderr that counts things; drawn once a second has gone by, then removed."""
    return tqdm(total=total, desc=what, disable=None, delay=1.0, leave=False)
