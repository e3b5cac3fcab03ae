"""Shaping ops: reshape, transposes, axes of size 1, broadcasting, slices, joins, padding."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from differences import (
    check_gradient,
    check_gradient_in_graphs,
    check_written,
    gradient_of,
    reverse_gradient,
    weights_like,
)
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hn

import graphjit as gj
from graphjit.compiler.layout import Layout, contiguous, reshaped
from graphjit.compiler.op import Kind, all_ops, find_op
from graphjit.compiler.tensortype import TensorType, float32, type_of_array
from graphjit.compiler.writer import write_graph
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, OutOfRangeError, ShapeError

Array = np.ndarray[Any, Any]


def numbers(*shape: int, dtype: Any = np.float64) -> Array:
    return np.asarray(np.arange(int(np.prod(shape))).reshape(shape) + 1, dtype=dtype)


FUNCTIONS: list[tuple[str, Callable[[Any], Any], Callable[[Array], Any], tuple[int, ...]]] = [
    ("reshape", lambda x: gj.reshape(x, [4, -1]), lambda x: x.reshape(4, -1), (2, 6)),
    ("reshape to a scalar's shape", lambda x: gj.reshape(x, []), lambda x: x.reshape(()), (1, 1)),
    ("reshape of nothing", lambda x: gj.reshape(x, [3, -1]), lambda x: x.reshape(3, 0), (0, 2)),
    ("transpose", gj.transpose, np.transpose, (2, 3, 4)),
    ("transpose perm", lambda x: gj.transpose(x, [1, -1, 0]), lambda x: np.transpose(x, (1, 2, 0)), (2, 3, 4)),
    ("transpose of a scalar", gj.transpose, np.transpose, ()),
    ("expand_dims", lambda x: gj.expand_dims(x, -1), lambda x: np.expand_dims(x, -1), (2, 3)),
    ("squeeze axis", lambda x: gj.squeeze(x, [0, -1]), lambda x: np.squeeze(x, (0, -1)), (1, 3, 1)),
    ("moveaxis", lambda x: gj.moveaxis(x, [0, 1], [-1, 0]), lambda x: np.moveaxis(x, [0, 1], [-1, 0]), (2, 3, 4)),
    ("swapaxes", lambda x: gj.swapaxes(x, 0, -1), lambda x: np.swapaxes(x, 0, -1), (2, 3, 4)),
    ("ravel", gj.ravel, np.ravel, (2, 3)),
    ("broadcast_to", lambda x: gj.broadcast_to(x, [2, 3, 4]), lambda x: np.broadcast_to(x, (2, 3, 4)), (3, 1)),
    ("broadcast_to nothing", lambda x: gj.broadcast_to(x, [2, 0]), lambda x: np.broadcast_to(x, (2, 0)), (1,)),
    ("ensure_shape", lambda x: gj.ensure_shape(x, [2, None]), lambda x: x, (2, 3)),
    ("identity", gj.identity, lambda x: x, (2,)),
    ("reverse", lambda x: gj.reverse(x, [0, -1]), lambda x: x[::-1, :, ::-1], (2, 3, 4)),
    ("roll", lambda x: gj.roll(x, 2, 0), lambda x: np.roll(x, 2, 0), (5, 2)),
    ("roll several", lambda x: gj.roll(x, [1, -3], [0, 1]), lambda x: np.roll(x, (1, -3), (0, 1)), (3, 2)),
    ("roll of nothing", lambda x: gj.roll(x, 1, 0), lambda x: np.roll(x, 1, 0), (0, 2)),
    ("roll twice", lambda x: gj.roll(x, [1, 1], [0, 0]), lambda x: np.roll(x, 2, 0), (3,)),
    ("slice", lambda x: gj.slice(x, [1, 0], [2, -1]), lambda x: x[1:3], (4, 3)),
    ("slice of nothing", lambda x: gj.slice(x, [4], [0]), lambda x: x[4:4], (4,)),
    ("strided_slice", lambda x: gj.strided_slice(x, [3, 0], [0, 3], [-2, 1]), lambda x: x[3:0:-2, 0:3], (4, 5)),
    (
        "strided_slice with masks",
        lambda x: gj.strided_slice(
            x, [1, 0, 9, 9], [2, 0, 9, 3], [1, 1, 1, 1], end_mask=2, begin_mask=8, new_axis_mask=4, shrink_axis_mask=1
        ),
        lambda x: x[1, 0:, None, :3],
        (4, 5, 6),
    ),
    (
        "strided_slice with an ellipsis",
        lambda x: gj.strided_slice(x, [0, 1], [0, 2], ellipsis_mask=1),
        lambda x: x[..., 1:2],
        (2, 3, 4),
    ),
    ("tile", lambda x: gj.tile(x, [2, 3]), lambda x: np.tile(x, (2, 3)), (2, 3)),
    ("tile zero times", lambda x: gj.tile(x, [0]), lambda x: np.tile(x, 0), (3,)),
    ("repeat", lambda x: gj.repeat(x, 3, axis=1), lambda x: np.repeat(x, 3, 1), (2, 3)),
    ("repeat flattened", lambda x: gj.repeat(x, 2), lambda x: np.repeat(x, 2), (2, 2)),
    ("repeat each", lambda x: gj.repeat(x, [2, 0, 1], axis=0), lambda x: np.repeat(x, [2, 0, 1], 0), (3, 2)),
    ("pad", lambda x: gj.pad(x, [[1, 0], [0, 2]]), lambda x: np.pad(x, ((1, 0), (0, 2))), (2, 3)),
    ("pad with 7", lambda x: gj.pad(x, [[1, 1]], constant_values=7), lambda x: np.pad(x, 1, constant_values=7), (2,)),
    ("pad reflect", lambda x: gj.pad(x, [[2, 1]], "REFLECT"), lambda x: np.pad(x, (2, 1), "reflect"), (3,)),
    (
        "pad symmetric",
        lambda x: gj.pad(x, [[0, 2], [3, 1]], "symmetric"),
        lambda x: np.pad(x, ((0, 2), (3, 1)), "symmetric"),
        (2, 3),
    ),
    ("pad of nothing", lambda x: gj.pad(x, [[1, 2]]), lambda x: np.pad(x, (1, 2)), (0,)),
    ("concat", lambda x: gj.concat([x, x[:1], 2.0 * x], 0), lambda x: np.concatenate([x, x[:1], 2 * x]), (2, 3)),
    ("concat of one", lambda x: gj.concat([x], -1), lambda x: x, (2, 3)),
    ("stack", lambda x: gj.stack([x, -x], -1), lambda x: np.stack([x, -x], -1), (2, 3)),
    ("stack scalars", lambda x: gj.stack([x, x]), lambda x: np.stack([x, x]), ()),
    ("split", lambda x: gj.split(x, 3, 1)[1], lambda x: np.split(x, 3, 1)[1], (2, 6)),
    ("split by sizes", lambda x: gj.split(x, [1, -1, 2])[1], lambda x: x[1:-2], (6,)),
    ("split, the last", lambda x: gj.split(x, [1, -1, 2])[2], lambda x: x[-2:], (6,)),
    ("split, no rest", lambda x: gj.split(x, [1, 0, 3])[2], lambda x: x[1:], (4,)),
    ("unstack", lambda x: gj.unstack(x, 3, axis=1)[2], lambda x: x[:, 2], (2, 3)),
    ("meshgrid", lambda x: gj.meshgrid(x, x[:2])[1], lambda x: np.meshgrid(x, x[:2])[1], (3,)),
    (
        "meshgrid ij",
        lambda x: gj.meshgrid(x, x[:2], indexing="ij")[0],
        lambda x: np.meshgrid(x, x[:2], indexing="ij")[0],
        (3,),
    ),
]  # fmt: skip


@pytest.mark.parametrize("ours, theirs, shape", [row[1:] for row in FUNCTIONS], ids=[row[0] for row in FUNCTIONS])
class TestAgainstNumPy:
    """One table of functions: values, gradients, graphs with known and unknown sizes, every dtype."""

    def test_values(self, ours: Any, theirs: Any, shape: tuple[int, ...]) -> None:
        for dtype in (np.float64, np.float32, np.int32, np.int8, np.float16, np.complex64):
            array = numbers(*shape, dtype=dtype)
            if dtype is not np.float64 and "2.0" in _source(ours):
                continue
            np.testing.assert_array_equal(np.asarray(ours(gj.constant(array))), theirs(array), strict=True)

    def test_gradient(self, ours: Any, theirs: Any, shape: tuple[int, ...]) -> None:
        check_gradient(ours, numbers(*shape))

    def test_graphs(self, ours: Any, theirs: Any, shape: tuple[int, ...]) -> None:
        check_written(ours, numbers(*shape))

    def test_gradients_in_graphs(self, ours: Any, theirs: Any, shape: tuple[int, ...]) -> None:
        check_gradient_in_graphs(ours, numbers(*shape))

    def test_views_of_views(self, ours: Any, theirs: Any, shape: tuple[int, ...]) -> None:
        """The operand may be transposed and reversed memory."""
        array = numbers(*shape).T[...].T
        flipped = np.flip(np.flip(array).copy())
        np.testing.assert_array_equal(np.asarray(ours(gj.constant(flipped))), theirs(array))


def _source(function: Any) -> str:
    return " ".join(str(one) for one in getattr(function, "__code__", _source).co_consts)


def test_bools_are_shaped_too() -> None:
    x = np.array([[True, False, True]])
    np.testing.assert_array_equal(np.asarray(gj.transpose(gj.constant(x))), x.T, strict=True)
    padded = gj.pad(gj.constant(x), [[0, 1], [1, 0]], constant_values=True)
    wanted = np.pad(x, ((0, 1), (1, 0)), constant_values=True)
    np.testing.assert_array_equal(np.asarray(padded), wanted, strict=True)


# --- views ------------------------------------------------------------------------------------------


def _through(layout: Layout, shape: tuple[int, ...], memory: Array) -> Array:
    size = memory.itemsize
    start = memory[layout.offset :] if 0 <= layout.offset < memory.size else memory[:0]
    if 0 in shape:
        return np.zeros(shape, memory.dtype)
    return np.lib.stride_tricks.as_strided(start, shape, [stride * size for stride in layout.strides])


VIEWS = [op for op in all_ops() if op.kind is Kind.VIEW and isinstance(op.examples[0].operands[0], str)]


@pytest.mark.parametrize("op", VIEWS, ids=lambda op: op.name)
def test_a_views_layout_sees_what_numpy_makes(op: Any) -> None:
    """D12 of the design: views are strides and no copies, and the strides are right."""
    for example in op.examples:
        text = example.operands[0]
        shape = tuple(int(size) for size in text[text.index("[") + 1 : text.index("]")].split(",") if size)
        memory = numbers(*shape)
        (result,) = op.infer_types((type_of_array(memory),), example.attributes)
        layout = op.kernel(contiguous(shape), type_of_array(memory), **example.attributes)
        wanted = op.numpy(memory, **example.attributes)
        np.testing.assert_array_equal(_through(layout, result.sizes, memory.reshape(-1)), wanted)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_chains_of_views_keep_one_layout(data: Any) -> None:
    """Slices, transposes, broadcasts and diagonals one behind another are still one layout of the first buffer."""
    memory = numbers(*data.draw(hn.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)))
    array, layout = memory, contiguous(memory.shape)
    for _ in range(data.draw(st.integers(1, 4))):
        op, attributes = data.draw(_view_of(array.shape))
        next_layout = op.kernel(layout, type_of_array(array), **attributes)
        array = op.numpy(array, **attributes)
        if next_layout is None:
            assert op.name == "reshape"
            layout, memory = contiguous(array.shape), np.ascontiguousarray(array)
        else:
            layout = next_layout
        np.testing.assert_array_equal(_through(layout, array.shape, memory.reshape(-1)), array)


@st.composite
def _reshapes(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes of the same element count."""
    factors = draw(st.lists(st.sampled_from([1, 2, 3]), max_size=5))
    shapes = []
    for _ in range(2):
        order = draw(st.permutations(factors))
        cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
        parts = [order[begin:end] for begin, end in pairwise([0, *cuts, len(order)])]
        shapes.append(tuple(int(np.prod(part)) for part in parts))
    return shapes[0], shapes[1]


@settings(max_examples=300, deadline=None)
@given(_reshapes(), st.data())
def test_reshapes_are_views_wherever_numpy_can_do_without_a_copy(shapes: Any, data: Any) -> None:
    """Of transposed, sliced, reversed and broadcast memory too; where a layout is found, it is right."""
    shape, wanted = shapes
    rank = len(shape)
    memory = numbers(*(size * 2 for size in shape)).reshape(-1)
    perm = tuple(data.draw(st.permutations(range(rank))))
    strides = [stride * data.draw(st.sampled_from([1, 1, 2])) for stride in contiguous(shape).strides]
    strides = [stride * data.draw(st.sampled_from([1, 1, 1, 0])) for stride in strides]
    layout = Layout(0, tuple(strides[axis] for axis in perm))
    transposed = tuple(shape[axis] for axis in perm)
    array = _through(layout, transposed, memory)
    found = reshaped(layout, transposed, wanted)
    try:
        free = np.reshape(array, wanted, copy=False)
    except ValueError:
        assert found is None
    else:
        assert found is not None
        np.testing.assert_array_equal(_through(found, wanted, memory), free)


def _view_of(shape: tuple[int, ...]) -> Any:
    rank = len(shape)
    choices = [
        st.permutations(range(rank)).map(lambda perm: (find_op("transpose"), {"perm": tuple(perm)})),
        st.integers(0, rank).map(lambda axis: (find_op("expand_dims"), {"axis": axis})),
        st.just((find_op("reshape"), {"shape": (-1,) if 0 not in shape else shape})),
        hn.basic_indices(shape, allow_ellipsis=False, allow_newaxis=False).map(lambda key: _slice_of(key, rank)),
        st.just((find_op("broadcast_to"), {"shape": (2, *shape)})),
    ]
    if rank >= 2 and 0 not in shape[-2:]:
        choices.append(st.integers(1 - shape[-2], shape[-1] - 1).map(lambda k: (find_op("diag_part"), {"k": k})))
    return st.one_of(choices)


def _slice_of(key: Any, rank: int) -> Any:
    entries = list(key if isinstance(key, tuple) else (key,))
    entries += [slice(None)] * (rank - len(entries))
    drop = tuple(axis for axis, entry in enumerate(entries) if isinstance(entry, int))
    parts = [slice(entry, None if entry == -1 else entry + 1) if isinstance(entry, int) else entry for entry in entries]
    return find_op("strided_slice"), {
        "begin": tuple(part.start for part in parts),
        "end": tuple(part.stop for part in parts),
        "step": tuple(part.step or 1 for part in parts),
        "drop": drop,
    }


# --- joins ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [op for op in all_ops() if op.kind is Kind.JOIN], ids=lambda op: op.name)
def test_the_pieces_of_a_join_make_its_result(op: Any) -> None:
    """What kernels are made from says the same as the NumPy meaning."""
    for example in op.examples:
        arrays = []
        for text in example.operands:
            shape = tuple(int(size) for size in text[text.index("[") + 1 : text.index("]")].split(",") if size)
            arrays.append(np.asarray(numbers(*shape) + 10 * len(arrays)))
        wanted = op.numpy(*arrays, **example.attributes)
        result = np.full_like(wanted, np.nan)
        for piece in op.pieces(tuple(type_of_array(array) for array in arrays), **example.attributes):
            places = zip(piece.starts, piece.sizes, piece.steps, strict=True)
            box = tuple(slice(start, start + size * step, step) for start, size, step in places)
            assert arrays[piece.operand].shape in ((), piece.sizes)
            result[box] = arrays[piece.operand]
        np.testing.assert_array_equal(result, wanted)


def test_concat_of_several_has_a_gradient_for_each() -> None:
    arrays = [numbers(2, 3), numbers(2, 1), numbers(2, 0), numbers(2, 2)]
    for function in (lambda *parts: gj.concat(parts, 1), lambda *parts: gj.concat(parts[::-1], 1)):
        check_gradient(function, *arrays)
        check_written(function, *arrays)
        check_gradient_in_graphs(function, *arrays)
    check_gradient(lambda a, b: gj.stack([a, b, a], 1), numbers(2, 3), numbers(2, 3))


def test_second_derivatives_pass_through_slices_and_joins() -> None:
    """The gradient of a gradient of x[1:] ** 3, padded and joined again."""

    def first(x: Any) -> Any:
        (gradient,) = (
            np.asarray(one) for one in reverse_gradient(lambda t: gj.concat([t[1:] * t[1:] * t[1:], t[:1]], 0), [x])
        )
        return gradient

    x = numbers(4)
    weights = weights_like((4,))
    np.testing.assert_allclose(first(x), [weights[3], *(3 * x[1:] ** 2 * weights[:3])])

    def derivative(t: Any) -> Any:
        return gj.pad(t[1:] * t[1:] * 3.0 * gj.constant(weights[:3]), [[1, 0]])

    check_gradient(derivative, x)


def test_second_derivatives_with_unknown_sizes() -> None:
    """The gradients' own ops have gradients."""
    for function in (
        lambda x: x[1:, ::-2],
        lambda x: gj.concat([x, x[:1]], 0),
        lambda x: gj.stack([x, x], 1),
        lambda x: gj.broadcast_to(x[:1], gj.shape(x)),
        lambda x: x + x[0],
        lambda x: gj.tile(x, [2, 1]),
        lambda x: gj.repeat(x, 2, axis=1),
        lambda x: gj.roll(x, 1, 0),
        lambda x: x[gj.shape(x)[0] - 1 :],
        lambda x: gj.gather(x, [1, 0, 1]),
        lambda x: gj.linalg.diag_part(x, k=1),
        lambda x: x[x > 3.5],
    ):
        x = numbers(3, 3)
        check_gradient(gradient_of(function), x)
        check_gradient_in_graphs(lambda t, function=function: gradient_of(function)(t), x)


def test_the_gradient_of_the_value_that_pads() -> None:
    check_gradient(lambda x, value: gj.pad(x, [[1, 2], [0, 1]], constant_values=value), numbers(2, 2), np.array(3.0))


def test_join_of_python_numbers_takes_the_operands_dtype() -> None:
    """H3: the first operand decides."""
    x = gj.constant([1.0], gj.float64)
    assert gj.concat([[2.5], x], 0).dtype == gj.float64
    assert gj.stack([1, gj.constant(2.0)]).dtype == gj.float32
    assert gj.stack([1, 2]).dtype == gj.int32
    assert gj.constant([3.5]).dtype == gj.float32


# --- sizes that are operands ------------------------------------------------------------------------


def _shape_vector(*sizes: int) -> Array:
    return np.array(sizes, np.int32)


@pytest.mark.parametrize(
    "function, operands, wanted",
    [
        (lambda x, s: gj.reshape(x, s), (numbers(2, 6), _shape_vector(4, -1)), numbers(4, 3)),
        (lambda x, s: gj.broadcast_to(x, s), (numbers(3), _shape_vector(2, 3)), np.tile(numbers(3), (2, 1))),
        (lambda x, s: gj.tile(x, s), (numbers(2, 3), _shape_vector(2, 1)), np.tile(numbers(2, 3), (2, 1))),
        (lambda x, s: gj.fill(s, x), (np.array(2.0), _shape_vector(2, 2)), np.full((2, 2), 2.0)),
        (lambda x, s: x + gj.zeros(s, gj.float64), (numbers(3), _shape_vector(2, 3)), np.tile(numbers(3), (2, 1))),
        (lambda x, s: gj.slice(x, s, [1, 2]), (numbers(3, 4), _shape_vector(2, 1)), numbers(3, 4)[2:, 1:3]),
        (lambda x, s: gj.slice(x, [1, 0], s), (numbers(3, 4), _shape_vector(-1, 2)), numbers(3, 4)[1:, :2]),
        (lambda x, s: gj.slice(x, s, s), (numbers(3, 4), _shape_vector(1, 2)), numbers(3, 4)[1:2, 2:]),
        (lambda x, s: gj.repeat(x, s, axis=0), (numbers(3, 2), _shape_vector(2, 0, 1)), numbers(3, 2)[[0, 0, 2]]),
        (lambda x, s: gj.roll(x, s[0], 0), (numbers(5), _shape_vector(2)), np.roll(numbers(5), 2)),
        (lambda x, s: gj.range(s[0], s[1], 2.0), (numbers(1), np.array([1.0, 6.0])), np.array([1.0, 3.0, 5.0])),
        (lambda x, s: gj.reshape(x, [s[0], -1]), (numbers(2, 6), _shape_vector(4)), numbers(4, 3)),
    ],
)
def test_shapes_that_are_values(function: Any, operands: Any, wanted: Array) -> None:
    """A shape may come in as a tensor: eager, in a graph, and with a gradient."""
    from graphjit.compiler.backends.reference import run_reference

    eager = function(*(gj.constant(one) for one in operands))
    np.testing.assert_array_equal(np.asarray(eager), wanted, strict=True)
    graph = write_graph("f", [type_of_array(one) for one in operands], function)
    np.testing.assert_array_equal(run_reference(graph, operands)[0], wanted, strict=True)
    if operands[1].dtype.kind == "i":
        check_gradient(function, *operands)
        check_gradient_in_graphs(function, *operands, unknown=False)


def test_static_shapes_and_shapes_as_values() -> None:
    """H8: size, shape and rank are int32 tensors; `.shape` is static."""
    x = gj.zeros((2, 3))
    for value, wanted in ((gj.shape(x), [2, 3]), (gj.size(x), 6), (gj.rank(x), 2)):
        assert value.dtype == gj.int32 and value.numpy().tolist() == wanted
    assert gj.shape(x, out_type=gj.int64).dtype == gj.int64
    assert x.shape == (2, 3)
    graph = write_graph("f", [TensorType(float32, (None, 3))], lambda t: [gj.shape(t), gj.size(t), gj.rank(t)])
    assert [str(value.type) for value in graph.outputs] == ["i32[2]", "i32[]", "i32[]"]


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: gj.reshape(x, [5]), ShapeError, r"reshape\(f64\[2,3\]\): cannot reshape \(2, 3\)"),
        (lambda x: gj.reshape(x, [-1, -1]), ShapeError, "at most one size"),
        (lambda x: gj.reshape(x, [4, -1]), ShapeError, "cannot reshape"),
        (lambda x: gj.reshape(x, "ab"), ShapeError, "sequence of integers"),
        (lambda x: gj.reshape(x, [2.0, 3]), ShapeError, "sequence of integers"),
        (lambda x: gj.transpose(x, [0, 0]), ShapeError, "no permutation"),
        (lambda x: gj.transpose(x, [0, 2]), ShapeError, "perm 2 is out of range"),
        (lambda x: gj.expand_dims(x, 4), ShapeError, "axis 4 is out of range"),
        (lambda x: gj.squeeze(x, [0]), ShapeError, "its size is not 1"),
        (lambda x: gj.broadcast_to(x, [3, 3]), ShapeError, "do not broadcast|does not broadcast"),
        (lambda x: gj.broadcast_to(x, [-1, 3]), ShapeError, "not negative"),
        (lambda x: gj.ensure_shape(x, [3, None]), ShapeError, "asked for"),
        (lambda x: gj.concat([x, gj.zeros((3, 2), gj.float64)], 0), ShapeError, "differ in axis 1"),
        (lambda x: gj.concat([x, x], 2), ShapeError, "axis 2 is out of range"),
        (lambda x: gj.concat([x, gj.zeros((2, 3))], 0), DtypeError, "gj.cast"),
        (lambda x: gj.concat([gj.constant(1.0)], 0), ShapeError, "axis 0 is out of range"),
        (lambda x: gj.concat([], 0), InvalidArgumentError, "at least one"),
        (lambda x: gj.stack([x, x[0]]), ShapeError, "one shape"),
        (lambda x: gj.stack([]), InvalidArgumentError, "at least one"),
        (lambda x: gj.split(x, 2, 1), ShapeError, "2 equal parts"),
        (lambda x: gj.split(x, [1, 1], 1), ShapeError, "do not add up"),
        (lambda x: gj.split(x, [-1, -1], 1), ShapeError, "one -1"),
        (lambda x: gj.unstack(x, 3), ShapeError, "asked for"),
        (lambda x: gj.unstack(x[0, 0]), ShapeError, "axis 0 is out of range"),
        (lambda x: gj.tile(x, [2]), ShapeError, "one for each axis"),
        (lambda x: gj.repeat(x, -1), InvalidArgumentError, "not negative"),
        (lambda x: gj.repeat(x, [1, 2, 3], axis=0), ShapeError, "asked for"),
        (lambda x: gj.pad(x, [[1, 1]]), InvalidArgumentError, "for each of 2 axes"),
        (lambda x: gj.pad(x, [[1, 1], [-1, 0]]), InvalidArgumentError, "none negative"),
        (lambda x: gj.pad(x, [[2, 0], [0, 0]], "REFLECT"), InvalidArgumentError, "at most 1"),
        (lambda x: gj.pad(x, [[0, 0], [0, 0]], "WRAP"), InvalidArgumentError, "WRAP"),
        (lambda x: gj.slice(x, [0, 0], [3, 1]), OutOfRangeError, "axis 0 of size 2"),
        (lambda x: gj.slice(x, [0], [1]), ShapeError, "2 entries"),
        (lambda x: gj.slice(x, [-1, 0], [1, 1]), OutOfRangeError, "out of range"),
        (lambda x: gj.roll(x, [1, 2], [0]), InvalidArgumentError, "2 shifts for 1 axes"),
        (lambda x: gj.reverse(x, [2]), ShapeError, "axis 2 is out of range"),
        (lambda x: gj.meshgrid(x, indexing="yx"), InvalidArgumentError, "'yx'"),
        (lambda x: gj.moveaxis(x, [0, 0], [0, 1]), ShapeError, "each once"),
    ],
)
def test_errors_say_what_was_needed_and_what_came(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        call(gj.constant(numbers(2, 3)))
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "function, shape",
    [
        (lambda x: gj.reshape(x, [4]), (3,)),
        (lambda x: gj.ensure_shape(x, [4]), (3,)),
        (lambda x: gj.squeeze(x, 0), (3,)),
        (lambda x: gj.unstack(x, 4)[0], (3,)),
        (lambda x: gj.split(x, 2)[0], (3,)),
        (lambda x: gj.split(x, [1, -1, 3])[0], (3,)),
        (lambda x: gj.slice(x, [1], [3]), (3,)),
        (lambda x: gj.concat([x[None], gj.zeros((1, 4), gj.float64)], 0), (3,)),
        (lambda x: gj.pad(x, [[3, 0]], "REFLECT"), (3,)),
        (lambda x: x[3], (3,)),
    ],
)
def test_errors_of_unknown_sizes_come_when_the_graph_runs(function: Any, shape: tuple[int, ...]) -> None:
    """Decision 2: what raises eagerly raises in a graph of unknown sizes, run as it is or specialised."""
    from graphjit.compiler.backends.reference import run_reference
    from graphjit.compiler.specialize import specialize

    array = numbers(*shape)
    with pytest.raises(InvalidArgumentError):
        function(gj.constant(array))
    graph = write_graph("f", [TensorType(type_of_array(array).dtype, (None,) * len(shape))], function)
    with pytest.raises(InvalidArgumentError):
        run_reference(graph, [array])
    with pytest.raises(InvalidArgumentError):
        run_reference(specialize(graph, [type_of_array(array)]), [array])


@pytest.mark.parametrize(
    "function, traced, error, words",
    [
        (lambda x, s: gj.slice(x, s, [1, 1]), "f32[2]", DtypeError, "begin of a slice must hold integers"),
        (lambda x, s: gj.slice(x, s, [1, 1]), "i32[3]", ShapeError, "vector of 2 positions"),
        (lambda x, s: gj.slice(x, s, [1, 9]), "i32[2]", OutOfRangeError, "does not fit axis 1 of size 3"),
        (lambda x, s: gj.slice(x, s, [1]), "i32[2]", ShapeError, "needs 2 sizes"),
        (lambda x, s: gj.tile(x, s), "i32[3]", ShapeError, "do not fit shape"),
        (lambda x, s: gj.reshape(x, s), "i32[?]", ShapeError, "vector of known length"),
        (lambda x, s: gj.transpose(x, s), "i32[2]", ShapeError, "known when the function is traced"),
        (lambda x, s: gj.split(x, s), "i32[2]", ShapeError, "known when the function is traced"),
        (lambda x, s: gj.concat([x, x], s), "i32[]", InvalidArgumentError, "known when the function is traced"),
        (lambda x, s: gj.pad(x, s), "i32[2,2]", InvalidArgumentError, "known when the function is traced"),
        (lambda x, s: gj.squeeze(s), "i32[?]", ShapeError, "needs an axis"),
        (lambda x, s: gj.unstack(s), "i32[?]", ShapeError, "needs num"),
        (lambda x, s: x[::s], "i32[]", InvalidArgumentError, "step of a slice must be known"),
        (lambda x, s: x[s:], "i32[2]", DtypeError, "bound of a slice"),
        (lambda x, s: x[s], "bool[]", DtypeError, "scalar boolean"),
        (lambda x, s: gj.strided_slice(x, [0], [1, 2]), "i32[]", InvalidArgumentError, "1, 2, 1 entries"),
        (lambda x, s: gj.roll(x, s, 0), "i32[?]", ShapeError, "known length"),
        (lambda x, s: gj.linalg.diag(s), "i32[?]", ShapeError, "known size"),
        (lambda x, s: gj.linalg.diag_part(x, k=s), "i32[]", InvalidArgumentError, "known when the function is traced"),
        (lambda x, s: gj.math.top_k(x, s), "i32[]", InvalidArgumentError, "known when the function is traced"),
        (lambda x, s: gj.range(s), "i32[2]", ShapeError, "scalars"),
        (lambda x, s: gj.math.bincount([1], minlength=s), "i32[]", InvalidArgumentError, "known when the function"),
    ],
)
def test_errors_while_tracing(function: Any, traced: str, error: type[Exception], words: str) -> None:
    """What must be known while tracing says so; nothing waits until the graph runs that could be said now."""
    from graphjit.compiler.dump.text import parse_graph

    (value,) = parse_graph(f"f(%s: {traced}) {{ return %s }}").inputs
    with pytest.raises(error, match=words):
        write_graph("f", [TensorType(float32, (2, 3)), value.type], function)
