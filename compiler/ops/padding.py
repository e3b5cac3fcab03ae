"""Padding: a tensor inside a larger one.

`pad` with a constant is the join that is also the gradient of slices; it can put
gaps between the elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..batchrules import prefixed
from ..dispatch import apply
from ..op import Example, Kind, Op, Piece, declare
from ..operand import PUBLIC, as_operand, public, require_same_dtype
from ..tensortype import Dimension, TensorType
from .sizes import constant, static_integers
from .slicing import slice_along, strided_slice_op

Paddings = tuple[tuple[int, int], ...]


def _padded_size(size: Dimension, padding: tuple[int, int], gap: int) -> Dimension:
    return None if size is None else size + sum(padding) + gap * max(size - 1, 0)


def _pad_type(
    types: tuple[TensorType, ...], *, paddings: Paddings, interior: tuple[int, ...]
) -> tuple[TensorType, ...]:
    type, value = types
    require_same_dtype(types)
    if value.rank:
        raise ShapeError(f"the value to pad with is a scalar, not of shape {value.shape}")
    if len(paddings) != type.rank or any(one < 0 for padding in paddings for one in padding):
        raise ShapeError(
            f"paddings {[list(one) for one in paddings]} do not fit shape {type.shape}: "
            "a pair [before, after] for each axis, none negative"
        )
    sizes = zip(type.shape, paddings, interior, strict=True)
    return (TensorType(type.dtype, tuple(_padded_size(*one) for one in sizes)),)


def _inside(shape: Sequence[int], paddings: Paddings, interior: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Begin, end and step of the operand's elements in the result, per axis."""
    return [
        (before, before + max((size - 1) * (gap + 1) + 1, 0) if size else before, gap + 1)
        for size, (before, _), gap in zip(shape, paddings, interior, strict=True)
    ]


def _pad_array(
    x: np.ndarray[Any, Any], value: np.ndarray[Any, Any], *, paddings: Paddings, interior: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    sizes = zip(x.shape, paddings, interior, strict=True)
    result = np.full([_padded_size(*one) or 0 for one in sizes], value, dtype=x.dtype)
    result[tuple(slice(*one) for one in _inside(x.shape, paddings, interior))] = x
    return result


def _pad_pieces(types: tuple[TensorType, ...], *, paddings: Paddings, interior: tuple[int, ...]) -> list[Piece]:
    sizes = types[0].sizes
    (whole,) = _pad_type(types, paddings=paddings, interior=interior)
    zeros, ones = (0,) * len(sizes), (1,) * len(sizes)
    starts, steps = tuple(one[0] for one in paddings), tuple(gap + 1 for gap in interior)
    inner = Piece(0, starts, sizes, steps)
    return [inner] if whole.sizes == sizes else [Piece(1, zeros, whole.sizes, ones), inner]


def _pad_gradient(g: Any, y: Any, x: Any, value: Any, *, paddings: Paddings, interior: tuple[int, ...]) -> Any:
    ends = tuple(None if after == 0 else -after for _, after in paddings)
    return apply(
        strided_slice_op,
        g,
        begin=tuple(before for before, _ in paddings),
        end=ends,
        step=tuple(gap + 1 for gap in interior),
        drop=(),
    )


def _pad_value_gradient(g: Any, y: Any, x: Any, value: Any, *, paddings: Paddings, interior: tuple[int, ...]) -> Any:
    one = constant(1, x.type.dtype)
    outside = apply(pad_op, PUBLIC["zeros_like"](x), one, paddings=paddings, interior=interior)
    return PUBLIC["reduce_sum"](PUBLIC["multiply"](g, outside))


def _pad_example(operand: str, paddings: Paddings, interior: tuple[int, ...]) -> Example:
    return Example((operand, "f64[]"), {"paddings": paddings, "interior": interior})


pad_op: Op = declare(
    Op(
        name="pad",
        kind=Kind.JOIN,
        batch=prefixed(fixed=(1,), paddings=(0, 0), interior=0),
        infer=_pad_type,
        numpy=_pad_array,
        pieces=_pad_pieces,
        gradient=[_pad_gradient, _pad_value_gradient],
        examples=(
            _pad_example("f64[2,3]", ((1, 0), (2, 1)), (0, 0)),
            _pad_example("f64[4]", ((1, 2),), (2,)),
            _pad_example("f64[]", (), ()),
            _pad_example("f64[0,2]", ((1, 1), (0, 0)), (1, 0)),
        ),
        doc="The tensor inside a larger one filled with a value, with gaps between its elements if asked.",
    )
)


@public()
def pad_with(x: Any, value: Any, paddings: Sequence[tuple[int, int]], interior: Sequence[int] = ()) -> Any:
    """`x` inside a tensor filled with the scalar operand `value`."""
    gaps = tuple(interior) if interior else (0,) * len(paddings)
    return apply(pad_op, x, value, paddings=tuple((int(a), int(b)) for a, b in paddings), interior=gaps)


# --- the public function ----------------------------------------------------------------------------


def static_paddings(paddings: Any, rank: int) -> Paddings:
    """Pairs (before, after) for each axis.

    Raises:
      InvalidArgumentError: if they are traced, negative, or not one pair for each axis.
    """
    pairs = static_integers(paddings)
    if pairs is None:
        raise InvalidArgumentError("pad needs paddings that are known when the function is traced")
    if pairs.size != 2 * rank or (rank and pairs.shape != (rank, 2)) or (pairs < 0).any():
        raise InvalidArgumentError(
            f"pad: paddings are a pair [before, after] for each of {rank} axes, none negative, not {paddings!r}"
        )
    return tuple((int(before), int(after)) for before, after in pairs.reshape(rank, 2))


@public()
def pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: str | None = None) -> Any:
    """The tensor with elements added before and after it along each axis.

    Args:
      tensor: any shape.
      paddings: for each axis a pair [before, after].
      mode: "CONSTANT" adds `constant_values`; "REFLECT" mirrors the tensor without repeating its edge;
        "SYMMETRIC" mirrors it with its edge.
      constant_values: a scalar.

    Raises:
      InvalidArgumentError: if the paddings do not fit, the mode is unknown, or a mirror is asked for
        more elements than there are.

    >>> import graphjit as gj
    >>> print(gj.pad([1, 2, 3], [[2, 1]], "REFLECT"))
    gj.Tensor([3 2 1 2 3 2], shape=(6,), dtype=int32)
    """
    operand = as_operand(tensor)
    pairs = static_paddings(paddings, operand.type.rank)
    kind = mode.upper()
    if kind == "CONSTANT":
        return pad_with(operand, as_operand(constant_values, operand.type.dtype), pairs)
    if kind not in ("REFLECT", "SYMMETRIC"):
        raise InvalidArgumentError(f"pad: mode is CONSTANT, REFLECT or SYMMETRIC, not {mode!r}")
    for axis, pair in enumerate(pairs):
        if any(pair):
            operand = _mirrored(operand, axis, pair, kind == "REFLECT")
    return operand


def _mirrored(x: Any, axis: int, padding: tuple[int, int], reflect: bool) -> Any:
    """`x` with `padding` mirrored elements along one axis; `reflect` leaves the edge out."""
    size = x.type.shape[axis]
    edge = 1 if reflect else 0
    if size is not None and max(padding) > size - edge:
        mode = "REFLECT" if reflect else "SYMMETRIC"
        raise InvalidArgumentError(
            f"pad: {mode} can add at most {max(size - edge, 0)} elements to axis {axis} of shape {x.shape}, "
            f"but {max(padding)} are asked for"
        )
    before, after = padding
    parts = [x]
    if before:
        parts.insert(0, _reversed(slice_along(x, axis, edge, edge + before), axis, before))
    if after:
        parts.append(_reversed(slice_along(x, axis, -edge - after, -edge or None), axis, after))
    return PUBLIC["concat"](parts, axis)


def _reversed(x: Any, axis: int, size: int) -> Any:
    """`x` backwards, whose size is checked when the graph runs if it is not known now."""
    if x.type.shape[axis] is None:
        x = PUBLIC["ensure_shape"](x, [size if one == axis else None for one in range(x.type.rank)])
    return PUBLIC["reverse"](x, [axis])


__all__ = ["pad"]
