"""Picking and putting by computed positions: rows G15, G16 and decision 2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from differences import check_gradient, check_gradient_in_graphs, check_written, reverse_gradient, weights_like
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hn

import graphjit as gj
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.op import Kind, all_ops
from graphjit.compiler.tensortype import TensorType, float32, float64, int32
from graphjit.compiler.writer import write_graph
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, OutOfRangeError, ShapeError

Array = np.ndarray[Any, Any]


def numbers(*shape: int) -> Array:
    return np.asarray(np.arange(float(np.prod(shape))).reshape(shape) + 0.5)


def same(ours: Any, theirs: Any) -> None:
    np.testing.assert_array_equal(np.asarray(ours), theirs, strict=True)


# --- gather -------------------------------------------------------------------------------------------


@st.composite
def gathers(draw: Any) -> tuple[Array, Array, int]:
    shape = draw(hn.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    axis = draw(st.integers(0, len(shape) - 1))
    where = draw(hn.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4))
    dtype = draw(st.sampled_from([np.int32, np.int64, np.uint8]))
    return numbers(*shape), draw(hn.arrays(dtype, where, elements=st.integers(0, shape[axis] - 1))), axis


@settings(max_examples=150, deadline=None)
@given(gathers())
def test_gather_is_numpys_take(case: tuple[Array, Array, int]) -> None:
    """G15: the gradient is dense, and duplicates add up."""
    x, indices, axis = case
    same(gj.gather(x, indices, axis=axis), np.take(x, indices, axis))
    same(gj.gather(gj.constant(x), indices, axis=axis - x.ndim), np.take(x, indices, axis))
    key = (slice(None),) * axis + (indices,)
    wanted = np.zeros_like(x)
    np.add.at(wanted, key, weights_like(x[key].shape))
    (found, nothing) = reverse_gradient(lambda t, i: gj.gather(t, i, axis=axis), [x, indices])
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert nothing is None


@settings(max_examples=40, deadline=None)
@given(gathers())
def test_gather_in_graphs(case: tuple[Array, Array, int]) -> None:
    x, indices, axis = case
    check_written(lambda t, i: gj.gather(t, i, axis=axis), x, indices)
    check_gradient_in_graphs(lambda t, i: gj.gather(t, i, axis=axis), x + 0.5, indices)


@pytest.mark.parametrize("batch_dims, axis", [(1, 1), (1, 2), (2, 2), (-1, 1)])
def test_gather_with_batches(batch_dims: int, axis: int) -> None:
    x = numbers(2, 3, 4)
    batch = batch_dims if batch_dims >= 0 else 1
    indices = np.array([[2, 0, 1, 1], [0, 0, 2, 1]])[:, :3] % x.shape[axis]
    if batch == 2:
        indices = np.stack([indices, indices + 1], -1)
    wanted = np.stack([np.take(row, one, axis - 1) for row, one in zip(x, indices, strict=True)])
    if batch == 2:
        wanted = np.stack(
            [[np.take(row, one) for row, one in zip(*pair, strict=True)] for pair in zip(x, indices, strict=True)]
        )
    same(gj.gather(x, indices, axis=axis, batch_dims=batch_dims), wanted)
    check_gradient(lambda t: gj.gather(t, indices, axis=axis, batch_dims=batch_dims), x)
    check_written(lambda t, i: gj.gather(t, i, axis=axis, batch_dims=batch_dims), x, indices)


@pytest.mark.parametrize("index", [3, -1, 100])
def test_an_index_out_of_range_is_an_error_in_both_modes(index: int) -> None:
    """Never a clamp: the index, the axis and its size are named, eagerly and in a graph (decision 2)."""
    words = rf"index {index} .*out of range for axis 0 of size 3"
    with pytest.raises(OutOfRangeError, match=words):
        gj.gather(numbers(3), [0, index])
    graph = write_graph("f", [TensorType(float64, (3,)), TensorType(int32, (2,))], gj.gather)
    assert all(equation.must_run for equation in graph.equations)
    with pytest.raises(OutOfRangeError, match=words):
        run_reference(graph, [numbers(3), np.array([0, index], np.int32)])


def test_gather_of_nothing_and_from_nothing() -> None:
    same(gj.gather(numbers(0, 2), np.zeros(0, np.int32)), numbers(0, 2))
    with pytest.raises(OutOfRangeError, match="size 0"):
        gj.gather(numbers(0, 2), [0])
    for call, error in (
        (lambda: gj.gather(numbers(3), [0.5]), DtypeError),
        (lambda: gj.gather(numbers(3), [0], axis=1), ShapeError),
        (lambda: gj.gather(numbers(2, 3), [[0], [1], [2]], batch_dims=1), ShapeError),
        (lambda: gj.gather(gj.constant(1.0), 0), ShapeError),
    ):
        with pytest.raises(error):
            call()


def test_the_second_derivative_of_gather() -> None:
    """G15: scatter-add is linear, and its gradient is gather again."""

    def function(x: Any) -> Any:
        y = gj.gather(x, [2, 0, 2])
        return y * y * y

    x = numbers(3)
    (first,) = reverse_gradient(function, [x])
    weights = weights_like((3,))
    wanted = np.zeros(3)
    np.add.at(wanted, [2, 0, 2], 3 * x[[2, 0, 2]] ** 2 * weights)
    np.testing.assert_allclose(first, wanted)
    ungather = next(op for op in all_ops() if op.name == "ungather")
    from graphjit.compiler.dispatch import apply

    indices = gj.constant([2, 0, 2])
    check_gradient(lambda g: apply(ungather, g, indices, size=3, axis=0, batch_dims=0), numbers(3))


# --- gather_nd, scatter_nd ------------------------------------------------------------------------------


@st.composite
def tuples(draw: Any) -> tuple[Array, Array]:
    shape = draw(hn.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    depth = draw(st.integers(0, len(shape)))
    where = draw(hn.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    columns = [draw(hn.arrays(np.int32, where, elements=st.integers(0, size - 1))) for size in shape[:depth]]
    indices = np.stack(columns, -1) if columns else np.zeros((*where, 0), np.int32)
    return numbers(*shape), indices


def _picked(x: Array, indices: Array) -> Array:
    places = tuple(np.moveaxis(indices, -1, 0))
    return np.asarray(x[places]) if places else np.broadcast_to(x, (*indices.shape[:-1], *x.shape)).copy()


@settings(max_examples=100, deadline=None)
@given(tuples())
def test_gather_nd_and_scatter_nd_are_each_others_gradients(case: tuple[Array, Array]) -> None:
    x, indices = case
    wanted = _picked(x, indices)
    same(gj.gather_nd(x, indices), wanted)
    check_gradient(lambda t: gj.gather_nd(t, indices), x)
    updates = weights_like(wanted.shape)
    put = np.zeros_like(x)
    for place in np.ndindex(*indices.shape[:-1]):
        put[tuple(indices[place])] += updates[place]
    np.testing.assert_allclose(np.asarray(gj.scatter_nd(indices, updates, x.shape)), put, rtol=1e-12, atol=1e-15)
    check_gradient(lambda u: gj.scatter_nd(indices, u, x.shape), updates)


def test_gather_nd_with_batches() -> None:
    x = numbers(2, 3, 4)
    indices = np.array([[[1, 0], [2, 3]], [[0, 0], [0, 1]]])
    wanted = np.stack([row[tuple(one.T)] for row, one in zip(x, indices, strict=True)])
    same(gj.gather_nd(x, indices, batch_dims=1), wanted)
    check_gradient(lambda t: gj.gather_nd(t, indices, batch_dims=1), x)


def test_scatter_nd_of_a_traced_shape() -> None:
    graph = write_graph(
        "f",
        [TensorType(int32, (2, 1)), TensorType(float64, (2,)), TensorType(int32, (1,))],
        gj.scatter_nd,
    )
    arrays = [np.array([[1], [1]], np.int32), np.array([1.0, 2.0]), np.array([3], np.int32)]
    same(run_reference(graph, arrays)[0], np.array([0.0, 3.0, 0.0]))


UPDATES = {
    "update": gj.tensor_scatter_nd_update,
    "add": gj.tensor_scatter_nd_add,
    "sub": gj.tensor_scatter_nd_sub,
    "min": gj.tensor_scatter_nd_min,
    "max": gj.tensor_scatter_nd_max,
}


COMBINE = {
    "update": lambda old, new: new,
    "add": np.add,
    "sub": np.subtract,
    "min": np.minimum,
    "max": np.maximum,
}


def _put(name: str, x: Array, indices: Array, updates: Array) -> Array:
    result = x.copy()
    for place in np.ndindex(*indices.shape[:-1]):
        at = tuple(indices[place])
        result[at] = COMBINE[name](result[at], updates[place])
    return result


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("rows", [True, False])
def test_tensors_with_elements_put_in(name: str, rows: bool) -> None:
    x = numbers(4, 3)
    indices = np.array([[2], [0]]) if rows else np.array([[2, 1], [0, 0], [3, 2]])
    updates = np.array([4.2, 8.1, 0.3, 7.9, 2.2, 1.1]).reshape(2, 3) if rows else np.array([7.2, 0.1, 20.0])
    same(UPDATES[name](x, indices, updates), _put(name, x, indices, updates))
    check_gradient(lambda t, u: UPDATES[name](t, indices, u), x, updates)
    check_written(lambda t, u: UPDATES[name](t, indices, u), x, updates)


@pytest.mark.parametrize("name", ["add", "sub", "min", "max"])
def test_duplicates_combine(name: str) -> None:
    x, indices, updates = numbers(3), np.array([[1], [1], [1]]), np.array([3.0, -1.0, 5.0])
    same(UPDATES[name](x, indices, updates), _put(name, x, indices, updates))
    check_gradient(lambda t, u: UPDATES[name](t, indices, u), x, updates)


def test_ties_of_scatter_max_share() -> None:
    """As reduce_max does (G17)."""
    found = reverse_gradient(
        lambda t, u: gj.tensor_scatter_nd_max(t, [[0], [0]], u), [np.array([2.0]), np.array([2.0, 1.0])]
    )
    np.testing.assert_allclose(found[0], [weights_like((1,))[0] / 2])
    np.testing.assert_allclose(found[1], [weights_like((1,))[0] / 2, 0])


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda x: gj.gather_nd(x, [[0, 3]]), OutOfRangeError),
        (lambda x: gj.gather_nd(x, [[-1, 0]]), OutOfRangeError),
        (lambda x: gj.gather_nd(x, [[0, 0, 0]]), ShapeError),
        (lambda x: gj.gather_nd(x, 0), ShapeError),
        (lambda x: gj.scatter_nd([[5]], [1.0], [4]), OutOfRangeError),
        (lambda x: gj.scatter_nd([[0]], [1.0, 2.0], [4]), ShapeError),
        (lambda x: gj.tensor_scatter_nd_add(x, [[9]], [[1.0, 2.0, 3.0]]), OutOfRangeError),
        (lambda x: gj.tensor_scatter_nd_update(x, [[0]], [1.0]), ShapeError),
        (lambda x: gj.tensor_scatter_nd_update(x, [[0]], gj.ones((1, 3))), DtypeError),
        (lambda x: gj.tensor_scatter_nd_max(x, [[0.0]], [[1.0, 2.0, 3.0]]), DtypeError),
    ],
)
def test_errors_of_gather_nd_and_scatter_nd(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(gj.constant(numbers(2, 3)))


# --- masks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis, mask_shape", [(None, (2,)), (None, (2, 3)), (1, (3,)), (1, (3, 4)), (-1, (4,))])
def test_boolean_mask(axis: int | None, mask_shape: tuple[int, ...]) -> None:
    x = numbers(2, 3, 4)
    mask = np.arange(int(np.prod(mask_shape))).reshape(mask_shape) % 2 == 0
    where = 0 if axis is None else axis % 3
    same(gj.boolean_mask(x, mask, axis=axis), x[(slice(None),) * where + (mask,)])
    check_gradient(lambda t: gj.boolean_mask(t, mask, axis=axis), x)
    check_written(lambda t, m: gj.boolean_mask(t, m, axis=axis), x, mask, static=False)


def test_masks_that_do_not_fit() -> None:
    for mask, error in (([True], ShapeError), ([1, 0], DtypeError), (True, ShapeError)):
        with pytest.raises(error):
            gj.boolean_mask(numbers(2), mask)
    graph = write_graph("f", [TensorType(float32, (None,)), TensorType(gj.as_dtype("bool"), (None,))], gj.boolean_mask)
    with pytest.raises(ShapeError, match="does not fit"):
        run_reference(graph, [np.float32([1, 2]), np.array([True])])


def test_where_of_one_argument() -> None:
    condition = np.array([[True, False], [True, True]])
    same(gj.where(condition), np.argwhere(condition))
    same(gj.where([0.0, 2.0]), np.array([[1]]))
    same(gj.where(np.zeros((0, 2), bool)), np.zeros((0, 2), np.int64))
    same(gj.where(gj.constant(True)), np.zeros((1, 0), np.int64))


def test_take_along_axis() -> None:
    x = np.random.default_rng(1).normal(size=(3, 4, 2))
    for axis in (0, 1, -1):
        order = np.argsort(x, axis=axis)
        same(np.take_along_axis(gj.constant(x), gj.constant(order), axis), np.take_along_axis(x, order, axis))
        same(
            gj.take_along_axis(x, order[:1] - x.shape[axis] if axis else order[:1], axis),
            np.take_along_axis(x, order[:1], axis),
        )
        check_gradient(lambda t, axis=axis, order=order: gj.take_along_axis(t, order, axis), x)
    same(gj.take_along_axis(x, [0, 5, -1], None), np.take_along_axis(x, np.array([0, 5, -1]), None))
    with pytest.raises(OutOfRangeError):
        gj.take_along_axis(x, np.full((1, 1, 1), 4), 1)
    with pytest.raises(ShapeError):
        gj.take_along_axis(x, [0], 1)


def test_every_indexing_op_is_kept_for_its_checks() -> None:
    """Decision 2: an index that is out of range raises even where nobody reads the result."""
    for op in all_ops():
        if op.kind is Kind.INDEXING and op.name.startswith(
            ("gather", "scatter", "tensor_scatter", "dynamic", "ungather")
        ):
            assert op.fails is True, op.name


def test_unsupported_arguments_are_errors() -> None:
    def traced_axis(x: Any, axis: Any) -> Any:
        return gj.gather(x, [0], axis=axis)

    with pytest.raises(InvalidArgumentError, match="axis that is known"):
        write_graph("f", [TensorType(float32, (2,)), TensorType(int32, ())], traced_axis)
