"""Layers called on descriptions of tensors: they write down which layer gets what, for a functional model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from graphjit.compiler.tensortype import DType, TensorShape, TensorSpec, as_dtype
from graphjit.runtime.errors import FailedPreconditionError, TraceError
from graphjit.tracer.compiling import compile as compile_function
from graphjit.tracer.structure import flatten, unflatten

if TYPE_CHECKING:
    from .layer import Layer


class KerasTensor:
    """The shape and dtype of a tensor that a functional model will compute, and the call that computes it.

    Made by `Input` and by calling layers on such descriptions; `Model(inputs, outputs)` makes a model of them.
    """

    def __init__(self, shape: Any, dtype: Any = None, name: str | None = None, producer: Node | None = None) -> None:
        self.shape = TensorShape(shape)
        self.dtype: DType = as_dtype(dtype or "float32")
        self.name = name
        self.producer = producer
        self.source: Layer | None = None
        """The layer that stands for it in a model, where it is an input."""

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def get_shape(self) -> TensorShape:
        """The same as `shape`."""
        return self.shape

    def __getitem__(self, key: Any) -> Any:
        return operate("getitem", self, key)

    def __bool__(self) -> bool:
        raise TraceError("a description of a tensor has no numbers; it only takes part in calls of layers")

    def __array__(self, *_: Any) -> Any:
        raise TraceError(
            f"{self!r} is a description of a tensor, which only layers and operators take; put NumPy and graphjit "
            "functions into a Lambda layer"
        )

    def __repr__(self) -> str:
        return f"<gj.KerasTensor shape={self.shape}, dtype={self.dtype.name}, name={self.name}>"


class Node:
    """One call of a layer on descriptions."""

    def __init__(self, layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.layer = layer
        self.args = args
        self.kwargs = kwargs
        self.outputs: list[KerasTensor] = []
        self.structure: Any = None

    @property
    def inputs(self) -> list[KerasTensor]:
        """The descriptions among the arguments."""
        return [leaf for leaf in flatten((self.args, self.kwargs))[0] if isinstance(leaf, KerasTensor)]


def holds_descriptions(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether there is a description among the arguments of a call."""
    if any(isinstance(one, KerasTensor) for one in args):
        return True
    if any(isinstance(one, list | tuple | dict) for one in (*args, *kwargs.values())):
        return any(isinstance(leaf, KerasTensor) for leaf in flatten((list(args), kwargs))[0])
    return any(isinstance(one, KerasTensor) for one in kwargs.values())


def connect(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Write the call down; returns descriptions of what the layer will return."""
    node = Node(layer, args, kwargs)
    specs, structure = described_results(layer, args, kwargs)
    node.outputs = [KerasTensor(one.shape, one.dtype, layer.name, node) for one in specs]
    node.structure = structure
    layer._record.calls.append(node)
    return unflatten(structure, node.outputs)


def only_call(layer: Layer) -> Node:
    """The one call of a layer on descriptions.

    Raises:
      FailedPreconditionError: if there is none, or more than one.
    """
    record = layer._record
    owner = None if record.owner is None else record.owner()
    if not record.calls and owner is not None:
        owner.describe()
    if len(record.calls) != 1:
        raise FailedPreconditionError(
            f"{layer.name!r} was called {len(record.calls)} times on descriptions, but once is needed to say what it "
            "gives; keep the results of the calls, or call it on an Input"
        )
    call: Node = record.calls[0]
    return call


def described_results(function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[list[TensorSpec], Any]:
    """Specifications of what a function returns for descriptions, found by tracing it; and their structure."""
    leaves, structure = flatten((args, kwargs))
    places = [position for position, leaf in enumerate(leaves) if isinstance(leaf, KerasTensor)]

    def run(*tensors: Any) -> Any:
        filled = list(leaves)
        for position, tensor in zip(places, tensors, strict=True):
            filled[position] = tensor
        positional, keywords = unflatten(structure, filled)
        return function(*positional, **keywords)

    specs = [TensorSpec(leaves[position].shape, leaves[position].dtype) for position in places]
    results = compile_function(run).get_concrete_function(*specs).structured_outputs
    found, shape = flatten(results)
    return found, shape


def operate(name: str, *operands: Any) -> Any:
    """An operator on descriptions, as a layer of its own."""
    from .operating import Operation

    return Operation(name)(*operands)


def _operator(name: str, reflected: bool = False) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        return operate(name, other, self) if reflected else operate(name, self, other)

    return operator


for _name, _op in (("add", "add"), ("sub", "subtract"), ("mul", "multiply"), ("truediv", "divide"), ("pow", "pow")):
    setattr(KerasTensor, f"__{_name}__", _operator(_op))
    setattr(KerasTensor, f"__r{_name}__", _operator(_op, reflected=True))
setattr(KerasTensor, "__matmul__", _operator("matmul"))  # noqa: B010 -- in the manner of the lines above
setattr(KerasTensor, "__neg__", lambda self: operate("negative", self))  # noqa: B010 -- in the manner of the lines above

__all__ = ["KerasTensor"]
