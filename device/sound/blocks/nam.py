"""The capture: an amp or pedal as a .nam network."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from device.errors import PresetError
from device.sound.block import Block, Parameter
from device.sound.networks import Capture, CaptureFacts, MadeNetworks, Networks
from device.sound.ramp import SmoothGain
from models.units import Audio

# Imported where they are needed: a preset without a capture needs no network, and to import
# ONNX and ONNX Runtime takes longer than all else of a start.
if TYPE_CHECKING:
    from device.sound.rate_bridge import RateBridge
    from models.runtime import StreamingModel

LOUDNESS_TARGET_DB = -18.0
"""Where ``normalise = "loudness"`` brings a capture; the value of the format's own plugin."""

_LEAST_INNER_FRAMES = 16

Normalise = Literal["none", "loudness", "calibrated"]

PARAMETERS = MappingProxyType(
    {
        "input_db": Parameter("input_db", -60.0, 36.0, 0.0),
        "output_db": Parameter("output_db", -60.0, 36.0, 0.0),
    }
)
"""What can be moved."""


class NamBlock(Block):
    """Plays a .nam capture, sample by sample what the reference implementation gives.

    ``normalise`` is ``"none"`` (the bare capture), ``"loudness"`` (brought to −18 dB by its
    metadata) or ``"calibrated"`` (driven at the level in dBu it was captured at, and brought
    back to the interface's own, by metadata and the interface's measured level).
    """

    kind = "nam"

    _bridge: "RateBridge | None"

    def __init__(
        self,
        file: Path,
        input_db: float = 0.0,
        output_db: float = 0.0,
        normalise: Normalise = "none",
        size: float = 1.0,
        interface_dbu: float | None = None,
        networks: Networks | None = None,
    ) -> None:
        """Read the capture.

        ``input_db`` drives it; ``size`` 0…1 picks the width of a slimmable one;
        ``interface_dbu`` is the level in dBu that the interface calls full scale. ``networks``
        is where its network comes from, by default from the file. Raises
        ``ModelError`` for a file that is no usable capture, ``PresetError`` where the wanted
        normalisation needs what is not there.
        """
        self._file = file
        self.capture: Capture = (networks or MadeNetworks()).capture(file, size)
        """The network and what its file says about it."""
        drive_db, trim_db = _normalisation(self.capture.facts, file, normalise, interface_dbu)
        self._drive_db, self._trim_db = drive_db, trim_db
        self._input_db, self._output_db = input_db, output_db
        self._model: StreamingModel | None = None
        self._settle: Callable[[], None] | None = None

    def share(self, settle: Callable[[], None] | None) -> None:
        """From the next ``prepare`` on, leave the network to another, who is told to ``settle`` it.

        The block then keeps the levels around it, ``drive`` and ``trim``, and has no ``process``.
        ``None``: the block plays its own network, as it does at first.
        """
        self._settle = settle

    @property
    def label(self) -> str:
        """``nam`` and the file's name."""
        return f"nam {self._file.name}"

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """``input_db`` and ``output_db``."""
        return PARAMETERS

    @property
    def latency_frames(self) -> int:
        """None at the capture's own rate, else the conversion's."""
        return 0 if self._bridge is None else self._bridge.latency_frames

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Load the network and pre-warm it; at another rate than the capture's, convert.

        Raises ``PresetError`` where the two rates have no simple ratio.
        """
        from device.sound.rate_bridge import RateBridge
        from models.runtime import StreamingModel

        capture_hz = self.capture.facts.sample_rate_hz
        self._bridge = None
        inner_frames = period_frames
        if capture_hz != rate_hz:
            inner_frames = max(_LEAST_INNER_FRAMES, round(period_frames * capture_hz / rate_hz))
            try:
                self._bridge = RateBridge(rate_hz, capture_hz, period_frames, inner_frames)
            except ValueError as error:
                raise PresetError(f"{self._file}: {error}; use another capture") from None
        self._model = None
        if self._settle is None:
            self._model = StreamingModel(self.capture.alone(inner_frames), inner_frames)
        self._input = SmoothGain(self._input_db + self._drive_db, rate_hz, period_frames)
        self._output = SmoothGain(self._output_db + self._trim_db, rate_hz, period_frames)

    def process(self, source: Audio, target: Audio) -> None:
        """Drive the capture with one period."""
        assert self._model is not None, "another plays this capture"
        if source is not target:
            target[:] = source
        self.drive(target)
        if self._bridge is None:
            self._model.process(target, target)
        else:
            self._bridge.process(target, target, self._model.process)
        self.trim(target)

    def drive(self, audio: Audio) -> None:
        """The level before the network, in place: ``input_db`` and the normalisation's."""
        self._input.apply(audio)

    def trim(self, audio: Audio) -> None:
        """The level behind the network, in place: ``output_db`` and the normalisation's."""
        self._output.apply(audio)

    def move(self, name: str, value: float) -> None:
        """Move ``input_db`` or ``output_db``, dB."""
        PARAMETERS[name].check(value)
        if name == "input_db":
            self._input_db = value
            self._input.move(value + self._drive_db)
        else:
            self._output_db = value
            self._output.move(value + self._trim_db)

    def reset(self) -> None:
        """Back to the pre-warmed state."""
        if self._settle is not None:
            self._settle()
        elif self._model is not None:
            self._model.reset()
        if self._bridge is not None:
            self._bridge.reset()
        self._input.settle()
        self._output.settle()


def _normalisation(
    capture: CaptureFacts, file: Path, normalise: Normalise, interface_dbu: float | None
) -> tuple[float, float]:
    """Gains before and after the capture, dB."""
    if normalise == "none":
        return 0.0, 0.0
    if normalise == "loudness":
        if capture.loudness_db is None:
            raise PresetError(
                f'{file}: normalise = "loudness" needs the capture\'s loudness, which its '
                'metadata lacks; use normalise = "none" and output_db'
            )
        return 0.0, LOUDNESS_TARGET_DB - capture.loudness_db
    if capture.input_level_dbu is None or capture.output_level_dbu is None:
        raise PresetError(
            f'{file}: normalise = "calibrated" needs input_level_dbu and output_level_dbu, which '
            'the capture\'s metadata lacks; use "none" or "loudness"'
        )
    if interface_dbu is None:
        raise PresetError(
            f'{file}: normalise = "calibrated" needs the interface\'s measured level; set '
            "interface_dbu under [audio] in pedal.toml"
        )
    return interface_dbu - capture.input_level_dbu, capture.output_level_dbu - interface_dbu
