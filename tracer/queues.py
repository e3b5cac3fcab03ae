"""Queues of tensors that several threads fill and empty, in eager mode and from compiled functions.

In a compiled function each use of a queue is an effect: it happens each time that the function runs, in program
order, and stays done if the function fails later.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.compiler.dispatch import apply_all
from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.callbacks import Callback, python_call_op
from graphjit.compiler.ops.sizes import static_integer
from graphjit.compiler.tensortype import DType, TensorShape, TensorType, as_dtype, bool_, int32, int64
from graphjit.runtime.errors import (
    CancelledError,
    DeadlineExceededError,
    DtypeError,
    InvalidArgumentError,
    OutOfRangeError,
    ShapeError,
)

from .subtrace import is_tracing
from .tensor import Tensor

Array = np.ndarray[Any, Any]
Element = tuple[Array, ...]
"""What is queued at a time: an array for each component."""


class _Store:
    """The elements that wait, in the order in which they are taken out."""

    @abstractmethod
    def put(self, element: Element) -> None: ...

    @abstractmethod
    def take(self) -> Element: ...

    @abstractmethod
    def __len__(self) -> int: ...


class _InOrder(_Store):
    """First in, first out."""

    def __init__(self) -> None:
        self._elements: deque[Element] = deque()

    def put(self, element: Element) -> None:
        self._elements.append(element)

    def take(self) -> Element:
        return self._elements.popleft()

    def __len__(self) -> int:
        return len(self._elements)


class _ByPriority(_Store):
    """The least priority first; among equal ones first in, first out."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Element]] = []
        self._count = itertools.count()

    def put(self, element: Element) -> None:
        heapq.heappush(self._heap, (int(element[0]), next(self._count), element))

    def take(self) -> Element:
        return heapq.heappop(self._heap)[2]

    def __len__(self) -> int:
        return len(self._heap)


class _Shared:
    """A store with a limit that several threads use."""

    def __init__(self, name: str, capacity: int | None, store: _Store) -> None:
        self.name = name
        self.capacity = capacity
        self._store = store
        self._changed = threading.Condition()
        self._closed = False
        self._cancelled = False
        self._waiting_to_put = 0

    def put(self, element: Element, timeout: float | None) -> None:
        """Add an element, when there is room.

        Raises:
          CancelledError: if the queue is closed.
          DeadlineExceededError: if there was no room in time.
        """
        with self._changed:
            if self._closed:
                raise CancelledError(f"the queue {self.name!r} is closed, so nothing can be added")
            self._waiting_to_put += 1
            try:
                self._wait(self._has_room, timeout, f"room in the queue {self.name!r} of capacity {self.capacity}")
                if self._cancelled:
                    raise CancelledError(f"the queue {self.name!r} was closed while something waited to be added")
                self._store.put(element)
            finally:
                self._waiting_to_put -= 1
                self._changed.notify_all()

    def take(self, least: int, most: int, timeout: float | None) -> list[Element]:
        """At least so many elements and at most so many, when they are there; those that are left of a closed queue.

        Raises:
          OutOfRangeError: if the queue is closed and holds less than `least`.
          DeadlineExceededError: if they were not there in time.
        """
        if self.capacity is not None and most > self.capacity:
            raise InvalidArgumentError(
                f"{most} elements at once are asked of the queue {self.name!r} of capacity {self.capacity}"
            )
        with self._changed:
            self._wait(lambda: len(self._store) >= most or self._is_over(), timeout, f"{most} in {self.name!r}")
            count = min(most, len(self._store))
            if count < least:
                raise OutOfRangeError(
                    f"the queue {self.name!r} is closed and holds {count} elements, where {least} are asked for"
                )
            found = [self._store.take() for _ in range(count)]
            self._changed.notify_all()
            return found

    def _has_room(self) -> bool:
        return self._cancelled or self.capacity is None or len(self._store) < self.capacity

    def _is_over(self) -> bool:
        """Whether nothing will be added any more."""
        return self._closed and (self._cancelled or not self._waiting_to_put)

    def _wait(self, ready: Callable[[], bool], timeout: float | None, what: str) -> None:
        begin = time.monotonic()
        if not self._changed.wait_for(ready, timeout):
            raise DeadlineExceededError(f"waited {time.monotonic() - begin:.3g} s for {what}")

    def close(self, cancel: bool) -> None:
        """Let nothing be added any more; what waits to be added still is, unless `cancel`."""
        with self._changed:
            self._closed = True
            self._cancelled = self._cancelled or cancel
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        with self._changed:
            return self._closed

    def __len__(self) -> int:
        with self._changed:
            return len(self._store)


class QueueBase:
    """What all queues share; see `FIFOQueue`."""

    _kind = "queue"
    _may_pad = False

    def __init__(
        self, capacity: int | None, dtypes: Any, shapes: Any, names: Any, name: str | None, store: _Store
    ) -> None:
        if capacity is not None and (isinstance(capacity, bool) or int(capacity) == 0):
            raise InvalidArgumentError(f"{self._kind}: capacity is a positive number, or negative for no limit")
        limit = None if capacity is None or int(capacity) < 0 else int(capacity)
        self._name = name or self._kind
        self._shared = _Shared(self._name, limit, store)
        self._dtypes = [as_dtype(one) for one in (dtypes if isinstance(dtypes, list | tuple) else [dtypes])]
        self._shapes = self._checked_shapes(shapes)
        self._names = None if names is None else [names] if isinstance(names, str) else [str(one) for one in names]
        if self._names is not None and len(self._names) != len(self._dtypes):
            raise InvalidArgumentError(f"{self._kind}: {len(self._names)} names for {len(self._dtypes)} dtypes")

    def _checked_shapes(self, shapes: Any) -> list[TensorShape]:
        if shapes is None:
            return [TensorShape(None)] * len(self._dtypes)
        nested = isinstance(shapes, list) and all(isinstance(one, list | tuple | TensorShape) for one in shapes)
        given = [TensorShape(one) for one in (shapes if nested and shapes else [shapes])]
        if len(given) != len(self._dtypes):
            raise InvalidArgumentError(f"{self._kind}: {len(given)} shapes for {len(self._dtypes)} dtypes")
        if not self._may_pad and not all(one.is_fully_defined() for one in given):
            raise ShapeError(f"{self._kind}: shapes are fully known; a PaddingFIFOQueue takes None for sizes")
        return given

    # --- facts ---------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The queue's name, for messages."""
        return self._name

    @property
    def dtypes(self) -> list[DType]:
        """The dtype of each component of an element."""
        return list(self._dtypes)

    @property
    def shapes(self) -> list[TensorShape]:
        """The shape of each component of an element."""
        return list(self._shapes)

    @property
    def names(self) -> list[str] | None:
        """The name of each component, if they have names; elements are dicts then."""
        return None if self._names is None else list(self._names)

    def size(self, name: str | None = None) -> Any:
        """How many elements wait, as an int32 scalar."""
        return self._run("size", lambda: [np.int32(len(self._shared))], [], [TensorType(int32, ())])[0]

    def is_closed(self, name: str | None = None) -> Any:
        """Whether it was closed, as a bool scalar."""
        return self._run("is_closed", lambda: [np.bool_(self._shared.is_closed)], [], [TensorType(bool_, ())])[0]

    def close(self, cancel_pending_enqueues: bool = False, name: str | None = None) -> None:
        """Let nothing be added any more; what is there can still be taken.

        Args:
          cancel_pending_enqueues: whether those that wait for room fail; else they still add what they have.
        """

        def run() -> list[Array]:
            self._shared.close(bool(cancel_pending_enqueues))
            return []

        self._run("close", run, [], [])

    # --- in and out ----------------------------------------------------------------------------------

    def enqueue(self, vals: Any, name: str | None = None, timeout: float | None = None) -> None:
        """Add an element, when there is room.

        Args:
          vals: a tensor; a list of them where elements have several components; a dict where these have names.
          timeout: seconds after which to give up; None to wait for ever.

        Raises:
          CancelledError: if the queue is closed.
          DeadlineExceededError: if there was no room in time.
          DtypeError, ShapeError: if it is no element of this queue.
        """
        self._put("enqueue", vals, False, lambda arrays: self._shared.put(arrays, timeout))

    def enqueue_many(self, vals: Any, name: str | None = None, timeout: float | None = None) -> None:
        """Add an element for each row of the tensors; see `enqueue`. `timeout` counts for each."""

        def put(arrays: Element) -> None:
            if len({len(one) for one in arrays}) > 1:
                raise ShapeError(f"enqueue_many: components of {[len(one) for one in arrays]} rows")
            for row in range(len(arrays[0])):
                self._shared.put(tuple(one[row, ...] for one in arrays), timeout)

        self._put("enqueue_many", vals, True, put)

    def dequeue(self, name: str | None = None, timeout: float | None = None) -> Any:
        """Take out an element, when there is one: what `enqueue` was given.

        Args:
          timeout: seconds after which to give up; None to wait for ever.

        Raises:
          OutOfRangeError: if the queue is closed and empty.
          DeadlineExceededError: if there was none in time.
        """
        types = self._types(())
        return self._structured(self._run("dequeue", lambda: self._shared.take(1, 1, timeout)[0], [], types))

    def dequeue_many(self, n: Any, name: str | None = None, timeout: float | None = None) -> Any:
        """Take out `n` elements, when they are there, stacked; see `dequeue`."""
        return self._several("dequeue_many", n, lambda count: self._shared.take(count, count, timeout), False)

    def dequeue_up_to(self, n: Any, name: str | None = None, timeout: float | None = None) -> Any:
        """Take out `n` elements, or what is left of a closed queue, but at least one; see `dequeue`."""
        return self._several("dequeue_up_to", n, lambda count: self._shared.take(min(count, 1), count, timeout), True)

    def _several(self, what: str, n: Any, take: Callable[[int], list[Element]], may_be_less: bool) -> Any:
        known = static_integer(n)
        if known is not None and known < 0:
            raise InvalidArgumentError(f"{what}: a number of elements is not negative, but {known} was given")

        def run(count: Array) -> list[Array]:
            return self._stacked(take(int(count)), what)

        types = self._types((None if may_be_less else known,))
        return self._structured(self._run(what, run, [as_operand(n, int32)], types))

    def _stacked(self, elements: list[Element], what: str) -> list[Array]:
        if elements:
            return [self._stack([one[place] for one in elements], what) for place in range(len(self._dtypes))]
        pairs = zip(self._shapes, self._dtypes, strict=True)
        return [np.empty((0, *(shape.as_list() if shape else ())), dtype.numpy) for shape, dtype in pairs]

    def _stack(self, arrays: list[Array], what: str) -> Array:
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            raise ShapeError(
                f"{what}: elements of shapes {sorted(shapes)} cannot be stacked; a PaddingFIFOQueue fills them up"
            )
        return np.stack(arrays)

    # --- elements ------------------------------------------------------------------------------------

    def _put(self, what: str, vals: Any, many: bool, put: Callable[[Element], None]) -> None:
        operands = self._operands(vals, many, what)

        def run(*arrays: Array) -> list[Array]:
            put(tuple(np.array(one) for one in arrays))
            return []

        self._run(what, run, operands, [])

    def _operands(self, vals: Any, many: bool, what: str) -> list[Any]:
        given = self._listed(vals, what)
        return [
            self._operand(value, place, many, f"{what} of {self._name!r}, component {place}")
            for place, value in enumerate(given)
        ]

    def _listed(self, vals: Any, what: str) -> Sequence[Any]:
        if self._names is not None:
            if not isinstance(vals, Mapping) or set(vals) != set(self._names):
                raise InvalidArgumentError(f"{what}: elements of {self._name!r} are dicts with the keys {self._names}")
            return [vals[one] for one in self._names]
        if len(self._dtypes) == 1:
            single = isinstance(vals, list | tuple) and len(vals) == 1 and not np.isscalar(vals[0])
            return [vals[0]] if single and self._fits_inside(vals[0]) else [vals]
        if not isinstance(vals, list | tuple) or len(vals) != len(self._dtypes):
            raise InvalidArgumentError(f"{what}: an element of {self._name!r} has {len(self._dtypes)} components")
        return vals

    def _fits_inside(self, value: Any) -> bool:
        """Whether a list of one value means the value, as the only component, rather than a tensor of one row."""
        return isinstance(value, Tensor) and self._shapes[0].is_compatible_with(value.shape)

    def _operand(self, value: Any, place: int, many: bool, what: str) -> Any:
        dtype, shape = self._dtypes[place], self._shapes[place]
        operand = as_operand(value, dtype, what)
        if operand.type.dtype is not dtype:
            raise DtypeError(f"{what}: {dtype.name} is needed, not {operand.type.dtype.name}")
        if many and not operand.type.rank:
            raise ShapeError(f"{what}: a row for each element is needed, not a scalar")
        found = operand.shape[1:] if many else operand.shape
        if not shape.is_compatible_with(found):
            raise ShapeError(f"{what}: shape {shape} is needed, not {found}")
        return operand

    def _structured(self, results: Sequence[Any]) -> Any:
        if self._names is not None:
            return dict(zip(self._names, results, strict=True))
        return results[0] if len(results) == 1 else list(results)

    def _types(self, rows: tuple[int | None, ...]) -> list[TensorType]:
        """The types of what is taken out.

        Raises:
          ShapeError: in a compiled function, if the queue was made without shapes.
        """
        if is_tracing() and any(one.rank is None for one in self._shapes):
            raise ShapeError(
                f"the queue {self._name!r} has no shapes, which a compiled function needs to take elements out of it; "
                "make it with shapes=[...]"
            )
        pairs = zip(self._dtypes, self._shapes, strict=True)
        return [TensorType(dtype, (*rows, *(shape.as_list() if shape else ()))) for dtype, shape in pairs]

    def _run(self, what: str, run: Callable[..., Any], operands: list[Any], types: list[TensorType]) -> Sequence[Any]:
        if not is_tracing():
            found = run(*(operand.numpy() for operand in operands))
            return [Tensor(np.asarray(one, type.dtype.numpy)) for one, type in zip(found, types, strict=True)]
        callback = Callback(f"{what} of {self._name!r}", run)
        return apply_all(python_call_op, tuple(operands), {"callback": callback, "results": tuple(types)})

    def __repr__(self) -> str:
        limit = "" if self._shared.capacity is None else f" of {self._shared.capacity}"
        return f"<gj.queue.{self._kind} {self._name!r}: {len(self._shared)}{limit} elements>"


class FIFOQueue(QueueBase):
    """A queue that gives elements out in the order in which they came; for use by any number of threads.

    Args:
      capacity: how many elements may wait; negative or None for no limit.
      dtypes: a dtype, or one for each component of an element.
      shapes: a shape for each component; compiled functions need them to take elements out.
      names: a name for each component, for elements that are dicts.
      shared_name, name: the name in messages.

    >>> import graphjit as gj
    >>> queue = gj.queue.FIFOQueue(10, gj.float32, shapes=[()])
    >>> @gj.compile
    ... def pass_on():
    ...     x = queue.dequeue()
    ...     queue.enqueue(x * 2.0)
    ...     return x
    >>> queue.enqueue(1.5)
    >>> print(pass_on().numpy(), queue.dequeue().numpy(), queue.size().numpy())
    1.5 3.0 0
    """

    _kind = "FIFOQueue"

    def __init__(
        self,
        capacity: int | None,
        dtypes: Any,
        shapes: Any = None,
        names: Any = None,
        shared_name: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(capacity, dtypes, shapes, names, name or shared_name, _InOrder())


class PaddingFIFOQueue(QueueBase):
    """A `FIFOQueue` whose elements may differ in sizes that are None in `shapes`; several are filled up with zeros.

    >>> import graphjit as gj
    >>> queue = gj.queue.PaddingFIFOQueue(10, [gj.int32], shapes=[[None]])
    >>> queue.enqueue([1, 2])
    >>> queue.enqueue([3])
    >>> print(queue.dequeue_many(2).numpy().tolist())
    [[1, 2], [3, 0]]
    """

    _kind = "PaddingFIFOQueue"
    _may_pad = True

    def __init__(
        self,
        capacity: int | None,
        dtypes: Any,
        shapes: Any,
        names: Any = None,
        shared_name: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(capacity, dtypes, shapes, names, name or shared_name, _InOrder())

    def _stack(self, arrays: list[Array], what: str) -> Array:
        shape = tuple(max(sizes) for sizes in zip(*(array.shape for array in arrays), strict=True))
        empty: Any = b"" if arrays[0].dtype.kind == "O" else 0
        result = np.full((len(arrays), *shape), empty, arrays[0].dtype)
        for row, array in zip(result, arrays, strict=True):
            row[tuple(map(slice, array.shape))] = array
        return result

    def _stacked(self, elements: list[Element], what: str) -> list[Array]:
        if elements:
            return super()._stacked(elements, what)
        pairs = zip(self._shapes, self._dtypes, strict=True)
        return [np.empty((0, *(size or 0 for size in shape.as_list())), dtype.numpy) for shape, dtype in pairs]


class PriorityQueue(QueueBase):
    """A queue that gives out the element of the least priority, an int64 scalar that comes first in each element.

    >>> import graphjit as gj
    >>> queue = gj.queue.PriorityQueue(10, gj.string, shapes=[()])
    >>> queue.enqueue([5, "later"])
    >>> queue.enqueue([1, "first"])
    >>> [part.numpy() for part in queue.dequeue()]
    [np.int64(1), b'first']
    """

    _kind = "PriorityQueue"

    def __init__(
        self,
        capacity: int | None,
        types: Any,
        shapes: Any,
        names: Any = None,
        shared_name: str | None = None,
        name: str | None = None,
    ) -> None:
        given = list(types) if isinstance(types, list | tuple) else [types]
        nested = isinstance(shapes, list) and all(isinstance(one, list | tuple | TensorShape) for one in shapes)
        others = list(shapes) if nested and shapes else [shapes]
        super().__init__(capacity, [int64, *given], [(), *others], names, name or shared_name, _ByPriority())


__all__ = ["FIFOQueue", "PaddingFIFOQueue", "PriorityQueue", "QueueBase"]
