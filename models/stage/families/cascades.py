"""Family `cascade`: two or three drives in a row, the last of them at times a real capture."""

import numpy as np

from models.stage.families.captures import CaptureFamily
from models.stage.families.case import (
    Case,
    Positions,
    between,
    drive_span,
    make_case,
    span_words,
)
from models.stage.families.drives import Oversampled, draw_stage
from models.stage.families.filters import Cabinets, through
from models.units import Audio, gain_from_db

_TOP_DRIVE_DB = (10.0, 36.0)


class CascadeFamily:
    """The control is the drive in front of the first stage; the others stay as they are."""

    name = "cascade"

    def __init__(
        self,
        kinds: tuple[str, ...],
        captures: CaptureFamily,
        cabinets: Cabinets,
        training: bool,
    ) -> None:
        self._kinds, self._captures = kinds, captures
        self._cabinets, self._training = cabinets, training

    def case(self, guitar: Audio, rng: np.random.Generator, positions: Positions) -> Case:
        """Random stages, gains and cabinet; three times in ten a pedal in front of a capture."""
        ends_in_capture = rng.random() < 0.3
        stages = [draw_stage(self._kinds, rng) for _ in range(1 if ends_in_capture else 2)]
        if not ends_in_capture and rng.random() < 0.4:
            stages.append(draw_stage(self._kinds, rng))
        gains_db = [float(gain_db) for gain_db in rng.uniform(-6.0, 24.0, len(stages) - 1)]
        names = [stage.kind for stage in stages]
        amplifier, into_amplifier = None, np.float32(1.0)
        if ends_in_capture:
            capture = self._captures.captures[rng.integers(len(self._captures.captures))]
            amplifier = self._captures.amplifier(capture)
            into_amplifier = np.float32(gain_from_db(rng.uniform(-24.0, -6.0)))
            names.append(capture)
        cabinet_name, cabinet = self._cabinets.draw_or_none(rng)
        low_db, high_db = drive_span(rng, self._training)
        top_db = float(rng.uniform(*_TOP_DRIVE_DB))
        first = Oversampled(guitar, stages[0])

        def tone_at(position: float) -> Audio:
            sound = stages[0].play(first, top_db + between(low_db, high_db, position))
            for stage, gain_db in zip(stages[1:], gains_db, strict=True):
                sound = stage.play(Oversampled(sound, stage, level=False), gain_db)
            if amplifier is not None:
                sound = amplifier.play(sound * into_amplifier)
            return through(sound, cabinet)

        name = f"{' → '.join(names)}, {cabinet_name}, {span_words(low_db, high_db)}"
        return make_case(self.name, name, tone_at, positions)
