"""Eager tensors: rows H1, H2, H5 to H9, and how they are handed to other libraries."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1, 2], gj.int32),
        (1.5, gj.float32),
        (np.float64(1.5), gj.float64),
        (np.ones(2), gj.float64),
        (np.ones(2, ">f8"), gj.float64),
        (2**40, gj.int64),
        (True, gj.bool),
        (1j, gj.complex128),
        (np.ones(2, np.float16), gj.float16),
        ([], gj.float32),
    ],
    ids=str,
)
def test_h1_dtypes(value: Any, dtype: gj.DType) -> None:
    """H1: the dtypes that Python and NumPy values become."""
    assert gj.constant(value).dtype == dtype


@pytest.mark.parametrize(
    ("value", "dtype", "error"),
    [
        ([[1], [2, 3]], None, ValueError),
        ([1, 2.5], gj.int32, TypeError),
        (None, None, TypeError),
        ("text", gj.float32, TypeError),
        (np.array([slice(1)]), None, TypeError),
        (300, gj.uint8, TypeError),
    ],
    ids=str,
)
def test_h1_refused(value: Any, dtype: Any, error: type[Exception]) -> None:
    """H1: ragged lists, numbers that do not fit the dtype, and what holds no numbers."""
    with pytest.raises(error):
        gj.constant(value, dtype)


def test_h1_constant_copies_and_shapes() -> None:
    """H1, C10: the array can be written into afterwards; a shape reshapes, or repeats one value."""
    array = np.zeros(2)
    made = gj.constant(array)
    array[0] = 1
    assert made.numpy().tolist() == [0, 0]
    assert gj.constant([1, 2, 3, 4], shape=[2, 2]).numpy().tolist() == [[1, 2], [3, 4]]
    assert gj.constant(7, shape=(2,)).numpy().tolist() == [7, 7]
    with pytest.raises(ValueError, match="3 elements do not fill shape"):
        gj.constant([1, 2, 3], shape=[2, 2])


def test_h1_lists_may_hold_tensors() -> None:
    """H1: such a list is a stack."""
    assert gj.constant([gj.constant(1.0), 2.0]).numpy().tolist() == [1.0, 2.0]


def test_h2_printing() -> None:
    """H2: str and repr are TensorFlow's with our class."""
    matrix = gj.constant([[1], [3]])
    assert str(matrix) == "gj.Tensor(\n[[1]\n [3]], shape=(2, 1), dtype=int32)"
    assert repr(matrix) == ("<gj.Tensor: shape=(2, 1), dtype=int32, numpy=\narray([[1],\n       [3]], dtype=int32)>")
    assert str(gj.constant(3.0)) == "gj.Tensor(3.0, shape=(), dtype=float32)"
    assert repr(gj.constant(3.0)) == "<gj.Tensor: shape=(), dtype=float32, numpy=3.0>"
    assert f"{gj.constant(2.5):.3f} {gj.constant([1])} {gj.constant(0.1)}" == "2.500 [1] 0.1"


def test_methods_of_arrays() -> None:
    """H6: what programs call on results of NumPy functions, on tensors, Variables and traced values."""
    x = np.arange(6.0).reshape(2, 3)
    calls: list[Callable[[Any], Any]] = [
        lambda x: x.sum(axis=0), lambda x: x.mean(), lambda x: x.max(1), lambda x: x.std(), lambda x: x.argmax(),
        lambda x: x.reshape(3, 2), lambda x: x.reshape([-1]), lambda x: x.transpose(), lambda x: x.transpose(1, 0),
        lambda x: x.ravel(), lambda x: x.astype("int32"), lambda x: x.clip(1, 3), lambda x: x.cumsum(axis=1),
        lambda x: (x > 1).any(), lambda x: x.all(), lambda x: x.round(), lambda x: x.squeeze(),
    ]  # fmt: skip
    for call in calls:
        for found in (call(gj.constant(x)), call(gj.Variable(x)), gj.function(call)(x)):
            assert isinstance(found, gj.Tensor)
            np.testing.assert_allclose(found, call(x))


def test_truth_values_are_counted() -> None:
    """Python's sum() of a tensor of bools counts them, as it does for an array; floats stay strict."""
    right = np.array([True, False, True])
    assert sum(gj.constant(right)).numpy() == 2
    assert int(gj.function(lambda x: sum(x))(right)) == 2
    assert (gj.constant(right) + gj.constant([1, 1, 1], "int64")).numpy().tolist() == [2, 1, 2]
    with pytest.raises(ValueError, match="cast"):
        gj.constant(right) + gj.constant([1.0, 1.0, 1.0])


def test_h2_shape_and_device() -> None:
    """H2: shapes print as TensorFlow's; the device is a CPU."""
    x = gj.zeros([2, 3])
    assert (repr(x.shape), str(x.shape), x.shape.as_list()) == ("TensorShape([2, 3])", "(2, 3)", [2, 3])
    assert x.device.endswith("CPU:0")
    assert (x.ndim, len(x), x.get_shape().rank) == (2, 2, 2)


def test_h5_items_cannot_be_assigned() -> None:
    """H5: tensors do not change, and the error says what to write instead."""
    x = gj.constant([1, 2])
    with pytest.raises(TypeError, match="tensor_scatter_nd_update"):
        x[0] = 3


def test_h5_the_numbers_are_read_only() -> None:
    """H5: neither `numpy()` nor np.asarray lets one write into a tensor."""
    x = gj.constant([1.0, 2.0])
    for array in (x.numpy(), np.asarray(x)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5.0
    np.array(x)[0] = 5.0
    assert x.numpy().tolist() == [1.0, 2.0]


def test_h6_python_numbers() -> None:
    """H6: tensors of one element are Python numbers where Python asks for one."""
    assert (float(gj.constant(2)), int(gj.constant([2.9])), complex(gj.constant(1.0))) == (2.0, 2, 1 + 0j)
    assert bool(gj.constant([True])) is True
    assert ["a", "b"][gj.constant(1)] == "b"
    assert (gj.constant([[1, 2]]).tolist(), gj.constant([4]).item()) == ([[1, 2]], 4)
    with pytest.raises(TypeError):
        bool(gj.constant([1, 2]))
    with pytest.raises(TypeError):
        bool(gj.zeros([0]))
    with pytest.raises(TypeError, match="index"):
        ["a", "b"][gj.constant(1.0)]


def test_h6_numpy_ufuncs_give_tensors() -> None:
    """H6: np.sin and arithmetic with arrays on either side give tensors."""
    x = gj.constant([0.0, 1.0])
    for made in (np.sin(x), np.ones(2, np.float32) + x, np.add(np.ones(2, np.float32), x)):
        assert isinstance(made, gj.Tensor)
        assert made.dtype == gj.float32
    with pytest.raises(ValueError, match="do not change"):
        np.add(x, x, out=np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="reduce"):
        np.add.reduce(x)


def test_h6_asarray_with_dtype() -> None:
    """H6: np.asarray converts; without a copy it cannot."""
    x = gj.constant([1.5])
    assert np.asarray(x, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(x, np.float64, copy=False)
    assert np.shares_memory(np.asarray(x), np.asarray(x))


def test_h9_equality_and_hash() -> None:
    """H9: == compares elements, so tensors are no keys; None and strings are simply other things."""
    x = gj.constant([1.0, 2.0])
    assert (x == [1.0, 3.0]).numpy().tolist() == [True, False]
    assert (x != None) is True  # noqa: E711 -- the operator is what is tested
    assert gj.constant(1) in [gj.constant(1)]
    with pytest.raises(TypeError, match=r"x.ref\(\)"):
        hash(x)
    assert len({x.ref(), x.ref(), gj.constant([1.0, 2.0]).ref()}) == 2
    assert x.ref().deref() is x


def test_h9_symbols_have_references_too() -> None:
    """H9: while a function is traced, a reference stands for the value, whichever object shows it."""

    @gj.compile
    def f(x: Any) -> Any:
        y = x + 1.0
        assert {x.ref(): 1, y.ref(): 2}[x.ref()] == 1
        assert x.ref() != y.ref()
        with pytest.raises(TypeError, match=r"x.ref\(\)"):
            hash(x)
        with pytest.raises(TypeError, match="do not change"):
            x[0] = 1.0
        return y

    assert f(gj.constant([1.0])).numpy().tolist() == [2.0]


def test_pickle_and_copy() -> None:
    """Tensors are values: copies need no copying, and pickles carry the bits."""
    x = gj.constant([[1.0, np.nan], [-0.0, np.inf]])
    made = pickle.loads(pickle.dumps(x))
    assert made.numpy().tobytes() == x.numpy().tobytes()
    assert copy.deepcopy(x) is copy.copy(x) is x
    strided = gj.constant(np.arange(6))[::-2]
    assert pickle.loads(pickle.dumps(strided)).numpy().tolist() == [5, 3, 1]


# --- DLPack ---------------------------------------------------------------------------------------


class _Old:
    """A consumer of DLPack before 1.0, which does not say what version it takes."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def __dlpack__(self, **keywords: Any) -> Any:
        return self._tensor.__dlpack__(stream=keywords.get("stream"))

    def __dlpack_device__(self) -> Any:
        return self._tensor.__dlpack_device__()


def test_dlpack_out() -> None:
    """A consumer that promises not to write shares the memory; any other gets a copy."""
    x = gj.constant([1.0, 2.0])
    shared = np.from_dlpack(x)
    assert np.shares_memory(shared, x.numpy())
    assert not shared.flags.writeable
    copied = np.from_dlpack(_Old(x))
    assert not np.shares_memory(copied, x.numpy())
    assert copied.tolist() == [1.0, 2.0]
    assert not np.shares_memory(np.from_dlpack(x, copy=True), x.numpy())
    with pytest.raises(BufferError, match="read-only"):
        x.__dlpack__(copy=False)


@pytest.mark.parametrize("array", [np.arange(3.0), np.arange(12).reshape(3, 4)[:, ::2], np.array(True)], ids=str)
def test_dlpack_in(array: np.ndarray[Any, Any]) -> None:
    """The memory is shared unless a copy is asked for."""
    made = gj.from_dlpack(array)
    assert made.numpy().tolist() == array.tolist()
    assert np.shares_memory(np.asarray(made), array)
    assert not np.shares_memory(np.asarray(gj.from_dlpack(array, copy=True)), array)


def test_dlpack_in_refused() -> None:
    """What does not speak DLPack is named."""
    with pytest.raises(ValueError, match="not list"):
        gj.from_dlpack([1, 2])


def test_dlpack_of_tensors() -> None:
    """A tensor goes out and comes in."""
    x = gj.constant([1, 2])
    assert gj.from_dlpack(x).numpy().tolist() == [1, 2]
