"""``bench.toml``: what is refused, by which sentence, and that nothing has moved by then."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.bench import Bench
from hil.bench_checks import read_bench
from hil.bench_file import Stand, measure_audio, open_bench
from hil.errors import BenchError, InstrumentError
from hil.instruments.console_unit import ConsoleUnit, Places
from hil.instruments.loopback import read_loopback
from hil.instruments.watchdog import Watch
from tests.hil.instruments.peers import QUICK, Espec, Peer, Scpi, StepClock, nobody
from tests.hil.instruments.terminal import Terminal
from tests.hil.instruments.test_alsa_loop import Line

HIL = Path(__file__).parents[3] / "hil"
EXAMPLES = sorted(HIL.glob("bench.example-*.toml"))
WATCH = Watch(silent_s=5.0, every_s=0.2, lost=3, persist_s=5.0)


class Silent:
    """An audio loop that is never asked."""

    model, rate_hz, own_frames = "no card", 48_000, 0.0

    def shot(self, signal):
        raise NotImplementedError

    def close(self) -> None:
        pass


@dataclass
class Room:
    """The instruments of a bench, on loopback, and a file that names them."""

    folder: Path
    espec: Espec = field(default_factory=Espec)
    supply: Scpi = field(default_factory=Scpi)
    logger: Scpi = field(default_factory=lambda: Scpi(couples="+2.300E+01,+2.310E+01"))

    def open(self, stack: ExitStack) -> None:
        self.chamber_peer = stack.enter_context(Peer(self.espec))
        self.supply_peer = stack.enter_context(Peer(self.supply, b"\n"))
        self.logger_peer = stack.enter_context(Peer(self.logger, b"\n"))
        self.terminal = stack.enter_context(Terminal(self.folder))
        (self.folder / "firmware/device").mkdir(parents=True)
        (self.folder / "firmware/models").mkdir()
        (self.folder / "firmware/deploy").mkdir()
        (self.folder / "firmware/device/a.py").write_text("one = 1\n")
        self.keys = {
            "chamber": self.chamber_peer.address,
            "supply": self.supply_peer.address,
            "logger": self.logger_peer.address,
            "console": self.terminal.address,
        }

    @property
    def text(self) -> str:
        return f"""
measured = false
[chamber]
kind = "espec"
address = "{self.keys["chamber"]}"
lowest_c = -70.0
highest_c = 150.0
cooling_k_per_min = 3.0
heating_k_per_min = 4.0
[supply]
address = "{self.keys["supply"]}"
[thermocouples]
address = "{self.keys["logger"]}"
couple = [
    {{ channel = 101, position = "air", where = "in the air" }},
    {{ channel = 102, position = "module", where = "on the module" }},
]
[audio]
card = "hw:CARD=Bench"
[console]
address = "{self.keys["console"]}"
password = "pedal"
[unit]
serial = "P-0007"
[operator]
name = "A. Tester"
[[certificate]]
instrument = "chamber"
"""

    def stand(self) -> Stand:
        return Stand(
            audio=Silent(),
            patience=QUICK,
            watch=WATCH,
            places=Places(firmware=str(self.folder / "firmware")),
        )

    def bench(self, text: str | None = None) -> Bench:
        file = self.folder / "bench.toml"
        file.write_text(text or self.text)
        return open_bench(file, self.stand())

    @property
    def moved(self) -> list[bytes]:
        """What was sent that could move anything."""
        heard = [*self.chamber_peer.heard, *self.supply_peer.heard]
        return [each for each in heard if not each.endswith(b"?")]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with ExitStack() as stack:
        made = Room(tmp_path)
        made.open(stack)
        yield made


def test_a_good_file_opens_and_is_switched_off_by_closing(room: Room) -> None:
    bench = room.bench()
    assert (bench.chamber.model, bench.supply.model) == (
        "ESPEC S2",
        "Keysight Technologies E36234A",
    )
    assert not bench.measured and bench.file == room.folder / "bench.toml"
    assert (bench.unit.serial, len(bench.unit.software)) == ("P-0007", 64)
    assert isinstance(bench.unit, ConsoleUnit)
    assert bench.positions == {"air": "in the air", "module": "on the module"}
    assert [each.instrument for each in bench.certificates] == [
        "chamber",
        "couple air",
        "couple module",
    ]
    assert (bench.chamber.limits.lowest_c, bench.chamber.limits.highest_c) == (-45.0, 75.0)
    # It was switched on to be asked who it is, and off again.
    assert b"OUTP ON" in room.supply_peer.heard and not room.supply.on
    bench.chamber.set(20.0)
    bench.chamber.start()
    bench.supply.set(12.0, 5.0)
    bench.supply.switch(True)
    assert (room.espec.low_c, room.espec.high_c) == (-50.0, 80.0)
    with pytest.raises(BenchError, match="outside of -45 to 75 °C"):
        bench.chamber.set(-60.0)
    bench.chamber.close()
    bench.supply.close()
    bench.thermocouples.close()
    bench.unit.close()
    assert bench.console is not None
    bench.console.close()
    assert room.espec.mode == "STANDBY" and not room.supply.on


# -- the file -------------------------------------------------------------------------------------

WRONG = [
    ('kind = "espec"', 'kind = "binder"', "chamber.kind is 'binder', but must be"),
    ("lowest_c = -70.0", "lowest_c = -700.0", "chamber.lowest_c is -700.0"),
    ("lowest_c = -70.0", "lowest_c = 160.0", r"chamber cannot be used: lowest_c 160 is not below"),
    ("lowest_c = -70.0", "lowest_c = -40.0", r"product bears -45 to 75 °C.*wider than the chamber"),
    ("highest_c = 150.0", "highest_c = 60.0", r"wider than the chamber's -70 to 60 °C"),
    ("cooling_k_per_min = 3.0", "cooling_k_per_min = 0.0", "chamber.cooling_k_per_min is 0"),
    ("cooling_k_per_min = 3.0", "", "chamber.cooling_k_per_min is missing"),
    ("[supply]", "[power]\nx = 1\n[supply]", "power is not a key that exists here"),
    ("[supply]", "[supply]\ncolour = 1", "supply.colour is not a key that exists here"),
    ("measured = false", "", "measured is missing"),
    ("measured = false", "measured = 1", "measured is 1, but should be true or false"),
    ("measured = false", "measured = true", r"chamber.address 127.0.0.1:\d+ is this machine"),
    ("channel = 102", "channel = 101", "channel 101 is there twice"),
    ('position = "module"', 'position = "lid"', "nothing sits at module"),
    ('position = "module"', 'position = "air"', "position air is there twice"),
    ("[unit]", '[product]\nvolts = 48.0\n[unit]', r"0 < lowest_v ≤ volts ≤ highest_v"),
    ("[unit]", "[product]\nlimit_a = 50.0\n[unit]", "pre_heater_a < limit_a ≤ 20"),
    ("[unit]", "[product]\noperation_lowest_c = -50.0\n[unit]", "must lie within storage_lowest_c"),
    ("[unit]", "[product]\nstorage_highest_c = 900.0\n[unit]", "more than 150 °C"),
    ("[unit]", "[guard]\nramp_k_per_min = 10.0\n[unit]", "guard.ramp_k_per_min is 10.0"),
    ("[unit]", '[knob]\nkind = "motor"\n[unit]', "knob kind is 'motor', but must be"),
    ("[console]", "[serial]", "serial is not a key"),
    ("measured = false", "measured = false\nthis is no TOML", "is not valid TOML"),
    ('card = "hw:CARD=Bench"', 'card = "x"\nreference_channel = 0', "give another"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), WRONG, ids=[new for _, new, _ in WRONG])
def test_a_wrong_file_is_refused_by_one_sentence(
    room: Room, old: str, new: str, sentence: str
) -> None:
    assert old in room.text
    with pytest.raises(BenchError, match=sentence) as found:
        room.bench(room.text.replace(old, new, 1))
    assert "\n" not in str(found.value)
    assert room.chamber_peer.connections == room.supply_peer.connections == 0


def test_no_console_no_pedal(room: Room) -> None:
    text = room.text.replace("[console]", "").replace(f'address = "{room.keys["console"]}"', "")
    with pytest.raises(BenchError, match="console is missing"):
        room.bench(text.replace('password = "pedal"', ""))


def test_two_instruments_on_one_line(room: Room) -> None:
    room.keys["logger"] = room.keys["supply"]
    with pytest.raises(BenchError, match=r"thermocouples.address is supply's too"):
        room.bench()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="does not exist"):
        open_bench(tmp_path / "bench.toml")
    with pytest.raises(BenchError, match="is a folder"):
        open_bench(tmp_path)


@given(st.text(max_size=200))
@settings(max_examples=50)
def test_any_text_is_refused_by_a_sentence(tmp_path_factory, text: str) -> None:
    file = tmp_path_factory.mktemp("any") / "bench.toml"
    file.write_text(text)
    with pytest.raises(BenchError):
        read_bench(file)


# -- simulated beside real ------------------------------------------------------------------------


@pytest.mark.parametrize("file", EXAMPLES, ids=[each.stem for each in EXAMPLES])
@pytest.mark.parametrize("name", ["chamber", "supply", "thermocouples", "audio", "unit"])
def test_a_simulated_instrument_among_real_ones_is_never_measured(
    file: Path, name: str, tmp_path: Path
) -> None:
    import tomllib

    from hil.instruments.pedal_files import to_toml

    table = tomllib.loads(file.read_text())
    table[name] = {"kind": "simulated"}
    mixed = tmp_path / "bench.toml"
    mixed.write_text(to_toml(table))
    with pytest.raises(BenchError, match=f"{name} is simulated.*set measured = false"):
        read_bench(mixed)
    table["measured"] = False
    mixed.write_text(to_toml(table))
    read_bench(mixed)


def test_all_simulated_needs_no_file(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    names = ("chamber", "supply", "thermocouples", "audio", "unit")
    parts = "".join(f'[{name}]\nkind = "simulated"\n' for name in names)
    file.write_text("measured = false\n" + parts)
    with pytest.raises(BenchError, match="leave --bench out"):
        read_bench(file)


def test_the_plant_stands_in_beside_a_real_chamber(room: Room) -> None:
    text = room.text
    for name, key in (("supply", "supply"), ("thermocouples", "logger")):
        begin = text.index(f"[{name}]")
        end = text.index("[", text.index(f'"{room.keys[key]}"')) if name == "supply" else None
        end = end or text.index("[audio]")
        text = text[:begin] + f'[{name}]\nkind = "simulated"\n' + text[end:]
    bench = room.bench(text.replace('serial = "P-0007"', 'kind = "simulated"'))
    assert bench.chamber.model == "ESPEC S2" and bench.supply.model == "plant"
    bench.supply.set(12.0, 5.0)
    bench.supply.switch(True)
    bench.clock.sleep(0.2)
    assert bench.supply.read().volts == pytest.approx(12.0, abs=0.5)
    assert bench.thermocouples.read()["module"] == pytest.approx(23.0, abs=1.0)
    bench.chamber.close()
    bench.supply.close()
    assert bench.console is not None
    bench.console.close()


def test_what_says_that_it_is_simulated_is_not_measured(room: Room, monkeypatch) -> None:
    monkeypatch.setattr("hil.bench_checks._is_here", lambda address: False)
    room.supply.model = "Purga,Simulated supply,0,1"
    with pytest.raises(BenchError, match="Simulated supply says that it is simulated"):
        room.bench(room.text.replace("measured = false", "measured = true"))
    assert room.moved == []


# -- what cannot be reached, or believed ----------------------------------------------------------


@pytest.mark.parametrize("name", ["chamber", "supply", "logger", "console"])
def test_an_instrument_that_is_not_there(room: Room, name: str) -> None:
    with nobody() as address:
        room.keys[name] = f"socket://{address}" if name == "console" else address
        with pytest.raises(InstrumentError, match=address) as found:
            room.bench()
    assert found.value.exit_code == 1 and room.moved == []


def change(room: Room, what: str) -> None:
    match what:
        case "alarm":
            room.espec.alarms = (3,)
        case "runs":
            room.espec.mode = "CONSTANT"
        case "on":
            room.supply.on = True
        case "open":
            room.logger.couples = "+9.9E+37,+2.310E+01"
        case "module open":
            room.logger.couples = "+2.310E+01,+9.9E+37"
        case "fahrenheit":
            room.espec.air_c = 73.4
        case "cold":
            room.espec.air_c, room.logger.couples = -20.0, "-2.000E+01,-2.000E+01"
        case "other":
            room.logger.couples = "+2.310E+01,+2.310E+01,+2.310E+01"


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("alarm", "ESPEC S2: alarm 3; mend that first"),
        ("runs", "ESPEC S2 is running; stop it at its panel"),
        ("on", "its output is on; switch it off first"),
        ("open", "the couple air is open"),
        ("module open", "the couple module is open"),
        ("fahrenheit", r"shows 73.4 °C and our own couple in the air 23 °C: one of them"),
        ("cold", r"the pedal is at -20 °C.*let it get there first"),
        ("other", "2 temperatures were expected"),
    ],
)
def test_what_cannot_be_so_is_refused(room: Room, what: str, sentence: str) -> None:
    change(room, what)
    with pytest.raises(InstrumentError, match=sentence):
        room.bench()
    assert all(each not in (b"MODE,CONSTANT", b"OUTP ON") for each in room.moved)
    assert not any(each.startswith((b"TEMP, S", b"VOLT")) for each in room.moved)


def test_a_controller_that_is_set_narrower(room: Room) -> None:
    room.espec.reply_type = "T,T,S2,70.0"
    with pytest.raises(BenchError, match=r"ESPEC S2 is set to -70 to 70 °C by its own controller"):
        room.bench()
    assert room.moved == []


def test_a_pedal_that_does_not_answer(room: Room, monkeypatch) -> None:
    monkeypatch.setattr("hil.bench_file.BOOT_S", 1.0)
    monkeypatch.setattr(ConsoleUnit, "identify", lambda self: False)
    with pytest.raises(InstrumentError, match="does not say who it is within 1 s"):
        room.bench()
    assert not room.supply.on and room.espec.mode != "CONSTANT"


# -- the examples ---------------------------------------------------------------------------------


@pytest.mark.parametrize("file", EXAMPLES, ids=[each.stem for each in EXAMPLES])
def test_the_examples_are_read_and_shown(file: Path) -> None:
    assert read_bench(file).measured
    readme = (HIL / "instruments/README.md").read_text()
    assert file.read_text() in readme, f"README.md shows another {file.name}"


def test_the_file_that_the_readme_shows_is_read(tmp_path: Path) -> None:
    shown = (HIL.parent / "README.md").read_text().split("```toml\n")[1:]
    (text,) = [each.split("```")[0] for each in shown if "[chamber]" in each]
    (tmp_path / "bench.toml").write_text(text)
    assert read_bench(tmp_path / "bench.toml").measured


def test_measuring_the_card_needs_nothing_else(tmp_path: Path, monkeypatch) -> None:
    """No other instrument of the example is there; the card is a delay line of 2048 frames."""
    made: list[Line] = []

    def card(card: str, rate_hz: int, frames: int, periods: int, inputs, library=None) -> Line:
        line = Line(late=2048, moves=(0, 3, 1), inputs=len(inputs))
        line.card, line.rate_hz, line.period_frames, line.periods = card, rate_hz, frames, periods
        made.append(line)
        return line

    monkeypatch.setattr("hil.instruments.alsa_duplex.AlsaDuplex", card)
    file = tmp_path / "bench.toml"
    file.write_text(EXAMPLES[0].read_text())
    said: list[str] = []
    found, keeps = measure_audio(file, 3, said.append)
    assert keeps == tmp_path / "loopback.json" and read_loopback(keeps) == found
    assert found.own_frames == pytest.approx(2048.0, abs=1e-3) and len(said) == 3
    assert found.reference_frames == pytest.approx(2048.0, abs=1e-3)
    assert made[0].gone


def test_a_clock_is_only_slept_by(room: Room) -> None:
    """Nothing of an opening waits by the bench's clock where everything answers."""
    clock = StepClock()
    file = room.folder / "bench.toml"
    file.write_text(room.text)
    stand = room.stand()
    stand.clock = clock
    bench = open_bench(file, stand)
    bench.chamber.close()
    bench.supply.close()
    assert bench.console is not None
    bench.console.close()
    assert clock.slept == []
