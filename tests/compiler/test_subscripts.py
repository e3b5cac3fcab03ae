"""`tensor[...]` against NumPy: rows H5 and G15."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from differences import check_gradient_in_graphs, check_written, reverse_gradient, weights_like
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hn

import graphjit as gj
from graphjit.compiler.tensortype import TensorType, float32, int32
from graphjit.compiler.writer import write_graph
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, OutOfRangeError

SHAPES = hn.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@st.composite
def basic_subscripts(draw: Any) -> tuple[tuple[int, ...], Any]:
    shape = draw(SHAPES)
    return shape, draw(hn.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True, max_dims=5))


@st.composite
def array_subscripts(draw: Any) -> tuple[tuple[int, ...], Any]:
    """Several index arrays, integers and slices mixed, as NumPy allows them."""
    shape = draw(hn.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    common = draw(hn.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    key = [draw(_entry(size, common)) for size in shape]
    for _ in range(draw(st.integers(0, 1))):
        key.insert(draw(st.integers(0, len(key))), None)
    return shape, tuple(key)


def _entry(size: int, common: tuple[int, ...]) -> Any:
    index = st.integers(-size, size - 1)
    shapes = st.integers(0, len(common)).flatmap(
        lambda start: st.tuples(*(st.sampled_from([one, 1]) for one in common[start:]))
    )
    return st.one_of(index, st.slices(size), shapes.flatmap(lambda shape: hn.arrays(np.int64, shape, elements=index)))


def numbers(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.asarray(np.arange(int(np.prod(shape)), dtype=np.float64).reshape(shape) + 0.5)


def assert_like_numpy(shape: tuple[int, ...], key: Any) -> None:
    """The same elements as NumPy, and the gradient puts each weight where its element came from (G15)."""
    array = numbers(shape)
    wanted = array[key]
    got = gj.constant(array)[key]
    np.testing.assert_array_equal(np.asarray(got), wanted, strict=True)
    gradient = np.zeros_like(array)
    np.add.at(gradient, key, weights_like(wanted.shape))
    (found,) = reverse_gradient(lambda x: x[key], [array])
    np.testing.assert_allclose(found, gradient, rtol=1e-12, atol=0)


@settings(max_examples=300, deadline=None)
@given(basic_subscripts())
def test_basic_subscripts_and_gradients_are_numpys(case: tuple[tuple[int, ...], Any]) -> None:
    """H5: integers, slices with any step, ellipsis and new axes."""
    assert_like_numpy(*case)


@settings(max_examples=200, deadline=None)
@given(array_subscripts())
def test_array_subscripts_and_gradients_are_numpys(case: tuple[tuple[int, ...], Any]) -> None:
    """H5, our superset: integer arrays, negative ones too, with NumPy's placing of the new axes."""
    assert_like_numpy(*case)


@settings(max_examples=60, deadline=None)
@given(basic_subscripts())
def test_basic_subscripts_in_graphs(case: tuple[tuple[int, ...], Any]) -> None:
    """H5: a graph with unknown sizes gives the same as eager, and knows all sizes when it is specialised."""
    shape, key = case
    check_written(lambda x: x[key], numbers(shape))
    check_gradient_in_graphs(lambda x: x[key], numbers(shape) + 0.5)


@settings(max_examples=40, deadline=None)
@given(array_subscripts())
def test_array_subscripts_in_graphs(case: tuple[tuple[int, ...], Any]) -> None:
    shape, key = case
    check_written(lambda x: x[key], numbers(shape))
    check_gradient_in_graphs(lambda x: x[key], numbers(shape) + 0.5)


@pytest.mark.parametrize(
    "mask_axes, key",
    [
        ((0,), lambda mask: mask),
        ((0, 1), lambda mask: mask),
        ((1,), lambda mask: (slice(None), mask)),
        ((2,), lambda mask: (Ellipsis, mask)),
        ((1, 2), lambda mask: (Ellipsis, mask)),
        ((1,), lambda mask: (Ellipsis, mask, slice(None))),
        ((0,), lambda mask: (mask, slice(None), 1)),
        ((0,), lambda mask: (mask, slice(1, None))),
        ((0,), lambda mask: (mask, None)),
        ((0,), lambda mask: (mask, np.array([0, 1]))),
    ],
)
def test_masks_are_numpys(mask_axes: tuple[int, ...], key: Any) -> None:
    """H5: boolean masks, alone and beside slices, integers and arrays; G15: their gradients."""
    shape = (2, 3, 4)
    masked = [shape[axis] for axis in mask_axes]
    mask = np.arange(int(np.prod(masked))).reshape(masked) % 3 != 1
    if mask.size == 2:
        mask[:] = True
    assert_like_numpy(shape, key(mask))
    check_written(lambda x: x[key(mask)], numbers(shape), static=False)


def test_a_mask_may_be_a_tensor_and_select_nothing() -> None:
    x = gj.constant([1.0, 2.0, 3.0])
    assert x[x > 1.5].numpy().tolist() == [2.0, 3.0]
    assert x[x > 9.0].shape == (0,)


def test_a_list_picks_rows() -> None:
    """H5, decided: a list means what NumPy means by it, rows 0 and 1, not t[0, 1]."""
    x = numbers((3, 2))
    np.testing.assert_array_equal(gj.constant(x)[[0, 1]], x[[0, 1]])
    np.testing.assert_array_equal(gj.constant(x)[[]], x[[]])
    np.testing.assert_array_equal(gj.constant(x)[[2, 0], [1, 1]], x[[2, 0], [1, 1]])


@pytest.mark.parametrize("index", [gj.constant(1), np.int64(1), np.array(1), gj.constant(1, gj.uint8), True + 0])
def test_scalar_indices_of_any_kind(index: Any) -> None:
    """H5: a scalar integer tensor is an index."""
    assert gj.constant([[1, 2], [3, 4]])[index].numpy().tolist() == [3, 4]
    assert gj.constant([[1, 2], [3, 4]])[:, index].numpy().tolist() == [2, 4]


@pytest.mark.parametrize(
    "key, error",
    [
        ((3,), OutOfRangeError),
        ((-4,), OutOfRangeError),
        ((0, 2), OutOfRangeError),
        ((0, 0, 0), OutOfRangeError),
        (np.array([0, 3]), OutOfRangeError),
        (np.array([-4]), OutOfRangeError),
        ((np.array([0]), np.array([2])), OutOfRangeError),
        (1.5, DtypeError),
        ("a", DtypeError),
        (True, DtypeError),
        (np.array([0.5]), DtypeError),
        ((Ellipsis, Ellipsis), InvalidArgumentError),
        (slice(None, None, 0), InvalidArgumentError),
        (slice(1.5, None), DtypeError),
        (np.array([True, False]), InvalidArgumentError),
        (np.ones((3, 2, 1), bool), InvalidArgumentError),
    ],
)
def test_subscripts_that_do_not_fit(key: Any, error: type[Exception]) -> None:
    """H5: errors, never garbage; out-of-range is an IndexError too, so that Python's protocols work."""
    with pytest.raises(error):
        gj.constant(numbers((3, 2)))[key]
    assert issubclass(OutOfRangeError, IndexError)


def test_the_error_names_index_axis_and_size() -> None:
    with pytest.raises(OutOfRangeError, match=r"index 5 is out of range for axis 1 of size 2"):
        gj.constant(numbers((3, 2)))[0, 5]


def test_tensors_do_not_change() -> None:
    """H5: no item assignment."""
    x = gj.constant([1, 2])
    with pytest.raises(TypeError):
        x[0] = 5  # type: ignore[index]  # that it is refused is the point


def _picked(x: Any, i: Any) -> Any:
    return x[i], x[:, i], x[0, i, None], x[i:], x[:, :i], x[::-1][i - 1 : i + 2]


@pytest.mark.parametrize("i", [-2, -1, 0, 1, 2])
def test_traced_scalars_and_bounds(i: int) -> None:
    """H5: a traced scalar picks when the graph runs; traced bounds of slices follow Python's rules."""
    x = numbers((3, 4))
    for part, wanted in enumerate(_picked(x, i)):
        check_written(lambda t, j, part=part: _picked(t, j)[part], x, np.array(i, np.int32), static=False)
        eager = _picked(gj.constant(x), gj.constant(i))[part]
        np.testing.assert_array_equal(np.asarray(eager), wanted, strict=True)


def test_traced_positions_are_checked() -> None:
    """A traced index that is out of range raises when the graph runs, as it does eagerly."""
    from graphjit.compiler.backends.reference import run_reference

    graph = write_graph("f", [TensorType(float32, (3,)), TensorType(int32, ())], lambda x, i: x[i])
    x = np.float32([1, 2, 3])
    assert run_reference(graph, [x, np.array(-1, np.int32)])[0] == 3
    for index in (3, -4):
        with pytest.raises(OutOfRangeError, match="axis 0 of size 3"):
            run_reference(graph, [x, np.array(index, np.int32)])


def test_gradients_of_traced_subscripts() -> None:
    """G15: positions that are only known when the graph runs get their cotangents there."""
    from graphjit.compiler.backends.reference import run_reference
    from graphjit.compiler.dispatch import add_recorder, remove_recorder
    from graphjit.compiler.gradient import Recording, backward

    def gradient(x: Any, i: Any) -> Any:
        recording = Recording()
        recording.watch(x)
        add_recorder(recording)
        y = gj.reduce_sum(x[i] * 2.0) + gj.reduce_sum(x[i:]) + gj.reduce_sum(x[:, i:-1:2] * 3.0)
        remove_recorder(recording)
        return backward(recording, [(y, gj.ones_like(y))]).of(x)

    for shape in ((3, 4), (None, None)):
        graph = write_graph("g", [TensorType(float32, shape), TensorType(int32, ())], gradient)
        (found,) = run_reference(graph, [np.zeros((3, 4), np.float32), np.array(1, np.int32)])
        wanted = np.zeros((3, 4), np.float32)
        wanted[1] += 2
        wanted[1:] += 1
        wanted[:, 1:-1:2] += 3
        np.testing.assert_array_equal(found, wanted)


def test_iterating_gives_rows() -> None:
    x = numbers((3, 2))
    np.testing.assert_array_equal([np.asarray(row) for row in gj.constant(x)], x)


def test_an_index_costs_one_equation() -> None:
    """A dump stays readable: one row or one box is one line."""
    for key in (0, (slice(1, 3), 0), (Ellipsis, -1), slice(None, None, -1)):
        graph = write_graph("f", [TensorType(float32, (4, 3))], lambda x, key=key: x[key])
        assert [equation.op.name for equation in graph.equations] == ["strided_slice"]
    same = write_graph("f", [TensorType(float32, (4, 3))], lambda x: x[0:4])
    assert [equation.op.name for equation in same.equations] == ["identity"]
    one, other = (
        write_graph("f", [TensorType(float32, (4,))], lambda x, key=key: x[key]).equations[0].attributes
        for key in (slice(-2, None), slice(2, 10))
    )
    assert one == other
