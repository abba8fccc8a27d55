"""The latest frames of a stream, by their absolute index."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


class FrameRing:
    """Keeps as many frames as a window has, and lays a window out the way the graphs read it."""

    def __init__(self, frames: int, shape: tuple[int, ...]) -> None:
        """Allocate ``frames`` frames of ``shape``, all zero."""
        self._frames = frames
        self._ring = np.zeros((frames, *shape), np.float32)
        self._columns = np.moveaxis(self._ring, 0, -1)

    def clear(self) -> None:
        """Make every frame zero."""
        self._ring.fill(0.0)

    def slot(self, frame: int) -> Array:
        """Where frame ``frame`` is to be written; it takes the place of the one a window older."""
        view: Array = self._ring[frame % self._frames]
        return view

    def window(self, first: int, target: Array) -> None:
        """Copy one window of frames, from ``first`` on, to ``target`` ``(*shape, frames)``.

        What stands in the ring is taken to be those frames.
        """
        start = first % self._frames
        older = self._frames - start
        np.copyto(target[..., :older], self._columns[..., start:])
        np.copyto(target[..., older:], self._columns[..., :start])
