"""Lists that grow by as many items in each round of a loop in the graph: they are carried as tensors.

out = []
for x in rows:           # 100 rows, say: a loop in the graph
    out.append(x * x)
return gj.stack(out)     # the tensor that the loop filled
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphjit.compiler.dispatch import apply
from graphjit.compiler.operand import PUBLIC, Operand, ReadsAsOperand, as_operand
from graphjit.compiler.ops.dynamicslices import dynamic_update_slice_op
from graphjit.compiler.tensortype import DType
from graphjit.runtime.errors import InvalidArgumentError, TraceError

from ...agreement import is_value
from ...structure import flatten, unflatten

_ADVICE = "use gj.TensorArray: `array = array.write(i, value)` in the loop, `array.stack()` behind it"


class Growing:
    """What a loop carries for a list.

    Attributes:
      prefix: the items that the list had before.
    """

    def __init__(self, prefix: list[Any], items: Sequence[Any], name: str, most: int) -> None:
        self.prefix = prefix
        self._name = name
        self._each = len(items)
        self._rows = most * len(items)
        leaves, self._structure = flatten(items[0])
        self._types = [as_operand(one).type for one in leaves]

    def initial(self) -> Any:
        """What is carried into the first round: how many items there are, and room for all."""
        rooms = [PUBLIC["zeros"]((self._rows, *type.shape), type.dtype) for type in self._types]
        return as_operand(0), rooms

    def inside(self, carried: Any) -> list[Any]:
        """What the list holds while a round is traced."""
        self._carried = carried
        return [_Hidden(self._name)]

    def carried_after(self, after: list[Any]) -> Any:
        """What is carried on when a round has added its items."""
        count, rooms = self._carried
        items = after[1:] if after and isinstance(after[0], _Hidden) else None
        if items is None or len(items) != self._each:
            raise InvalidArgumentError(
                f"a {self._name} does not grow by the same number of items in each round of a loop whose "
                f"rounds are only known when the function runs; {_ADVICE}"
            )
        for item in items:
            leaves, structure = flatten(item)
            if structure != self._structure:
                raise InvalidArgumentError(f"the items that a loop appends to a {self._name} are not alike; {_ADVICE}")
            rooms = [
                _written(room, count, as_operand(leaf, type.dtype))
                for room, leaf, type in zip(rooms, leaves, self._types, strict=True)
            ]
            count = count + 1
        return count, rooms

    def final(self, carried: Any) -> list[Any]:
        """What the list holds behind the loop, of which every round was run."""
        _, rooms = carried
        run = _Run(rooms, self._structure)
        return [*self.prefix, *(run.item(place) for place in range(self._rows))]


def _written(room: Any, count: Any, item: Operand) -> Any:
    begin = PUBLIC["stack"]([count] + [as_operand(0)] * item.type.rank)
    return apply(dynamic_update_slice_op, room, PUBLIC["expand_dims"](item, 0), begin)


def appended(before: list[Any], after: list[Any], name: str) -> list[Any]:
    """The items that one round appended to a list.

    Raises:
      InvalidArgumentError: if it did something else as well.
    """
    if any(one is not other for one, other in zip(before, after, strict=False)):
        raise InvalidArgumentError(f"a loop changes the {name} by more than appending items; {_ADVICE}")
    return after[len(before) :]


def grown(before: list[Any], items: list[Any], name: str, most: int | None) -> Growing:
    """How a list is carried to which each round appends such items.

    Raises:
      InvalidArgumentError: if that is not possible; the message says what to use instead.
    """
    if most is None:
        raise InvalidArgumentError(
            f"a {name} grows in a loop of which nobody knows how many rounds it has before it runs; {_ADVICE}"
        )
    structures = [flatten(one) for one in items]
    if any(structure != structures[0][1] for _, structure in structures):
        raise InvalidArgumentError(f"the items that a loop appends to a {name} are not alike; {_ADVICE}")
    if not all(is_value(leaf) for leaves, _ in structures for leaf in leaves):
        raise InvalidArgumentError(f"what a loop appends to a {name} is no tensor; {_ADVICE}")
    return Growing(list(before), items, name, most)


class _Hidden:
    """Stands in a list for the items that earlier rounds appended."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise self._refused()

    def _refused(self) -> TraceError:
        return TraceError(
            f"a {self._name} grows in a loop of the graph, where its items cannot be read; carry the last one "
            f"in a variable, or {_ADVICE}"
        )


def _refuse(name: str) -> Any:
    def method(self: Any, *others: Any) -> Any:
        raise self._refused()

    method.__name__ = name
    return method


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "neg", "matmul", "rmatmul",
              "lt", "le", "gt", "ge", "getitem", "len", "iter", "bool", "array"):  # fmt: skip
    setattr(_Hidden, f"__{_name}__", _refuse(f"__{_name}__"))


class _Run:
    """The items that one loop appended, as tensors of rows."""

    def __init__(self, rooms: Sequence[Any], structure: Any) -> None:
        self.rooms = rooms
        self.structure = structure

    @property
    def length(self) -> int:
        """How many items there are."""
        return int(self.rooms[0].type.shape[0])

    def item(self, place: int) -> Any:
        """One item; a plain tensor is taken out of the rows only where it is used."""
        if self.structure.is_leaf():
            return Row(self, place)
        return unflatten(self.structure, [room[place] for room in self.rooms])


class Row(ReadsAsOperand):
    """An item of a list that a loop filled."""

    def __init__(self, run: _Run, place: int) -> None:
        self.run = run
        self.place = place
        self._read: Any = None

    @property
    def dtype(self) -> DType:
        """The element type."""
        found: DType = self.run.rooms[0].type.dtype
        return found

    def read_value(self) -> Any:
        """The item, as an operand."""
        if self._read is None or self._read.writer.closed:
            self._read = self.run.rooms[0][self.place]
        return self._read

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.read_value(), name)


def stacked_whole(values: Any) -> Any:
    """The tensor of which a list holds all rows in order; None if it is no such list."""
    if not isinstance(values, list | tuple) or not values or not all(isinstance(one, Row) for one in values):
        return None
    run = values[0].run
    whole = len(values) == run.length and all(one.run is run and one.place == place for place, one in enumerate(values))
    return run.rooms[0] if whole else None


__all__: list[str] = []
