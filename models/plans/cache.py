"""Plans on disk: what TensorRT built on this device, kept under all that it depends on.

A plan fits one TensorRT, one GPU and one driver, and nothing tells what it will compute but
running it. So a plan has a sidecar with its hash, and a pair of plans a verdict: what they made
of the bundle's golden pair. What is damaged or was made for something else is never used; it lies
there until ``python -m build compile`` makes it anew or somebody empties the folder::

    encoder.<key>.plan  encoder.<key>.json    one plan and what it was made from
    verdict.<key>.json                        a pair of plans against a bundle's golden pair
    timing.<key>.cache                        TensorRT's own, of this device; makes builds short
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from models.errors import ModelError, PurgaError
from models.record import Record, parse_record, write_record
from models.replace import sync_folder

LARGEST_BYTES = 1 << 30
"""Of a plan; the full-size decoder's is a twentieth of it."""

SIDECAR_BYTES = 100_000

REMEDY = "run `python -m build compile`"


class PlanError(PurgaError, RuntimeError):
    """TensorRT is not here, or did not build or load a plan, or the plan cannot be kept."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True)
class Device:
    """What a plan is bound to."""

    tensorrt: str
    gpu: str
    capability: str
    """Compute capability, such as ``8.7``."""
    multiprocessors: int
    """Modules of one name differ in it."""
    driver: str


@dataclass(frozen=True)
class BuildSettings:
    """What a plan is built with."""

    workspace_mb: int = 1024
    """The most GPU memory in MiB that one layer may use for itself."""
    optimisation_level: int = 3
    """TensorRT's own, 0 … 5: how long it looks for faster kernels."""

    def __post_init__(self) -> None:
        if not 1 <= self.workspace_mb <= 65_536:
            raise ModelError(
                f"The workspace is {self.workspace_mb} MiB, expected 1 to 65536 (--workspace-mb)."
            )
        if not 0 <= self.optimisation_level <= 5:
            raise ModelError(f"The level is {self.optimisation_level}, expected 0 to 5.")


@dataclass(frozen=True)
class PlanKey:
    """What a plan computes, and what it fits. How it was built stands in the sidecar."""

    kind: str
    """``encoder`` or ``decoder``."""
    model_sha256: str
    device: Device

    @property
    def digest(self) -> str:
        """The key as 64 hexadecimal digits."""
        return _digest(asdict(self))


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Sidecar(Record):
    """What stands beside a plan."""

    format: Literal[1] = 1
    key: Sha256
    made_from: dict[str, str]
    """The key's parts, for who looks into the folder."""
    settings: dict[str, int]
    sha256: Sha256
    bytes: Annotated[int, Field(ge=1, le=LARGEST_BYTES)]
    build_s: Annotated[float, Field(ge=0.0)]


class Verdict(Record):
    """What a pair of plans made of a bundle's golden pair."""

    format: Literal[1] = 1
    against: dict[str, dict[str, float]]
    """By precision of the golden outputs: SNR, cosine, distance."""
    problems: tuple[str, ...]
    """One sentence for each limit that was broken; none lets the plans be used."""


@dataclass(frozen=True)
class Plan:
    """One plan's bytes, as TensorRT wrote them."""

    content: bytes
    sha256: str


def default_cache() -> Path:
    """Folder of plans: systemd's, the user's, or below the home folder."""
    if "CACHE_DIRECTORY" in os.environ:
        return Path(os.environ["CACHE_DIRECTORY"].split(":")[0]) / "plans"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "purga" / "plans"


class PlanCache:
    """A folder of plans."""

    def __init__(self, folder: Path | None = None) -> None:
        """Look at a folder, by default ``default_cache()``; it need not exist."""
        self.folder = folder or default_cache()

    def plan_file(self, key: PlanKey) -> Path:
        """Where the plan of a key lies."""
        return self.folder / f"{key.kind}.{key.digest[:32]}.plan"

    def read_plan(self, key: PlanKey, settings: BuildSettings | None = None) -> Plan:
        """The plan of a key, however it was built or with these settings only.

        Raises ``PlanError`` where there is none or it is damaged.
        """
        file = self.plan_file(key)
        if not file.exists():
            raise PlanError(
                f"There is no plan of this {key.kind} for {key.device.gpu} and TensorRT "
                f"{key.device.tensorrt} in {self.folder}; {REMEDY}."
            )
        sidecar = self._sidecar(file.with_suffix(".json"))
        if sidecar is None or sidecar.key != key.digest:
            raise PlanError(f"{file}: does not say what it was built from; {REMEDY}.")
        if settings is not None and sidecar.settings != asdict(settings):
            raise PlanError(f"{file}: was built with {sidecar.settings}; {REMEDY}.")
        content = _read(file, sidecar.bytes)
        if content is None or hashlib.sha256(content).hexdigest() != sidecar.sha256:
            raise PlanError(f"{file}: is damaged (another hash than when built); {REMEDY}.")
        return Plan(content, sidecar.sha256)

    def write_plan(
        self, key: PlanKey, settings: BuildSettings, content: bytes, build_s: float
    ) -> Plan:
        """Keep a plan, in the place of an older one. Raises ``PlanError``."""
        plan = Plan(content, hashlib.sha256(content).hexdigest())
        parts = {"kind": key.kind, "model_sha256": key.model_sha256, **asdict(key.device)}
        sidecar = Sidecar(
            key=key.digest,
            made_from={name: str(part) for name, part in parts.items()},
            settings=asdict(settings),
            sha256=plan.sha256,
            bytes=len(content),
            build_s=build_s,
        )
        # The sidecar last: a plan that does not agree with its sidecar is not used.
        self._write(self.plan_file(key), content)
        self._write(self.plan_file(key).with_suffix(".json"), write_record(sidecar))
        return plan

    def read_verdict(self, bundle_sha256: str, precision: str, *plans: Plan) -> Verdict | None:
        """What these very plans made of a bundle's golden pair; None where nobody has looked."""
        content = _read(self._verdict_file(bundle_sha256, precision, plans))
        if content is None:
            return None
        try:
            return parse_record(content, Verdict, "the verdict", "a verdict on plans", REMEDY)
        except ModelError:
            return None  # looked at anew

    def write_verdict(
        self, verdict: Verdict, bundle_sha256: str, precision: str, *plans: Plan
    ) -> None:
        """Keep a verdict. Raises ``PlanError``."""
        self._write(self._verdict_file(bundle_sha256, precision, plans), write_record(verdict))

    def read_timing(self, device: Device) -> bytes:
        """TensorRT's timings on this device; empty where there are none."""
        return _read(self._timing_file(device)) or b""

    def write_timing(self, device: Device, content: bytes) -> None:
        """Keep TensorRT's timings. Raises ``PlanError``."""
        self._write(self._timing_file(device), content)

    def _verdict_file(self, bundle_sha256: str, precision: str, plans: tuple[Plan, ...]) -> Path:
        key = _digest({"on": [bundle_sha256, precision, *(plan.sha256 for plan in plans)]})
        return self.folder / f"verdict.{key[:32]}.json"

    def _timing_file(self, device: Device) -> Path:
        return self.folder / f"timing.{_digest(asdict(device))[:32]}.cache"

    def _sidecar(self, file: Path) -> Sidecar | None:
        content = _read(file, SIDECAR_BYTES)
        if content is None:
            return None
        try:
            return parse_record(content, Sidecar, str(file), "what a plan was built from", REMEDY)
        except ModelError:
            return None

    def _write(self, file: Path, content: bytes) -> None:
        """Write a file whole or not at all."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as target:
                    target.write(content)
                    target.flush()
                    os.fsync(target.fileno())
                os.replace(name, file)
            except BaseException:
                os.unlink(name)
                raise
            sync_folder(self.folder)
        except OSError as error:
            raise PlanError(
                f"{file}: cannot be written ({error.strerror}); make room or name another folder "
                "with --cache."
            ) from error


def _read(file: Path, most_bytes: int = LARGEST_BYTES) -> bytes | None:
    """A file's bytes; None where it cannot be read or is larger than it may be."""
    try:
        if file.stat().st_size > most_bytes:
            return None
        return file.read_bytes()
    except OSError:
        return None


def _digest(about: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
