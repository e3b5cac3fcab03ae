"""Signatures that the user declares: `input_signature=[TensorSpec(...), ...]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.compiler.operand import Operand, as_operand
from graphjit.compiler.tensortype import TensorShape, TensorSpec, TensorType
from graphjit.runtime.errors import GraphjitError, SignatureError

from .signature import Call, Names, Parameters, TensorSlot, described, value_key
from .state import State
from .structure import flatten, unflatten
from .tensor import Tensor


class InputSignature:
    """The declared types of the first parameters; the others are fixed to their defaults.

    Raises:
      SignatureError: if there are more specs than parameters, or a parameter has neither spec nor default.
    """

    def __init__(self, specs: Sequence[Any], parameters: Parameters) -> None:
        self._parameters = parameters
        self._specs = tuple(specs)
        names = parameters.names
        if parameters.signature is not None and len(self._specs) > len(names) and not parameters.takes_any:
            raise SignatureError(
                f"the input_signature of {parameters.function_name!r} has {len(self._specs)} specs, "
                f"but there are {len(names)} parameters: {', '.join(names)}"
            )
        self.leaves, self.structure = flatten((self._specs, {}))
        for spec in self.leaves:
            if not isinstance(spec, TensorSpec):
                raise SignatureError(
                    f"the input_signature of {parameters.function_name!r} holds {spec!r}, which is no TensorSpec"
                )
        self._names = Names(names, self.structure)

    def take_apart(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """The arguments of a call, converted to the declared types.

        Raises:
          SignatureError: if one does not fit.
        """
        call = self._parameters.take_apart(*self.converted(args, kwargs, shares=True))
        types = [_declared(spec, one) for spec, one in zip(self.leaves, call.leaves, strict=False)]
        call.slots = (*map(TensorSlot, types), *call.slots[len(types) :])
        return call

    def converted(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], shares: bool = False
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, with tensors of the declared types where there are specs.

        Args:
          shares: whether tensors may share memory with arrays that the user may change later.

        Raises:
          SignatureError: if one does not fit.
        """
        self._require_defaults(args, kwargs)
        given = self._matched(args[: len(self._specs)])
        tensors = [
            Tensor(one) if shares and _is_declared(one, spec) else self._converted(one, spec, position)
            for position, (one, spec) in enumerate(zip(given, self.leaves, strict=True))
        ]
        declared, _ = unflatten(self.structure, tensors)
        return (*declared, *args[len(self._specs) :]), kwargs

    def call_of_specs(self) -> Call:
        """A call with the specs themselves as arguments, to trace for.

        Raises:
          SignatureError: if a rank is unknown.
        """
        args, kwargs = self._parameters.bind(self._specs, {})
        return self._parameters.take_apart(args, kwargs)

    def _matched(self, args: tuple[Any, ...]) -> list[Any]:
        """For each spec what stands at its place among the arguments: a tensor, a number, a list ..."""
        try:
            found: list[Any] = self.structure.flatten_up_to((args, {}))
        except ValueError as error:
            raise SignatureError(
                f"the arguments of {self._parameters.function_name!r} are not nested as its input_signature: {error}"
            ) from None
        return found

    def _converted(self, value: Any, spec: TensorSpec, position: int) -> Any:
        what = self._parameters.name_of(self._names, position)
        if isinstance(value, State):
            value = value.read_value()
        if isinstance(value, Operand):
            if not spec.is_compatible_with(value):
                raise SignatureError(f"{what} is {value.type}, where the input_signature asks for {_shown(spec)}")
            return value
        try:
            operand = as_operand(_cast(value, spec), spec.dtype, what)
        except GraphjitError as error:
            raise SignatureError(f"{what} does not fit the input_signature: {error}") from None
        if not spec.shape.is_compatible_with(operand.shape):
            raise SignatureError(f"{what} is {operand.type}, where the input_signature asks for {_shown(spec)}")
        return operand

    def _require_defaults(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Parameters without a spec keep their default."""
        signature = self._parameters.signature
        if signature is None:
            return
        defaults = {name: one.default for name, one in signature.parameters.items()}
        given = dict(zip(self._parameters.names[len(self._specs) :], args[len(self._specs) :], strict=False))
        for name, value in (*given.items(), *kwargs.items()):
            default = defaults.get(name, value)
            same = value is default or (value_key(value) is not None and value_key(value) == value_key(default))
            if not same:
                raise SignatureError(
                    f"{name!r} of {self._parameters.function_name!r} has no spec in the input_signature, so it is "
                    f"always its default {described(default)}; {described(value)} was given"
                )


def _is_declared(value: Any, spec: TensorSpec) -> bool:
    """Whether a value is an array of exactly the declared type."""
    is_array = type(value) is np.ndarray and value.dtype == spec.dtype.numpy
    return is_array and spec.shape.is_compatible_with(value.shape)


def _cast(value: Any, spec: TensorSpec) -> Any:
    """An array of integers where floats are asked for, and the other way never, as floats; else the value itself."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biu" and spec.dtype.is_floating:
        return value.astype(spec.dtype.numpy)
    return value


def _declared(spec: TensorSpec, tensor: Any) -> TensorType:
    """The type to trace for: the spec's, with the actual rank where that is open."""
    actual: TensorType = tensor.type
    sizes = (None,) * actual.rank if spec.shape.rank is None else tuple(spec.shape)
    return TensorType(spec.dtype, sizes)


def _shown(spec: TensorSpec) -> str:
    return f"{spec.dtype.name} of shape {TensorShape(spec.shape)}"


__all__: list[str] = []
