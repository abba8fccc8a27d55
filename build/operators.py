"""What TensorRT's parser reads, from ``operators.toml``: operators, types, opsets, restrictions."""

import datetime
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from build.errors import TargetError
from models.record import Record

FILE = Path(__file__).with_name("operators.toml")

Version = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$")]


class Target(Record):
    """A TensorRT that bundles are built for."""

    tensorrt: Version
    jetpack: str
    opset: list[int]
    """Lowest and highest that it reads."""
    date: datetime.date
    source: str

    @property
    def version(self) -> tuple[int, int]:
        """For comparing."""
        return version(self.tensorrt)


class Operators(Record):
    """Operators with the same types."""

    types: list[str]
    """Of the first input, by ONNX's names."""
    names: list[str]


class Restriction(Record):
    """What is asked of some operators; exactly one of the requirements is given."""

    operators: list[str]
    says: str
    until: Version | None = None
    """The first version that does not ask for it any more."""
    constant_inputs: list[int] = Field(default_factory=list)
    least_inputs: int = 0
    most_inputs: int | None = None
    most_outputs: int | None = None
    opset_below: int | None = None
    attribute: str = ""
    values: list[str | int] = Field(default_factory=list)

    def holds_for(self, target: Target) -> bool:
        """Whether a target asks for it."""
        return self.until is None or target.version < version(self.until)


class OperatorList(Record):
    """``operators.toml``."""

    target: list[Target]
    operators: list[Operators]
    since: dict[str, Version]
    restriction: list[Restriction]

    def types(self, target: Target) -> Mapping[str, frozenset[str]]:
        """The operators that a target reads, each with the types of its first input."""
        return {
            name: frozenset(group.types)
            for group in self.operators
            for name in group.names
            if name not in self.since or version(self.since[name]) <= target.version
        }

    def restrictions(self, operator: str, target: Target) -> list[Restriction]:
        """What a target asks of an operator."""
        return [
            restriction
            for restriction in self.restriction
            if operator in restriction.operators and restriction.holds_for(target)
        ]


@lru_cache(maxsize=1)
def operator_list() -> OperatorList:
    """The list that ships."""
    return OperatorList.model_validate(tomllib.loads(FILE.read_text(encoding="utf-8")))


def targets(names: Sequence[str] = ()) -> list[Target]:
    """The targets of these versions, such as ``10.3``; all where none is named.

    Raises ``TargetError`` for one that the list does not hold.
    """
    known = {target.tensorrt: target for target in operator_list().target}
    for name in names:
        if name not in known:
            raise TargetError(
                f"TensorRT {name[:40]!r} is not in {FILE.name}, which holds "
                f"{', '.join(known)}; choose one of them."
            )
    return [known[name] for name in names or known]


def version(text: str) -> tuple[int, int]:
    """``"10.3"`` as (10, 3)."""
    major, minor = text.split(".")
    return int(major), int(minor)
