"""Every declared op, on every example: inference, eager meaning, written graphs, kernels and gradients agree.

Rows H3 and H4 (dtypes), G16 and G17 (gradients) of the semantics hold for the whole table here; tests of
single values stand beside it, in the files of the ops' subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from differences import difference_gradient, reverse_gradient
from op_cases import Array, Case, cases_of

import graphjit
from graphjit.compiler.backends.jit import build
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.dispatch import add_recorder, apply, apply_all, remove_recorder
from graphjit.compiler.gradient import Recording, backward
from graphjit.compiler.graph import Graph
from graphjit.compiler.op import Differentiability, Example, Kind, Op, all_ops, declare
from graphjit.compiler.operand import PUBLIC
from graphjit.compiler.pipeline import optimize
from graphjit.compiler.specialize import specialize
from graphjit.compiler.tensortype import TensorType, as_dtype, type_of_array
from graphjit.compiler.verify import verify
from graphjit.compiler.writer import write_graph
from graphjit.runtime.errors import InvalidArgumentError, ShapeError

OPS = tuple(all_ops())
SIGNS_OF_ZERO_DIFFER = ("elu", "log_sigmoid", "selu")  # activations, where nothing depends on it
CASES = tuple(case for op in OPS for case in cases_of(op))


def _types(case: Case) -> tuple[TensorType, ...]:
    return tuple(type_of_array(array) for array in case.arrays)


def _numpy(case: Case, arrays: Sequence[Array]) -> tuple[Array, ...]:
    with np.errstate(all="ignore"):
        results = case.op.numpy(*arrays, **case.attributes)
    return tuple(np.asarray(one) for one in (results if case.op.several else (results,)))


def _written(case: Case, types: Sequence[TensorType] | None = None) -> Graph:
    wanted = _types(case) if types is None else types
    graph = write_graph("f", wanted, lambda *symbols: apply_all(case.op, symbols, case.attributes))
    verify(graph)
    return graph


_ONE_BY_ONE = (Kind.ELEMENTWISE, Kind.VIEW, Kind.JOIN, Kind.INDEXING, Kind.SOURCE)


def _assert_near(case: Case, found: Array, wanted: Array) -> None:
    """Equal, or floats at most the op's `ulp` units in the last place apart.

    The unit is that of the wanted number; where elements are combined, whose order is free, that of the largest one.
    """
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted)
        return
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    size = np.maximum(np.abs(wanted), np.finfo(wanted.dtype).tiny)
    if case.op.kind not in _ONE_BY_ONE:
        numbers = [array for array in (*case.arrays, wanted) if array.dtype.kind != "O"]
        largest = [np.fmax.reduce(np.abs(array), axis=None, initial=0) for array in numbers]
        size = np.maximum(size, np.nan_to_num(max(largest)))
    with np.errstate(all="ignore"):
        distance = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
        near = distance <= case.op.ulp * np.spacing(size.astype(wanted.dtype)).astype(np.float64)
    assert np.all(same | near), f"found {found}, wanted {wanted}"


# --- declarations -----------------------------------------------------------------------------


def test_an_op_without_examples_is_refused() -> None:
    """The table takes no op that its tests cannot run."""
    with pytest.raises(ValueError, match="no examples"):
        declare(Op(name="bare", kind=Kind.CALL, infer=lambda types: types, numpy=lambda x: x))


def test_an_op_is_declared_once() -> None:
    with pytest.raises(ValueError, match="already"):
        declare(Op("add", Kind.CALL, lambda types: types, lambda x: x, examples=(Example(("f64[2]",)),)))


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_declaration_is_complete(op: Op) -> None:
    """Every op says what it does, and has one gradient rule for each operand of its examples at most."""
    assert op.doc.endswith("."), f"{op.name} has no doc"
    most = max(len(example.operands) for example in op.examples)
    if isinstance(op.gradient, Sequence) and not isinstance(op.gradient, Differentiability):
        assert len(op.gradient) <= max(most, 1)


# --- inference and the NumPy meaning --------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_inference_agrees_with_numpy(case: Case) -> None:
    """The results have the inferred dtypes and shapes; operands are neither written nor, but for views, shared."""
    before = [array.tobytes() for array in case.arrays]
    results = _numpy(case, case.arrays)
    inferred = case.op.infer_types(_types(case), case.attributes)
    assert len(results) == len(inferred)
    for result, type in zip(results, inferred, strict=True):
        assert type.accepts(type_of_array(result)), f"inferred {type}, made {type_of_array(result)}"
        if case.op.kind in (Kind.ELEMENTWISE, Kind.REDUCTION, Kind.CONTRACTION, Kind.JOIN, Kind.INDEXING):
            assert not any(np.shares_memory(result, array) for array in case.arrays)
    assert [array.tobytes() for array in case.arrays] == before


def _strided(array: Array) -> list[Array]:
    """The same elements behind other strides: spread out, reversed, column-major."""
    if array.ndim == 0:
        return []
    spread = np.zeros((2 * array.shape[0], *array.shape[1:]), array.dtype)[::2]
    spread[...] = array
    backwards = np.ascontiguousarray(array[::-1])[::-1]
    return [spread, backwards, np.asfortranarray(array)]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_strides_do_not_matter(case: Case) -> None:
    """Operands that are not contiguous, or run backwards, give the same results."""
    wanted = _numpy(case, case.arrays)
    for position, array in enumerate(case.arrays):
        for other in _strided(array):
            arrays = [other if one == position else kept for one, kept in enumerate(case.arrays)]
            for result, expected in zip(_numpy(case, arrays), wanted, strict=True):
                _assert_near(case, result, expected)


# --- graphs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_written_graph_gives_the_same(case: Case) -> None:
    """A graph of the one op, run with NumPy, is the op."""
    for result, expected in zip(run_reference(_written(case), case.arrays), _numpy(case, case.arrays), strict=True):
        np.testing.assert_array_equal(result, expected, strict=True)


def _with_unknown_sizes(case: Case) -> list[TensorType]:
    """Types whose sizes are unknown, but for integers beside floats: the length of indices and shapes makes ranks."""
    mixed = any(array.dtype.kind == "f" for array in case.arrays)
    return [
        type
        if position in case.op.static_operands or (mixed and type.dtype.is_integer)
        else TensorType(type.dtype, (None,) * type.rank)
        for position, type in enumerate(_types(case))
    ]


NEED_SIZES = ("put_slice",)  # whoever writes these ops knows all sizes


def _needs_sizes(case: Case) -> bool:
    return case.op.name in NEED_SIZES and case.arrays[0].ndim > 0


@pytest.mark.parametrize("case", [case for case in CASES if _needs_sizes(case)], ids=repr)
def test_ops_that_need_sizes_say_so(case: Case) -> None:
    with pytest.raises(ShapeError, match="not fully known"):
        _written(case, _with_unknown_sizes(case))


@pytest.mark.parametrize("case", [case for case in CASES if not _needs_sizes(case)], ids=repr)
def test_unknown_sizes_give_the_same(case: Case) -> None:
    """Row A12: a graph that was written before the sizes are known gives the same, also once it is specialised."""
    graph = _written(case, _with_unknown_sizes(case))
    wanted = _numpy(case, case.arrays)
    special = specialize(graph, _types(case))
    verify(special)
    for one in (graph, special):
        for result, expected in zip(run_reference(one, case.arrays), wanted, strict=True):
            _assert_near(case, result, expected)


def _compiled(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    return build(optimize(graph)[-1].graph).run(list(arrays))


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_compiled_equals_eager(case: Case) -> None:
    """Kernels and NumPy steps give what eager mode gives, and leave the operands alone, run after run."""
    before = [array.tobytes() for array in case.arrays]
    wanted = _numpy(case, case.arrays)
    runner = build(optimize(_written(case))[-1].graph)
    for _ in range(2):
        for result, expected in zip(runner.run(list(case.arrays)), wanted, strict=True):
            _assert_near(case, np.asarray(result), expected)
    assert [array.tobytes() for array in case.arrays] == before


def _extremes(dtype: Any) -> Array:
    """Zeros of both signs, denormals, limits, halves, infinities and NaN; of integers the limits and what is near."""
    if dtype.kind == "b":
        return np.array([True, False])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        near = [0, 1, 2, 3, 7, 31, limits.min, limits.min + 1, limits.max - 1, limits.max]
        return np.array(near + ([-1, -2, -7] if dtype.kind == "i" else []), dtype)
    facts = np.finfo(dtype)
    small = [0.0, facts.smallest_subnormal, facts.tiny, facts.eps, 1e-10, 0.5, 1.0 - facts.eps, 1.0, 1.0 + facts.eps]
    large = [1.5, np.pi / 2, 2.0, 2.5, np.pi, 88.8, 100.0, 710.0, 2.0**24 + 1, facts.max, np.inf]
    numbers = np.array(small + large, dtype)
    return np.concatenate([numbers, -numbers, np.array([np.nan], dtype)])


def _on_extremes(op: Op, kind: str) -> list[tuple[Op, Any]]:
    dtypes = {"f": ("f4", "f8"), "i": ("i1", "i4", "i8"), "u": ("u1", "u4", "u8"), "b": ("?",)}.get(kind, ())
    return [(op, np.dtype(one)) for one in dtypes]


_PLAIN = tuple(
    op for op in OPS if op.kind is Kind.ELEMENTWISE and op.kernel is not None and not op.examples[0].attributes
)
ON_EXTREMES = tuple(
    (op, dtype)
    for op in _PLAIN
    # the terms of a cross entropy cancel, which shows that a kernel rounds a product and sum once
    if op.name not in ("where", "threefry", "sigmoid_cross_entropy_with_logits")
    for kind in op.dtypes
    for op, dtype in _on_extremes(op, kind)
    if not op.can_fail((TensorType(as_dtype(dtype), ()),) * len(op.examples[0].operands), {})
)


@pytest.mark.parametrize(("op", "dtype"), ON_EXTREMES, ids=lambda one: getattr(one, "name", str(one)))
def test_extreme_values(op: Op, dtype: Any) -> None:
    """Decision 1: kernels keep every NaN, infinity and zero that eager mode has, for all pairs of extreme numbers."""
    count = len(op.examples[0].operands)
    numbers = _extremes(dtype)
    arrays = tuple(
        numbers[:: 1 + (count > 2)].reshape([-1 if axis == position else 1 for axis in range(count)]).copy()
        for position in range(count)
    )
    case = Case(op, op.name, arrays, {}, False)
    (wanted,) = _numpy(case, arrays)
    (found,) = _compiled(_written(case), arrays)
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted, strict=True)
        return
    eps = float(np.finfo(wanted.dtype).eps)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(wanted))
    np.testing.assert_allclose(found, wanted, rtol=1000 * eps, atol=4 * eps, equal_nan=True)
    if op.name not in SIGNS_OF_ZERO_DIFFER:
        zeros = (wanted == 0) & (found == 0)
        np.testing.assert_array_equal(np.signbit(found)[zeros], np.signbit(wanted)[zeros])


FIRST = tuple({case.op.name: case for case in reversed(CASES) if not case.name.endswith("f16")}.values())


@pytest.mark.parametrize("case", FIRST, ids=repr)
def test_compile_takes_strided_arrays(case: Case) -> None:
    """A function of the op, compiled as users do it, gives the same for arrays that are not contiguous."""
    function = graphjit.compile(lambda *operands: apply(case.op, *operands, **case.attributes))
    wanted = _numpy(case, case.arrays)
    variants = [list(case.arrays)]
    variants += [[_strided(array)[turn] if array.ndim else array for array in case.arrays] for turn in range(3)]
    for arrays in variants:
        outputs = function(*arrays)
        for found, expected in zip(outputs if case.op.several else (outputs,), wanted, strict=True):
            _assert_near(case, np.asarray(found), expected)


# --- gradients --------------------------------------------------------------------------------


def _is_differentiable(case: Case) -> bool:
    """Whether there are float64 numbers to differentiate by, and floats to differentiate."""
    if not case.differentiable or isinstance(case.op.gradient, Differentiability):
        return False
    outputs = case.op.infer_types(_types(case), case.attributes)
    given = any(array.dtype == np.float64 for array in case.arrays)
    return given and any(type.dtype.is_floating for type in outputs)


DIFFERENTIABLE = tuple(case for case in CASES if _is_differentiable(case))


def _summed(case: Case, *tensors: Any) -> Any:
    """The op's float outputs as one vector, to differentiate."""
    outputs = apply(case.op, *tensors, **case.attributes)
    floats = [one for one in (outputs if case.op.several else (outputs,)) if one.type.dtype.is_floating]
    return floats[0] if len(floats) == 1 else PUBLIC["concat"]([PUBLIC["ravel"](one) for one in floats], 0)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=repr)
def test_gradient_equals_central_differences(case: Case) -> None:
    """Each rule is the derivative; where there is none, the derivative is zero, and integers have none (row G4)."""

    def function(*tensors: Any) -> Any:
        return _summed(case, *tensors)

    found = reverse_gradient(function, case.arrays)
    for position, array in enumerate(case.arrays):
        if array.dtype.kind != "f":
            assert found[position] is None
            continue
        wanted = difference_gradient(function, case.arrays, position)
        given = np.zeros_like(wanted) if found[position] is None else found[position]
        np.testing.assert_allclose(given, wanted, rtol=1e-5, atol=1e-7)


def _gradient_graph(case: Case, types: Sequence[TensorType]) -> Graph:
    """The graph that computes the op's gradients, by the walk over symbols."""

    def body(*symbols: Any) -> list[Any]:
        recording = Recording()
        for symbol in symbols:
            recording.watch(symbol)
        add_recorder(recording)
        try:
            result = _summed(case, *symbols)
        finally:
            remove_recorder(recording)
        cotangents = backward(recording, [(result, PUBLIC["ones_like"](result))])
        return [found for symbol in symbols if (found := cotangents.of(symbol)) is not None]

    graph = write_graph("gradient", types, body)
    verify(graph)
    return graph


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=repr)
def test_gradient_compiles(case: Case) -> None:
    """The gradient's graph gives the same with NumPy, with kernels, and when the sizes were unknown."""
    graph = _gradient_graph(case, _types(case))
    wanted = run_reference(graph, case.arrays)
    opened = graph if _needs_sizes(case) else _gradient_graph(case, _with_unknown_sizes(case))
    special = run_reference(specialize(opened, _types(case)), case.arrays)
    for found in (_compiled(graph, case.arrays), run_reference(opened, case.arrays), special):
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(np.asarray(one), other, rtol=1e-12, atol=1e-14)


# --- errors -----------------------------------------------------------------------------------


APART = ("where", "cast", "threefry", "in_range")
FAMILY = tuple(op for op in OPS if op.kind is Kind.ELEMENTWISE and op.name not in APART)
SEVERAL = tuple(op for op in FAMILY if len(op.examples[0].operands) > 1)


@pytest.mark.parametrize("op", [op for op in FAMILY if len(op.examples[0].operands) == 2], ids=lambda op: op.name)
def test_mixed_dtypes_are_refused(op: Op) -> None:
    """Row H3: no dtype is promoted silently."""
    kinds = {"f": ("float32", "float64"), "i": ("int32", "int64"), "b": ("bool", "int32")}
    left, right = next(pair for kind, pair in kinds.items() if kind in op.dtypes)
    with pytest.raises(InvalidArgumentError, match=r"gj\.cast"):
        apply(op, graphjit.zeros([2], left), graphjit.zeros([2], right), **op.examples[0].attributes)


@pytest.mark.parametrize("op", SEVERAL, ids=lambda op: op.name)
def test_shapes_that_do_not_broadcast_are_refused(op: Op) -> None:
    """The message names the op and the shapes."""
    count = len(op.examples[0].operands)
    dtype = "float32" if "f" in op.dtypes else "int32" if "i" in op.dtypes else "bool"
    operands = [graphjit.zeros([2, 3], dtype), *[graphjit.zeros([4], dtype)] * (count - 1)]
    with pytest.raises(InvalidArgumentError, match=rf"{op.name}.*broadcast"):
        apply(op, *operands, **op.examples[0].attributes)
