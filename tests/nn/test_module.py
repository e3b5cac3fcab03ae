"""Module: row L1."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import graphjit as gj


class MyLayer(gj.Module):
    """The layer of TensorFlow's guide."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.w = gj.Variable(gj.ones([inputs, outputs]), name="w")
        self.b = gj.Variable(gj.zeros([outputs]), name="b")

    def __call__(self, x: Any) -> Any:
        return gj.matmul(x, self.w) + self.b


def _named(name: str, trainable: bool = True) -> gj.Variable:
    return gj.Variable(1.0, trainable=trainable, name=name)


class Nested(gj.Module):
    """Attributes of every kind."""

    def __init__(self) -> None:
        super().__init__(name="outer")
        self.t = (_named("t0"), [_named("t1")])
        self.a = _named("a")
        self._priv = _named("priv")
        self.layer = MyLayer(2, 1)
        self.b = self.a
        self.d = {"z": _named("dz"), "y": {"again": self.a, "layer": self.layer}}
        self.frozen = _named("frozen", trainable=False)
        self.number = 3
        self.nothing = None


def _names(variables: Any) -> list[str]:
    return [v.name.removesuffix(":0") for v in variables]


def test_l1_order_is_by_attribute_name() -> None:
    """L1: MyLayer's order is b, then w."""
    assert _names(MyLayer(2, 1).variables) == ["b", "w"]


def test_l1_own_variables_come_before_those_of_modules() -> None:
    """L1: containers are entered, duplicates removed, modules come last."""
    nested = Nested()
    assert _names(nested.variables) == ["priv", "a", "dz", "frozen", "t0", "t1", "b", "w"]
    assert _names(nested.trainable_variables) == ["priv", "a", "dz", "t0", "t1", "b", "w"]
    assert _names(nested.non_trainable_variables) == ["frozen"]


def test_l1_submodules() -> None:
    """L1: each once, however it is reached; cycles end."""
    nested = Nested()
    inner = nested.layer
    inner.up = nested
    assert [type(one) for one in nested.submodules] == [MyLayer]
    assert _names(inner.variables)[:2] == ["b", "w"]
    nested.loop = [nested.layer]
    nested.loop.append(nested.loop)
    assert len(nested.variables) == 8


def test_l1_names() -> None:
    """L1: the class's name in snake_case, or what was given, which must be an identifier."""
    assert MyLayer(1, 1).name == "my_layer"
    assert Nested().name == "outer"
    assert gj.Module().name == "module"
    with pytest.raises(ValueError, match="identifier"):
        gj.Module(name="a b")


def test_l1_name_scopes() -> None:
    """L1: variables created in a decorated method carry the module's name."""

    class Lazy(gj.Module):
        @gj.Module.with_name_scope
        def __call__(self, x: Any) -> Any:
            if not hasattr(self, "w"):
                self.w = gj.Variable(2.0, name="w")
            return x * self.w

    lazy = Lazy(name="first")
    assert lazy(3.0).numpy() == 6.0
    assert lazy.w.name == "first/w:0"
    with lazy.name_scope:
        assert gj.Variable(1.0).name == "first/Variable:0"
    with pytest.raises(RuntimeError, match="super"), MyLayer(1, 1).name_scope:
        pass


def test_l1_flatten_with_paths() -> None:
    """L1: subclasses may look for other things, and ask where they are."""
    nested = Nested()
    found = dict(nested._flatten(predicate=lambda value: isinstance(value, gj.Variable), with_path=True))
    assert found["t", 1, 0].name == "t1:0"
    assert found["d", "y", "layer", "w"] is nested.layer.w
    assert list(nested._flatten(recursive=False, predicate=lambda value: value == 3)) == [3]


def test_l1_trains() -> None:
    """L1, L2: the variables are what a tape watches, in a function with and without compiling."""
    for wrap in (lambda f: f, gj.compile):
        layer = MyLayer(2, 1)

        def loss(layer: MyLayer = layer) -> Any:
            with gj.GradientTape() as tape:
                y = gj.reduce_sum(layer(gj.constant([[1.0, 2.0]])))
            for variable, slope in zip(
                layer.trainable_variables, tape.gradient(y, layer.trainable_variables), strict=True
            ):
                variable.assign_sub(slope)
            return y

        assert float(wrap(loss)()) == 3.0
        assert layer.w.numpy().tolist() == [[0.0], [-1.0]]
        assert layer.b.numpy().tolist() == [-1.0]


def test_l1_copies_are_independent() -> None:
    """C5: a deep copy has variables of its own."""
    nested = Nested()
    made = copy.deepcopy(nested)
    nested.a.assign(9.0)
    assert made.a.numpy() == 1.0
    assert made.a is made.b
