"""Plain records: what ``dataclasses`` gives, without its price at import.

``@dataclass`` of the standard library writes and compiles six functions for each class: 4 million
instructions each, and 70 million for the import itself. The control process has forty; compiled,
they are half of the time in which a control process that died cannot hold the relay. Here the
functions are shared and look the fields up, so making an object costs some microseconds: right
for what is made some hundred times a second at most.

The same names do the same for what the pedal uses of them: ``frozen``, defaults, ``field`` with a
``default_factory``, ``__post_init__``, equality, ``replace``, ``asdict``, ``fields``. Type checkers
treat it as a dataclass (PEP 681).
"""

from collections.abc import Callable, Mapping
from typing import (
    Any,
    ClassVar,
    Final,
    NamedTuple,
    TypeVar,
    dataclass_transform,
    get_origin,
    overload,
)

T = TypeVar("T")


class _Missing:
    """No default."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


class Field(NamedTuple):
    """One field of a record."""

    name: str
    default: Any
    """``MISSING`` where there is none."""
    default_factory: Any
    """What makes the default, ``MISSING`` where nothing does."""


class FrozenInstanceError(AttributeError):
    """A frozen record was to be changed."""


def field(*, default_factory: Callable[[], T]) -> T:
    """A default that is made anew for each object."""
    made: Any = Field("", MISSING, default_factory)
    result: T = made
    return result


@overload
def dataclass(cls: type[T], /) -> type[T]: ...
@overload
def dataclass(*, frozen: bool = False) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(field_specifiers=(field,))
def dataclass(cls: type[T] | None = None, /, *, frozen: bool = False) -> Any:
    """Make a class a record: its annotations are its fields, those of its bases first.

    Class variables (``ClassVar``) are none.
    """

    def make(cls: type[T]) -> type[T]:
        found: dict[str, Field] = dict(getattr(cls, "__plain_fields__", {}))
        for name, hint in cls.__annotations__.items():
            if ClassVar in (hint, get_origin(hint)):
                continue
            default = cls.__dict__.get(name, MISSING)
            if isinstance(default, Field):
                found[name] = Field(name, MISSING, default.default_factory)
                delattr(cls, name)
            else:
                found[name] = Field(name, default, MISSING)
        shared: dict[str, Any] = {
            "__plain_fields__": found,
            "__match_args__": tuple(found),
            "__init__": _init,
            "__eq__": _eq,
            "__repr__": _repr,
            "__hash__": _hash if frozen else None,
        }
        if frozen:
            shared |= {"__setattr__": _refuse, "__delattr__": _refuse}
        for name, value in shared.items():
            setattr(cls, name, value)
        return cls

    return make if cls is None else make(cls)


def fields(record: Any) -> tuple[Field, ...]:
    """The fields of a record or of its class. Raises ``TypeError`` for anything else."""
    found: Mapping[str, Field] | None = getattr(record, "__plain_fields__", None)
    if found is None:
        raise TypeError(f"{record!r} is no record")
    return tuple(found.values())


def is_record(kind: object) -> bool:
    """Whether something is a record or its class."""
    return hasattr(kind, "__plain_fields__")


def replace(record: T, /, **changes: Any) -> T:
    """A copy with some fields changed."""
    values = {each.name: getattr(record, each.name) for each in fields(record)}
    return type(record)(**{**values, **changes})


def asdict(record: Any) -> dict[str, Any]:
    """The fields by name, records inside likewise."""
    return {each.name: _plain(getattr(record, each.name)) for each in fields(record)}


def _plain(value: Any) -> Any:
    if is_record(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(each) for each in value)
    return value


def _init(self: Any, /, *given: Any, **named: Any) -> None:
    known: Mapping[str, Field] = self.__plain_fields__
    name = type(self).__name__
    if len(given) > len(known):
        raise TypeError(f"{name}() takes {len(known)} values, but {len(given)} were given")
    values = dict(zip(known, given, strict=False))
    for key, value in named.items():
        if key not in known:
            raise TypeError(f"{name}() has no field {key!r}")
        if key in values:
            raise TypeError(f"{name}() got two values for {key!r}")
        values[key] = value
    if len(values) < len(known):
        for each in known.values():
            if each.name in values:
                continue
            if each.default_factory is not MISSING:
                values[each.name] = each.default_factory()
            elif each.default is not MISSING:
                values[each.name] = each.default
            else:
                raise TypeError(f"{name}() misses {each.name!r}")
    self.__dict__.update(values)
    after = getattr(self, "__post_init__", None)
    if after is not None:
        after()


def _values(record: Any) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in record.__plain_fields__)


def _eq(self: Any, other: object) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    return _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__plain_fields__)
    return f"{type(self).__qualname__}({shown})"


def _refuse(self: Any, name: str, *_value: object) -> None:
    raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be changed")
