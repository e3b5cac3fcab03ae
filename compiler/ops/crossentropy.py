"""Cross entropies of logits, without overflow.

Each is one line in a graph, with its own exact gradient, and becomes one kernel over rows when its
definition is written out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import DtypeError, ShapeError

from ..batchrules import axes_shift, unchanged
from ..dispatch import apply
from ..families import binary
from ..op import Example, Kind, Op, declare
from ..operand import as_operand, as_operands, public, require_kind, require_same_dtype
from ..tensortype import Shape, TensorType, broadcast_shapes, int32, int64, normalize_axis
from .arithmetic import abs as absolute, multiply_no_nan
from .broadcasting import broadcast_to
from .casting import cast
from .comparing import equal
from .filling import iota, ones_like
from .ranges import in_range, require_range
from .reduction import Array, is_expandable, reduce_sum, widened
from .selecting import maximum, where
from .shaping import expand_dims, squeeze
from .sizes import fitting
from .softmax import log_softmax, shifted, shifted_array, softmax
from .transcendental import exp, log, log1p, sigmoid

# --- labels that are distributions --------------------------------------------------------------


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])


def _dense_type(types: tuple[TensorType, ...], *, axis: int) -> tuple[TensorType, ...]:
    labels, logits = types
    dtype = require_same_dtype((logits, labels))
    require_kind(logits, "f", "logits")
    normalize_axis(axis, logits.rank)
    if not _fit(labels.shape, logits.shape):
        raise ShapeError(f"labels of shape {labels.shape} do not fit logits of shape {logits.shape}")
    return (TensorType(dtype, _without(logits.shape, axis)),)


def _fit(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))


def _dense_array(labels: Array, logits: Array, *, axis: int) -> Array:
    low, weights = shifted_array(logits, axis), widened(labels)
    surprise = np.log(np.sum(np.exp(low), axis=axis, keepdims=True, dtype=low.dtype)) - low
    terms = np.where(weights == 0, low.dtype.type(0), weights * surprise)
    return np.sum(terms, axis=axis, dtype=low.dtype).astype(logits.dtype)


def _dense_definition(labels: Any, logits: Any, *, axis: int) -> Any:
    if not (is_expandable(logits.type) and labels.type.is_static):
        return None
    low = shifted(logits, axis)
    surprise = log(reduce_sum(exp(low), axis, keepdims=True)) - low
    return reduce_sum(multiply_no_nan(surprise, labels), axis)


def _labels_gradient(g: Any, y: Any, labels: Any, logits: Any, *, axis: int) -> Any:
    return -expand_dims(g, axis) * log_softmax(logits, axis)


def _logits_gradient(g: Any, y: Any, labels: Any, logits: Any, *, axis: int) -> Any:
    total = reduce_sum(labels, axis, keepdims=True)
    return expand_dims(g, axis) * (softmax(logits, axis) * total - labels)


_ONE_HOT = np.eye(3)[[0, 2]]

dense_op = declare(
    Op(
        name="softmax_cross_entropy_with_logits",
        kind=Kind.COMPOSED,
        batch=axes_shift("axis"),
        infer=_dense_type,
        numpy=fitting(_dense_array),
        definition=_dense_definition,
        gradient=[_labels_gradient, _logits_gradient],
        fails=lambda types, _: not all(type.is_static for type in types),
        examples=(
            Example(("f64[2,3] in (0, 1)", "f64[2,3]"), {"axis": 1}),
            Example(("f32[4,20] in (0, 1)", "f32[4,20]"), {"axis": 1}),
            Example(("f64[2,3,4] in (0, 1)", "f64[2,3,4]"), {"axis": 1}),
            Example(("f64[0,3]", "f64[0,3]"), {"axis": 1}),
            Example((_ONE_HOT, np.array([[1e4, -1e4, 0.0], [-np.inf, 1.0, 2.0]])), {"axis": 1}, differentiable=False),
        ),
        ulp=32.0,
        doc="-sum(labels * log_softmax(logits)) along an axis.",
    )
)


@public()
def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: int = -1, name: str | None = None) -> Any:
    """The cross entropy -sum(labels * log_softmax(logits)) along an axis, without overflow.

    A label of 0 contributes 0, even where its logit is minus infinity.

    Args:
      labels: probabilities of the classes, of the shape of `logits`; other shapes are broadcast.
      logits: floats; their exponentials are proportional to probabilities.
      axis: the axis of the classes.

    Returns:
      The shape of `logits` without the axis.

    Raises:
      ShapeError: if the shapes do not broadcast, or there is no such axis.
      DtypeError: if the dtypes differ, or are no floats.

    >>> import graphjit as gj
    >>> loss = gj.nn.softmax_cross_entropy_with_logits([[0.0, 1.0]], gj.constant([[0.0, 0.0]]))
    >>> print(loss)
    gj.Tensor([0.6931472], shape=(1,), dtype=float32)
    """
    scores = as_operand(logits)
    targets = as_operand(labels, scores.type.dtype, "labels")
    if not _fit(targets.type.shape, scores.type.shape):
        targets, scores = _broadcast_pair(targets, scores)
    along = normalize_axis(axis, scores.type.rank)
    return apply(dense_op, targets, scores, axis=along)


def _broadcast_pair(labels: Any, logits: Any) -> tuple[Any, Any]:
    shape = broadcast_shapes(labels.type.shape, logits.type.shape)
    if None in shape:
        raise ShapeError(
            f"labels of shape {labels.type.shape} are broadcast against logits of shape {logits.type.shape} "
            "only where all sizes are known; give both one shape"
        )
    return broadcast_to(labels, shape), broadcast_to(logits, shape)


# --- labels that are class numbers --------------------------------------------------------------


def _sparse_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    labels, logits = types
    require_kind(labels, "iu", "labels")
    require_kind(logits, "f", "logits")
    if logits.rank < 1 or not _fit(labels.shape, logits.shape[:-1]):
        raise ShapeError(
            f"labels must have the shape of logits without the last axis, "
            f"but labels have shape {labels.shape} and logits {logits.shape}; "
            "labels with a number for each class go to softmax_cross_entropy_with_logits"
        )
    return (TensorType(logits.dtype, labels.shape),)


def _require_classes(labels: Array, logits: Array) -> None:
    require_range(labels, logits.shape[-1], "label")


def _sparse_array(labels: Array, logits: Array) -> Array:
    _require_classes(labels, logits)
    low = shifted_array(logits, -1)
    picked = np.take_along_axis(low, labels.astype(np.int64)[..., None], axis=-1)[..., 0]
    return np.asarray(np.log(np.sum(np.exp(low), axis=-1, dtype=low.dtype)) - picked, dtype=logits.dtype)


def _is_label(labels: Any, logits: Any) -> Any:
    """Where an element's class is the label of its row."""
    classes = iota(logits.type.sizes, logits.type.rank - 1, labels.type.dtype)
    return equal(classes, expand_dims(labels, -1))


def _sparse_definition(labels: Any, logits: Any) -> Any:
    if not (is_expandable(logits.type) and labels.type.is_static):
        return None
    low = shifted(logits, -1)
    picked = reduce_sum(where(_is_label(labels, logits), low, 0.0), -1, keepdims=True)
    loss = log(reduce_sum(exp(low), -1, keepdims=True)) - picked
    return squeeze(in_range(loss, expand_dims(labels, -1), logits.type.sizes[-1], "label"), -1)


def _sparse_gradient(g: Any, y: Any, labels: Any, logits: Any) -> Any:
    return apply(sparse_gradient_op, g, labels, logits)


sparse_op = declare(
    Op(
        name="sparse_softmax_cross_entropy_with_logits",
        kind=Kind.COMPOSED,
        batch=unchanged,
        infer=_sparse_type,
        numpy=fitting(_sparse_array),
        definition=_sparse_definition,
        gradient=[None, _sparse_gradient],
        fails=True,
        examples=(
            Example((np.array([0, 2], np.int32), "f64[2,3]")),
            Example((np.array([0, 2, 19, 4], np.int64), "f32[4,20]")),
            Example((np.array([[0, 2, 1], [3, 3, 0]], np.int32), "f64[2,3,4]")),
            Example((np.int32(1), "f64[3]")),
            Example((np.zeros(0, np.int32), "f64[0,3]")),
            Example(
                (np.array([0, 1], np.int32), np.array([[1e4, -1e4, 0.0], [-np.inf, 1.0, 2.0]])), differentiable=False
            ),
        ),
        ulp=32.0,
        doc="logsumexp(logits) minus the logit of the label, row by row.",
    )
)


# --- its gradient, which is an op so that unknown sizes can wait ---------------------------------


def _difference_array(g: Array, labels: Array, logits: Array) -> Array:
    _require_classes(labels, logits)
    powers = np.exp(shifted_array(logits, -1))
    difference = powers / np.sum(powers, axis=-1, keepdims=True, dtype=powers.dtype)
    place = labels.astype(np.int64)[..., None]
    chosen = np.take_along_axis(difference, place, axis=-1) - difference.dtype.type(1)
    np.put_along_axis(difference, place, chosen, axis=-1)
    return np.asarray(widened(g)[..., None] * difference, dtype=logits.dtype)


def _difference(labels: Any, logits: Any) -> Any:
    """softmax(logits) minus 1 at the label."""
    probability = softmax(logits)
    return where(_is_label(labels, logits), probability - 1.0, probability)


def _difference_definition(g: Any, labels: Any, logits: Any) -> Any:
    if not all(one.type.is_static for one in (g, labels)) or not is_expandable(logits.type):
        return None
    return expand_dims(g, -1) * _difference(labels, logits)


def _loss_cotangent(h: Any, y: Any, g: Any, labels: Any, logits: Any) -> Any:
    """The cotangent of g: sum(h * (softmax - one_hot)), where y = g * (softmax - one_hot) may be 0 by g."""
    unit = apply(sparse_gradient_op, ones_like(g), labels, logits)
    return reduce_sum(h * unit, -1)


def _second_gradient(h: Any, y: Any, g: Any, labels: Any, logits: Any) -> Any:
    """g * softmax * (h - sum(h * softmax)): the product of h with softmax's own slope."""
    probability = softmax(logits)
    return expand_dims(g, -1) * (probability * (h - reduce_sum(h * probability, -1, keepdims=True)))


sparse_gradient_op = declare(
    Op(
        name="sparse_softmax_cross_entropy_gradient",
        kind=Kind.COMPOSED,
        batch=unchanged,
        infer=lambda types: (types[2],),
        fails=True,
        numpy=fitting(_difference_array),
        definition=_difference_definition,
        gradient=[_loss_cotangent, None, _second_gradient],
        examples=(
            Example(("f64[2]", np.array([0, 2], np.int32), "f64[2,3]")),
            Example(("f32[4]", np.array([0, 2, 19, 4], np.int64), "f32[4,20]")),
            Example(("f64[0]", np.zeros(0, np.int32), "f64[0,3]")),
        ),
        ulp=32.0,
        doc="g * (softmax(logits) - one_hot(labels)), row by row.",
    )
)


@public()
def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: str | None = None) -> Any:
    """The cross entropy of class numbers: logsumexp(logits) minus the logit of the label, without overflow.

    Args:
      labels: integers in [0, classes), of the shape of `logits` without the last axis.
      logits: floats of shape [..., classes].

    Returns:
      A loss for each label, of the dtype of `logits`.

    Raises:
      OutOfRangeError: if a label is no class, in both modes.
      ShapeError: if the shapes do not fit.
      DtypeError: if labels are no integers, or logits no floats.

    >>> import graphjit as gj
    >>> loss = gj.nn.sparse_softmax_cross_entropy_with_logits(labels=[1], logits=gj.constant([[0.0, 0.0]]))
    >>> print(loss)
    gj.Tensor([0.6931472], shape=(1,), dtype=float32)
    """
    scores = as_operand(logits, what="logits")
    classes = as_operand(labels, what="labels")
    if not classes.type.dtype.is_integer:
        raise DtypeError(
            f"labels must be integers, not {classes.type.dtype.name}; "
            "probabilities of classes go to softmax_cross_entropy_with_logits"
        )
    if classes.type.dtype not in (int32, int64):
        classes = cast(classes, int64)
    return apply(sparse_op, classes, scores)


# --- two classes ----------------------------------------------------------------------------------


def _sigmoid_array(labels: Array, logits: Array) -> Array:
    zero = logits.dtype.type(0)
    return np.asarray(np.maximum(logits, zero) - logits * labels + np.log1p(np.exp(-np.abs(logits))))


_sigmoid_cross_entropy = binary(
    "sigmoid_cross_entropy_with_logits", _sigmoid_array,
    "maximum({1}, {T}(0)) - {1} * {0} + log1p(exp(-absolute({1})))",
    [lambda g, z, labels, logits: -g * logits, lambda g, z, labels, logits: g * (sigmoid(logits) - labels)],
    doc="The cross entropy of labels and sigmoid(logits).", dtypes="f", ulp=16.0,
    examples=(Example((np.array([0.0, 1.0, 0.0, 1.0]), np.array([1e4, 1e4, -1e4, -1e4]))),),
)  # fmt: skip


@public()
def sigmoid_cross_entropy_with_logits(labels: Any = None, logits: Any = None, name: str | None = None) -> Any:
    """-labels * log(sigmoid(x)) - (1 - labels) * log(1 - sigmoid(x)), element by element, without overflow.

    Computed as max(x, 0) - x * labels + log(1 + exp(-abs(x))).

    Args:
      labels: floats in [0, 1].
      logits: floats of the same dtype and shape.

    Raises:
      ShapeError: if the shapes differ.
      DtypeError: if the dtypes differ, or are no floats.

    >>> import graphjit as gj
    >>> print(gj.nn.sigmoid_cross_entropy_with_logits(labels=[1.0], logits=gj.constant([0.0])))
    gj.Tensor([0.6931472], shape=(1,), dtype=float32)
    """
    scores = as_operand(logits, what="logits")
    targets = as_operand(labels, scores.type.dtype, "labels")
    if not _fit(targets.type.shape, scores.type.shape):
        raise ShapeError(
            f"labels of shape {targets.type.shape} do not fit logits of shape {scores.type.shape}; "
            "both must have one shape"
        )
    return _sigmoid_cross_entropy(targets, scores)


@public()
def weighted_cross_entropy_with_logits(labels: Any, logits: Any, pos_weight: Any, name: str | None = None) -> Any:
    """sigmoid_cross_entropy_with_logits, where the term of positive labels counts `pos_weight` times.

    Computed as (1 - z) * x + (1 + (w - 1) * z) * (log(1 + exp(-abs(x))) + max(-x, 0)).

    >>> import graphjit as gj
    >>> print(gj.nn.weighted_cross_entropy_with_logits([1.0], gj.constant([0.0]), 2.0))
    gj.Tensor([1.3862944], shape=(1,), dtype=float32)
    """
    x, z, weight = as_operands(as_operand(logits, what="logits"), labels, pos_weight)
    factor = 1.0 + (weight - 1.0) * z
    return (1.0 - z) * x + factor * (log1p(exp(-absolute(x))) + maximum(-x, 0.0))


__all__ = [
    "sigmoid_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits",
    "sparse_softmax_cross_entropy_with_logits",
    "weighted_cross_entropy_with_logits",
]
