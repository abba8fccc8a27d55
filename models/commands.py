"""What ``python -m models`` can do, each imported when it is called: training needs torch."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from models.errors import PurgaError


class PackageMissingError(PurgaError, ImportError):
    """A command whose packages are not installed."""


@dataclass(frozen=True)
class Command:
    """One command: where it lives, what it does, and what installs its packages."""

    module: str
    summary: str
    target: str

    def __call__(self, argv: Sequence[str]) -> int:
        """Run it; returns the exit status. Raises ``PurgaError`` for wrong input."""
        try:
            module = importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] == "models":
                raise
            raise PackageMissingError(
                f"The package {error.name} is not installed; {self.target} installs it."
            ) from error
        run = cast(Callable[[Sequence[str]], int], module.main)
        return run(argv)


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "evaluate": Command(
            "models.evaluate.command",
            "how near the tones in between come, against the crossfade",
            "make evaluate",
        ),
        "scores": Command(
            "models.evaluate.scores",
            "what listeners said: the files that the listening pages save, pooled",
            "make evaluate",
        ),
        "train": Command("models.stage.train", "train the stage network anew", "make train"),
    }
)
