"""The port's states on a fake card: xruns, unplugging, refusals, stalls, latency.

A hot unplug or a dead driver cannot be had without kernel drivers; ``alsa_support.FakeLibrary``
stands at pyalsaaudio's seam instead. The virtual pedal shows the same on real ones.
"""

import errno
import sys
from pathlib import Path

import numpy as np
import pytest

from device.boards.alsa import AlsaConfig, AlsaPort
from device.boards.alsa_pcm import card_is_missing, check_version, errno_of, load_library
from device.boards.audio_port import PortStatus
from device.errors import AudioError, ConfigError
from device.plain import replace
from tests.device.alsa_support import (
    CARD,
    FakeCard,
    FakeLibrary,
    FakeTime,
    alsa_error,
    run_periods,
)

OK, XRUN, ABSENT = (int(status) for status in list(PortStatus)[:3])
FRAMES = 64
PERIOD_S = FRAMES / 48000
CONFIG = AlsaConfig(card=CARD, stall_s=0.02, start_s=0.02)


@pytest.fixture
def card(tmp_path: Path) -> FakeCard:
    return FakeCard(tmp_path / "cards")


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


def make_port(card: FakeCard, clock: FakeTime, config: AlsaConfig = CONFIG) -> AlsaPort:
    return AlsaPort(
        config,
        library=FakeLibrary(card),
        monotonic=clock.monotonic,
        sleep=clock.sleep,
        cards=card.cards,
    )


@pytest.fixture
def port(card: FakeCard, clock: FakeTime) -> AlsaPort:
    made = make_port(card, clock)
    made.open()
    return made


def loop(port: AlsaPort, count: int) -> list[tuple[int, int]]:
    return run_periods(port, count)[1]


@pytest.mark.parametrize("periods", [2, 3, 4])
def test_a_sample_is_played_as_many_periods_later_as_the_buffer_has(
    card: FakeCard, clock: FakeTime, periods: int
) -> None:
    port = make_port(card, clock, replace(CONFIG, periods=periods))
    port.open()
    assert loop(port, 50) == [(OK, OK)] * 50
    port.close()
    assert card.latencies() == {periods * FRAMES} == {port.latency_frames}
    assert (port.xruns_capture, port.xruns_playback, port.last_error) == (0, 0, None)


def test_what_is_read_is_what_the_card_captured(card: FakeCard, port: AlsaPort) -> None:
    heard, _ = run_periods(port, 4)
    assert np.array_equal(np.round(heard * 2.0**23), np.arange(4 * FRAMES))


def test_the_loop_may_start_long_after_open(card: FakeCard, port: AlsaPort) -> None:
    card.late(100_000)
    assert loop(port, 20) == [(OK, OK)] * 20


def test_a_late_loop_is_an_xrun_and_latency_does_not_creep(card: FakeCard, port: AlsaPort) -> None:
    for _ in range(20):
        assert loop(port, 5) == [(OK, OK)] * 5
        card.late(10 * FRAMES)
        assert loop(port, 1) == [(XRUN, OK)]
    assert loop(port, 5) == [(OK, OK)] * 5
    port.close()
    assert port.xruns_capture == 20
    assert card.latencies() == {port.latency_frames}


def test_an_xrun_between_read_and_write_counts_for_playback(card: FakeCard, port: AlsaPort) -> None:
    period = np.zeros((1, FRAMES), np.float32)
    for _ in range(3):
        assert port.read(period) is PortStatus.OK
        card.late(10 * FRAMES)
        assert port.write(period) is PortStatus.XRUN
        assert loop(port, 5) == [(OK, OK)] * 5
    port.close()
    assert (port.xruns_capture, port.xruns_playback) == (0, 3)
    assert card.latencies() == {port.latency_frames}


@pytest.mark.parametrize("code", [errno.EPIPE, errno.ESTRPIPE, errno.EBADFD])
@pytest.mark.parametrize("direction", ["capture", "playback"])
def test_a_stopped_stream_starts_again(
    card: FakeCard, port: AlsaPort, direction: str, code: int
) -> None:
    loop(port, 3)
    card.fail(direction, code)
    expected = (XRUN, OK) if direction == "capture" else (OK, XRUN)
    assert loop(port, 4) == [expected] + [(OK, OK)] * 3
    assert port.xruns_capture + port.xruns_playback == 1
    assert not port.absences


def test_silence_is_given_with_every_xrun(card: FakeCard, port: AlsaPort) -> None:
    period = np.ones((1, FRAMES), np.float32)
    loop(port, 2)
    card.fail("capture", errno.EPIPE)
    assert port.read(period) is PortStatus.XRUN
    assert not period.any()


def test_a_card_that_breaks_off_after_every_start_is_opened_anew(
    card: FakeCard, port: AlsaPort, clock: FakeTime
) -> None:
    card.fail("capture", *[errno.EPIPE] * 17)
    statuses = loop(port, 17)
    assert statuses == [(XRUN, OK)] * 16 + [(ABSENT, ABSENT)]
    assert port.last_error is not None and "16 starts" in port.last_error
    while loop(port, 1) == [(ABSENT, ABSENT)]:
        pass
    assert (port.absences, port.reopens) == (1, 1)
    assert loop(port, 5) == [(OK, OK)] * 5


def test_absent_at_boot_is_no_error(card: FakeCard, clock: FakeTime) -> None:
    card.unplug()
    port = make_port(card, clock)
    port.open()
    assert port.absent and port.absences == 1
    assert port.last_error is not None and CARD in port.last_error
    assert loop(port, 10) == [(ABSENT, ABSENT)] * 10
    card.plug()
    statuses = loop(port, 200)
    assert statuses[-1] == (OK, OK) and not port.absent
    assert port.reopens == 1


def test_an_absent_card_keeps_the_beat_and_gives_silence(card: FakeCard, clock: FakeTime) -> None:
    card.unplug()
    port = make_port(card, clock)
    port.open()
    began_s = clock.now_s
    period = np.ones((1, FRAMES), np.float32)
    for _ in range(750):
        period.fill(1.0)
        assert port.read(period) is PortStatus.ABSENT
        assert not period.any()
        clock.now_s += 0.3 * PERIOD_S  # the loop's own work does not stretch the beat
    assert clock.now_s - began_s == pytest.approx(750 * PERIOD_S, abs=PERIOD_S)


@pytest.mark.parametrize("where", ["read", "write"])
def test_unplugged_while_playing_and_back(
    card: FakeCard, port: AlsaPort, clock: FakeTime, where: str
) -> None:
    loop(port, 5)
    period = np.ones((1, FRAMES), np.float32)
    if where == "write":
        assert port.read(period) is PortStatus.OK
        card.unplug()
        assert port.write(period) is PortStatus.ABSENT
    else:
        card.unplug()
        assert port.read(period) is PortStatus.ABSENT
        assert not period.any()
    assert port.absences == 1
    assert not card.pcms  # both directions are released, or the card could not come back
    assert port.last_error is not None and "No such device" in port.last_error
    assert loop(port, 100) == [(ABSENT, ABSENT)] * 100
    card.plug()
    while loop(port, 1) == [(ABSENT, ABSENT)]:
        pass
    assert loop(port, 20) == [(OK, OK)] * 20
    port.close()
    assert (port.absences, port.reopens) == (1, 1)
    assert (port.xruns_capture, port.xruns_playback) == (0, 0)
    assert card.latencies() == {port.latency_frames}


def test_it_is_looked_for_less_and_less_often(card: FakeCard, clock: FakeTime) -> None:
    port = make_port(card, clock)
    port.open()
    loop(port, 2)
    card.open_errors = [errno.EBUSY] * 9
    card.fail("capture", errno.ENODEV)
    loop(port, 1)
    lost_s, looks = clock.now_s - PERIOD_S, []
    while port.absent:
        left = len(card.open_errors)
        loop(port, 1)
        if len(card.open_errors) < left:
            looks.append(clock.now_s)
    gaps = np.diff([lost_s, *looks])
    wanted = [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0]
    # Looks happen at a period's edge.
    assert gaps == pytest.approx(wanted, abs=2 * PERIOD_S)
    assert port.reopens == 1


def test_a_card_that_comes_back_different_is_kept_out_and_told(
    card: FakeCard, port: AlsaPort
) -> None:
    loop(port, 3)
    card.unplug()
    loop(port, 3)
    card.plug()
    card.given = {"rate": 44100}
    assert loop(port, 2000) == [(ABSENT, ABSENT)] * 2000
    assert port.refusals >= 3 and port.reopens == 0
    assert port.last_error is not None and "44100" in port.last_error
    assert not card.pcms
    card.given = {}
    assert loop(port, 2000)[-1] == (OK, OK)
    assert port.reopens == 1


@pytest.mark.parametrize("direction", ["capture", "playback"])
def test_a_dead_driver_does_not_hold_the_loop(
    card: FakeCard, port: AlsaPort, direction: str
) -> None:
    loop(port, 3)
    period = np.zeros((1, FRAMES), np.float32)
    if direction == "playback":
        assert port.read(period) is PortStatus.OK
        card.stall()
        assert port.write(period) is PortStatus.OK  # there was room for one
    else:
        card.stall()
    assert port.read(period) is PortStatus.ABSENT
    assert (port.stalls, port.absences) == (1, 1)
    assert port.last_error is not None and "stalled" in port.last_error
    card.stalled = False
    while loop(port, 1) == [(ABSENT, ABSENT)]:
        pass
    assert loop(port, 5) == [(OK, OK)] * 5


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rate": 44100}, "asked for a rate of 48000 Hz and was given 44100: set rate_hz"),
        ({"period_size": 256}, "asked for a period of 64 frames and was given 256: set period_"),
        ({"periods": 4}, "asked for a buffer of 2 periods and was given 4: set periods"),
        ({"access_type": "MMAP_INTERLEAVED"}, "asked for RW_INTERLEAVED access"),
        (
            {"format": 99, "format_name": "U8"},
            "was given U8 with 2; it offers the formats S32_LE: set formats",
        ),
        ({"channels": 6}, "asked for .* 2 or 1 channels and was given S32_LE with 6"),
    ],
)
def test_a_card_that_gives_something_else_is_told_at_open(
    card: FakeCard, clock: FakeTime, given: dict, sentence: str
) -> None:
    # A fake's info(): of these only channels, format and (under PipeWire) rate and period can
    # be had from a real PCM here, see test_alsa_real and test_alsa_pipewire.
    card.given = given
    port = make_port(card, clock)
    with pytest.raises(AudioError, match=sentence):
        port.open()
    assert not card.pcms


def test_errors_of_opening_that_mean_wait_and_those_that_mean_no(
    card: FakeCard, clock: FakeTime
) -> None:
    for code in (errno.ENODEV, errno.ENOENT, errno.EBUSY, errno.EIO, errno.EHOSTDOWN):
        card.open_errors = [code]
        port = make_port(card, clock)
        port.open()
        assert port.absent
    for code in (errno.EINVAL, errno.EACCES):
        card.open_errors = [code] * 10
        with pytest.raises(AudioError, match="cannot be opened"):
            make_port(card, clock).open()
    card.open_errors = []


def test_a_second_channel_count_is_tried(card: FakeCard, clock: FakeTime) -> None:
    card.open_errors = [errno.EINVAL]  # some drivers refuse instead of giving something else
    port = make_port(card, clock)
    port.open()
    assert loop(port, 3) == [(OK, OK)] * 3
    assert [pcm.asked["channels"] for pcm in card.pcms] == [1, 2]


def test_capture_is_released_when_playback_cannot_be_had(card: FakeCard, clock: FakeTime) -> None:
    port = make_port(card, clock)
    port._library = library = FakeLibrary(card)
    real = library.PCM

    def only_capture(**asked: object) -> object:
        if asked["type"] == library.PCM_PLAYBACK:
            raise alsa_error(errno.EBUSY)
        return real(**asked)

    library.PCM = only_capture  # type: ignore[method-assign,assignment]
    port.open()
    assert port.absent and not card.pcms
    assert port.last_error is not None and "another program" in port.last_error


def test_close_may_come_twice_and_ends_reading(card: FakeCard, port: AlsaPort) -> None:
    loop(port, 3)
    port.close()
    port.close()
    assert not card.pcms
    period = np.zeros((1, FRAMES), np.float32)
    with pytest.raises(AudioError, match="not open"):
        port.read(period)
    port.open()
    assert loop(port, 3) == [(OK, OK)] * 3


def test_a_write_before_the_first_read_is_dropped(card: FakeCard, port: AlsaPort) -> None:
    period = np.ones((1, FRAMES), np.float32)
    assert port.write(period) is PortStatus.OK
    assert loop(port, 5) == [(OK, OK)] * 5
    port.close()
    assert card.latencies() == {port.latency_frames}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"periods": 1}, "periods is 1; it must be 2 or more"),
        ({"period_frames": 0}, "period_frames is 0"),
        ({"input_channel": 2}, "input_channel 2 does not exist"),
        ({"playback_channels": ()}, "playback_channels"),
        ({"formats": ("S20_3LE",)}, "choose from S32_LE"),
        ({"retry_first_s": 2.0}, "retry_first_s is 2.0"),
    ],
)
def test_an_impossible_configuration_is_told(change: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        replace(CONFIG, **change)


def test_an_old_or_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    check_version("0.11.0")
    check_version("1.0")
    with pytest.raises(AudioError, match=r"0\.10\.0.*overruns"):
        check_version("0.10.0")
    monkeypatch.setitem(sys.modules, "alsaaudio", None)
    with pytest.raises(AudioError, match="libasound2-dev"):
        load_library()


def test_errors_are_read_back_from_their_text() -> None:
    assert errno_of(alsa_error(errno.ENODEV)) == errno.ENODEV
    assert errno_of(alsa_error(errno.EINVAL, "plughw:CARD=A [x]")) in (errno.EINVAL, 0)
    assert errno_of(ValueError("PCM device is closed")) == 0


def test_a_card_is_missing_only_where_its_name_tells(tmp_path: Path) -> None:
    (tmp_path / "USB").mkdir()
    (tmp_path / "card0").mkdir()
    for there in ("hw:CARD=USB,DEV=0", "plughw:USB", "hw:0,0", "pedal", "default:CARD=Other"):
        assert not card_is_missing(there, tmp_path)
    for gone in ("hw:CARD=Other", "hw:CARD=Other,DEV=0", "hw:1,0", "plughw:Other,0"):
        assert card_is_missing(gone, tmp_path)
