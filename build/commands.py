"""What ``python -m build`` can do, each imported when it is called: checking needs no torch."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from models.command import Command

_BUILD = partial(Command, target="deploy/host-setup build")

COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "fetch": Command(
            "build.fetch",
            "get the official weights, after asking; they are CC BY-NC 4.0",
            "deploy/host-setup music2latent",
        ),
        "bundle": _BUILD(
            "build.bundle", "a checkpoint to a bundle: export, calibrate, quantise, check"
        ),
        "export": _BUILD("build.export", "a checkpoint to fp32 graphs"),
        "calibrate": _BUILD("build.calibrate", "the activations' ranges on real guitar"),
        "quantise": _BUILD("build.quantise", "fp32 graphs to fp16 and int8 (Q/DQ) ones"),
        "check": _BUILD("build.check", "prove without a GPU that TensorRT can build a bundle"),
        "compile": _BUILD("build.compile", "a bundle to TensorRT plans, on the Jetson"),
        "verify": _BUILD("build.verify", "a bundle's golden pair on the engine that runs here"),
        "measure": _BUILD("build.measure", "time, memory and parity of a bundle's engines"),
        "train-adapter": Command(
            "build.train_adapter",
            "a low-rank adapter of the decoder, from recordings",
            "deploy/host-setup music2latent",
        ),
    }
)
