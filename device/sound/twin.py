"""The captures of both tones as one network, where they are of one architecture.

Of what a capture costs in a short period, more than half is the price of calling its nodes,
and two captures of one architecture have the same nodes (``models.nam.pair``). Each tone stays
what it is alone, to the last bit.
"""

from functools import partial
from typing import TYPE_CHECKING

from device.sound.blocks.nam import NamBlock
from device.sound.chain import ToneChain
from models.errors import ModelError
from models.units import Audio

if TYPE_CHECKING:
    from models.runtime import StreamingModel


class TwinCapture:
    """Two capture blocks, one of each tone, whose networks run as one.

    The blocks keep their levels and parameters; a reset of either leaves the other playing.
    """

    def __init__(self, a: NamBlock, b: NamBlock, model: "StreamingModel", tones: Audio) -> None:
        """Take both blocks, the network of the two, and where the tones lie: ``(2, frames)``."""
        self._blocks = (a, b)
        self._model = model
        self._tones = tones
        self._a, self._b = tones[:1], tones[1:]
        for channel, block in enumerate(self._blocks):
            block.share(partial(model.reset_channel, channel))

    def process(self) -> None:
        """Play one period of both captures, in place where the tones lie."""
        a, b = self._blocks
        a.drive(self._a)
        b.drive(self._b)
        self._model.process(self._tones, self._tones)
        a.trim(self._a)
        b.trim(self._b)


def join_captures(a: ToneChain, b: ToneChain, tones: Audio, rate_hz: int) -> TwinCapture | None:
    """Join the captures of both tones where that can be; to be called before they are prepared.

    It can where each tone has one capture, both at the pedal's own rate and of one
    architecture. Otherwise ``None``, and each chain plays its own. ``tones`` is
    ``(2, period_frames)``, where the chains will play.
    """
    captures_a, captures_b = _captures(a), _captures(b)
    # Whatever an earlier rate or period has joined.
    a.leave(None)
    b.leave(None)
    for block in (*captures_a, *captures_b):
        block.share(None)
    if len(captures_a) != 1 or len(captures_b) != 1:
        return None
    twin = _twin(captures_a[0], captures_b[0], tones, rate_hz)
    if twin is not None:
        a.leave(captures_a[0])
        b.leave(captures_b[0])
    return twin


def _captures(chain: ToneChain) -> list[NamBlock]:
    return [block for block in chain.blocks if isinstance(block, NamBlock)]


def _twin(a: NamBlock, b: NamBlock, tones: Audio, rate_hz: int) -> TwinCapture | None:
    # Here, because most presets have no captures, and need no networks.
    from models.runtime import StreamingModel

    if not a.capture.facts.sample_rate_hz == b.capture.facts.sample_rate_hz == rate_hz:
        return None
    frames = tones.shape[1]
    graph = a.capture.beside(b.capture, frames)
    if graph is None:
        return None
    try:
        return TwinCapture(a, b, StreamingModel(graph, frames), tones)
    except ModelError:
        # One of them does not settle: prepared alone, its block says so itself.
        return None
