"""Family `capture`: a real amplifier's capture, driven −36 … 0 dB, and its cabinet."""

from pathlib import Path

import numpy as np

from models.nam.capture import read_capture
from models.nam.graph import streaming_onnx
from models.runtime import StreamingModel
from models.stage.families.case import Case, Positions, between, drive_span, make_case, span_words
from models.stage.families.filters import (
    Cabinets,
    Response,
    Sections,
    filtered,
    low_cut,
    random_bands,
    sections,
    through,
)
from models.units import Audio, gain_from_db

PERIOD_FRAMES = 4096
"""Frames in one run of the graph: long, since nobody waits for it."""


class Amplifier:
    """A capture that plays whole sounds, always from its settled state."""

    def __init__(self, file: Path) -> None:
        """Read and prepare it. Raises ``ModelError`` for a broken or foreign capture."""
        self.name = file.stem
        self._model = StreamingModel(streaming_onnx(read_capture(file)), PERIOD_FRAMES)
        self._idle = np.float32(0.0)
        self._idle = self.play(np.zeros((1, 1), np.float32))[0, 0]

    def play(self, sound: Audio) -> Audio:
        """``(1, frames)`` at 48 kHz through the capture, no delay.

        Its idle output, a constant that no coupling capacitor would pass, is taken away.
        """
        frames = sound.shape[1]
        padded = np.zeros((1, -(-frames // PERIOD_FRAMES) * PERIOD_FRAMES), np.float32)
        padded[:, :frames] = sound
        self._model.reset()
        for start in range(0, padded.shape[1], PERIOD_FRAMES):
            period = padded[:, start : start + PERIOD_FRAMES]
            self._model.process(period, period)
        return np.asarray(padded[:, :frames] - self._idle, np.float32)


class CaptureFamily:
    """A capture's input level is the control; the cabinet behind it stays.

    In training a capture stands for amplifiers unlike it: equalised before and behind, at other
    top levels, over parts of the span.
    """

    name = "capture"

    def __init__(self, files: list[Path], cabinets: Cabinets, training: bool) -> None:
        """Prepare all captures. Raises ``ModelError`` if one cannot be read."""
        self._amplifiers = {file.stem: Amplifier(file) for file in files}
        self._cabinets, self._training = cabinets, training

    @property
    def captures(self) -> list[str]:
        """The captures' names."""
        return list(self._amplifiers)

    def amplifier(self, name: str) -> Amplifier:
        """One capture, prepared."""
        return self._amplifiers[name]

    def case(self, guitar: Audio, rng: np.random.Generator, positions: Positions) -> Case:
        """A random capture and cabinet."""
        capture = self.captures[rng.integers(len(self.captures))]
        cabinet_name, cabinet = self._cabinets.draw_or_none(rng)
        low_db, high_db = drive_span(rng, self._training)
        before = behind = None
        if self._training:
            guitar = guitar * np.float32(gain_from_db(rng.uniform(-9.0, 9.0)))
            if rng.random() < 0.5:
                before = sections(random_bands(rng, 8.0))
            if rng.random() < 0.5:
                behind = sections(random_bands(rng, 8.0))
        name = f"{capture}, {cabinet_name}, {span_words(low_db, high_db)}"
        return self.driven(
            guitar, capture, cabinet, positions, name, (low_db, high_db), before, behind
        )

    def driven(
        self,
        guitar: Audio,
        capture: str,
        cabinet: Response | None,
        positions: Positions,
        name: str,
        span_db: tuple[float, float] = (-36.0, 0.0),
        before: Sections | None = None,
        behind: Sections | None = None,
    ) -> Case:
        """One capture and cabinet by choice, driven over ``span_db`` in dB of input."""
        amplifier = self._amplifiers[capture]
        source = guitar if before is None else filtered(guitar, before)
        tail = _COUPLING if behind is None else np.concatenate([_COUPLING, behind])

        def tone_at(position: float) -> Audio:
            gain = np.float32(gain_from_db(between(*span_db, position)))
            return through(filtered(amplifier.play(source * gain), tail), cabinet)

        return make_case(self.name, name, tone_at, positions)


_COUPLING = low_cut(10.0)
