"""Effects by the pedalboard library (JUCE inside), each a row of a table.

Parameters have the library's names. Their ranges are the library's where it checks them, and
JUCE's documented ones where pedalboard would take anything (a chorus of depth 40 howls).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from device.plain import dataclass
from device.sound.block import Block, Parameter, Resettable
from device.sound.ramp import Fade
from models.units import Audio

if TYPE_CHECKING:
    import pedalboard

Scale = Literal["linear", "log"]


# Where a change tears what a feedback loop has stored: the tear would come back as an echo.
_RESTARTS = frozenset({"delay_seconds", "centre_delay_ms"})


_Row = tuple[str, float, float, float, Scale]


def _parameters(*rows: _Row) -> Mapping[str, Parameter]:
    return MappingProxyType({row[0]: Parameter(*row, row[0] in _RESTARTS) for row in rows})


@dataclass(frozen=True)
class Effect:
    """One row: what the library calls it, and what can be moved."""

    plugin: str
    parameters: Mapping[str, Parameter]
    memory: bool = True
    """Whether the output depends on the past, so that a silent instance must keep listening."""


_DYNAMICS_TIMES: tuple[_Row, ...] = (
    ("attack_ms", 0.1, 500.0, 1.0, "log"),
    ("release_ms", 1.0, 5000.0, 100.0, "log"),
)
_SHELF = _parameters(
    ("cutoff_frequency_hz", 20.0, 20000.0, 440.0, "log"),
    ("gain_db", -36.0, 36.0, 0.0, "linear"),
    ("q", 0.05, 20.0, 0.7071, "log"),
)


def _chorus(rate_hz: float, centre_delay_ms: float, feedback: float) -> Mapping[str, Parameter]:
    return _parameters(
        ("rate_hz", 0.01, 99.0, rate_hz, "log"),
        ("depth", 0.0, 1.0, 0.25, "linear"),
        ("centre_delay_ms", 1.0, 100.0, centre_delay_ms, "log"),
        ("feedback", -0.95, 0.95, feedback, "linear"),
        ("mix", 0.0, 1.0, 0.5, "linear"),
    )


def _drive(drive_db: float) -> Mapping[str, Parameter]:
    return _parameters(("drive_db", 0.0, 60.0, drive_db, "linear"))


EFFECTS: Mapping[str, Effect] = MappingProxyType(
    {
        "gate": Effect(
            "NoiseGate",
            _parameters(
                ("threshold_db", -100.0, 0.0, -60.0, "linear"),
                ("ratio", 1.0, 100.0, 10.0, "log"),
                *_DYNAMICS_TIMES,
            ),
        ),
        "compressor": Effect(
            "Compressor",
            _parameters(
                ("threshold_db", -80.0, 0.0, -20.0, "linear"),
                ("ratio", 1.0, 100.0, 3.0, "log"),
                *_DYNAMICS_TIMES,
            ),
        ),
        "gain": Effect("Gain", _parameters(("gain_db", -60.0, 60.0, 0.0, "linear")), memory=False),
        "low_shelf": Effect("LowShelfFilter", _SHELF),
        "high_shelf": Effect("HighShelfFilter", _SHELF),
        "peak": Effect("PeakFilter", _SHELF),
        "highpass": Effect(
            "HighpassFilter", _parameters(("cutoff_frequency_hz", 10.0, 20000.0, 50.0, "log"))
        ),
        "lowpass": Effect(
            "LowpassFilter", _parameters(("cutoff_frequency_hz", 10.0, 20000.0, 8000.0, "log"))
        ),
        "drive": Effect("Distortion", _drive(12.0), memory=False),
        "distortion": Effect("Distortion", _drive(30.0), memory=False),
        "clipping": Effect(
            "Clipping", _parameters(("threshold_db", -60.0, 0.0, -6.0, "linear")), memory=False
        ),
        "chorus": Effect("Chorus", _chorus(rate_hz=1.0, centre_delay_ms=7.0, feedback=0.0)),
        "flanger": Effect("Chorus", _chorus(rate_hz=0.3, centre_delay_ms=2.0, feedback=0.5)),
        "phaser": Effect(
            "Phaser",
            _parameters(
                ("rate_hz", 0.01, 99.0, 1.0, "log"),
                ("depth", 0.0, 1.0, 0.5, "linear"),
                ("centre_frequency_hz", 20.0, 20000.0, 1300.0, "log"),
                ("feedback", -0.95, 0.95, 0.0, "linear"),
                ("mix", 0.0, 1.0, 0.5, "linear"),
            ),
        ),
        "delay": Effect(
            "Delay",
            _parameters(
                ("delay_seconds", 0.001, 30.0, 0.35, "log"),
                ("feedback", 0.0, 0.95, 0.3, "linear"),
                ("mix", 0.0, 1.0, 0.3, "linear"),
            ),
        ),
        "reverb": Effect(
            "Reverb",
            _parameters(
                ("room_size", 0.0, 1.0, 0.5, "linear"),
                ("damping", 0.0, 1.0, 0.5, "linear"),
                ("wet_level", 0.0, 1.0, 0.33, "linear"),
                ("dry_level", 0.0, 1.0, 0.4, "linear"),
                ("width", 0.0, 1.0, 1.0, "linear"),
            ),
        ),
    }
)
"""The effects by their name in presets."""


def load_library() -> None:
    """Import what plays the effects and cabinets: Python stands still while it is being loaded."""
    import pedalboard  # noqa: F401


class _Instance:
    """One of an effect's two instances, as something to reset."""

    def __init__(self, effect: "EffectBlock", waiting: bool) -> None:
        self._effect, self._waiting = effect, waiting

    def reset(self) -> None:
        self._effect.reset_instance(self._waiting)


class EffectBlock(Block):
    """One effect, held twice so that its parameters can be moved without a zipper.

    Most of JUCE's effects take a new setting at once: a shelf moved in steps of 1.3 ms leaves
    −21 dBFS of hiss on a 220 Hz sine, a delay time clicks whatever the step. So two instances
    hear the same input; a move sets the silent one, fades over to it (10 ms) and then sets the
    other; further moves follow one fade at a time. An effect with a memory always runs both, so
    that the silent one's delay lines and envelopes are warm, at 2–5 µs a period each. Where a
    delay time has moved an instance starts empty, with its input faded in: its echoes are lost,
    but none of them carries a tear.
    """

    def __init__(self, kind: str, settings: Mapping[str, float] | None = None) -> None:
        """Take a kind of ``EFFECTS`` and settings by parameter name.

        Raises ``KeyError`` for an unknown name and ``ValueError`` for a value outside its range.
        """
        self.kind = kind  # type: ignore[misc]  # one class serves every row of the table
        self._effect = EFFECTS[kind]
        self._wanted = {row.name: row.default for row in self._effect.parameters.values()}
        self._moved = self._restart = False
        self._parts = (_Instance(self, waiting=False), _Instance(self, waiting=True))
        for name, value in (settings or {}).items():
            self.move(name, value)

    @property
    def label(self) -> str:
        """The effect's kind."""
        return self.kind

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The row's parameters, by the library's names."""
        return self._effect.parameters

    def prepare(self, rate_hz: int, period_frames: int) -> None:
        """Make both instances and let the library allocate for this rate and period."""
        # Here, because presets are read where nothing is played, too.
        import pedalboard

        self._rate_hz = rate_hz
        self._period_frames = period_frames
        plugin = getattr(pedalboard, self._effect.plugin)
        silence = np.zeros((1, period_frames), np.float32)
        self._sounding, self._waiting = plugin(), plugin()
        self._entry = Fade(rate_hz, period_frames)
        self._restarted = True
        for instance in (self._sounding, self._waiting):
            self._set(instance)
            # What is allocated here is touched there, both without Python's lock; then a reset,
            # which keeps it, is short.
            for _ in range(2):
                instance.process(silence, rate_hz, buffer_size=period_frames, reset=True)
            instance.reset()
        self._entry.stop()
        self._fade = Fade(rate_hz, period_frames)
        self._entering = np.zeros((1, period_frames), np.float32)
        self._behind = False
        self._moved = self._restart = False

    def process(self, source: Audio, target: Audio) -> None:
        """Run one period. The library returns new arrays, which are copied and freed."""
        at_rest = not (self._fade.running or self._entry.running)
        if at_rest and self._behind:
            # The fade is over: the instance left behind follows, unheard.
            self._behind = False
            self._set(self._waiting)
        elif at_rest and self._moved:
            self._restart, self._restarted = False, self._restart
            self._moved = False
            self._sounding, self._waiting = self._waiting, self._sounding
            self._set(self._sounding)
            self._fade.start()
            self._behind = True
        fading = self._fade.running
        changing = self._sounding if fading else self._waiting
        new = self._run(self._sounding, source, changing)
        if not fading:
            if self._effect.memory:
                self._run(self._waiting, source, changing)
            np.copyto(target, new)
            return
        old = self._run(self._waiting, source, changing)
        np.subtract(new, old, out=new)
        np.multiply(new, self._fade.advance(), out=new)
        np.add(new, old, out=target)

    def _run(self, instance: "pedalboard.Plugin", source: Audio, changing: object) -> Audio:
        """One period of one instance; one that starts empty hears its input faded in."""
        if instance is changing and self._entry.running:
            np.multiply(source, self._entry.advance(), out=self._entering)
            source = self._entering
        sound: Audio = instance.process(
            source, self._rate_hz, buffer_size=self._period_frames, reset=False
        )
        return sound

    def move(self, name: str, value: float) -> None:
        """Send a parameter towards ``value``; it is reached by a fade of 10 ms."""
        self._effect.parameters[name].check(value)
        if self._wanted[name] != value:
            self._wanted[name] = value
            self._moved = True
            self._restart |= self._effect.parameters[name].restarts

    def reset(self) -> None:
        """Empty delay lines and envelopes, and be at the wanted setting at once."""
        for part in self.parts:
            part.reset()

    @property
    def parts(self) -> tuple[Resettable, ...]:
        """Both instances: JUCE clears 30 s of delay line in some 200 µs."""
        return self._parts

    def reset_instance(self, waiting: bool) -> None:
        """Reset one of the two instances."""
        self._restarted = True
        self._set(self._waiting if waiting else self._sounding)
        self._fade.stop()
        self._entry.stop()
        self._moved = self._restart = self._behind = False

    def _set(self, instance: "pedalboard.Plugin") -> None:
        for name, value in self._wanted.items():
            setattr(instance, name, value)
        if self._restarted:
            instance.reset()
            self._entry.start()
