"""What a bundle's graphs are for: rates, window, precisions, and the shapes that follow."""

import os
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from models.onnx_file import Shapes
from models.record import Record

Kind = Literal["encoder", "decoder"]
Precision = Literal["fp32", "fp16", "int8"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

MANIFEST, GOLDEN, CERTIFICATE = "manifest.json", "golden.npz", "certificate.json"


def model_name(kind: Kind, precision: Precision) -> str:
    """A graph's file name in a bundle."""
    return f"{kind}.{precision}.onnx"


FILE_NAMES = frozenset({MANIFEST, GOLDEN, CERTIFICATE}) | {
    model_name(kind, precision) for kind in KINDS for precision in PRECISIONS
}
"""All that a bundle may hold."""


def plain_name(name: str) -> str:
    """A file name; raises ``ValueError`` where a part of it leads out of the folder."""
    if name != os.path.basename(name) or name in ("", ".", "..") or "\\" in name or "\0" in name:
        raise ValueError(f"the file name {name[:60]!r} has parts of a path")
    return name


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1, max_length=500)]
FileName = Annotated[str, Field(max_length=100), AfterValidator(plain_name)]
Size = Annotated[int, Field(ge=1, le=1_000_000)]


class Adapter(Record):
    """A low-rank adapter that was merged into the decoder."""

    name: Text
    rank: Annotated[int, Field(ge=0, le=1024)]
    sha256: Sha256
    """Of its safetensors file."""


class Facts(Record):
    """What a bundle's graphs are for: all of the manifest but its files."""

    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,80}$")]
    checkpoint_sha256: Sha256
    """Of the weights' file, or for weights made from a seed, of their bytes."""
    rate_hz: Annotated[int, Field(ge=8000, le=192_000)] = 44_100
    """What the network was trained at."""
    bins: Size = 1024
    hop: Size = 512
    """Samples from one STFT frame to the next."""
    window_frames: Annotated[int, Field(ge=1, le=4096)]
    """STFT frames that one run of the graphs takes (T)."""
    frames_per_latent: Annotated[int, Field(ge=1, le=64)] = 8
    latent_channels: Size = 64
    hop_frames: Annotated[int, Field(ge=1, le=4096)]
    """STFT frames from one run to the next, while one plays."""
    look_ahead_frames: Annotated[int, Field(ge=0, le=4096)] = 0
    """STFT frames of a window behind those that are played."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of the noise."""
    opset: dict[Precision, Annotated[int, Field(ge=1, le=100)]]
    """ONNX opset of each precision's graphs; its keys are the bundle's precisions."""
    adapters: Annotated[tuple[Adapter, ...], Field(max_length=2)] = ()
    """None, one side's, or both sides': then the decoder takes the knob's position."""
    licences: dict[Text, Text]
    """By what they cover, such as ``weights``."""
    tools: dict[Text, Text]
    """Versions of what built it, such as ``onnx``."""

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """What the bundle holds, fp32 first."""
        return tuple(precision for precision in PRECISIONS if precision in self.opset)

    @model_validator(mode="after")
    def _fits(self) -> "Facts":
        if "fp32" not in self.opset:
            raise ValueError("opset names no fp32, which the others are held against")
        if self.window_frames % self.frames_per_latent:
            raise ValueError(
                f"window_frames is {self.window_frames}, expected a multiple of "
                f"{self.frames_per_latent} (frames_per_latent)"
            )
        if self.hop_frames + self.look_ahead_frames > self.window_frames:
            raise ValueError(
                f"hop_frames and look_ahead_frames make {self.hop_frames} + "
                f"{self.look_ahead_frames}, more than the window's {self.window_frames}"
            )
        return self

    @property
    def file_names(self) -> frozenset[str]:
        """Every file but the manifest."""
        models = {model_name(kind, at) for kind in KINDS for at in self.precisions}
        return frozenset({GOLDEN, CERTIFICATE} | models)

    def shapes(self, kind: Kind) -> tuple[Shapes, Shapes]:
        """Inputs and outputs of a graph, by name; all float32."""
        latents = (self.latent_channels, self.window_frames // self.frames_per_latent)
        spectra = (2, self.bins, self.window_frames)
        if kind == "encoder":
            return {"spectra": (2, *spectra)}, {"latents": (2, *latents)}
        inputs: Shapes = {"latents": (1, *latents), "noise": (1, *spectra)}
        if len(self.adapters) == 2:
            inputs["position"] = (1, 1, 1, 1)
        return inputs, {"spectra": (1, *spectra)}

    def golden_shapes(self) -> Shapes:
        """Every array of ``golden.npz``."""
        (given, latents), (asked, spectra) = self.shapes("encoder"), self.shapes("decoder")
        shapes = {**given, "blend": asked["latents"], "noise": asked["noise"]}
        if "position" in asked:
            shapes["position"] = asked["position"]
        for precision in self.precisions:
            shapes[f"latents.{precision}"] = latents["latents"]
            shapes[f"decoded.{precision}"] = spectra["spectra"]
        return shapes
