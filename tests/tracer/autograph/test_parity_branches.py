"""E1-E4, E12, E15, E16: `if`, `and`, `or`, `not`, comparisons, `in`, conditional expressions, three ways each."""

from __future__ import annotations

from typing import Any

from parity import Case, Cases, require_parity, t

case = Cases()
SIGNS = (t(2.0), t(-3.0), t(0.0))


@case(*SIGNS)
def if_else(x: Any) -> Any:
    if x > 0:
        y = x * 2
    else:
        y = x - 1
    return y


@case(*SIGNS)
def if_without_else(x: Any) -> Any:
    y = x
    if x > 0:
        y = x * x
    return y + 1


@case(*SIGNS, t(5.0))
def if_elif_else(x: Any) -> Any:
    if x > 4:
        y = x * 3
    elif x > 0:
        y = x * 2
    elif x < 0:
        y = -x
    else:
        y = x + 7
    return y


@case(*SIGNS)
def several_variables(x: Any) -> Any:
    a, b = x, x + 1
    if x > 0:
        a, b = b, a
        c = a * b
    else:
        c = a - b
    return a, b, c


@case(*SIGNS)
def nested_ifs(x: Any) -> Any:
    y = 0.0
    if x > -1:
        if x > 1:
            y = x * x
        else:
            y = x + 10
        y = y + 1
    return y + x


@case(*SIGNS)
def local_to_an_arm(x: Any) -> Any:
    if x > 0:
        half = x / 2
        y = half * half
    else:
        y = x
    return y


@case(*SIGNS)
def early_return(x: Any) -> Any:
    if x > 0:
        return x * 2
    return x - 1


@case(*SIGNS)
def return_in_both_arms(x: Any) -> Any:
    if x > 0:
        return x * 2
    else:
        return x - 1


@case(*SIGNS, t(7.0))
def many_early_returns(x: Any) -> Any:
    if x > 6:
        return x
    if x > 1:
        return x * 10
    if x < -2:
        return -x
    return x + 0.5


@case(t(11.0), t(8.0), t(6.0), t(1.0), t(-2.0))
def returns_that_fall_through(x: Any) -> Any:
    if x > 10:
        return x
    if x > 5:
        if x > 7:
            return x * 100
        x = x - 1
    y = x * 2
    if y < 0:
        return -y
    return y + 0.5


@case(*SIGNS)
def return_of_a_tuple(x: Any) -> Any:
    if x > 0:
        return x, {"a": x + 1}
    return -x, {"a": x * 2}


@case(*SIGNS, loose=True)
def integer_and_float_arms(x: Any) -> Any:
    return 1 if x > 0 else 2.5


@case(*SIGNS, loose=True)
def number_and_tensor_arms(x: Any) -> Any:
    return x * 2 if x > 0 else 1


@case(*SIGNS)
def python_constants(x: Any) -> Any:
    if x > 0:
        n = 3
    else:
        n = 4
    return x * n


@case(*SIGNS)
def integers_from_branches(x: Any) -> Any:
    if x > 0:
        n = 3
    else:
        n = 4
    return n


@case(*SIGNS)
def the_same_constant_in_both_arms(x: Any) -> Any:
    if x > 0:
        n, y = 2, x
    else:
        n, y = 2, -x
    return [y] * n


@case(*SIGNS)
def booleans_from_branches(x: Any) -> Any:
    if x > 0:
        found = True
    else:
        found = False
    return not found


@case(*SIGNS)
def a_flag_that_is_asked_later(x: Any) -> Any:
    is_large = x > 1
    if is_large:
        x = x + 1
    if not is_large:
        x = x * 5
    return x


@case(*SIGNS)
def structures_from_branches(x: Any) -> Any:
    if x > 0:
        pair = [x, (x + 1, x * 2)]
    else:
        pair = [-x, (x, x)]
    return pair[0] + pair[1][0] * pair[1][1]


@case(*SIGNS)
def strings_that_are_the_same(x: Any) -> Any:
    if x > 0:
        kind, y = "number", x
    else:
        kind, y = "number", -x
    return y * len(kind)


@case(*SIGNS)
def none_before_and_a_value_in_both_arms(x: Any) -> Any:
    y = None
    if x > 0:
        y = x
    else:
        y = x * 2
    return y


@case(*SIGNS)
def asking_for_none(x: Any) -> Any:
    y = None
    if y is None:
        y = x
    if y is not None and x > 0:
        y = y + 1
    return y


@case(*SIGNS)
def python_conditions(x: Any) -> Any:
    mode = "double"
    if mode == "double":
        x = x * 2
    elif mode == "half":
        x = x / 2
    if len(mode) > 3 and isinstance(mode, str):
        x = x + 1
    return x


@case(*SIGNS)
def a_vector_in_the_arms(x: Any) -> Any:
    v = t([1.0, 2.0, 3.0])
    if x > 0:
        v = v * x
    else:
        v = v - x
    return v


@case(t([1.0, 5.0]), t([1.0, -5.0]))
def reductions_as_conditions(v: Any) -> Any:
    from graphjit import reduce_sum

    if reduce_sum(v) > 0:
        return v * 2
    return v / 2


@case((t(1.0), t(2.0)), (t(2.0), t(1.0)), (t(-1.0), t(1.0)))
def and_of_two(x: Any, y: Any) -> Any:
    return x + y if x > 0 and y > 1 else x - y


@case((t(1.0), t(2.0)), (t(-2.0), t(1.0)), (t(-1.0), t(5.0)))
def or_of_two(x: Any, y: Any) -> Any:
    return x + y if x > 0 or y > 1 else x - y


@case(*SIGNS)
def not_of_one(x: Any) -> Any:
    return x * 3 if not x > 0 else x


@case(*SIGNS)
def conditions_as_values(x: Any) -> Any:
    return (x > 0 and x < 5), (x > 1 or x < -1), not x > 0


@case(*SIGNS)
def and_of_three_and_an_or(x: Any) -> Any:
    return x * 2 if (x > -5 and x < 5 and x != 0) or x == 7 else x - 2


@case(*SIGNS)
def python_beside_traced_conditions(x: Any) -> Any:
    is_on = True
    if is_on and x > 0:
        x = x + 1
    if not is_on or x < 0:
        x = x * 2
    if x > 0 and is_on:
        x = x + 5
    return x


@case(*SIGNS)
def values_of_and_and_or_in_python(x: Any) -> Any:
    name = "" or "default"
    number = 3 and 4
    return x * len(name) + number + (0 or 2)


@case((t([1.0, 2.0, 3.0]), t(1)), (t([1.0, 2.0, 3.0]), t(5)))
def and_guards_an_index(v: Any, i: Any) -> Any:
    if i < 3 and v[i] > 1:
        return v[i]
    return v[0]


@case(*SIGNS, t(9.0))
def a_chain_of_comparisons(x: Any) -> Any:
    return x + 1 if -1 < x <= 5 else x - 1


@case(*SIGNS)
def a_chain_that_computes_its_middle_once(x: Any) -> Any:
    calls = []

    def middle() -> Any:
        calls.append(1)
        return x * 2

    inside = -1 < middle() < 5
    return inside, len(calls)


@case(*SIGNS)
def chains_of_three(x: Any) -> Any:
    return 1 if -10 < x < x + 1 <= 3 else 0


@case(*SIGNS)
def conditional_expressions_in_each_other(x: Any) -> Any:
    return x * 2 if x > 0 else (x * 3 if x < -1 else x + 4)


@case(*SIGNS)
def arms_that_are_not_computed_in_vain(x: Any) -> Any:
    empty: list[Any] = []
    return x if len(empty) == 0 else empty[0]


@case((t(2), t(3)), (t(3), t(3)))
def a_member_of_a_list_of_tensors(n: Any, m: Any) -> Any:
    return 1 if n in [m, m + 1] else 0


@case(t(2), t(4))
def a_member_of_a_list_of_numbers(n: Any) -> Any:
    return n in (1, 2, 3), n not in [1, 2, 3]


@case((t([1.0, 2.0]), t(2.0)), (t([1.0, 2.0]), t(3.0)))
def a_member_of_a_tensor(v: Any, x: Any) -> Any:
    if x in v:
        return x * 2
    return x


@case(*SIGNS)
def members_of_python_containers(x: Any) -> Any:
    return x * 2 if "a" in {"a": 1} and 3 not in [1, 2] else x


@case(*SIGNS)
def walrus_in_a_condition(x: Any) -> Any:
    if (y := x * 2) > 0:
        return y + 1
    return y - 1


@case(*SIGNS)
def walrus_behind_and(x: Any) -> Any:
    flag = True
    if flag and (y := x + 1) > 0:
        return y
    return y * 2


@case(*SIGNS)
def an_assertion_that_holds(x: Any) -> Any:
    assert x > -100, "too small"
    return x * 2


@case(*SIGNS)
def a_raise_that_is_not_reached(x: Any) -> Any:
    if x < -100:
        raise ValueError("too small")
    return x * 2


@case(*SIGNS)
def a_raise_in_the_last_else(x: Any) -> Any:
    if x > 0:
        y = x
    elif x > -100:
        y = x * 2
    else:
        raise ValueError("too small")
    return y


@case(*SIGNS)
def attributes_that_a_branch_sets(x: Any) -> Any:
    class Box:
        pass

    box: Any = Box()
    box.total = x
    if x > 0:
        box.total = x * 2
    return box.total + 1


@case(*SIGNS)
def items_that_a_branch_sets(x: Any) -> Any:
    table = {"a": x, "b": x + 1}
    items = [x, x]
    if x > 0:
        table["a"] = x * 5
        items[1] = x * 7
    else:
        items[0] = -x
    return table["a"] + table["b"], items


@case(*SIGNS)
def lists_that_both_arms_extend(x: Any) -> Any:
    items = [x]
    if x > 0:
        items.append(x * 2)
    else:
        items.append(x * 3)
    return items


@case(*SIGNS)
def lists_that_an_arm_makes(x: Any) -> Any:
    if x > 0:
        parts = []
        parts.append(x)
        parts.append(x * 2)
        y = parts[0] + parts[1]
    else:
        y = x
    return y


@case(*SIGNS)
def try_and_finally(x: Any) -> Any:
    seen = []
    try:
        if x > 0:
            y = x * 2
        else:
            y = x
    finally:
        seen.append("done")
    return y, len(seen)


@case(*SIGNS)
def return_out_of_try(x: Any) -> Any:
    try:
        if x > 0:
            return x * 2
        x = x + 1
    finally:
        pass
    return x


@case(*SIGNS)
def errors_that_python_catches(x: Any) -> Any:
    try:
        y = {}["missing"]
    except KeyError:
        if x > 0:
            y = x
        else:
            y = -x
    return y


@case(*SIGNS)
def with_blocks(x: Any) -> Any:
    from contextlib import nullcontext

    with nullcontext(3.0) as three:
        if x > 0:
            y = x * three
        else:
            y = x + three
    return y


@case(*SIGNS)
def return_out_of_with(x: Any) -> Any:
    from contextlib import nullcontext

    with nullcontext():
        if x > 0:
            return x
    return x * 2


@case(*SIGNS)
def matches_on_python_values(x: Any) -> Any:
    total = x
    for kind in ("double", "half", "other"):
        match kind:
            case "double":
                total = total * 2
            case "half" if len(kind) > 3:
                total = total / 2
            case _:
                total = total + 1
    if total > 2:
        return total
    return -total


@case(*SIGNS)
def returns_out_of_match(x: Any) -> Any:
    match ("a", 1):
        case ("a", n):
            if x > 0:
                return x + n
            return x - n
        case _:
            return x


@case(*SIGNS)
def inner_functions(x: Any) -> Any:
    def bent(y: Any) -> Any:
        if y > 0:
            return y
        return y * slope

    slope = 0.1
    return bent(x) + bent(-x)


@case(*SIGNS)
def inner_functions_see_later_values(x: Any) -> Any:
    scale = 1.0

    def scaled() -> Any:
        return x * scale

    if x > 0:
        scale = 2.0
    else:
        scale = 3.0
    return scaled()


@case(*SIGNS)
def nonlocal_variables(x: Any) -> Any:
    total = x

    def add(y: Any) -> None:
        nonlocal total
        if y > 0:
            total = total + y

    add(x)
    add(x + 1)
    return total


@case(*SIGNS)
def a_variable_deleted(x: Any) -> Any:
    y = x * 2
    if x > 0:
        z = y
        del y
    else:
        z = y + 1
        del y
    return z


@case(*SIGNS)
def augmented_assignments(x: Any) -> Any:
    y = x
    if x > 0:
        y += 1
        y *= 2
    else:
        y -= 1
        y **= 2
    return y


@case((t(1.0), True), (t(1.0), False))
def python_arguments(x: Any, training: bool) -> Any:
    if training:
        x = x * 2
    return x


@case(*SIGNS)
def a_whole_branch_without_effect(x: Any) -> Any:
    if x > 0:
        pass
    else:
        unused = x * 2  # noqa: F841 -- what is tested
    return x


@case(*SIGNS)
def arguments_that_are_reassigned(x: Any) -> Any:
    if x > 0:
        x = x * 2
    if x > 3:
        x = x - 1
    return x


@case(*SIGNS)
def stars_in_calls(x: Any) -> Any:
    def total(a: Any, b: Any, *others: Any, scale: Any = 1.0) -> Any:
        if a > 0:
            return (a + b + sum(others)) * scale
        return a

    return total(*(x, x), *[x, 1.0], **{"scale": 2.0})


@case(t([1.0, 2.0, 3.0]), t([-1.0, 2.0, 3.0]))
def unpacking_a_tensor(v: Any) -> Any:
    a, b, c = v
    if a > 0:
        return a * b + c
    first, *rest = v
    return first + rest[0] + rest[1]


@case(t([1.0, 2.0, 3.0]))
def a_tensor_as_star_arguments(v: Any) -> Any:
    def total(a: Any, b: Any, c: Any) -> Any:
        return a + 2 * b + 3 * c

    return total(*v)


@case.parametrize
def test_parity(case: Case) -> None:
    """Eager, compiled and differentiated agree."""
    require_parity(case)
