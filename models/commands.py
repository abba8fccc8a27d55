"""What ``python -m models`` can do, each imported when it is called: training needs torch."""

from collections.abc import Mapping
from types import MappingProxyType

from models.command import Command

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
