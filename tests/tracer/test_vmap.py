"""`vmap` and `vectorized_map`: all rows at once (rows F3, G11, G23)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj


def _ops(function: Any) -> list[str]:
    """The names of the ops of a compiled function's traced graph."""
    return [equation.op.name for equation in function.graph.equations]


def _close(found: Any, wanted: Any, rtol: float = 1e-10) -> None:
    for one, other in zip(gj.nest.flatten(found), gj.nest.flatten(wanted), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=rtol, atol=1e-12, strict=True)


def _draw(*shape: int, seed: int = 0) -> Any:
    return gj.constant(np.random.default_rng(seed).normal(size=shape))


def _network(x: Any, w: Any) -> Any:
    hidden = gj.tanh(gj.linalg.matvec(w, x))
    return gj.nn.softmax(hidden)[1:] * gj.reduce_logsumexp(hidden), gj.argmax(hidden), gj.concat([x, hidden], 0)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "network": _network,
    "scalars": lambda x, w: x[0] * 2.0 + gj.sin(x[1]),
    "shapes": lambda x, w: gj.transpose(gj.reshape(gj.tile(x, [2]), [2, -1]))[::-1, None],
    "indices": lambda x, w: (gj.gather(x, gj.cast(x > 0, gj.int32)), gj.gather(w, gj.argmax(x[:3])), x[gj.argmin(x)]),
    "shared": lambda x, w: gj.reduce_sum(w),
    "products": lambda x, w: (w @ gj.linalg.diag(x), gj.tensordot(x, w, [[0], [1]]), gj.einsum("i,ji->j", x, w)),
    "algebra": lambda x, w: gj.linalg.inv(gj.tensordot(x, x, 0) + 3.0 * gj.eye(4, dtype=x.dtype)),
    "placed": lambda x, w: gj.tensor_scatter_nd_add(x, [[1], [0]], x[2:]) + gj.pad(x[1:], [[1, 0]]),
    "running": lambda x, w: (gj.cumsum(x), gj.sort(x, direction="DESCENDING"), gj.math.segment_sum(x, [0, 0, 1, 1])),
}


@pytest.mark.parametrize("name", _FUNCTIONS)
@pytest.mark.parametrize(("in_axes", "out_axes"), [((0, None), 0), ((1, None), -1), ((0, 2), 0), ((None, 0), 0)])
def test_f3_vmap_is_a_python_loop(name: str, in_axes: Any, out_axes: int) -> None:
    """F3: compiled, eager and a loop in Python agree, for any axes."""
    function = _FUNCTIONS[name]
    x, w = np.random.default_rng(1).normal(size=4), np.random.default_rng(2).normal(size=(3, 4))
    given = []
    for array, axis in zip((x, w), in_axes, strict=True):
        rows = np.stack([array * (1 + 0.1 * row) for row in range(5)])
        given.append(gj.constant(array if axis is None else np.moveaxis(rows, 0, axis)))
    mapped = gj.vmap(function, in_axes, out_axes)
    wanted = mapped(*given)
    compiled = gj.compile(mapped)
    _close(compiled(*given), wanted)
    for place, leaf in enumerate(gj.nest.flatten(wanted)):
        pairs = zip(given, in_axes, strict=True)
        alone = function(*(one if axis is None else gj.gather(one, 3, axis=axis) for one, axis in pairs))
        _close(gj.gather(leaf, 3, axis=out_axes), gj.nest.flatten(alone)[place])


@pytest.mark.parametrize("name", ["network", "scalars", "shapes", "indices", "products", "algebra"])
def test_f3_ordinary_functions_become_no_loop(name: str) -> None:
    """F3: the traced graph holds ops on whole tensors."""
    compiled = gj.compile(gj.vmap(_FUNCTIONS[name], (0, None)))
    compiled(_draw(5, 4), _draw(3, 4))
    assert "scan" not in _ops(compiled)


def test_f3_what_has_no_rule_is_a_loop_of_that_alone() -> None:
    """F3: the rest of the function is still done at once, and the report names the op."""

    @gj.vmap
    def places(x: Any) -> Any:
        return gj.searchsorted(gj.sort(x), gj.tanh(x))

    compiled = gj.compile(places)
    x = _draw(3, 4)
    _close(compiled(x), places(x))
    scans = [one for one in compiled.graph.equations if one.op.name == "scan"]
    assert [[inner.op.name for inner in scan.graphs[0].equations] for scan in scans] == [["searchsorted"]]
    assert "searchsorted" in str(compiled.report())


def test_f3_nested() -> None:
    """F3: vmap of vmap: all pairs."""

    def distances(a: Any, b: Any) -> Any:
        each = gj.vmap(gj.vmap(lambda x, y: gj.reduce_sum(gj.square(x - y)), (None, 0)), (0, None))
        return each(a, b)

    a, b = _draw(4, 3), _draw(5, 3, seed=1)
    compiled = gj.compile(distances)
    wanted = np.square(a.numpy()[:, None] - b.numpy()).sum(-1)
    _close(compiled(a, b), wanted)
    assert "scan" not in _ops(compiled)


def _value_and_slope(x: Any, w: Any) -> Any:
    with gj.GradientTape() as tape:
        tape.watch((x, w))
        y = gj.reduce_sum(gj.nn.log_softmax(gj.tanh(gj.linalg.matvec(w, x))) * gj.constant([1.0, 0.0, 2.0], x.dtype))
    return y, tape.gradient(y, (x, w))


def test_g23_vmap_of_gradients() -> None:
    """G23: a gradient for each example, at once."""
    x, w = _draw(5, 4), _draw(3, 4, seed=1)
    mapped = gj.vmap(_value_and_slope, (0, None))
    compiled = gj.compile(mapped)
    found = compiled(x, w)
    assert "scan" not in _ops(compiled)
    _close(found, mapped(x, w))
    for row in range(5):
        _close(gj.nest.map_structure(lambda one: one[row], found), _value_and_slope(x[row], w))  # noqa: B023 -- called at once


def test_g23_gradient_of_vmap() -> None:
    """G23: also by what all rows share, and twice."""

    def total(x: Any, w: Any) -> Any:
        return gj.reduce_sum(gj.square(gj.vmap(_network, (0, None))(x, w)[0]))

    def both(x: Any, w: Any) -> Any:
        with gj.GradientTape() as outer:
            outer.watch((x, w))
            with gj.GradientTape() as tape:
                tape.watch((x, w))
                y = total(x, w)
            first = tape.gradient(y, (x, w))
            length = gj.reduce_sum(gj.square(first[0])) + gj.reduce_sum(gj.square(first[1]))
        return first, outer.gradient(length, (x, w))

    x, w = _draw(5, 4), _draw(3, 4, seed=1)
    _close(gj.compile(both)(x, w), both(x, w), rtol=1e-8)


def test_g23_vmap_of_loops() -> None:
    """G23: a loop of known length carries all rows; one whose end each row decides stays a loop over rows."""

    def recurrent(xs: Any, w: Any) -> Any:
        return gj.foldl(lambda h, x: gj.tanh(gj.linalg.matvec(w, h) + x), xs, gj.zeros([4], xs.dtype))

    def halvings(x: Any) -> Any:
        count = 0
        while gj.abs(x) > 0.1:
            x, count = x / 2.0, count + 1
        return count

    xs, w = _draw(5, 6, 4), _draw(4, 4, seed=1)
    compiled = gj.compile(gj.vmap(recurrent, (0, None)))
    _close(compiled(xs, w), gj.vmap(recurrent, (0, None))(xs, w))
    (scan,) = [one for one in compiled.graph.equations if one.op.name == "scan"]
    assert scan.attributes["carried"] == 1 and scan.outputs[0].type.shape == (5, 4)
    x = _draw(7)
    _close(gj.compile(gj.vmap(halvings))(x), gj.vmap(halvings)(x))


def test_g23_vmap_of_branches() -> None:
    """G23: a branch that all rows take, and one that each row chooses."""

    def f(x: Any, flag: Any) -> Any:
        x = gj.exp(x) if flag else x[::-1]
        if gj.reduce_sum(x) > 1.0:
            x = gj.sqrt(gj.abs(x))
        return x

    for flag in (True, False):
        given = _draw(5, 3), gj.constant(flag)
        _close(gj.compile(gj.vmap(f, (0, None)))(*given), gj.vmap(f, (0, None))(*given))


def test_g11_jacobian_by_vmap() -> None:
    """G11: the matrix of derivatives is a vmap of the reverse walk."""

    def slopes(x: Any) -> Any:
        def pull(direction: Any) -> Any:
            with gj.GradientTape() as tape:
                tape.watch(x)
                y = gj.sin(x) * x[0]
            return tape.gradient(y, x, output_gradients=direction)

        return gj.vmap(pull)(gj.eye(3, dtype=x.dtype))

    def directly(x: Any) -> Any:
        with gj.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = gj.sin(x) * x[0]
        return tape.jacobian(y, x)

    x = _draw(3)
    _close(gj.compile(slopes)(x), directly(x))


def test_f3_variables_are_read_at_once_and_assigned_in_order() -> None:
    """F3, C7: reading one is no reason for a loop, changing one is."""
    scale = gj.Variable(2.0, dtype=gj.float64)

    @gj.compile
    def reads(x: Any) -> Any:
        with gj.GradientTape() as tape:
            y = gj.reduce_sum(gj.vmap(lambda row: gj.reduce_sum(row * scale))(x))
        return y, tape.gradient(y, scale)

    @gj.compile
    def changes(x: Any) -> Any:
        return gj.vmap(lambda row: scale.assign_add(row) * 2.0)(x)

    x = _draw(4, 3)
    _close(reads(x), (2.0 * x.numpy().sum(), x.numpy().sum()))
    assert "scan" not in _ops(reads)
    _close(changes(gj.constant([1.0, 2.0], gj.float64)), np.array([6.0, 10.0]))
    assert float(scale) == 5.0


def test_f3_python_runs_once_while_tracing() -> None:
    """F3: also where the function turns out to need a loop."""
    seen = []

    def row(x: Any) -> Any:
        seen.append(x)
        gj.print(x)
        return x

    gj.compile(gj.vmap(row))(gj.constant([1.0, 2.0]))
    assert len(seen) == 1


def test_f3_no_rows_and_unknown_rows() -> None:
    """F3, A12: no rows give no results of the right shapes; a graph for any number of rows is a loop."""
    f = gj.vmap(lambda x: (gj.reduce_max(x), gj.reshape(x, [-1, 1]), gj.matmul(x[None], gj.ones([3, 2], x.dtype))))
    for found in (gj.compile(f)(gj.zeros([0, 3])), f(gj.zeros([0, 3]))):
        assert [tuple(one.shape) for one in found] == [(0,), (0, 3, 1), (0, 1, 2)]
    any_number = gj.compile(f, input_signature=[gj.TensorSpec([None, 3], gj.float64)])
    _close(any_number(_draw(4, 3)), f(_draw(4, 3)))


def test_f3_an_error_in_a_row_is_an_error() -> None:
    """F3: a position out of range in one row is refused, and the message has the line."""
    compiled = gj.compile(gj.vmap(lambda x, i: gj.gather(x, i)))
    with pytest.raises(gj.errors.OutOfRangeError, match=r"test_vmap\.py"):
        compiled(_draw(2, 3), gj.constant([1, 3]))
