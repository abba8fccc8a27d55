"""MIDI bytes to events, whatever stands between them; controllers that come and go."""

import errno
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.boards.board import MidiEvent
from device.boards.midi import LONGEST_RETRY_S, LOOK_S, READ_BYTES, RawMidi, open_midi


class Machine:
    """Sound cards of a machine: FIFOs for device nodes, and folders as the kernel lists them."""

    def __init__(self, folder: Path) -> None:
        self.classes, self.devices = folder / "class", folder / "snd"
        self.classes.mkdir()
        self.devices.mkdir()
        self.now_s = 100.0
        self.cables: dict[str, int] = {}

    def plug(self, name: str, card_id: str = "Foot", usb: bool = True) -> None:
        card = self.classes.parent / ("usb1" if usb else "platform") / name
        card.mkdir(parents=True, exist_ok=True)
        (card / "id").write_text(f"{card_id}\n")
        link = self.classes / f"card{name[5]}"
        link.unlink(missing_ok=True)
        link.symlink_to(card)
        (self.classes / name).touch()
        os.mkfifo(self.devices / name)
        self.cables[name] = os.open(self.devices / name, os.O_RDWR)

    def unplug(self, name: str) -> None:
        os.close(self.cables.pop(name))
        (self.devices / name).unlink(missing_ok=True)
        (self.classes / name).unlink()

    def send(self, name: str, *data: int) -> None:
        os.write(self.cables[name], bytes(data))

    def listen(self, card: str | None = None) -> RawMidi:
        return RawMidi(card, self.classes, self.devices, lambda: self.now_s)

    def after_a_look(self, midi: RawMidi) -> None:
        self.now_s += LOOK_S
        midi.poll()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    for cable in machine.cables.values():
        os.close(cable)


def cc(number: int, value: int, channel: int = 0) -> MidiEvent:
    return MidiEvent("cc", channel, number, value)


def read_from(midi: RawMidi) -> list[str]:
    return list(midi.plugged)


def heard(machine: Machine, *data: int) -> list[MidiEvent]:
    machine.plug("midiC1D0")
    midi = machine.listen()
    midi.poll()
    machine.send("midiC1D0", *data)
    events = list(midi.poll())
    midi.close()
    return events


def test_controllers_and_programs_are_events(machine: Machine) -> None:
    events = heard(machine, 0xB0, 11, 0, 0xBF, 127, 127, 0xC3, 5)
    assert events == [cc(11, 0), cc(127, 127, 15), MidiEvent("program", 3, 5, 0)]


def test_running_status_is_understood(machine: Machine) -> None:
    events = heard(machine, 0xB0, 1, 2, 3, 4, 5, 6, 0xC0, 7, 8)
    assert events[:3] == [cc(1, 2), cc(3, 4), cc(5, 6)]
    assert [event.number for event in events[3:]] == [7, 8]


def test_clock_bytes_may_stand_anywhere(machine: Machine) -> None:
    events = heard(machine, 0xF8, 0xB0, 0xFE, 1, 0xF8, 2, 0xFA, 3, 0xFC, 4)
    assert events == [cc(1, 2), cc(3, 4)]


def test_what_the_pedal_does_not_listen_to_is_passed_over(machine: Machine) -> None:
    noise = (
        *(0x90, 60, 100, 61, 100, 0xE0, 1, 2, 0xA0, 1, 2, 0xD0, 3),
        *(0xF0, 0x7E, 11, 12, 13, 0xF7, 14, 15),  # data after the end belong to nobody
        *(0xF1, 1, 0xF3, 2, 0xF4, 0xF5, 0xF6, 0xFD, 1, 2),
    )
    assert heard(machine, *noise, 0xB0, 1, 2, 0xF3, 9, 3, 4) == [cc(1, 2)]


def test_a_message_cut_by_another_is_dropped_and_the_other_heard(machine: Machine) -> None:
    assert heard(machine, 0xB0, 1, 0xB1, 2, 3, 0xC0, 0xB0, 4, 5) == [cc(2, 3, 1), cc(4, 5)]


MESSAGE = st.one_of(
    st.builds(cc, st.integers(0, 127), st.integers(0, 127), st.integers(0, 15)),
    st.builds(lambda c, n: MidiEvent("program", c, n, 0), st.integers(0, 15), st.integers(0, 127)),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(MESSAGE, st.booleans())), st.data())
def test_messages_survive_any_cutting_running_status_and_clock(
    tmp_path_factory: pytest.TempPathFactory,
    messages: list[tuple[MidiEvent, bool]],
    data: st.DataObject,
) -> None:
    stream: list[int] = []
    last = 0
    for event, clock in messages:
        status = (0xB0 if event.kind == "cc" else 0xC0) | event.channel
        body = [event.number, event.value] if event.kind == "cc" else [event.number]
        stream += ([] if status == last else [status]) + ([0xF8] if clock else []) + body
        last = status
    machine = Machine(tmp_path_factory.mktemp("midi"))
    machine.plug("midiC1D0")
    midi = machine.listen()
    midi.poll()
    events: list[MidiEvent] = []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        machine.send("midiC1D0", *stream[:cut])
        events += [event for _ in range(1 + cut // READ_BYTES) for event in midi.poll()]
        stream = stream[cut:]
    assert events == [event for event, _ in messages]
    midi.close()
    machine.unplug("midiC1D0")


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=READ_BYTES))
def test_no_bytes_whatever_raise_or_give_what_midi_has_not(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    machine = Machine(tmp_path_factory.mktemp("midi"))
    machine.plug("midiC1D0")
    midi = machine.listen()
    midi.poll()
    os.write(machine.cables["midiC1D0"], noise)
    for event in midi.poll():
        assert 0 <= event.channel <= 15 and 0 <= event.number <= 127 and 0 <= event.value <= 127
    # And a whole message behind it is heard.
    machine.send("midiC1D0", 0xF7, 0xB0, 1, 2)
    assert midi.poll() == [cc(1, 2)]
    midi.close()
    machine.unplug("midiC1D0")


def test_endless_system_exclusive_takes_no_memory_and_one_turn_a_bounded_share(
    machine: Machine,
) -> None:
    machine.plug("midiC1D0")
    midi = machine.listen()
    midi.poll()
    machine.send("midiC1D0", 0xF0, *[1] * (10 * READ_BYTES), 0xF7, 0xB0, 1, 2)
    turns = 0
    while not (events := midi.poll()):
        turns += 1
        assert turns < 20
    assert turns == 10 and events == [cc(1, 2)]
    midi.close()


def test_nothing_plugged_is_no_event_and_no_error(machine: Machine, tmp_path: Path) -> None:
    assert machine.listen().poll() == ()
    nowhere = RawMidi(None, tmp_path / "none", tmp_path / "none", lambda: 0.0)
    assert nowhere.poll() == () and nowhere.last_error is None
    assert list(open_midi("NoSuchCard").poll()) == []


def test_a_controller_comes_goes_and_comes_again(machine: Machine) -> None:
    midi = machine.listen()
    for _ in range(3):
        machine.after_a_look(midi)
        assert read_from(midi) == []
        machine.plug("midiC1D0")
        machine.after_a_look(midi)
        assert read_from(midi) == ["midiC1D0"]
        machine.send("midiC1D0", 0xB0, 1, 2)
        assert midi.poll() == [cc(1, 2)]
        machine.send("midiC1D0", 0xB0, 1)  # a message that the unplugging cuts
        midi.poll()
        machine.unplug("midiC1D0")
        assert midi.poll() == [] and read_from(midi) == []
        assert midi.last_error is not None and "midiC1D0: No such device" in midi.last_error


def test_a_driver_that_says_no_such_device_is_an_unplugging(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.plug("midiC1D0")
    midi = machine.listen()
    midi.poll()

    def gone(handle: int, size: int) -> bytes:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", gone)
        assert midi.poll() == [] and read_from(midi) == []
    machine.after_a_look(midi)
    assert read_from(midi) == ["midiC1D0"]
    midi.close()


def test_usb_by_default_a_card_by_its_id_and_all_its_devices(machine: Machine) -> None:
    machine.plug("midiC0D0", "VirMIDI", usb=False)
    machine.plug("midiC0D1", "VirMIDI", usb=False)
    machine.plug("midiC1D0", "Foot")
    (machine.classes / "pcmC1D0p").touch()
    by_usb, by_id, by_no = machine.listen(), machine.listen("VirMIDI"), machine.listen("Vir")
    for midi in (by_usb, by_id, by_no):
        midi.poll()
    assert read_from(by_usb) == ["midiC1D0"]
    assert read_from(by_id) == ["midiC0D0", "midiC0D1"] and read_from(by_no) == []
    machine.send("midiC0D1", 0xB0, 7, 9)
    machine.send("midiC0D0", 0xB0, 7)
    assert by_id.poll() == [cc(7, 9)]
    machine.send("midiC0D0", 8)
    assert by_id.poll() == [cc(7, 8)]
    by_usb.close()
    by_id.close()


def test_a_device_that_cannot_be_opened_is_tried_less_and_less_often(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.plug("midiC1D0")
    real, attempts = os.open, []

    def busy(path: Path, flags: int) -> int:
        attempts.append(machine.now_s)
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    midi = machine.listen()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", busy)
        for _ in range(100):
            machine.after_a_look(midi)
    gaps = [b - a for a, b in pairwise(attempts)]
    assert gaps[:5] == [1.0, 2.0, 4.0, 8.0, 16.0] and set(gaps[5:]) == {LONGEST_RETRY_S}
    assert midi.last_error is not None and "busy" in midi.last_error
    assert os.open is real
    for _ in range(20):
        machine.after_a_look(midi)
    assert read_from(midi) == ["midiC1D0"]
    midi.close()
