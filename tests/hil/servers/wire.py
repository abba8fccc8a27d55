"""Bytes to a server and back, by nothing but a socket."""

import contextlib
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from hil.plant.plant import Plant

Dialogue = list[tuple[bytes, bytes]]


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5.0) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield line


def receive(line: socket.socket, count: int) -> bytes:
    """So many bytes, or fewer where the other side closes."""
    data = b""
    while len(data) < count:
        more = line.recv(count - len(data))
        if not more:
            break
        data += more
    return data


def everything(line: socket.socket) -> bytes:
    """All that comes until the line is quiet."""
    data = b""
    while not silent(line, 0.2):
        data += line.recv(1 << 16)
    return data


def silent(line: socket.socket, seconds: float = 0.05) -> bool:
    return not select.select([line], [], [], seconds)[0]


def speak(address: str, dialogue: Dialogue) -> None:
    """Each answer to the byte; an empty one is silence."""
    with connected(address) as line:
        for said, answered in dialogue:
            line.sendall(said)
            if answered:
                assert (said, receive(line, len(answered))) == (said, answered)
            else:
                assert silent(line), said
        assert silent(line, 0.01)


def modbus(number: int, function: int, rest: bytes) -> bytes:
    """A frame of Modbus TCP to unit 1."""
    return struct.pack(">HHHBB", number, 0, len(rest) + 2, 1, function) + rest


def state(plant: Plant) -> tuple[object, ...]:
    """Everything that an instrument can change."""
    chamber, source = plant.chamber, plant.source
    return (
        chamber.setpoint_c,
        chamber.humidity_setpoint_percent,
        chamber.running,
        chamber.ramp_k_per_min,
        chamber.door_open,
        source.volts,
        source.limit_a,
        source.on,
        plant.pedal.restarts,
        plant.boot.phase,
    )


def shout(address: str, data: bytes) -> None:
    """Send something and go, whatever comes of it."""
    with contextlib.suppress(OSError), connected(address) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        while line.recv(4096):
            pass
