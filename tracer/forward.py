"""ForwardAccumulator: derivatives along a direction (Jacobian-vector products)."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from graphjit.compiler.dispatch import add_recorder, remove_recorder
from graphjit.compiler.gradient import Recording, forward, is_differentiable
from graphjit.compiler.operand import as_operand
from graphjit.runtime.errors import DtypeError, FailedPreconditionError, InvalidArgumentError, ShapeError

from .structure import flatten, unflatten
from .tape import require_watchable
from .unconnected import UnconnectedGradients, as_unconnected, connected


class ForwardAccumulator:
    """Differentiates along a direction: `jvp(y)` is the Jacobian of y by the primals times the tangents.

    One call costs about three times the computation of y, however many primals there are. Accumulators and
    gradient tapes nest in any order: the product of a Hessian and a vector is `jvp` of a gradient.

    Args:
      primals: tensors or variables, or a nested structure of them.
      tangents: the direction: the same structure, dtypes and shapes.

    Raises:
      InvalidArgumentError: if a primal is given twice, or the structures differ.
      DtypeError, ShapeError: if a tangent does not fit its primal.

    >>> import graphjit as gj
    >>> x = gj.constant([1.0, 2.0])
    >>> with gj.ForwardAccumulator(x, gj.constant([1.0, 0.0])) as accumulator:
    ...     y = x * x * x
    >>> print(accumulator.jvp(y))
    gj.Tensor([3. 0.], shape=(2,), dtype=float32)
    """

    def __init__(self, primals: Any, tangents: Any) -> None:
        leaves, structure = flatten(primals)
        directions, other = flatten(tangents)
        if structure != other:
            raise InvalidArgumentError(f"the tangents {other} have another structure than the primals {structure}")
        self._pairs = [_checked(primal, tangent) for primal, tangent in zip(leaves, directions, strict=True)]
        self._recording = Recording()
        self._is_active = False
        for place, (primal, _) in enumerate(self._pairs):
            if any(primal is other for other, _ in self._pairs[:place]):
                raise InvalidArgumentError(f"primal {place} is given twice; add its tangents instead")
            self._recording.watch(primal)

    def __enter__(self) -> ForwardAccumulator:
        if self._is_active:
            raise FailedPreconditionError("this accumulator is in use already")
        add_recorder(self._recording)
        self._is_active = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        remove_recorder(self._recording)
        self._is_active = False

    def jvp(self, primals: Any, unconnected_gradients: Any = UnconnectedGradients.NONE) -> Any:
        """The derivative of each of the tensors in `primals` along the tangents.

        Args:
          primals: a tensor, or a nested structure of tensors, that were computed inside of the `with`.
          unconnected_gradients: "none" or "zero", for what does not depend on the primals.

        Raises:
          GradientError: if an op on the path has no gradient rule.
        """
        unconnected = as_unconnected(unconnected_gradients)
        leaves, structure = flatten(primals)
        for leaf in leaves:
            require_watchable(leaf, "the value to differentiate")
        was_active = self._is_active
        if was_active:
            remove_recorder(self._recording)
        try:
            derivatives = [connected(self._along(leaf), leaf, unconnected) for leaf in leaves]
        finally:
            if was_active:
                add_recorder(self._recording)
        return unflatten(structure, derivatives)

    def _along(self, target: Any) -> Any:
        if not is_differentiable(target.dtype) or not self._recording.is_tracked(target):
            return None
        return forward(self._recording, self._pairs, target)


def _checked(primal: Any, tangent: Any) -> tuple[Any, Any]:
    require_watchable(primal, "a primal")
    if not is_differentiable(primal.dtype):
        raise DtypeError(f"a primal holds {primal.dtype.name}; only floating dtypes have derivatives")
    direction = as_operand(tangent, primal.dtype, "a tangent")
    if direction.type.dtype is not primal.dtype:
        raise DtypeError(f"a tangent is {direction.type.dtype.name}, but its primal is {primal.dtype.name}")
    if not direction.shape.is_compatible_with(primal.shape):
        raise ShapeError(f"a tangent has shape {direction.shape}, but its primal has shape {primal.shape}")
    return primal, direction
