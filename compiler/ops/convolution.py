"""Convolutions: the products of a kernel with all windows of a tensor, as one matrix product.

Kernels are not mirrored, as in all libraries for neural networks. The windows are laid side by side (im2col:
Chellapilla et al. 2006), so that the sums are a matrix product.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..dispatch import apply
from ..op import Example, Kind, Op, declare
from ..operand import PUBLIC, as_operands, public, require_kind, require_same_dtype
from ..tensortype import TensorType
from .joining import concat
from .linear import matmul
from .padding import pad_with
from .reduction import Array, is_expandable, widened
from .shaping import reshape, transpose
from .sizes import constant
from .slicing import reverse
from .windows import Integers, Windows, as_integers, from_last, padded, paddings_for, to_last, windows_of


def _windows(kernel: TensorType, strides: Integers, dilations: Integers) -> Windows:
    return Windows(tuple(int(size or 0) for size in kernel.shape[:-2]), strides, dilations)


def _convolution_type(
    types: tuple[TensorType, ...], *, strides: Integers, dilations: Integers
) -> tuple[TensorType, ...]:
    x, kernel = types
    dtype = require_same_dtype(types)
    require_kind(x, "f", "x")
    if kernel.rank != x.rank or x.rank < 3:
        raise ShapeError(
            f"x is [batch, ...sizes, channels] and the kernel [...window, channels, outputs], of the same rank, "
            f"not {x.shape} and {kernel.shape}"
        )
    channels, taken = x.shape[-1], kernel.shape[-2]
    if None not in (channels, taken) and channels != taken:
        raise ShapeError(f"x of shape {x.shape} has {channels} channels, the kernel takes {taken}")
    counts = [
        None if size is None else Windows((size,), (stride,), (by,)).count((whole,))[0]
        for whole, size, stride, by in zip(x.shape[1:-1], kernel.shape, strides, dilations, strict=False)
    ]
    return (TensorType(dtype, (x.shape[0], *counts, kernel.shape[-1])),)


def _convolution_array(x: Array, kernel: Array, *, strides: Integers, dilations: Integers) -> Array:
    rank = x.ndim - 2
    windows = Windows(kernel.shape[:rank], strides, dilations)
    view = np.moveaxis(windows_of(widened(x), windows), 1 + rank, -1)
    columns = view.reshape(-1, math.prod(kernel.shape[:-1]))
    flat = widened(kernel).reshape(-1, kernel.shape[-1])
    return (columns @ flat).reshape(*view.shape[: rank + 1], kernel.shape[-1]).astype(x.dtype, copy=False)


def columns(x: Any, windows: Windows) -> Any:
    """A matrix with a row for each window: its elements, the channels fastest."""
    parts = [windows.elements(x, offset) for offset in windows.offsets()]
    side_by_side = parts[0] if len(parts) == 1 else concat(parts, -1)
    return reshape(side_by_side, [-1, math.prod(windows.sizes) * int(x.type.shape[-1])])


def _convolution_definition(x: Any, kernel: Any, *, strides: Integers, dilations: Integers) -> Any:
    if not (is_expandable(x.type) and kernel.type.is_static):
        return None
    windows = _windows(kernel.type, strides, dilations)
    outputs = kernel.type.shape[-1]
    counts = windows.count(x.type.shape[1:-1])
    product = matmul(columns(x, windows), reshape(kernel, [-1, outputs]))
    return reshape(product, [x.type.shape[0], *counts, outputs])


def _x_gradient(g: Any, y: Any, x: Any, kernel: Any, *, strides: Integers, dilations: Integers) -> Any:
    """A convolution again: of g with gaps for the strides, by the mirrored kernel with its channels exchanged."""
    return apply(x_gradient_op, g, x, kernel, strides=strides, dilations=dilations)


def _kernel_gradient(g: Any, y: Any, x: Any, kernel: Any, *, strides: Integers, dilations: Integers) -> Any:
    return apply(kernel_gradient_op, g, x, kernel, strides=strides, dilations=dilations)


# --- the gradient by x ----------------------------------------------------------------------------


def _x_gradient_array(g: Array, x: Array, kernel: Array, *, strides: Integers, dilations: Integers) -> Array:
    windows = Windows(kernel.shape[:-2], strides, dilations)
    flat = widened(kernel).reshape(-1, *kernel.shape[-2:])
    result = np.zeros(x.shape, flat.dtype)
    for offset, weights in zip(windows.offsets(), flat, strict=True):
        places = tuple(
            slice(place, place + (count - 1) * by + 1, by)
            for place, count, by in zip(offset, g.shape[1:-1], strides, strict=True)
        )
        result[(slice(None), *places)] += widened(g) @ weights.T
    return result.astype(g.dtype, copy=False)


def _x_gradient_definition(g: Any, x: Any, kernel: Any, *, strides: Integers, dilations: Integers) -> Any:
    if not (is_expandable(x.type) and g.type.is_static and kernel.type.is_static):
        return None
    windows = _windows(kernel.type, strides, dilations)
    spread = _spread(g, x.type, windows)
    rank = windows.rank
    mirrored = reverse(kernel, list(range(rank)))
    exchanged = transpose(mirrored, [*range(rank), rank + 1, rank])
    return apply(convolution_op, spread, exchanged, strides=(1,) * rank, dilations=dilations)


def _spread(g: Any, x: TensorType, windows: Windows) -> Any:
    """g with gaps between its elements, and so much around it that a window reaches each element of x."""
    pairs, gaps = [(0, 0)], [0]
    for size, count, extent, stride in zip(
        x.shape[1:-1], g.type.shape[1:-1], windows.extents, windows.strides, strict=True
    ):
        pairs.append((extent - 1, int(size or 0) - 1 - (int(count or 0) - 1) * stride))
        gaps.append(stride - 1 if count > 1 else 0)
    return pad_with(g, constant(0, g.type.dtype), [*pairs, (0, 0)], [*gaps, 0])


x_gradient_op: Op
kernel_gradient_op: Op

_EXAMPLES = (
    (("f64[2,5,4,3]", "f64[2,3,3,2]"), (1, 1), (1, 1)),
    (("f64[1,6,7,2]", "f64[3,2,2,1]"), (2, 3), (1, 1)),
    (("f64[2,7,2]", "f64[3,2,3]"), (1,), (2,)),
    (("f64[2,8,1]", "f64[2,1,2]"), (3,), (2,)),
    (("f64[1,4,4,4,1]", "f64[2,2,2,1,2]"), (1, 2, 1), (1, 1, 1)),
    (("f64[2,3,3,2]", "f64[1,1,2,4]"), (1, 1), (1, 1)),
    (("f64[0,4,2]", "f64[2,2,3]"), (1,), (1,)),
    (("f32[2,6,6,3]", "f32[3,3,3,4]"), (1, 1), (1, 1)),
)


def _examples() -> tuple[Example, ...]:
    return tuple(Example(texts, {"strides": strides, "dilations": by}) for texts, strides, by in _EXAMPLES)


def _examples_with_cotangents() -> tuple[Example, ...]:
    found = []
    for texts, strides, by in _EXAMPLES:
        x, kernel = (_sizes(text) for text in texts)
        counts = Windows(kernel[:-2], strides, by).count(x[1:-1])
        g = f"{texts[0][:3]}{[x[0], *counts, kernel[-1]]}".replace(" ", "")
        found.append(Example((g, *texts), {"strides": strides, "dilations": by}))
    return tuple(found)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text[4:-1].split(","))


convolution_op = declare(
    Op(
        name="convolution",
        kind=Kind.COMPOSED,
        infer=_convolution_type,
        numpy=_convolution_array,
        definition=_convolution_definition,
        gradient=[_x_gradient, _kernel_gradient],
        fails=lambda types, _: not all(type.is_static for type in types),
        examples=_examples(),
        ulp=64.0,
        doc="The products of a kernel with all windows of x.",
    )
)


# --- the gradient by the kernel -------------------------------------------------------------------


def _kernel_gradient_array(g: Array, x: Array, kernel: Array, *, strides: Integers, dilations: Integers) -> Array:
    rank = x.ndim - 2
    view = np.moveaxis(windows_of(widened(x), Windows(kernel.shape[:-2], strides, dilations)), 1 + rank, -1)
    columns = view.reshape(-1, math.prod(kernel.shape[:-1]))
    flat = widened(g).reshape(-1, kernel.shape[-1])
    return (columns.T @ flat).reshape(kernel.shape).astype(g.dtype, copy=False)


def _kernel_gradient_definition(g: Any, x: Any, kernel: Any, *, strides: Integers, dilations: Integers) -> Any:
    if not (is_expandable(x.type) and g.type.is_static and kernel.type.is_static):
        return None
    side_by_side = columns(x, _windows(kernel.type, strides, dilations))
    product = matmul(side_by_side, reshape(g, [-1, kernel.type.shape[-1]]), transpose_a=True)
    return reshape(product, kernel.type.shape)


def _like(position: int) -> Any:
    return lambda types, **_attributes: (TensorType(types[0].dtype, types[position].shape),)


x_gradient_op = declare(
    Op(
        name="convolution_x_gradient",
        kind=Kind.COMPOSED,
        infer=_like(1),
        numpy=_x_gradient_array,
        definition=_x_gradient_definition,
        gradient=[
            lambda h, y, g, x, kernel, **how: apply(convolution_op, h, kernel, **how),
            None,
            lambda h, y, g, x, kernel, **how: apply(kernel_gradient_op, g, h, kernel, **how),
        ],
        examples=_examples_with_cotangents(),
        ulp=64.0,
        doc="The gradient of a convolution by x.",
    )
)
kernel_gradient_op = declare(
    Op(
        name="convolution_kernel_gradient",
        kind=Kind.COMPOSED,
        infer=_like(2),
        numpy=_kernel_gradient_array,
        definition=_kernel_gradient_definition,
        gradient=[
            lambda h, y, g, x, kernel, **how: apply(convolution_op, x, h, **how),
            lambda h, y, g, x, kernel, **how: apply(x_gradient_op, g, x, h, **how),
            None,
        ],
        examples=_examples_with_cotangents(),
        ulp=64.0,
        doc="The gradient of a convolution by its kernel.",
    )
)


# --- public functions -----------------------------------------------------------------------------


@public()
def convolution(
    input: Any,
    filters: Any,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Any:
    """The products of filters with all windows of a tensor, over one, two or three axes.

    Args:
      input: shape [batch, ...sizes, channels], or [batch, channels, ...sizes] for a data_format such as "NCHW".
      filters: shape [...window, channels / groups, outputs]; where the window sees fewer channels than there are,
        channels and outputs fall into groups.
      strides: from window to window; one number, or one for each axis.
      padding: "VALID" for windows inside only; "SAME" to add zeros so that stride 1 keeps sizes; or pairs.
      dilations: from element to element within a window.

    Raises:
      ShapeError: if the shapes do not fit.
      InvalidArgumentError: if a number is not positive.

    >>> import graphjit as gj
    >>> print(gj.nn.convolution([[[1.0], [2.0], [4.0]]], [[[1.0]], [[-1.0]]]).numpy().ravel())
    [-1. -2.]
    """
    x, kernel = as_operands(input, filters)
    x = to_last(x, data_format, transpose)
    rank = x.type.rank - 2
    if rank < 1 or kernel.type.rank != rank + 2:
        raise ShapeError(
            f"convolution: input is [batch, ...sizes, channels] and filters are [...window, channels, outputs], not "
            f"{x.type.shape} and {kernel.type.shape}"
        )
    steps = as_integers(1 if strides is None else strides, rank, "strides")
    by = as_integers(1 if dilations is None else dilations, rank, "dilations")
    x = padded(x, paddings_for(x.type, _windows(kernel.type, steps, by), padding))
    return from_last(_by_groups(x, kernel, steps, by), data_format, transpose)


def _by_groups(x: Any, kernel: Any, strides: Integers, dilations: Integers) -> Any:
    channels, seen, outputs = x.type.shape[-1], kernel.type.shape[-2], kernel.type.shape[-1]
    if channels in (None, seen):
        return apply(convolution_op, x, kernel, strides=strides, dilations=dilations)
    groups = channels // seen
    if channels % seen or outputs % groups:
        raise InvalidArgumentError(
            f"convolution: {channels} channels and {outputs} outputs do not fall into groups of {seen} channels"
        )
    xs, kernels = PUBLIC["split"](x, groups, -1), PUBLIC["split"](kernel, groups, -1)
    parts = [
        apply(convolution_op, one, other, strides=strides, dilations=dilations)
        for one, other in zip(xs, kernels, strict=True)
    ]
    return concat(parts, -1)


@public()
def conv1d(
    input: Any,
    filters: Any,
    stride: Any = 1,
    padding: Any = "VALID",
    data_format: str | None = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Any:
    """`convolution` over one axis: input [batch, width, channels], filters [window, channels, outputs]."""
    return convolution(input, filters, stride, padding, data_format, dilations)


@public()
def conv2d(
    input: Any,
    filters: Any,
    strides: Any = 1,
    padding: Any = "VALID",
    data_format: str | None = "NHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Any:
    """`convolution` over two axes: input [batch, height, width, channels], filters [h, w, channels, outputs].

    >>> import graphjit as gj
    >>> gj.nn.conv2d(gj.zeros([1, 5, 5, 3]), gj.zeros([3, 3, 3, 8]), strides=2, padding="SAME").shape
    TensorShape([1, 3, 3, 8])
    """
    return convolution(input, filters, strides, padding, data_format, dilations)


__all__ = ["conv1d", "conv2d", "convolution"]
