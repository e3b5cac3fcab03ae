"""Loops: `while_loop`.

In eager mode Python loops. While a function is traced, and the condition is a traced value, condition and body are
traced once, and one equation holds their graphs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from graphjit.compiler.dispatch import apply_all
from graphjit.compiler.location import describe
from graphjit.compiler.operand import PUBLIC, Operand, as_operand
from graphjit.compiler.ops.checking import require_true
from graphjit.compiler.ops.looping import while_op
from graphjit.compiler.subgraph import joined
from graphjit.compiler.tensortype import DType, TensorShape, TensorSpec, TensorType
from graphjit.compiler.writer import Symbol
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError
from graphjit.runtime.fields import dataclass, field

from .agreement import LeafNames, Undefined, as_type_of, dtype_of, is_value, is_weak, weak_dtype
from .branching import condition as as_condition, in_words
from .signature import shortened
from .state import State, assign, read
from .structure import flatten, unflatten
from .subtrace import OtherDtypeError, Subtrace, changed_in, complete_states, is_tracing, subtrace, write

Condition = Callable[..., Any]
Body = Callable[..., Any]


@dataclass
class _Leaf:
    """One part of what a loop carries: `initial` as it was given, `type` while it is carried (None: no tensor)."""

    name: str
    initial: Any
    type: TensorType | None = None
    is_open: bool = False
    """Whether its type is not settled: a number's dtype, or all of what is first assigned in the loop."""
    is_number: bool = False
    """Whether it stands for a Python number all the time, which takes the dtype of the tensor beside it."""
    shape: Any = None
    """The shape invariant, where one was given."""


@dataclass
class _Round:
    """What one tracing of the body found."""

    writer: Subtrace
    carried: list[Operand]
    states: list[State] = field(default_factory=list)


def trace_loop(
    condition: Condition,
    body: Body,
    initial: Sequence[Any],
    names: Sequence[str] | None = None,
    maximum: Any = None,
    shapes: Any = None,
) -> tuple[Any, ...]:
    """What a loop hands on in the end, where its condition is only known when it runs.

    Args:
      condition: called with the carried values; a boolean scalar.
      body: called with the carried values; returns as many.
      initial: what is carried into the first round, nested or not; an `Undefined` stands for a variable that the
        body assigns first, in which case it is an error if no round runs.
      names: of the carried values, for messages.
      maximum: after how many rounds the loop ends at the latest; None for no limit.
      shapes: a list with a shape for each leaf that says which sizes may change, or None.

    Raises:
      InvalidArgumentError, DtypeError, ShapeError: if the body hands on something else than it got.
    """
    if maximum is not None:
        return _with_limit(condition, body, initial, names, maximum, shapes)
    leaves, structure = leaves_of(initial, names, shapes)
    found, tested, decision = _both_settled(condition, body, leaves, structure)
    if changed_in([tested]):
        return _condition_in_body(condition, body, initial, names, shapes)
    return _written(tested, decision, found, leaves, structure)


def leaves_of(initial: Sequence[Any], names: Sequence[str] | None, shapes: Any = None) -> tuple[list[_Leaf], Any]:
    """The parts of what a loop carries, and their structure."""
    flat, structure = flatten(tuple(initial))
    leaf_names = LeafNames(structure, names)
    leaves = [
        _leaf(leaf_names.of(place), one, None if shapes is None else shapes[place]) for place, one in enumerate(flat)
    ]
    return leaves, structure


def put_together(leaves: Sequence[_Leaf], structure: Any, finals: Sequence[Any]) -> tuple[Any, ...]:
    """What a loop carries in the end: tensors, and what is none as it was."""
    left = iter(finals)
    return tuple(unflatten(structure, [_final(one, left) for one in leaves]))


def _final(one: _Leaf, finals: Iterator[Any]) -> Any:
    if one.type is None:
        return one.initial
    return next(finals).as_weak() if one.is_number else next(finals)


def carried_leaves(leaves: Sequence[_Leaf]) -> list[_Leaf]:
    """The parts that are tensors."""
    return [one for one in leaves if one.type is not None]


def _leaf(name: str, initial: Any, shape: Any) -> _Leaf:
    if isinstance(initial, Undefined):
        return _Leaf(name, initial, None, is_open=True)
    if not is_value(initial):
        return _Leaf(name, initial)
    if is_weak(initial):
        type = TensorType(weak_dtype([initial]), ())
        return _Leaf(name, initial, type, is_open=True, is_number=True, shape=shape)
    operand = as_operand(initial)
    type = operand.type
    if shape is not None:
        type = TensorType(type.dtype, _invariant(shape, type, name))
    return _Leaf(name, operand, type, shape=shape)


def _invariant(shape: Any, type: TensorType, name: str) -> tuple[int | None, ...]:
    given = TensorShape(shape.shape if isinstance(shape, TensorSpec) else shape)
    if given.rank is None:
        return (None,) * type.rank
    wanted = tuple(given.dims or ())
    if not TensorType(type.dtype, wanted).accepts(type):
        raise ShapeError(f"the shape invariant of {name} is {wanted}, but its shape before the loop is {type.shape}")
    return wanted


def _arguments(writer: Subtrace, leaves: Sequence[_Leaf], structure: Any) -> Any:
    """What condition and body are called with: new inputs of the graph, and what is no tensor as it is."""
    values = []
    for one in leaves:
        if one.type is None:
            values.append(one.initial)
            continue
        symbol = writer.input(one.type, one.name.strip("'") if "'" in one.name else "")
        if one.is_open:
            writer.open_inputs.add(symbol.value)
        values.append(symbol.as_weak() if one.is_number else symbol)
    return unflatten(structure, values)


_MOST_ATTEMPTS = 8


def settled(body: Body, leaves: list[_Leaf], structure: Any) -> _Round:
    """Trace the body; again, as long as it shows that a number has another dtype than it seemed."""
    for _ in range(_MOST_ATTEMPTS + len(leaves)):
        writer = subtrace("body")
        arguments = _arguments(writer, leaves, structure)
        try:
            results = write(writer, lambda *values: _tuple(body(*values)), arguments)
        except OtherDtypeError as error:
            _promote(leaves, writer, error)
            continue
        flat, after = flatten(results)
        if after != structure:
            raise _other_structure(structure, after, leaves)
        if not _settle(leaves, flat):
            carried = [
                write(writer, _carried, (one, leaf))
                for one, leaf in zip(leaves, flat, strict=True)
                if one.type is not None
            ]
            return _Round(writer, carried)
    raise InvalidArgumentError("the dtypes of a loop's values change in every round")


def _both_settled(
    condition: Condition, body: Body, leaves: list[_Leaf], structure: Any
) -> tuple[_Round, Subtrace, Any]:
    """Trace the body and then the condition, which may show that a number has another dtype, too."""
    for _ in range(_MOST_ATTEMPTS + len(leaves)):
        found = settled(body, leaves, structure)
        tested = subtrace("condition")
        arguments = _arguments(tested, leaves, structure)
        try:
            decision = write(
                tested, lambda *values: as_condition(condition(*values), "the condition of a loop"), arguments
            )
        except OtherDtypeError as error:
            _promote(leaves, tested, error)
            continue
        return found, tested, decision
    raise InvalidArgumentError("the dtypes of a loop's values change in every round")


def _promote(leaves: Sequence[_Leaf], writer: Subtrace, error: OtherDtypeError) -> None:
    """Let a number be of the dtype with which it is used."""
    carried = [one for one in leaves if one.type is not None]
    place = writer.own_inputs.index(error.input)
    carried[place].type = TensorType(error.dtype, error.input.type.shape)


def _tuple(results: Any) -> tuple[Any, ...]:
    return tuple(results) if isinstance(results, list | tuple) else (results,)


def _other_structure(before: Any, after: Any, leaves: Sequence[_Leaf]) -> InvalidArgumentError:
    names = ", ".join(one.name for one in leaves)
    return InvalidArgumentError(
        f"a loop's body must return what it gets: {names} have the structure {in_words(before)} before the loop, but "
        f"{in_words(after)} after one iteration"
    )


def _settle(leaves: list[_Leaf], results: Sequence[Any]) -> bool:
    """Whether the results show that an open leaf has another type, with which the body is to be traced again."""
    again = False
    for one, result in zip(leaves, results, strict=True):
        if isinstance(result, Undefined):
            continue
        if one.is_open and is_value(result):
            wanted, is_number = _wanted(one, result), one.is_number and is_weak(result)
            again = again or wanted != one.type or is_number != one.is_number
            one.type, one.is_number = wanted, is_number
    return again


def _wanted(one: _Leaf, result: Any) -> TensorType:
    """The type of an open leaf, in view of what a round makes of it."""
    if one.type is None:
        operand_type = result.type if isinstance(result, Operand | State) else as_operand_type(result)
        one.is_open = is_weak(result)
        return operand_type
    if is_weak(result):
        numbers = [result] if isinstance(one.initial, Undefined) else [one.initial, result]
        return TensorType(weak_dtype(numbers), one.type.shape)
    dtype = dtype_of(result)
    assert dtype is not None
    if isinstance(one.initial, Undefined) or _fits(one.initial, dtype):
        return TensorType(dtype, one.type.shape)
    return one.type


def as_operand_type(leaf: Any) -> TensorType:
    """The type that a number or an array has as a tensor."""
    if is_weak(leaf):
        return TensorType(weak_dtype([leaf]), ())
    return TensorType(as_dtype_of(leaf), tuple(np.shape(leaf)))


def as_dtype_of(leaf: Any) -> DType:
    """The dtype that an array has as a tensor."""
    found = dtype_of(leaf)
    assert found is not None
    return found


def _fits(number: Any, dtype: DType) -> bool:
    try:
        as_type_of(number, dtype, "")
    except DtypeError:
        return False
    return True


def _carried(one: _Leaf, result: Any) -> Operand:
    """A result as what is carried into the next round."""
    assert one.type is not None
    if not is_value(result):
        raise InvalidArgumentError(_not_carried(one, result))
    dtype = dtype_of(result)
    if dtype is not None and dtype is not one.type.dtype:
        raise DtypeError(
            f"{one.name} has dtype {one.type.dtype.name} before the loop, but dtype {dtype.name} after one iteration; "
            f"cast it with gj.cast(..., gj.{one.type.dtype.name}){_lines(one, result)}"
        )
    operand = as_type_of(result, one.type.dtype, one.name)
    if not one.type.accepts(operand.type):
        raise ShapeError(
            f"{one.name} has shape {tuple(one.type.shape)} before the loop, but shape {tuple(operand.type.shape)} "
            "after one iteration; a loop's values keep their shapes, unless shape_invariants (of gj.while_loop, or of "
            f"gj.autograph.set_loop_options first in the body) say which sizes may change{_lines(one, result)}"
        )
    return operand


def _not_carried(one: _Leaf, result: Any) -> str:
    if result is None:
        return f"{one.name} is None at the end of the loop's body, but a tensor before the loop"
    if isinstance(result, Undefined):
        return f"{one.name} must also be initialized before the loop, as the body does not always assign to it"
    return f"{one.name} is {shortened(result)} after one iteration, but a tensor before the loop"


def _lines(one: _Leaf, result: Any) -> str:
    found = [
        f"\n  {label}: {describe(leaf.location)}"
        for label, leaf in (("before the loop", one.initial), ("after one iteration", result))
        if isinstance(leaf, Symbol) and leaf.location is not None
    ]
    return "".join(found)


def initial_operand(one: _Leaf) -> Operand:
    """What a part is when the loop begins."""
    assert one.type is not None
    if isinstance(one.initial, Undefined):
        sizes = tuple(0 if size is None else size for size in one.type.shape)
        zeros: Operand = PUBLIC["zeros"](sizes, one.type.dtype)
        return zeros
    return as_type_of(one.initial, one.type.dtype, one.name)


def _written(
    tested: Subtrace, decision: Any, found: _Round, leaves: Sequence[_Leaf], structure: Any
) -> tuple[Any, ...]:
    """Write the equation, and assign what the body assigns to variables; what is handed on in the end."""
    writers = [tested, found.writer]
    tensors = carried_leaves(leaves)
    own = [writer.own_inputs[: len(tensors)] for writer in writers]
    variables, changed = complete_states(writers), changed_in(writers)
    fixed = [one for one in variables if all(one is not other for other in changed)]
    before = [
        [*inputs, *(writer.states[id(one)].input for one in changed)]
        for writer, inputs in zip(writers, own, strict=True)
    ]
    behind = [
        [
            *(writer.states[id(one)].origin for one in changed),
            *(value for one in fixed for value in (writer.states[id(one)].input, writer.states[id(one)].origin)),
        ]
        for writer in writers
    ]
    with_states = [*found.carried, *(Symbol(found.writer.states[id(one)].latest, found.writer) for one in changed)]
    test = write(tested, as_operand, (decision,))
    graphs, captures = joined(writers, [[test], with_states], before, behind)
    _require_same_states(changed, graphs[1].inputs[len(tensors) :], with_states[len(tensors) :])
    held = [read(one) for one in changed]
    values = [*map(initial_operand, tensors), *held, *captures, *held]
    values += [operand for one in fixed for operand in [read(one)] * 2]
    attributes = {"condition": graphs[0], "body": graphs[1], "carried": len(with_states)}
    results = apply_all(while_op, tuple(values), attributes)
    for variable, value in zip(changed, results[len(tensors) :], strict=False):
        assign(variable, value, value)
    _require_a_round(leaves, results[-1])
    return put_together(leaves, structure, results)


def _require_same_states(changed: Sequence[State], inputs: Sequence[Any], outputs: Sequence[Operand]) -> None:
    for variable, value, operand in zip(changed, inputs, outputs, strict=False):
        if not value.type.accepts(operand.type):
            raise ShapeError(
                f"{variable.name!r} has shape {tuple(value.type.shape)} before the loop, but is assigned shape "
                f"{tuple(operand.type.shape)} in it"
            )


def _require_a_round(leaves: Sequence[_Leaf], rounds: Operand) -> None:
    """What is first assigned in a loop is only there if a round ran."""
    names = [
        one.name for one in leaves if isinstance(one.initial, Undefined) and one.initial.needs_a_round and one.type
    ]
    if names:
        require_true(rounds > 0, f"the loop must iterate at least once to initialize {', '.join(names)}")


def _with_limit(
    condition: Condition, body: Body, initial: Sequence[Any], names: Sequence[str] | None, maximum: Any, shapes: Any
) -> tuple[Any, ...]:
    """The loop with a count of its rounds, which ends it."""
    limit = PUBLIC["cast"](as_operand(maximum), "int64")
    count = as_operand(0, limit.type.dtype)

    def goes_on(count: Any, *values: Any) -> Any:
        return PUBLIC["logical_and"](count < limit, condition(*values))

    def counted(count: Any, *values: Any) -> Any:
        return (count + 1, *_tuple(body(*values)))

    extended = None if names is None else ("the count of rounds", *names)
    open_shapes = None if shapes is None else [None, *shapes]
    return trace_loop(goes_on, counted, (count, *initial), extended, None, open_shapes)[1:]


def _condition_in_body(
    condition: Condition, body: Body, initial: Sequence[Any], names: Sequence[str] | None, shapes: Any
) -> tuple[Any, ...]:
    """The loop whose condition changes variables: each round ends with asking whether there is a next one."""

    def asked(*values: Any) -> Any:
        return as_operand(as_condition(condition(*values), "the condition of a loop"))

    def round_and_question(goes_on: Any, *values: Any) -> Any:
        results = _tuple(body(*values))
        return (asked(*results), *results)

    extended = None if names is None else ("the condition", *names)
    open_shapes = None if shapes is None else [None, *shapes]
    start = (asked(*initial), *initial)
    return trace_loop(lambda goes_on, *_: goes_on, round_and_question, start, extended, None, open_shapes)[1:]


# --- the public function ------------------------------------------------------------------------------


def while_loop(
    cond: Condition,
    body: Body,
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    maximum_iterations: Any = None,
    name: str | None = None,
) -> Any:
    """Run `body` on what it returned before, beginning with `loop_vars`, as long as `cond` of it holds.

    In compiled functions both are traced once, and the loop runs natively. It can be differentiated, any number
    of times.

    Args:
      cond: called with the values; returns a boolean scalar.
      body: called with the values; returns as many, of the same structure, dtypes and shapes.
      loop_vars: a list or tuple of tensors, numbers, or nested structures of them.
      shape_invariants: the same structure with a shape (or TensorSpec) for each tensor, whose None are sizes that
        may change from round to round.
      parallel_iterations, back_prop, swap_memory, name: accepted for TensorFlow's sake.
      maximum_iterations: after how many rounds it ends in any case.

    Returns:
      The last values, in the structure of `loop_vars`.

    Raises:
      DtypeError, ShapeError: if the body returns another dtype, or a shape that the value cannot have.
      InvalidArgumentError: if it returns another structure.

    >>> import graphjit as gj
    >>> @gj.compile
    ... def steps(n):  # of Collatz's sequence, down to 1
    ...     def body(n, count):
    ...         return gj.where(n % 2 == 0, n // 2, 3 * n + 1), count + 1
    ...     return gj.while_loop(lambda n, count: n > 1, body, (n, 0))[1]
    >>> print(steps(gj.constant(27)))
    gj.Tensor(111, shape=(), dtype=int32)
    """
    if not callable(cond) or not callable(body):
        raise InvalidArgumentError("while_loop: cond and body must be functions of the loop's values")
    values = tuple(loop_vars) if isinstance(loop_vars, list | tuple) else (loop_vars,)
    if not values:
        raise InvalidArgumentError("while_loop: loop_vars must hold a value at least")
    if is_tracing():
        shapes = None if shape_invariants is None else _shapes_of(shape_invariants, values)
        found = trace_loop(cond, body, values, _parameter_names(body, len(values)), maximum_iterations, shapes)
    else:
        found = _run(cond, body, values, maximum_iterations)
    return _like(loop_vars, found)


def _parameter_names(body: Body, count: int) -> list[str] | None:
    """What the user calls the values: the names of the body's parameters, if there is one for each."""
    try:
        parameters = inspect.signature(body).parameters.values()
    except (TypeError, ValueError):
        return None
    names = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    return names if len(names) == len(parameters) == count else None


def _like(loop_vars: Any, values: tuple[Any, ...]) -> Any:
    if isinstance(loop_vars, tuple) and hasattr(loop_vars, "_fields"):
        return type(loop_vars)(*values)
    if isinstance(loop_vars, list | tuple):
        return type(loop_vars)(values)
    return values[0]


def _shapes_of(invariants: Any, values: tuple[Any, ...]) -> list[Any]:
    """A shape for each leaf of the values."""
    given = tuple(invariants) if isinstance(invariants, list | tuple) and not _is_shape(invariants) else (invariants,)
    _, structure = flatten(values)
    try:
        found: list[Any] = structure.flatten_up_to(given)
    except ValueError as error:
        raise InvalidArgumentError(f"while_loop: shape_invariants are not structured as loop_vars: {error}") from None
    return found


def _is_shape(value: Any) -> bool:
    return isinstance(value, TensorShape) or all(one is None or isinstance(one, int) for one in value)


def _run(cond: Condition, body: Body, values: tuple[Any, ...], maximum: Any) -> tuple[Any, ...]:
    """The loop in Python."""
    current = _as_tensors(values, values)
    limit = None if maximum is None else int(maximum)
    count = 0
    while (limit is None or count < limit) and as_condition(cond(*current), "the condition of a loop"):
        current = _as_tensors(_tuple(body(*current)), current)
        count += 1
    return current


def _as_tensors(values: tuple[Any, ...], before: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values with tensors for numbers, which keep the dtype that they had."""
    leaves, structure = flatten(values)
    old, expected = flatten(before)
    if structure != expected:
        raise InvalidArgumentError(
            f"a loop's body must return what it gets: {in_words(expected)} came in, but {in_words(structure)} came out"
        )
    found = [_as_tensor(leaf, one) for leaf, one in zip(leaves, old, strict=True)]
    result: tuple[Any, ...] = tuple(unflatten(structure, found))
    return result


def _as_tensor(leaf: Any, before: Any) -> Any:
    if not is_value(leaf):
        return leaf
    if is_weak(leaf) and isinstance(before, Operand) and _fits(leaf, before.type.dtype):
        return as_operand(leaf, before.type.dtype)
    return as_operand(leaf)


__all__ = ["while_loop"]
