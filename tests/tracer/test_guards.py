"""What a trace reads from outside is checked before the trace is used again."""

from __future__ import annotations

import functools
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphjit as gj

RATE = 1.0
ITEMS: list[Any] = [1.0, 2.0]
TABLE = {"a": 1.0}
DATA = np.float32([1.0, 2.0])
POSITION = np.array([0, 1])


def helper(x: Any) -> Any:
    """A function that reads a global."""
    return x * RATE


X = gj.constant(1.0)


def test_d3_globals_are_guarded_and_changing_back_uses_the_old_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """D3: a changed global is a new trace, also where a called function reads it."""
    f = gj.compile(lambda x: helper(x) + RATE)
    assert f(X).numpy() == 2.0
    monkeypatch.setattr(sys.modules[__name__], "RATE", 3.0)
    assert f(X).numpy() == 6.0
    assert f.trace_count == 2
    monkeypatch.setattr(sys.modules[__name__], "RATE", 1.0)
    assert f(X).numpy() == 2.0
    assert f.trace_count == 2
    monkeypatch.setattr(sys.modules[__name__], "RATE", True)
    assert f(X).numpy() == 2.0
    assert f.trace_count == 3


def test_d3_functions_that_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """D3: a function is a global like any other."""
    f = gj.compile(lambda x: helper(x))
    assert f(X).numpy() == 1.0
    monkeypatch.setattr(sys.modules[__name__], "helper", lambda x: x + 5.0)
    assert f(X).numpy() == 6.0


@pytest.mark.parametrize("start", [1.0, [1.0, 2.0]])
def test_d3_a_variable_of_an_argument_is_replaced_by_an_equal_one(start: Any) -> None:
    """D3, A7: variables are told by identity, never by what they hold."""

    class Model:
        def __init__(self) -> None:
            self.w = gj.Variable(start)

    model = Model()
    f = gj.compile(lambda model: model.w.assign_add(model.w))
    f(model)
    first, model.w = model.w, gj.Variable(first_value := model.w.numpy())
    f(model)
    np.testing.assert_array_equal(first.numpy(), first_value)
    np.testing.assert_array_equal(model.w.numpy(), 2 * first_value)


def test_d3_enclosing_variables() -> None:
    """D3: closure cells, also those of functions that are reached through others."""
    k = 2.0
    layers = [lambda x: x * k, lambda x: x + k]

    @gj.compile
    def f(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x

    assert f(X).numpy() == 4.0
    k = 3.0
    assert f(X).numpy() == 6.0
    layers.append(lambda x: x * 10.0)
    assert f(X).numpy() == 60.0
    assert f.trace_count == 3


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda: ITEMS.append(4.0), 9.0),
        (lambda: TABLE.__setitem__("a", 7.0), 11.0),
        (lambda: ITEMS.__setitem__(0, 2.0), 6.0),
        (lambda: TABLE.__setitem__("b", 0.5), 5.5),
    ],
)
def test_d3_lists_and_dicts_that_are_changed(change: Callable[[], None], expected: float) -> None:
    """D3: containers count with what is in them."""
    f = gj.compile(lambda x: x + sum(ITEMS) + sum(TABLE.values()))
    items, table = list(ITEMS), dict(TABLE)
    try:
        assert f(X).numpy() == 5.0
        change()
        assert f(X).numpy() == expected
    finally:
        ITEMS[:] = items
        TABLE.clear()
        TABLE.update(table)


def test_d3_attributes_of_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D3: `config.rate`, imported at the top or inside of the function."""
    (tmp_path / "user_config.py").write_text("rate = 2.0\nclass Limits:\n    high = 5.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    import user_config  # type: ignore[import-not-found]  # written above

    @gj.compile
    def outside(x: Any) -> Any:
        return x * user_config.rate + user_config.Limits.high

    @gj.compile
    def inside(x: Any) -> Any:
        import user_config as config

        return x * config.rate

    @gj.compile
    def deeper(x: Any) -> Any:
        import user_config as config

        return (lambda y: y * config.rate)(x)

    @gj.compile
    def by_name(x: Any) -> Any:
        from user_config import rate

        return x * rate

    assert (outside(X).numpy(), inside(X).numpy(), deeper(X).numpy(), by_name(X).numpy()) == (7.0, 2.0, 2.0, 2.0)
    user_config.rate = 3.0
    user_config.Limits.high = 6.0
    assert (outside(X).numpy(), inside(X).numpy(), deeper(X).numpy(), by_name(X).numpy()) == (9.0, 3.0, 3.0, 3.0)


class Config:
    """Settings with attributes of all kinds."""

    shared = 1.0

    def __init__(self) -> None:
        self.rate = 2.0
        self.unused = 0
        self.nested = types.SimpleNamespace(k=1.0)
        self.parts = [1.0]

    @property
    def doubled(self) -> float:
        return self.rate * 2.0

    def method(self, x: Any) -> Any:
        return x * self.rate


class Slotted:
    """An object without a dict."""

    __slots__ = ("k",)

    def __init__(self, k: float) -> None:
        self.k = k


@pytest.mark.parametrize(
    ("read", "change"),
    [
        (lambda c: c.rate, lambda c: setattr(c, "rate", 5.0)),
        (lambda c: c.doubled, lambda c: setattr(c, "rate", 5.0)),
        (lambda c: c.method(1.0), lambda c: setattr(c, "rate", 5.0)),
        (lambda c: c.method(1.0), lambda c: setattr(c, "method", lambda x: 77.0)),
        (lambda c: c.shared, lambda c: setattr(c, "shared", 5.0)),
        (lambda c: c.parts[0], lambda c: c.parts.__setitem__(0, 5.0)),
        (lambda c: getattr(c, "late", 0.0), lambda c: setattr(c, "late", 5.0)),
        (lambda c: float(hasattr(c, "late")), lambda c: setattr(c, "late", 5.0)),
        (lambda c: float(len(vars(c))), lambda c: setattr(c, "late", 5.0)),
        (lambda c: float(len(c.__dict__)), lambda c: setattr(c, "late", 5.0)),
    ],
)
@pytest.mark.parametrize("way", ["argument", "enclosing"])
def test_a7_attributes_that_the_trace_read(read: Callable[[Any], Any], change: Callable[[Any], None], way: str) -> None:
    """A7: a changed attribute is a new signature; nothing is stale."""
    config = Config()

    def body(x: Any, c: Any) -> Any:
        return x * read(c)

    f = gj.compile(body) if way == "argument" else gj.compile(lambda x, c: body(x, config))
    given = config if way == "argument" else None
    assert f(X, given).numpy() == read(config)
    assert f(X, given).numpy() == read(config)
    assert f.trace_count == 1
    change(config)
    assert f(X, given).numpy() == read(config)
    assert f.trace_count == 2


def test_a7_attributes_that_the_trace_did_not_read_do_not_matter() -> None:
    """A7: only what was read counts."""
    config = Config()
    f = gj.compile(lambda x: x * config.rate)
    f(X)
    config.unused = 5
    config.other = 6  # type: ignore[attr-defined]  # a new attribute is the point
    assert f(X).numpy() == 2.0
    assert f.trace_count == 1


def test_a7_class_attributes_and_slots() -> None:
    """A7: what the class holds, and what slots hold."""
    slotted, config = Slotted(2.0), Config()
    f = gj.compile(lambda x: x * slotted.k * config.shared)
    assert f(X).numpy() == 2.0
    slotted.k = 3.0
    assert f(X).numpy() == 3.0
    Config.shared = 10.0
    try:
        assert f(X).numpy() == 30.0
    finally:
        Config.shared = 1.0


def test_a7_classes_are_left_as_they_were_found() -> None:
    """A7: what listens to attribute reads is taken away, also behind an error."""
    config = Config()
    before = dict(vars(Config))
    f = gj.compile(lambda x: x * config.rate)
    f(X)
    with pytest.raises(AttributeError):
        gj.compile(lambda x: x * config.missing)(X)  # type: ignore[attr-defined]  # the missing one is the point
    assert dict(vars(Config)) == before
    assert Config.__getattribute__ is object.__getattribute__


def test_a7_other_threads_are_not_listened_to() -> None:
    """A7: an attribute that another thread reads during a trace is no part of it."""
    config = Config()

    def elsewhere() -> None:
        assert config.unused == 0

    @gj.compile
    def f(x: Any) -> Any:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return x * config.rate

    f(X)
    config.unused = 1
    f(X)
    assert f.trace_count == 1


def test_a7_namespaces_of_the_standard_library() -> None:
    """A7: configurations in `SimpleNamespace` and `argparse.Namespace`, named or hanging on an object."""
    import argparse

    config = Config()
    options = argparse.Namespace(rate=2.0, deep=types.SimpleNamespace(k=3.0))
    f = gj.compile(lambda x: x * options.rate * options.deep.k * config.nested.k)
    assert f(X).numpy() == 6.0
    options.rate = 4.0
    assert f(X).numpy() == 12.0
    options.deep.k = 5.0
    assert f(X).numpy() == 20.0
    config.nested.k = 2.0
    assert f(X).numpy() == 40.0


def test_a7_objects_of_libraries_that_the_code_names() -> None:
    """A7: `scaler.mean_` of a library's object."""
    import email.message

    message = email.message.Message()
    message.factor = 2.0  # type: ignore[attr-defined]  # a library's object with an attribute of the user's
    f = gj.compile(lambda x: x * message.factor)  # type: ignore[attr-defined]  # as above
    assert f(X).numpy() == 2.0
    message.factor = 3.0  # type: ignore[attr-defined]  # as above
    assert f(X).numpy() == 3.0


class Parent:
    """Its method is reached through super()."""

    def call(self, x: Any) -> Any:
        return x * RATE


class Child(Parent):
    """A method that calls the parent's."""

    def call(self, x: Any) -> Any:
        return super().call(x) + 1.0


class Cell:
    """A descriptor of the user's."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return instance.hidden * RATE


class WithCell:
    """An object with such a descriptor, items and a fallback for attributes."""

    value = Cell()

    def __init__(self) -> None:
        self.hidden = 2.0

    def __getitem__(self, key: int) -> float:
        return self.hidden * RATE

    def __getattr__(self, name: str) -> float:
        if name != "fallback":
            raise AttributeError(name)
        return self.hidden * RATE


@pytest.mark.parametrize(
    "read",
    [
        lambda x, o: Child().call(x) - 1.0 + o.hidden - o.hidden,
        lambda x, o: x * o.value / o.hidden,
        lambda x, o: x * o[0] / o.hidden,
        lambda x, o: x * o.fallback / o.hidden,
        lambda x, o: gj.stack([helper(x) for _ in range(2)])[0],
        lambda x, o: next(map(helper, [x])),
        lambda x, o: functools.partial(helper, x)(),
        lambda x, o: functools.reduce(lambda a, b: a * RATE, [x, x]),
    ],
)
def test_d3_a_global_behind_python_machinery(read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """D3: super, descriptors, items, fallbacks, comprehensions, map, partial: nothing is stale."""
    one = WithCell()
    f = gj.compile(lambda x: read(x, one))
    assert f(X).numpy() == 1.0
    monkeypatch.setattr(sys.modules[__name__], "RATE", 3.0)
    assert f(X).numpy() == 3.0


def test_a7_containers_of_other_classes_count_with_what_is_in_them() -> None:
    """A7: a dict of a class of its own, as an argument, and a mutable default of a called function."""

    class Table(dict[str, float]):
        pass

    table = Table(a=2.0)
    f = gj.compile(lambda x, t: x * t["a"])
    assert f(X, table).numpy() == 2.0
    table["a"] = 3.0
    assert f(X, table).numpy() == 3.0
    default = [4.0]

    def scaled(x: Any, by: list[float] = default) -> Any:
        return x * by[0]

    g = gj.compile(lambda x: scaled(x))
    assert g(X).numpy() == 4.0
    default[0] = 5.0
    assert g(X).numpy() == 5.0


def test_a16_a_method_guards_what_it_reads_of_its_object() -> None:
    """A16: attributes of self, of what hangs on it, and of objects that replace it."""

    class Inner:
        def __init__(self, k: float) -> None:
            self.k = k

    class Outer:
        def __init__(self) -> None:
            self.inner = Inner(2.0)
            self.activation: Any = gj.tanh
            self.training = False

        @gj.compile
        def call(self, x: Any) -> Any:
            y = x * self.inner.k
            return y if self.training else self.activation(y)

    outer = Outer()
    assert outer.call(X).numpy() == pytest.approx(np.tanh(2.0))
    outer.training = True
    assert outer.call(X).numpy() == 2.0
    outer.inner.k = 3.0
    assert outer.call(X).numpy() == 3.0
    outer.inner = Inner(4.0)
    assert outer.call(X).numpy() == 4.0
    outer.training = False
    outer.activation = gj.exp
    assert outer.call(X).numpy() == pytest.approx(np.exp(4.0))


def test_d1_d3_what_the_function_changes_itself_does_not_trace_again() -> None:
    """D1: Python side effects happen once, at trace time."""
    log: list[str] = []
    count = 0

    @gj.compile
    def f(x: Any) -> Any:
        nonlocal count
        count += 1
        log.append("traced")
        return x

    f(X)
    f(X)
    assert (log, count, f.trace_count) == (["traced"], 1, 1)


def test_c9_captured_arrays_are_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """C9: writing into an array is seen without a trace; binding the name to another one is seen too."""
    f = gj.compile(lambda x: x * DATA + DATA[1:])
    kept = DATA.copy()
    try:
        assert f(X).numpy().tolist() == [3.0, 4.0]
        DATA[1] = 10.0
        assert f(X).numpy().tolist() == [11.0, 20.0]
        assert f.trace_count == 1
    finally:
        DATA[:] = kept
    monkeypatch.setattr(sys.modules[__name__], "DATA", np.float32([5.0, 6.0, 7.0]))
    with pytest.raises(gj.errors.InvalidArgumentError if hasattr(gj, "errors") else ValueError):
        f(X)
    monkeypatch.setattr(sys.modules[__name__], "DATA", np.float32([5.0, 6.0]))
    assert f(X).numpy().tolist() == [11.0, 12.0]


def test_c9_arrays_that_python_looks_into_are_compared() -> None:
    """C9, D3: an element that became a literal is never stale."""
    f = gj.compile(lambda x: x + float(POSITION[1]))
    kept = POSITION.copy()
    try:
        assert f(X).numpy() == 2.0
        POSITION[1] = 5
        assert f(X).numpy() == 6.0
    finally:
        POSITION[:] = kept
    assert f(X).numpy() == 2.0


def test_c9_only_dtype_and_shape_of_an_array_may_be_used() -> None:
    """C9: where only the shape is read, the elements may change without a trace."""
    f = gj.compile(lambda x: x * float(DATA.shape[0]))
    f(X)
    DATA[0] += 1.0
    f(X)
    DATA[0] -= 1.0
    assert f.trace_count == 1


def test_c9_a_captured_tensor_whose_name_is_bound_anew() -> None:
    """C9: rebinding is seen."""
    captured = gj.constant(2.0)
    f = gj.compile(lambda x: x * captured)
    assert f(X).numpy() == 2.0
    captured = gj.constant(3.0)
    assert f(X).numpy() == 3.0


def test_libraries_are_trusted() -> None:
    """D3: reading a library's module is no guard."""
    f = gj.compile(lambda x: x * np.pi)
    f(X)
    from graphjit.tracer.cache import Entry

    entries: list[Entry] = list(f._cache)
    assert len(entries[0].guards) == 0
