"""What stands for a derivative that does not exist because one thing does not depend on another."""

from __future__ import annotations

from enum import Enum
from typing import Any

from graphjit.compiler.dispatch import not_recording
from graphjit.compiler.operand import PUBLIC, as_operand
from graphjit.runtime.errors import InvalidArgumentError


class UnconnectedGradients(Enum):
    """What stands for the gradient with respect to something that the target does not depend on."""

    NONE = "none"
    ZERO = "zero"


def as_unconnected(value: Any) -> UnconnectedGradients:
    """The member that `value`, itself a member or "none" or "zero", names.

    Raises:
      InvalidArgumentError: if it names none.
    """
    try:
        return UnconnectedGradients(value)
    except ValueError:
        raise InvalidArgumentError(f"unconnected_gradients is 'none' or 'zero', not {value!r}") from None


def connected(derivative: Any, like: Any, unconnected: UnconnectedGradients) -> Any:
    """The derivative, or what stands for one that does not exist; `like` has its shape."""
    if derivative is not None or unconnected is UnconnectedGradients.NONE:
        return derivative
    with not_recording():
        return PUBLIC["zeros_like"](as_operand(like))
