"""Places of elements as single numbers and back, so that they can be sorted and compared."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.operand import PUBLIC
from graphjit.compiler.tensortype import Shape
from graphjit.runtime.errors import DtypeError

from .sparsetensor import SparseTensor


def require_sparse(value: Any, what: str) -> None:
    """Refuse what is no sparse tensor.

    Raises:
      DtypeError: if it is none.
    """
    if not isinstance(value, SparseTensor):
        raise DtypeError(f"{what} takes a sparse tensor, not a {type(value).__name__}; gj.sparse.from_dense makes one")


def _steps(dense_shape: Any) -> Any:
    """How far apart neighbours along each axis are, in row-major order."""
    return PUBLIC["cumprod"](dense_shape, exclusive=True, reverse=True)


def linear(sparse: SparseTensor) -> Any:
    """The number of each element's place in row-major order."""
    return PUBLIC["reduce_sum"](sparse.indices * _steps(sparse.dense_shape), axis=1)


def unravelled(numbers: Any, dense_shape: Any) -> Any:
    """The places that these numbers stand for."""
    return PUBLIC["expand_dims"](numbers, 1) // _steps(dense_shape) % dense_shape


def kept_columns(sparse: SparseTensor, axes: list[int]) -> tuple[Any, Any, Shape]:
    """The places, sizes and static sizes along some axes only, in this order."""
    places = PUBLIC["gather"](sparse.indices, axes, axis=1)
    sizes = PUBLIC["gather"](sparse.dense_shape, axes)
    return places, sizes, tuple(sparse.static_shape[one] for one in axes)


__all__: list[str] = []
