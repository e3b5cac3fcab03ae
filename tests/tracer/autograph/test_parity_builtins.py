"""E13: Python's builtin functions on traced values, three ways each; and comprehensions, unpacking, stars."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from parity import Case, Cases, require_parity, t

import graphjit as gj

case = Cases()
V = t([3.0, 1.0, 2.0, -5.0])
LONG = t(np.float32(np.arange(12) - 4))
SIGNS = (t(2.5), t(-3.5), t(0.0))


@case(*SIGNS)
def abs_of_a_scalar(x: Any) -> Any:
    return abs(x) * 2


@case(V, LONG)
def len_of_a_tensor(v: Any) -> Any:
    return v * len(v)


@case(t([1, 2, 3]), gradient=False)
def len_of_an_unknown_length(v: Any) -> Any:
    return len(gj.boolean_mask(v, v > 1)) * 10


@case(*SIGNS)
def float_of_a_tensor(x: Any) -> Any:
    return float(x) * 2.0


@case(t(3), gradient=False)
def float_of_an_integer(n: Any) -> Any:
    return float(n) / 2.0


@case(*SIGNS, gradient=False)
def int_of_a_tensor(x: Any) -> Any:
    return int(x) + 1


@case(t(0), t(3), gradient=False)
def bool_of_a_tensor(n: Any) -> Any:
    return bool(n), not bool(n)


@case(*SIGNS, gradient=False)
def bool_decides(x: Any) -> Any:
    return 1 if bool(x) else 0


@case(t(2.4), t(3.5), t(-1.5), gradient=False)
def round_of_a_tensor(x: Any) -> Any:
    return round(x)


@case((t(7), t(3)), (t(-7), t(3)))
def divmod_of_tensors(a: Any, b: Any) -> Any:
    return divmod(a, b)


@case(t(3.0))
def pow_of_tensors(x: Any) -> Any:
    return pow(x, 2), pow(2.0, x)


@case(V, LONG)
def max_of_a_tensor(v: Any) -> Any:
    return max(v)


@case(V, LONG)
def min_of_a_tensor(v: Any) -> Any:
    return min(v)


@case((t(1.0), t(2.0)), (t(2.0), t(1.0)), (t(2.0), t(2.0)))
def max_and_min_of_two(x: Any, y: Any) -> Any:
    return max(x, y) * 2 + min(x, y)


@case((t(1.0), t(2.0)), (t(-2.0), t(1.0)))
def max_with_a_number(x: Any, y: Any) -> Any:
    return max(x, 0.0) + min(y, 1.5, x)


@case(t(1.0), t(-2.0))
def max_of_a_list(x: Any) -> Any:
    return max([x, x * x, -x])


@case(t(1.0), t(-2.0))
def max_by_a_key(x: Any) -> Any:
    return max([x, x + 1, -x], key=lambda y: y if y > 0 else -3 * y)


@case(V)
def min_of_a_tensor_by_a_key(v: Any) -> Any:
    return min(v, key=lambda y: (y - 2) * (y - 2))


@case(t(1.0))
def max_with_a_default(x: Any) -> Any:
    return x + max([], default=2.0)


@case(V, LONG)
def sum_of_a_tensor(v: Any) -> Any:
    return sum(v)


@case(V)
def sum_with_a_start(v: Any) -> Any:
    return sum(v, 10.0)


@case(t([[1.0, 2.0], [3.0, 4.0]]))
def sum_of_a_matrix(m: Any) -> Any:
    return sum(m)


@case(t(2.0))
def sum_of_a_list(x: Any) -> Any:
    return sum([x, x * x, 1.0])


@case(V, LONG)
def sum_of_a_generator(v: Any) -> Any:
    return sum(x * x for x in v)


@case(V, LONG, -LONG * LONG - 1.0, gradient=False)
def any_of_a_tensor(v: Any) -> Any:
    return any(v > 2)


@case(V, LONG * LONG, gradient=False)
def all_of_a_tensor(v: Any) -> Any:
    return all(v >= 0)


@case(V, gradient=False)
def any_and_all_of_generators(v: Any) -> Any:
    return any(x > 2 for x in v), all(x > -10 for x in v), any(x > 100 for x in v)


@case(t(1.0), t(3.0), gradient=False)
def any_of_a_mixed_list(x: Any) -> Any:
    return any([False, x > 2]), all([True, x > 2]), any([True, x > 2])


@case(t(1.0), t(3.0))
def any_decides(x: Any) -> Any:
    if any([x > 2, x < 0]):
        return x * 2
    return x


@case(V)
def sorted_tensor(v: Any) -> Any:
    return gj.stack(sorted(v))


@case(V)
def sorted_the_other_way(v: Any) -> Any:
    return gj.stack(sorted(v, reverse=True))


@case(V)
def sorted_by_a_key(v: Any) -> Any:
    return gj.stack(sorted(v, key=lambda x: x * x))


@case((t(3.0), t(1.0)), (t(1.0), t(3.0)))
def sorted_list_of_tensors(x: Any, y: Any) -> Any:
    a, b = sorted([x, y])
    return a * 2 + b


@case(t(1.0))
def sorted_python_values(x: Any) -> Any:
    return x * sorted([3, 1, 2])[0] + sorted([3, 1, 2], key=lambda n: -n)[0]


@case(V)
def enumerate_of_a_tensor(v: Any) -> Any:
    return [x * i for i, x in enumerate(v)]


@case((V, V * 2))
def zip_of_tensors(v: Any, w: Any) -> Any:
    return [x * y for x, y in zip(v, w, strict=True)]


@case(V)
def zip_of_a_tensor_and_a_list(v: Any) -> Any:
    return [x * n for x, n in zip(v, [1, 2, 3, 4], strict=True)]


@case(V)
def map_of_a_tensor(v: Any) -> Any:
    return list(map(lambda x: x * 2 if x > 0 else -x, v))


@case((V, V + 1))
def map_over_two(v: Any, w: Any) -> Any:
    return list(map(lambda x, y: x * y, v, w))


@case(t(2.0))
def map_of_python_values(x: Any) -> Any:
    return sum(map(lambda n: x * n if x > n else x, [1, 2, 3]))


@case(t(2.0))
def filter_of_python_values(x: Any) -> Any:
    return x * sum(filter(lambda n: n > 1, [1, 2, 3]))


@case(V)
def reversed_tensor(v: Any) -> Any:
    return list(reversed(v))


@case(t(2.0))
def reversed_list(x: Any) -> Any:
    return list(reversed([x, x + 1]))


@case(V)
def reduce_over_a_tensor(v: Any) -> Any:
    return functools.reduce(lambda a, b: a * 0.5 + b if b > 0 else a, v)


@case(V)
def reduce_with_an_initial_value(v: Any) -> Any:
    return functools.reduce(lambda a, b: a + b, v, 10.0)


@case(V)
def list_of_a_tensor(v: Any) -> Any:
    return list(v)[::-1]


@case(V)
def tuple_of_a_tensor(v: Any) -> Any:
    a, b, *_ = tuple(v)
    return a + b


@case(V)
def iter_and_next(v: Any) -> Any:
    rows = iter(v)
    return next(rows) + next(rows) * 2


@case(V)
def a_list_comprehension(v: Any) -> Any:
    return [x * 2 for x in v]


@case(V)
def a_comprehension_with_a_choice(v: Any) -> Any:
    return [x if x > 0 else -2 * x for x in v]


@case(V)
def a_comprehension_of_comprehensions(v: Any) -> Any:
    return gj.stack([gj.stack([x * y for y in v]) for x in v])


@case(V)
def a_comprehension_with_two_fors(v: Any) -> Any:
    return gj.stack([x * y for x in v for y in v])


@case(V)
def a_comprehension_with_a_python_condition(v: Any) -> Any:
    return [x for i, x in enumerate(v) if i % 2 == 0]


@case(V)
def dict_and_set_comprehensions(v: Any) -> Any:
    table = {i: x for i, x in enumerate(v)}
    return table[0] + table[3] * len({n for n in (1, 1, 2)})


@case(V)
def a_generator_expression(v: Any) -> Any:
    return list(x + 1 for x in v)


@case(V)
def a_lambda_in_a_comprehension(v: Any) -> Any:
    functions = [lambda x, n=n: x * n if x > 0 else x for n in range(3)]
    return [f(x) for f, x in zip(functions, v, strict=False)]


@case(V)
def nested_unpacking(v: Any) -> Any:
    (a, b), (c, *d) = v[:2], v[2:]
    return a * b + c + d[0]


@case(V)
def stars_of_tensors(v: Any) -> Any:
    return max(*v) + min(*v)


@case(V)
def starred_lists(v: Any) -> Any:
    items = [*v, 1.0, *[v[0], v[1]]]
    return sum(items)


@case(t([[1.0, 2.0], [3.0, 4.0]]))
def unpacked_rows_of_a_matrix(m: Any) -> Any:
    (a, b), (c, d) = m
    return a * d - b * c


@case(V)
def slices_with_steps(v: Any) -> Any:
    return sum(v[::2]) + sum(v[1:][::-1])


@case((V, t(2)), (V, t(0)))
def an_index_that_is_traced(v: Any, i: Any) -> Any:
    return v[i] if i > 0 else v[-1]


@case(t(4), t(0))
def list_of_a_range_in_a_loop(n: Any) -> Any:
    total = 0
    for i in reversed(range(n)):
        total = total * 2 + i
    return total


@case(t(4))
def len_of_a_range(n: Any) -> Any:
    return len(range(n)), len(range(1, n, 2))


@case(t(4))
def enumerate_of_a_range(n: Any) -> Any:
    total = 0
    for i, k in enumerate(range(2, n + 5)):
        total += i * k
    return total


@case(t(4))
def zip_of_ranges(n: Any) -> Any:
    total = 0
    for i, k in zip(range(n), range(n, 0, -1), strict=False):
        total += i * k
    return total


@case(t(3.0))
def isinstance_and_getattr(x: Any) -> Any:
    if isinstance(x, int):
        return x
    return getattr(x, "shape").rank + x  # noqa: B009 -- what is tested


@case(t(3.0))
def strings_and_formats(x: Any) -> Any:
    name = "-".join(sorted({"b", "a"})) + f"{1 + 1}"
    return x * len(name)


@case.parametrize
def test_parity(case: Case) -> None:
    """Eager, compiled and differentiated agree."""
    require_parity(case)
