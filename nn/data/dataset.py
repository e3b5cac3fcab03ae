"""Datasets: elements one after the other, made by steps that are put together like sentences.

A dataset is a recipe: each iteration starts anew. Elements are structures of tensors. A loop over a dataset in a
compiled function is a loop in its graph, for which Python hands out the elements of each call.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.compiler.tensortype import TensorShape, TensorSpec
from graphjit.runtime.errors import InvalidArgumentError, LengthError, ShapeError, TraceError
from graphjit.tracer.compiling import compile as compile_function
from graphjit.tracer.handing import HandedOut
from graphjit.tracer.lifting import init_scope
from graphjit.tracer.structure import flatten, unflatten
from graphjit.tracer.subtrace import is_tracing
from graphjit.tracer.taking import Taking
from graphjit.tracer.tensor import constant

from .elements import (
    as_arrays,
    as_tensors,
    called,
    either,
    fitting,
    is_announced,
    spec_of,
    stacked,
    with_rows,
    without_rows,
)
from .orders import Draws, Orders, running_orders, shuffled
from .readahead import ahead
from .slices import Slices

AUTOTUNE = -1
"""Accepted where a number of elements or calls is to be chosen: one thread reads ahead."""
INFINITE = -1
UNKNOWN = -2


class Dataset(HandedOut):
    """Elements one after the other.

    Made by `from_tensor_slices`, `from_tensors`, `from_generator`, `range` and `zip`; the other methods give new
    datasets. `for element in dataset` starts from the front each time.

    >>> import graphjit as gj
    >>> dataset = gj.data.Dataset.range(5).map(lambda x: x * x).batch(2)
    >>> [one.numpy().tolist() for one in dataset]
    [[0, 1], [4, 9], [16]]
    """

    def __init__(
        self,
        start: Callable[[], Iterator[Any]],
        length: int = UNKNOWN,
        spec: Callable[[], Any] | None = None,
        slices: Slices | None = None,
    ) -> None:
        self._start = start
        self._length = length
        self._spec = spec
        self._slices = slices
        self._runs: Callable[[], list[tuple[int | None, Any]]] | None = None

    # --- making ---

    @staticmethod
    def from_tensor_slices(tensors: Any) -> Dataset:
        """One element for each row of tensors or arrays, which all have the same number of rows.

        Raises:
          ShapeError: if they have not.
        """
        leaves, structure = flatten(as_arrays(tensors))
        sizes = {leaf.shape[0] if leaf.ndim else -1 for leaf in leaves}
        if len(sizes) != 1 or -1 in sizes:
            raise ShapeError(f"slices need one number of rows, but there are shapes {[leaf.shape for leaf in leaves]}")
        return _of_slices(Slices(leaves, structure), lambda: without_rows(spec_of(unflatten(structure, leaves))))

    @staticmethod
    def from_tensors(tensors: Any) -> Dataset:
        """One element: the tensors as a whole."""
        element = as_tensors(tensors)
        return Dataset(lambda: iter([element]), 1, lambda: spec_of(element))

    @staticmethod
    def from_generator(
        generator: Callable[..., Iterable[Any]],
        output_types: Any = None,
        output_shapes: Any = None,
        args: Sequence[Any] = (),
        output_signature: Any = None,
        name: str | None = None,
    ) -> Dataset:
        """What a function's iterator gives; it is called for each iteration.

        Args:
          generator: a function that returns something to iterate over.
          output_signature: specifications of an element's tensors, which are checked and converted to.
          output_types: the same as dtypes.
          args: arguments of the function.
        """
        wanted = output_signature
        if wanted is None and output_types is not None:
            dtypes, structure = flatten(output_types)
            wanted = unflatten(structure, [TensorSpec(TensorShape(None), dtype) for dtype in dtypes])

        def start() -> Iterator[Any]:
            return (fitting(element, wanted) for element in generator(*args))

        return Dataset(start, UNKNOWN, (lambda: wanted) if is_announced(wanted) else None)

    @staticmethod
    def range(*bounds: int, output_type: Any = "int64") -> Dataset:
        """Integers, as Python's range gives them."""
        numbers = range(*bounds)
        spec = TensorSpec([], output_type)
        return Dataset(lambda: (constant(one, output_type) for one in numbers), len(numbers), lambda: spec)

    @staticmethod
    def zip(*datasets: Any) -> Dataset:
        """Tuples of elements of several datasets, as long as each has one."""
        parts = datasets[0] if len(datasets) == 1 and isinstance(datasets[0], tuple | list) else datasets
        for one in parts:
            _require_dataset(one, "zip")
        return Dataset(
            lambda: iter(zip(*parts, strict=False)),
            _shortest([one._length for one in parts]),
            lambda: tuple(one.element_spec for one in parts),
        )

    # --- changing ---

    def map(self, map_func: Callable[..., Any], num_parallel_calls: Any = None, deterministic: Any = None) -> Dataset:
        """A function of each element; it is compiled. A tuple's parts are its arguments."""
        compiled = compile_function(map_func)
        return Dataset(lambda: (called(compiled, one) for one in self), self._length)

    def filter(self, predicate: Callable[..., Any]) -> Dataset:
        """The elements for which a function, which is compiled, is true."""
        compiled = compile_function(predicate)
        return self._alike(lambda: (one for one in self if bool(called(compiled, one))), UNKNOWN)

    def batch(
        self, batch_size: int, drop_remainder: bool = False, num_parallel_calls: Any = None, deterministic: Any = None
    ) -> Dataset:
        """Elements in groups, stacked along a new first axis; the last group may be smaller.

        Raises:
          InvalidArgumentError: if the size is not positive.
        """
        if batch_size < 1:
            raise InvalidArgumentError(f"a batch holds one element or more, not {batch_size}")
        size, count = int(batch_size), self._length
        is_even = drop_remainder or count == INFINITE or (count >= 0 and count % size == 0)
        if count >= 0:
            count = count // size if drop_remainder else -(-count // size)
        slices = self._slices
        made = Dataset(
            lambda: _batches(self, size, drop_remainder) if slices is None else slices.batches(size, drop_remainder),
            count,
            lambda: with_rows(self.element_spec, size if is_even else None),
        )
        if self._length > size and not is_even:
            full, rest = divmod(self._length, size)
            made._runs = lambda: [
                (full, with_rows(self.element_spec, size)),
                (None, with_rows(self.element_spec, rest)),
            ]
        return made

    def unbatch(self) -> Dataset:
        """The rows of each element one after the other."""
        found = self.flat_map(_rows_of_element)
        found._spec = lambda: without_rows(self.element_spec)
        return found

    def flat_map(self, map_func: Callable[..., Dataset]) -> Dataset:
        """The elements of the datasets that a function makes of the elements."""
        return Dataset(lambda: itertools.chain.from_iterable(called(map_func, one) for one in self))

    def interleave(
        self, map_func: Callable[..., Dataset], cycle_length: int = 2, block_length: int = 1, **_: Any
    ) -> Dataset:
        """The elements of the datasets that a function makes of the elements, in turns.

        Args:
          map_func: makes a dataset of an element.
          cycle_length: how many of these datasets take turns.
          block_length: how many elements each turn has.

        >>> import graphjit as gj
        >>> dataset = gj.data.Dataset.range(1, 4).interleave(lambda x: gj.data.Dataset.from_tensors(x).repeat(2))
        >>> [int(one) for one in dataset]
        [1, 2, 1, 2, 3, 3]
        """
        if cycle_length < 1 or block_length < 1:
            raise InvalidArgumentError("interleave: cycle_length and block_length are 1 or more")
        return Dataset(lambda: _in_turns((called(map_func, one) for one in self), cycle_length, block_length))

    def shuffle(
        self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: bool | None = True
    ) -> Dataset:
        """The elements in random order: each is drawn from the next `buffer_size` ones.

        Without a seed the order follows `gj.random.set_seed`.
        """
        if buffer_size < 1:
            raise InvalidArgumentError(f"the buffer of shuffle holds one element or more, not {buffer_size}")
        draws, size = Draws(seed, reshuffle_each_iteration is not False), int(buffer_size)
        if self._slices is not None:
            return _of_slices(self._slices.shuffled(size, draws), lambda: self.element_spec)
        return self._alike(lambda: shuffled(self, size, draws.next()), self._length)

    def repeat(self, count: int | None = None) -> Dataset:
        """The elements several times; for ever without a number, or with -1."""
        if count is None or count < 0:
            return self._alike(lambda: _for_ever(self), INFINITE if self._length else 0)
        length = self._length * count if self._length >= 0 else self._length
        return self._alike(lambda: (one for _ in range(count) for one in self), length)

    def take(self, count: int) -> Dataset:
        """The first elements; all of them with -1."""
        if count < 0:
            return self
        length = count if self._length == INFINITE else min(count, self._length) if self._length >= 0 else UNKNOWN
        return self._alike(lambda: itertools.islice(iter(self), count), length)

    def skip(self, count: int) -> Dataset:
        """Without the first elements; none with -1."""
        if count < 0:
            return self._alike(lambda: iter(()), 0)
        length = max(self._length - count, 0) if self._length >= 0 else self._length
        return self._alike(lambda: itertools.islice(iter(self), count, None), length)

    def concatenate(self, dataset: Dataset) -> Dataset:
        """The elements of this dataset, then those of another."""
        _require_dataset(dataset, "concatenate")
        lengths = (self._length, dataset._length)
        length = INFINITE if INFINITE in lengths else UNKNOWN if UNKNOWN in lengths else sum(lengths)
        return Dataset(
            lambda: itertools.chain(self, dataset), length, lambda: either(self.element_spec, dataset.element_spec)
        )

    def enumerate(self, start: int = 0) -> Dataset:
        """Pairs of a number and an element."""
        return Dataset(
            lambda: ((constant(n, "int64"), one) for n, one in enumerate(self, start)),
            self._length,
            lambda: (TensorSpec([], "int64"), self.element_spec),
        )

    def cache(self, filename: str = "") -> Dataset:
        """The elements are kept in memory after the first complete iteration."""
        if filename:
            raise InvalidArgumentError("cache keeps elements in memory; it takes no file name")
        return self._alike(_Cache(self).elements, self._length)

    def prefetch(self, buffer_size: int) -> Dataset:
        """A thread makes the next elements while the last one is worked with."""
        size = 2 if buffer_size is None or buffer_size < 0 else int(buffer_size)
        found = self._alike(lambda: ahead(self, size) if size else iter(self), self._length)
        found._runs = self._runs
        return found

    def apply(self, transformation_func: Callable[[Dataset], Dataset]) -> Dataset:
        """What a function makes of the dataset."""
        return transformation_func(self)

    # --- looking ---

    def cardinality(self) -> Any:
        """The number of elements as a tensor: -1 for no end, -2 where nobody knows."""
        return constant(self._length, "int64")

    @property
    def element_spec(self) -> Any:
        """Specifications of an element's tensors; a size that differs between elements is None.

        Where nothing else says it, they are those of the first element, which is made for that.

        Raises:
          InvalidArgumentError: if there is none.
        """
        if self._spec is None:
            found = self._spec_of_first()
            self._spec = lambda: found
        return self._spec()

    def runs(self) -> list[tuple[int | None, Any]]:
        """Runs of elements of equal sizes: full batches, then a smaller one."""
        return [(None, self.element_spec)] if self._runs is None else self._runs()

    def _spec_of_first(self) -> Any:
        with init_scope():
            for element in self:
                return spec_of(element)
        raise InvalidArgumentError("the dataset has no element")

    def _alike(self, start: Callable[[], Iterator[Any]], length: int) -> Dataset:
        """A dataset of the same kind of elements."""
        return Dataset(start, length, lambda: self.element_spec)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements with arrays for tensors."""
        for element in self:
            leaves, structure = flatten(element)
            yield unflatten(structure, [leaf.numpy() for leaf in leaves])

    def reduce(self, initial_state: Any, reduce_func: Callable[[Any, Any], Any]) -> Any:
        """A function of what was gathered so far and the next element, for all elements."""
        compiled = compile_function(reduce_func)
        state = as_tensors(initial_state)
        for element in self:
            state = compiled(state, element)
        return state

    def __iter__(self) -> Iterator[Any]:
        return self._written_out() if is_tracing() else DatasetIterator(self)

    def _written_out(self) -> Iterator[Any]:
        """The elements of each call of the function that is traced, where no `for` loop asks for them."""
        count, taking = len(self), Taking(self)
        taking.begin()
        return (taking.next() for _ in range(count))

    def __len__(self) -> int:
        if self._length < 0:
            raise LengthError(
                "the dataset has no end" if self._length == INFINITE else "nobody knows how long the dataset is"
            )
        return self._length

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        shown = {INFINITE: "without end", UNKNOWN: "of unknown length"}.get(self._length, f"of {self._length}")
        return f"<gj.data.Dataset {shown}>"


class DatasetIterator(HandedOut):
    """One way through a dataset. In a compiled function each call goes on where the last one stopped.

    >>> import graphjit as gj
    >>> numbers = iter(gj.data.Dataset.range(10))
    >>> double = gj.compile(lambda numbers: 2 * next(numbers))
    >>> [int(double(numbers)) for _ in range(3)]
    [0, 2, 4]
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._elements: Iterator[Any] | None = None
        self._orders = Orders()
        self._count = 0

    @property
    def element_spec(self) -> Any:
        """Specifications of an element's tensors; see `Dataset.element_spec`."""
        return self._dataset.element_spec

    def __iter__(self) -> DatasetIterator:
        if is_tracing():
            raise TraceError(
                "how many elements an iterator has left is only known when the function runs, so they cannot be "
                "listed; go through them in a `for` loop"
            )
        return self

    def __next__(self) -> Any:
        if is_tracing():
            return self._traced()
        if running_orders.get() is not None:
            return self._advance()
        token = running_orders.set(self._orders)
        try:
            return self._advance()
        finally:
            running_orders.reset(token)

    def _advance(self) -> Any:
        if self._elements is None:
            self._elements = self._dataset._start()
        element = as_tensors(next(self._elements))
        self._count += 1
        return element

    def state_to_save(self) -> dict[str, Any]:
        """How many elements were given, and in which random orders, for checkpoints."""
        orders = np.array(self._orders.made, np.uint64).reshape(-1, 2)
        return {"count": np.array(self._count, np.int64), "orders": orders}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Go on behind where another iterator of an equal dataset was: its elements are made again, and skipped.

        Raises:
          InvalidArgumentError: if this is no such state, or the dataset has fewer elements.
        """
        count, orders = state.get("count"), state.get("orders")
        if count is None or orders is None or count.shape != () or orders.ndim != 2 or orders.shape[1] != 2:
            raise InvalidArgumentError("these arrays are not the state of a dataset's iterator")
        self._elements, self._count = None, 0
        self._orders = Orders((int(seed), int(number)) for seed, number in orders)
        for number in range(int(count)):
            if next(self, None) is None:
                raise InvalidArgumentError(
                    f"the iterator had given {int(count)} elements, but the dataset ends after {number}"
                )

    def _traced(self) -> Any:
        """The next element of each call of the function that is traced."""
        taking = Taking(self)
        taking.begin()
        return taking.next()


class _Cache:
    """Keeps a dataset's elements after the first complete iteration."""

    def __init__(self, source: Dataset) -> None:
        self._source = source
        self._kept: list[Any] | None = None

    def elements(self) -> Iterator[Any]:
        if self._kept is not None:
            yield from self._kept
            return
        kept = []
        for element in self._source:
            kept.append(element)
            yield element
        self._kept = kept


def _of_slices(slices: Slices, spec: Callable[[], Any]) -> Dataset:
    return Dataset(slices.rows, slices.length, spec, slices)


def _rows_of_element(*parts: Any) -> Dataset:
    return Dataset.from_tensor_slices(parts[0] if len(parts) == 1 else parts)


def _require_dataset(value: Any, what: str) -> None:
    if not isinstance(value, Dataset):
        raise InvalidArgumentError(
            f"{what} takes datasets, not {type(value).__name__}; make one with gj.data.Dataset.from_tensor_slices"
        )


def _batches(source: Dataset, size: int, drop_remainder: bool) -> Iterator[Any]:
    elements = iter(source)
    while group := list(itertools.islice(elements, size)):
        if len(group) == size or not drop_remainder:
            yield stacked(group)


def _in_turns(datasets: Iterator[Dataset], many: int, block: int) -> Iterator[Any]:
    """Blocks of elements of `many` datasets at a time; one that has ended makes room for the next."""
    waiting = [iter(one) for one in itertools.islice(datasets, many)]
    while waiting:
        for place, elements in enumerate(list(waiting)):
            found = list(itertools.islice(elements, block))
            yield from found
            if len(found) < block:
                following = next(datasets, None)
                waiting[place] = _NOBODY if following is None else iter(following)
        waiting = [one for one in waiting if one is not _NOBODY]


_NOBODY: Any = iter(())


def _for_ever(source: Dataset) -> Iterator[Any]:
    while True:
        count = 0
        for element in source:
            count += 1
            yield element
        if not count:
            return


def _shortest(lengths: list[int]) -> int:
    known = [one for one in lengths if one != INFINITE]
    if not known:
        return INFINITE
    return UNKNOWN if UNKNOWN in known else min(known)


__all__ = ["AUTOTUNE", "Dataset"]
