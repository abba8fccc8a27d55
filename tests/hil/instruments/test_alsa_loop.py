"""The audio loop on cards that are made of a delay line, and of the pedal's own fake card."""

import math
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.errors import BenchError, InstrumentError
from hil.instruments.alsa_duplex import AlsaDuplex
from hil.instruments.alsa_loop import AlsaLoop
from hil.instruments.duplex_stream import Broken
from hil.instruments.loopback import (
    Loopback,
    measure_loopback,
    read_loopback,
    write_loopback,
)
from hil.suites.delay import Signal, chirp, find_delay
from tests.device.alsa_support import CARD, FakeCard, FakeLibrary


class Line:
    """A card whose output comes back late: whole frames, more at each start."""

    rate_hz, period_frames, periods, card = 48_000, 64, 2, "hw:CARD=Bench"

    def __init__(self, late: int = 100, moves: tuple[int, ...] = (0,), inputs: int = 1) -> None:
        self.inputs = inputs
        self._late, self._moves = late, moves
        self.started = 0
        self.break_after = math.inf
        self.gone = False
        self.pedal = 0
        self.enough = threading.Event()

    def start(self) -> None:
        if self.gone:
            raise InstrumentError("audio: gone")
        move = self._moves[min(self.started, len(self._moves) - 1)]
        self.started += 1
        self._delays = [self._late + move + self.pedal, self._late + move]
        self._played = np.zeros(max(self._delays), dtype=np.float32)

    def cycle(self, out: Signal) -> Signal:
        if self.gone:
            raise InstrumentError("audio: gone")
        self.break_after -= 1
        if self.break_after < 0:
            self.break_after = math.inf
            raise Broken
        frames = self.period_frames
        self._played = np.concatenate([self._played, out])[-(48_000 + frames) :]
        end = len(self._played)
        rows = []
        for late in self._delays[: self.inputs]:
            rows.append(self._played[end - frames - late : end - late])
        return np.array(rows, dtype=np.float32)

    def close(self) -> None:
        self.gone = True


def own(line: Line, frames: float, reference: float | None = None) -> Loopback:
    return Loopback(
        line.card, line.rate_hz, line.period_frames, line.periods, frames, 0.0, reference
    )


def test_a_shot_has_the_pedals_delay_and_the_cards_own(opened) -> None:
    line = Line()
    line.pedal = 254
    loop = opened(AlsaLoop(line, own(line, 100.0)))
    signal = chirp()
    heard = loop.shot(signal)
    assert len(heard) >= len(signal) + line.rate_hz / 3
    assert find_delay(signal, heard).frames - loop.own_frames == pytest.approx(254.0, abs=1e-4)


@given(length=st.integers(1, 5000), seed=st.integers(0, 9))
@settings(max_examples=15, deadline=None)
def test_any_signal_comes_back_whole(length: int, seed: int) -> None:
    line = Line(late=70)
    loop = AlsaLoop(line, own(line, 70.0))
    signal = np.random.default_rng(seed).uniform(-1, 1, length).astype(np.float32)
    heard = loop.shot(signal)
    loop.close()
    assert np.array_equal(heard[70 : 70 + length], signal)
    assert not heard[:70].any() and not heard[70 + length :].any()


def test_an_xrun_spoils_no_shot(opened) -> None:
    line = Line()
    loop = opened(AlsaLoop(line, own(line, 100.0)))
    line.break_after = 20
    signal = chirp()
    assert find_delay(signal, loop.shot(signal)).frames == pytest.approx(100.0, abs=1e-4)
    assert line.started == 2


def test_a_start_that_moves_is_taken_back_by_the_reference(opened) -> None:
    line = Line(moves=(0, 7, 7, 3), inputs=2)
    line.pedal = 254
    loop = opened(AlsaLoop(line, own(line, 100.0, reference=98.0)))
    signal = chirp()
    found = []
    for _ in range(3):
        found.append(find_delay(signal, loop.shot(signal)).frames)
        loop.restart()
    # It was measured when the reference was 98 frames late; now it is 100, 107, 107.
    assert found == pytest.approx([352.0] * 3, abs=1e-3)


def test_a_card_that_goes_is_said(opened) -> None:
    line = Line()
    loop = opened(AlsaLoop(line, own(line, 100.0)))
    line.gone = True
    with pytest.raises(InstrumentError, match="gone"):
        loop.shot(chirp())
    line.gone = False
    assert len(loop.shot(chirp())) > 0


def test_xruns_without_end_are_said(opened) -> None:
    class Bad(Line):
        def cycle(self, out: Signal) -> Signal:
            raise Broken

    line = Bad()
    loop = opened(AlsaLoop(line, own(line, 100.0)))
    with pytest.raises(InstrumentError, match="loses periods again and again"):
        loop.shot(chirp())


# -- measuring with a cable -----------------------------------------------------------------------


def quiet(line: str) -> None:
    """Say nothing."""


def test_loopback_of_a_steady_card(opened, tmp_path: Path) -> None:
    line = Line(late=211)
    found = measure_loopback(opened(AlsaLoop(line)), line, starts=4, say=quiet)
    assert found.own_frames == pytest.approx(211.0, abs=1e-4) and found.reference_frames is None
    file = tmp_path / "loopback.json"
    write_loopback(file, found)
    assert read_loopback(file) == found


def test_loopback_of_a_card_that_moves(opened) -> None:
    line = Line(moves=(0, 5, 2, 9))
    with pytest.raises(BenchError, match=r"differs by 9.00 frames.*reference_channel"):
        measure_loopback(opened(AlsaLoop(line)), line, starts=4, say=quiet)
    line = Line(moves=(0, 5, 2, 9), inputs=2)
    found = measure_loopback(opened(AlsaLoop(line)), line, starts=4, say=quiet)
    assert found.own_frames == pytest.approx(100.0, abs=1e-3)
    assert found.reference_frames == pytest.approx(100.0, abs=1e-3)


def test_loopback_without_a_cable(opened) -> None:
    class Open(Line):
        def cycle(self, out: Signal) -> Signal:
            return 0.0 * super().cycle(out)

    line = Open()
    with pytest.raises(BenchError, match="check the cable"):
        measure_loopback(opened(AlsaLoop(line)), line, say=quiet)


def test_a_loopback_of_another_card_is_refused() -> None:
    line = Line()
    other = Loopback("hw:CARD=Other", 48_000, 64, 2, 100.0, 0.0)
    with pytest.raises(BenchError, match=r"hw:CARD=Other at 48000 Hz, 64 × 2.*measure it"):
        AlsaLoop(line, other)
    with pytest.raises(BenchError, match=r"with a reference cable"):
        AlsaLoop(line, own(line, 100.0, reference=98.0))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"card": 1, "nonsense": 2}', "null", '{"own_frames": NaN}']
)
def test_a_file_that_is_no_loopback(text: str, tmp_path: Path) -> None:
    file = tmp_path / "loopback.json"
    with pytest.raises(BenchError, match="measure it"):
        read_loopback(file)
    file.write_text(text)
    with pytest.raises(BenchError, match="is no loopback measurement"):
        read_loopback(file)


# -- the card -------------------------------------------------------------------------------------


def test_what_is_played_is_a_buffer_later_than_what_was_recorded(tmp_path: Path) -> None:
    """The fake card records the numbers of its frames, so each played frame tells its age."""
    card = FakeCard(tmp_path)
    duplex = AlsaDuplex(CARD, 48_000, 64, 3, (1, 0), library=FakeLibrary(card))
    duplex.start()
    for _ in range(20):
        came = duplex.cycle(np.zeros(64, dtype=np.float32))
        assert came.shape == (2, 64) and np.array_equal(came[0], came[1])
    for _ in range(20):
        came = duplex.cycle(came[0])
    duplex.close()
    assert card.latencies() == {64 * 3 + 64}


def test_a_card_that_loses_a_period(tmp_path: Path) -> None:
    card = FakeCard(tmp_path)
    duplex = AlsaDuplex(CARD, 48_000, 64, 2, (0,), library=FakeLibrary(card))
    duplex.start()
    duplex.cycle(np.zeros(64, dtype=np.float32))
    card.late(1000)
    with pytest.raises(Broken):
        duplex.cycle(np.zeros(64, dtype=np.float32))
    duplex.start()
    duplex.cycle(np.zeros(64, dtype=np.float32))
    duplex.close()


def test_a_card_that_is_unplugged(tmp_path: Path) -> None:
    card = FakeCard(tmp_path)
    duplex = AlsaDuplex(CARD, 48_000, 64, 2, (0,), library=FakeLibrary(card))
    duplex.start()
    card.unplug()
    with pytest.raises(InstrumentError, match="ENODEV"):
        duplex.cycle(np.zeros(64, dtype=np.float32))
    duplex.close()
    with pytest.raises(InstrumentError, match=r"check \[audio\]"):
        AlsaDuplex(CARD, 48_000, 64, 2, (0,), library=FakeLibrary(card))


def test_a_card_that_gives_something_else(tmp_path: Path) -> None:
    card = FakeCard(tmp_path)
    card.given = {"rate": 44_100}
    with pytest.raises(InstrumentError, match="asked for a rate of 48000 Hz"):
        AlsaDuplex(CARD, 48_000, 64, 2, (0,), library=FakeLibrary(card))
