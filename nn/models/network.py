"""The calls of layers that lead from inputs to outputs: what a functional model runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphjit.runtime.errors import InvalidArgumentError
from graphjit.tracer.structure import flatten, unflatten

from ..byname import deserialize, serialize
from ..layers.connecting import KerasTensor, Node
from ..layers.plain import Input


class Network:
    """Calls of layers in an order in which they can run.

    Args:
      inputs, outputs: descriptions, or structures of them.

    Raises:
      InvalidArgumentError: if the outputs need something that is not among the inputs.
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.inputs, self.outputs = inputs, outputs
        self._sources, self._input_structure = flatten(inputs)
        self._targets, self._output_structure = flatten(outputs)
        for one in (*self._sources, *self._targets):
            if not isinstance(one, KerasTensor):
                raise InvalidArgumentError(
                    f"inputs and outputs come from Input and from layers called on it; {type(one).__name__} does not"
                )
        self.sources = [one.source for one in self._sources if one.source is not None]
        self.nodes = self._ordered()
        self.layers = list({id(node.layer): node.layer for node in self.nodes}.values())
        self.output_names = self._names()

    def _names(self) -> list[str]:
        if isinstance(self.outputs, Mapping):
            return [str(name) for name in self.outputs]
        return [str(one.name) for one in self._targets]

    def _ordered(self) -> list[Node]:
        """The calls, each behind those whose results it takes. No recursion: models may be deep."""
        known = {id(one) for one in self._sources}
        order: list[Node] = []
        done: set[int] = set()
        waiting = list(reversed(self._targets))
        while waiting:
            one = waiting[-1]
            node = one.producer
            if id(one) in known or (node is not None and id(node) in done):
                waiting.pop()
                continue
            if node is None:
                raise InvalidArgumentError(f"the outputs depend on {one!r}, which is not among the inputs")
            missing = [
                need
                for need in node.inputs
                if id(need) not in known and not (need.producer is not None and id(need.producer) in done)
            ]
            if missing:
                waiting.extend(reversed(missing))
                continue
            done.add(id(node))
            order.append(node)
            waiting.pop()
        return order

    def get_config(self) -> dict[str, Any]:
        """The layers, the inputs, and the calls, with numbers for tensors."""
        numbers = {id(one): number for number, one in enumerate(self._sources)}
        calls = []
        for node in self.nodes:
            layer = next(place for place, one in enumerate(self.layers) if one is node.layer)
            calls.append(
                {"layer": layer, "args": _written(node.args, numbers), "kwargs": _written(node.kwargs, numbers)}
            )
            for one in node.outputs:
                numbers[id(one)] = len(numbers)
        return {
            "layers": [serialize(layer) for layer in self.layers],
            "inputs": [
                {"shape": serialize(one.shape), "dtype": one.dtype.name, "name": one.name} for one in self._sources
            ],
            "input_structure": _written(self.inputs, numbers),
            "calls": calls,
            "outputs": _written(self.outputs, numbers),
        }

    def run(self, inputs: Any) -> Any:
        """What the layers give for tensors.

        Raises:
          InvalidArgumentError: if there are more or fewer tensors than inputs.
        """
        values = self._placed(inputs)
        for node in self.nodes:
            leaves, structure = flatten((node.args, node.kwargs))
            filled = [values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf for leaf in leaves]
            args, kwargs = unflatten(structure, filled)
            results = flatten(node.layer(*args, **kwargs))[0]
            values.update((id(one), result) for one, result in zip(node.outputs, results, strict=True))
        return unflatten(self._output_structure, [values[id(one)] for one in self._targets])

    def _placed(self, inputs: Any) -> dict[int, Any]:
        """The tensors by the inputs that they are for; a dict goes by the inputs' names."""
        if isinstance(inputs, Mapping) and not isinstance(self.inputs, Mapping):
            leaves = [inputs[one.name] for one in self._sources if one.name in inputs]
        else:
            leaves = flatten(inputs)[0]
        if len(leaves) != len(self._sources):
            raise InvalidArgumentError(
                f"the model has {len(self._sources)} inputs, but {len(leaves)} tensors were given"
            )
        return {id(one): leaf for one, leaf in zip(self._sources, leaves, strict=True)}


def _written(value: Any, numbers: Mapping[int, int]) -> Any:
    """A structure with {"tensor": number} for descriptions."""
    if isinstance(value, KerasTensor):
        return {"tensor": numbers[id(value)]}
    if isinstance(value, tuple):
        return {"tuple": [_written(one, numbers) for one in value]}
    if isinstance(value, list):
        return [_written(one, numbers) for one in value]
    if isinstance(value, Mapping):
        return {"dict": {str(name): _written(one, numbers) for name, one in value.items()}}
    return serialize(value)


def _read(value: Any, tensors: list[KerasTensor]) -> Any:
    if isinstance(value, list):
        return [_read(one, tensors) for one in value]
    if isinstance(value, Mapping):
        if "tensor" in value:
            return tensors[value["tensor"]]
        if "tuple" in value:
            return tuple(_read(one, tensors) for one in value["tuple"])
        return {name: _read(one, tensors) for name, one in value.get("dict", value).items()}
    return value


def from_config(config: Mapping[str, Any], table: Mapping[str, Any]) -> tuple[Any, Any]:
    """Inputs and outputs, made by calling the layers of a configuration again."""
    layers = [deserialize(one, table, "layer") for one in config["layers"]]
    tensors = [Input(batch_shape=one["shape"], dtype=one["dtype"], name=one["name"]) for one in config["inputs"]]
    for call in config["calls"]:
        args, kwargs = _read(call["args"], tensors), _read(call["kwargs"], tensors)
        tensors.extend(flatten(layers[call["layer"]](*args, **kwargs))[0])
    return _read(config["input_structure"], tensors), _read(config["outputs"], tensors)


__all__: list[str] = []
