"""What any pin factory promises, as checks that need no pytest: gpiozero's way of testing pins.

Each check gets ``Wires``: a factory, and the other end of its pins. ``COMMON`` holds for gpiozero's
own mock too, so the checks are known to ask for no more than gpiozero does; ``JETSON`` holds what
the kernel adds. ``test_pins.py`` runs them on the mock and on a fake of libgpiod,
``pins_on_gpio_sim.py`` on the kernel's simulated chips.
"""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import gpiozero
from gpiozero import exc

PATIENCE_S = 10.0
"""How long an edge may take before it counts as lost; an emulated machine can be slow."""

MCP3008_SIM = Path("/sys/module/mcp3008_sim/parameters/ch")


class Skip(Exception):  # noqa: N818 - an outcome
    """Raised by a check that this machine has nothing for; the text says what."""


class Wires(Protocol):
    """A factory and what its header is wired to."""

    factory: Any

    def drive(self, name: str, level: bool) -> None:
        """Set the level of an input from outside."""

    def level(self, name: str) -> bool:
        """The level that can be seen from outside."""

    def settle(self, bounce_s: float) -> None:
        """Wait until a debounced line has come to rest."""

    def hold(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Hold the line as another program, called ``"somebody"``, would."""

    def consumer(self, name: str) -> str | None:
        """Who holds the line, None where nobody does."""

    def unplug(self) -> None:
        """Take the chips away."""

    def plug(self) -> None:
        """Bring them back."""


@contextlib.contextmanager
def raises(kind: type[BaseException], part: str = "") -> Iterator[None]:
    """Expect ``kind`` with ``part`` in its text."""
    try:
        yield
    except kind as error:
        assert part in str(error), f"{part!r} is not in {str(error)!r}"
    else:
        raise AssertionError(f"{kind.__name__} was expected")


class Edges:
    """A callback that keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int]] = []
        self._more = threading.Condition()

    def __call__(self, ticks: float, state: int) -> None:
        with self._more:
            self.seen.append((ticks, int(state)))
            self._more.notify_all()

    @property
    def states(self) -> list[int]:
        return [state for _, state in self.seen]

    def wait_for(self, count: int) -> list[int]:
        """The states of the first ``count`` edges."""
        with self._more:
            came = self._more.wait_for(lambda: len(self.seen) >= count, PATIENCE_S)
            assert came, f"{count} edges were expected, but {self.states} came"
        return self.states[:count]


def listening(
    wires: Wires, name: str, edges: str = "both", pull: str = "down"
) -> tuple[Any, Edges]:
    pin, seen = wires.factory.pin(name), Edges()
    pin.input_with_pull(pull)
    pin.edges = edges
    pin.when_changed = seen
    return pin, seen


# ---- what gpiozero's mock does too ---------------------------------------------------------------


def all_names_are_one_pin(wires: Wires) -> None:
    pin = wires.factory.pin("GPIO17")
    for name in (17, "17", "BCM17", "BOARD11", "J8:11", "WPI0"):
        assert wires.factory.pin(name) is pin, name
    assert repr(pin) == "GPIO17"
    assert pin.info.number == 11
    assert wires.factory.pin("BOARD13") is not pin


def names_that_are_no_pin_are_refused(wires: Wires) -> None:
    for name in ("GPIO99", "BOARD41", "J8:0", "GND", "BOARD6", "3V3", "", 99):
        with raises(exc.PinInvalidPin):
            wires.factory.pin(name)


def an_input_is_what_it_is_pulled_to(wires: Wires) -> None:
    pin = wires.factory.pin("GPIO5")
    pin.function = "input"
    for pull, state in (("up", 1), ("down", 0)):
        pin.pull = pull
        assert (pin.pull, pin.state) == (pull, state)
    pin.pull = "floating"
    assert pin.pull == "floating"
    with raises(exc.PinInvalidPull):
        pin.pull = "sideways"
    assert pin.pull == "floating"
    pin.input_with_pull("up")
    assert (pin.function, pin.pull, pin.state) == ("input", "up", 1)


def an_input_follows_the_wire(wires: Wires) -> None:
    pin = wires.factory.pin("GPIO5")
    pin.input_with_pull("up")
    for level in (False, True, False):
        wires.drive("GPIO5", level)
        assert pin.state == level


def an_input_cannot_be_set(wires: Wires) -> None:
    pin = wires.factory.pin("GPIO5")
    pin.function = "input"
    with raises(exc.PinSetInput):
        pin.state = 1
    assert pin.function == "input"


def an_output_is_what_it_is_set_to(wires: Wires) -> None:
    pin = wires.factory.pin("GPIO6")
    pin.function = "output"
    for level in (1, 0, 1):
        pin.state = level
        assert pin.state == level
        assert wires.level("GPIO6") == level
    with raises(exc.PinFixedPull):
        pin.pull = "up"


def an_output_can_begin_high(wires: Wires) -> None:
    pin = wires.factory.pin("GPIO6")
    pin.output_with_state(1)
    assert (pin.function, wires.level("GPIO6")) == ("output", True)
    pin.output_with_state(0)
    assert (pin.function, wires.level("GPIO6")) == ("output", False)


def a_function_that_is_none_is_refused(wires: Wires) -> None:
    pin = wires.factory.pin("GPIO6")
    with raises(exc.PinInvalidFunction):
        pin.function = "alt5"
    assert pin.function == "input"


def pwm_is_refused(wires: Wires) -> None:
    pin = wires.factory.pin("GPIO13")
    pin.function = "output"
    assert pin.frequency is None
    with raises(exc.PinPWMUnsupported):
        pin.frequency = 100
    with raises(exc.PinPWMUnsupported):
        gpiozero.PWMLED(12, pin_factory=wires.factory)


def both_edges_are_reported_in_order(wires: Wires) -> None:
    pin, edges = listening(wires, "GPIO5")
    for level in (True, False, True):
        wires.drive("GPIO5", level)
    assert edges.wait_for(3) == [1, 0, 1]
    ticks = [when for when, _ in edges.seen]
    factory = wires.factory
    assert all(factory.ticks_diff(b, a) >= 0 for a, b in itertools.pairwise(ticks))
    assert pin.when_changed is edges


def only_the_chosen_edge_is_reported(wires: Wires) -> None:
    for name, chosen, states in (("GPIO5", "rising", [1, 1]), ("GPIO6", "falling", [0, 0])):
        _, edges = listening(wires, name, chosen)
        for level in (True, False, True, False):
            wires.drive(name, level)
        assert edges.wait_for(2) == states
        assert len(edges.seen) == 2


def a_callback_that_is_taken_away_is_not_called(wires: Wires) -> None:
    pin, edges = listening(wires, "GPIO5")
    wires.drive("GPIO5", True)
    edges.wait_for(1)
    pin.when_changed = None
    wires.drive("GPIO5", False)
    again = Edges()
    pin.when_changed = again
    wires.drive("GPIO5", True)
    assert again.wait_for(1) == [1]
    assert edges.states == [1]


def a_callback_is_not_kept_alive(wires: Wires) -> None:
    pin, edges = listening(wires, "GPIO5")
    wires.drive("GPIO5", True)
    edges.wait_for(1)
    del edges
    wires.drive("GPIO5", False)
    deadline_s = time.monotonic() + PATIENCE_S
    while pin.when_changed is not None and time.monotonic() < deadline_s:
        time.sleep(0.001)
    assert pin.when_changed is None


def a_button_and_an_led_work(wires: Wires) -> None:
    presses = Edges()
    with (
        gpiozero.Button("BOARD29", pin_factory=wires.factory) as button,
        gpiozero.LED("BOARD31", pin_factory=wires.factory) as led,
    ):
        assert not button.is_pressed
        button.when_pressed = lambda: presses(0.0, 1)
        button.when_released = lambda: presses(0.0, 0)
        wires.drive("GPIO5", False)
        assert button.wait_for_press(PATIENCE_S)
        wires.drive("GPIO5", True)
        assert button.wait_for_release(PATIENCE_S)
        assert presses.wait_for(2) == [1, 0]
        led.on()
        assert wires.level("GPIO6")
        led.toggle()
        assert not wires.level("GPIO6")


def a_pin_belongs_to_one_device(wires: Wires) -> None:
    first = gpiozero.LED(17, pin_factory=wires.factory)
    with raises(exc.GPIOPinInUse):
        gpiozero.LED("BOARD11", pin_factory=wires.factory)
    first.on()
    assert wires.level("GPIO17")
    first.close()
    with gpiozero.Button(17, pin_factory=wires.factory) as button:
        assert button.pin.function == "input"


def a_closed_device_leaves_an_input(wires: Wires) -> None:
    led = gpiozero.LED(17, initial_value=True, pin_factory=wires.factory)
    led.close()
    led.close()
    assert wires.factory.pin(17).function == "input"


def the_header_is_described(wires: Wires) -> None:
    info = wires.factory.board_info
    (header,) = (h for h in info.headers.values() if len(h.pins) == 40)
    assert header.pins[1].name == "3V3"
    assert header.pins[29].name == "GPIO5"
    assert "gpio" not in header.pins[6].interfaces
    for text in (f"{info:mono full}", f"{info:color board}", f"{header:mono full}", repr(info)):
        assert text
    assert info.to_gpio("BOARD29") == "GPIO5"


# ---- what the kernel adds ------------------------------------------------------------------------


def a_held_line_is_refused_by_its_holders_name(wires: Wires) -> None:
    with wires.hold("GPIO5"):
        with raises(exc.GPIOPinInUse, "held by 'somebody'"):
            wires.factory.pin("GPIO5")
        with raises(exc.GPIOPinInUse):
            gpiozero.Button(5, pin_factory=wires.factory)
    with gpiozero.Button(5, pin_factory=wires.factory) as button:
        assert not button.is_pressed


def a_line_is_held_from_the_pin_to_its_close(wires: Wires) -> None:
    assert wires.consumer("GPIO6") is None
    pin = wires.factory.pin("GPIO6")
    assert wires.consumer("GPIO6") == "purga"
    pin.output_with_state(1)
    pin.input_with_pull("down")
    assert wires.consumer("GPIO6") == "purga"
    pin.close()
    assert wires.consumer("GPIO6") is None
    pin.close()


def a_closed_pin_says_so_and_is_made_anew(wires: Wires) -> None:
    pin = wires.factory.pin("GPIO6")
    pin.close()
    for use in (
        lambda: pin.state,
        lambda: pin.function,
        lambda: setattr(pin, "function", "output"),
        lambda: setattr(pin, "state", 1),
        lambda: setattr(pin, "edges", "rising"),
        lambda: setattr(pin, "bounce", 0.01),
    ):
        with raises(exc.GPIODeviceClosed, "GPIO6 is closed"):
            use()
    again = wires.factory.pin("GPIO6")
    assert again is not pin
    again.output_with_state(1)
    assert wires.level("GPIO6")


def a_closed_factory_opens_anew(wires: Wires) -> None:
    _, edges = listening(wires, "GPIO5")
    wires.factory.close()
    assert wires.consumer("GPIO5") is None
    _, again = listening(wires, "GPIO5")
    wires.drive("GPIO5", True)
    assert again.wait_for(1) == [1]
    assert edges.states == []


def an_output_keeps_the_level_that_is_found(wires: Wires) -> None:
    pin = wires.factory.pin("GPIO6")
    pin.input_with_pull("up")
    pin.function = "output"
    assert wires.level("GPIO6")
    pin.edges = "rising"  # another matter altogether
    assert wires.level("GPIO6")


def states_beyond_0_and_1_are_refused(wires: Wires) -> None:
    pin = wires.factory.pin("GPIO6")
    pin.output_with_state(1)
    for state in (2, -1, float("nan")):
        with raises(exc.PinInvalidState):
            pin.state = state
    assert pin.state == 1


def edges_are_stamped_by_the_kernel(wires: Wires) -> None:
    _, edges = listening(wires, "GPIO5")
    before = wires.factory.ticks()
    wires.drive("GPIO5", True)
    after = wires.factory.ticks()
    edges.wait_for(1)
    ((ticks, _),) = edges.seen
    assert before <= ticks <= after
    assert wires.factory.ticks_diff(after, before) >= 0


def no_edges_means_none(wires: Wires) -> None:
    pin, edges = listening(wires, "GPIO5", "none")
    wires.drive("GPIO5", True)
    wires.drive("GPIO5", False)
    pin.edges = "rising"
    wires.drive("GPIO5", True)
    assert edges.wait_for(1) == [1]
    assert len(edges.seen) == 1
    with raises(exc.PinInvalidEdges):
        pin.edges = "sharp"
    assert pin.edges == "rising"


def an_output_reports_no_edges_but_an_input_does_again(wires: Wires) -> None:
    pin, edges = listening(wires, "GPIO5")
    pin.output_with_state(1)
    pin.state = 0
    pin.input_with_pull("down")
    wires.drive("GPIO5", True)
    assert edges.wait_for(1) == [1]
    assert len(edges.seen) == 1


def bouncing_is_one_edge(wires: Wires) -> None:
    bounce_s = 0.2  # far longer than the pulses below take
    pin, edges = listening(wires, "GPIO5")
    pin.bounce = bounce_s
    assert pin.bounce == bounce_s
    for level in (True, False, True, False, True):
        wires.drive("GPIO5", level)
    wires.settle(bounce_s)
    assert edges.wait_for(1) == [1]
    wires.drive("GPIO5", False)
    wires.settle(bounce_s)
    assert edges.wait_for(2) == [1, 0]
    assert len(edges.seen) == 2
    pin.bounce = None
    assert pin.bounce is None
    for wrong in (-0.1, float("nan"), 1e9, "long"):
        with raises(exc.PinInvalidBounce):
            pin.bounce = wrong
    assert pin.bounce is None


def a_callback_that_fails_stops_nothing(wires: Wires) -> None:
    reported = threading.Event()
    hook, threading.excepthook = threading.excepthook, lambda args: reported.set()
    try:

        def fail(ticks: float, state: int) -> None:
            raise ValueError("a mistake of the caller's")

        pin, _ = listening(wires, "GPIO6")
        pin.when_changed = fail
        _, edges = listening(wires, "GPIO5")
        wires.drive("GPIO6", True)
        assert reported.wait(PATIENCE_S)
        wires.drive("GPIO5", True)
        assert edges.wait_for(1) == [1]
    finally:
        threading.excepthook = hook


def a_callback_may_close_its_pin(wires: Wires) -> None:
    closed = threading.Event()

    def close(ticks: float, state: int) -> None:
        pin.close()
        closed.set()

    pin, _ = listening(wires, "GPIO5")
    pin.when_changed = close
    wires.drive("GPIO5", True)
    assert closed.wait(PATIENCE_S)
    assert wires.consumer("GPIO5") is None


def a_flood_of_edges_ends_in_the_right_state(wires: Wires) -> None:
    # The kernel's buffer may overflow, which drops the oldest; the last says where the line is.
    _, edges = listening(wires, "GPIO5")
    for turn in range(301):
        wires.drive("GPIO5", turn % 2 == 0)
    deadline_s = time.monotonic() + PATIENCE_S
    while edges.states[-1:] != [1] and time.monotonic() < deadline_s:
        time.sleep(0.001)
    time.sleep(0.01)
    assert edges.states[-1] == 1
    ticks = [when for when, _ in edges.seen]
    assert ticks == sorted(ticks)


def pins_come_and_go_under_edges(wires: Wires) -> None:
    # A line is given back and its file number taken by another while edges are being read.
    stop = threading.Event()

    def wiggle() -> None:
        level = False
        while not stop.is_set():
            level = not level
            wires.drive("GPIO5", level)
            wires.drive("GPIO6", level)

    thread = threading.Thread(target=wiggle)
    thread.start()
    try:
        for _ in range(50):
            pin, edges = listening(wires, "GPIO5")
            other, more = listening(wires, "GPIO6")
            edges.wait_for(1)
            pin.close()
            more.wait_for(1)
            other.close()
    finally:
        stop.set()
        thread.join()


def a_chip_that_goes_is_an_error_and_comes_back(wires: Wires) -> None:
    pin, edges = listening(wires, "GPIO5")
    led = gpiozero.LED(6, pin_factory=wires.factory)
    wires.unplug()
    with raises(OSError):
        _ = pin.state
    with raises(OSError):
        led.on()
    with raises(OSError):
        wires.factory.pin("GPIO13")
    pin.close()
    led.close()
    wires.plug()
    assert edges.states == []
    _, edges = listening(wires, "GPIO5")
    wires.drive("GPIO5", True)
    assert edges.wait_for(1) == [1]
    with gpiozero.LED(6, pin_factory=wires.factory) as led:
        led.on()
        assert wires.level("GPIO6")


def a_failed_change_leaves_all_as_it_was(wires: Wires) -> None:
    pin, _ = listening(wires, "GPIO5")
    wires.unplug()
    with raises(OSError):
        pin.function = "output"
    with raises(OSError):
        pin.bounce = 0.01
    assert (pin.function, pin.pull, pin.edges, pin.bounce) == ("input", "down", "both", None)
    wires.plug()


def an_mcp3008_is_read(wires: Wires) -> None:
    if not Path("/dev/spidev0.0").exists():
        with raises(exc.PinSPIUnsupported, "/dev/spidev0.0 cannot be opened"):
            gpiozero.MCP3008(0, pin_factory=wires.factory)
        raise Skip("no /dev/spidev0.0")
    with gpiozero.MCP3008(0, pin_factory=wires.factory) as knob:
        if MCP3008_SIM.exists():
            before = MCP3008_SIM.read_text()
            try:
                for raw in (0, 511, 1023):
                    MCP3008_SIM.write_text(",".join([str(raw), *before.split(",")[1:]]))
                    assert knob.raw_value == raw
            finally:
                MCP3008_SIM.write_text(before)
        assert 0.0 <= knob.value <= 1.0
        # Its pins are taken: nobody bit-bangs them meanwhile.
        with raises(exc.GPIOPinInUse):
            gpiozero.LED(11, pin_factory=wires.factory)
    with gpiozero.MCP3008(1, pin_factory=wires.factory) as knob:
        assert 0.0 <= knob.value <= 1.0


# ---- AGX: pins on two chips ----------------------------------------------------------------------


def an_agx_has_pins_on_two_chips(wires: Wires) -> None:
    for name in ("GPIO5", "GPIO17"):  # line 1 of the second chip, line 112 of the first
        pin, edges = listening(wires, name)
        wires.drive(name, True)
        assert edges.wait_for(1) == [1]
        pin.output_with_state(0)
        assert not wires.level(name)
        pin.state = 1
        assert wires.level(name)


Check = Callable[[Wires], None]

COMMON: tuple[Check, ...] = (
    all_names_are_one_pin,
    names_that_are_no_pin_are_refused,
    an_input_is_what_it_is_pulled_to,
    an_input_follows_the_wire,
    an_input_cannot_be_set,
    an_output_is_what_it_is_set_to,
    an_output_can_begin_high,
    a_function_that_is_none_is_refused,
    pwm_is_refused,
    both_edges_are_reported_in_order,
    only_the_chosen_edge_is_reported,
    a_callback_that_is_taken_away_is_not_called,
    a_callback_is_not_kept_alive,
    a_button_and_an_led_work,
    a_pin_belongs_to_one_device,
    a_closed_device_leaves_an_input,
    the_header_is_described,
)
JETSON: tuple[Check, ...] = (
    a_held_line_is_refused_by_its_holders_name,
    a_line_is_held_from_the_pin_to_its_close,
    a_closed_pin_says_so_and_is_made_anew,
    a_closed_factory_opens_anew,
    an_output_keeps_the_level_that_is_found,
    states_beyond_0_and_1_are_refused,
    edges_are_stamped_by_the_kernel,
    no_edges_means_none,
    an_output_reports_no_edges_but_an_input_does_again,
    bouncing_is_one_edge,
    a_callback_that_fails_stops_nothing,
    a_callback_may_close_its_pin,
    a_flood_of_edges_ends_in_the_right_state,
    pins_come_and_go_under_edges,
    a_chip_that_goes_is_an_error_and_comes_back,
    a_failed_change_leaves_all_as_it_was,
    an_mcp3008_is_read,
)
AGX: tuple[Check, ...] = (an_agx_has_pins_on_two_chips,)
