"""The folder in which a bundle is made: what each stage leaves for the next.

::

    settings.json                     what the graphs are for
    encoder.fp32.onnx, decoder.…      export's
    material.npz                      calibrate's windows, and those kept back for judging
    ranges.encoder.json, …decoder…    calibrate's ranges
    encoder.fp16.onnx … int8.onnx, golden.npz, certificate.json     quantise's

Every file is written whole: to a name beside it, then renamed.
"""

import argparse
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import onnx
from pydantic import Field

from build.graph import Array
from models.errors import ModelError
from models.facts import Adapter, Kind, Precision, Sha256, Size, model_name
from models.music2latent.checkpoint import write_whole
from models.onnx_file import parse_onnx
from models.record import Record, parse_record, write_record

DEFAULT = "out/studio"


class Settings(Record):
    """``settings.json``: what ``export`` was asked for."""

    format: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=80)]
    checkpoint_sha256: Sha256
    window_frames: Size
    hop_frames: Size
    look_ahead_frames: Annotated[int, Field(ge=0, le=4096)] = 0
    rate_hz: Annotated[int, Field(ge=8000, le=192_000)] = 44_100
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    bins: Size = 1024
    latent_channels: Size = 64
    adapters: tuple[Adapter, ...] = ()
    weights_licence: Annotated[str, Field(min_length=1, max_length=500)]


class Ranges(Record):
    """``ranges.<kind>.json``: what the activations of one graph reach."""

    format: Literal[1] = 1
    inputs: dict[str, float]
    """Of each convolution's input, the magnitude that int8 is to cover."""
    outputs: dict[str, tuple[float, float]]
    """Of each convolution's output, lowest and highest but for a few values."""
    maxima: dict[str, float]
    """Of every float tensor, the largest magnitude."""


@dataclass(frozen=True)
class Material:
    """Windows of spectra of two tones of one performance, ``(n, 2, 2, bins, frames)``."""

    calibration: Array
    kept_back: Array
    """Windows of other moments, on which precisions are judged."""
    note: str
    """Where they are from, in words."""
    sha256: str
    """Of the calibration windows' float32 bytes."""


@dataclass(frozen=True)
class Work:
    """A work folder. Reading raises ``ModelError`` with the stage that has to run first."""

    folder: Path

    def settings(self) -> Settings:
        """What the graphs are for."""
        content = self._read("settings.json", "export")
        return parse_record(content, Settings, "settings.json", "settings", "run export again")

    def write_settings(self, settings: Settings) -> None:
        """Begin a work folder."""
        self.write("settings.json", write_record(settings))

    def model(self, kind: Kind, precision: Precision = "fp32") -> onnx.ModelProto:
        """A graph."""
        name = model_name(kind, precision)
        stage = "export" if precision == "fp32" else "quantise"
        return parse_onnx(self._read(name, stage), str(self.folder / name))

    def write_model(self, kind: Kind, precision: Precision, model: onnx.ModelProto) -> None:
        """Keep a graph."""
        self.write(model_name(kind, precision), model.SerializeToString())

    def material(self) -> Material:
        """The windows."""
        file = self.folder / "material.npz"
        self._read("material.npz", "calibrate")
        try:
            with np.load(file, allow_pickle=False) as kept:
                return Material(
                    kept["calibration"],
                    kept["kept_back"],
                    str(kept["note"]),
                    str(kept["sha256"]),
                )
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise ModelError(f"{file}: is no material ({error}); run calibrate again.") from None

    def write_material(self, material: Material) -> None:
        """Keep the windows."""
        content = io.BytesIO()
        np.savez(
            content,
            calibration=material.calibration,
            kept_back=material.kept_back,
            note=np.array(material.note),
            sha256=np.array(material.sha256),
        )
        self.write("material.npz", content.getvalue())

    def ranges(self, kind: Kind) -> Ranges:
        """A graph's ranges."""
        name = f"ranges.{kind}.json"
        return parse_record(
            self._read(name, "calibrate"), Ranges, name, "ranges", "run calibrate again"
        )

    def write_ranges(self, kind: Kind, ranges: Ranges) -> None:
        """Keep a graph's ranges."""
        self.write(f"ranges.{kind}.json", write_record(ranges))

    def read(self, name: str) -> bytes:
        """A file that ``quantise`` wrote."""
        return self._read(name, "quantise")

    def write(self, name: str, content: bytes) -> None:
        """Keep a file whole: an old one stays until the new one is there. Raises ``ModelError``."""
        write_whole(self.folder / name, lambda file: file.write_bytes(content))

    def _read(self, name: str, stage: str) -> bytes:
        file = self.folder / name
        try:
            return file.read_bytes()
        except FileNotFoundError:
            raise ModelError(
                f"{file}: is not there; run python -m build {stage} --work {self.folder} first."
            ) from None
        except OSError as error:
            raise ModelError(f"{file}: cannot be read ({error.strerror}).") from None


def add_work_argument(parser: argparse.ArgumentParser) -> None:
    """``--work``."""
    parser.add_argument(
        "--work", default=DEFAULT, metavar="DIR", help=f"where stages meet (default {DEFAULT})"
    )


def as_json(value: dict) -> str:
    """One line, for ``--json``."""
    return json.dumps(value, sort_keys=True)
