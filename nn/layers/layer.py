"""Layer: what models are built of. Its weights are made at the first call, when the shape of the input is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.sizes import size_along
from graphjit.compiler.tensortype import TensorShape, TensorSpec, as_dtype
from graphjit.runtime.errors import InvalidArgumentError
from graphjit.tracer.attributes import not_listening
from graphjit.tracer.converting import as_called
from graphjit.tracer.lifting import init_scope
from graphjit.tracer.namescope import name_scope
from graphjit.tracer.parts import Parts
from graphjit.tracer.streams import as_before
from graphjit.tracer.structure import flatten, unflatten

from .. import regularizers
from ..byname import Configurable
from ..precision import floatx
from .arguments import as_argument, given_to, parameters_of
from .building import noted
from .connecting import connect, described_results, holds_descriptions, only_call
from .exporting import layer_parts
from .handing import given_masks, hand_on, keep_masks
from .holding import Holder
from .penalties import inside_call, running_call
from .record import Record, facts_of
from .shapes import batch_shape, descriptions, of_any_batch, shapes_of


class Layer(Holder, Configurable):
    """A function with weights, which are made at the first call.

    A subclass defines `call(inputs)`, and `build(input_shape)` if it has weights: there it calls `add_weight`.
    Variables and layers that are attributes, or in lists, tuples and dicts that are attributes, belong to it.

    Args:
      name: by default the class's name in snake_case, with a number behind it from the second one on.
      trainable: whether its weights are trained.
      dtype: of its weights and its computation; by default what `gj.keras.backend.set_floatx` says, float32.
      activity_regularizer: a penalty for what it returns, by name or as a function; it is divided by the batch's size.
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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """A class's own `build` is one that may be called by hand."""
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            setattr(cls, "build", noted(cls.build))  # noqa: B010 -- mypy lets no method be assigned

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
        record.input_shape = batch_shape(input_shape, input_dim, batch_input_shape)
        if activity_regularizer is not None:
            self.activity_regularizer = regularizers.get(activity_regularizer)

    activity_regularizer: Any = None
    supports_masking: bool = False
    """Whether steps that do not count in its input do not count in what it returns either; see `Masking`."""

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
            masks = given_masks(args, kwargs, "mask" in facts_of(type(self)).names)
            args = self._arguments(args)
            self._build_once(args)
            training = self._resolve(kwargs)
        with inside_call(training):
            outputs = as_called(self.call)(*args, **kwargs)
            if self.activity_regularizer is not None:
                self._penalise(outputs)
        with not_listening():
            self._note_shape(outputs)
            self._hand_on(args, masks, outputs)
        return outputs

    def _arguments(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        converted = tuple(as_argument(self, one) for one in args)
        keep_masks(args[:1], converted[:1])
        return converted

    def _hand_on(self, args: tuple[Any, ...], masks: Any, outputs: Any) -> None:
        """Give what `call` returned its masks."""
        hand_on(self, args[0] if args else None, masks, outputs, type(self).compute_mask is not Layer.compute_mask)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Which steps of what the layer returns count, for an input and its mask; by default those of the input."""
        return previous_mask

    def _note_shape(self, outputs: Any) -> None:
        """Remember, for summaries, the shape of what the first call gave; the batch has any size."""
        if self._record.output_shape is None:
            shapes = shapes_of(outputs)
            self._record.output_shape = of_any_batch(shapes)

    def _resolve(self, kwargs: dict[str, Any]) -> Any:
        """Whether this is training; the extra arguments are brought into the form that `call` takes."""
        facts = facts_of(type(self))
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
            penalty = as_called(self.activity_regularizer)(one)
            # One of an example, so that it weighs the same whatever the size of the batch; as in Keras.
            self.add_loss(penalty / cast(size_along(one, 0), penalty.dtype) if one.type.rank else penalty)

    def _build_once(self, args: tuple[Any, ...]) -> None:
        if self.built:
            return
        shape = shapes_of(args[0]) if args else TensorShape(None)
        self._record.input_dtypes = tuple(getattr(one, "dtype", None) for one in flatten(args[:1])[0])
        self.build_with(shape)

    def build_with(self, shape: Any) -> None:
        """Call `build` where no trace sees it, and give the weights what was loaded for them."""
        self._record.built_for = of_any_batch(shape)
        # Where values wait for the weights, those that are drawn here count for nothing.
        drawing = as_before() if self._record.pending else nullcontext()
        with init_scope(), drawing, self._building():
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
            self.build_with(shapes_of(args[0]))

    # --- shapes and configurations ---

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of what the layer returns for an input of a shape, in which the batch may be None."""
        results, structure = self.compute_output_spec(input_shape)
        return unflatten(structure, [one.shape for one in results])

    def compute_output_spec(self, input_shape: Any) -> tuple[list[TensorSpec], Any]:
        """Specifications of what the layer returns, and their structure."""
        described = descriptions(input_shape, self._record.dtype)
        self._build_for_descriptions((described,), {})
        return described_results(self, (described,), {})

    def parts_to_save(self, is_root: bool) -> Parts:
        """What `gj.save` writes: attributes and weights; and the call, where it is what is saved or a model."""
        return layer_parts(self, with_call=is_root)

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
        return {**given_to(self), **({"name": self.name} if "name" in parameters_of(type(self)) else {})}

    @property
    def input(self) -> Any:
        """The description of what the layer was called on, in a functional model or a `Sequential`."""
        node = only_call(self)
        return node.args[0] if len(node.args) == 1 else node.inputs

    @property
    def output(self) -> Any:
        """The description of what the layer gave, for `Model(model.inputs, layer.output)`.

        Raises:
          FailedPreconditionError: if it was not called on a description, or more than once.
        """
        return unflatten(only_call(self).structure, only_call(self).outputs)

    def output_shape_seen(self) -> Any:
        """The shape of what the layer gave when it was first called, None before."""
        return self._record.output_shape

    def __repr__(self) -> str:
        return f"<gj.nn.{type(self).__name__} name={self.name}, built={self.built}>"


def _scope_name(name: str) -> str:
    """The layer's name with only those characters that names of scopes have."""
    allowed = "".join(one if one.isalnum() or one in "_.-/" else "_" for one in name).lstrip("_-/")
    return allowed or "layer"


__all__ = ["Layer"]
