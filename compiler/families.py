"""Factories that declare ops of one family in a few lines, and return the public function.

An elementwise op needs a NumPy function, the expression of one element in the
kernel language, and a gradient rule for each operand; inference, broadcasting and
argument conversion are the family's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from graphjit.runtime.errors import ShapeError
from graphjit.runtime.fields import dataclass

from .dispatch import apply
from .op import Differentiability, Example, Gradient, Kind, Op, declare
from .operand import (
    FOR_NUMPY,
    PUBLIC,
    Composite,
    as_operand,
    as_operands,
    is_operand_like,
    kinds_in_words,
    require_kind,
    require_same_dtype,
)
from .tensortype import DType, TensorType, bool_, broadcast_shapes, normalize_axes
from .writer import static_value

Kernel = str | Callable[[tuple[TensorType, ...], Mapping[str, Any]], str] | None
ResultDType = DType | None
"""None: the operands' own dtype."""


class UnaryFunction(Protocol):
    """A public function of one operand."""

    __name__: str

    def __call__(self, x: Any, name: str | None = None) -> Any: ...


class BinaryFunction(Protocol):
    """A public function of two operands that broadcast."""

    __name__: str

    def __call__(self, x: Any, y: Any, name: str | None = None) -> Any: ...


class ReductionFunction(Protocol):
    """A public function that combines elements along axes."""

    __name__: str

    def __call__(self, input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any: ...


def infer_elementwise(dtypes: str, result: ResultDType) -> Callable[..., tuple[TensorType, ...]]:
    """Inference for ops whose operands have one dtype (of the NumPy kinds `dtypes`) and broadcast."""

    def infer(types: tuple[TensorType, ...], **_attributes: Any) -> tuple[TensorType, ...]:
        dtype = require_same_dtype(types)
        for one in types:
            require_kind(one, dtypes)
        shape = broadcast_shapes(*(one.shape for one in types))
        return (TensorType(dtype if result is None else result, shape),)

    return infer


_SHAPES_OF_EXAMPLES: dict[int, tuple[tuple[str, ...], ...]] = {
    1: (("[2,3]",), ("[]",), ("[0,3]",), ("[33]",)),
    2: (("[2,3]", "[2,3]"), ("[2,3]", "[3]"), ("[4,1]", "[1,5]"), ("[]", "[7]"), ("[0,3]", "[3]")),
    3: (("[2,3]", "[3]", "[]"), ("[5]", "[5]", "[5]")),
}


def elementwise_examples(count: int, dtypes: str, domain: tuple[float, float]) -> tuple[Example, ...]:
    """Examples over the shapes that matter: equal, broadcast, scalar, empty, longer than a vector."""
    dtype = "f64" if "f" in dtypes else ("i32" if "i" in dtypes else "bool")
    low, high = domain
    return tuple(
        Example(tuple(f"{dtype}{shape} in ({low}, {high})" for shape in shapes))
        for shapes in _SHAPES_OF_EXAMPLES[count]
    )


def _documentation(doc: str, op: Op, arguments: str) -> str:
    """The docstring of a public function: what it does, what it takes, what it raises."""
    fits = "" if "," not in arguments else "; the shapes broadcast, and both have one dtype"
    takes = f"Args:\n  {arguments}: {kinds_in_words(op.dtypes)}{fits}."
    return f"{doc}\n\n{takes}\n\nRaises:\n  DtypeError: for other dtypes.\n"


def _named(function: Any, name: str, doc: str, module: str, op: Op) -> Any:
    # The code is renamed as well, so that tracebacks and errors name the op.
    function.__code__ = function.__code__.replace(co_name=name, co_qualname=name)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = module
    function.op = op
    PUBLIC[name] = function
    if isinstance(op.numpy, np.ufunc):
        FOR_NUMPY.setdefault(op.numpy, function)
    return function


def elementwise(
    name: str,
    count: int,
    numpy: Callable[..., Any],
    kernel: Kernel,
    gradient: Gradient,
    doc: str,
    dtypes: str,
    result: ResultDType,
    domain: tuple[float, float],
    facts: Mapping[str, Any],
) -> Op:
    """Declare an elementwise op of `count` operands of one dtype; the public function is the caller's.

    `facts` are further facets of the op; `examples` among them come on top of the family's own.
    """
    more = dict(facts)
    examples = (*elementwise_examples(count, dtypes, domain), *more.pop("examples", ()))
    op = Op(
        name=name,
        kind=Kind.ELEMENTWISE,
        infer=infer_elementwise(dtypes, result),
        numpy=numpy,
        kernel=kernel,
        gradient=gradient,
        examples=examples,
        dtypes=dtypes,
        domain=domain,
        doc=doc,
        **more,
    )
    return declare(op)


def unary(
    name: str,
    numpy: Callable[..., Any],
    kernel: Kernel,
    gradient: Gradient,
    *,
    doc: str,
    dtypes: str = "f",
    result: ResultDType = None,
    domain: tuple[float, float] = (-4.0, 4.0),
    **facts: Any,
) -> UnaryFunction:
    """Declare an elementwise op of one operand; returns its public function."""
    op = elementwise(name, 1, numpy, kernel, gradient, doc, dtypes, result, domain, facts)

    def function(x: Any, name: str | None = None) -> Any:
        if isinstance(x, Composite):
            return x.elementwise(named, (x,))
        return apply(op, as_operand(x))

    named: UnaryFunction = _named(function, name, _documentation(doc, op, "x"), "graphjit", op)
    return named


def binary(
    name: str,
    numpy: Callable[..., Any],
    kernel: Kernel,
    gradient: Gradient,
    *,
    doc: str,
    dtypes: str = "iuf",
    result: ResultDType = None,
    domain: tuple[float, float] = (-4.0, 4.0),
    **facts: Any,
) -> BinaryFunction:
    """Declare an elementwise op of two operands; returns its public function."""
    op = elementwise(name, 2, numpy, kernel, gradient, doc, dtypes, result, domain, facts)

    def function(x: Any, y: Any, name: str | None = None) -> Any:
        if isinstance(x, Composite):
            return x.elementwise(named, (x, y))
        if isinstance(y, Composite):
            return y.elementwise(named, (x, y))
        return apply(op, *as_operands(x, y))

    named: BinaryFunction = _named(function, name, _documentation(doc, op, "x, y"), "graphjit", op)
    return named


FLAT: Gradient = Differentiability.NONE
"""For ops whose derivative is zero wherever it exists: gradients through them are None."""


def comparison(
    name: str, numpy: Callable[..., Any], symbol: str, *, doc: str, dtypes: str = "iuf", commutes: bool = False
) -> BinaryFunction:
    """Declare an elementwise comparison."""
    kernel = f"{{0}} {symbol} {{1}}"
    return binary(name, numpy, kernel, FLAT, doc=doc, dtypes=dtypes, result=bool_, commutes=commutes)


@dataclass(frozen=True, slots=True)
class ReductionKernel:
    """How a kernel reduces: `initial(dtype)` is a text, `combine` an expression of `{acc}` and `{x}`.

    An extreme of floats is also the greatest of whole numbers that are ordered like them, which is found
    faster, as each step waits less for the one before. `order_of` then says what of `{x}` is ordered.
    """

    initial: Callable[[DType], str]
    combine: str
    order_of: str | None = None


def reduced_shape(shape: Sequence[Any], axis: tuple[int, ...], keepdims: bool) -> tuple[Any, ...]:
    """The shape that is left when the axes are reduced.

    >>> reduced_shape((2, 3, 4), (1,), False), reduced_shape((2, 3, 4), (1,), True)
    ((2, 4), (2, 1, 4))
    """
    if keepdims:
        return tuple(1 if position in axis else size for position, size in enumerate(shape))
    return tuple(size for position, size in enumerate(shape) if position not in axis)


def axes_argument(axis: Any, rank: int) -> tuple[int, ...]:
    """The axes that an argument names: None for all, an integer, a sequence, or a tensor that is known.

    Raises:
      ShapeError: if one is out of range or named twice, or a traced tensor names them.
    """
    if not is_operand_like(axis):
        return normalize_axes(axis, rank)
    known = static_value(as_operand(axis))
    if known is None:
        raise ShapeError("the axes must be known when the function is traced, but a traced tensor names them")
    return normalize_axes(np.asarray(known).tolist(), rank)


def _reduction_arguments(op: Op) -> str:
    """The part of a docstring that all reductions share."""
    return (
        f"Args:\n  input_tensor: {kinds_in_words(op.dtypes)}.\n"
        "  axis: an axis, a list of axes, or None for all of them; negative ones count from the end.\n"
        "  keepdims: whether the axes stay, with size 1.\n\n"
        "Raises:\n  DtypeError: for other dtypes.\n  ShapeError: if there is no such axis.\n"
    )


def infer_reduction(dtypes: str, result: ResultDType) -> Callable[..., tuple[TensorType, ...]]:
    """Inference for reductions with attributes `axis` (normalised tuple) and `keepdims`."""

    def infer(types: tuple[TensorType, ...], *, axis: tuple[int, ...], keepdims: bool) -> tuple[TensorType, ...]:
        (type,) = types
        require_kind(type, dtypes)
        axes = normalize_axes(axis, type.rank)
        return (TensorType(type.dtype if result is None else result, reduced_shape(type.shape, axes, keepdims)),)

    return infer


def reduction(
    name: str,
    numpy: Callable[..., Any],
    kernel: ReductionKernel,
    gradient: Gradient,
    *,
    doc: str,
    dtypes: str = "iuf",
    result: ResultDType = None,
    domain: tuple[float, float] = (-4.0, 4.0),
    empty: bool = True,
    **facts: Any,
) -> ReductionFunction:
    """Declare a reduction; `numpy(x, axis=..., keepdims=...)` is its meaning.

    `empty` says whether reducing no elements is allowed.
    """
    dtype = "f64" if "f" in dtypes else ("i32" if "i" in dtypes else "bool")
    low, high = domain
    cases: list[tuple[str, tuple[int, ...], bool]] = [
        ("[2,3]", (0, 1), False), ("[2,3]", (1,), False), ("[5,3]", (0,), True),
        ("[2,3,4]", (1,), False), ("[2,3,4]", (0, 2), True), ("[]", (), False), ("[70]", (0,), False),
    ]  # fmt: skip
    if empty:
        cases.append(("[3,0]", (1,), False))
    op = declare(
        Op(
            name=name,
            kind=Kind.REDUCTION,
            infer=infer_reduction(dtypes, result),
            numpy=numpy,
            kernel=kernel,
            gradient=gradient,
            examples=tuple(
                Example((f"{dtype}{shape} in ({low}, {high})",), {"axis": axis, "keepdims": keepdims})
                for shape, axis, keepdims in cases
            ),
            dtypes=dtypes,
            domain=domain,
            doc=doc,
            **facts,
        )
    )

    def function(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
        if isinstance(input_tensor, Composite):
            return input_tensor.reduced(named, axis, keepdims)
        operand = as_operand(input_tensor)
        axes = axes_argument(axis, operand.type.rank)
        return apply(op, operand, axis=axes, keepdims=bool(keepdims))

    named: ReductionFunction = _named(function, name, f"{doc}\n\n{_reduction_arguments(op)}", "graphjit", op)
    return named
