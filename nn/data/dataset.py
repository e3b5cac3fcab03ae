"""Datasets: elements one after the other, made by steps that are put together like sentences.

A dataset is a recipe: each iteration starts anew. Elements are structures of tensors.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from graphjit.compiler.operand import Operand, as_operand
from graphjit.compiler.tensortype import TensorShape, TensorSpec
from graphjit.runtime.errors import InvalidArgumentError, LengthError, ShapeError
from graphjit.tracer.compiling import compile as compile_function
from graphjit.tracer.generator import uniform
from graphjit.tracer.state import State
from graphjit.tracer.structure import flatten, unflatten
from graphjit.tracer.tensor import Tensor, constant

Array = np.ndarray[Any, Any]
AUTOTUNE = -1
"""Accepted where a number of elements or calls is to be chosen: one thread reads ahead."""
INFINITE = -1
UNKNOWN = -2


class Dataset:
    """Elements one after the other.

    Made by `from_tensor_slices`, `from_tensors`, `from_generator`, `range` and `zip`; the other methods give new
    datasets. `for element in dataset` starts from the front each time.

    >>> import graphjit as gj
    >>> dataset = gj.data.Dataset.range(5).map(lambda x: x * x).batch(2)
    >>> [one.numpy().tolist() for one in dataset]
    [[0, 1], [4, 9], [16]]
    """

    def __init__(self, start: Callable[[], Iterator[Any]], length: int = UNKNOWN) -> None:
        self._start = start
        self._length = length

    # --- making ---

    @staticmethod
    def from_tensor_slices(tensors: Any) -> Dataset:
        """One element for each row of tensors or arrays, which all have the same number of rows.

        Raises:
          ShapeError: if they have not.
        """
        leaves, structure = flatten(_as_arrays(tensors))
        sizes = {leaf.shape[0] if leaf.ndim else -1 for leaf in leaves}
        if len(sizes) != 1 or -1 in sizes:
            raise ShapeError(f"slices need one number of rows, but there are shapes {[leaf.shape for leaf in leaves]}")
        return _Slices(leaves, structure)

    @staticmethod
    def from_tensors(tensors: Any) -> Dataset:
        """One element: the tensors as a whole."""
        element = _as_tensors(tensors)
        return Dataset(lambda: iter([element]), 1)

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
            return (_fitting(element, wanted) for element in generator(*args))

        return Dataset(start)

    @staticmethod
    def range(*bounds: int, output_type: Any = "int64") -> Dataset:
        """Integers, as Python's range gives them."""
        numbers = range(*bounds)
        return Dataset(lambda: (constant(one, output_type) for one in numbers), len(numbers))

    @staticmethod
    def zip(*datasets: Any) -> Dataset:
        """Tuples of elements of several datasets, as long as each has one."""
        parts = datasets[0] if len(datasets) == 1 and isinstance(datasets[0], tuple | list) else datasets
        return Dataset(lambda: iter(zip(*parts, strict=False)), _shortest([int(one.cardinality()) for one in parts]))

    # --- changing ---

    def map(self, map_func: Callable[..., Any], num_parallel_calls: Any = None, deterministic: Any = None) -> Dataset:
        """A function of each element; it is compiled. A tuple's parts are its arguments."""
        compiled = compile_function(map_func)
        return Dataset(lambda: (_called(compiled, one) for one in self), self._length)

    def filter(self, predicate: Callable[..., Any]) -> Dataset:
        """The elements for which a function, which is compiled, is true."""
        compiled = compile_function(predicate)
        return Dataset(lambda: (one for one in self if bool(_called(compiled, one))))

    def batch(
        self, batch_size: int, drop_remainder: bool = False, num_parallel_calls: Any = None, deterministic: Any = None
    ) -> Dataset:
        """Elements in groups, stacked along a new first axis; the last group may be smaller.

        Raises:
          InvalidArgumentError: if the size is not positive.
        """
        if batch_size < 1:
            raise InvalidArgumentError(f"a batch holds one element or more, not {batch_size}")
        count = self._length
        if count >= 0:
            count = count // batch_size if drop_remainder else -(-count // batch_size)
        return Dataset(lambda: _batches(self, int(batch_size), drop_remainder), count)

    def unbatch(self) -> Dataset:
        """The rows of each element one after the other."""
        return self.flat_map(Dataset.from_tensor_slices)

    def flat_map(self, map_func: Callable[..., Dataset]) -> Dataset:
        """The elements of the datasets that a function makes of the elements."""
        return Dataset(lambda: itertools.chain.from_iterable(_called(map_func, one) for one in self))

    def shuffle(
        self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: bool | None = True
    ) -> Dataset:
        """The elements in random order: each is drawn from the next `buffer_size` ones.

        Without a seed the order follows `gj.random.set_seed`.
        """
        if buffer_size < 1:
            raise InvalidArgumentError(f"the buffer of shuffle holds one element or more, not {buffer_size}")
        draws = _Draws(seed, reshuffle_each_iteration is not False)
        return Dataset(lambda: _shuffled(self, int(buffer_size), draws.next()), self._length)

    def repeat(self, count: int | None = None) -> Dataset:
        """The elements several times; for ever without a number, or with -1."""
        if count is None or count < 0:
            return Dataset(lambda: _for_ever(self), INFINITE if self._length else 0)
        length = self._length * count if self._length >= 0 else self._length
        return Dataset(lambda: (one for _ in range(count) for one in self), length)

    def take(self, count: int) -> Dataset:
        """The first elements; all of them with -1."""
        if count < 0:
            return self
        length = count if self._length == INFINITE else min(count, self._length) if self._length >= 0 else UNKNOWN
        return Dataset(lambda: itertools.islice(iter(self), count), length)

    def skip(self, count: int) -> Dataset:
        """Without the first elements; none with -1."""
        if count < 0:
            return Dataset(lambda: iter(()), 0)
        length = max(self._length - count, 0) if self._length >= 0 else self._length
        return Dataset(lambda: itertools.islice(iter(self), count, None), length)

    def concatenate(self, dataset: Dataset) -> Dataset:
        """The elements of this dataset, then those of another."""
        lengths = (self._length, dataset._length)
        length = INFINITE if INFINITE in lengths else UNKNOWN if UNKNOWN in lengths else sum(lengths)
        return Dataset(lambda: itertools.chain(self, dataset), length)

    def enumerate(self, start: int = 0) -> Dataset:
        """Pairs of a number and an element."""
        return Dataset(lambda: ((constant(n, "int64"), one) for n, one in enumerate(self, start)), self._length)

    def cache(self, filename: str = "") -> Dataset:
        """The elements are kept in memory after the first complete iteration."""
        if filename:
            raise InvalidArgumentError("cache keeps elements in memory; it takes no file name")
        return _Cached(self)

    def prefetch(self, buffer_size: int) -> Dataset:
        """A thread makes the next elements while the last one is worked with."""
        size = 2 if buffer_size is None or buffer_size < 0 else int(buffer_size)
        return Dataset(lambda: _ahead(self, size) if size else iter(self), self._length)

    def apply(self, transformation_func: Callable[[Dataset], Dataset]) -> Dataset:
        """What a function makes of the dataset."""
        return transformation_func(self)

    # --- looking ---

    def cardinality(self) -> Any:
        """The number of elements as a tensor: -1 for no end, -2 where nobody knows."""
        return constant(self._length, "int64")

    @property
    def element_spec(self) -> Any:
        """Specifications of the first element's tensors."""
        for element in self:
            leaves, structure = flatten(element)
            return unflatten(structure, [TensorSpec(leaf.shape, leaf.dtype) for leaf in leaves])
        raise InvalidArgumentError("the dataset has no element")

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements with arrays for tensors."""
        for element in self:
            leaves, structure = flatten(element)
            yield unflatten(structure, [leaf.numpy() for leaf in leaves])

    def reduce(self, initial_state: Any, reduce_func: Callable[[Any, Any], Any]) -> Any:
        """A function of what was gathered so far and the next element, for all elements."""
        compiled = compile_function(reduce_func)
        state = _as_tensors(initial_state)
        for element in self:
            state = compiled(state, element)
        return state

    def __iter__(self) -> Iterator[Any]:
        return (_as_tensors(one) for one in self._start())

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


class _Slices(Dataset):
    """The rows of arrays, which batches take as slices without going through single rows."""

    def __init__(self, leaves: list[Array], structure: Any) -> None:
        super().__init__(self._rows, len(leaves[0]))
        self._leaves, self._structure = leaves, structure

    def _rows(self) -> Iterator[Any]:
        return (self._at(number) for number in range(self._length))

    def _at(self, place: Any) -> Any:
        return unflatten(self._structure, [Tensor(np.asarray(leaf[place])) for leaf in self._leaves])

    def batch(
        self, batch_size: int, drop_remainder: bool = False, num_parallel_calls: Any = None, deterministic: Any = None
    ) -> Dataset:
        """Elements in groups; see `Dataset.batch`."""
        plain = super().batch(batch_size, drop_remainder)
        stop = self._length - self._length % batch_size if drop_remainder else self._length
        starts = range(0, stop, batch_size)
        return Dataset(lambda: (self._at(slice(one, one + batch_size)) for one in starts), plain._length)


class _Cached(Dataset):
    """Keeps its elements after the first complete iteration."""

    def __init__(self, source: Dataset) -> None:
        super().__init__(self._kept, source._length)
        self._source = source
        self._elements: list[Any] | None = None

    def _kept(self) -> Iterator[Any]:
        if self._elements is not None:
            yield from self._elements
            return
        elements = []
        for element in self._source:
            elements.append(element)
            yield element
        self._elements = elements


class _Draws:
    """Random generators for the iterations of one dataset."""

    def __init__(self, seed: int | None, renews: bool) -> None:
        self._seed = seed
        self._renews = renews
        self._iteration = 0

    def next(self) -> np.random.Generator:
        """The generator of the next iteration: another one each time, unless it is not to be renewed."""
        if self._seed is None:
            self._seed = int(np.asarray(uniform([], 0, 2**31 - 1, "int32")))
        number = self._iteration
        self._iteration += 1 if self._renews else 0
        return np.random.default_rng([self._seed, number])


def _as_arrays(value: Any) -> Any:
    """Arrays for tensors, arrays and lists of numbers, in the structure of tuples and dicts."""
    if isinstance(value, tuple):
        return tuple(_as_arrays(one) for one in value)
    if isinstance(value, dict):
        return {name: _as_arrays(one) for name, one in value.items()}
    return _as_tensors_of_list(value)._array


def _as_tensors_of_list(value: Any) -> Tensor:
    operand: Any = value.read_value() if isinstance(value, State) else as_operand(value)
    return operand if isinstance(operand, Tensor) else constant(operand)


def _as_tensors(value: Any) -> Any:
    if isinstance(value, Operand | Dataset):
        return value
    if isinstance(value, tuple):
        return tuple(_as_tensors(one) for one in value)
    if isinstance(value, dict):
        return {name: _as_tensors(one) for name, one in value.items()}
    return _as_tensors_of_list(value)


def _fitting(element: Any, wanted: Any) -> Any:
    """An element of a generator as tensors of the wanted dtypes and shapes.

    Raises:
      ShapeError: if a shape does not fit.
    """
    if wanted is None:
        return _as_tensors(element)
    specs, structure = flatten(wanted)
    leaves = list(element) if isinstance(element, tuple) and isinstance(wanted, tuple) else flatten(element)[0]
    if len(specs) == 1:
        leaves = [element[0] if isinstance(element, tuple) and isinstance(wanted, tuple) else element]
    if len(leaves) != len(specs):
        raise InvalidArgumentError(f"the generator gave {len(leaves)} parts, but {len(specs)} were announced")
    tensors = [constant(leaf, spec.dtype) for leaf, spec in zip(leaves, specs, strict=True)]
    for tensor, spec in zip(tensors, specs, strict=True):
        if not TensorShape(spec.shape).is_compatible_with(tensor.shape):
            raise ShapeError(f"the generator gave shape {tensor.shape}, but {spec.shape} was announced")
    return unflatten(structure, tensors)


def _called(function: Callable[..., Any], element: Any) -> Any:
    return function(*element) if isinstance(element, tuple) else function(element)


def _stacked(elements: list[Any]) -> Any:
    parts = [flatten(element) for element in elements]
    leaves = [[np.asarray(leaf) for leaf in one] for one, _ in parts]
    columns = list(zip(*leaves, strict=True))
    for column in columns:
        shapes = {one.shape for one in column}
        if len(shapes) > 1:
            raise ShapeError(f"elements of shapes {sorted(shapes)} cannot be stacked into a batch")
    return unflatten(parts[0][1], [Tensor(np.stack(column)) for column in columns])


def _batches(source: Dataset, size: int, drop_remainder: bool) -> Iterator[Any]:
    elements = iter(source)
    while group := list(itertools.islice(elements, size)):
        if len(group) == size or not drop_remainder:
            yield _stacked(group)


def _shuffled(source: Dataset, size: int, random: np.random.Generator) -> Iterator[Any]:
    kept: list[Any] = []
    for element in source:
        if len(kept) < size:
            kept.append(element)
            continue
        place = int(random.integers(size))
        yield kept[place]
        kept[place] = element
    random.shuffle(kept)
    yield from kept


def _for_ever(source: Dataset) -> Iterator[Any]:
    while True:
        count = 0
        for element in source:
            count += 1
            yield element
        if not count:
            return


_END = object()


def _ahead(source: Dataset, size: int) -> Iterator[Any]:
    """Elements that a thread makes ahead; its errors are raised here, and it ends when nobody asks any more."""
    waiting: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(size)
    stopped = threading.Event()

    def put(item: tuple[Any, BaseException | None]) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for element in source:
                if not put((element, None)):
                    return
            put((_END, None))
        except BaseException as error:  # noqa: BLE001 -- raised again in the thread that iterates
            put((_END, error))

    threading.Thread(target=work, daemon=True, name="graphjit-prefetch").start()
    try:
        while True:
            element, error = waiting.get()
            if error is not None:
                raise error
            if element is _END:
                return
            yield element
    finally:
        stopped.set()


def _shortest(lengths: list[int]) -> int:
    known = [one for one in lengths if one != INFINITE]
    if not known:
        return INFINITE
    return UNKNOWN if UNKNOWN in known else min(known)


__all__ = ["AUTOTUNE", "Dataset"]
