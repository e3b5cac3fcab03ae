"""Tensors whose Euclidean norm is limited, alone or together: for gradients before they are applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphjit.runtime.errors import InvalidArgumentError

from ..operand import PUBLIC, as_operand, as_operands, public, require_kind
from .norms import reduce_euclidean_norm
from .selecting import maximum, minimum


@public()
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Any:
    """The tensor, scaled down to the norm `clip_norm` where its norm is greater.

    Args:
      t: floats.
      clip_norm: a positive number.
      axes: the axes along which norms are taken; by default one norm of all elements.

    Raises:
      DtypeError: if the elements are no floats.

    >>> import graphjit as gj
    >>> print(gj.clip_by_norm([3.0, 4.0], 1.0))
    gj.Tensor([0.6 0.8], shape=(2,), dtype=float32)
    """
    operand, limit = as_operands(as_operand(t), clip_norm)
    norm = reduce_euclidean_norm(operand, axes, keepdims=True)
    return operand * limit / maximum(norm, limit)


def _present(tensors: Any) -> list[Any]:
    if not isinstance(tensors, Sequence) or isinstance(tensors, str):
        raise InvalidArgumentError(f"t_list must be a list of tensors, not {type(tensors).__name__}")
    present = [as_operand(one) for one in tensors if one is not None]
    for one in present:
        require_kind(one.type, "f", "t_list")
    if not present:
        raise InvalidArgumentError("t_list holds no tensors, so there is no norm")
    return present


@public()
def global_norm(t_list: Sequence[Any], name: str | None = None) -> Any:
    """The Euclidean norm of the elements of all tensors together (`gj.linalg.global_norm`).

    Args:
      t_list: tensors of one float dtype; None among them is left out.

    Raises:
      InvalidArgumentError: if there is no tensor.

    >>> import graphjit as gj
    >>> print(gj.linalg.global_norm([[3.0], None, [[4.0]]]))
    gj.Tensor(5.0, shape=(), dtype=float32)
    """
    norms = [reduce_euclidean_norm(one) for one in _present(t_list)]
    return norms[0] if len(norms) == 1 else reduce_euclidean_norm(PUBLIC["stack"](norms))


@public()
def clip_by_global_norm(
    t_list: Sequence[Any], clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Any], Any]:
    """Tensors, scaled down by one factor where their global norm is greater than `clip_norm`.

    If the norm is not finite the results are NaN.

    Args:
      t_list: tensors of one float dtype; None among them stays None.
      clip_norm: a positive number.
      use_norm: the global norm, if it is known already.

    Returns:
      The list of scaled tensors, and the global norm before.

    Raises:
      InvalidArgumentError: if there is no tensor.

    >>> import graphjit as gj
    >>> clipped, norm = gj.clip_by_global_norm([gj.constant([3.0]), None, gj.constant([4.0])], 1.0)
    >>> clipped[0].tolist(), clipped[1], norm.numpy().item()
    ([0.6000000238418579], None, 5.0)
    """
    norm = global_norm(t_list) if use_norm is None else as_operand(use_norm)
    norm, limit = as_operands(norm, clip_norm)
    not_finite = norm - norm  # 0, or NaN
    factor = limit * minimum(1.0 / norm, 1.0 / limit) + not_finite
    return [None if one is None else as_operand(one) * factor for one in t_list], norm


__all__ = ["clip_by_global_norm", "clip_by_norm", "global_norm"]
