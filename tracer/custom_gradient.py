"""Functions that bring their own gradient, and functions that are computed again for their gradient."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import optree

from graphjit.compiler.dispatch import apply, apply_all, current_interpreter, interpreting, recording_by
from graphjit.compiler.gradient import Recording, backward, is_differentiable
from graphjit.compiler.op import Op
from graphjit.compiler.operand import as_operand, is_operand_like
from graphjit.compiler.ops.customgradient import CustomRule, custom_gradient_op
from graphjit.compiler.ops.deferring import deferred_op
from graphjit.runtime.errors import InvalidArgumentError, SignatureError

from .converting import as_called
from .state import State, read, standing_in
from .structure import flatten, unflatten

F = TypeVar("F", bound=Callable[..., Any])


class _VariableWatcher:
    """Notes which variables are read."""

    def __init__(self) -> None:
        self.variables: list[State] = []

    def record(
        self, op: Op, operands: tuple[Any, ...], attributes: Mapping[str, Any], outputs: tuple[Any, ...]
    ) -> None:
        """Take in an op that was interpreted."""
        for operand in operands:
            if isinstance(operand, State) and all(operand is not one for one in self.variables):
                self.variables.append(operand)


class _Arguments:
    """The arguments of one call: which of them are tensors, and how they are put together."""

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        leaves, self._structure = _flat_and_structure((args, dict(kwargs)))
        self.count = len(_flat(args))
        self._leaves = [_as_tensor(leaf) if place < self.count else leaf for place, leaf in enumerate(leaves)]
        self._places = [place for place, leaf in enumerate(self._leaves) if is_operand_like(leaf)]
        self.operands = tuple(as_operand(self._leaves[place]) for place in self._places)
        self.total = len(leaves)

    def rebuilt(self, operands: Sequence[Any] | None = None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """`args` and `kwargs` with tensors for numbers, or with other operands in place of the tensors."""
        leaves = list(self._leaves)
        if operands is not None:
            for place, operand in zip(self._places, operands, strict=True):
                leaves[place] = operand
        made: Any = optree.tree_unflatten(self._structure, leaves)
        args, kwargs = made
        return args, kwargs

    def variables(self, operands: Sequence[Any]) -> list[tuple[State, Any]]:
        """The variables that are arguments themselves, with the operands that stand for them."""
        leaves = (self._leaves[place] for place in self._places)
        return [(leaf, one) for leaf, one in zip(leaves, operands, strict=True) if isinstance(leaf, State)]

    def without(self, variables: Sequence[State]) -> list[State]:
        """The variables that are no arguments."""
        held = [variable for variable, _ in self.variables(self.operands)]
        return [one for one in variables if all(one is not other for other in held)]

    def gradients(self, given: Sequence[Any], name: str) -> list[Any]:
        """For each operand what the user's function returned for it.

        Raises:
          InvalidArgumentError: if the count does not fit.
        """
        if len(given) not in (self.count, self.total):
            raise InvalidArgumentError(
                f"the gradient function of {name!r} is expected to return {self.count} gradients, one for each "
                f"argument, but returned {len(given)} instead"
            )
        complete = [*given, *(None,) * (self.total - len(given))]
        return [complete[place] for place in self._places]


def _as_tensor(leaf: Any) -> Any:
    """Floats and arrays as tensors. What is neither stays as it is, integers too: an axis may be one."""
    return as_operand(leaf) if isinstance(leaf, float | complex | np.ndarray | np.generic) else leaf


class _Call:
    """One call of a function whose gradient is a rule of its own.

    The operands of the rule are the arguments' tensors and then what was read of `read`, the variables that
    the function reads and that are no arguments.
    """

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.f = f
        self.arguments = _Arguments(args, kwargs)
        self.watcher = _VariableWatcher()

    @property
    def read(self) -> list[State]:
        """The variables that were read and are no arguments."""
        return self.arguments.without(self.watcher.variables)

    @property
    def trainable(self) -> list[State]:
        """Those of them that have gradients."""
        return [one for one in self.read if one.trainable and is_differentiable(one.dtype)]

    def run(self, operands: Sequence[Any] | None = None) -> Any:
        """What the function returns for the arguments, or for the operands of the rule."""
        tensors = None if operands is None else operands[: len(self.arguments.operands)]
        args, kwargs = self.arguments.rebuilt(tensors)
        return as_called(self.f)(*args, **kwargs)

    def variables(self, operands: Sequence[Any]) -> list[tuple[State, Any]]:
        """Each variable with the operand of the rule that stands for it."""
        count = len(self.arguments.operands)
        read = zip(self.read, operands[count:], strict=True)
        return [*self.arguments.variables(operands[:count]), *read]

    def marked(self, results: Any, rule: CustomRule) -> Any:
        """The results as values whose gradient is what the rule says."""
        leaves, structure = flatten(results)
        tensors = tuple(as_operand(leaf) for leaf in leaves)
        operands = (*self.arguments.operands, *(read(variable) for variable in self.read))
        marked = apply_all(custom_gradient_op, (*tensors, *operands), {"count": len(tensors), "rule": rule})
        return unflatten(structure, marked)


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function its own gradient.

    Args:
      f: called with the arguments (numbers and arrays as tensors), it returns `(results, gradient)`.
        `gradient` is called with one cotangent for each result tensor and returns one for each positional
        argument (a tensor, None, or a sequence of them). If `f` reads trainable variables, `gradient`
        takes `variables=` too and returns `(cotangents, cotangents of the variables)`. Arguments given by
        keyword get no gradient, unless `gradient` returns cotangents for them behind the others.

    Raises, when the function is called or differentiated:
      SignatureError: if `f` does not return such a pair, or reads variables and `gradient` does not
        take `variables=`.
      InvalidArgumentError: if `gradient` returns another number of cotangents.

    >>> import graphjit as gj
    >>> @gj.custom_gradient
    ... def log1pexp(x):
    ...     e = gj.exp(x)
    ...     return gj.log(1 + e), lambda g: g * (1 - 1 / (1 + e))
    >>> x = gj.constant(100.0)
    >>> with gj.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = log1pexp(x)
    >>> print(tape.gradient(y, x))
    gj.Tensor(1.0, shape=(), dtype=float32)
    """

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, kwargs)
        with recording_by(call.watcher):
            results, gradient = _pair(call.run(), f)
        _require_variables(gradient, call.trainable, f)
        return call.marked(results, _users_rule(call, gradient))

    return decorated


def _name(f: Any) -> str:
    return str(getattr(f, "__name__", type(f).__name__))


def _pair(answer: Any, f: Callable[..., Any]) -> tuple[Any, Callable[..., Any]]:
    if not isinstance(answer, tuple) or len(answer) != 2 or not callable(answer[1]):
        raise SignatureError(
            f"{_name(f)!r} is decorated with gj.custom_gradient, so it returns a pair (results, gradient function), "
            f"but it returned {type(answer).__name__}"
        )
    return answer


def _require_variables(gradient: Callable[..., Any], variables: Sequence[State], f: Callable[..., Any]) -> None:
    if not variables:
        return
    parameters = inspect.signature(gradient).parameters
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    if "variables" not in parameters and not takes_any:
        names = ", ".join(repr(one.name) for one in variables)
        raise SignatureError(
            f"{_name(f)!r} reads the variables {names}, so its gradient function must take the keyword argument "
            "'variables' and return (cotangents of the arguments, cotangents of the variables)"
        )


def _users_rule(call: _Call, gradient: Callable[..., Any]) -> CustomRule:
    def cotangents(g: tuple[Any, ...], operands: tuple[Any, ...]) -> list[Any]:
        with standing_in(call.variables(operands)):
            given, for_variables = _called(gradient, g, call.trainable, call.f)
        found = call.arguments.gradients(_flat(given), _name(call.f))
        reads = dict(zip(map(id, call.trainable), for_variables, strict=True))
        found.extend(reads.get(id(variable)) for variable in call.read)
        return [_cotangent(one, operand) for one, operand in zip(found, operands, strict=True)]

    return CustomRule(_name(call.f), cotangents)


def _called(
    gradient: Callable[..., Any], g: tuple[Any, ...], variables: Sequence[State], f: Callable[..., Any]
) -> tuple[Any, list[Any]]:
    if not variables:
        return as_called(gradient)(*g), []
    answer = as_called(gradient)(*g, variables=list(variables))
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise SignatureError(
            f"the gradient function of {_name(f)!r} takes variables, so it returns a pair: "
            "(cotangents of the arguments, cotangents of the variables)"
        )
    for_variables = _flat(answer[1])
    if len(for_variables) != len(variables):
        raise InvalidArgumentError(
            f"the gradient function of {_name(f)!r} must return a gradient for each of the {len(variables)} "
            f"variables, but returned {len(for_variables)}"
        )
    return answer[0], for_variables


def _flat(given: Any) -> list[Any]:
    return _flat_and_structure(given)[0]


def _flat_and_structure(nested: Any) -> tuple[list[Any], Any]:
    """The leaves of lists, tuples and dicts. Instances of other classes stay whole: `self` may be a dataclass."""
    leaves, structure = optree.tree_flatten(nested, none_is_leaf=True)
    return leaves, structure


def _cotangent(given: Any, operand: Any) -> Any:
    if given is None or not is_differentiable(operand.dtype):
        return None
    return as_operand(given, operand.dtype, "a cotangent")


def recompute_grad(f: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function be computed again when it is differentiated, instead of keeping its intermediate values.

    The gradients are the same; it costs a second computation and saves memory between the two. Trainable
    variables that the function reads get their gradients too. It may be differentiated any number of times.
    Where value and gradient are computed in one compiled function, equal computations are merged, and
    nothing is computed twice.

    >>> import graphjit as gj
    >>> runs = []
    >>> @gj.recompute_grad
    ... def cube(x):
    ...     runs.append("run")
    ...     return x * x * x
    >>> x = gj.Variable(2.0)
    >>> with gj.GradientTape() as tape:
    ...     y = cube(x)
    >>> print(len(runs), tape.gradient(y, x).numpy(), len(runs))
    1 12.0 2
    """

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, kwargs)
        with interpreting(current_interpreter(), (call.watcher,)):
            results = call.run()
        return call.marked(results, _recomputing_rule(call))

    return decorated


def _recomputing_rule(call: _Call) -> CustomRule:
    def cotangents(g: tuple[Any, ...], operands: tuple[Any, ...]) -> list[Any]:
        # What is computed from them belongs to the backward half of a compiled function, not to the forward half.
        fresh = [apply(deferred_op, operand, g[0]) for operand in operands]
        recording = Recording()
        for operand in fresh:
            recording.watch(operand)
        with recording_by(recording), standing_in(call.variables(fresh), everywhere=True):
            results = [as_operand(leaf) for leaf in flatten(call.run(fresh))[0]]
        found = backward(recording, list(zip(results, g, strict=True)), fresh)
        return [found.of(operand) for operand in fresh]

    return CustomRule(_name(call.f), cotangents)


def grad_pass_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """Let gradients pass a function of one tensor as if it were the identity (a straight-through estimator).

    >>> import graphjit as gj
    >>> x = gj.Variable(1.4)
    >>> with gj.GradientTape() as tape:
    ...     y = gj.grad_pass_through(gj.round)(x)
    >>> print(tape.gradient(y, x))
    gj.Tensor(1.0, shape=(), dtype=float32)
    """

    @functools.wraps(f)
    def passing(x: Any, *args: Any, **kwargs: Any) -> Any:
        return custom_gradient(lambda operand: (f(operand, *args, **kwargs), lambda g: g))(x)

    return passing
