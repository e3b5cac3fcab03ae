"""For the op tests: gradients by the reverse walk, gradients by central differences, and runs of written graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import graphjit as gj
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.dispatch import add_recorder, remove_recorder
from graphjit.compiler.gradient import Recording, backward
from graphjit.compiler.graph import Graph
from graphjit.compiler.specialize import specialize
from graphjit.compiler.tensortype import TensorType, type_of_array
from graphjit.compiler.writer import write_graph

Array = np.ndarray[Any, Any]


def weights_like(shape: Sequence[int]) -> Array:
    """Fixed uneven weights, so that a sum over them sees every element."""
    count = int(np.prod(shape))
    return np.asarray(np.cos(np.arange(count) * 1.7 + 0.3), dtype=np.float64).reshape(shape)


def reverse_gradient(function: Callable[..., Any], arrays: Sequence[Array]) -> list[Array | None]:
    """The gradient of the weighted sum of `function(*tensors)` by each float array."""
    tensors = [gj.constant(array) for array in arrays]
    recording = Recording()
    for tensor in tensors:
        recording.watch(tensor)
    add_recorder(recording)
    try:
        result = function(*tensors)
    finally:
        remove_recorder(recording)
    weights = weights_like(tuple(result.shape)).astype(result.dtype.numpy)
    cotangents = backward(recording, [(result, gj.constant(weights))])
    found = [cotangents.of(tensor) for tensor in tensors]
    return [None if one is None else np.asarray(one) for one in found]


def difference_gradient(function: Callable[..., Any], arrays: Sequence[Array], position: int) -> Array:
    """The same by central differences in float64."""

    def total(x: Array) -> float:
        tensors = [gj.constant(x if one == position else array) for one, array in enumerate(arrays)]
        result = np.asarray(function(*tensors))
        return float(np.sum(result * weights_like(result.shape)))

    base = arrays[position]
    found = np.zeros_like(base)
    step = 1e-5
    for place in np.ndindex(*base.shape):
        up, down = base.copy(), base.copy()
        up[place] += step
        down[place] -= step
        found[place] = (total(up) - total(down)) / (2 * step)
    return found


def check_gradient(function: Callable[..., Any], *arrays: Array) -> None:
    """The reverse walk agrees with central differences for every float64 array."""
    found = reverse_gradient(function, arrays)
    for position, array in enumerate(arrays):
        if array.dtype.kind != "f":
            continue
        wanted = difference_gradient(function, arrays, position)
        got = np.zeros_like(array) if found[position] is None else found[position]
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-8)


def written(function: Callable[..., Any], arrays: Sequence[Array], unknown: bool) -> Graph:
    """The graph of `function` for these arrays, with every size unknown if asked."""
    types = [type_of_array(array) for array in arrays]
    if unknown:
        types = [TensorType(type.dtype, (None,) * type.rank) for type in types]
    return write_graph("f", types, function)


def check_written(function: Callable[..., Any], *arrays: Array, static: bool = True) -> None:
    """Eager, a graph, and a graph of unknown sizes run as it is and after specialising give the same."""
    eager = np.asarray(function(*(gj.constant(array) for array in arrays)))
    graph = written(function, arrays, unknown=False)
    (from_graph,) = run_reference(graph, arrays)
    np.testing.assert_array_equal(from_graph, eager, strict=True)
    open_graph = written(function, arrays, unknown=True)
    (from_open,) = run_reference(open_graph, arrays)
    np.testing.assert_array_equal(from_open, eager, strict=True)
    special = specialize(open_graph, [type_of_array(array) for array in arrays])
    (from_special,) = run_reference(special, arrays)
    np.testing.assert_array_equal(from_special, eager, strict=True)
    if static:
        unknown = [str(value) for value in special.values() if not value.type.is_static]
        assert not unknown, f"sizes stay unknown: {unknown}\n{special}"


def gradient_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that gives the gradient of half the squared sum of `function` by its first argument.

    Of whole numbers it is made of whole numbers, so that the order in which they are added cannot show.
    """

    def gradient(*operands: Any) -> Any:
        recording = Recording()
        recording.watch(operands[0])
        add_recorder(recording)
        try:
            result = function(*operands)
        finally:
            remove_recorder(recording)
        found = backward(recording, [(result, result)]).of(operands[0])
        return gj.zeros_like(operands[0]) if found is None else found

    return gradient


def check_gradient_in_graphs(function: Callable[..., Any], *arrays: Array, unknown: bool = True) -> None:
    """The gradient by the first argument is the same eagerly, in a graph and with all sizes unknown."""
    gradient = gradient_of(function)
    eager = np.asarray(gradient(*(gj.constant(array) for array in arrays)))
    for hidden in {False, unknown}:
        graph = written(gradient, arrays, hidden)
        (found,) = run_reference(graph, arrays)
        np.testing.assert_array_equal(found, eager, strict=True)
        (found,) = run_reference(specialize(graph, [type_of_array(array) for array in arrays]), arrays)
        np.testing.assert_array_equal(found, eager, strict=True)
