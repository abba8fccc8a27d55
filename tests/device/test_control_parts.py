"""Parts that may be missing, and what control says of itself."""

import errno
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.boards.board import NotYet
from device.errors import ConfigError
from device.processes.control_part import FIRST_RETRY_S, LONGEST_RETRY_S, Part
from device.processes.control_report import Kept, kept, read_report, write_report
from tests.device.control_support import Rig


class Opener:
    """Opens when it is told to."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.tries: list[float] = []
        self.now_s = 0.0

    def __call__(self) -> str:
        self.tries.append(self.now_s)
        if self.error is not None:
            raise self.error
        return "there"


def live(part: Part[str], opener: Opener, until_s: float) -> None:
    while opener.now_s < until_s:
        opener.now_s += 0.01
        part.get(opener.now_s)


def test_what_is_missing_is_tried_again_ever_more_rarely_and_found() -> None:
    opener = Opener(FileNotFoundError(errno.ENOENT, "No such file", "/dev/x"))
    part = Part("knob", opener)
    live(part, opener, 60.0)
    gaps = [round(later - earlier, 1) for earlier, later in itertools.pairwise(opener.tries)]
    assert (gaps[0], gaps[-1]) == (FIRST_RETRY_S, LONGEST_RETRY_S) and gaps == sorted(gaps)
    assert part.problem == "knob: /dev/x: No such file" and part.failures == len(opener.tries)
    assert not part.opened
    opener.error = None
    live(part, opener, 75.0)
    assert part.get(75.0) == "there" and part.opened and not part.problem and not part.fault


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConfigError("pin 99 is none"), "wrong pin"),
        (PermissionError(errno.EACCES, "denied"), "no permission"),
        (OSError(errno.ENODEV, "gone"), "missing device"),
        (ModuleNotFoundError("no gpiod"), "missing device"),
    ],
)
def test_the_kind_of_a_fault_is_what_lies_under_it(error: Exception, kind: str) -> None:
    part = Part("relay", Opener(error), pin=True)
    part.get(0.0)
    assert part.fault.startswith(f"{kind}: relay: ")
    if not isinstance(error, ConfigError):
        wrapped = ConfigError("header pin 31 cannot be opened")
        wrapped.__cause__ = error
        part = Part("relay", Opener(wrapped), pin=True)
        part.get(0.0)
        assert part.fault == f"{kind}: relay: header pin 31 cannot be opened"
    spare = Part("heater", Opener(error), needed=False)
    spare.get(0.0)
    assert spare.fault == "heater missing"


def test_what_is_still_being_loaded_is_no_problem() -> None:
    opener = Opener(NotYet())
    part = Part("footswitch", opener)
    live(part, opener, 1.0)
    assert not part.problem and not part.fault and part.failures == 0
    assert len(opener.tries) > 20
    opener.error = None
    live(part, opener, 1.1)
    assert part.opened


def test_the_report_is_read_as_written_and_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "control.json"
    assert read_report(file) is None and kept(file) == Kept()
    write_report(file, {"preset": 3, "bypass": True, "position": 0.25})
    assert kept(file) == Kept(3, True, 0.25)
    assert [each.name for each in tmp_path.iterdir()] == ["control.json"]


@given(st.binary(max_size=40) | st.sampled_from([b'{"format": 1}', b'{"format": 2}', b"[]"]))
def test_a_damaged_report_is_no_report(content: bytes) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        file = Path(folder) / "control.json"
        file.write_bytes(content)
        assert kept(file) == Kept()


@given(
    st.fixed_dictionaries(
        {
            name: st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
            for name in ("preset", "bypass", "position")
        }
    )
)
def test_foreign_wishes_are_not_taken_over(wishes: dict[str, object]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        file = Path(folder) / "control.json"
        write_report(file, wishes)
        preset, bypass, position = kept(file)
        assert preset is None or (type(preset) is int and 0 <= preset <= 0xFFFF)
        assert type(bypass) is bool
        assert position is None or 0.0 <= position <= 1.0


def test_a_full_disk_costs_the_report_and_not_the_music(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.live(1.0)
    rig.watch._report = tmp_path / "missing" / "control.json"
    rig.live(3.0)
    decision = rig.loop.power.decision
    assert decision.state == "play" and "disk full" in decision.warnings
    rig.watch._report = rig.report
    rig.live(3.0)
    assert "disk full" not in rig.loop.power.decision.warnings
    rig.close()


def test_the_journal_has_each_transition_and_each_problem_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    said: list[tuple[str, dict[str, object]]] = []

    def say(text: str, level: str = "info", **fields: object) -> bool:
        said.append((text, fields))
        return True

    rig.watch._journal.say = say  # type: ignore[method-assign]
    rig.live(2.0)
    rig.hand.broken = {"knob"}
    rig.live(3.0)
    rig.hand.broken.clear()
    rig.live(3.0)
    rig.hand.celsius = 90.0
    rig.live(3.0)
    rig.close()
    states = [fields["PURGA_STATE"] for _, fields in said if "PURGA_STATE" in fields]
    assert states[-2:] == ["play", "hot"]
    assert all(fields["PURGA_CAUSE"] for _, fields in said if "PURGA_STATE" in fields)
    knob = [text for text, _ in said if "knob does not answer" in text]
    assert [text.startswith("over: ") for text in knob] == [False, True]
    report = json.loads(rig.report.read_text())
    assert report["state"] == "hot" and report["transitions"][-1]["to"] == "hot"
