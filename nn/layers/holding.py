"""What every layer holds: a name, a dtype, weights, layers inside, and what is added to the loss."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.tensortype import TensorShape, as_dtype
from graphjit.runtime.errors import FailedPreconditionError, InvalidArgumentError, ShapeError
from graphjit.tracer.attributes import computed_attribute, not_listening
from graphjit.tracer.converting import as_called
from graphjit.tracer.lifting import init_scope
from graphjit.tracer.state import State
from graphjit.tracer.variable import Variable

from .. import constraints, initializers, regularizers
from ..module import Module
from ..naming import name_for
from .allowance import take
from .penalties import add_penalty, penalties_of
from .record import Record
from .tracking import Path, held


class Holder(Module):
    """The part of a layer that names it, makes its weights and finds them again. Abstract: see `Layer`."""

    _untracked: frozenset[str] = frozenset({"_record"})
    _record: Record

    # --- names and dtypes ---

    @property
    def name(self) -> str:
        """The name that was given, or one after the class."""
        record = self._record
        if record.name is None:
            record.name = name_for(self)
        return record.name

    @property
    def dtype(self) -> str:
        """The dtype of its weights."""
        return self._record.dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype that floats are cast to before `call`."""
        return self._record.dtype

    variable_dtype = dtype

    @property
    def built(self) -> bool:
        """Whether its weights exist."""
        return self._record.built

    @built.setter
    def built(self, value: bool) -> None:
        self._record.built = bool(value)

    @property
    def trainable(self) -> bool:
        """Whether its weights are trained; setting it sets that of the layers inside too."""
        return self._record.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._record.trainable = bool(value)
        for layer in self._sublayers():
            if isinstance(layer, Holder):
                layer.trainable = value

    # --- weights ---

    def add_weight(
        self,
        name: Any = None,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: bool | None = None,
        constraint: Any = None,
        **kwargs: Any,
    ) -> Any:
        """A new variable that belongs to the layer.

        Args:
          name: what follows the layer's name in the variable's. A shape in its place is accepted, as in Keras 3:
            `add_weight(shape, initializer)`.
          shape: known sizes; none for a scalar.
          dtype: by default the layer's.
          initializer: a name, a function of shape and dtype, or an `Initializer`; by default Glorot's uniform
            numbers, and zeros for integers.
          regularizer: a name or a function of the variable, whose value is among `losses`.
          trainable: by default true.
          constraint: a name or a function that is applied after each update.

        Raises:
          ShapeError: if a size is not known.
        """
        if name is not None and not isinstance(name, str):
            name, shape, initializer = kwargs.pop("label", None), name, shape if initializer is None else initializer
        _require_no_more(kwargs)
        wanted = as_dtype(dtype or self._record.dtype)
        start = initializers.get(initializer or ("glorot_uniform" if wanted.name.startswith("float") else "zeros"))
        sizes = () if shape is None else tuple(TensorShape(shape))
        if None in sizes:
            raise ShapeError(f"the shape of the weight {name!r} of {self.name!r} must be known, not {sizes}")
        take(name, sizes, wanted)
        with init_scope():
            value = as_operand(initial_value(start, sizes, wanted.name), wanted)
            variable = Variable(
                value, trainable=trainable, name=name or "weight", dtype=wanted, constraint=constraints.get(constraint)
            )
        self._record.weights.append(variable)
        if regularizer is not None:
            self._record.regularizers.append((variable, regularizers.get(regularizer)))
        return variable

    def own_items(self) -> Iterator[tuple[Path, Any]]:
        """Pairs of path and variable or module: what `add_weight` made first, then the attributes."""
        seen = set()
        listed = {id(value): path for path, value in held(self, self._untracked)}
        for position, variable in enumerate(self._record.weights):
            seen.add(id(variable))
            yield listed.get(id(variable), ("weights", str(position))), variable
        for path, value in held(self, self._untracked):
            if id(value) not in seen:
                yield path, value

    def _own_variables(self) -> list[Any]:
        return [value for _, value in self.own_items() if isinstance(value, State)]

    def _sublayers(self) -> list[Any]:
        """Layers and modules directly inside."""
        return [value for _, value in self.own_items() if isinstance(value, Module)]

    @property
    def layers(self) -> list[Any]:
        """The layers directly inside."""
        return [one for one in self._sublayers() if isinstance(one, Holder)]

    def _collected(self, kinds: tuple[bool, ...], seen: set[int]) -> Iterator[Any]:
        """Variables that are trained (True), or not (False): own ones first, then those of the layers inside."""
        if id(self) in seen:
            return
        seen.add(id(self))
        items = [value for _, value in self.own_items()]
        for trained in kinds:
            for value in items:
                if isinstance(value, Module) or id(value) in seen:
                    continue
                if (value.trainable and self.trainable) is trained:
                    seen.add(id(value))
                    yield value
        for one in items:
            if isinstance(one, Module):
                yield from _variables_inside(one, kinds, seen)

    def _listed(self, name: str, *kinds: bool) -> list[Any]:
        """Variables that are trained, or not; a trace takes note of which they are, not of how they were found."""
        with not_listening():
            found = list(self._collected(kinds, set()))
        computed_attribute(self, name, found)
        return found

    @property
    def trainable_variables(self) -> list[Any]:  # type: ignore[override]  # Keras gives a list, Module a tuple
        """The variables that training changes: the layer's own as they were made, then those of the layers inside."""
        return self._listed("trainable_variables", True)

    @property
    def non_trainable_variables(self) -> list[Any]:  # type: ignore[override]  # Keras gives a list, Module a tuple
        """The variables that training does not change."""
        return self._listed("non_trainable_variables", False)

    @property
    def variables(self) -> list[Any]:  # type: ignore[override]  # Keras gives a list, Module a tuple
        """All variables: the layer's own, those that are trained first; then those of each layer inside, as Keras."""
        return self._listed("variables", True, False)

    @property
    def weights(self) -> list[Any]:
        """The same as `variables`."""
        return self.variables

    @property
    def trainable_weights(self) -> list[Any]:
        """The same as `trainable_variables`."""
        return self.trainable_variables

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The same as `non_trainable_variables`."""
        return self.non_trainable_variables

    def get_weights(self) -> list[Any]:
        """The numbers of `weights`, as arrays."""
        return [np.asarray(variable.numpy()) for variable in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Assign arrays to `weights`, in their order.

        Raises:
          ShapeError: if there are more or fewer, or a shape differs.
        """
        mine = self.weights
        if len(weights) != len(mine):
            raise ShapeError(f"{self.name!r} has {len(mine)} weights, but {len(weights)} arrays were given")
        for variable, array in zip(mine, weights, strict=True):
            variable.assign(np.asarray(array).astype(variable.dtype.numpy))

    def count_params(self) -> int:
        """How many numbers its weights hold.

        Raises:
          FailedPreconditionError: before they exist.
        """
        if not self.built:
            raise FailedPreconditionError(
                f"{self.name!r} has no weights yet: call it, or build(input_shape), before its numbers are counted"
            )
        return sum(int(np.prod(variable.array.shape)) for variable in self.weights)

    # --- losses ---

    def add_loss(self, losses: Any, **kwargs: Any) -> None:
        """Add to what training minimises: a scalar, a list of them, or a function without arguments.

        A value that was added in `call` counts until the layer is called again.
        """
        for one in losses if isinstance(losses, list | tuple) else [losses]:
            add_penalty(self, one)

    @property
    def losses(self) -> list[Any]:
        """What regularizers and `add_loss` add to the loss: one scalar for each."""
        with not_listening():
            found = penalties_of(list(_with_inner(self, set())))
        return found + [as_called(regularizer)(variable) for variable, regularizer in self.penalised_weights]

    @property
    def penalised_weights(self) -> list[tuple[Any, Callable[[Any], Any]]]:
        """Pairs of a weight, here or in layers inside, and its regularizer."""
        with not_listening():
            found = [pair for layer in _with_inner(self, set()) for pair in layer._record.regularizers]
        computed_attribute(self, "penalised_weights", found)
        return found

    def expect(self, pending: Mapping[Path, np.ndarray[Any, Any]]) -> None:
        """Take values for weights, here and inside, that do not exist yet, by their paths."""
        self._record.pending.update(pending)
        self.restore_pending()

    def restore_pending(self) -> None:
        """Assign what was loaded before the weights existed, here and in layers that exist by now."""
        pending = self._record.pending
        if not pending:
            return
        for path, value in list(self.own_items()):
            if isinstance(value, Variable):
                array = pending.pop(path, None)
                if array is not None:
                    value.assign(array)
                continue
            depth = len(path)
            share = {one[depth:]: pending.pop(one) for one in list(pending) if one[:depth] == path}
            if share and isinstance(value, Holder):
                value._record.pending.update(share)
                value.restore_pending()


def _require_no_more(kwargs: dict[str, Any]) -> None:
    """Accept, without meaning here, what TensorFlow has for distribution; refuse what nobody knows."""
    unknown = set(kwargs) - {
        "aggregation",
        "autocast",
        "caching_device",
        "collections",
        "experimental_autocast",
        "getter",
        "overwrite_with_gradient",
        "partitioner",
        "synchronization",
        "use_resource",
    }
    if unknown:
        raise InvalidArgumentError(f"add_weight does not take {', '.join(sorted(map(repr, unknown)))}")


def initial_value(initializer: Callable[..., Any], sizes: tuple[Any, ...], dtype: Any) -> Any:
    """What an initializer gives; one of the user's may take the shape alone."""
    try:
        takes_dtype = len(inspect.signature(initializer).parameters) > 1
    except (TypeError, ValueError):
        takes_dtype = True
    given = initializer(sizes, dtype=dtype) if takes_dtype else initializer(sizes)
    return cast(given, dtype)


def _variables_inside(module: Module, kinds: tuple[bool, ...], seen: set[int]) -> Iterator[Any]:
    if isinstance(module, Holder):
        yield from module._collected(kinds, seen)
        return
    for variable in module.variables:
        if id(variable) not in seen and variable.trainable in kinds:
            seen.add(id(variable))
            yield variable


def _with_inner(layer: Any, seen: set[int]) -> Iterator[Holder]:
    """A layer and all layers inside, each once."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    if isinstance(layer, Holder):
        yield layer
        inner = layer._sublayers()
    else:
        inner = [one for one in layer.submodules if isinstance(one, Holder)]
    for one in inner:
        yield from _with_inner(one, seen)


__all__: list[str] = []
