"""Single values of the elementwise ops: gradients at kinks, defined casts and integers, NumPy's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from differences import check_gradient

import graphjit as gj
from graphjit.compiler.backends.jit import build
from graphjit.compiler.pipeline import optimize
from graphjit.compiler.tensortype import type_of_array
from graphjit.compiler.writer import write_graph
from graphjit.runtime.errors import DivisionByZeroError, DtypeError, InvalidArgumentError, ShapeError

Array = np.ndarray[Any, Any]
INF, NAN = np.inf, np.nan


def compiled(function: Callable[..., Any], *arrays: Array) -> Any:
    """What kernels make of a function."""
    graph = write_graph("f", [type_of_array(array) for array in arrays], function)
    return build(optimize(graph)[-1].graph).run(list(arrays))[0]


def gradient(function: Callable[..., Any], *numbers: Any) -> list[Any]:
    """The gradient of the sum, for each operand."""
    with gj.GradientTape() as tape:
        tensors = [gj.constant(np.asarray(one, np.float64)) for one in numbers]
        tape.watch(tensors)
        result = function(*tensors)
    return [None if one is None else one.numpy().tolist() for one in tape.gradient(result, tensors)]


# --- G17: gradients at zeros, ties and edges ---------------------------------------------------


@pytest.mark.parametrize(
    ("function", "operands", "wanted"),
    [
        (gj.abs, [[0.0, -2.0]], [[0.0, -1.0]]),
        (gj.sqrt, [[0.0]], [[INF]]),
        (gj.log, [[0.0]], [[INF]]),
        (gj.sign, [[0.0, 3.0]], [[0.0, 0.0]]),
        (gj.maximum, [[1.0, 2.0], [1.0, 3.0]], [[1.0, 0.0], [0.0, 1.0]]),
        (gj.minimum, [[1.0, 2.0], [1.0, 3.0]], [[1.0, 1.0], [0.0, 0.0]]),
        (gj.clip_by_value, [[-1.0, 1.0, 2.0], -1.0, 1.0], [[1.0, 1.0, 0.0], 0.0, 1.0]),
        (gj.softplus, [[100.0, -100.0]], [[1.0, float(np.exp(-100.0) / (1.0 + np.exp(-100.0)))]]),
        (gj.sigmoid, [[800.0, -800.0]], [[0.0, 0.0]]),
        (gj.math.xlogy, [[0.0], [0.0]], [[0.0], [0.0]]),
        (gj.math.xlog1py, [[0.0], [-1.0]], [[0.0], [0.0]]),
        (gj.math.xdivy, [[0.0], [0.0]], [[0.0], [0.0]]),
        (gj.hypot, [[0.0], [0.0]], [[0.0], [0.0]]),
        (gj.math.divide_no_nan, [[3.0], [0.0]], [[0.0], [0.0]]),
        (gj.math.multiply_no_nan, [[INF], [0.0]], [[0.0], [INF]]),
    ],
)
def test_g17_edge_gradients(function: Callable[..., Any], operands: list[Any], wanted: list[Any]) -> None:
    """G17: the published table."""
    assert gradient(function, *operands) == wanted


def test_g17_pow_at_zero() -> None:
    """G17: the gradient of pow has no NaN where it is finite: d x**0 at 0 is 0, and log(x) counts where x > 0 only."""
    assert gradient(gj.pow, [0.0, 0.0, -2.0, 0.0], [0.0, 2.0, 3.0, 1.0]) == [[0.0, 0.0, 12.0, 1.0], [0.0] * 4]
    assert gradient(lambda x: x**0.0, [0.0, 2.0]) == [[0.0, 0.0]]
    assert gradient(lambda x: x**2, [0.0, 3.0]) == [[0.0, 6.0]]
    assert gradient(lambda x: x**0.5, [0.0]) == [[INF]]


def test_g17_pow_keeps_a_zero_cotangent() -> None:
    """G17: 0 times an infinite slope stays 0 in pow."""
    assert gradient(lambda x: gj.where(x > 0.0, x**0.5, 0.0), [0.0, 4.0]) == [[0.0, 0.25]]
    assert gradient(lambda x: gj.where(x > 0.0, x**-1.5, 0.0), [0.0, 1.0]) == [[0.0, -1.5]]


def test_g17_where_does_not_make_nan() -> None:
    """G17: the branch that is not taken gets 0, also where its own value is infinite or NaN."""
    found = gradient(lambda x, y: gj.where(x > 1.0, x, y), [NAN, 2.0], [1.0, INF])
    assert found == [[0.0, 1.0], [1.0, 0.0]]


def test_g16_flat_ops_have_no_gradient() -> None:
    """G16: rounding, comparisons, floordiv and casts to integers give None; sign gives zeros."""
    for function in (gj.floor, gj.ceil, gj.round, gj.trunc, lambda x: x // 2.0, lambda x: gj.cast(x, gj.int32)):
        assert gradient(function, [1.5]) == [None]
    assert gradient(gj.sign, [1.5]) == [[0.0]]


@pytest.mark.parametrize(
    "function",
    [gj.exp, gj.sin, gj.tanh, gj.sigmoid, gj.softplus, lambda x: x**3, lambda x: x**1.5, gj.square, gj.atan, gj.lgamma],
)
def test_second_derivatives(function: Callable[..., Any]) -> None:
    """G7: rules are made of ops that have rules."""

    def slope(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)

    check_gradient(slope, np.array([0.3, 1.1]))


# --- H3, H4: dtypes -----------------------------------------------------------------------------


def test_h4_division() -> None:
    """H4: int / int is float64; // and % round down; an integer divided by zero raises; a float gives infinity."""
    assert (gj.constant([7, -7]) / gj.constant([2, 2])).dtype == gj.float64
    assert (gj.constant([7, -7]) // 2).numpy().tolist() == [3, -4]
    assert (gj.constant([7, -7]) % 3).numpy().tolist() == [1, 2]
    assert (gj.constant([1.0, -1.0]) / 0.0).numpy().tolist() == [INF, -INF]
    with pytest.raises(DtypeError, match="sqrt"):
        gj.sqrt(gj.constant([4]))


@pytest.mark.parametrize("function", [gj.floordiv, gj.mod, gj.truncatediv, gj.truncatemod])
def test_h4_integer_division_by_zero(function: Callable[..., Any]) -> None:
    """H4: it raises in eager mode and in kernels, also in the last element, and not where there is none."""
    x, zeros = np.arange(1, 101, dtype=np.int32), np.ones(100, np.int32)
    zeros[-1] = 0
    with pytest.raises(DivisionByZeroError, match="divided by zero"):
        function(gj.constant(x), gj.constant(zeros))
    with pytest.raises(DivisionByZeroError, match="divided by zero"):
        compiled(function, x, zeros)
    assert compiled(function, np.zeros((0, 2), np.int32), np.zeros(2, np.int32)).shape == (0, 2)


def test_integer_extremes() -> None:
    """INT_MIN // -1 wraps, its absolute value too; shifts beyond the width are defined; both modes agree."""
    least = np.array([-(2**31)] * 3, np.int32)
    minus = np.array([-1] * 3, np.int32)
    for function, wanted in ((gj.floordiv, -(2**31)), (gj.mod, 0), (gj.truncatediv, -(2**31))):
        assert function(gj.constant(least), gj.constant(minus)).numpy().tolist() == [wanted] * 3
        assert compiled(function, least, minus).tolist() == [wanted] * 3
    assert gj.abs(gj.constant(least)).numpy().tolist() == compiled(gj.abs, least).tolist() == [-(2**31)] * 3
    counts = np.array([31, 32, -1], np.int32)
    for function, wanted_ in ((gj.bitwise.left_shift, [0, 0, 0]), (gj.bitwise.right_shift, [-1, -1, -1])):
        assert function(gj.constant(least), gj.constant(counts)).numpy().tolist() == wanted_
        assert compiled(function, least, counts).tolist() == wanted_


def test_integer_powers() -> None:
    """They wrap; a negative exponent is an error in both modes."""
    base, exponent = np.array([3, -2, 10], np.int32), np.array([4, 31, 10], np.int32)
    wanted = [81, -(2**31), 10**10 - 2 * 2**32]
    assert gj.pow(gj.constant(base), gj.constant(exponent)).numpy().tolist() == wanted
    assert compiled(gj.pow, base, exponent).tolist() == wanted
    with pytest.raises(InvalidArgumentError, match="negative exponent"):
        gj.constant([2]) ** -1
    with pytest.raises(InvalidArgumentError, match="negative exponent"):
        compiled(gj.pow, base, -exponent)


_FAR = np.array([NAN, INF, -INF, 300.0, -1.5, 255.9, 2.0**31, -(2.0**31) - 1, 2.0**63, 1e30, -1e30, 0.9, -0.9])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool"])
@pytest.mark.parametrize("source", [np.float32, np.float64])
def test_h4_casts_are_defined(dtype: str, source: Any) -> None:
    """H4: a cast truncates, 300 becomes 44 in uint8, NaN becomes 0; the kernels agree on every input."""
    array = _FAR.astype(source)
    eager = gj.cast(gj.constant(array), dtype).numpy()
    np.testing.assert_array_equal(compiled(lambda x: gj.cast(x, dtype), array), eager, strict=True)
    if dtype == "uint8":
        assert eager[:6].tolist() == [0, eager[1], 0, 44, 255, 255]
    if dtype == "int32":
        assert eager[[0, 3, 4, 6, 7]].tolist() == [0, 300, -1, 2**31 - 1, -(2**31)]


def test_cast_of_python_numbers() -> None:
    """Python numbers go straight to the dtype: 0.1 keeps its digits in float64, and 2**40 its bits."""
    assert gj.cast(0.1, gj.float64).numpy() == 0.1
    assert gj.cast([0.1, 2], "float64").numpy().tolist() == [0.1, 2.0]
    assert gj.cast(2**40 + 7, gj.uint8).numpy() == 7
    assert gj.cast([True, False], gj.float32).numpy().tolist() == [1.0, 0.0]
    assert gj.cast(gj.constant([1 + 2j]), gj.float64).numpy().tolist() == [1.0]
    with pytest.raises(DtypeError):
        gj.cast("one", gj.float32)
    with pytest.raises(InvalidArgumentError):
        gj.cast([[1], [2, 3]], gj.float32)


def test_cast_to_the_same_dtype_is_the_tensor() -> None:
    x = gj.constant([1.0])
    assert gj.cast(x, gj.float32) is x


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64"])
@pytest.mark.parametrize("source", ["float32", "float64", "int32", "int64", "uint64"])
def test_saturate_cast(dtype: str, source: str) -> None:
    """What does not fit becomes the nearest limit."""
    numbers = {"f": [-1e30, -7.5, 0.0, 9.9, 1e30], "i": [-(2**31), -7, 0, 9, 2**31 - 1], "u": [0, 9, 2**63]}
    array = np.array(numbers[np.dtype(source).kind], source)
    limits = np.iinfo(dtype)
    wanted = [int(min(max(int(one), int(limits.min)), int(limits.max))) for one in array]
    assert gj.saturate_cast(gj.constant(array), dtype).numpy().tolist() == wanted
    assert compiled(lambda x: gj.saturate_cast(x, dtype), array).tolist() == wanted


def test_saturate_cast_of_floats() -> None:
    found = gj.saturate_cast(gj.constant(np.array([1e300, -1e300, NAN])), gj.float32).numpy()
    np.testing.assert_array_equal(found, np.array([np.finfo("f4").max, np.finfo("f4").min, NAN], np.float32))


def test_h3_left_operand_decides() -> None:
    """H3: what is no tensor takes the tensor's dtype; two tensors must agree."""
    x = gj.constant([1.0])
    for other in (2, 2.5, True, [3.0], np.array([1.5]), np.float64(1.0)):
        assert (x + other).dtype == gj.float32
        assert (other + x).dtype == gj.float32
    with pytest.raises(DtypeError, match=r"2\.5"):
        gj.constant([1]) * 2.5
    with pytest.raises(DtypeError, match=r"gj\.cast"):
        x + gj.constant(np.array([1.0]))


def test_logic_is_for_bools() -> None:
    """Bitwise ops take bools, logical ops take nothing else."""
    yes, no = gj.constant([True, True, False]), gj.constant([True, False, False])
    assert (yes & no).numpy().tolist() == gj.logical_and(yes, no).numpy().tolist() == [True, False, False]
    assert (yes | no).numpy().tolist() == gj.logical_or(yes, no).numpy().tolist() == [True, True, False]
    assert (yes ^ no).numpy().tolist() == gj.math.logical_xor(yes, no).numpy().tolist() == [False, True, False]
    assert (~yes).numpy().tolist() == gj.logical_not(yes).numpy().tolist() == [False, False, True]
    with pytest.raises(DtypeError, match="booleans"):
        gj.logical_and(gj.constant([1]), gj.constant([1]))
    with pytest.raises(DtypeError, match="condition"):
        gj.where(gj.constant([1]), 1.0, 2.0)


# --- numbers at the edge --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "numbers", "wanted"),
    [
        (gj.sigmoid, [-1e4, 0.0, 1e4], [0.0, 0.5, 1.0]),
        (gj.softplus, [-1e4, 0.0, 1e4], [0.0, float(np.log(2.0)), 1e4]),
        (gj.round, [-2.5, -0.5, 0.5, 1.5, 2.5], [-2.0, -0.0, 0.0, 2.0, 2.0]),
        (gj.sign, [-3.0, -0.0, 0.0, NAN], [-1.0, 0.0, 0.0, NAN]),
        (gj.math.reciprocal, [0.0, -0.0, INF], [INF, -INF, 0.0]),
        (gj.math.rsqrt, [0.0, 4.0, INF], [INF, 0.5, 0.0]),
        (gj.expm1, [1e-20, -1e4], [1e-20, -1.0]),
        (gj.math.log1p, [1e-20, -1.0], [1e-20, -INF]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_edge_values(function: Callable[..., Any], numbers: list[float], wanted: list[float], dtype: str) -> None:
    """No overflow, signed zeros and NaN kept, in both modes."""
    array = np.array(numbers, dtype)
    expected = np.array(wanted, dtype)
    for found in (function(gj.constant(array)).numpy(), compiled(function, array)):
        np.testing.assert_allclose(found, expected, rtol=2.5 * np.finfo(dtype).eps, equal_nan=True)
        finite = ~np.isnan(expected) & (function is not gj.sign)
        np.testing.assert_array_equal(np.signbit(found)[finite], np.signbit(expected)[finite])


def test_maximum_of_nan() -> None:
    """NaN wins in both modes, on either side."""
    x, y = np.array([NAN, 1.0, 2.0]), np.array([1.0, NAN, -INF])
    for function, last in ((gj.maximum, 2.0), (gj.minimum, -INF)):
        for found in (function(x, y).numpy(), compiled(function, x, y)):
            assert np.isnan(found[:2]).all() and found[2] == last


def test_add_n() -> None:
    assert gj.add_n([gj.constant([1.0]), gj.constant([2.0]), gj.constant([3.0])]).numpy().tolist() == [6.0]
    with pytest.raises(InvalidArgumentError, match="one or more"):
        gj.add_n([])
    with pytest.raises(ShapeError, match="one shape"):
        gj.add_n([gj.constant([1.0]), gj.constant([[1.0]])])


def test_clip_with_limits_the_wrong_way_round() -> None:
    """The upper limit wins, and it gets the gradient."""
    assert gj.clip_by_value([0.0, 5.0], 3.0, 1.0).numpy().tolist() == [1.0, 1.0]
    assert gradient(gj.clip_by_value, [0.0, 5.0], [3.0, 3.0], [1.0, 1.0]) == [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]


def test_complex_arithmetic_follows_tensorflow() -> None:
    """G18: the gradient of z * z at 1+2j is the conjugate, 2-4j."""
    z = gj.constant(np.array([1 + 2j]))
    with gj.GradientTape() as tape:
        tape.watch(z)
        y = z * z
    assert tape.gradient(y, z).numpy().tolist() == [2 - 4j]


# --- NumPy's names --------------------------------------------------------------------------------

_POSITIVE = np.array([0.25, 0.5, 0.75])
_UNARY = [
    *(
        np.negative,
        np.absolute,
        np.fabs,
        np.sign,
        np.square,
        np.reciprocal,
        np.sqrt,
        np.cbrt,
        np.exp,
        np.exp2,
        np.expm1,
    ),
    *(np.log, np.log2, np.log10, np.log1p, np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.sinh, np.cosh),
    *(np.tanh, np.arcsinh, np.arctanh, np.degrees, np.radians, np.rad2deg, np.deg2rad, np.floor, np.ceil, np.rint),
    *(np.trunc, np.isnan, np.isinf, np.isfinite, np.signbit, np.positive, np.conjugate, np.round, np.around, np.fix),
    np.nan_to_num,
]
_BINARY = [
    *(np.add, np.subtract, np.multiply, np.divide, np.true_divide, np.floor_divide, np.remainder, np.mod, np.fmod),
    *(np.power, np.float_power, np.arctan2, np.hypot, np.logaddexp, np.maximum, np.minimum, np.fmax, np.fmin),
    *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.copysign, np.nextafter),
    *(np.heaviside, np.isclose, np.allclose, np.array_equal),
]


@pytest.mark.parametrize("function", _UNARY, ids=lambda f: f.__name__)
def test_numpy_functions_of_one_operand(function: Any) -> None:
    """H6: NumPy's functions work on tensors, eager and traced, with NumPy's results."""
    wanted = function(_POSITIVE)
    eager = function(gj.constant(_POSITIVE))
    assert isinstance(eager, gj.Tensor)
    np.testing.assert_allclose(eager.numpy(), wanted, rtol=1e-14)
    np.testing.assert_allclose(compiled(function, _POSITIVE), wanted, rtol=1e-14)


@pytest.mark.parametrize("function", _BINARY, ids=lambda f: f.__name__)
def test_numpy_functions_of_two_operands(function: Any) -> None:
    """H6: also with an array on the left."""
    other = np.array([0.5, 0.5, -2.0])
    with np.errstate(all="ignore"):
        wanted = function(_POSITIVE, other)
        eager = function(_POSITIVE, gj.constant(other))
    assert isinstance(eager, gj.Tensor)
    np.testing.assert_allclose(eager.numpy(), wanted, rtol=1e-14)
    np.testing.assert_allclose(compiled(function, _POSITIVE, other), wanted, rtol=1e-14)


def test_numpy_functions_of_integers() -> None:
    x, y = np.array([12, -7, 5], np.int32), np.array([5, 2, 1], np.int32)
    for function in (np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.left_shift, np.right_shift, np.floor_divide):
        np.testing.assert_array_equal(function(gj.constant(x), y).numpy(), function(x, y), strict=True)
    np.testing.assert_array_equal(np.invert(gj.constant(x)).numpy(), ~x, strict=True)
    for found, wanted in zip(np.divmod(gj.constant(x), y), np.divmod(x, y), strict=True):
        np.testing.assert_array_equal(found.numpy(), wanted, strict=True)


def test_numpy_functions_with_other_arguments() -> None:
    """H6: np.clip, np.where, np.round and np.astype with NumPy's argument names."""
    x = np.array([-1.26, 0.5, 3.55])
    tensor = gj.constant(x)
    np.testing.assert_array_equal(np.clip(tensor, a_min=-1.0, a_max=None).numpy(), np.clip(x, -1.0, None))
    np.testing.assert_array_equal(np.clip(tensor, None, 1.0).numpy(), np.clip(x, None, 1.0))
    np.testing.assert_array_equal(np.where(tensor > 0, tensor, 0.0).numpy(), np.where(x > 0, x, 0.0))
    np.testing.assert_array_equal(np.where(gj.constant([1, 0]), 1.0, 2.0).numpy(), [1.0, 2.0])
    np.testing.assert_allclose(np.round(tensor, 1).numpy(), np.round(x, 1))
    np.testing.assert_allclose(np.round(tensor, -1).numpy(), np.round(x, -1))
    np.testing.assert_array_equal(np.astype(tensor, np.int32).numpy(), x.astype(np.int32), strict=True)
    (places,) = np.where(gj.constant(x) > 0)
    np.testing.assert_array_equal(places.numpy(), [1, 2])
    with pytest.raises(InvalidArgumentError, match=r"takes the arguments x, y.*dtype"):
        np.add(tensor, 1.0, dtype=np.float32)
    with pytest.raises(InvalidArgumentError, match="out"):
        np.add(tensor, 1.0, out=x)
    with pytest.raises(InvalidArgumentError, match="reduce"):
        np.add.reduce(tensor)


def test_namespaces() -> None:
    """TensorFlow's names are where TensorFlow has them, and NumPy's beside them."""
    assert gj.math.floormod is gj.mod and gj.math.truediv is gj.divide
    assert gj.arcsin is gj.asin and gj.power is gj.pow and gj.absolute is gj.abs
    assert gj.bitwise.invert is gj.bitwise_not and gj.math.is_nan is gj.isnan


def test_arguments_have_tensorflows_names() -> None:
    """Calls by keyword mean what they mean in TensorFlow; the ordinate of atan2 is y."""
    assert gj.atan2(y=1.0, x=0.0).numpy() == np.float32(np.pi / 2)
    assert gj.pow(x=2.0, y=3.0).numpy() == 8.0
    assert gj.clip_by_value(t=5, clip_value_min=0, clip_value_max=3).numpy() == 3
    assert gj.where(condition=[True], x=1, y=2).numpy().tolist() == [1]
    assert gj.math.scalar_mul(scalar=2, x=[1.5]).numpy().tolist() == [3.0]
    assert gj.math.reciprocal_no_nan(x=[0.0, 4.0]).numpy().tolist() == [0.0, 0.25]
    with pytest.raises(ShapeError, match="scalar"):
        gj.math.scalar_mul([1.0, 2.0], [1.5])
