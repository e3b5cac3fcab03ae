"""Operators on descriptions of tensors, and layers that bring several tensors together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from graphjit.compiler.operand import PUBLIC
from graphjit.compiler.ops.comparing import logical_or
from graphjit.compiler.ops.filling import ones_like, zeros_like
from graphjit.compiler.ops.joining import concat
from graphjit.compiler.ops.norms import l2_normalize
from graphjit.compiler.ops.reduction import reduce_any, reduce_sum
from graphjit.compiler.ops.shaping import expand_dims
from graphjit.runtime.errors import InvalidArgumentError

from .layer import Layer


class Operation(Layer):
    """A function of the library, by name, as a layer: what `a + b` of two descriptions stands for."""

    def __init__(self, operation: str, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, autocast=False, **kwargs)
        self.operation = operation
        self.built = True

    def call(self, *operands: Any) -> Any:
        """What the function gives."""
        return PUBLIC[self.operation](*operands)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"name": self.name, "operation": self.operation}


class _Merge(Layer):
    """One tensor of several, element by element."""

    supports_masking = True
    _combine: Callable[[Any, Any], Any]

    def call(self, inputs: Any) -> Any:
        """The tensors together."""
        if not isinstance(inputs, list | tuple) or len(inputs) < 2:
            raise InvalidArgumentError(f"{type(self).__name__} takes a list of two tensors or more")
        result = inputs[0]
        for one in inputs[1:]:
            result = type(self)._combine(result, one)
        return result

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """A step counts if it does in one of the tensors; none where one of them has no mask."""
        if previous_mask is None or any(one is None for one in previous_mask):
            return None
        return functools.reduce(logical_or, previous_mask)


def _merge(name: str, operation: str, doc: str) -> Any:
    """A class of layers that combines its inputs by a function of two."""
    combine = staticmethod(PUBLIC[operation])
    return type(name, (_Merge,), {"_combine": combine, "__doc__": doc, "__module__": __name__})


Add = _merge("Add", "add", "The sum of a list of tensors.")
Subtract = _merge("Subtract", "subtract", "The first of two tensors less the second.")
Multiply = _merge("Multiply", "multiply", "The product of a list of tensors, element by element.")
Maximum = _merge("Maximum", "maximum", "The greatest of a list of tensors, element by element.")
Minimum = _merge("Minimum", "minimum", "The least of a list of tensors, element by element.")


class Average(_Merge):
    """The mean of a list of tensors, element by element."""

    _combine = staticmethod(PUBLIC["add"])

    def call(self, inputs: Any) -> Any:
        """The mean."""
        return super().call(inputs) / float(len(inputs))


class Concatenate(Layer):
    """A list of tensors side by side along an axis.

    >>> import graphjit as gj
    >>> Concatenate()([gj.zeros([2, 3]), gj.zeros([2, 4])]).shape
    TensorShape([2, 7])
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        """The tensors side by side."""
        return concat(list(inputs), self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The masks side by side; along another axis than that of the steps a step counts if it does in one."""
        if previous_mask is None or all(one is None for one in previous_mask):
            return None
        pairs = zip(inputs, previous_mask, strict=True)
        return reduce_any(concat([_spread(one, mask) for one, mask in pairs], self.axis), -1)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "axis": self.axis}


def _spread(value: Any, mask: Any) -> Any:
    """A mask in the shape of the tensor that it belongs to."""
    if mask is None:
        return ones_like(value, "bool")
    while mask.type.rank < value.type.rank:
        mask = expand_dims(mask, -1)
    return logical_or(mask, zeros_like(value, "bool"))


class Dot(Layer):
    """The product of two tensors' vectors along axes: of [batch, n] and [batch, n] one number for each example."""

    def __init__(self, axes: int = -1, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes, self.normalize = axes, normalize

    def call(self, inputs: Any) -> Any:
        """The products."""
        left, right = inputs
        if self.normalize:
            left, right = l2_normalize(left, axis=self.axes), l2_normalize(right, axis=self.axes)
        return reduce_sum(left * right, self.axes, keepdims=True)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


__all__ = ["Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Operation", "Subtract"]
