"""Layer: what models are built of. Its weights are made at the first call, when the shape of the input is known."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from graphjit.compiler.operand import Operand, as_operand
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.tensortype import TensorShape, TensorSpec, as_dtype
from graphjit.runtime.errors import FailedPreconditionError, InvalidArgumentError, ShapeError
from graphjit.tracer.attributes import computed_attribute, not_listening
from graphjit.tracer.converting import as_called
from graphjit.tracer.lifting import init_scope
from graphjit.tracer.namescope import name_scope
from graphjit.tracer.state import State
from graphjit.tracer.structure import flatten, unflatten
from graphjit.tracer.variable import Variable

from .. import constraints, initializers, regularizers
from ..byname import Configurable, serialize
from ..module import Module
from ..naming import name_for
from ..precision import floatx
from .connecting import KerasTensor, connect, described_results, holds_descriptions
from .penalties import add_penalty, inside_call, penalties_of, running_call
from .tracking import Path, held

_log = logging.getLogger("graphjit")


@dataclass
class Record:
    """What a layer knows of itself beside its attributes.

    Attributes:
      arguments: those of its constructor.
      weights: what `add_weight` made.
      regularizers: pairs of a weight and what penalises it.
      pending: arrays by path, for weights that do not exist yet.
    """

    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    name: str | None = None
    trainable: bool = True
    dtype: str = ""
    autocast: bool = True
    built: bool = False
    building: bool = False
    has_warned: bool = False
    input_shape: Any = None
    built_for: Any = None
    output_shape: Any = None
    weights: list[Any] = field(default_factory=list)
    regularizers: list[tuple[Any, Callable[[Any], Any]]] = field(default_factory=list)
    pending: dict[Path, np.ndarray[Any, Any]] = field(default_factory=dict)


class CallFacts(NamedTuple):
    """Which extra arguments a layer's `call` takes."""

    names: frozenset[str]
    takes_any: bool


_facts: WeakKeyDictionary[type, CallFacts] = WeakKeyDictionary()


def _facts_of(cls: Any) -> CallFacts:
    found = _facts.get(cls)
    if found is None:
        found = _facts[cls] = _inspected(cls)
    return found


def _inspected(cls: Any) -> CallFacts:
    try:
        parameters = inspect.signature(cls.call).parameters.values()
    except (TypeError, ValueError):
        return CallFacts(frozenset(), True)
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    return CallFacts(frozenset(one.name for one in parameters), takes_any)


class Layer(Module, Configurable):
    """A function with weights, which are made at the first call.

    A subclass defines `call(inputs)`, and `build(input_shape)` if it has weights: there it calls `add_weight`.
    Variables and layers that are attributes, or in lists, tuples and dicts that are attributes, belong to it.

    Args:
      name: by default the class's name in snake_case, with a number behind it from the second one on.
      trainable: whether its weights are trained.
      dtype: of its weights and its computation; by default what `gj.keras.backend.set_floatx` says, float32.
      activity_regularizer: a penalty for what it returns, by name or as a function.
      input_shape, input_dim, batch_input_shape: the shape of one example, or of a batch, for a first layer.
      autocast: whether floats of another dtype are cast to its own.

    >>> import graphjit as gj
    >>> class Scale(gj.nn.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight("factor", shape=[input_shape[-1]], initializer="ones")
    ...     def call(self, inputs):
    ...         return inputs * self.factor
    >>> layer = Scale()
    >>> print(layer([[1.0, 2.0]]).numpy(), [v.name for v in layer.trainable_variables])
    [[1. 2.]] ['scale/factor:0']
    """

    _untracked: frozenset[str] = frozenset({"_record"})
    _record: Record

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """A layer that knows its constructor's arguments, with which `get_config` makes it again."""
        made = super().__new__(cls)
        object.__setattr__(made, "_record", Record((args, kwargs), dtype=floatx()))
        return made

    def __init__(
        self,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        activity_regularizer: Any = None,
        input_shape: Any = None,
        input_dim: int | None = None,
        batch_input_shape: Any = None,
        autocast: bool = True,
        dynamic: bool = False,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise InvalidArgumentError(
                f"{type(self).__name__} does not take {', '.join(map(repr, kwargs))}; every layer takes name, "
                "trainable, dtype, activity_regularizer, input_shape and autocast"
            )
        record = self._record
        record.name = name or record.name
        record.trainable = bool(trainable)
        record.dtype = as_dtype(dtype or floatx()).name
        record.autocast = autocast
        record.input_shape = _batch_shape(input_shape, input_dim, batch_input_shape)
        if activity_regularizer is not None:
            self.activity_regularizer = regularizers.get(activity_regularizer)

    activity_regularizer: Any = None

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
            if isinstance(layer, Layer):
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
        with init_scope():
            value = as_operand(_initial(start, sizes, wanted.name), wanted)
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
        return [one for one in self._sublayers() if isinstance(one, Layer)]

    def _collected(self, trained: bool, seen: set[int]) -> Iterator[Any]:
        """Variables that are trained, or those that are not: own ones first, then those of the layers inside."""
        if id(self) in seen:
            return
        seen.add(id(self))
        inner: list[Any] = []
        for _, value in self.own_items():
            if isinstance(value, Module):
                inner.append(value)
            elif id(value) not in seen and (value.trainable and self.trainable) is trained:
                seen.add(id(value))
                yield value
        for one in inner:
            yield from _variables_inside(one, trained, seen)

    def _listed(self, name: str, trained: bool) -> list[Any]:
        """Variables that are trained, or not; a trace takes note of which they are, not of how they were found."""
        with not_listening():
            found = list(self._collected(trained, set()))
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
        """All variables: the trainable ones first."""
        return [*self.trainable_variables, *self.non_trainable_variables]

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

    # --- calling ---

    def build(self, input_shape: Any) -> None:
        """Make the weights; a subclass calls `add_weight` here. `input_shape` is a `TensorShape`, or a list of them."""
        self.built = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """What the layer computes; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} must define call(inputs)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer: inputs become tensors of its dtype, weights are made if this is the first call.

        `training` and `mask` are handed on where `call` takes them; layers inside get the `training` of the layer
        around them. Raises: whatever `build` and `call` raise, with the layer's name noted.
        """
        if holds_descriptions(args, kwargs):
            self._build_for_descriptions(args, kwargs)
            outputs = connect(self, args, kwargs)
            self._note_shape(outputs)
            return outputs
        with not_listening():
            args = tuple(self._converted(one) for one in args)
            self._build_once(args)
            training = self._resolve(kwargs)
        with inside_call(training):
            outputs = as_called(self.call)(*args, **kwargs)
            if self.activity_regularizer is not None:
                self._penalise(outputs)
        with not_listening():
            self._note_shape(outputs)
        return outputs

    def _note_shape(self, outputs: Any) -> None:
        """Remember, for summaries, the shape of what the first call gave; the batch has any size."""
        if self._record.output_shape is None:
            shapes = _shapes(outputs)
            self._record.output_shape = _of_any_batch(shapes)

    def _resolve(self, kwargs: dict[str, Any]) -> Any:
        """Whether this is training; the extra arguments are brought into the form that `call` takes."""
        facts = _facts_of(type(self))
        training = kwargs.pop("training", None)
        running = running_call()
        if training is None and running is not None:
            training = running.training
        if "training" in facts.names and training is not None:
            kwargs["training"] = training
        if kwargs.get("mask", False) is None or not (facts.takes_any or "mask" in facts.names):
            kwargs.pop("mask", None)
        return training

    def _penalise(self, outputs: Any) -> None:
        for one in flatten(outputs)[0]:
            self.add_loss(as_called(self.activity_regularizer)(one))

    def _converted(self, value: Any) -> Any:
        """An argument with tensors for arrays and numbers, of the layer's dtype if they are floats."""
        if isinstance(value, Operand | State):
            return self._cast(value)
        if isinstance(value, np.ndarray | np.generic | bool | int | float) or _is_numbers(value):
            return self._from_numbers(value)
        if isinstance(value, list | tuple | Mapping):
            leaves, structure = flatten(value)
            return unflatten(structure, [self._converted(leaf) for leaf in leaves])
        return value

    def _cast(self, value: Any) -> Any:
        record = self._record
        name = value.dtype.name
        if name == record.dtype or not record.autocast or not name.startswith("float"):
            return value
        if not record.has_warned and running_call() is None:
            record.has_warned = True
            _log.warning(
                "the layer %r computes in %s and casts its input of %s; make it with dtype=%r, or call "
                "gj.keras.backend.set_floatx(%r), to compute in that",
                self.name,
                record.dtype,
                name,
                name,
                name,
            )
        return cast(value, record.dtype)

    def _from_numbers(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            operand = as_operand(value)
            is_float = operand.dtype.name.startswith("float")
            return cast(operand, self._record.dtype) if is_float and self._record.autocast else operand
        operand = as_operand(value)
        return self._cast_quietly(operand)

    def _cast_quietly(self, operand: Any) -> Any:
        is_other = operand.dtype.name.startswith("float") and operand.dtype.name != self._record.dtype
        return cast(operand, self._record.dtype) if is_other and self._record.autocast else operand

    def _build_once(self, args: tuple[Any, ...]) -> None:
        if self.built:
            return
        shape = _shapes(args[0]) if args else TensorShape(None)
        self.build_with(shape)

    def build_with(self, shape: Any) -> None:
        """Call `build` where no trace sees it, and give the weights what was loaded for them."""
        self._record.built_for = _of_any_batch(shape)
        with init_scope(), self._naming(), self._building():
            self.build(shape)
        self.built = True
        self.restore_pending()

    def _naming(self) -> AbstractContextManager[Any]:
        """Where variables get the layer's name."""
        return name_scope(_scope_name(self.name))

    @contextmanager
    def _building(self) -> Iterator[None]:
        self._record.building = True
        try:
            yield
        finally:
            self._record.building = False

    def _build_for_descriptions(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.built and args:
            self.build_with(_shapes(args[0]))

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
            if share and isinstance(value, Layer):
                value._record.pending.update(share)
                value.restore_pending()

    # --- shapes and configurations ---

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of what the layer returns for an input of a shape, in which the batch may be None."""
        results, structure = self.compute_output_spec(input_shape)
        return unflatten(structure, [one.shape for one in results])

    def compute_output_spec(self, input_shape: Any) -> tuple[list[TensorSpec], Any]:
        """Specifications of what the layer returns, and their structure."""
        described = _descriptions(input_shape, self._record.dtype)
        self._build_for_descriptions((described,), {})
        return described_results(self, (described,), {})

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as numbers, texts, lists and dicts; `from_config` makes an equal layer of them.

        A subclass adds its own arguments to those of `super().get_config()`; where it defines none of this, the
        arguments that it was made with are taken.

        Raises:
          InvalidArgumentError: if one of them cannot be written down.
        """
        base = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if type(self).__init__ is Layer.__init__ or type(self).get_config is not Layer.get_config:
            return base
        return {**_given(self), **({"name": self.name} if "name" in _parameters(type(self)) else {})}

    def output_shape_seen(self) -> Any:
        """The shape of what the layer gave when it was first called, None before."""
        return self._record.output_shape

    def __repr__(self) -> str:
        return f"<gj.nn.{type(self).__name__} name={self.name}, built={self.built}>"


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


def _initial(initializer: Callable[..., Any], sizes: tuple[Any, ...], dtype: str) -> Any:
    """What an initializer gives; one of the user's may take the shape alone."""
    try:
        takes_dtype = len(inspect.signature(initializer).parameters) > 1
    except (TypeError, ValueError):
        takes_dtype = True
    given = initializer(sizes, dtype=dtype) if takes_dtype else initializer(sizes)
    return cast(given, dtype)


def _variables_inside(module: Module, trained: bool, seen: set[int]) -> Iterator[Any]:
    if isinstance(module, Layer):
        yield from module._collected(trained, seen)
        return
    for variable in module.variables:
        if id(variable) not in seen and variable.trainable is trained:
            seen.add(id(variable))
            yield variable


def _with_inner(layer: Any, seen: set[int]) -> Iterator[Layer]:
    """A layer and all layers inside, each once."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    if isinstance(layer, Layer):
        yield layer
        inner = layer._sublayers()
    else:
        inner = [one for one in layer.submodules if isinstance(one, Layer)]
    for one in inner:
        yield from _with_inner(one, seen)


def _is_numbers(value: Any) -> bool:
    """Whether it is a nested list of nothing but numbers, and not empty."""
    if isinstance(value, list | tuple):
        return bool(value) and all(_is_numbers(one) for one in value)
    return isinstance(value, bool | int | float | np.generic)


def _shapes(value: Any) -> Any:
    """The shapes of tensors, in their structure."""
    if isinstance(value, Operand | Variable | KerasTensor):
        return TensorShape(value.shape)
    if isinstance(value, list | tuple):
        return [_shapes(one) for one in value]
    if isinstance(value, Mapping):
        return {name: _shapes(one) for name, one in value.items()}
    return TensorShape(None)


def _of_any_batch(shapes: Any) -> Any:
    if isinstance(shapes, TensorShape):
        return TensorShape([None, *shapes[1:]]) if shapes.rank else shapes
    if isinstance(shapes, list):
        return [_of_any_batch(one) for one in shapes]
    return shapes


def _descriptions(shape: Any, dtype: str) -> Any:
    if isinstance(shape, list | tuple) and any(isinstance(one, list | tuple | TensorShape) for one in shape):
        return [_descriptions(one, dtype) for one in shape]
    return KerasTensor(shape, dtype)


def _batch_shape(input_shape: Any, input_dim: int | None, batch_input_shape: Any) -> Any:
    if batch_input_shape is not None:
        return TensorShape(batch_input_shape)
    if input_shape is None and input_dim is None:
        return None
    sizes = (input_dim,) if input_shape is None else input_shape
    return TensorShape((None, *([sizes] if isinstance(sizes, int) else sizes)))


def _scope_name(name: str) -> str:
    """The layer's name with only those characters that names of scopes have."""
    allowed = "".join(one if one.isalnum() or one in "_.-/" else "_" for one in name).lstrip("_-/")
    return allowed or "layer"


def _parameters(cls: Any) -> frozenset[str]:
    return frozenset(inspect.signature(cls.__init__).parameters)


def _given(layer: Layer) -> dict[str, Any]:
    """The arguments that a layer was made with, by name."""
    args, kwargs = layer._record.arguments
    try:
        bound = inspect.signature(type(layer).__init__).bind(layer, *args, **kwargs)
    except TypeError as error:
        raise InvalidArgumentError(f"{type(layer).__name__}: {error}") from None
    own = dict(list(bound.arguments.items())[1:])
    for name, parameter in bound.signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            own.update(own.pop(name, {}))
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL and own.get(name):
            raise InvalidArgumentError(
                f"{type(layer).__name__} takes any number of positional arguments; give it a get_config()"
            )
    return {name: serialize(value) for name, value in own.items()}


__all__ = ["Layer"]
