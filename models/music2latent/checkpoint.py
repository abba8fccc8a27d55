"""The generator's weights from a file: the official ``.pt``, or the same as ``.safetensors``.

A ``.pt`` is a pickle, and a pickle may ask for code to be run. It is read by ``torch.load`` with
``weights_only=True``, which builds tensors and refuses everything else. Only that needs torch: a
``.safetensors`` file of the same names holds nothing but tensors and is read without it.
"""

import hashlib
import io
import os
import pickle
import pickletools
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from models.errors import ModelError
from models.music2latent.architecture import Tensor, Weights, recognise

GENERATOR = "gen_state_dict"
"""Under this name the checkpoint holds the generator's tensors."""

SAFETENSORS = ".safetensors"

_PICKLES = 5
"""As many stand one after the other in torch's format before the zip."""

_BRING = "bring the official one with python -m build fetch"


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read a generator's weights, float32 by the checkpoint's names, whatever the file's format.

    ``.safetensors`` by its suffix, everything else as a torch checkpoint. Raises ``ModelError``
    for a file that is missing, damaged, foreign, of another architecture, or not finite.
    """
    return _read_safetensors(file) if file.suffix == SAFETENSORS else read_checkpoint(file)


def read_checkpoint(file: Path) -> dict[str, Tensor]:
    """Read ``{'gen_state_dict': …}`` as torch saved it; no code in it is ever run.

    Raises ``ModelError`` for what ``read_weights`` names, for a pickle that asks for code, and
    where torch is not installed.
    """
    _check_is_file(file)
    try:
        import torch
    except ImportError:
        raise ModelError(
            f"{file}: reading a torch checkpoint needs torch, which is not installed here; "
            "deploy/host-setup music2latent installs it."
        ) from None
    content = _load(file, torch)
    state = content.get(GENERATOR) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise ModelError(
            f"{file}: holds no {GENERATOR}, the generator's weights under that name were expected; "
            f"{_BRING}."
        )
    for name, value in state.items():
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            raise ModelError(f"{file}: {name} is no tensor of real numbers; {_BRING}.")
    # Through float32 in torch, as NumPy knows no bfloat16.
    weights = {name: value.detach().float().numpy() for name, value in state.items()}
    return _checked(file, weights)


def write_checkpoint(weights: Weights, file: Path) -> None:
    """Write weights as the official checkpoint holds them, whole or not at all; needs torch."""
    import torch

    state = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
    write_whole(file, lambda beside: torch.save({GENERATOR: state}, beside))


def write_safetensors(weights: Weights, file: Path) -> None:
    """Write weights for ``read_weights`` to read without torch, whole or not at all."""
    from safetensors.numpy import save_file

    tensors = {name: np.ascontiguousarray(value) for name, value in weights.items()}
    write_whole(file, lambda beside: save_file(tensors, beside))


def weights_sha256(weights: Weights) -> str:
    """What weights are, in 64 hexadecimal digits: the same for the same numbers in any format."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = np.ascontiguousarray(weights[name], np.float32)
        digest.update(f"{name} {value.shape}\n".encode())
        digest.update(value.data)
    return digest.hexdigest()


def write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside, then give it the name: it appears whole or not at all.

    Raises ``ModelError`` where the disk does not take it.
    """
    beside = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        os.close(handle)
        beside = Path(name)
        write(beside)
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.chmod(0o644)
        beside.replace(file)
    except OSError as error:
        raise ModelError(
            f"{file}: could not be written ({error.strerror or error}); choose another place."
        ) from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)


def _check_is_file(file: Path) -> None:
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise ModelError(f"{file}: {what}, expected Music2Latent's weights; {_BRING}.")


def _load(file: Path, torch: Any) -> Any:
    zipped = _is_zip(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickles that it then refuses anyway
            # Mapped, a 230 MB file is not held twice; only torch's zip format can be mapped.
            return torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
    except OSError as error:
        raise ModelError(
            f"{file}: cannot be read ({error.strerror or error}); check the file."
        ) from error
    except Exception as error:  # a damaged or foreign file raises nearly anything
        wanted = _asked_for(file, zipped)
        if isinstance(error, pickle.UnpicklingError) and wanted:
            raise ModelError(
                f"{file}: asks for {wanted} to be run when it is read, which was refused, as "
                f"weights are only numbers; {_BRING}."
            ) from error
        raise ModelError(
            f"{file}: is truncated, damaged or no torch checkpoint at all; {_BRING}."
        ) from error


def _asked_for(file: Path, zipped: bool) -> str | None:
    """The first thing outside torch that a pickle imports when it is read; nothing is run."""
    try:
        if zipped:
            with zipfile.ZipFile(file) as archive:
                inside = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
                return _first_import(io.BytesIO(archive.read(inside)))
        with file.open("rb") as opened:
            return _first_import(opened)
    except (OSError, StopIteration, zipfile.BadZipFile, ValueError, KeyError):
        return None


def _first_import(stream: IO[bytes]) -> str | None:
    for _ in range(_PICKLES):
        strings: list[str] = []
        for operation, argument, _at in pickletools.genops(stream):
            named = None
            if operation.name in ("GLOBAL", "INST"):
                named = str(argument).replace(" ", ".")
            elif operation.name == "STACK_GLOBAL":
                named = ".".join(strings[-2:])
            elif isinstance(argument, str):
                strings.append(argument)
            if named is not None and not named.startswith(("torch.", "collections.")):
                return named
    return None


def _is_zip(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(4) == b"PK\x03\x04"
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror}); check the file.") from error


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    _check_is_file(file)
    try:
        return _checked(file, load_file(file))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"{file}: is truncated, damaged or no safetensors file; convert it again."
        ) from error


def _checked(file: Path, weights: Mapping[str, Any]) -> dict[str, Tensor]:
    try:
        recognise(weights)
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error
    numbers = {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}
    for name, value in numbers.items():
        if not np.issubdtype(weights[name].dtype, np.floating):
            raise ModelError(f"{file}: {name} is no tensor of real numbers; {_BRING}.")
        if not np.isfinite(value).all():
            raise ModelError(f"{file}: {name} holds values that are not finite; {_BRING}.")
    return numbers
