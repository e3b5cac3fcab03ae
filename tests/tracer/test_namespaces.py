"""TensorFlow's sub-namespaces: errors, nest, config, autograph, and `device`."""

from __future__ import annotations

import numpy as np
import pytest

import graphjit as gj


def test_errors_are_ours_and_pythons() -> None:
    """An error is found under `gj.errors` and under Python's name."""
    with pytest.raises(gj.errors.InvalidArgumentError) as caught:
        gj.reshape([1, 2, 3], [2, 2])
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, gj.errors.OpError)


def test_nest_maps_tensors() -> None:
    """`map_structure` keeps the structure."""
    doubled = gj.nest.map_structure(lambda x: x * 2, {"a": gj.constant(1), "b": [gj.constant(2)]})
    assert (int(doubled["a"]), int(doubled["b"][0])) == (2, 4)


def test_nest_refuses_other_structures() -> None:
    """Two structures that differ are named."""
    with pytest.raises(gj.errors.InvalidArgumentError, match="structures differ"):
        gj.nest.map_structure(lambda a, b: a, [1, 2], [1, [2]])
    with pytest.raises(gj.errors.InvalidArgumentError, match="2 leaves"):
        gj.nest.pack_sequence_as([0, 0], [1])


def test_config_runs_functions_eagerly() -> None:
    """J1: the switch under its TensorFlow name."""
    seen: list[object] = []

    @gj.compile
    def f(x):
        seen.append(type(x))
        return x + 1

    gj.config.run_functions_eagerly(True)
    try:
        f(np.float32(1))
    finally:
        gj.config.run_functions_eagerly(False)
    assert seen == [gj.Tensor]


def test_to_code_shows_the_source() -> None:
    """B8: the Python that is traced."""

    @gj.compile
    def plus_one(x):
        return x + 1

    assert "return x + 1" in gj.autograph.to_code(plus_one)


@pytest.mark.parametrize(
    "name", ["CPU:0", "/CPU:0", "/cpu:0", "cpu", "CPU:*", "/device:CPU:0", gj.constant(1).device, None]
)
def test_h10_cpu_is_accepted(name: str | None) -> None:
    """H10: every way to name the CPU."""
    with gj.device(name):
        assert float(gj.constant(1.0) + 1.0) == 2.0


def test_h10_others_warn_and_nonsense_is_refused() -> None:
    """H10: other devices run on the CPU, with a warning."""
    with pytest.warns(UserWarning, match="CPU"), gj.device("GPU:0"):
        pass
    for wrong in ("nonsense", "", "CPU:", "CPU:x", 3):
        with pytest.raises(ValueError, match=f"{wrong!r} is no device; graphjit has 'CPU:0'"), gj.device(wrong):
            pass
    for absent in ("CPU:1", "/job:worker/replica:0/task:0/device:CPU:0", "/job:localhost/task:3/cpu:0"):
        with pytest.raises(ValueError, match="is not there; graphjit has one CPU"), gj.device(absent):
            pass


def test_devices_are_shown() -> None:
    """H2: tensors, variables and results of compiled functions say where they are."""
    wanted = "/job:localhost/replica:0/task:0/device:CPU:0"
    shown = [gj.constant(1.0).device, gj.Variable(1.0).device, gj.compile(lambda x: x + 1)(1.0).device]
    assert shown == [wanted] * 3
