"""Batches for training: slices of arrays, or what a dataset, a generator or another iterable gives."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.compiler.operand import Operand
from graphjit.runtime.errors import InvalidArgumentError, ShapeError
from graphjit.tracer.state import State
from graphjit.tracer.structure import flatten, unflatten

from ..precision import floatx

Array = np.ndarray[Any, Any]


def is_arrays(x: Any) -> bool:
    """Whether it is data with a known length rather than something to iterate over."""
    if isinstance(x, np.ndarray | Operand | State) or hasattr(x, "__array__"):
        return True
    if isinstance(x, Mapping):
        return bool(x)
    return isinstance(x, list | tuple) and bool(x)


def _is_numbers(value: Any) -> bool:
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, bool | int | float | np.generic)


def as_arrays(value: Any) -> Any:
    """Arrays for arrays, tensors, data frames and lists of numbers, in their structure; floats of `floatx()`."""
    if value is None:
        return None
    if isinstance(value, list | tuple) and not _is_numbers(value):
        return type(value)(as_arrays(one) for one in value)
    if isinstance(value, Mapping) and not hasattr(value, "__array__"):
        return {name: as_arrays(one) for name, one in value.items()}
    array = np.asarray(value)
    if array.dtype.kind in "OSUT":
        kind = "objects" if array.dtype == object else "texts"
        raise InvalidArgumentError(f"the data are no numbers: {kind} were given ({type(value).__name__})")
    return array.astype(floatx()) if array.dtype.kind == "f" and array.dtype != floatx() else array


class ArrayBatches:
    """Batches of arrays.

    Args:
      parts: a tuple of structures of arrays, all of one length: inputs, and maybe targets and weights.
      batch_size: of all batches but the last.
      shuffle: whether each pass has another order; it is drawn from `random`.
    """

    def __init__(self, parts: tuple[Any, ...], batch_size: int, shuffle: bool = False, seed: Any = None) -> None:
        self._leaves, self._structure = flatten(parts)
        self.length = _common_length(self._leaves)
        if batch_size < 1:
            raise InvalidArgumentError(f"a batch holds one example or more, not {batch_size}")
        self.batch_size = int(batch_size)
        self._order = np.random.default_rng(seed) if shuffle else None
        self._is_flat = all(isinstance(one, np.ndarray) for one in parts)

    def __len__(self) -> int:
        return -(-self.length // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        if self._order is None:
            return self._slices()
        return self._picked(self._order.permutation(self.length))

    def _slices(self) -> Iterator[tuple[Any, ...]]:
        for start in range(0, self.length, self.batch_size):
            yield self._put_together([leaf[start : start + self.batch_size] for leaf in self._leaves])

    def _picked(self, order: Array) -> Iterator[tuple[Any, ...]]:
        for start in range(0, self.length, self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield self._put_together([leaf.take(chosen, axis=0) for leaf in self._leaves])

    def _put_together(self, leaves: list[Array]) -> tuple[Any, ...]:
        if self._is_flat:
            return tuple(leaves)
        parts: tuple[Any, ...] = unflatten(self._structure, leaves)
        return parts


def _common_length(leaves: Sequence[Array]) -> int:
    lengths = {len(leaf) if leaf.ndim else -1 for leaf in leaves}
    if not lengths or lengths == {0}:
        raise InvalidArgumentError("there are no examples in the data")
    if len(lengths) > 1 or -1 in lengths:
        raise ShapeError(
            f"inputs, targets and weights have one example in each row, but their shapes are "
            f"{', '.join(str(leaf.shape) for leaf in leaves)}"
        )
    return lengths.pop()


class IteratedBatches:
    """Batches that an iterable gives, such as a dataset or a generator: (inputs,), (inputs, targets) or with weights.

    Args:
      source: a generator is gone through once in all; anything else is asked for a new iterator for each pass.
      steps: how many batches make a pass; by default all.
    """

    def __init__(self, source: Any, steps: int | None = None, class_weight: Mapping[int, float] | None = None) -> None:
        self._source = source
        self._steps = steps
        self._class_weight = class_weight
        self._rest: Iterator[Any] | None = iter(source) if isinstance(source, Iterator) else None
        self._known = steps

    def __len__(self) -> int:
        if self._known is None:
            cardinality = getattr(self._source, "cardinality", None)
            length = int(cardinality()) if callable(cardinality) else _length_of(self._source)
            self._known = length if length >= 0 else None
        return -1 if self._known is None else self._known

    def __length_hint__(self) -> int:
        return max(self.count(), 0)

    def count(self) -> int:
        """How many batches there are, -1 where nobody knows."""
        return self.__len__()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        source = self._rest
        if source is None or self._steps is None:
            source = iter(self._source)
        if self._steps is not None:
            self._rest = source
            source = itertools.islice(source, self._steps)
        count = 0
        for batch in source:
            count += 1
            yield self._parts(batch)
        if self._steps is None:
            self._known = count

    def _parts(self, batch: Any) -> tuple[Any, ...]:
        parts = tuple(batch) if isinstance(batch, tuple) else (batch,)
        if len(parts) > 3:
            raise InvalidArgumentError(
                f"a batch is (inputs,), (inputs, targets) or (inputs, targets, weights), not a tuple of {len(parts)}"
            )
        ready = tuple(_ready(part) for part in parts)
        _require_rows(ready)
        if self._class_weight is not None:
            ready = with_class_weights(ready, self._class_weight)
        return ready


def _require_rows(parts: tuple[Any, ...]) -> None:
    """Refuse what is one example and no batch of them."""
    shapes = [tuple(leaf.shape) for leaf in flatten(parts)[0] if hasattr(leaf, "shape")]
    if () in shapes:
        raise ShapeError(
            f"a batch has one example in each row, but parts of shapes {', '.join(map(str, shapes))} were given; a "
            "dataset of single examples becomes one of batches by dataset.batch(32)"
        )


def _length_of(source: Any) -> int:
    try:
        return len(source)
    except TypeError:
        return -1


def _ready(part: Any) -> Any:
    """A part of a batch as the compiled step takes it: tensors as they are, everything else as arrays."""
    if part is None or isinstance(part, Operand | State):
        return part
    leaves, structure = flatten(part) if isinstance(part, tuple | Mapping) else ([part], None)
    ready = [leaf if isinstance(leaf, Operand) else as_arrays(leaf) for leaf in leaves]
    return ready[0] if structure is None else unflatten(structure, ready)


def with_class_weights(parts: tuple[Any, ...], class_weight: Mapping[int, float]) -> tuple[Any, ...]:
    """The same with weights by the classes of the targets, times those that there were.

    Raises:
      InvalidArgumentError: if a class has no weight, or there are no targets.
    """
    if len(parts) < 2:
        raise InvalidArgumentError("class_weight needs targets")
    labels = np.asarray(parts[1])
    if labels.ndim > 1:
        labels = labels.argmax(-1) if labels.shape[-1] > 1 else labels[..., 0]
    classes = labels.astype(np.int64)
    missing = set(np.unique(classes).tolist()) - set(class_weight)
    if missing:
        raise InvalidArgumentError(f"class_weight has no weight for the classes {sorted(missing)}")
    table = np.zeros(int(classes.max(initial=0)) + 1, floatx())
    for number, weight in class_weight.items():
        if number < len(table):
            table[number] = weight
    weights = table[classes]
    return (*parts[:2], weights if len(parts) < 3 or parts[2] is None else weights * np.asarray(parts[2]))


def split_off(parts: tuple[Any, ...], part: float) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The first examples, and the last ones, which make up that part of all.

    Raises:
      InvalidArgumentError: if one of the two is empty.
    """
    leaves, structure = flatten(parts)
    length = _common_length(leaves)
    first = int(np.floor(length * (1.0 - part)))
    if not 0 < first < length:
        raise InvalidArgumentError(f"validation_split={part} of {length} examples leaves nothing on one side")
    return (
        unflatten(structure, [leaf[:first] for leaf in leaves]),
        unflatten(structure, [leaf[first:] for leaf in leaves]),
    )


def make_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool = False,
    class_weight: Mapping[int, float] | None = None,
    seed: Any = None,
) -> ArrayBatches | IteratedBatches:
    """The batches that arguments of `fit`, `evaluate` or `predict` stand for."""
    if not is_arrays(x):
        if y is not None or sample_weight is not None:
            raise InvalidArgumentError(f"y and sample_weight come from x itself where x is a {type(x).__name__}")
        if not isinstance(x, Iterable) and not hasattr(x, "__getitem__"):
            raise InvalidArgumentError(
                f"x is an object of class {type(x).__name__}, which holds no data and gives no batches; hand over "
                "arrays, tensors, or something to iterate over, such as a gj.data.Dataset"
            )
        return IteratedBatches(x, steps, class_weight)
    parts = array_parts(x, y, sample_weight, class_weight)
    return ArrayBatches(parts, batch_size or 32, shuffle, seed)


def array_parts(x: Any, y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None = None) -> tuple[Any, ...]:
    """Inputs, targets and weights as arrays, as far as they are there."""
    parts: tuple[Any, ...] = (as_arrays(x), as_arrays(y), as_arrays(sample_weight))
    if class_weight is not None:
        parts = with_class_weights(parts, class_weight)
    while parts[-1] is None:
        parts = parts[:-1]
    return parts


def three_parts(data: Any) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of a batch, None for what is not there."""
    if not isinstance(data, tuple):
        return data, None, None
    x, y, weights = (*data, None, None, None)[:3]
    return x, y, weights


__all__: list[str] = []
