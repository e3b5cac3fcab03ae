"""The passes: graph text in, graph text out; and what they compute stays what it was."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import graphjit as gj
import graphjit.compiler.passes
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.dispatch import apply
from graphjit.compiler.dump.text import format_graph, parse_graph
from graphjit.compiler.equality import graphs_equal
from graphjit.compiler.graph import Equation, Graph, Location
from graphjit.compiler.op import Example, Kind, Op
from graphjit.compiler.operand import PUBLIC, Operand
from graphjit.compiler.ops.control import fused_op
from graphjit.compiler.passes.cse import cse
from graphjit.compiler.passes.dce import dce
from graphjit.compiler.passes.expand import expand
from graphjit.compiler.passes.fold import MOST_BYTES, fold
from graphjit.compiler.passes.simplify import simplify
from graphjit.compiler.passes.stabilise import stabilise
from graphjit.compiler.pipeline import PIPELINE, Pass, optimize
from graphjit.compiler.tensortype import TensorType, float32, float64, type_of_array
from graphjit.compiler.verify import verify
from graphjit.compiler.writer import write_graph
from graphjit.runtime.errors import DivisionByZeroError, VerificationError

Rewrite = Callable[[Graph], Graph]


def ops_of(graph: Graph) -> list[str]:
    return [equation.op.name for equation in graph.equations]


def written(body: Callable[..., Any], *types: TensorType) -> Graph:
    return write_graph("f", types, body)


def f32(*shape: int | None) -> TensorType:
    return TensorType(float32, shape)


def check(rewrite: Rewrite, before: str, after: str) -> None:
    """A pass makes one text of another, and both are graphs."""
    graph = verify(parse_graph(before))
    rewritten = verify(rewrite(graph))
    wanted = parse_graph(after)
    assert graphs_equal(rewritten, wanted), format_graph(rewritten)


# --- dce -----------------------------------------------------------------------------------------


def test_dce_drops_chains_and_keeps_what_can_fail() -> None:
    """Decision 2: errors of unused ops stay, with everything that they read."""
    check(
        dce,
        """f(%a: i32[3], %b: i32[3]) {
          %c = add(%a, %b) %d = negative(%c) %e = floordiv(%a, %c) %g = add(%d, %d) return %a
        }""",
        "f(%a: i32[3], %b: i32[3]) { %c = add(%a, %b) %e = floordiv(%a, %c) return %a }",
    )


def test_dce_keeps_effects() -> None:
    shout = Op(
        "shout", Kind.CALL, lambda types: (), lambda x: (), examples=(Example(("f64[]",)),), effect=True, several=True
    )
    graph = written(lambda x: gj.exp(x), f32(3))
    loud = graph.with_equations([Equation(shout, graph.inputs, {}, ()), *graph.equations], graph.inputs)
    assert ops_of(dce(loud)) == ["shout"]
    assert (
        ops_of(cse(loud.with_equations([loud.equations[0], Equation(shout, graph.inputs, {}, ())], ())))
        == ["shout"] * 2
    )


def test_passes_return_the_same_graph_when_there_is_nothing_to_do() -> None:
    """So that a dump can tell that a stage changed nothing."""
    graph = parse_graph("f(%a: f32[3], %b: f32[3]) { %c = add(%a, %b) %d = exp(%c) return %d }")
    for rewrite in (dce, cse, fold, simplify, stabilise, expand):
        assert rewrite(graph) is graph


# --- cse -----------------------------------------------------------------------------------------


def test_cse_goes_by_bits_of_attributes() -> None:
    """1.0 and -0.0 beside 0.0; equal axes; a chain of equal values."""
    check(
        cse,
        """f(%a: f32[2,3]) {
          %p = constant() {value=dense<f32[]: 0.0>} %q = constant() {value=dense<f32[]: -0.0>}
          %r = constant() {value=dense<f32[]: 0.0>}
          %b = add(%a, %p) %c = add(%a, %q) %d = add(%r, %a)
          %e = reduce_sum(%b) {axis=(0,), keepdims=false} %g = reduce_sum(%d) {axis=(0,), keepdims=false}
          %h = reduce_sum(%d) {axis=(1,), keepdims=false}
          return %c, %e, %g, %h
        }""",
        """f(%a: f32[2,3]) {
          %p = constant() {value=dense<f32[]: 0.0>} %q = constant() {value=dense<f32[]: -0.0>}
          %b = add(%a, %p) %c = add(%a, %q)
          %e = reduce_sum(%b) {axis=(0,), keepdims=false} %h = reduce_sum(%b) {axis=(1,), keepdims=false}
          return %c, %e, %e, %h
        }""",
    )


def test_cse_does_not_reorder_what_does_not_commute() -> None:
    text = "f(%a: f32[3], %b: f32[3]) { %c = subtract(%a, %b) %d = subtract(%b, %a) return %c, %d }"
    check(cse, text, text)


def test_cse_leaves_the_order_where_a_bit_depends_on_it() -> None:
    """maximum(0.0, -0.0) may have either sign; a product of complex numbers is rounded in order."""
    for head, op in (("%a: f32[3], %b: f32[3]", "maximum"), ("%a: c64[3], %b: c64[3]", "multiply")):
        text = f"f({head}) {{ %c = {op}(%a, %b) %d = {op}(%b, %a) return %c, %d }}"
        check(cse, text, text)


# --- fold ----------------------------------------------------------------------------------------


def test_fold_leaves_repetitions_positions_and_failures_alone() -> None:
    text = """f() {
      %a = constant() {value=dense<i32[]: 0>}
      %b = broadcast_to(%a) {shape=(8,)}
      %c = iota() {axis=0, dtype=i32, shape=(8,)}
      %d = floordiv(%c, %b)
      return %b, %d
    }"""
    check(fold, text, text)


def test_fold_computes_repeated_constants_once() -> None:
    check(
        fold,
        """f() {
          %a = constant() {value=dense<f32[]: 1.0>} %b = broadcast_to(%a) {shape=(1000, 1000)}
          %c = constant() {value=dense<f32[]: 2.0>} %d = broadcast_to(%c) {shape=(1000, 1000)}
          %e = add(%b, %d)
          return %e
        }""",
        """f() {
          %a = constant() {value=dense<f32[]: 1.0>} %b = broadcast_to(%a) {shape=(1000, 1000)}
          %c = constant() {value=dense<f32[]: 2.0>} %d = broadcast_to(%c) {shape=(1000, 1000)}
          %g = constant() {value=dense<f32[]: 3.0>} %e = broadcast_to(%g) {shape=(1000, 1000)}
          return %e
        }""",
    )


def test_fold_is_bounded() -> None:
    """An outer sum of two constants that would be larger than the limit stays an equation."""
    side = int(np.sqrt(MOST_BYTES / 8))

    def outer(size: int) -> Graph:
        return written(lambda: gj.add(gj.constant(np.ones((size, 1))), gj.constant(np.ones((1, size)))))

    assert ops_of(dce(fold(outer(side)))) == ["constant"]
    assert ops_of(dce(fold(outer(side + 1)))) == ["constant", "constant", "add"]


def test_fold_keeps_the_error_of_constants_for_the_run() -> None:
    """Decision 2: a division of constants by zero raises in the user's call, not while compiling."""
    graph = written(lambda: gj.floordiv(gj.constant([1, 2]), gj.constant([1, 0])))
    assert "floordiv" in ops_of(fold(graph))
    with pytest.raises(DivisionByZeroError):
        run_reference(fold(graph), [])


# --- simplify --------------------------------------------------------------------------------------

SIMPLER = [
    (
        "x + 0 is not x for floats",
        "%z = const(0.0) %b = add(%a, %z) return %b",
        None,
    ),
    (
        "x + -0.0 is",
        "%z = const(-0.0) %b = add(%z, %a) return %b",
        "return %a",
    ),
    (
        "x * 0 is not 0 for floats",
        "%z = const(0.0) %b = multiply(%a, %z) return %b",
        None,
    ),
    (
        "a repeated constant",
        "%z = const(1.0) %y = broadcast_to(%z) {shape=(2, 3)} %b = multiply(%a, %y) return %b",
        "return %a",
    ),
    (
        "a constant that gives the shape",
        "%z = constant() {value=dense<f32[4,2,3]: 1.0>} %b = multiply(%a, %z) return %b",
        "%b = broadcast_to(%a) {shape=(4, 2, 3)} return %b",
    ),
    (
        "division by a power of two",
        "%z = const(4.0) %b = divide(%a, %z) return %b",
        "%z = const(0.25) %b = multiply(%a, %z) return %b",
    ),
    (
        "division by three stays",
        "%z = const(3.0) %b = divide(%a, %z) return %b",
        None,
    ),
    (
        "negations",
        "%b = negative(%a) %c = negative(%b) %d = negative(%c) return %d",
        "%d = negative(%a) return %d",
    ),
    (
        "identities",
        "%b = identity(%a) %c = stop_gradient(%b) %d = exp(%c) return %d",
        "%d = exp(%a) return %d",
    ),
    (
        "casts up and down",
        "%b = cast(%a) {dtype=f64} %c = cast(%b) {dtype=f32} return %c",
        "return %a",
    ),
    (
        "casts down and up stay",
        "%b = cast(%a) {dtype=f16} %c = cast(%b) {dtype=f32} return %c",
        None,
    ),
    (
        "casts through integers stay",
        "%b = cast(%a) {dtype=i32} %c = cast(%b) {dtype=f32} return %c",
        None,
    ),
    (
        "transposes",
        "%b = transpose(%a) {perm=(1, 0)} %c = transpose(%b) {perm=(1, 0)} return %c",
        "return %a",
    ),
    (
        "reshapes",
        "%b = reshape(%a) {shape=(3, 2)} %c = expand_dims(%b) {axis=0} %d = reshape(%c) {shape=(6,)} return %d",
        "%d = reshape(%a) {shape=(6,)} return %d",
    ),
    (
        "reshapes there and back",
        "%b = reshape(%a) {shape=(-1,)} %c = reshape(%b) {shape=(2, 3)} return %c",
        "return %a",
    ),
    (
        "broadcasts",
        "%b = broadcast_to(%a) {shape=(4, 2, 3)} %c = broadcast_to(%b) {shape=(5, 4, 2, 3)} return %c",
        "%c = broadcast_to(%a) {shape=(5, 4, 2, 3)} return %c",
    ),
    (
        "a slice of everything",
        "%b = strided_slice(%a) {begin=(0, 0), drop=(), end=(2, 3), step=(1, 1)} return %b",
        "return %a",
    ),
    (
        "a reversal stays",
        "%b = strided_slice(%a) {begin=(none, 0), drop=(), end=(none, 3), step=(-1, 1)} return %b",
        None,
    ),
    (
        "powers stay, they are not exact",
        "%z = const(2.0) %b = pow(%a, %z) return %b",
        None,
    ),
]


@pytest.mark.parametrize(("before", "after"), [case[1:] for case in SIMPLER], ids=[case[0] for case in SIMPLER])
def test_simplify(before: str, after: str | None) -> None:
    check(simplify, framed(before), framed(before if after is None else after))


def framed(text: str) -> str:
    """A graph over a matrix %a; `const(1.0)` is short for a scalar constant."""
    constants = re.sub(r"const\((.*?)\)", r"constant() {value=dense<f32[]: \1>}", text)
    return f"f(%a: f32[2,3]) {{ {constants} }}"


def test_integers_have_more_laws() -> None:
    check(
        simplify,
        """f(%a: i32[3], %p: bool[3]) {
          %z = constant() {value=dense<i32[]: 0>} %b = add(%a, %z) %c = multiply(%b, %z) %d = subtract(%b, %a)
          %q = less(%a, %c) %r = logical_not(%q) %s = logical_not(%p) %e = where(%s, %a, %b) %g = where(%s, %c, %a)
          return %b, %c, %d, %r, %e, %g
        }""",
        """f(%a: i32[3], %p: bool[3]) {
          %z = constant() {value=dense<i32[]: 0>} %c = broadcast_to(%z) {shape=(3,)}
          %y = constant() {value=dense<i32[]: 0>} %d = broadcast_to(%y) {shape=(3,)}
          %r = greater_equal(%a, %z) %g = where(%p, %a, %z)
          return %a, %c, %d, %r, %a, %g
        }""",
    )


def test_broadcasting_is_left_to_elementwise_ops() -> None:
    """Where another operand gives the result its shape, a broadcast before the op says nothing."""
    check(
        simplify,
        """f(%a: f32[3], %b: f32[2,3]) {
          %c = broadcast_to(%a) {shape=(2, 3)} %d = add(%c, %b) %e = add(%c, %c) return %d, %e
        }""",
        """f(%a: f32[3], %b: f32[2,3]) {
          %c = broadcast_to(%a) {shape=(2, 3)} %d = add(%a, %b) %e = add(%a, %c) return %d, %e
        }""",
    )


def test_transposes_become_flags_of_products() -> None:
    check(
        simplify,
        """f(%a: f32[5,2,3], %b: f32[5,4,3]) {
          %c = transpose(%a) {perm=(0, 2, 1)} %d = transpose(%b) {perm=(0, 2, 1)}
          %e = matmul(%c, %b) {transpose_a=true, transpose_b=true}
          %g = matmul(%a, %d) {transpose_a=false, transpose_b=false}
          return %e, %g
        }""",
        """f(%a: f32[5,2,3], %b: f32[5,4,3]) {
          %e = matmul(%a, %b) {transpose_a=false, transpose_b=true}
          %g = matmul(%a, %b) {transpose_a=false, transpose_b=true}
          return %e, %g
        }""",
    )
    text = """f(%a: f32[5,2,3], %b: f32[2,3,4]) {
      %c = transpose(%a) {perm=(1, 0, 2)} %d = transpose(%b) {perm=(2, 0, 1)}
      %e = matmul(%c, %b) {transpose_a=false, transpose_b=false}
      return %e, %d
    }"""
    check(simplify, text, text)


def test_unknown_sizes_keep_rules_away() -> None:
    """where(true, x, y) has y's shape where x's size turns out to be 1."""
    text = """f(%a: f32[?], %b: f32[?]) {
      %t = constant() {value=dense<bool[]: true>} %c = where(%t, %a, %b) return %c
    }"""
    check(simplify, text, text)


# --- stabilise ---------------------------------------------------------------------------------------


def stabilised(body: Callable[..., Any], *arrays: Any) -> list[np.ndarray[Any, Any]]:
    """What a body computes after the whole pipeline."""
    given = [np.asarray(array) for array in arrays]
    graph = written(body, *(type_of_array(array) for array in given))
    return run_reference(optimize(graph)[-1].graph, given)


FAR = np.array([[1000.0, 0.0, -1000.0], [-800.0, -801.0, -802.0], [3.0, 3.0, 3.0]])


def test_log_of_softmax_is_finite() -> None:
    """D7: log(softmax(x)) has no logarithm of an underflown zero."""
    (found,) = stabilised(lambda x: gj.log(gj.nn.softmax(x)), FAR)
    shifted = FAR - FAR.max(-1, keepdims=True)
    np.testing.assert_allclose(found, shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), rtol=1e-15)


@pytest.mark.parametrize("axis", [-1, 0, None])
@pytest.mark.parametrize("keepdims", [True, False])
def test_log_of_a_sum_of_exponentials_is_finite(axis: int | None, keepdims: bool) -> None:
    """D7, G17: logsumexp(1000) written by hand."""
    (found,) = stabilised(lambda x: gj.log(gj.reduce_sum(gj.exp(x), axis=axis, keepdims=keepdims)), FAR)
    np.testing.assert_allclose(found, np.logaddexp.reduce(FAR, axis=axis, keepdims=keepdims), rtol=1e-15)


@pytest.mark.parametrize("shared", [True, False])
def test_a_softmax_written_by_hand_is_finite(shared: bool) -> None:
    """D7: exp(x) / sum(exp(x)), whether the user named exp(x) or wrote it twice."""

    def softmax(x: Any) -> Any:
        e = gj.exp(x)
        return e / gj.reduce_sum(e if shared else gj.exp(x), axis=-1, keepdims=True)

    (found,) = stabilised(softmax, FAR)
    wanted = np.exp(FAR - FAR.max(-1, keepdims=True))
    np.testing.assert_allclose(found, wanted / wanted.sum(-1, keepdims=True), rtol=1e-15)


def test_a_softmax_that_is_stable_already_is_left_alone() -> None:
    def softmax(x: Any) -> Any:
        e = gj.exp(x - gj.stop_gradient(gj.reduce_max(x, axis=-1, keepdims=True)))
        return e / gj.reduce_sum(e, axis=-1, keepdims=True)

    for body in (softmax, gradient(softmax)):
        graph = cse(simplify(written(body, TensorType(float64, (3, 3)))))
        assert stabilise(graph) is graph


@pytest.mark.parametrize(
    ("body", "x", "wanted"),
    [
        (lambda x: gj.log(1 + gj.exp(x)), [1000.0, -1000.0, 0.0], [1000.0, 0.0, np.log(2)]),
        (lambda x: gj.log(gj.sigmoid(x)), [-1000.0, 1000.0], [-1000.0, 0.0]),
        (lambda x: 1 - gj.sigmoid(x), [40.0], [4.248354255291589e-18]),
        (lambda x: 1 / (1 + gj.exp(-x)), [-1000.0, 0.0, 1000.0], [0.0, 0.5, 1.0]),
        (lambda x: gj.log(1 + x), [1e-20], [1e-20]),
        (lambda x: gj.log(1 - x), [1e-20], [-1e-20]),
        (lambda x: gj.exp(x) - 1, [1e-20], [1e-20]),
        (lambda x: 1 - gj.exp(x), [1e-20], [-1e-20]),
    ],
    ids=["softplus", "log_sigmoid", "sigmoid(-x)", "sigmoid", "log1p(x)", "log1p(-x)", "expm1", "-expm1"],
)
def test_digits_are_kept(body: Callable[[Any], Any], x: list[float], wanted: list[float]) -> None:
    """D7: results at least as accurate as the formula that was written."""
    (found,) = stabilised(body, np.array(x))
    np.testing.assert_allclose(found, wanted, rtol=1e-15, atol=0)


def gradient(body: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The gradient of the sum of what a body returns."""

    def walk(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = body(x)
        return tape.gradient(y, x)

    return walk


def _sigmoid(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.exp(-np.logaddexp(0, -x))


def _softmax(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (lambda x: gj.log(1 + gj.exp(x)), _sigmoid),
        (lambda x: 1 / (1 + gj.exp(-x)), lambda x: _sigmoid(x) * _sigmoid(-x)),
        (lambda x: gj.log(gj.reduce_sum(gj.exp(x), axis=-1)), _softmax),
        (lambda x: gj.log(gj.reduce_sum(gj.exp(x), axis=-1, keepdims=True)), _softmax),
        (lambda x: gj.log(gj.nn.softmax(x)), lambda x: 1 - 3 * _softmax(x)),
    ],
    ids=["softplus", "sigmoid", "logsumexp", "logsumexp with keepdims", "log of softmax"],
)
def test_gradients_of_unstable_formulas_are_finite(body: Callable[[Any], Any], wanted: Callable[[Any], Any]) -> None:
    """Decision 6 has gradients derived from what was written; decision 7 has no infinity meet a zero there."""
    (found,) = stabilised(gradient(body), FAR)
    np.testing.assert_allclose(found, wanted(FAR), rtol=1e-14, atol=1e-300)


def test_powers_become_products() -> None:
    graph = optimize(written(lambda x: (x**2.0, x**3.0, x**-1.0, x**1.0, x**0.0, x**2.5), f32(3)))[-1].graph
    assert sorted(ops_of(graph)) == ["broadcast_to", "constant", "constant", "multiply", "pow", "reciprocal", "square"]


def test_exact_compilation_leaves_digits_alone() -> None:
    """Decision 1: exact=True keeps what was written."""
    graph = written(lambda x: (gj.log(1 + x), x**2.0), f32(3))
    exact = optimize(graph, exact=True)
    assert "stabilise" not in [stage.name for stage in exact]
    assert {"log", "pow"} <= set(ops_of(exact[-1].graph))


# --- expand ------------------------------------------------------------------------------------------


def test_expand_keeps_the_users_line_and_name() -> None:
    place = Location("train.py", 12, "step", "p = gj.nn.softmax(x)")
    graph = parse_graph("f(%x: f32[2,3]) { %p = softmax(%x) {axis=1} return %p }")
    (equation,) = graph.equations
    placed = graph.with_equations(
        [Equation(equation.op, equation.operands, equation.attributes, equation.outputs, place)]
    )
    expanded = expand(placed)
    assert all(one.op.kind is not Kind.COMPOSED for one in expanded.equations)
    assert {one.location for one in expanded.equations} == {place}
    assert expanded.outputs[0].name == "p"


def test_a_definition_that_comes_back_to_itself_is_refused() -> None:
    endless = Op(
        "endless", Kind.COMPOSED, lambda types: types, lambda x: x, examples=(Example(("f64[]",)),),
        definition=lambda x: apply(endless, x),
    )  # fmt: skip
    graph = written(lambda x: gj.exp(x), f32(3))
    looping = graph.with_equations([Equation(endless, graph.inputs, {}, graph.outputs)])
    with pytest.raises(VerificationError, match="the definition of endless comes back to itself"):
        expand(looping)


def test_a_definition_of_another_type_is_refused() -> None:
    wrong = Op(
        "wrong", Kind.COMPOSED, lambda types: types, lambda x: x, examples=(Example(("f64[]",)),),
        definition=lambda x: gj.reduce_sum(x),
    )  # fmt: skip
    graph = written(lambda x: gj.exp(x), f32(3))
    with pytest.raises(VerificationError, match=r"wrong makes f32\[3\], but is replaced by f32\[\]"):
        expand(graph.with_equations([Equation(wrong, graph.inputs, {}, graph.outputs)]))


# --- the pipeline --------------------------------------------------------------------------------------


def test_every_stage_is_kept_with_its_time() -> None:
    graph = written(lambda x: gj.nn.softmax(x) * 1.0, f32(2, 3))
    stages = optimize(graph)
    assert [stage.name for stage in stages] == [one.name for one in PIPELINE]
    assert all(stage.milliseconds >= 0 for stage in stages)
    assert "softmax" in ops_of(stages[0].graph)
    assert "softmax" not in ops_of(stages[-1].graph)


def test_names_of_stages_are_distinct_and_reasoned() -> None:
    assert len({one.name for one in PIPELINE}) == len(PIPELINE)
    assert all(one.reason for one in PIPELINE)


def test_a_pass_that_breaks_a_graph_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Pass("vandal", lambda graph: graph.with_equations(()), "for the test")
    monkeypatch.setattr("graphjit.compiler.pipeline.PIPELINE", (broken,))
    with pytest.raises(VerificationError) as caught:
        optimize(written(gj.exp, f32(3)))
    assert caught.value.__notes__ == ["in the pass 'vandal' over 'f'"]


def test_passes_reach_graphs_inside_equations() -> None:
    inner = parse_graph("inner(%a: f32[3]) { %b = negative(%a) %c = negative(%b) return %c }")
    graph = written(gj.exp, f32(3))
    held = Equation(fused_op, graph.inputs, {"graph": inner, "domain": (3,)}, graph.outputs)
    last = optimize(graph.with_equations([held]))[-1]
    assert last.graph.equations[0].attributes["graph"].equations == ()


def test_every_pass_shows_before_and_after() -> None:
    """STYLE: a pass's docstring is a doctest."""
    for module in pkgutil.iter_modules(graphjit.compiler.passes.__path__):
        text = importlib.import_module(f"graphjit.compiler.passes.{module.name}").__doc__
        assert text is not None and ">>> show(" in text, module.name


def test_inputs_stay_the_same_values() -> None:
    graph = written(lambda x, y: gj.nn.softmax(x * 1.0) + y, f32(2, 3), f32(3))
    assert all(stage.graph.inputs == graph.inputs for stage in optimize(graph))


# --- random graphs ---------------------------------------------------------------------------------------

_UNARY = ("negative", "abs", "exp", "tanh", "square", "identity", "stop_gradient", "floor", "relu", "sigmoid", "log")
_BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
_NUMBERS = (0.0, -0.0, 1.0, -1.0, 2.0, 0.25, 3.0, np.inf)


def random_graph(rng: np.random.Generator, count: int) -> Graph:
    """A graph of ops that the rules look for, over matrices, rows and scalars."""

    def body(x: Any, y: Any, z: Any) -> list[Any]:
        values: list[Operand] = [x, y, z]
        for _ in range(count):
            values.append(random_step(rng, values))
        return [values[-1], *(values[int(rng.integers(len(values)))] for _ in range(2))]

    return write_graph("random", [f32(4, 4), f32(4), f32()], body)


def random_step(rng: np.random.Generator, values: Sequence[Any]) -> Any:
    recent = values[-12:]
    x, y = (recent[int(rng.integers(len(recent)))] for _ in range(2))
    kind = int(rng.integers(9))
    if kind < 3:
        name = str(rng.choice(_UNARY))
        return PUBLIC[name](x)
    if kind < 5:
        return PUBLIC[str(rng.choice(_BINARY))](x, y)
    if kind == 5:
        number = float(rng.choice(_NUMBERS))
        pair = (x, number) if rng.random() < 0.5 else (number, x)
        return PUBLIC[str(rng.choice(_BINARY))](*pair)
    if kind == 6:
        return gj.transpose(x) if x.ndim == 2 else gj.broadcast_to(x, [4, 4])
    if kind == 7:
        return gj.where(gj.less(x, y), x, y) if rng.random() < 0.5 else gj.where(gj.constant(True), y, x)
    return gj.reduce_max(x, axis=0) if x.ndim else gj.reshape(gj.reshape(x, [1, 1]), [])


def bits_equal(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    nan = np.isnan(one) & np.isnan(other)
    return one.shape == other.shape and bool(((one.view("u4") == other.view("u4")) | nan).all())


@pytest.mark.parametrize("seed", range(60))
def test_exact_passes_keep_every_bit_of_random_graphs(seed: int) -> None:
    """Decision 1, on graphs that are full of what the rules look for; the seed is the test's parameter."""
    rng = np.random.default_rng(seed)
    graph = verify(random_graph(rng, 30))
    special = rng.choice(np.float32([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 1e-40, -3.5]), (4, 4))
    arrays = [np.where(rng.random((4, 4)) < 0.3, special, rng.standard_normal((4, 4), np.float32))]
    arrays += [rng.standard_normal(4, np.float32), np.asarray(rng.standard_normal(), np.float32)]
    wanted = run_reference(graph, arrays)
    for stage in optimize(graph, exact=True):
        for found, expected in zip(run_reference(stage.graph, arrays), wanted, strict=True):
            assert bits_equal(found, expected), f"seed {seed}, after {stage.name}:\n{format_graph(stage.graph)}"


@pytest.mark.parametrize("count", [10_000])
def test_long_graphs_pass_without_recursion(count: int) -> None:
    """Ten thousand equations in one chain."""
    graph = random_graph(np.random.default_rng(0), count)
    last = optimize(graph)[-1].graph
    assert 0 < len(last.equations) < count


# --- all stages, to be read -------------------------------------------------------------------------------


def test_the_stages_of_a_training_loss(golden: Any) -> None:
    """D17: every stage of a small network's loss as text; a change of any pass shows here."""
    text = """
    loss(%x: f32[64,784], %w: f32[784,10], %b: f32[10], %labels: f32[64,10]) {
      %flat: f32[64,784] = reshape(%x) {shape=(-1, 784)}
      %half = constant() {value=dense<f32[]: 2.0>}
      %scaled = divide(%flat, %half)
      %product = matmul(%scaled, %w) {transpose_a=false, transpose_b=false}
      %bias = broadcast_to(%b) {shape=(64, 10)}
      %logits = add(%product, %bias)
      %p = softmax(%logits) {axis=1}
      %log_p = log(%p)
      %picked = multiply(%labels, %log_p)
      %per_row = reduce_sum(%picked) {axis=(1,), keepdims=false}
      %mean = reduce_mean(%per_row) {axis=(0,), keepdims=false}
      %loss = negative(%mean)
      return %loss
    }"""
    shown, seen = [], parse_graph(text)
    for stage in optimize(seen):
        if stage.graph is not seen:
            shown.append(f"# {stage.name}\n{format_graph(stage.graph)}")
        seen = stage.graph
    golden.check("\n\n".join(shown))
