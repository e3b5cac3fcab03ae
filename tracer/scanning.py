"""Loops over the rows of tensors: `scan`, `foldl`, `foldr`, `map_fn`, `vectorized_map`.

In eager mode Python loops. While a function is traced, what is done with a row is traced once, and one equation
holds its graph; the loop runs natively.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from graphjit.compiler.batching import at_once, why_not_at_once
from graphjit.compiler.dispatch import apply_all, current_interpreter
from graphjit.compiler.operand import PUBLIC, Composite, Operand, as_operand
from graphjit.compiler.ops.looping import scan_op
from graphjit.compiler.ops.sizes import size_along
from graphjit.compiler.subgraph import joined
from graphjit.compiler.tensortype import TensorSpec, TensorType, as_dtype
from graphjit.compiler.writer import Symbol
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError

from .agreement import is_value
from .converting import as_called
from .looping import carried_leaves, initial_operand, leaves_of, put_together, settled
from .state import assign, read
from .structure import flatten, unflatten
from .subtrace import Subtrace, changed_in, complete_states, is_tracing, subtrace, write

Body = Callable[[tuple[Any, ...], list[Any]], tuple[tuple[Any, ...], Any]]
"""From what is carried and the rows to what is carried on, and what is stacked."""


def trace_scan(
    body: Body,
    initial: Sequence[Any],
    over: Sequence[Operand],
    names: Sequence[str] | None = None,
    reverse: bool = False,
) -> tuple[tuple[Any, ...], Any]:
    """What a loop over rows carries in the end, and what it stacks, as one equation.

    Raises:
      InvalidArgumentError, DtypeError, ShapeError: if the body hands on something else than it got.
    """
    stacked: list[Any] = []
    rows: list[Symbol] = []

    def round_of(*carried: Any) -> tuple[Any, ...]:
        writer = current_interpreter()
        assert isinstance(writer, Subtrace)
        rows[:] = [writer.input(_row_type(one)) for one in over]
        carried_on, made = body(carried, list(rows))
        leaves, structure = flatten(made)
        stacked[:] = [structure, [as_operand(leaf) for leaf in leaves]]
        return carried_on

    leaves, structure = leaves_of(initial, names)
    found = settled(round_of, leaves, structure)
    outer, made = stacked
    finals, results = _written(found.writer, carried_leaves(leaves), found.carried, rows, made, over, reverse)
    return put_together(leaves, structure, finals), unflatten(outer, results)


def trace_rows(body: Callable[[list[Any]], Any], over: Sequence[Operand]) -> Any:
    """What a function of rows gives for each row, stacked: done for all rows at once, where that can be.

    What cannot is a loop: of the whole function, or of single ops that have no rule for many rows.
    """
    writer = subtrace("rows")
    rows = [writer.input(_row_type(one)) for one in over]
    leaves, structure = flatten(write(writer, body, (rows,)))
    made = write(writer, lambda: [as_operand(leaf) for leaf in leaves], ())
    size = next((one.type.shape[0] for one in over if one.type.shape[0] is not None), None)
    if size is None or changed_in([writer]) or why_not_at_once(writer.inputs, writer.equations) is not None:
        return unflatten(structure, _written(writer, (), (), rows, made, over, False)[1])
    variables = complete_states([writer])
    behind = [value for one in variables for value in (writer.states[id(one)].input, writer.states[id(one)].origin)]
    (graph,), captures = joined([writer], [made], [[row.value for row in rows]], [behind])
    operands = [*over, *captures, *(read(one) for one in variables for _ in range(2))]
    has_rows = [place < len(over) for place in range(len(operands))]
    return unflatten(structure, at_once(graph, operands, has_rows, size))


def _row_type(operand: Operand) -> TensorType:
    return TensorType(operand.type.dtype, operand.type.shape[1:])


def _written(
    writer: Subtrace,
    leaves: Sequence[Any],
    carried: Sequence[Operand],
    rows: Sequence[Symbol],
    made: Sequence[Operand],
    over: Sequence[Operand],
    reverse: bool,
) -> tuple[list[Any], list[Any]]:
    """Write the equation, and assign what the body assigns to variables; the last carried values and the stacked."""
    variables, changed = complete_states([writer]), changed_in([writer])
    fixed = [one for one in variables if all(one is not other for other in changed)]
    states = [writer.states[id(one)] for one in changed]
    before = [
        *writer.own_inputs[: len(leaves)],
        *(state.input for state in states),
        *(row.value for row in rows),
    ]
    behind = [state.origin for state in states]
    for one in fixed:
        behind += [writer.states[id(one)].input, writer.states[id(one)].origin]
    results = [*carried, *(Symbol(state.latest, writer) for state in states), *made]
    (graph,), captures = joined([writer], [results], [before], [behind])
    held = [read(one) for one in changed]
    operands = [_rounds(over[0]), *map(initial_operand, leaves), *held, *over, *captures, *held]
    operands += [operand for one in fixed for operand in [read(one)] * 2]
    count = len(leaves) + len(changed)
    attributes = {
        "body": graph,
        "carried": count,
        "sliced": len(over),
        "length": over[0].type.shape[0],
        "reverse": reverse,
    }
    outputs = apply_all(scan_op, tuple(operands), attributes)
    for variable, value in zip(changed, outputs[len(leaves) : count], strict=True):
        assign(variable, value, value)
    return list(outputs[: len(leaves)]), list(outputs[count:])


def _rounds(operand: Operand) -> Operand:
    rounds: Operand = as_operand(PUBLIC["cast"](size_along(operand, 0), "int64"))
    return rounds


# --- what the public functions share ------------------------------------------------------------------


def _elements(elems: Any, what: str) -> tuple[list[Operand], Any]:
    """The tensors whose rows are met, and their structure."""
    leaves, structure = flatten(elems)
    over = [as_operand(leaf) for leaf in leaves]
    if not over:
        raise InvalidArgumentError(f"{what}: elems must hold a tensor at least")
    for one in over:
        if not one.type.rank:
            raise ShapeError(f"{what}: elems must have rows, but one is a scalar")
    sizes = {one.type.shape[0] for one in over} - {None}
    if len(sizes) > 1:
        raise ShapeError(f"{what}: elems must have equally many rows, but they have {sorted(map(str, sizes))}")
    return over, structure


def _run(
    body: Body, initial: tuple[Any, ...], over: Sequence[Operand], reverse: bool, what: str
) -> tuple[tuple[Any, ...], Any]:
    """The loop, traced where a function is traced, else in Python."""
    if is_tracing():
        return trace_scan(body, initial, over, None, reverse)
    count = int(over[0].type.shape[0] or 0)
    if not count:
        return _of_no_rows(body, initial, over, reverse)
    carried, rows, structure = initial, [], None
    for number in reversed(range(count)) if reverse else range(count):
        carried, made = body(carried, [PUBLIC["getitem"](one, number) for one in over])
        leaves, structure = flatten(made)
        rows.append([as_operand(leaf) for leaf in leaves])
    if reverse:
        rows.reverse()
    stacked = [PUBLIC["stack"](list(column)) for column in zip(*rows, strict=True)]
    return carried, unflatten(structure, stacked)


def loop_over_rows(
    body: Body, initial: tuple[Any, ...], over: Sequence[Operand], reverse: bool = False
) -> tuple[tuple[Any, ...], Any]:
    """What a loop over the rows of tensors carries in the end, and what it stacks: for parts of the library.

    Args:
      body: from what is carried and the rows to what is carried on, and what is stacked.
      initial: what is carried into the first round.
      over: tensors with equally many rows.
      reverse: whether to begin with the last row; what is stacked stays with its row.
    """
    return _run(body, initial, over, reverse, "the loop")


def _of_no_rows(
    body: Body, initial: tuple[Any, ...], over: Sequence[Operand], reverse: bool
) -> tuple[tuple[Any, ...], Any]:
    """The results' shapes are only known from what the body would do with a row, so it is traced."""
    from .compiling import compile as compiled

    leaves, structure = flatten(initial)
    given = [as_operand(leaf) if is_value(leaf) else leaf for leaf in leaves]

    def run(*operands: Any) -> Any:
        return trace_scan(body, unflatten(structure, operands[: len(given)]), operands[len(given) :], None, reverse)

    answer: tuple[tuple[Any, ...], Any] = compiled(run, backend="numpy")(*given, *over)
    return answer


def _as_operands(nested: Any) -> Any:
    leaves, structure = flatten(nested)
    return unflatten(structure, [as_operand(leaf) if is_value(leaf) else leaf for leaf in leaves])


# --- the public functions -------------------------------------------------------------------------------


def scan(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """Everything that `fn` returns on its way through the rows of `elems`, stacked.

    Args:
      fn: called with what it returned for the row before, and a row; returns the same structure and types.
      elems: a tensor, or a nested structure of tensors with equally many rows.
      initializer: what it is called with for the first row; by default the first row itself, which then is the
        first result.
      parallel_iterations, back_prop, swap_memory, infer_shape, name: accepted for TensorFlow's sake.
      reverse: whether to begin with the last row; results stay with their rows.

    Raises:
      ShapeError: if there are no rows, or not equally many.
      InvalidArgumentError: if `fn` returns another structure than it gets.

    >>> import graphjit as gj
    >>> print(gj.scan(lambda total, x: total + x, gj.constant([1, 2, 3]), 10))
    gj.Tensor([11 13 16], shape=(3,), dtype=int32)
    """
    over, structure = _elements(elems, "scan")
    if initializer is None:
        return _scan_from_first(fn, over, structure, reverse)

    def body(carried: tuple[Any, ...], rows: list[Any]) -> tuple[tuple[Any, ...], Any]:
        result = _as_operands(fn(carried[0], unflatten(structure, rows)))
        return (result,), result

    return _run(body, (_as_operands(initializer),), over, reverse, "scan")[1]


def _scan_from_first(fn: Callable[[Any, Any], Any], over: Sequence[Operand], structure: Any, reverse: bool) -> Any:
    first = [PUBLIC["getitem"](one, -1 if reverse else 0) for one in over]
    rest = [PUBLIC["getitem"](one, slice(None, -1) if reverse else slice(1, None)) for one in over]
    begin = unflatten(structure, first)
    others = scan(fn, unflatten(structure, rest), begin, reverse=reverse)

    def whole(one: Any, row: Any) -> Any:
        row = PUBLIC["expand_dims"](row, 0)
        return PUBLIC["concat"]([one, row] if reverse else [row, one], 0)

    found = [whole(one, row) for one, row in zip(flatten(others)[0], first, strict=True)]
    return unflatten(structure, found)


def foldl(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """What `fn` returns in the end on its way through the rows of `elems`: see `scan`.

    >>> import graphjit as gj
    >>> print(gj.foldl(lambda a, x: a * 10 + x, gj.constant([1, 2, 3])))
    gj.Tensor(123, shape=(), dtype=int32)
    """
    return _fold(fn, elems, initializer, False)


def foldr(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The same as `foldl`, from the last row to the first.

    >>> import graphjit as gj
    >>> print(gj.foldr(lambda a, x: a * 10 + x, gj.constant([1, 2, 3])))
    gj.Tensor(321, shape=(), dtype=int32)
    """
    return _fold(fn, elems, initializer, True)


def _fold(fn: Callable[[Any, Any], Any], elems: Any, initializer: Any, reverse: bool) -> Any:
    over, structure = _elements(elems, "foldr" if reverse else "foldl")
    begin = initializer
    if initializer is None:
        begin = unflatten(structure, [PUBLIC["getitem"](one, -1 if reverse else 0) for one in over])
        over = [PUBLIC["getitem"](one, slice(None, -1) if reverse else slice(1, None)) for one in over]

    def body(carried: tuple[Any, ...], rows: list[Any]) -> tuple[tuple[Any, ...], Any]:
        return (_as_operands(fn(carried[0], unflatten(structure, rows))),), ()

    return _run(body, (_as_operands(begin),), over, reverse, "fold")[0][0]


def map_fn(
    fn: Callable[[Any], Any],
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
    fn_output_signature: Any = None,
) -> Any:
    """What `fn` returns for each row of `elems`, stacked.

    Args:
      fn: called with a row; it may return another structure.
      elems: a tensor, or a nested structure of tensors with equally many rows; or a ragged tensor, see
        `gj.ragged.map_fn`.
      fn_output_signature (or dtype): the dtypes or `TensorSpec`s of what `fn` returns; by default those of `elems`.
      parallel_iterations, back_prop, swap_memory, infer_shape, name: accepted for TensorFlow's sake.

    Raises:
      DtypeError: if `fn` returns other dtypes than announced.
      InvalidArgumentError: if it returns another structure.

    >>> import graphjit as gj
    >>> print(gj.map_fn(lambda x: x * x, gj.constant([1, 2, 3])))
    gj.Tensor([1 4 9], shape=(3,), dtype=int32)
    """
    if isinstance(elems, Composite):
        from .ragged.making import map_fn as map_rows

        return map_rows(fn, elems)
    announced = fn_output_signature if fn_output_signature is not None else dtype
    expected = flatten(elems if announced is None else announced)
    results = _one_by_one(fn, *_elements(elems, "map_fn"))
    leaves, structure = flatten(results)
    if structure != expected[1]:
        raise InvalidArgumentError(
            f"map_fn: fn returned {len(leaves)} tensors in another structure than announced; give "
            "fn_output_signature with a dtype or gj.TensorSpec for each"
        )
    for leaf, wanted in zip(leaves, expected[0], strict=True):
        _require_announced(leaf, wanted, announced is None)
    return results


def _one_by_one(fn: Callable[[Any], Any], over: Sequence[Operand], structure: Any) -> Any:
    def body(carried: tuple[Any, ...], rows: list[Any]) -> tuple[tuple[Any, ...], Any]:
        return (), fn(unflatten(structure, rows))

    return _run(body, (), over, False, "map")[1]


def _require_announced(leaf: Any, wanted: Any, is_default: bool) -> None:
    named = as_operand(wanted).type.dtype if is_default else as_dtype(getattr(wanted, "dtype", wanted))
    if leaf.dtype is not named:
        raise DtypeError(
            f"map_fn: fn returned {leaf.dtype.name}, but {named.name} was announced"
            f"{' (the dtype of elems)' if is_default else ''}; say fn_output_signature=gj.{leaf.dtype.name}"
        )
    if isinstance(wanted, TensorSpec) and not wanted.shape.is_compatible_with(leaf.shape[1:]):
        raise ShapeError(f"map_fn: fn returned shape {leaf.shape[1:]}, but {wanted.shape} was announced")


def vectorized_map(fn: Callable[[Any], Any], elems: Any, fallback_to_while_loop: bool = True, warn: bool = True) -> Any:
    """What `fn` returns for each row of `elems`, stacked; dtypes and structure may be any.

    In compiled functions the rows are done at once: an op on a row becomes an op on all of them. What cannot be
    done so is a native loop over the rows: the function, if it changes variables, prints or calls Python, or if a size
    is unknown, else only the op; `report()` of the compiled function says it. To go through the rows one by one in any
    case, with the memory of one row at a time, use `map_fn`.

    Args:
      fn: called with a row.
      elems: a tensor, or a nested structure of tensors with equally many rows.
      fallback_to_while_loop, warn: accepted for TensorFlow's sake.

    >>> import graphjit as gj
    >>> print(gj.vectorized_map(lambda x: gj.reduce_sum(x), gj.constant([[1.0, 2.0], [3.0, 4.0]])))
    gj.Tensor([3. 7.], shape=(2,), dtype=float32)
    """
    over, structure = _elements(elems, "map")

    if is_tracing():
        return trace_rows(lambda rows: as_called(fn)(unflatten(structure, rows)), over)
    return _one_by_one(fn, over, structure)


def vmap(fn: Callable[..., Any], in_axes: Any = 0, out_axes: int = 0) -> Callable[..., Any]:
    """A function that does for each slice of its arguments what `fn` does for one.

    In compiled functions all slices are done at once, as far as `vectorized_map` does all rows at once.

    Args:
      fn: takes and returns tensors, or nested structures of them.
      in_axes: the axis along which the arguments are sliced; a tuple with one for each argument, None for what is
        not sliced.
      out_axes: the axis along which results are stacked.

    Raises, when the function is called:
      InvalidArgumentError: if `in_axes` does not fit the arguments, or slices none of them.

    >>> import graphjit as gj
    >>> a, b = gj.constant([[1.0, 2.0], [3.0, 4.0]]), gj.constant([10.0, 20.0])
    >>> print(gj.vmap(lambda row, b: gj.reduce_sum(row * b), in_axes=(0, None))(a, b))
    gj.Tensor([ 50. 110.], shape=(2,), dtype=float32)
    """

    @functools.wraps(fn)
    def mapped(*args: Any) -> Any:
        axes = in_axes if isinstance(in_axes, list | tuple) else (in_axes,) * len(args)
        if len(axes) != len(args) or all(axis is None for axis in axes):
            raise InvalidArgumentError(
                f"vmap: in_axes is {in_axes!r}, but the function is called with {len(args)} arguments, of which at "
                "least one must be sliced"
            )
        sliced = [_along_first(one, axis) for one, axis in zip(args, axes, strict=True) if axis is not None]

        def one_slice(rows: Any) -> Any:
            left = iter(rows)
            return as_called(fn)(*(one if axis is None else next(left) for one, axis in zip(args, axes, strict=True)))

        leaves, structure = flatten(vectorized_map(one_slice, tuple(sliced)))
        return unflatten(structure, [PUBLIC["moveaxis"](leaf, 0, out_axes) for leaf in leaves])

    return mapped


def _along_first(nested: Any, axis: int) -> Any:
    leaves, structure = flatten(nested)
    return unflatten(structure, [PUBLIC["moveaxis"](as_operand(leaf), axis, 0) for leaf in leaves])


__all__ = ["foldl", "foldr", "map_fn", "scan", "vectorized_map", "vmap"]
