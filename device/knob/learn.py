"""Calibration by turning: each control is moved from end to end, and what was seen is kept.

No file is edited: learn mode (footswitch held, or ``python -m device learn``) feeds a
``Learner`` and stores what it found as ``learnt.json`` in the state folder.
"""

import json
import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from device.boards.board import MidiEvent
from device.knob.range import DEFAULT, KnobRange
from device.plain import dataclass
from models.errors import PurgaError

MOVED = 0.3
"""Part of the whole travel that a control must cover to be learnt: less was a touch."""
FILE = "learnt.json"
FORMAT = 1
_MEDIAN_READINGS = 5
_CHANNEL_MODE = 120
"""Controllers from here on are channel mode messages (all notes off, …), moved by nobody."""
_LSB = 32
"""Controller n + 32 is the fine part of controller n < 32 (MIDI 1.0, 14 bit controllers)."""


class LearntError(PurgaError, OSError):
    """What was learnt cannot be kept."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True)
class Learnt:
    """Where the controls' ends are, and which MIDI controller moves the sound."""

    knob: KnobRange = DEFAULT
    expression: KnobRange = DEFAULT
    cc: int | None = None
    """0…127; None: none was learnt."""
    channel: int | None = None
    """0…15, of that controller."""


class _Travel:
    """The ends of a potentiometer's travel, by a median so that a spike is not taken for one."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_MEDIAN_READINGS)
        self._low, self._high = 1.0, 0.0

    def feed(self, raw: float) -> None:
        """Take one raw reading; impossible ones are passed over."""
        if not 0.0 <= raw <= 1.0:
            return
        self._recent.append(raw)
        if len(self._recent) == _MEDIAN_READINGS:
            middle = sorted(self._recent)[_MEDIAN_READINGS // 2]
            self._low, self._high = min(self._low, middle), max(self._high, middle)

    @property
    def moved(self) -> bool:
        """Whether it covered enough to be learnt."""
        return self._high - self._low > MOVED

    def range(self, before: KnobRange) -> KnobRange:
        """The ends found, the same way round as before; ``before`` where it was not moved."""
        if not self.moved:
            return before
        if before.low > before.high:
            return KnobRange(self._high, self._low)
        return KnobRange(self._low, self._high)


class Learner:
    """Watches all controls while they are turned from end to end."""

    def __init__(self, before: Learnt | None = None) -> None:
        """Begin; what is not moved stays as it was ``before``."""
        self._before = before or Learnt()
        self._knob = _Travel()
        self._expression = _Travel()
        self._controllers: dict[tuple[int, int], tuple[int, int]] = {}

    def feed(
        self, knob: float, expression: float = float("nan"), events: Iterable[MidiEvent] = ()
    ) -> None:
        """Take one raw reading of each, 0…1 (NaN: none), and the MIDI events since."""
        self._knob.feed(knob)
        self._expression.feed(expression)
        for event in events:
            if event.kind == "cc" and event.number < _CHANNEL_MODE:
                which = (event.channel, event.number)
                low, high = self._controllers.get(which, (event.value, event.value))
                self._controllers[which] = (min(low, event.value), max(high, event.value))

    @property
    def moved(self) -> tuple[str, ...]:
        """The controls that covered enough to be learnt: of knob, expression and midi."""
        found = (
            ("knob", self._knob.moved),
            ("expression", self._expression.moved),
            ("midi", self._controller() is not None),
        )
        return tuple(name for name, moved in found if moved)

    def finish(self) -> Learnt:
        """What was learnt, with what was known before for the controls that were not moved."""
        before = self._before
        channel, cc = self._controller() or (before.channel, before.cc)
        return Learnt(
            self._knob.range(before.knob), self._expression.range(before.expression), cc, channel
        )

    def _controller(self) -> tuple[int, int] | None:
        """Channel and number of the controller that moved most, where that is enough."""
        travels = {
            which: (high - low) / 127.0
            for which, (low, high) in self._controllers.items()
            if high - low > MOVED * 127.0
        }
        for channel, number in tuple(travels):
            if _LSB <= number < 2 * _LSB and (channel, number - _LSB) in travels:
                del travels[channel, number]
        return max(travels, key=lambda which: travels[which], default=None)


def state_folder() -> Path:
    """Where what was learnt is kept: systemd's state folder, the user's, or below the home."""
    if "STATE_DIRECTORY" in os.environ:
        return Path(os.environ["STATE_DIRECTORY"].split(":")[0])
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "purga"


def read_learnt(folder: Path | None = None, notes: list[str] | None = None) -> Learnt:
    """What was learnt, by default from ``state_folder()``; the defaults where nothing was.

    A file that cannot be read or was damaged is named in ``notes``, and the defaults hold: a
    pedal plays with a knob that is not calibrated.
    """
    file = (folder or state_folder()) / FILE
    try:
        return _learnt(json.loads(file.read_text("utf-8")))
    except FileNotFoundError:
        return Learnt()
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
    if notes is not None:
        notes.append(f"{file}: the calibration cannot be used ({reason}); learn it again")
    return Learnt()


def write_learnt(learnt: Learnt, folder: Path | None = None) -> Path:
    """Keep it, whole or not at all, on the disk when this returns. Raises ``LearntError``."""
    # Needed once in a pedal's life; loading them would make every start wait.
    import tempfile

    from models.replace import sync_folder

    file = (folder or state_folder()) / FILE
    content = json.dumps(_plain(learnt), indent=2) + "\n"
    temporary = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{FILE}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(handle)
        os.chmod(temporary, 0o644)
        os.replace(temporary, file)
        temporary = None
        sync_folder(file.parent)
    except OSError as error:
        reason = error.strerror or error
        raise LearntError(
            f"{file}: what was learnt cannot be kept ({reason}); free the disk or give the "
            "pedal's user the right to write there, and learn again"
        ) from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
    return file


def _plain(learnt: Learnt) -> dict[str, Any]:
    """As JSON has it."""
    content: dict[str, Any] = {"format": FORMAT}
    for name, ends in (("knob", learnt.knob), ("expression", learnt.expression)):
        content[name] = {"low": ends.low, "high": ends.high}
    if learnt.cc is not None:
        content["midi"] = {"cc": learnt.cc, "channel": learnt.channel}
    return content


def _learnt(content: Any) -> Learnt:
    """From JSON. Raises ``ValueError``, ``TypeError`` or ``KeyError`` for anything else."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"not a calibration of format {FORMAT}")
    knob, expression = (
        KnobRange(float(content[name]["low"]), float(content[name]["high"]))
        for name in ("knob", "expression")
    )
    midi = content.get("midi")
    if midi is None:
        return Learnt(knob, expression)
    cc, channel = midi["cc"], midi["channel"]
    if type(cc) is not int or not 0 <= cc <= 127:
        raise ValueError(f"no MIDI controller has the number {cc!r}")
    if type(channel) is not int or not 0 <= channel <= 15:
        raise ValueError(f"no MIDI channel has the number {channel!r}")
    return Learnt(knob, expression, cc, channel)
