"""The whole pedal on the ALSA half of the jetson board: both processes, as a player starts them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from device.errors import LinkError
from device.processes.meters import read_meters
from tests.conftest import ROOT
from tests.device.alsa_support import (
    WIDE_CARD,
    needs_alsa,
    pipewire,
    use_asoundrc,
    use_pipewire,
)

PEDAL = """
[audio]
card = "{card}"
period_frames = 128
periods = 4
[knob]
points = [[0.0, 0.0], [2.0, 1.0]]
presets = [[1.0, 1], [1.5, 2]]
[bank]
presets = ["p0.toml", "p1.toml", "p2.toml"]
"""
PRESET = """
format = 1
name = "Level {number}"
[tone.a]
chain = [{{ block = "gain", gain_db = -{number}.0 }}]
[tone.b]
chain = [{{ block = "drive", drive_db = 6.0 }}]
[morph]
engine = "crossfade"
path = "direct"
"""


@contextmanager
def pedal(card: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A pedal in the foreground; its process and its meters. Ended by SIGTERM, with 0."""
    (folder / "pedal.toml").write_text(PEDAL.format(card=card))
    for number in range(3):
        (folder / f"p{number}.toml").write_text(PRESET.format(number=number))
    command = [sys.executable, "-m", "device", "run", "--board", "jetson", "--json"]
    command += ["--config", str(folder / "pedal.toml"), "--runtime", str(folder / "rt")]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            yield run, folder / "rt" / "meters"
        finally:
            run.send_signal(signal.SIGTERM)
            out, error = run.communicate(timeout=30)
        assert run.returncode == 0, error
        assert json.loads(out.splitlines()[-1]) == {}


def wait_for(meters: Path, reached: Callable[[Mapping[str, int]], bool]) -> Mapping[str, int]:
    """Wait until the meters show something; a busy machine may take its time."""
    deadline = time.monotonic() + 60
    values: Mapping[str, int] = {}
    while time.monotonic() < deadline:
        try:
            values = read_meters(meters).values
        except LinkError:
            values = {}
        if values and reached(values):
            return values
        time.sleep(0.05)
    raise AssertionError(f"not reached: {values}")


def test_a_pedal_without_its_interface_waits_for_it(tmp_path: Path) -> None:
    needs_alsa()
    with pedal("hw:CARD=NoSuchCard", tmp_path) as (_, meters):
        values = wait_for(meters, lambda values: values["absent_periods"] > 200)
        assert values["absent"] == 1 and values["periods"] >= values["absent_periods"]
        reading = read_meters(meters)
        assert "NoSuchCard" in reading.message
        assert 20 < (reading.resident_mib() or 0) < 400
    assert read_meters(meters).resident_mib() is None


def test_a_card_that_cannot_do_what_is_asked_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_alsa()
    use_asoundrc(WIDE_CARD, tmp_path, monkeypatch)
    (tmp_path / "pedal.toml").write_text('[audio]\ncard = "wide"\n')
    command = [sys.executable, "-m", "device", "run", "--board", "jetson"]
    command += ["--config", str(tmp_path / "pedal.toml"), "--runtime", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "on wide: asked for" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.pipewire
def test_a_pedal_plays_on_a_paced_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_alsa()
    with TemporaryDirectory(prefix="pw") as folder, pipewire(Path(folder)) as server:
        config = use_pipewire(server, monkeypatch)
        assert os.environ["ALSA_CONFIG_PATH"]
        with pedal(config.card, tmp_path) as (_, meters):
            values = wait_for(meters, lambda values: values["position_ppm"] == 1_000_000)
            assert values["preset"] == 2 and values["preset_changes"] == 2
            periods = values["periods"]
            values = wait_for(meters, lambda values: values["periods"] > periods + 400)
            assert values["absent"] == 0 and values["path_errors"] == 0
            assert values["xruns"] < 0.2 * values["periods"]  # a busy machine may lose some
            assert values["interface_frames"] >= 4 * 128
