"""What weights are brought back to after each update."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.arithmetic import sqrt, square
from graphjit.compiler.ops.reduction import reduce_sum
from graphjit.compiler.ops.selecting import clip_by_value, maximum

from .byname import Configurable, deserialize as _deserialize, instantiate, serialize as _serialize, table_of
from .precision import epsilon


class Constraint(Configurable):
    """A function from a weight to an allowed one; so is any function of that kind."""

    def __call__(self, w: Any) -> Any:
        """The allowed weight."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(w)")


class NonNeg(Constraint):
    """Negative numbers become 0.

    >>> import graphjit as gj
    >>> print(NonNeg()(gj.constant([-1.0, 2.0])).numpy())
    [0. 2.]
    """

    def __call__(self, w: Any) -> Any:
        """The allowed weight."""
        return maximum(as_operand(w), 0.0)


def _norm(w: Any, axis: Any) -> Any:
    return sqrt(reduce_sum(square(w), axis, keepdims=True))


class UnitNorm(Constraint):
    """The norm along `axis` becomes 1."""

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """The allowed weight."""
        value = as_operand(w)
        return value / (epsilon() + _norm(value, self.axis))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"axis": self.axis}


class MaxNorm(Constraint):
    """The norm along `axis` is at most `max_value`."""

    def __init__(self, max_value: float = 2.0, axis: Any = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        """The allowed weight."""
        value = as_operand(w)
        norm = _norm(value, self.axis)
        return value * (clip_by_value(norm, 0.0, self.max_value) / (epsilon() + norm))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"max_value": self.max_value, "axis": self.axis}


class MinMaxNorm(Constraint):
    """The norm along `axis` is drawn, by `rate`, into [min_value, max_value]."""

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        """The allowed weight."""
        value = as_operand(w)
        norm = _norm(value, self.axis)
        wanted = self.rate * clip_by_value(norm, self.min_value, self.max_value) + (1.0 - self.rate) * norm
        return value * (wanted / (epsilon() + norm))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


CONSTRAINTS = table_of(NonNeg, UnitNorm, MaxNorm, MinMaxNorm)


def get(identifier: Any) -> Any:
    """The constraint with a name or configuration; a constraint or a function is given back."""
    return instantiate(identifier, CONSTRAINTS, "constraint")


def serialize(constraint: Any) -> Any:
    """The constraint as a configuration."""
    return _serialize(constraint)


def deserialize(config: Any) -> Any:
    """The constraint that `serialize` wrote down."""
    return _deserialize(config, CONSTRAINTS, "constraint")


__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "serialize"]
