"""Penalties for weights and activities, which a model adds to its loss."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.arithmetic import abs as absolute, square
from graphjit.compiler.ops.filling import eye
from graphjit.compiler.ops.linear import matmul
from graphjit.compiler.ops.norms import l2_normalize
from graphjit.compiler.ops.reduction import reduce_sum
from graphjit.compiler.ops.shaping import reshape
from graphjit.runtime.errors import ShapeError

from .byname import Configurable, deserialize as _deserialize, instantiate, serialize as _serialize, table_of


class Regularizer(Configurable):
    """A function from a weight to a scalar that is added to the loss; so is any function of that kind."""

    def __call__(self, x: Any) -> Any:
        """The penalty."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(x)")


class L1L2(Regularizer):
    """l1 * sum(|x|) + l2 * sum(x * x).

    >>> import graphjit as gj
    >>> print(float(L1L2(l1=0.5, l2=0.25)(gj.constant([1.0, -2.0]))))
    2.75
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = float(l1 or 0.0), float(l2 or 0.0)

    def __call__(self, x: Any) -> Any:
        """The penalty."""
        value = as_operand(x)
        terms = []
        if self.l1:
            terms.append(self.l1 * reduce_sum(absolute(value)))
        if self.l2:
            terms.append(self.l2 * reduce_sum(square(value)))
        return sum(terms[1:], terms[0]) if terms else reduce_sum(value) * 0.0

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """l1 * sum(|x|)."""

    def __init__(self, l1: float = 0.01, l: float | None = None) -> None:  # noqa: E741 -- Keras's name
        super().__init__(l1=l1 if l is None else l)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"l1": self.l1}


class L2(L1L2):
    """l2 * sum(x * x)."""

    def __init__(self, l2: float = 0.01, l: float | None = None) -> None:  # noqa: E741 -- Keras's name
        super().__init__(l2=l2 if l is None else l)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """factor times the mean of |cosine| over all pairs of rows (or columns) of a matrix."""

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor, self.mode = factor, mode

    def __call__(self, x: Any) -> Any:
        """The penalty."""
        value = as_operand(x)
        if value.type.rank != 2:
            raise ShapeError(f"an orthogonal regularizer takes a matrix, not shape {value.shape}")
        by_rows = self.mode == "rows"
        unit = l2_normalize(value, axis=1 if by_rows else 0)
        products = matmul(unit, unit, transpose_a=not by_rows, transpose_b=by_rows)
        size = int(products.shape[0])
        apart = products * (1.0 - eye(size, dtype=products.dtype))
        return self.factor * reduce_sum(absolute(reshape(apart, [-1]))) / float(max(size * (size - 1), 1))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"factor": self.factor, "mode": self.mode}


def l1(l1: float = 0.01, l: float | None = None) -> L1:  # noqa: E741 -- Keras's name
    """l1 * sum(|x|)."""
    return L1(l1, l)


def l2(l2: float = 0.01, l: float | None = None) -> L2:  # noqa: E741 -- Keras's name
    """l2 * sum(x * x).

    >>> import graphjit as gj
    >>> print(float(l2(l=0.5)(gj.constant([2.0]))))
    2.0
    """
    return L2(l2, l)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """l1 * sum(|x|) + l2 * sum(x * x)."""
    return L1L2(l1, l2)


REGULARIZERS = table_of(L1, L2, L1L2, OrthogonalRegularizer, l1_l2=l1_l2)


def get(identifier: Any) -> Any:
    """The regularizer with a name or configuration; a regularizer or a function is given back."""
    return instantiate(identifier, REGULARIZERS, "regularizer")


def serialize(regularizer: Any) -> Any:
    """The regularizer as a configuration."""
    return _serialize(regularizer)


def deserialize(config: Any) -> Any:
    """The regularizer that `serialize` wrote down."""
    return _deserialize(config, REGULARIZERS, "regularizer")


__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "serialize",
]
