"""D9: loops over small tensors, such as points, are loops over numbers and so one kernel, with eager's values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.compiler.ops.looping import scan_op, while_op

POINT = np.array([1.0, -0.5, 2.0])
MATRIX = np.arange(6.0).reshape(2, 3) / 7.0


def lorenz(point: Any, steps: Any) -> Any:
    for _ in range(steps):
        x, y, z = gj.unstack(point)
        point = point + 0.01 * gj.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - z * 8.0 / 3.0])
    return point


def turned_and_joined(v: Any, limit: Any) -> Any:
    while v[0] * v[0] + v[1] * v[1] < limit:
        v = gj.concat([v[1:], -v[:1]], 0)[::-1] * 1.1 + 0.01
    return v, gj.concat([v, v[:1]], 0)


def matrices(m: Any, count: Any) -> Any:
    for _ in range(count):
        m = gj.reshape(gj.transpose(m * 1.01), [2, 3]) + m[:, :1] * 0.1
    return m


def integers(pair: Any, count: Any) -> Any:
    for _ in range(count):
        pair = gj.stack([pair[1], pair[0] + pair[1]]) & 1023
    return pair


def chosen(v: Any, count: Any) -> Any:
    for _ in range(count):
        v = gj.where(v > 1.0, v - gj.reverse(v, [0]), v + 0.3)
    return v


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "lorenz": (lorenz, (POINT, gj.constant(40))),
    "turned": (turned_and_joined, (np.array([1.0, 2.0]), 900.0 * np.ones(()))),
    "matrices": (matrices, (MATRIX, gj.constant(30))),
    "integers": (integers, (np.array([0, 1]), gj.constant(70))),
    "chosen": (chosen, (POINT.astype(np.float32), gj.constant(25))),
}


@pytest.mark.parametrize("name", CASES)
def test_loops_over_small_tensors_are_one_kernel(name: str) -> None:
    function, arguments = CASES[name]
    compiled = gj.compile(function)
    found, wanted = compiled(*arguments), compiled.eager(*arguments)
    for one, other in zip(gj.nest.flatten(found), gj.nest.flatten(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
        assert one.dtype == other.dtype and one.shape == other.shape
    (loop,) = [one for one in _optimized(compiled).equations if one.op in (while_op, scan_op)]
    assert all(value.type.shape == () for value in loop.attributes["body"].values())
    assert compiled.report().numpy_steps == 0


def test_rows_go_in_and_stacked_results_come_out() -> None:
    rows = np.random.default_rng(0).standard_normal((40, 3))

    def path(point: Any, rows: Any) -> Any:
        def step(point: Any, row: Any) -> Any:
            return point * 0.9 + gj.reverse(row, [0]) * point[1]

        return gj.scan(step, rows, initializer=point)

    compiled = gj.compile(path)
    np.testing.assert_allclose(compiled(POINT, rows), compiled.eager(POINT, rows), rtol=1e-10)
    (loop,) = [one for one in _optimized(compiled).equations if one.op is scan_op]
    assert all(value.type.shape == () for value in loop.attributes["body"].values())


def test_gradients_of_loops_over_small_tensors() -> None:
    @gj.compile
    def slope(point: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(point)
            for _ in gj.range(30):
                point_after = point * 1.0
            end = lorenz(point_after, gj.constant(30))
            total = gj.reduce_sum(end * end)
        return tape.gradient(total, point)

    found = slope(POINT)
    wanted = []
    for place in range(3):
        step = np.zeros(3)
        step[place] = 1e-6
        ends = [lorenz(gj.constant(POINT + sign * step), 30).numpy() for sign in (1, -1)]
        wanted.append(((ends[0] ** 2).sum() - (ends[1] ** 2).sum()) / 2e-6)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_what_can_fail_and_what_is_large_stays_a_loop_over_tensors() -> None:
    @gj.compile
    def divided(v: Any, w: Any) -> Any:
        for _ in gj.range(20):
            v = v[::-1] // w + 3
        return v

    v = np.array([7, 9])
    np.testing.assert_array_equal(divided(v, np.array([1, 2])), divided.eager(v, np.array([1, 2])))
    with pytest.raises(gj.errors.InvalidArgumentError, match=r"v\[::-1\] // w"):
        divided(v, np.array([1, 0]))

    @gj.compile
    def large(v: Any) -> Any:
        for _ in gj.range(20):
            v = v[::-1] * 0.5 + 1.0
        return v

    large(np.ones(100))
    (loop,) = [one for one in _optimized(large).equations if one.op is scan_op]
    assert any(value.type.shape == (100,) for value in loop.attributes["body"].values())


def _optimized(function: Any) -> Any:
    from graphjit.tracer.inspecting import graph_of_stage

    return graph_of_stage(function._latest(), "optimized")
