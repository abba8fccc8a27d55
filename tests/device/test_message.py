"""Why the interface was lost: said by audio in its meters, read by control."""

from pathlib import Path

import pytest

from device.processes.message import MESSAGE_BYTES, last_message
from device.processes.meters import Meters


def test_control_reads_what_audio_said_last(tmp_path: Path) -> None:
    meters = Meters(tmp_path / "meters")
    assert last_message(tmp_path / "meters") == ""
    meters.say("capture stopped: No such device")
    assert last_message(tmp_path / "meters") == "capture stopped: No such device"
    meters.say("é" * MESSAGE_BYTES)
    assert last_message(tmp_path / "meters") == "é" * (MESSAGE_BYTES // 2)


@pytest.mark.parametrize("content", [None, b"", b"short"])
def test_no_meters_say_nothing(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "meters").write_bytes(content)
    assert last_message(tmp_path / "meters") == ""
