"""A causal convolution's weights."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Convolution:
    """A causal convolution over time.

    ``weight`` is ``(out, in, taps)``, the last tap the newest; ``bias`` is ``(out,)`` or
    ``None``. Groups are written out: what a group does not see has weight 0.
    """

    weight: Array
    bias: Array | None
    dilation: int = 1

    @property
    def lookback_frames(self) -> int:
        """How many past frames the convolution needs."""
        return (int(self.weight.shape[2]) - 1) * self.dilation
