"""What ``python -m build`` can do, each imported when it is called: checking needs no torch."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from build.errors import PackageMissingError

OURS = frozenset({"build", "device", "models"})


@dataclass(frozen=True)
class Command:
    """One command: where it lives, what it does, and what installs its packages."""

    module: str
    summary: str
    target: str = "deploy/host-setup build"

    def __call__(self, argv: Sequence[str]) -> int:
        """Run it; returns the exit status. Raises ``PurgaError`` for wrong input."""
        try:
            module = importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            # A module of ours that is missing is a defect, not a package to install.
            if (error.name or "").partition(".")[0] in OURS:
                raise
            raise PackageMissingError(
                f"The package {error.name} is not installed; {self.target} installs it."
            ) from error
        run = cast(Callable[[Sequence[str]], int], module.main)
        return run(argv)


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "fetch": Command(
            "build.fetch",
            "get the official weights, after asking; they are CC BY-NC 4.0",
            "deploy/host-setup music2latent",
        ),
        "bundle": Command(
            "build.bundle", "a checkpoint to a bundle: export, calibrate, quantise, check"
        ),
        "export": Command("build.export", "a checkpoint to fp32 graphs"),
        "calibrate": Command("build.calibrate", "the activations' ranges on real guitar"),
        "quantise": Command("build.quantise", "fp32 graphs to fp16 and int8 (Q/DQ) ones"),
        "check": Command("build.check", "prove without a GPU that TensorRT can build a bundle"),
        "compile": Command("build.compile", "a bundle to TensorRT plans, on the Jetson"),
        "verify": Command("build.verify", "a bundle's golden pair on the engine that runs here"),
        "measure": Command("build.measure", "time, memory and parity of a bundle's engines"),
        "train-adapter": Command(
            "build.train_adapter",
            "a low-rank adapter of the decoder, from recordings",
            "deploy/host-setup music2latent",
        ),
    }
)
