"""``python -m device learn`` beside a pedal that runs, and beside none."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.__main__ import main
from device.knob.learn import FILE, read_learnt
from tests.device.control_support import Rig


class Pedal:
    """A control process that lives beside the test, a little faster than real time."""

    def __init__(self, folder: Path) -> None:
        self.rig = Rig(folder)
        self.turning = False
        self._ends = threading.Event()
        self.rig.live(0.5)
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def _live(self) -> None:
        turn = 0
        while not self._ends.is_set():
            if self.turning:
                turn += 1
                self.rig.hand.raw = 0.3 + 0.4 * abs((turn % 20) / 10.0 - 1.0)
            self.rig.live(0.02)
            time.sleep(0.002)

    def end(self) -> None:
        self._ends.set()
        self._thread.join()
        self.rig.close()


@pytest.fixture
def pedal(tmp_path: Path) -> Iterator[Pedal]:
    pedal = Pedal(tmp_path)
    yield pedal
    pedal.end()


def test_what_is_turned_is_learnt(
    pedal: Pedal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pedal.turning = True
    assert main(["learn", "--runtime", str(tmp_path), "--seconds", "1", "--json"]) == 0
    out, error = capsys.readouterr()
    assert json.loads(out)["learnt"] == ["knob"] and "turn each control" in error
    assert not (tmp_path / "learn").exists()
    pedal.end()
    knob = read_learnt(tmp_path).knob
    assert (knob.low, knob.high) == pytest.approx((0.3, 0.7), abs=0.05)


def test_what_is_not_turned_changes_nothing(
    pedal: Pedal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["learn", "--runtime", str(tmp_path), "--seconds", "1"]) == 1
    assert "nothing was moved far enough" in capsys.readouterr().out
    assert not (tmp_path / FILE).exists()


def test_without_a_pedal_that_runs_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["learn", "--runtime", str(tmp_path)]) == 1
    assert "no pedal runs there" in capsys.readouterr().err
    assert main(["learn", "--runtime", str(tmp_path), "--seconds", "0"]) == 2
    assert "must lie in 1…600" in capsys.readouterr().err


def test_a_pedal_that_does_not_answer_is_given_up(
    pedal: Pedal,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("device.learn_command.ANSWER_S", 0.3)
    pedal.end()
    assert main(["learn", "--runtime", str(tmp_path), "--seconds", "1"]) == 1
    assert "does not answer" in capsys.readouterr().err and not (tmp_path / "learn").exists()
