"""Plain records behave as dataclasses do, in what the pedal uses of them."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import plain


def twins(library: Any, frozen: bool) -> Any:
    """The same class by either library."""

    @library.dataclass(frozen=frozen)
    class Base:
        need: int
        some: float = 0.5

    @library.dataclass(frozen=frozen)
    class Record(Base):
        made: dict[str, int] = library.field(default_factory=dict)
        inner: Any = None

        def __post_init__(self) -> None:
            if self.need < 0:
                raise ValueError("negative")

    return Record


_ARGUMENTS = st.tuples(
    st.lists(st.integers(-3, 3), max_size=5),
    st.dictionaries(st.sampled_from(["need", "some", "made", "inner", "none"]), st.integers(-3, 3)),
)


@pytest.mark.parametrize("frozen", [False, True])
@given(one=_ARGUMENTS, other=_ARGUMENTS)
def test_they_take_refuse_compare_and_show_alike(frozen: bool, one: Any, other: Any) -> None:
    made = []
    for library in (plain, dataclasses):
        kind = twins(library, frozen)
        kind.__qualname__ = "Record"
        row: list[Any] = []
        for given_, named in (one, other):
            try:
                row.append(kind(*given_, **named))
            except (TypeError, ValueError) as error:
                row.append(type(error))
        made.append(row)
    for ours, theirs in zip(*made, strict=True):
        assert isinstance(ours, type) == isinstance(theirs, type)
        if isinstance(ours, type):
            assert ours is theirs
        else:
            assert repr(ours) == repr(theirs)
            assert plain.asdict(ours) == dataclasses.asdict(theirs)
    assert (made[0][0] == made[0][1]) == (made[1][0] == made[1][1])


def test_frozen_means_frozen_and_hashable() -> None:
    ours, loose = twins(plain, True)(1, made=()), twins(plain, False)(1)
    with pytest.raises(AttributeError):
        ours.need = 2
    with pytest.raises(AttributeError):
        del ours.need
    assert hash(ours) == hash(twins(plain, True)(1, made=()))
    loose.need = 2
    assert loose.need == 2
    with pytest.raises(TypeError):
        hash(loose)


def test_defaults_are_made_for_each_and_copies_share_nothing_they_need_not() -> None:
    kind = twins(plain, True)
    one, other = kind(1), kind(1)
    assert one.made == {} and one.made is not other.made
    changed = plain.replace(one, need=5, inner=(one, [one]))
    assert changed.need == 5 and one.need == 1 and changed.made is one.made
    inner = {"need": 1, "some": 0.5, "made": {}, "inner": None}
    assert plain.asdict(changed)["inner"] == (inner, [inner])
    with pytest.raises(ValueError, match="negative"):
        plain.replace(one, need=-1)
    assert [each.name for each in plain.fields(kind)] == ["need", "some", "made", "inner"]
    with pytest.raises(TypeError):
        plain.fields(3)
