"""Variables: rows C1 to C5, C8 and C10, eagerly and in compiled functions."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj


def _eager(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


@pytest.fixture(params=["eager", "compiled"])
def mode(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """What makes a function run eagerly, or compiled."""
    return gj.compile if request.param == "compiled" else _eager


def _values(*tensors: Any) -> list[Any]:
    return [np.asarray(one).tolist() for one in tensors]


# --- creation -----------------------------------------------------------------------------------


def test_c1_repr() -> None:
    """C1: the repr is TensorFlow's with our class."""
    v = gj.Variable([[1], [2]])
    assert repr(v) == (
        "<gj.Variable 'Variable:0' shape=(2, 1) dtype=int32, numpy=\narray([[1],\n       [2]], dtype=int32)>"
    )
    assert repr(gj.Variable(1.5, name="lr")) == "<gj.Variable 'lr:0' shape=() dtype=float32, numpy=1.5>"


def test_c1_initial_values() -> None:
    """C1: numbers, arrays, tensors, variables and functions of no arguments may be initial values."""
    assert gj.Variable(2**40).dtype == gj.int64
    assert gj.Variable(np.float64(1.0)).dtype == gj.float64
    assert gj.Variable([1, 2], dtype=gj.float32).dtype == gj.float32
    assert gj.Variable(lambda: gj.ones([2])).numpy().tolist() == [1.0, 1.0]
    assert gj.Variable(gj.constant([1, 2])).numpy().tolist() == [1, 2]


def test_c1_the_initial_array_is_copied() -> None:
    """C1: writing into the array later does not change the variable."""
    array = np.zeros(3)
    v = gj.Variable(array)
    array[0] = 5
    assert v.numpy().tolist() == [0, 0, 0]


def test_c1_refused_initial_values() -> None:
    """C1: no value, a dtype that does not fit, a shape that does not fit."""
    with pytest.raises(ValueError, match="needs an initial value"):
        gj.Variable()
    with pytest.raises(TypeError, match="which cannot become int32"):
        gj.Variable(2.5, dtype=gj.int32)
    with pytest.raises(ValueError, match="float64"):
        gj.Variable(gj.constant(np.ones(2)), dtype=gj.float32)
    with pytest.raises(ValueError, match=r"has shape \(3,\)"):
        gj.Variable([1.0, 2.0], shape=[3])
    with pytest.raises(ValueError, match="constraint"):
        gj.Variable(1.0, constraint=3)  # type: ignore[arg-type]  # on purpose


def test_c1_any_shape() -> None:
    """C1: `shape=TensorShape(None)`, or sizes that are None, let the value change its shape."""
    v = gj.Variable([1.0], shape=gj.TensorShape(None))
    assert v.assign([[1.0, 2.0]]).numpy().shape == (1, 2)
    assert v.shape == gj.TensorShape(None)
    rows = gj.Variable(np.zeros((1, 2), np.float32), shape=[None, 2])
    assert rows.assign(np.ones((4, 2))).numpy().shape == (4, 2)
    with pytest.raises(ValueError, match="shape"):
        rows.assign(np.ones((4, 3)))


def test_names_have_the_scopes_before_them() -> None:
    """J7: name scopes are prefixes."""
    with gj.name_scope("a"), gj.name_scope("b"):
        assert gj.Variable(1.0, name="w").name == "a/b/w:0"
    assert gj.Variable(1.0).name == "Variable:0"
    with pytest.raises(ValueError, match="name scope"), gj.name_scope("a b"):
        pass


# --- assigning ----------------------------------------------------------------------------------


def test_c2_assign_returns_the_variable() -> None:
    """C2: lists are converted; the variable itself comes back."""
    v = gj.Variable([1.0, 2.0])
    assert v.assign([3, 4]) is v
    assert v.assign_add([1.0, 1.0]) is v
    assert v.assign_sub(np.array([0.5, 0.5])) is v
    assert v.numpy().tolist() == [3.5, 4.5]
    assert v.assign([0.0, 0.0], read_value=False) is None


@pytest.mark.parametrize("name", ["assign", "assign_add", "assign_sub"])
def test_c2_wrong_shape_and_dtype(name: str) -> None:
    """C2: another shape or dtype is a ValueError that names the variable, and nothing changes."""
    v = gj.Variable([1.0, 2.0], name="weights")
    with pytest.raises(ValueError, match=r"'weights:0' has shape \(2,\)"):
        getattr(v, name)(gj.ones([3, 2]))
    with pytest.raises(ValueError, match=r"'weights:0' holds float32, but int32 was given"):
        getattr(v, name)(gj.constant([1, 2]))
    assert v.numpy().tolist() == [1.0, 2.0]


def test_c2_what_was_read_keeps_its_numbers(mode: Callable[..., Any]) -> None:
    """C2, C10: assigning replaces, it does not write into what was read before."""
    v = gj.Variable([1.0, 2.0])
    before, shown = v.read_value(), np.asarray(v)
    mode(lambda: v.assign_add([1.0, 1.0]))()
    assert before.numpy().tolist() == shown.tolist() == [1.0, 2.0]
    assert v.numpy().tolist() == [2.0, 3.0]


def test_c3_slices(mode: Callable[..., Any]) -> None:
    """C3: slices can be assigned, added to and subtracted from."""
    v = gj.Variable(np.arange(6.0).reshape(2, 3))

    def change() -> Any:
        v[0, 1].assign(42.0)
        v[:, 2].assign_sub([1.0, 2.0])
        v[1].assign_add([10.0, 10.0, 10.0])
        v[..., ::-2].assign([[7.0, 8.0], [9.0, 6.0]])
        return v.read_value()

    assert _values(mode(change)()) == [[[8.0, 42.0, 7.0], [6.0, 14.0, 9.0]]]


def test_c3_a_slice_returns_the_whole_variable() -> None:
    """C3: and is an ordinary tensor otherwise."""
    v = gj.Variable([1, 2, 3])
    part = v[1:]
    assert isinstance(part, gj.Tensor)
    assert part.assign([8, 9]) is v
    assert _values(part, v) == [[2, 3], [1, 8, 9]]
    assert not hasattr(gj.constant([1]), "assign")


@pytest.mark.parametrize(
    "key",
    [0, -1, slice(None), slice(1, 3), slice(None, None, -1), slice(3, 0, -2), (slice(None), 1), (..., -1),
     (None, 2), (slice(0, 0),), (1, slice(None, None, 2)), [0, 2], (slice(1, None), [1, 0]),
     np.array([True, False, True, False])],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_c3_a_slice_is_assigned_as_numpy_does(key: Any, dtype: Any) -> None:
    """C3: for every kind of key, and dtypes without gradients."""
    start = (np.arange(12).reshape(4, 3) % 5).astype(dtype)
    expected = start.copy()
    value = np.full(expected[key].shape, 1, dtype)
    expected[key] = value
    v = gj.Variable(start)
    v[key].assign(value)
    assert v.numpy().tolist() == expected.tolist()


def test_c3_a_slice_by_a_traced_index(mode: Callable[..., Any]) -> None:
    """C3: the index may be a value that is only known when the function runs."""
    v = gj.Variable([1.0, 2.0, 3.0])

    def put(i: Any) -> Any:
        v[i].assign(9.0)
        return v.read_value()

    assert _values(mode(put)(gj.constant(1))) == [[1.0, 9.0, 3.0]]


def test_c3_values_that_do_not_fit_a_slice() -> None:
    """C3: a wrong shape, dtype or index says so, and nothing changes."""
    v = gj.Variable([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="shape"):
        v[:2].assign([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="int32"):
        v[:2].assign(gj.constant([1, 2]))
    with pytest.raises(IndexError, match="out of range"):
        v[5].assign(1.0)
    assert v.numpy().tolist() == [1.0, 2.0, 3.0]


def test_c3_python_syntax_is_refused_with_advice() -> None:
    """C3: `v += 1` is a RuntimeError, `v[0] = 1` a TypeError, and both say what to write."""
    v = w = gj.Variable([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"assign_add\(value\)"):
        v += 1.0
    with pytest.raises(TypeError, match=r"variable\[...\].assign\(value\)"):
        w[0] = 4.0  # type: ignore[index]  # on purpose
    for sign in ("-", "*", "/", "//", "%", "**", "@"):
        with pytest.raises(RuntimeError, match="not supported"):
            exec(f"v {sign}= 2.0", {"v": w})
    assert w.numpy().tolist() == [1.0, 2.0]


def test_c4_scatter_and_gather(mode: Callable[..., Any]) -> None:
    """C4: scatter_nd_update, scatter_nd_add (duplicates add up), gather_nd, sparse_read."""
    v = gj.Variable([1.0, 2.0, 3.0, 4.0])

    def change() -> Any:
        v.scatter_nd_update([[0], [3]], [10.0, 40.0])
        v.scatter_nd_add([[1], [1]], [5.0, 5.0])
        v.scatter_nd_sub([[2]], [1.0])
        return v.read_value(), v.gather_nd([[3], [1]]), v.sparse_read([0, 0])

    assert _values(*mode(change)()) == [[10.0, 12.0, 2.0, 40.0], [40.0, 12.0], [10.0, 10.0]]


def test_c8_program_order(mode: Callable[..., Any]) -> None:
    """C8: reads see what was assigned before them; returning the variable returns its last value."""
    v = gj.Variable(1.0)

    def order() -> Any:
        a = v.read_value()
        v.assign_add(10.0)
        b = v.read_value()
        v.assign(b * 2.0)
        return a, b, v

    a, b, last = mode(order)()
    assert _values(a, b, gj.convert_to_tensor(last), v) == [1.0, 11.0, 22.0, 22.0]


# --- as a Python object ---------------------------------------------------------------------------


def test_c5_comparisons_are_elementwise() -> None:
    """C5: == compares elements, so a variable is no key; `ref()` is one."""
    v, w = gj.Variable([1.0, 2.0]), gj.Variable([1.0, 3.0])
    assert _values(v == w, v != w) == [[True, False], [False, True]]
    with pytest.raises(TypeError, match=r"x.ref\(\)"):
        hash(v)
    assert {v.ref(): 1}[v.ref()] == 1
    assert v.ref() != w.ref()
    assert v.ref().deref() is v


def test_c5_python_conversions() -> None:
    """C5: len, iteration, bool, float, int, complex, index, format, arrays."""
    v = gj.Variable([[1, 2], [3, 4]])
    assert len(v) == 2
    assert [_values(row)[0] for row in v] == [[1, 2], [3, 4]]
    one = gj.Variable(3)
    assert bool(one)
    assert (float(one), int(one), complex(one), list(range(5))[one]) == (3.0, 3, 3 + 0j, 3)
    assert f"{gj.Variable(2.5):.2f}" == "2.50"
    assert np.asarray(v).dtype == np.int32
    assert np.sum(v).numpy() == 10
    with pytest.raises(TypeError):
        bool(v)


def test_c5_numpy_copies() -> None:
    """C5: writing into `numpy()` does not change the variable."""
    v = gj.Variable([1.0, 2.0])
    v.numpy()[0] = 9.0
    assert v.numpy().tolist() == [1.0, 2.0]


def test_c5_copies_are_independent() -> None:
    """C5: deepcopy, copy, pickle, and a variable of a variable."""
    v = gj.Variable([1.0], name="w", trainable=False)
    for made in (copy.deepcopy(v), copy.copy(v), pickle.loads(pickle.dumps(v)), gj.Variable(v, trainable=False)):
        v.assign([2.0])
        assert made.numpy().tolist() == [1.0]
        assert made.trainable is False
        v.assign([1.0])
    held = copy.deepcopy({"a": v, "b": v})
    assert held["a"] is held["b"]


def test_operators_and_numpy(mode: Callable[..., Any]) -> None:
    """C5, H3: a variable takes part in operators from both sides, and decides the dtype."""
    v = gj.Variable([1.0, 2.0])

    def use() -> Any:
        return v + 1, 2 * v, np.array([1.0, 1.0]) - v, -v, abs(v), v**2, v < 2

    results = mode(use)()
    assert _values(*results) == [[2, 3], [2, 4], [0, -1], [-1, -2], [1, 2], [1, 4], [True, False]]
    assert results[2].dtype == gj.float32


def test_c10_convert_to_tensor() -> None:
    """C10: a variable reads as a tensor; asking for another dtype is refused."""
    v = gj.Variable([1.0])
    assert isinstance(gj.convert_to_tensor(v), gj.Tensor)
    assert gj.is_tensor(v)
    with pytest.raises(TypeError, match="float32"):
        gj.convert_to_tensor(v, gj.float64)
    assert isinstance(gj.constant(v), gj.Tensor)


def test_constraint_is_kept() -> None:
    """C1: who updates the variable applies the constraint."""
    v = gj.Variable([-1.0], constraint=gj.abs)
    assert v.constraint is gj.abs
