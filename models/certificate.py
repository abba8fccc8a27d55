"""What a bundle says about its precisions: how near fp16 and int8 come to fp32, and by what limits.

``python -m build bundle`` writes ``certificate.json`` from what it measured on the calibration
material; ``python -m build check`` holds it against the limits. The limits stand in the file so
that a bundle tells what it was made to; ``check`` refuses laxer ones than its own.

Log-spectral distance: the root of the mean over bins of the squared difference of the two
magnitudes in dB, then the mean over frames (Gray and Markel, *Distance measures for speech
processing*, IEEE TASSP 24(5), 1976).
"""

from typing import Annotated, Literal

from pydantic import Field

from models.record import Record, parse_record

LARGEST_BYTES = 4_000_000
"""A certificate names some hundred tensors and layers; more than this is none."""

FP16_LARGEST = 65504.0
"""The largest finite number in half precision (IEEE 754 binary16)."""

FP16_HEADROOM = 4.0
"""How far below it every tensor must stay, since the material is not all that will be played."""

Name = Annotated[str, Field(min_length=1, max_length=200)]
Decibels = Annotated[float, Field(ge=-400.0, le=400.0)]
Magnitude = Annotated[float, Field(ge=0.0)]


class Limits(Record):
    """What the precisions were asked to meet."""

    latent_cosine: Annotated[float, Field(ge=0.0, le=1.0)] = 0.999
    """Least mean cosine between a latent vector and fp32's."""
    log_spectral_distance_db: Annotated[float, Field(gt=0.0, le=60.0)] = 1.0
    """Largest mean log-spectral distance between a decoded spectrum and fp32's, in dB."""
    golden_latent_snr_db: Decibels = 20.0
    """Least SNR in dB of the golden latents when they are computed again on another engine."""
    golden_decoded_snr_db: Decibels = 20.0
    """The same for the golden decoded spectra."""


class Parity(Record):
    """One precision against fp32, over the whole material."""

    latent_cosine: Annotated[float, Field(ge=-1.0, le=1.0)]
    """Mean over latents of the cosine between the two vectors of channels."""
    latent_snr_db: Decibels
    """Energy of fp32's latents over the energy of the difference, in dB."""
    decoded_snr_db: Decibels
    """The same for the decoded spectra (compressed amplitude), from the same latents and noise."""
    log_spectral_distance_db: Annotated[float, Field(ge=0.0, le=400.0)]
    """Between the decoded spectra, compression undone, in dB."""


class Sensitivity(Record):
    """What quantising one layer alone costs."""

    model: Literal["encoder", "decoder"]
    """The graph that the layer is in."""
    node: Name
    """Its name there."""
    snr_db: Decibels
    """SNR in dB of the graph's output with this layer alone in int8; the lowest are worst."""


class Calibration(Record):
    """What the activations' ranges were measured on."""

    material: Name
    """In words: which recordings."""
    windows: Annotated[int, Field(ge=1, le=10_000_000)]
    """Windows that went through the network."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Of the material's samples, float32 little-endian in the order used."""


class Maxima(Record):
    """The largest magnitude of every float tensor in a graph, by tensor name, on the material.

    Names are those of the fp32 graph; activations only, not stored constants.
    """

    encoder: dict[Name, Magnitude]
    decoder: dict[Name, Magnitude]


class Certificate(Record):
    """``certificate.json``."""

    format: Literal[1] = 1
    limits: Limits = Limits()
    precisions: dict[Literal["fp16", "int8"], Parity]
    """Every precision of the bundle but fp32, which they are held against."""
    maxima: Maxima
    sensitivity: tuple[Sensitivity, ...] = ()
    """Worst first; empty where nothing was quantised."""
    left_in_fp16: tuple[Name, ...] = ()
    """Nodes that could be quantised and were not, as ``model/node``."""
    calibration: Calibration
    cpu_provider: Name
    """What computed these figures, such as ``ONNX Runtime 1.31.0 CPU``."""


def parse_certificate(content: bytes, where: str) -> Certificate:
    """The certificate in ``content``. Raises ``ModelError``."""
    return parse_record(
        content, Certificate, where, "a parity certificate", "build the bundle again"
    )
