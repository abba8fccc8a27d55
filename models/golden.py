"""The golden pair: what went into a bundle's graphs once, and what came out at each precision.

Whoever runs the graphs elsewhere can tell from it whether the same comes out. ``golden.npz``
holds float32 arrays, T being the window's frames:

========================  =====================  =============================================
``spectra``               (2, 2, bins, T)        the encoder's input: tones A and B
``latents.<precision>``   (2, channels, T / 8)   its output
``blend``                 (1, channels, T / 8)   the decoder's input, half way between fp32's
``noise``                 (1, 2, bins, T)        standard normal
``position``              (1, 1, 1, 1)           only where the decoder asks for it
``decoded.<precision>``   (1, 2, bins, T)        the decoder's output
========================  =====================  =============================================
"""

import io
import zipfile
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.errors import ModelError

Array = npt.NDArray[np.float32]
Golden = dict[str, Array]
Shapes = Mapping[str, tuple[int, ...]]

LARGEST_BYTES = 64 * 2**20
"""Of the file, and of the arrays it unpacks to."""

REMEDY = "build the bundle again"


def pack_golden(arrays: Mapping[str, Array]) -> bytes:
    """``golden.npz`` of these arrays; the same arrays give the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(arrays[name], np.float32))
            # A fixed time, where numpy.savez would put the present one.
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, member.getvalue())
    return file.getvalue()


def unpack_golden(content: bytes, shapes: Shapes, where: str) -> Golden:
    """The arrays of ``golden.npz``, which must be exactly those of ``shapes``, finite float32.

    Unpacks no more than announced and no pickles. Raises ``ModelError``; ``where`` names the file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            names = sorted(entry.filename.removesuffix(".npy") for entry in archive.infolist())
        if unpacked > LARGEST_BYTES:
            raise ModelError(f"{where}: unpacks to {unpacked} bytes, which is too much; {REMEDY}.")
        if names != sorted(shapes):
            odd = sorted(set(names) ^ set(shapes)) or names
            what = "is missing" if odd[0] in shapes else "does not belong there or stands twice"
            raise ModelError(f"{where}: the array {odd[0][:60]!r} {what}; {REMEDY}.")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            golden = {name: arrays[name] for name in shapes}
    except ModelError:
        raise
    except Exception as problem:  # zipfile, zlib and numpy raise many kinds for a damaged file
        raise ModelError(
            f"{where}: is no file of plain arrays ({type(problem).__name__}: "
            f"{str(problem)[:120]}); {REMEDY}."
        ) from None
    for name, array in golden.items():
        if array.dtype != np.float32 or array.shape != shapes[name]:
            raise ModelError(
                f"{where}: {name} is {array.dtype} {array.shape}, expected float32 "
                f"{shapes[name]}; {REMEDY}."
            )
        if not np.isfinite(array).all():
            raise ModelError(f"{where}: {name} holds a NaN or an infinity; {REMEDY}.")
    return golden
