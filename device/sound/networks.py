"""Where a preset's networks and impulse responses come from: made here, or laid out before.

To make them Python computes for milliseconds at a time, which a loop that plays beside it cannot
wait for. So another process makes them first (``device.ahead``), and what plays takes what that
one left (``device.kept``). Without one they are made on the spot, by the class below.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from device.plain import dataclass

if TYPE_CHECKING:
    from models.nam.capture import Capture as NamCapture


@dataclass(frozen=True)
class CaptureFacts:
    """What a capture's file says besides its network: see ``models.nam.capture.Capture``."""

    sample_rate_hz: int
    loudness_db: float | None = None
    input_level_dbu: float | None = None
    output_level_dbu: float | None = None


@dataclass(frozen=True)
class Response:
    """An impulse response as the convolution takes it without Python waiting."""

    file: Path
    """WAV, float32, at the pedal's rate."""
    energy: float
    """Root of the sum of its squares."""
    library_gain: float
    """What the library multiplies it by."""


class Capture(Protocol):
    """A capture that has been read and checked."""

    @property
    def facts(self) -> CaptureFacts:
        """What the file says of it."""

    def alone(self, frames: int) -> bytes:
        """Its network for ``models.runtime.StreamingModel`` at periods of ``frames``."""

    def beside(self, other: "Capture", frames: int) -> bytes | None:
        """Its network and another's as one; None where they cannot be."""


class Networks(Protocol):
    """Where they come from."""

    def capture(self, file: Path, size: float) -> Capture:
        """A .nam file. Raises ``ModelError``."""

    def stage(self, file: Path | None, frames: int) -> bytes:
        """The stage network without a colour, None: the one that ships. Raises ``ModelError``."""

    def response(self, file: Path, rate_hz: int, frames: int) -> Response | None:
        """A cabinet's, where it was laid out before; None: it is to be read and measured."""


class MadeCapture:
    """A capture whose network is made when it is asked for."""

    def __init__(self, file: Path, size: float) -> None:
        """Read it. Raises ``ModelError``."""
        from models.nam.capture import read_capture

        self._capture: NamCapture = read_capture(file, size)

    @cached_property
    def facts(self) -> CaptureFacts:
        """What the file says."""
        read = self._capture
        return CaptureFacts(
            read.sample_rate_hz, read.loudness_db, read.input_level_dbu, read.output_level_dbu
        )

    def alone(self, frames: int) -> bytes:
        """See ``Capture``; one graph serves every period."""
        from models.nam.graph import streaming_onnx

        return streaming_onnx(self._capture)

    def beside(self, other: Capture, frames: int) -> bytes | None:
        """See ``Capture``."""
        from models.nam.pair import pair_onnx

        assert isinstance(other, MadeCapture), "both come from one place"
        return pair_onnx(self._capture, other._capture)


class MadeNetworks:
    """Everything is made on the spot."""

    def capture(self, file: Path, size: float) -> Capture:
        """Read it."""
        return MadeCapture(file, size)

    def stage(self, file: Path | None, frames: int) -> bytes:
        """Read it; one graph serves every period."""
        return stage_network(file)

    def response(self, file: Path, rate_hz: int, frames: int) -> Response | None:
        """None."""
        return None


def stage_network(file: Path | None = None) -> bytes:
    """The stage network's file; None: the one that ships. Raises ``ModelError``.

    Another one is read anew each time: a slot's file changes under the same name.
    """
    from models.stage.model import read_stage

    if file is None:
        return read_stage()
    from models.errors import ModelError

    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{file}: the stage network cannot be read ({error.strerror}); install the update "
            "again."
        ) from None
