"""The studio engine's bundle: a folder of graphs, and the manifest that vouches for each file.

::

    manifest.json      what the graphs are for, and name, size, SHA-256 and shapes of every file
    encoder.fp32.onnx  spectra of two tones → latents
    decoder.fp32.onnx  latents and noise → spectra
    encoder.fp16.onnx … decoder.int8.onnx    the same at other precisions
    golden.npz         an input and its outputs (models.golden)
    certificate.json   how near the precisions are to fp32 (models.certificate)

``read_bundle`` trusts nothing but the manifest's own text: no file is opened before its name,
kind and size are right, none is parsed before its hash is. ``write_bundle`` reads back what it
wrote, and only then lets it take the old bundle's place.

The manifest says what the files are, not who made them: a signature is the update's business.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationError, model_validator

from models.certificate import LARGEST_BYTES as CERTIFICATE_BYTES
from models.certificate import Certificate, parse_certificate
from models.errors import ModelError, PurgaError
from models.facts import (
    CERTIFICATE,
    FILE_NAMES,
    GOLDEN,
    KINDS,
    MANIFEST,
    PRECISIONS,
    Adapter,
    Facts,
    FileName,
    Kind,
    Precision,
    Sha256,
    Size,
    model_name,
)
from models.golden import LARGEST_BYTES as GOLDEN_BYTES
from models.golden import Array, Golden, pack_golden, unpack_golden
from models.onnx_file import Shapes, parse_onnx, signature
from models.record import Record, first_problem, parse_record, write_record
from models.replace import replaced_folder, write_file

__all__ = [
    "KINDS",
    "PRECISIONS",
    "Adapter",
    "Bundle",
    "BundleWriteError",
    "Facts",
    "Kind",
    "Manifest",
    "Precision",
    "model_name",
    "read_bundle",
    "write_bundle",
]

MANIFEST_BYTES = 1_000_000
MODEL_BYTES = 512 * 2**20
"""More than three times the full-size decoder in fp32."""

REMEDY = "build the bundle again or bring a whole copy"


class BundleWriteError(PurgaError, OSError):
    """A bundle that the disk did not take, or that would replace what is no bundle."""

    exit_code: ClassVar[int] = 1


class FileEntry(Record):
    """One file of the bundle; shapes only for graphs."""

    sha256: Sha256
    bytes: Annotated[int, Field(ge=1, le=MODEL_BYTES)]
    inputs: dict[str, tuple[Size, ...]] = Field(default_factory=dict)
    outputs: dict[str, tuple[Size, ...]] = Field(default_factory=dict)


class Manifest(Facts):
    """``manifest.json``."""

    format: Literal[1] = 1
    files: dict[FileName, FileEntry]

    @model_validator(mode="after")
    def _holds_its_files(self) -> "Manifest":
        for name in sorted(self.file_names - set(self.files)):
            raise ValueError(f"files does not name {name}, which these precisions need")
        for name in sorted(set(self.files) - self.file_names):
            raise ValueError(f"files names {name[:60]!r}, which is no part of such a bundle")
        for kind in KINDS:
            for precision in self.precisions:
                name = model_name(kind, precision)
                entry = self.files[name]
                if (entry.inputs, entry.outputs) != self.shapes(kind):
                    raise ValueError(
                        f"files gives {name} the shapes {_brief(entry.inputs, entry.outputs)}, "
                        f"but its window and channels ask for {_brief(*self.shapes(kind))}"
                    )
        return self


@dataclass(frozen=True)
class Bundle:
    """A folder that was read and found to be what its manifest says."""

    folder: Path
    manifest: Manifest
    sha256: str
    """Of ``manifest.json``, and through it of everything."""
    precisions: tuple[Precision, ...]
    """Those whose graphs were verified."""

    def model(self, kind: Kind, precision: Precision) -> Path:
        """Where a graph lies. Raises ``ModelError`` for a precision that was not verified."""
        if precision not in self.precisions:
            raise ModelError(
                f"{self.folder}: {precision} was asked for, but it holds, or was read for, "
                f"{', '.join(self.precisions)}; build it with {precision}."
            )
        return self.folder / model_name(kind, precision)

    def model_sha256(self, kind: Kind, precision: Precision) -> str:
        """The hash of a graph's file, which a cache of what was made from it goes by."""
        return self.manifest.files[self.model(kind, precision).name].sha256

    def read_model(self, kind: Kind, precision: Precision) -> bytes:
        """A graph's bytes, verified again: what an engine loads is what was checked."""
        return _read(self.folder, self.model(kind, precision).name, self.manifest)

    def golden(self) -> Golden:
        """The golden pair. Raises ``ModelError``."""
        content = _read(self.folder, GOLDEN, self.manifest)
        where = str(self.folder / GOLDEN)
        return unpack_golden(content, self.manifest.golden_shapes(), where)

    def certificate(self) -> Certificate:
        """How near the precisions are. Raises ``ModelError``."""
        content = _read(self.folder, CERTIFICATE, self.manifest)
        return parse_certificate(content, str(self.folder / CERTIFICATE))


def read_bundle(folder: Path, precisions: Iterable[Precision] | None = None) -> Bundle:
    """Verify a bundle; of the graphs only those at ``precisions``, or all of them.

    Every name and size is checked whatever the precisions; an engine that plays int8 need not
    read the 230 MB of fp32. The folder itself may be reached by a link, but holds none. Raises
    ``ModelError`` with one sentence.
    """
    _check_names(folder)
    content = _read_bounded(folder / MANIFEST, MANIFEST_BYTES)
    manifest = parse_record(
        content, Manifest, str(folder / MANIFEST), "the studio engine's manifest", REMEDY
    )
    present = set(os.listdir(folder)) - {MANIFEST}
    for name in sorted(manifest.file_names - present):
        raise ModelError(f"{folder / name}: is missing; {REMEDY}.")
    for name in sorted(present - manifest.file_names):
        raise ModelError(f"{folder / name}: is no part of this bundle; remove it.")
    for name in manifest.file_names:
        _check_size(folder, name, manifest)
    wanted = manifest.precisions if precisions is None else tuple(precisions)
    for precision in wanted:
        if precision not in manifest.precisions:
            raise ModelError(
                f"{folder}: {precision} was asked for, but it holds "
                f"{', '.join(manifest.precisions)}; build it with {precision}."
            )
    bundle = Bundle(folder, manifest, hashlib.sha256(content).hexdigest(), wanted)
    bundle.certificate()
    bundle.golden()
    for precision in wanted:
        for kind in KINDS:
            _check_model(bundle, kind, precision)
    return bundle


def write_bundle(
    folder: Path,
    facts: Facts,
    models: Mapping[tuple[Kind, Precision], bytes],
    golden: Mapping[str, Array],
    certificate: Certificate,
) -> Bundle:
    """Write a bundle, read it back, and only then put it in the place of an old one.

    Raises ``ModelError`` where what was given is no bundle, ``BundleWriteError`` where the disk
    does not take it or ``folder`` holds other things; either way an old bundle is untouched.
    """
    contents = {model_name(*which): content for which, content in models.items()}
    contents[GOLDEN] = pack_golden(golden)
    contents[CERTIFICATE] = write_record(certificate)
    try:
        files = {name: _entry(name, content, facts) for name, content in contents.items()}
        manifest = Manifest(**dict(facts), files=files)
    except ValidationError as problem:
        raise ModelError(f"{folder}: would be no bundle: {first_problem(problem)}.") from None
    contents[MANIFEST] = write_record(manifest)
    try:
        _check_replaceable(folder)
        with replaced_folder(folder) as partial:
            for name, content in contents.items():
                write_file(partial / name, content)
            try:
                bundle = read_bundle(partial)
            except ModelError as problem:
                # Named by where it would have been; the folder that it is in goes away.
                raise ModelError(str(problem).replace(str(partial), str(folder))) from None
    except OSError as problem:
        if isinstance(problem, PurgaError):
            raise
        raise BundleWriteError(f"{folder}: could not be written ({problem}); make room.") from None
    return replace(bundle, folder=folder)


def _entry(name: str, content: bytes, facts: Facts) -> FileEntry:
    """What the manifest says of a file that is to be written."""
    shapes = {model_name(kind, at): facts.shapes(kind) for kind in KINDS for at in PRECISIONS}
    inputs, outputs = shapes.get(name, ({}, {}))
    digest = hashlib.sha256(content).hexdigest()
    return FileEntry(sha256=digest, bytes=len(content), inputs=inputs, outputs=outputs)


def _check_names(folder: Path) -> None:
    """Refuse what is no folder of plain files with a manifest among them."""
    if not folder.is_dir():
        state = "is no folder" if folder.exists() else "does not exist"
        raise ModelError(f"{folder}: {state}; name a bundle (python -m build bundle makes one).")
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as problem:
        raise ModelError(f"{folder}: cannot be read ({problem.strerror}); {REMEDY}.") from None
    for entry in entries:
        if entry.is_symlink():
            raise ModelError(f"{entry.path}: is a symbolic link, expected a file; {REMEDY}.")
        if not entry.is_file(follow_symlinks=False):
            raise ModelError(f"{entry.path}: is no file; {REMEDY}.")
    if MANIFEST not in {entry.name for entry in entries}:
        raise ModelError(f"{folder}: holds no {MANIFEST}, so it is no bundle; {REMEDY}.")


def _check_size(folder: Path, name: str, manifest: Manifest) -> None:
    expected = manifest.files[name].bytes
    limit = {GOLDEN: GOLDEN_BYTES, CERTIFICATE: CERTIFICATE_BYTES}.get(name, MODEL_BYTES)
    if expected > limit:
        raise ModelError(f"{folder / name}: {expected} bytes are too many, at most {limit}.")
    size = (folder / name).lstat().st_size
    if size != expected:
        raise ModelError(
            f"{folder / name}: has {size} bytes, but the manifest says {expected}; {REMEDY}."
        )


def _check_model(bundle: Bundle, kind: Kind, precision: Precision) -> None:
    """Refuse a graph that is damaged, foreign, or not what the manifest says."""
    manifest = bundle.manifest
    where = str(bundle.model(kind, precision))
    has = signature(parse_onnx(bundle.read_model(kind, precision), where), where)
    if (has.inputs, has.outputs) != manifest.shapes(kind):
        raise ModelError(
            f"{where}: takes and gives {_brief(has.inputs, has.outputs)}, but the manifest says "
            f"{_brief(*manifest.shapes(kind))}; {REMEDY}."
        )
    if has.opset != manifest.opset[precision]:
        raise ModelError(
            f"{where}: is of opset {has.opset}, but the manifest says "
            f"{manifest.opset[precision]}; {REMEDY}."
        )


def _brief(inputs: Shapes, outputs: Shapes) -> str:
    """``spectra 2×2×1024×16 → latents 2×64×2``, in any order that they were in."""
    sides = []
    for shapes in (inputs, outputs):
        named = [f"{name[:40]} {'×'.join(map(str, shapes[name]))}" for name in sorted(shapes)]
        sides.append(", ".join(named[:6]) or "nothing")
    return " → ".join(sides)


def _read(folder: Path, name: str, manifest: Manifest) -> bytes:
    """A file whose size and hash are the manifest's."""
    entry = manifest.files[name]
    content = _read_bounded(folder / name, entry.bytes)
    if len(content) != entry.bytes or hashlib.sha256(content).hexdigest() != entry.sha256:
        raise ModelError(
            f"{folder / name}: is not the file that the manifest names (its SHA-256 differs); "
            f"{REMEDY}."
        )
    return content


def _read_bounded(path: Path, limit: int) -> bytes:
    """At most ``limit`` bytes of a plain file, without following a link."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ModelError(f"{path}: is no file; {REMEDY}.")
            if status.st_size > limit:
                raise ModelError(
                    f"{path}: has {status.st_size} bytes, expected at most {limit}; {REMEDY}."
                )
            return file.read(limit)
    except OSError as problem:
        raise ModelError(f"{path}: cannot be read ({problem.strerror}); {REMEDY}.") from None


def _check_replaceable(folder: Path) -> None:
    """Refuse to replace what is no bundle, were it a mistyped home folder."""
    if folder.exists() and not folder.is_dir():
        raise BundleWriteError(f"{folder}: is no folder; name another for the bundle.")
    if folder.is_dir():
        for name in sorted(set(os.listdir(folder)) - FILE_NAMES):
            raise BundleWriteError(
                f"{folder}: holds {name[:60]!r}, which is no part of a bundle, so it is not "
                "replaced; name another folder."
            )
