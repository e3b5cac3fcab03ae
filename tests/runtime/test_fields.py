"""Our dataclasses are the standard library's in what this package uses of them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from graphjit.runtime import fields

KINDS: dict[str, Any] = {"standard": dataclasses, "ours": fields}


def make(kind: Any) -> Any:
    """The same classes by either."""

    @kind.dataclass(frozen=True)
    class Point:
        x: int
        y: int = 2
        names: list[str] = kind.field(default_factory=list, repr=False)
        note: str = kind.field(default="", compare=False)
        unit: ClassVar[str] = "m"

    @kind.dataclass(frozen=True, slots=True)
    class Slotted:
        x: int
        y: object = None

        def doubled(self) -> int:
            return 2 * self.x

    @kind.dataclass
    class Open:
        found: dict[str, int] = kind.field(default_factory=dict, init=False)
        count: int = 0

    @kind.dataclass
    class Wider(Open):
        more: int = 5

        def __repr__(self) -> str:
            return "wider"

    @kind.dataclass(frozen=True, eq=False)
    class Single:
        x: int

    @kind.dataclass(frozen=True)
    class Only:
        x: float

    return SimpleNamespace(Point=Point, Slotted=Slotted, Open=Open, Wider=Wider, Single=Single, Only=Only)


@pytest.fixture(params=KINDS, name="made")
def _made(request: pytest.FixtureRequest) -> Any:
    return make(KINDS[request.param])


def test_values_defaults_and_text(made: Any) -> None:
    assert repr(made.Point(1)).endswith("Point(x=1, y=2, note='')")
    assert (made.Point(1).y, made.Point.y, made.Point.unit, made.Point(1, names=["a"]).names) == (2, 2, "m", ["a"])
    assert made.Point(1).names is not made.Point(1).names
    assert repr(made.Wider(3)) == "wider"
    assert (made.Wider(3).count, made.Wider(3).more, made.Wider().found) == (3, 5, {})
    with pytest.raises(TypeError, match="positional argument"):
        made.Point()
    with pytest.raises(TypeError, match="unexpected keyword"):
        made.Open(found={})


def test_equality_and_hashes(made: Any) -> None:
    assert made.Only(1.0) == made.Only(1.0) != made.Only(2.0)
    assert made.Slotted(1) != made.Only(1) and made.Point(1) != (1, 2, [], "")
    assert made.Point(1, note="a") == made.Point(1, note="b")
    assert hash(made.Slotted(1, "a")) == hash(made.Slotted(1, "a")) != hash(made.Slotted(1, "b"))
    assert made.Single(1) != made.Single(1)
    assert len({made.Single(1), made.Single(1)}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(made.Open())


def test_what_is_identical_is_equal() -> None:
    """As in tuples, and in every version of Python: the standard library's compared fields one by one from 3.13 on."""
    nan = float("nan")
    assert Kept(1, nan) == Kept(1, nan) != Kept(1, float("nan"))


def test_frozen_ones_refuse_changes(made: Any) -> None:
    for one in (made.Point(1), made.Slotted(1), made.Single(1)):
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
            one.x = 3
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
            del one.x
    opened = made.Open()
    opened.count = 7
    assert opened.count == 7


def test_slots(made: Any) -> None:
    one = made.Slotted(4)
    assert not hasattr(one, "__dict__")
    assert (one.doubled(), one.y, made.Slotted.__qualname__[-7:]) == (8, None, "Slotted")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_replace(kind: Any) -> None:
    made = make(kind)
    assert kind.replace(made.Point(1, names=["a"]), y=4) == made.Point(1, 4, ["a"])
    assert kind.replace(made.Wider(3), more=1).count == 3
    with pytest.raises(TypeError, match="unexpected keyword"):
        kind.replace(made.Slotted(1), z=1)


def test_signatures_patterns_and_copies(made: Any) -> None:
    assert list(inspect.signature(made.Point).parameters) == ["x", "y", "names", "note"]
    match made.Slotted(1, 2):
        case made.Slotted(x, y):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("no match")
    for one in (made.Point(1, 2, ["a"]), made.Slotted(1, (2, 3)), made.Open(4)):
        assert repr(copy.deepcopy(one)) == repr(one)


@fields.dataclass(frozen=True, slots=True)
class Kept:
    """Pickle finds classes by name."""

    x: int
    y: Any = None


def test_pickling() -> None:
    assert pickle.loads(pickle.dumps(Kept(1, "a"))) == Kept(1, "a")


def test_errors_while_comparing_are_not_hidden() -> None:
    import numpy as np

    with pytest.raises(ValueError, match="ambiguous"):
        assert Kept(1, np.ones(2)) == Kept(1, np.ones(2))
