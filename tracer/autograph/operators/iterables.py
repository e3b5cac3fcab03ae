"""What a `for` loop goes through when it is a traced value: rows of tensors, ranges, and views of these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from graphjit.compiler.operand import PUBLIC, Operand, as_operand
from graphjit.compiler.ops.filling import range_to_op
from graphjit.compiler.tensortype import TensorType
from graphjit.compiler.writer import Symbol, static_value
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, TraceError

from ...agreement import is_value, is_weak
from ...handing import HandedOut
from ...state import State
from ...subtrace import is_tracing
from ...taking import Taking
from .values import is_traced


class Rows(ABC):
    """Items that are found by their numbers, which may be traced values."""

    @property
    @abstractmethod
    def length(self) -> int | None:
        """How many there are, None if that is only known when the function runs."""

    @abstractmethod
    def count(self) -> Any:
        """How many there are, perhaps as a traced value."""

    @abstractmethod
    def item(self, index: Any) -> Any:
        """The item with a number, which is in range."""

    @property
    def is_drawn(self) -> bool:
        """Whether items come one after the other from Python, so that nobody knows beforehand how many there are."""
        return False

    def runs(self) -> list[Rows]:
        """Loops that together go through all items: within each the sizes of the items are equal."""
        return [self]

    def begin(self) -> Any:
        """What `has` needs to know, found once before a loop: how many items there are."""
        return self.count()

    def has(self, index: Any, known: Any, is_over: Any) -> Any:
        """Whether there is an item with a number; where the loop is over, the answer does not matter."""
        return index < known

    def __iter__(self) -> Iterator[Any]:
        if self.length is None:
            raise TraceError(
                "how many items there are is only known when the function runs, so they cannot be listed; go through "
                "them in a `for` loop, or with gj.map_fn"
            )
        return (self.item(index) for index in range(self.length))

    def __len__(self) -> int:
        if self.length is None:
            raise TraceError("the number of items is only known when the function runs")
        return self.length


class TensorRows(Rows):
    """The rows of a tensor."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = as_operand(tensor)
        if not self._tensor.type.shape:
            raise DtypeError(f"a scalar tensor cannot be iterated; it is {self._tensor.type}")

    @property
    def length(self) -> int | None:
        return self._tensor.type.shape[0]

    def count(self) -> Any:
        return self.length if self.length is not None else PUBLIC["shape_of"](self._tensor)[0].as_weak()

    def item(self, index: Any) -> Any:
        return self._tensor[index]


class Drawn(Rows):
    """What a dataset hands out while the function runs."""

    def __init__(self, source: HandedOut) -> None:
        self._source = source
        self._taking = Taking(source)
        self._spec: Any = None
        self._most: int | None = None
        self._goes_on = False

    def runs(self) -> list[Rows]:
        return [self._run(place, most, spec) for place, (most, spec) in enumerate(self._source.runs())]

    def _run(self, place: int, most: int | None, spec: Any) -> Drawn:
        """Some of the elements: those behind the ones of the run before."""
        made = Drawn(self._source)
        made._taking, made._spec, made._most, made._goes_on = self._taking, spec, most, place > 0
        return made

    @property
    def length(self) -> int | None:
        return None

    @property
    def is_drawn(self) -> bool:
        return True

    def count(self) -> Any:
        return len(self._source)  # type: ignore[arg-type]  # where it has no length, the error says so

    def begin(self) -> Any:
        if not self._goes_on:
            self._taking.begin()

    def has(self, index: Any, known: Any, is_over: Any) -> Any:
        found = self._taking.has_next(is_over)
        return found if self._most is None else PUBLIC["logical_and"](found, index < self._most)

    def item(self, index: Any) -> Any:
        return self._taking.next(self._spec)

    def __iter__(self) -> Iterator[Any]:
        count = self.count()
        self.begin()
        return (self.item(index) for index in range(count))


class Range(Rows):
    """`range(start, stop, step)` of which a number is traced."""

    def __init__(self, *bounds: Any) -> None:
        numbers = [_integer(one) for one in bounds]
        start, stop, step = (0, numbers[0], 1) if len(numbers) == 1 else (*numbers, 1)[:3]
        dtype = next(one.type.dtype for one in numbers if isinstance(one, Operand))
        self._start, self._stop, self._step = (as_operand(one, dtype) for one in (start, stop, step))
        self._is_simple = start == 0 and step == 1 if isinstance(start, int) and isinstance(step, int) else False

    @property
    def length(self) -> int | None:
        known = [static_value(one) for one in (self._start, self._stop, self._step)]
        return (
            None if any(one is None for one in known) else len(range(*(int(one) for one in known if one is not None)))
        )

    def count(self) -> Any:
        if self._is_simple:
            return PUBLIC["maximum"](self._stop, 0)
        # The quotient rounded up: floor division rounds down, so both signs are turned.
        return PUBLIC["maximum"](-((self._start - self._stop) // self._step), 0)

    def item(self, index: Any) -> Any:
        number = PUBLIC["cast"](as_operand(index), self._stop.type.dtype)
        return (number if self._is_simple else self._start + number * self._step).as_weak()


def _integer(bound: Any) -> Any:
    if not isinstance(bound, Operand | State):
        return bound.__index__()
    operand = as_operand(bound)
    if operand.type.rank or not operand.type.dtype.is_integer:
        raise DtypeError(f"range() takes integer scalars, but got {operand.type}")
    return operand


class Counted(Range):
    """The rows of the tensor that `gj.range` makes: each number has its dtype."""

    def item(self, index: Any) -> Any:
        number = super().item(index)
        return Symbol(number.value, number.writer, number.location)


class Reversed(Rows):
    """The same items, the last first."""

    def __init__(self, items: Rows) -> None:
        self._items = items

    @property
    def length(self) -> int | None:
        return self._items.length

    def count(self) -> Any:
        return self._items.count()

    def item(self, index: Any) -> Any:
        return self._items.item(_cast_like(self.count(), index) - 1 - index)


class Enumerated(Rows):
    """Pairs of a number and an item."""

    def __init__(self, items: Rows, start: Any) -> None:
        self._items = items
        self._start = start

    @property
    def length(self) -> int | None:
        return self._items.length

    def count(self) -> Any:
        return self._items.count()

    @property
    def is_drawn(self) -> bool:
        return self._items.is_drawn

    def begin(self) -> Any:
        return self._items.begin()

    def has(self, index: Any, known: Any, is_over: Any) -> Any:
        return self._items.has(index, known, is_over)

    def item(self, index: Any) -> Any:
        number = as_operand(index).as_weak() if is_traced(index) else index
        return number + self._start, self._items.item(index)


class Zipped(Rows):
    """Tuples of the items of several, as many as the shortest has."""

    def __init__(self, parts: Sequence[Rows], strict: bool = False) -> None:
        self._parts = parts
        lengths = {one.length for one in parts}
        if strict and len(lengths) > 1:
            raise InvalidArgumentError(f"zip(strict=True): the lengths differ: {[one.length for one in parts]}")

    @property
    def length(self) -> int | None:
        lengths = [one.length for one in self._parts]
        return None if any(one is None for one in lengths) else min(one for one in lengths if one is not None)

    def count(self) -> Any:
        if self.length is not None:
            return self.length
        found, *others = [_int64(one.count()) for one in self._parts]
        for one in others:
            found = PUBLIC["minimum"](found, one)
        return found

    @property
    def is_drawn(self) -> bool:
        return any(one.is_drawn for one in self._parts)

    def begin(self) -> Any:
        return [one.begin() for one in self._parts] if self.is_drawn else self.count()

    def has(self, index: Any, known: Any, is_over: Any) -> Any:
        if not self.is_drawn:
            return index < known
        found = as_operand(True)
        for one, own in zip(self._parts, known, strict=True):
            # as Python's zip, a part is not asked where one before it has ended
            ended = PUBLIC["logical_not"](found)
            found = PUBLIC["logical_and"](found, one.has(index, own, PUBLIC["logical_or"](is_over, ended)))
        return found

    def item(self, index: Any) -> Any:
        return tuple(one.item(index) for one in self._parts)


class Mapped(Rows):
    """What a function makes of the items of several."""

    def __init__(self, function: Callable[..., Any], parts: Sequence[Rows]) -> None:
        self._function = function
        self._items = Zipped(parts)

    @property
    def length(self) -> int | None:
        return self._items.length

    def count(self) -> Any:
        return self._items.count()

    @property
    def is_drawn(self) -> bool:
        return self._items.is_drawn

    def begin(self) -> Any:
        return self._items.begin()

    def has(self, index: Any, known: Any, is_over: Any) -> Any:
        return self._items.has(index, known, is_over)

    def item(self, index: Any) -> Any:
        return self._function(*self._items.item(index))


class Listed(Rows):
    """The items of a Python sequence; by a traced number they are found if they are alike."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = items
        self._stacked: Any = None

    @property
    def length(self) -> int | None:
        return len(self._items)

    def count(self) -> Any:
        return len(self._items)

    def item(self, index: Any) -> Any:
        if not is_traced(index):
            return self._items[index]
        if isinstance(self._items, range):
            return Range(*map(as_operand, (self._items.start, self._items.stop, self._items.step))).item(index)
        return PUBLIC["stack"](list(self._items))[index]

    @property
    def is_alike(self) -> bool:
        """Whether the items can be found by a traced number."""
        if isinstance(self._items, range):
            return all(-(2**31) <= one < 2**31 for one in (self._items.start, self._items.stop))
        if not all(map(is_value, self._items)):
            return False
        return len({_kind(one) for one in self._items}) == 1


def _kind(item: Any) -> type | TensorType:
    return type(item) if is_weak(item) else as_operand(item).type


def _int64(count: Any) -> Any:
    return PUBLIC["cast"](as_operand(count), "int64")


def _cast_like(count: Any, index: Any) -> Any:
    if isinstance(count, int) or not is_traced(index):
        return count
    return PUBLIC["cast"](count, index.dtype)


def rows_of(iterable: Any) -> Rows | None:
    """The items of something traced, None for what Python goes through itself."""
    if isinstance(iterable, Rows):
        return iterable
    if isinstance(iterable, HandedOut):
        return Drawn(iterable) if is_tracing() else None
    if not is_traced(iterable):
        return None
    counted = _counted(iterable)
    return TensorRows(iterable) if counted is None else counted


def _counted(tensor: Any) -> Rows | None:
    """The numbers of `gj.range` where a bound is traced: they are counted, and the tensor is not needed."""
    made = tensor.writer.producer_of(tensor.value) if isinstance(tensor, Symbol) else None
    if made is None or made.op is not range_to_op or not made.output.type.dtype.is_integer:
        return None
    bounds = [Symbol(value, tensor.writer) for value in made.operands]
    known = [static_value(one) for one in bounds]
    return Counted(*(one if number is None else int(number) for one, number in zip(bounds, known, strict=True)))


def listed(iterable: Any) -> Rows:
    """The items of anything: of what is traced, or of a Python iterable, which is used up."""
    found = rows_of(iterable)
    if found is not None:
        return found
    if isinstance(iterable, Operand | State):
        return TensorRows(iterable)
    return Listed(iterable if isinstance(iterable, list | tuple | range) else list(iterable))


__all__: list[str] = []
