"""The flat weight list of a capture, handed out in the order that the trainer wrote it."""

from typing import Protocol

import numpy as np

from models.nam import limits
from models.nam.fields import Place, describe
from models.streaming.convolution import Array, Convolution


class Source(Protocol):
    """Where weights come from: a real list, or a counter that only measures a network."""

    def take(self, *shape: int) -> Array:
        """The next weights, in C order, as an array of this shape."""
        ...

    def convolution(
        self,
        inputs: int,
        outputs: int,
        taps: int = 1,
        *,
        bias: bool,
        groups: int = 1,
        dilation: int = 1,
    ) -> Convolution:
        """The next convolution: weights by group, output, input, tap; then the bias."""
        ...


class Counter:
    """Walks a network without weights and counts what it needs, allocating nothing.

    ``needed`` is how many weights the file must list, ``dense`` how many there are once groups
    are written out, in ``arrays`` arrays.
    """

    def __init__(self, place: Place) -> None:
        self.needed = 0
        self.dense = 0
        self.arrays = 0
        self._history = 0
        self._lookback = 0
        self._place = place

    def take(self, *shape: int) -> Array:
        """Count one array; the zeros that come back are one number seen many times."""
        size = 1
        for extent in shape:
            size *= extent
        self.needed += size
        self._hold(size)
        return np.broadcast_to(np.float32(0.0), shape)

    def convolution(
        self,
        inputs: int,
        outputs: int,
        taps: int = 1,
        *,
        bias: bool,
        groups: int = 1,
        dilation: int = 1,
    ) -> Convolution:
        """Count one convolution; refuses groups that do not divide, and absurd sizes."""
        if inputs % groups or outputs % groups:
            raise self._place.fault(
                f"a convolution of {inputs} to {outputs} channels in {groups} groups",
                "groups that divide both channel counts",
            )
        self.needed += outputs * (inputs // groups) * taps + (outputs if bias else 0)
        self._hold(outputs * inputs * taps)
        lookback = (taps - 1) * dilation
        self._lookback += lookback
        self._history += lookback * inputs
        if self._lookback > limits.LOOKBACK_FRAMES or self._history > limits.HISTORY:
            raise self._place.fault(
                f"a network that looks back {self._lookback} frames and "
                f"holds {self._history} samples of history",
                f"at most {limits.LOOKBACK_FRAMES} frames and {limits.HISTORY} samples",
            )
        zero = np.float32(0.0)
        return Convolution(
            np.broadcast_to(zero, (outputs, inputs, taps)),
            np.broadcast_to(zero, (outputs,)) if bias else None,
            dilation,
        )

    def _hold(self, size: int) -> None:
        self.dense += size
        self.arrays += 1
        if self.dense > limits.WEIGHTS:
            raise self._place.fault(
                "a network of more weights than a pedal can hold",
                f"at most {limits.WEIGHTS} weights, with groups written out",
            )


class WeightList:
    """The weights of one model. Ask for no more than a ``Counter`` has counted."""

    def __init__(self, flat: Array) -> None:
        self._flat = flat
        self._next = 0

    def take(self, *shape: int) -> Array:
        """The next weights, copied, read-only."""
        size = int(np.prod(shape))
        taken = self._flat[self._next : self._next + size].reshape(shape).copy()
        self._next += size
        taken.flags.writeable = False
        return taken

    def convolution(
        self,
        inputs: int,
        outputs: int,
        taps: int = 1,
        *,
        bias: bool,
        groups: int = 1,
        dilation: int = 1,
    ) -> Convolution:
        """The next convolution, its groups written out."""
        each_in, each_out = inputs // groups, outputs // groups
        grouped = self.take(groups, each_out, each_in, taps)
        if groups == 1:
            weight = grouped[0]
        else:
            weight = np.zeros((outputs, inputs, taps), np.float32)
            for group in range(groups):
                rows = slice(group * each_out, (group + 1) * each_out)
                columns = slice(group * each_in, (group + 1) * each_in)
                weight[rows, columns] = grouped[group]
            weight.flags.writeable = False
        return Convolution(weight, self.take(outputs) if bias else None, dilation)


def read_weights(value: object, place: Place, needed: int) -> WeightList:
    """Check the flat ``weights`` field of a model: a list of ``needed`` finite numbers."""
    if not isinstance(value, list):
        raise place.fault(describe(value), f"a list of {needed} numbers")
    if len(value) != needed:
        raise place.fault(
            f"a list of {len(value)} numbers", f"the {needed} that the described layers need"
        )
    for index, entry in enumerate(value):
        if isinstance(entry, bool) or not isinstance(entry, int | float):
            raise place.child(index).fault(describe(entry), "a number")
        # False for NaN too; an integer may be too large to become a float at all.
        if not -3.4e38 < entry < 3.4e38:
            raise place.child(index).fault(describe(entry), "a finite 32-bit number")
    return WeightList(np.array(value, np.float32))
