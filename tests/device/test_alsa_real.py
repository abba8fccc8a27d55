"""The port on real ALSA: PCMs of type null and file, which have no clock but carry samples."""

import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from device.boards.alsa import AlsaConfig, AlsaPort
from device.boards.audio_port import PortStatus
from device.errors import AudioError
from device.plain import replace
from tests.device.alsa_support import needs_alsa, run_periods, use_asoundrc
from tests.device.test_samples import packed, unpacked

FRAMES = 64
PERIODS = 50
TAPE = AlsaConfig(card="tape", capture="tape_in", playback="tape_out")
BITS = {"S32_LE": 24, "S24_3LE": 24, "S24_LE": 24, "S16_LE": 16}

RESTRICTED = """
pcm.nothing { type null }
pcm.wide {
    type multi
    slaves.a { pcm nothing channels 4 }
    bindings { 0 { slave a channel 0 } 1 { slave a channel 1 } 2 { slave a channel 2 } }
}
pcm.integers { type linear slave { pcm nothing format S16_LE } }
"""


@pytest.fixture(autouse=True)
def alsa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_alsa()
    use_asoundrc(
        RESTRICTED
        # Type file writes down what is captured as well, so each direction has its own.
        + f"""
pcm.tape_in {{
    type file
    slave.pcm nothing
    file /dev/null
    infile "{tmp_path}/in.raw"
    format raw
}}
pcm.tape_out {{
    type file
    slave.pcm nothing
    file "{tmp_path}/out.raw"
    format raw
}}
""",
        tmp_path,
        monkeypatch,
    )


def integers(name: str, count: int) -> np.ndarray:
    """Random samples of full range, as their format has them (S32 with 24 bits of content)."""
    bits = BITS[name]
    values = np.random.default_rng(7).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), count)
    return values.astype(np.int32) << (8 if name == "S32_LE" else 0)


@pytest.mark.parametrize("name", list(BITS))
def test_samples_come_in_and_go_out_bit_for_bit(tmp_path: Path, name: str) -> None:
    sound = integers(name, FRAMES * PERIODS)
    (tmp_path / "in.raw").write_bytes(packed(name, sound))
    port = AlsaPort(replace(TAPE, formats=(name,), capture_channels=(1,), playback_channels=(1,)))
    port.open()
    assert not port.absent, port.last_error
    heard, statuses = run_periods(port, PERIODS)
    port.close()
    assert set(statuses) == {(0, 0)}
    full = 2.0 ** (31 if name == "S32_LE" else BITS[name] - 1)
    assert np.array_equal(heard * full, sound)
    written = unpacked(name, (tmp_path / "out.raw").read_bytes())
    silence = port.periods * FRAMES
    assert not written[:silence].any()
    assert np.array_equal(written[silence:], sound)
    assert len(written) == silence + len(sound)


def test_the_guitars_input_is_taken_and_goes_to_both_outputs(tmp_path: Path) -> None:
    left, right = integers("S16_LE", FRAMES * PERIODS), integers("S16_LE", FRAMES * PERIODS)[::-1]
    both = np.stack([left, right], axis=1).astype("<i2")
    (tmp_path / "in.raw").write_bytes(both.tobytes())
    port = AlsaPort(replace(TAPE, formats=("S16_LE",), input_channel=1))
    port.open()
    run_periods(port, PERIODS)
    port.close()
    written = np.frombuffer((tmp_path / "out.raw").read_bytes(), "<i2").reshape(-1, 2)
    assert np.array_equal(written[:, 0], written[:, 1])
    assert np.array_equal(written[port.periods * FRAMES :, 0], right)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            AlsaConfig(card="wide"),
            "capture on wide: asked for .* with 2 or 1 channels and was given S32_LE with 3",
        ),
        (
            AlsaConfig(card="integers", formats=("FLOAT_LE",)),
            "capture on integers: asked for FLOAT_LE .* and was given .* offers the formats .*S16",
        ),
        (
            AlsaConfig(card="nothing", playback="wide", playback_channels=(1,)),
            "playback on wide: asked for .* 1 channels and was given S32_LE with 3",
        ),
    ],
)
def test_a_pcm_that_gives_something_else_is_told(config: AlsaConfig, sentence: str) -> None:
    port = AlsaPort(config)
    with pytest.raises(AudioError, match=sentence):
        port.open()


def test_a_pcm_of_three_channels_is_used_when_that_is_asked() -> None:
    port = AlsaPort(
        AlsaConfig(card="wide", playback="nothing", capture_channels=(2, 3), input_channel=2)
    )
    port.open()
    assert run_periods(port, 5)[1] == [(0, 0)] * 5
    port.close()


@pytest.mark.parametrize("name", ["hw:CARD=NoSuchCard", "no_such_pcm"])
def test_a_card_that_is_not_there_is_waited_for(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    port = AlsaPort(AlsaConfig(card=name, retry_first_s=0.01))
    port.open()
    period = np.ones((1, FRAMES), np.float32)
    for _ in range(20):
        assert port.read(period) is PortStatus.ABSENT
        assert port.write(period) is PortStatus.ABSENT
    assert port.absences == 1
    assert port.last_error is not None and name in port.last_error
    if name.startswith("hw:"):
        assert capfd.readouterr().err == ""  # alsa-lib is not asked, so it has no say


def test_a_pcm_that_appears_later_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = AlsaPort(AlsaConfig(card="later", retry_first_s=0.005))
    port.open()
    assert port.absent
    # Another file, since alsa-lib looks at a file's time by the second only.
    (tmp_path / "new").mkdir()
    use_asoundrc("pcm.later { type null }", tmp_path / "new", monkeypatch)
    period = np.zeros((1, FRAMES), np.float32)
    statuses = [port.read(period) for _ in range(20)]
    assert statuses[-1] is PortStatus.OK
    assert (port.absences, port.reopens) == (1, 1)
    port.close()


def test_a_period_leaves_nothing_behind() -> None:
    port = AlsaPort(AlsaConfig(card="nothing"))
    port.open()
    run_periods(port, 200)
    sound = np.zeros((1, FRAMES), np.float32)
    tracemalloc.start()
    port.read(sound)
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    for _ in range(2000):
        port.read(sound)
        port.write(sound)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1024
    assert peak - before < 2048  # one bytes of 512 and the calls' own small objects
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20_000):
        port.read(sound)
        port.write(sound)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident < 512  # KiB
    port.close()
