"""One direction of a sound interface: opened, verified, waited for; and what its errors mean.

``alsa.py`` makes a full-duplex port of two of these. Everything that knows pyalsaaudio's habits
is here:

- It sets rate, format, channels and period in the constructor, ignores every refusal and takes
  what ALSA gives instead: ``open_stream`` compares ``info()`` with what was asked.
- In blocking mode ``PCM()`` waits for a card that another program holds, and ``read()`` waits
  for a driver that has died, both for ever. So the mode is non-blocking, and the waiting is a
  ``poll`` with a time limit (``Stream.wait``).
- ``close()`` drains playback, which can take seconds on a dead card: ``Stream.close`` drops first.
- Its errors carry only a text, ``"No such device [hw:CARD=USB]"``: ``errno_of`` reads it back.
- A constructor that fails leaks about a hundred bytes and alsa-lib prints a line on stderr, so
  a card that can be seen to be missing (``card_is_missing``) is not tried at all.
"""

import contextlib
import errno
import importlib
import os
import re
import select
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from device.boards.samples import FORMATS, SampleFormat
from device.errors import AudioError
from device.plain import dataclass

OLDEST_LIBRARY = (0, 11)
"""pyalsaaudio before 0.11 hides an overrun from ``read``."""

_CODE_BY_TEXT = {os.strerror(code): code for code in errno.errorcode}

XRUN_CODES = frozenset({errno.EPIPE, errno.ESTRPIPE, errno.EBADFD})
"""Of a running stream: it stopped, but the card is there and can be started again.

EPIPE is the xrun itself, ESTRPIPE a suspend, EBADFD a stream that is in no state to go on.
"""

REFUSED_CODES = frozenset({0, errno.EINVAL, errno.EACCES, errno.EPERM, errno.ENOSYS, errno.ENOTTY})
"""Of an opening stream: it will not get better by waiting. 0 is an error of alsa-lib's own.

All others mean absent: no such card or PCM (ENODEV, ENOENT, ENXIO), not ready or dying (EIO,
EPROTO, ETIMEDOUT, ESHUTDOWN), held by another program that may let go (EBUSY), or a sound
server that is down (EHOSTDOWN, ECONNREFUSED).
"""

_ADVICE = {
    errno.EACCES: "add the user to the group audio",
    errno.EPERM: "add the user to the group audio",
    errno.EBUSY: "another program holds it; stop that (`fuser -v /dev/snd/*` names it)",
    errno.ENOENT: "plug it in, or check the name: `aplay -L` lists them",
    errno.ENODEV: "plug it in, or check the name: `aplay -L` lists them",
}


class Absent(Exception):  # noqa: N818 - a state that is handled, not an error that escapes
    """The card is not there, or not now; the text says how that showed."""


def load_library() -> Any:
    """Import pyalsaaudio. Raises ``AudioError`` when it is missing or older than 0.11."""
    try:
        library = importlib.import_module("alsaaudio")
        version = _version_of(library)
    except ImportError as error:
        raise AudioError(
            f"the jetson board needs pyalsaaudio 0.11 or newer, which cannot be imported "
            f"({error}): install libasound2-dev, then `pip install 'pyalsaaudio>=0.11'`"
        ) from error
    check_version(version)
    return library


def _version_of(library: Any) -> str:
    """The library does not know its version; what installed it does. Raises ``ImportError``."""
    beside = Path(library.__file__).parent.glob("pyalsaaudio-*.dist-info")
    found = next((each.name for each in beside), None)
    if found is not None:
        return found.removesuffix(".dist-info").rpartition("-")[2]
    # Somewhere else; to import what finds it takes a tenth of a second on a module.
    from importlib import metadata

    return metadata.version("pyalsaaudio")


def check_version(version: str) -> None:
    """Raise ``AudioError`` for a pyalsaaudio that is too old, as in ``"0.10.0"``."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST_LIBRARY:
        raise AudioError(
            f"pyalsaaudio is {version}, but versions before 0.11 hide overruns: "
            "`pip install 'pyalsaaudio>=0.11'`"
        )


def errno_of(error: BaseException) -> int:
    """Read the errno back from an error's text, 0 when it is none of the system's."""
    text = str(error)
    return _CODE_BY_TEXT.get(text.rsplit(" [", 1)[0], 0)


def card_is_missing(name: str, cards: Path) -> bool:
    """Whether ``name`` asks for a card by id or number that the kernel does not list now.

    ``cards`` is ``/proc/asound``, with an entry for each card's id and ``card0``, ``card1``, ….
    Names that do not tell their card (a PCM of an asoundrc) are never called missing.
    """
    match = re.fullmatch(r"(?:plug)?hw:(?:CARD=)?([^,]+)(?:,.*)?", name)
    if match is None:
        return False
    card = match.group(1)
    return not (cards / (f"card{card}" if card.isdigit() else card)).exists()


@dataclass(frozen=True)
class Request:
    """What one direction must be. Formats and channels are tried in order, the rest is fixed."""

    rate_hz: int
    period_frames: int
    periods: int
    formats: Sequence[str]
    channels: Sequence[int]


class Stream:
    """An open PCM of one direction that has been verified, in non-blocking mode."""

    def __init__(
        self, pcm: Any, sample_format: SampleFormat, channels: int, period_frames: int
    ) -> None:
        self.pcm = pcm
        self.sample_format = sample_format
        self.channels = channels
        self._period_frames = period_frames
        self._poller = select.poll()
        for descriptor, events in pcm.polldescriptors():
            self._poller.register(descriptor, events)

    def wait(self, limit_s: float) -> int:
        """Wait until a whole period can be moved.

        Returns the frames that can be moved (≥ one period), or a negative errno as ALSA gives
        it: −EPIPE after an xrun, −ENODEV when unplugged, −ETIMEDOUT when nothing moved for
        ``limit_s``. Raises nothing.
        """
        frames: int = self.pcm.avail()
        if frames >= self._period_frames or frames < 0:
            return frames
        deadline_s = time.monotonic() + limit_s
        while True:
            left_s = deadline_s - time.monotonic()
            woken = self._poller.poll(max(0.0, left_s) * 1e3)
            frames = self.pcm.avail()
            if frames >= self._period_frames or frames < 0:
                return frames
            if left_s <= 0.0:
                # Judged by a look at the card after the deadline, not by the time alone: it
                # may be this process that was held up.
                return -errno.ETIMEDOUT
            if woken:
                # Plugins (PipeWire's, for one) signal before a whole period is there, and go
                # on signalling: without a nap this loop would burn the core until it is.
                time.sleep(2e-4)

    def close(self) -> None:
        """Stop and release. Never raises and never waits for a card that is gone."""
        for release in (self.pcm.drop, self.pcm.close):
            # A dead card may answer anything, and there is nothing left to be done about it.
            with contextlib.suppress(Exception):
                release()


_WORDS = {
    "rate": ("rate", "Hz", "rate_hz"),
    "period_size": ("period", "frames", "period_frames"),
    "periods": ("buffer", "periods", "periods"),
}


def _differences(given: Mapping[str, Any], request: Request) -> list[str]:
    """Say what was asked, what was given and what to do, for each parameter that differs."""
    asked = {
        "rate": request.rate_hz,
        "period_size": request.period_frames,
        "periods": request.periods,
    }
    found = []
    for key, (noun, unit, option) in _WORDS.items():
        if given.get(key) != asked[key]:
            found.append(
                f"asked for a {noun} of {asked[key]} {unit} and was given {given.get(key)}: "
                f"set {option} to what the card can do"
            )
    if given.get("access_type") != "RW_INTERLEAVED":
        found.append(
            f"asked for RW_INTERLEAVED access and was given {given.get('access_type')}: "
            "use the card through a PCM of type plug"
        )
    return found


def _offer(pcm: Any) -> str:
    """Describe what a PCM can do, for the message about what it cannot.

    Its channel counts are not asked for: ``getchannels`` tries every number between the lowest
    and the highest, which for a PCM without a limit is four thousand million.
    """
    try:
        return f"it offers the formats {', '.join(sorted(pcm.getformats()))}"
    except Exception:  # a message must not fail on its way
        return "it does not tell what it offers"


def open_stream(library: Any, name: str, *, capture: bool, request: Request) -> Stream:
    """Open one direction of the PCM ``name`` and verify what the driver gave.

    Raises ``Absent`` when the card is not there, ``AudioError`` when it is there and refuses.
    """
    direction = "capture" if capture else "playback"
    kind = library.PCM_CAPTURE if capture else library.PCM_PLAYBACK
    refusal = mismatch = ""
    for format_name in request.formats:
        constant = getattr(library, f"PCM_FORMAT_{format_name}")
        for channels in request.channels:
            try:
                pcm = library.PCM(
                    type=kind,
                    mode=library.PCM_NONBLOCK,
                    device=name,
                    rate=request.rate_hz,
                    channels=channels,
                    format=constant,
                    periodsize=request.period_frames,
                    periods=request.periods,
                )
            except library.ALSAAudioError as error:
                code = errno_of(error)
                advice = _ADVICE.get(code, "check the card and its settings")
                refusal = f"{direction} on {name} cannot be opened: {error}; {advice}"
                if code not in REFUSED_CODES:
                    raise Absent(refusal) from error
                continue
            try:
                given = pcm.info()
                stream = Stream(pcm, FORMATS[format_name], channels, request.period_frames)
            except library.ALSAAudioError as error:  # unplugged in this very moment
                raise Absent(f"{direction} on {name} went away: {error}") from error
            if given["format"] == constant and given["channels"] == channels:
                found = _differences(given, request)
                if not found:
                    return stream
                stream.close()
                raise AudioError(f"{direction} on {name}: " + "; ".join(found))
            mismatch = mismatch or (
                f"{direction} on {name}: asked for {' or '.join(request.formats)} with "
                f"{' or '.join(map(str, request.channels))} channels and was given "
                f"{given.get('format_name')} with {given['channels']}; {_offer(pcm)}: "
                f"set formats and {direction}_channels to something that it can do"
            )
            stream.close()
    raise AudioError(mismatch or refusal)  # what was given instead says more than a bare no
