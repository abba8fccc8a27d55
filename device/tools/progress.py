"""The bar of whatever takes as long as a sound."""

from typing import Any

from tqdm import tqdm


def sound_bar(what: str, duration_s: float, shown: bool = True) -> "tqdm[Any]":
    """A bar on stderr that counts seconds of sound; not drawn where stderr is no terminal."""
    return tqdm(
        total=round(duration_s),
        unit="s",
        desc=what,
        disable=None if shown else True,
        bar_format="{l_bar}{bar}| {n:.0f}/{total} s of sound, {remaining} left",
    )
