"""gj.save and gj.load: modules with their compiled functions, without their source (K1)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphjit as gj

keras = gj.keras
_X = np.linspace(-1, 1, 8).reshape(2, 4).astype("f")
_TABLE = np.arange(2000, dtype=np.float32)
Pair = namedtuple("Pair", "first second")


@dataclass
class Both:
    """A dataclass among arguments and results."""

    one: Any
    other: Any


class Net(gj.Module):
    """Variables in lists and dicts, a random stream, control flow, structures."""

    def __init__(self) -> None:
        super().__init__()
        self.w = gj.Variable(np.random.default_rng(0).standard_normal((4, 3)).astype("f"), name="w")
        self.b = gj.Variable(np.zeros(3, "f"), name="b")
        self.counts = [gj.Variable(0, trainable=False, name="count")]
        self.parts = {"weight": self.w, "table": gj.constant(_TABLE), 3: (self.b, "text")}
        self.stream = gj.random.Generator.from_seed(3)
        self.rate = 0.1
        self.function = lambda x: x

    @gj.compile
    def __call__(self, x: Any, training: bool = False) -> Any:
        y = gj.tanh(x) @ self.w + self.b
        if training:
            self.counts[0].assign_add(1)
            y = y + self.stream.normal([3])
        return y

    @gj.compile
    def grown(self, x: Any, limit: float) -> Any:
        steps = gj.constant(0)
        while gj.reduce_sum(x) < limit:
            x = x * 2.0
            steps += 1
            if gj.reduce_sum(x) > 50.0:
                self.counts[0].assign_add(steps)
        return {"x": x, "steps": steps, "name": "grown"}

    @gj.compile
    def nested(self, pair: Any, both: Any, variable: Any) -> Any:
        variable.assign_add(pair.first)
        return Pair(pair.first + pair.second["z"], Both(both.one * 2, [variable + 1, gj.constant(_TABLE)[3]]))

    @gj.compile(input_signature=[gj.TensorSpec([None, 4], gj.float32)])
    def probabilities(self, x: Any) -> Any:
        return gj.nn.softmax(x, -1)


def called_net() -> Net:
    """A net after some calls."""
    net = Net()
    net(_X)
    net(_X, True)
    net.grown(np.ones(3, "f"), 100.0)
    net.nested(Pair(1.0, {"z": 2.0}), Both(np.ones(3, "f"), 0), gj.Variable(1.0))
    return net


def saved(module: Any, folder: Path, **more: Any) -> Any:
    """What comes back of a module."""
    gj.save(module, folder / "module", **more)
    return gj.load(folder / "module")


def test_k1_attributes_and_functions_come_back(tmp_path: Path) -> None:
    """Bit for bit; containers, names, trainable flags; what is shared stays shared."""
    net = called_net()
    again = saved(net, tmp_path)
    assert [one.name for one in again.variables] == [one.name for one in net.variables]
    assert [one.name for one in again.trainable_variables] == [one.name for one in net.trainable_variables]
    assert again.parts["weight"] is again.w
    assert again.parts[3] == (again.b, "text") and again.parts[3][0] is again.b
    assert again.rate == 0.1 and again.name == net.name
    np.testing.assert_array_equal(again.parts["table"].numpy(), _TABLE)
    np.testing.assert_array_equal(again(_X).numpy(), net(_X).numpy())
    for _ in range(5):  # the stream goes on, and later calls run natively
        np.testing.assert_array_equal(again(_X, training=True).numpy(), net(_X, True).numpy())
    assert again.counts[0].numpy() == net.counts[0].numpy()
    assert gj.load(tmp_path / "module").counts[0].numpy() != net.counts[0].numpy()


def test_control_flow_and_structures_come_back(tmp_path: Path) -> None:
    """Loops that assign, named tuples and dataclasses, variables as arguments, a captured array."""
    net = called_net()
    again = saved(net, tmp_path)
    for one, other in ((net.grown, again.grown), (net.grown.eager, again.grown.eager)):
        wanted, found = one(np.ones(3, "f"), 100.0), other(np.ones(3, "f"), 100.0)
        assert list(found) == ["x", "steps", "name"] and found["name"] == "grown"
        np.testing.assert_array_equal(found["x"].numpy(), wanted["x"].numpy())
        assert found["steps"].numpy() == wanted["steps"].numpy()
        assert again.counts[0].numpy() == net.counts[0].numpy()
    variable = gj.Variable(1.0)
    found = again.nested(Pair(1.0, {"z": 2.0}), Both(np.ones(3, "f"), 0), variable)
    assert variable.numpy() == 2.0 and found.first.numpy() == 3.0
    assert found._fields == ("first", "second") and repr(found).startswith("Pair(first=")
    assert [float(one) for one in found.second.other] == [3.0, 3.0]
    np.testing.assert_array_equal(again.probabilities([[1, 2, 3, 4]]).numpy(), net.probabilities([[1, 2, 3, 4]]))


def test_k1_other_arguments_list_the_signatures(tmp_path: Path) -> None:
    again = saved(called_net(), tmp_path)
    with pytest.raises(gj.errors.SignatureError, match=r"shape=\(2, 4\)(.|\n)*Literal\[True\]"):
        again(np.ones((3, 4), "f"), 5)
    with pytest.raises(gj.errors.SignatureError, match=r"Literal\[100.0\]"):
        again.grown(np.ones(3, "f"), 99.0)
    with pytest.raises(AttributeError, match="was a function, which is not saved"):
        _ = again.function
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = again.nothing

    class Plain(gj.Module):
        def __call__(self) -> None: ...

        @gj.compile
        def never(self, x: Any) -> Any:
            return x

    again = saved(Plain(), tmp_path)
    with pytest.raises(gj.errors.FailedPreconditionError, match=r"no compiled __call__.*There are: never"):
        again()
    with pytest.raises(gj.errors.SignatureError, match="never called before it was saved"):
        again.never(1.0)


def gradients(module: Any) -> list[Any]:
    """Of the same loss, seen from a tape outside, inside of a compiled function, and in eager mode."""

    def found() -> Any:
        with gj.GradientTape() as tape:
            loss = gj.reduce_sum(module(_X, True) ** 2)
        return tape.gradient(loss, [module.w, module.b])

    with gj.eager_mode():
        eager = found()
    return [found(), gj.compile(found)(), eager]


def test_k1_gradients_flow_through_loaded_functions(tmp_path: Path) -> None:
    net = called_net()
    again = saved(net, tmp_path)
    for one, other in zip(gradients(net), gradients(again), strict=True):
        for wanted, found in zip(one, other, strict=True):
            np.testing.assert_array_equal(found.numpy(), wanted.numpy())
    x = gj.constant(np.ones(3, "f"))
    for mode in (nullcontext, gj.eager_mode):
        with mode(), gj.GradientTape() as tape:
            tape.watch(x)
            y = again.grown(x, 100.0)["x"]
        np.testing.assert_array_equal(tape.gradient(y, x).numpy(), [64.0] * 3)


def test_a_loaded_module_is_trained_compiled_into_others_and_saved_again(tmp_path: Path) -> None:
    net = called_net()
    again = saved(net, tmp_path)

    def step(module: Any) -> Any:
        with gj.GradientTape() as tape:
            loss = gj.reduce_mean(module(_X) ** 2)
        for variable, gradient in zip((module.w, module.b), tape.gradient(loss, [module.w, module.b]), strict=True):
            variable.assign_sub(0.1 * gradient)
        return loss

    both = [gj.compile(lambda module=module: step(module)) for module in (net, again)]
    losses = [[float(one()) for _ in range(4)] for one in both]
    assert losses[0] == losses[1] and losses[0][3] < losses[0][0]
    third = saved(again, tmp_path)
    np.testing.assert_array_equal(third(_X, True).numpy(), net(_X, True).numpy())
    with pytest.raises(AttributeError, match="no attribute 'function'"):
        _ = third.function


def test_custom_gradients_come_back(tmp_path: Path) -> None:
    """Also one that uses what its function computed, one that is computed again, and both of second order."""
    weight = gj.Variable(2.0)

    @gj.custom_gradient
    def clipped(x: Any) -> Any:
        e = gj.exp(x)
        return gj.log(1 + e), lambda g: gj.clip_by_value(g * (1 - 1 / (1 + e)), -0.75, 0.75)

    @gj.recompute_grad
    def cube(x: Any) -> Any:
        return x * x * x * weight

    f = gj.compile(lambda x: cube(clipped(x)))
    x = gj.constant(0.5)
    f(x)
    loaded = saved({"f": f, "weight": weight}, tmp_path)

    def second(function: Any, weight: Any) -> Any:
        with gj.GradientTape() as outer:
            outer.watch(x)
            with gj.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            first = tape.gradient(y, [x, weight])
        return [y, *first, outer.gradient(first[0], x)]

    for mode in (lambda call: call(), lambda call: gj.compile(call)()):
        wanted = mode(lambda: second(f, weight))
        found = mode(lambda: second(loaded["f"], loaded["weight"]))
        for one, other in zip(wanted, found, strict=True):
            np.testing.assert_allclose(other.numpy(), one.numpy(), rtol=1e-6)
    third = saved(loaded, tmp_path)
    np.testing.assert_allclose(second(third["f"], third["weight"])[1].numpy(), second(f, weight)[1], rtol=1e-6)


def test_signatures_are_found_by_name(tmp_path: Path) -> None:
    """Concrete functions, also as attributes, and after their function has let go of them."""
    net = called_net()
    net.kept = net.__call__.get_concrete_function(gj.TensorSpec([None, 4], gj.float32))
    again = saved(net, tmp_path, signatures={"soft": net.probabilities, "wide": net.kept})
    assert sorted(again.signatures) == ["soft", "wide"]
    x = np.ones((7, 4), "f")
    np.testing.assert_array_equal(again.signatures["wide"](x).numpy(), net.kept(x).numpy())
    np.testing.assert_array_equal(again.kept(x).numpy(), again(x).numpy())
    np.testing.assert_array_equal(again.signatures["soft"](x).numpy(), net.probabilities(x).numpy())
    assert sorted(saved(net, tmp_path, signatures=net.probabilities).signatures) == ["serving_default"]
    net.__call__.clear()
    np.testing.assert_array_equal(saved(net, tmp_path).kept(x).numpy(), net.kept(x).numpy())
    with pytest.raises(ValueError, match="'f' is a function with 0 traces"):
        gj.save(net, tmp_path / "m", signatures={"f": net.__call__})


def test_numbers_of_any_value_come_back(tmp_path: Path) -> None:
    """A4: an argument that brought several numbers takes any afterwards."""
    f = gj.compile(lambda x, rate: x * rate)
    for rate in (0.1, 0.2, 0.3, 0.4):
        f(_X, rate)
    again = saved(f, tmp_path)
    np.testing.assert_array_equal(again(_X, 0.7).numpy(), f(_X, 0.7).numpy())
    outer = gj.compile(lambda x: again(x, 0.9))
    np.testing.assert_array_equal(outer(_X).numpy(), f(_X, 0.9).numpy())


def test_variables_of_open_shape_and_aliases_come_back(tmp_path: Path) -> None:
    """A9, C1: a trace serves the shape and the pattern of aliases for which it was made."""
    v = gj.Variable([1.0, 2.0], shape=gj.TensorShape([None]))

    @gj.compile
    def f() -> Any:
        return v * 2

    @gj.compile
    def g(a: Any, b: Any) -> Any:
        a.assign_add(1.0)
        return a + b

    a, b = gj.Variable(1.0), gj.Variable(2.0)
    f(), g(a, b), g(a, a)
    again = saved([v, f, g], tmp_path)
    np.testing.assert_array_equal(again[1]().numpy(), [2, 4])
    again[0].assign([1.0, 2.0, 3.0])
    with pytest.raises(gj.errors.SignatureError, match="takes the arguments"):
        again[1]()
    one, other = gj.Variable(1.0), gj.Variable(5.0)
    assert [float(again[2](one, other)), float(again[2](one, one))] == [7.0, 6.0]


class Holder(gj.Module):
    """A module with one function."""

    def __init__(self, function: Any) -> None:
        self.run = gj.compile(function)


def _into_file(x: Any) -> Any:
    gj.print(x, output_stream="file:///tmp/nowhere")
    return x


REFUSED: dict[str, tuple[Callable[..., Any], Any, str]] = {
    "py_function": (lambda x: gj.py_function(abs, [x], gj.float32), 1.0, r"test_module_saving.py:\d+.*'abs'"),
    "file": (_into_file, 1.0, "prints into a file"),
    "object": (lambda x: gj.constant(1.0), gj.nn.Layer(), "argument 'x' is"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_run_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    function, argument, message = REFUSED[name]
    holder = Holder(function)
    holder.run.get_concrete_function(argument)
    with pytest.raises(ValueError, match=message):
        gj.save(holder, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_replaced_at_once_and_nothing_else_is(tmp_path: Path) -> None:
    net = called_net()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("...")
    with pytest.raises(ValueError, match="holds something else"):
        gj.save(net, tmp_path / "mine")
    (tmp_path / "file").write_text("...")
    with pytest.raises(ValueError, match="is a file"):
        gj.save(net, tmp_path / "file")
    for _ in range(2):
        gj.save(net, tmp_path / "deep" / "module")
        net.b.assign_add([1.0, 1.0, 1.0])
    assert gj.load(tmp_path / "deep" / "module").b.numpy()[0] == 1.0
    assert [one.name for one in (tmp_path / "deep").iterdir()] == ["module"]
    with pytest.raises(LookupError, match="no folder"):
        gj.load(tmp_path / "nowhere")
    with pytest.raises(gj.errors.FormatError, match="no saved module"):
        gj.load(tmp_path / "mine")


def _regressor() -> Any:
    class Regressor(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = [keras.layers.Dense(5, "relu"), keras.layers.Dropout(0.5)]
            self.out = keras.layers.Dense(2)

        def call(self, inputs: Any, training: Any = None) -> Any:
            for layer in self.hidden:
                inputs = layer(inputs, training=training)
            return self.out(inputs)

    return Regressor()


def _functional() -> Any:
    inputs = keras.Input([4])
    hidden = keras.layers.Dense(3, "tanh")(inputs)
    return keras.Model(inputs, [hidden, keras.layers.Dense(2)(hidden)])


MODELS: dict[str, Callable[[], Any]] = {
    "sequential": lambda: keras.Sequential(
        [keras.layers.Dense(8, "elu"), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    ),
    "subclass": _regressor,
    "functional": _functional,
}


@pytest.mark.parametrize("name", MODELS)
def test_models_come_back_without_their_classes(name: str, tmp_path: Path) -> None:
    """L3: the call is traced for batches of any size; predict gives the same bits."""
    model = MODELS[name]()
    x = np.random.default_rng(1).standard_normal((70, 4)).astype("f")
    if name == "sequential":
        model.compile("adam", "mse")
        model.fit(x, x[:, :1], verbose=0)
    else:
        model(x)
    again = saved(model, tmp_path)
    wanted, found = model.predict(x), again.predict(x)
    pairs = zip(wanted, found, strict=True) if isinstance(wanted, list) else [(wanted, found)]
    for one, other in pairs:
        np.testing.assert_array_equal(other, one)
    assert len(again.weights) == len(model.weights)
    assert len(again.trainable_variables) == len(model.trainable_variables)


def test_a_model_of_integers_comes_back_and_a_new_one_is_refused(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Embedding(10, 4), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(gj.errors.FailedPreconditionError, match="never called"):
        gj.save(model, tmp_path / "m")
    numbers = np.arange(12).reshape(3, 4) % 10
    model(numbers)
    np.testing.assert_array_equal(saved(model, tmp_path).predict(numbers), model.predict(numbers))


def test_ragged_sparse_string_and_complex_tensors_come_back(tmp_path: Path) -> None:
    """As arguments, as results, as constants and as attributes."""
    ends = gj.constant(["!", "", "\u00e9"] * 60)

    @gj.compile
    def shouted(x: Any) -> Any:
        return gj.strings.join([gj.strings.upper(x), ends[:2]])

    @gj.compile
    def plus_one(ragged: Any, sparse: Any) -> Any:
        return ragged + 1.0, gj.sparse.to_dense(sparse) + 1.0, sparse

    words = gj.constant(["a", "bc"])
    ragged = gj.ragged.constant([[[1.0, 2.0], []], [[3.0]]])
    sparse = gj.sparse.from_dense([[0.0, 5.0], [0.0, 0.0]])
    wanted = shouted(words), plus_one(ragged, sparse)
    kept = gj.constant([[1 + 2j], [0j]])
    again = saved({"f": shouted, "g": plus_one, "ends": ends, "kept": kept}, tmp_path)
    assert again["f"](words).numpy().tolist() == wanted[0].numpy().tolist()
    found = again["g"](ragged, sparse)
    assert repr(found) == repr(wanted[1])
    np.testing.assert_array_equal(again["ends"].numpy(), ends.numpy())
    np.testing.assert_array_equal(again["kept"].numpy(), kept.numpy())
    with gj.eager_mode():
        assert repr(again["g"](ragged, sparse)) == repr(wanted[1])


class OwnError(ValueError):
    """An error that only this file knows."""


def test_errors_that_graphs_raise_come_back(tmp_path: Path) -> None:
    """`assert` and `raise` on traced values; an error of one's own is its nearest known class."""

    @gj.compile
    def f(x: Any) -> Any:
        assert gj.reduce_all(x < 100.0), "too large"
        if gj.reduce_any(x < 0.0):
            raise OwnError("negative", 3)
        return x

    f(np.array([1.0], "f"))
    again = saved(f, tmp_path)
    np.testing.assert_array_equal(again(np.array([1.0], "f")).numpy(), [1.0])
    for run in (again, again.eager):
        with pytest.raises(AssertionError, match="too large"):
            run(np.array([200.0], "f"))
        with pytest.raises(ValueError, match=r"OwnError: .*negative"):
            run(np.array([-1.0], "f"))
    third = saved(again, tmp_path)
    with pytest.raises(ValueError, match=r"OwnError: .*negative"):
        third(np.array([-1.0], "f"))


def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    program = text.split("## Save")[1].split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(program, "README.md", "exec"), names)
    np.testing.assert_allclose(names["scores"].numpy(), np.full((2, 3), 1 / 3), rtol=1e-6)


_SAVING = """
import os, signal, sys
import numpy as np
import graphjit as gj

class Net(gj.Module):
    def __init__(self):
        self.w = gj.Variable(np.linspace(-1, 1, 12).reshape(4, 3).astype("f"))
        self.steps = [gj.Variable(0)]
    @gj.compile
    def step(self, x):
        with gj.GradientTape() as tape:
            loss = gj.reduce_mean(gj.nn.softmax(gj.tanh(x) @ self.w)[:, 0])
        self.w.assign_sub(0.1 * tape.gradient(loss, self.w))
        self.steps[0].assign_add(1)
        return loss

net = Net()
model = gj.keras.Sequential([gj.keras.layers.Dense(3, "tanh"), gj.keras.layers.Dense(1)])
x = np.linspace(-2, 2, 20).reshape(5, 4).astype("f")
net.step(x)
wanted = model.predict(x)
gj.save({"net": net, "model": model}, sys.argv[1] + "/saved")
np.savez(sys.argv[1] + "/wanted", x=x, predicted=wanted, losses=[net.step(x).numpy() for _ in range(3)])
os.kill(os.getpid(), signal.SIGKILL)
"""

_LOADING = """
import sys
import numpy as np
import graphjit as gj

both = gj.load(sys.argv[1] + "/saved")
wanted = np.load(sys.argv[1] + "/wanted.npz")
losses = [both["net"].step(wanted["x"]).numpy() for _ in range(3)]
assert (np.array(losses) == wanted["losses"]).all(), (losses, wanted["losses"])
assert (both["model"].predict(wanted["x"]) == wanted["predicted"]).all()
assert both["net"].step.report().kernels_compiled == 0
assert "numba" not in sys.modules and "llvmlite.ir" not in sys.modules
"""


def test_a_killed_process_is_followed_by_one_without_the_source(tmp_path: Path) -> None:
    """The same bits, and where kernels are on disk nothing compiles."""
    environment = {**os.environ, "GRAPHJIT_CACHE_DIR": str(tmp_path / "cache")}

    def run(program: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert run(_SAVING).returncode == -9
    done = run(_LOADING)
    assert done.returncode == 0, done.stderr
