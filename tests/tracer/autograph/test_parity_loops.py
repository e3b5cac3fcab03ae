"""E5-E11: `for`, `while`, `break`, `continue`, `return` in loops, `else` of loops, three ways each."""

from __future__ import annotations

from typing import Any

import numpy as np
from parity import Case, Cases, require_parity, t

import graphjit as gj

case = Cases()
SHORT = t([1.0, -2.0, 3.0])
LONG = t(np.float32([1, -2, 3, 4, -5, 6, 7, 8, 9, -10, 11, 12]))
SMALL = LONG / 10.0
COUNTS = (t(0), t(1), t(5))


@case(SHORT, LONG)
def sum_of_rows(v: Any) -> Any:
    s = 0.0
    for x in v:
        s += x
    return s


@case(t(np.float32(np.arange(24).reshape(12, 2)) / 10))
def rows_of_a_matrix(m: Any) -> Any:
    total = gj.zeros([2])
    for row in m:
        total = total * 0.5 + row
    return total


@case(SHORT, LONG)
def branches_in_a_loop(v: Any) -> Any:
    s = 0.0
    for x in v:
        if x > 0:
            s = s + x
        else:
            s = s - 2 * x
    return s


@case(SHORT, LONG)
def continue_in_a_loop(v: Any) -> Any:
    s = 0.0
    for x in v:
        if x < 0:
            continue
        s += x
    return s


@case(SHORT, LONG)
def break_in_a_loop(v: Any) -> Any:
    s = 0.0
    for x in v:
        if x > 5:
            break
        s += x
    return s


@case(SHORT, LONG)
def break_and_continue(v: Any) -> Any:
    s = 0.0
    for x in v:
        if x < 0:
            continue
        s += x
        if s > 8:
            break
        s = s + 0.5
    return s


@case(SHORT, LONG)
def break_deep_inside(v: Any) -> Any:
    s = 0.0
    for x in v:
        if x > 0:
            if s > 10:
                s = s + 100
                break
            s = s + x
        s = s + 1
    return s


@case(SHORT, LONG)
def continue_deep_inside(v: Any) -> Any:
    s = 0.0
    for x in v:
        if x > 0:
            if x > 6:
                continue
            s = s + x
        s = s + 1
    return s


@case(SHORT, LONG)
def for_else(v: Any) -> Any:
    s = 0.0
    for x in v:
        if x > 5:
            break
        s += x
    else:
        s = s + 1000.0
    return s


@case(SHORT, LONG)
def for_else_without_break(v: Any) -> Any:
    s = 0.0
    for x in v:
        s += x
    else:
        s = s * 2
    return s


@case(t(3), t(30))
def while_else(n: Any) -> Any:
    i = 0
    while i < n:
        i += 1
        if i * i > 50:
            break
    else:
        i = -i
    return i


@case(SHORT, LONG)
def return_in_a_loop(v: Any) -> Any:
    for x in v:
        if x > 5:
            return x * 2
    return t(0.0)


@case(SHORT, LONG)
def return_in_a_loop_and_in_its_else(v: Any) -> Any:
    for x in v:
        if x > 5:
            return x * 2
    else:
        return v[0]


@case(SHORT, LONG)
def return_at_two_places_of_a_loop(v: Any) -> Any:
    s = 0.0
    for x in v:
        if x > 8:
            return x * 2
        s = s + x
        if s < -1:
            return s
    return s


@case(SHORT, LONG)
def return_of_pairs_from_a_loop(v: Any) -> Any:
    best = v[0]
    for i in range(len(v)):
        if v[i] > 6:
            return best, i
        best = best + v[i]
    return best, -1


@case(SHORT, LONG)
def variables_of_the_loop_behind_it(v: Any) -> Any:
    last = v[0]
    for x in v:
        last = x
        if x > 5:
            break
    return last, x


@case(SHORT, LONG)
def first_assigned_in_the_loop(v: Any) -> Any:
    for x in v:
        double = x * 2
    return double


@case(LONG)
def first_assigned_in_a_branch_of_the_loop(v: Any) -> Any:
    for x in v:
        if x > 4:
            large = x
    return large


@case(LONG)
def first_assigned_behind_continue(v: Any) -> Any:
    for x in v:
        if x < 0:
            continue
        kept = x
    return kept


@case(*COUNTS)
def range_of_a_tensor(n: Any) -> Any:
    s = 0
    for i in range(n):
        s += i
    return s


@case(*COUNTS)
def range_with_bounds_and_step(n: Any) -> Any:
    s = 0
    for i in range(2, n * 3, 2):
        s = s * 2 + i
    for i in range(n, -3, -2):
        s = s * 3 + i
    return s


@case(*COUNTS)
def gj_range(n: Any) -> Any:
    s = 0
    for i in gj.range(n):
        s += i * i
    return s


@case(t(2.0))
def gj_range_of_a_known_number(x: Any) -> Any:
    s = x
    for i in gj.range(20):
        s = s * 0.5 + gj.cast(i, gj.float32)
    return s


@case(t(2.0))
def python_range(x: Any) -> Any:
    s = x
    for i in range(4):
        s = s * 0.5 + i
    return s


@case(t(2.0), t(0.1))
def python_loop_with_traced_break(x: Any) -> Any:
    for i in range(10):
        x = x * 1.5
        if x > 10:
            break
    return x, i


@case(t(2.0), t(0.1))
def python_list_with_traced_break(x: Any) -> Any:
    s = 0.0
    for factor in [1.0, 2.0, 3.0, 4.0]:
        s = s + x * factor
        if s > 5:
            break
    return s


@case(t(2.0), t(0.1))
def python_objects_with_traced_break(x: Any) -> Any:
    for function in (gj.exp, gj.sqrt, gj.square, gj.tanh):
        x = function(x)
        if x > 2:
            break
    return x


@case(t(2.0), t(0.1))
def python_loop_with_traced_return(x: Any) -> Any:
    for i in range(10):
        x = x * 1.5
        if x > 10:
            return x + i
    return x


@case(t(2.0), t(0.1))
def python_loop_with_traced_continue(x: Any) -> Any:
    s = 0.0
    for i in range(5):
        if x * i > 3:
            continue
        s = s + x
    return s


@case(t(30), t(2))
def while_true_with_break(n: Any) -> Any:
    i = 0
    while True:
        i += 1
        if i * i > n:
            break
    return i


@case(t(30), t(2))
def while_true_with_return(n: Any) -> Any:
    i = 0
    while True:
        i += 1
        if i * i > n:
            return i


@case(t(100.0), t(0.5))
def while_over_floats(x: Any) -> Any:
    count = 0
    while x > 1:
        x = x / 2
        count += 1
    return x, count


@case(t(10.0))
def while_with_and(x: Any) -> Any:
    i = 0
    while i < 20 and x > 0.5:
        x = x * 0.7
        i += 1
    return x, i


@case(t(2.0))
def while_on_python_values(x: Any) -> Any:
    n = 5
    while n > 0:
        x = x + n
        n -= 2
    return x


@case(t(5))
def while_with_walrus(n: Any) -> Any:
    s = 0
    while (n := n - 1) > 0:
        s += n
    return s, n


@case(t(7))
def while_with_a_function_of_the_user(n: Any) -> Any:
    def is_open(k: Any) -> Any:
        if k > 100:
            return False
        return k != 1

    steps = 0
    while is_open(n):
        n = n // 2
        steps += 1
    return steps


@case(t([3.0, 1.0, 2.0, 5.0, 4.0, 9.0, 8.0, 7.0, 6.0, 0.0]))
def nested_loops(v: Any) -> Any:
    s = 0.0
    for x in v:
        for y in v:
            if y > x:
                s = s + x * y
    return s


@case(t(6))
def nested_loops_with_breaks(n: Any) -> Any:
    total = 0
    for i in range(n):
        if i == 4:
            break
        for j in range(n):
            if j == i:
                continue
            if j > 3:
                break
            total += i * 10 + j
    return total


@case(t(6), t(2))
def break_of_the_outer_loop_by_a_flag(n: Any) -> Any:
    found = -1
    for i in range(n):
        for j in range(n):
            if i * j == 12:
                found = i * 10 + j
                break
        if found > 0:
            break
    return found


@case(t(6), t(2))
def return_out_of_two_loops(n: Any) -> Any:
    for i in range(n):
        for j in range(n):
            if i * j == 12:
                return i * 10 + j
    return -1


@case(t(4))
def a_loop_in_a_branch(n: Any) -> Any:
    s = 0
    if n > 2:
        for i in range(n):
            s += i
    else:
        while s < 10:
            s += 3
    return s


@case(t(4), t(0))
def a_while_in_a_for_in_an_if(n: Any) -> Any:
    s = 1
    if n >= 0:
        for i in range(n):
            k = i
            while k > 0:
                s = s + k
                k = k - 1
    return s


@case(t(9))
def swapped_variables(n: Any) -> Any:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


@case(t(1.5), t(-0.5))
def a_python_number_that_becomes_a_float(x: Any) -> Any:
    s = 0
    for _ in gj.range(12):
        s = s + x
    return s


@case(t(2.0))
def structures_in_loops(x: Any) -> Any:
    state = {"a": x, "b": (x, 0)}
    for i in gj.range(12):
        a, (b, n) = state["a"], state["b"]
        state = {"a": a * 0.5 + b, "b": (b + 1, n + i)}
    return state


@case(t(2.0))
def items_changed_in_a_loop(x: Any) -> Any:
    table = {"sum": x, "count": 0}
    for _ in gj.range(12):
        table["sum"] = table["sum"] * 0.5
        table["count"] += 1
    return table


@case(t(2.0))
def attributes_changed_in_a_loop(x: Any) -> Any:
    class Box:
        total: Any

    box = Box()
    box.total = x
    for _ in gj.range(12):
        box.total = box.total * 0.9 + 1
    return box.total


@case(SHORT, LONG)
def append_in_a_loop(v: Any) -> Any:
    out = []
    for x in v:
        out.append(x * x)
    return gj.stack(out)


@case(LONG)
def append_and_read_behind_the_loop(v: Any) -> Any:
    out = [v[0]]
    for x in v:
        out.append(x + 1)
    return out[0] + out[3] * out[-1], len(out)


@case(LONG)
def append_two_in_a_loop(v: Any) -> Any:
    out: list[Any] = []
    for x in v:
        out.append(x)
        out.append(-x)
    return gj.stack(out)


@case(LONG)
def append_pairs_in_a_loop(v: Any) -> Any:
    out: list[Any] = []
    for x in v:
        out.append((x, x * 2))
    return out[2][0] + out[5][1]


@case(t(2.0))
def append_in_a_python_loop(x: Any) -> Any:
    out = []
    for i in range(4):
        x = x * 2 if x < 10 else x + i
        out.append(x)
    return gj.stack(out)


@case(SHORT, LONG)
def enumerate_in_a_loop(v: Any) -> Any:
    s = 0.0
    for i, x in enumerate(v):
        s = s + x * gj.cast(i, gj.float32)
    return s


@case(SHORT, LONG)
def enumerate_from_another_number(v: Any) -> Any:
    best, place = v[0], 0
    for i, x in enumerate(v, 1):
        if x > best:
            best, place = x, i
    return best, place


@case((LONG, LONG * 2))
def zip_in_a_loop(v: Any, w: Any) -> Any:
    s = 0.0
    for x, y in zip(v, w, strict=True):
        s = s * 0.5 + x * y
    return s


@case((LONG, SHORT))
def zip_of_different_lengths(v: Any, w: Any) -> Any:
    s = 0.0
    for x, y in zip(v, w, strict=False):
        s = s + x * y
    return s


@case(LONG)
def zip_with_a_range(v: Any) -> Any:
    s = 0.0
    for i, x in zip(range(12), v, strict=True):
        s = s + x * gj.cast(i, gj.float32)
    return s


@case(SHORT, LONG)
def reversed_in_a_loop(v: Any) -> Any:
    s = 0.0
    for x in reversed(v):
        s = s * 0.5 + x
    return s


@case(SHORT, LONG)
def map_in_a_loop(v: Any) -> Any:
    s = 0.0
    for y in map(lambda x: x * 2 if x > 0 else x, v):
        s = s * 0.5 + y
    return s


@case(SHORT, LONG)
def enumerate_of_zip_of_reversed(v: Any) -> Any:
    s = 0.0
    for i, (x, y) in enumerate(zip(v, reversed(v), strict=True)):
        s = s * 0.5 + x * y + gj.cast(i, gj.float32)
    return s


@case(SHORT, LONG)
def unpacked_rows(v: Any) -> Any:
    s = 0.0
    for a, b in gj.stack([v, v * 2], axis=1):
        s = s * 0.5 + a * b
    return s


@case(SHORT)
def a_try_in_a_loop(v: Any) -> Any:
    s = 0.0
    for x in v:
        try:
            if x > 0:
                s = s + x
        finally:
            s = s + 1
    return s


@case(SHORT, LONG)
def break_in_a_try_in_a_loop(v: Any) -> Any:
    s = 0.0
    for x in v:
        try:
            if x > 2:
                break
            s = s + x
        finally:
            s = s + 100
        s = s + 1
    return s


@case(LONG)
def with_in_a_loop(v: Any) -> Any:
    from contextlib import nullcontext

    s = 0.0
    for x in v:
        with nullcontext():
            if x > 8:
                break
            s = s + x
    return s


@case(LONG)
def an_inner_function_in_a_loop(v: Any) -> Any:
    s = 0.0
    for x in v:

        def bent(y: Any, slope: Any = x) -> Any:
            return y if y > 0 else y * slope

        s = s * 0.5 + bent(x)
    return s


@case(t(3.0))
def no_rounds(x: Any) -> Any:
    for y in gj.zeros([0]):
        x = x + y
    return x


@case(LONG)
def items_set_in_a_loop_by_python_numbers(v: Any) -> Any:
    out = [v[0], v[1]]
    for x in v:
        out[0], out[1] = out[1], out[0] + x
    return out


@case(t(3.0))
def python_generators(x: Any) -> Any:
    s = x
    for n in (k * k for k in range(4)):
        s = s + n
    return s


@case(t(3.0))
def python_dicts(x: Any) -> Any:
    for key, factor in {"a": 2.0, "b": 3.0}.items():
        if key == "a":
            x = x * factor
        elif x > 5:
            x = x + factor
    return x


@case(t(4))
def a_count_that_python_uses_afterwards(n: Any) -> Any:
    i = 0
    for i in range(3):
        pass
    return n + [10, 20, 30][i]


@case(LONG)
def the_best_so_far(v: Any) -> Any:
    best = v[0]
    for x in v:
        best = max(best, x)
    return best


@case(t(20))
def primes(n: Any) -> Any:
    count = 0
    for i in range(2, n):
        is_prime = True
        for j in range(2, i):
            if i % j == 0:
                is_prime = False
                break
        if is_prime:
            count += 1
    return count


@case(t(48), t(7))
def greatest_common_divisor(n: Any) -> Any:
    a, b = n, 18
    while b != 0:
        a, b = b, a % b
    return a


@case.parametrize
def test_parity(case: Case) -> None:
    """Eager, compiled and differentiated agree."""
    require_parity(case)
