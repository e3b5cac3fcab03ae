"""Optimizers: what is done with gradients. Their state is variables, so they run eagerly and in compiled steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from weakref import ref

import numpy as np

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.clipping import clip_by_global_norm, clip_by_norm
from graphjit.compiler.ops.selecting import clip_by_value
from graphjit.runtime.errors import GradientError, InvalidArgumentError
from graphjit.tracer.attributes import not_listening
from graphjit.tracer.lifting import init_scope
from graphjit.tracer.state import State
from graphjit.tracer.tape import GradientTape
from graphjit.tracer.variable import Variable

from ..byname import Configurable, serialize
from ..module import snake_case
from .schedules import LearningRateSchedule, deserialize as deserialize_schedule


class Optimizer(Configurable):
    """Changes variables by their gradients.

    A subclass defines `update_step(gradient, variable, learning_rate)`, and names in `slots` what it keeps for each
    variable: `self.slot(variable, name)` is a variable of the same shape, which starts with zeros.

    Args:
      learning_rate: a number, a `LearningRateSchedule`, or a function without arguments.
      name: by default the class's name in snake_case.
      weight_decay: before its update a variable loses this part of itself, times the learning rate.
      clipnorm: the greatest norm of each gradient.
      clipvalue: the greatest element of each gradient.
      global_clipnorm: the greatest norm of all gradients together.
    """

    slots: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: Any = 0.001,
        name: str | None = None,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        lr: Any = None,
        **kwargs: Any,
    ) -> None:
        _require_known(type(self).__name__, kwargs)
        if sum(one is not None for one in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise InvalidArgumentError("give one of clipnorm, clipvalue and global_clipnorm, not several")
        self.name = name or snake_case(type(self).__name__)
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self._rate: Any = None
        self._slots: dict[int, tuple[Any, dict[str, Any]]] = {}
        self._expected: dict[tuple[str, ...], np.ndarray[Any, Any]] = {}
        with init_scope():
            self.iterations = Variable(np.int64(0), trainable=False, name="iterations")
        self.learning_rate = learning_rate if lr is None else lr

    # --- the learning rate ---

    @property
    def learning_rate(self) -> Any:
        """The rate, as a variable that can be assigned to; of a schedule or function what it gives now."""
        rate = self._rate
        if isinstance(rate, State):
            return rate
        return rate(self.iterations.read_value()) if isinstance(rate, LearningRateSchedule) else rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, dict):
            value = deserialize_schedule(value)
        if isinstance(value, LearningRateSchedule) or (callable(value) and not isinstance(value, State)):
            self._rate = value
        elif isinstance(self._rate, Variable):
            self._rate.assign(_as_rate(value))
        else:
            with init_scope():
                self._rate = Variable(_as_rate(value), trainable=False, name="learning_rate")

    lr = learning_rate

    # --- state ---

    @property
    def variables(self) -> list[Any]:
        """The number of steps, the learning rate if it is a number, and what is kept for each variable."""
        rate = [self._rate] if isinstance(self._rate, State) else []
        kept = [one for _, slots in self._slots.values() for one in slots.values()]
        return [self.iterations, *rate, *kept]

    def own_items(self) -> Iterator[tuple[tuple[str, ...], Any]]:
        """Pairs of path and variable, for checkpoints: variables of the optimizer's own, then slots in their order."""
        for name, value in vars(self).items():
            if isinstance(value, State):
                yield (name,), value
        for number, (_, slots) in enumerate(self._slots.values()):
            for name, value in slots.items():
                yield ("slots", str(number), name), value

    def expect(self, values: Mapping[tuple[str, ...], np.ndarray[Any, Any]]) -> None:
        """Take values, by their paths, for slots of variables that were not seen yet."""
        self._expected.update(values)

    def build(self, var_list: Iterable[Any]) -> None:
        """Make what is kept for these variables; the first step does so by itself."""
        with not_listening():
            for variable in var_list:
                self._slots_of(variable)

    def slot(self, variable: Any, name: str) -> Any:
        """What the optimizer keeps for a variable under a name."""
        with not_listening():
            return self._slots_of(variable)[name]

    def _slots_of(self, variable: Any) -> dict[str, Any]:
        key = id(variable)
        found = self._slots.get(key)
        if found is not None and found[0]() is variable:
            return found[1]
        with init_scope():
            made = {name: self._new_slot(variable, name, len(self._slots)) for name in self.slots}
        self._slots[key] = (ref(variable, lambda _: self._slots.pop(key, None)), made)
        return made

    def _new_slot(self, variable: Any, name: str, number: int) -> Any:
        array = self._expected.pop(("slots", str(number), name), None)
        if array is None:
            array = np.full(variable.array.shape, self.first_value(name), variable.array.dtype)
        elif array.shape != variable.array.shape or array.dtype != variable.array.dtype:
            raise InvalidArgumentError(
                f"what {self.name!r} kept as {name!r} for its variable {number} has shape {array.shape}, but "
                f"{variable.name!r} has shape {variable.array.shape}; restore it for the model that it was saved with"
            )
        stem = variable.name.removesuffix(":0")
        return Variable(array, trainable=False, name=f"{self.name}/{name}/{stem}")

    def first_value(self, name: str) -> float:
        """What a slot starts with."""
        return 0.0

    # --- steps ---

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable by its gradient."""
        raise NotImplementedError(f"{type(self).__name__} must define update_step(gradient, variable, learning_rate)")

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]], name: str | None = None, **_: Any) -> Any:
        """Change variables by gradients.

        Args:
          grads_and_vars: pairs of gradient and variable; pairs whose gradient is None are left out.

        Returns:
          The number of steps, `iterations`.

        Raises:
          GradientError: if every gradient is None.
        """
        pairs = [(gradient, variable) for gradient, variable in grads_and_vars]
        present = [pair for pair in pairs if pair[0] is not None]
        if not present:
            names = ", ".join(variable.name for _, variable in pairs)
            raise GradientError(
                f"{self.name}: no variable has a gradient ({names}): the loss does not depend on them, or was computed "
                "outside of the tape; tape.explain(loss, variable) says why"
            )
        self.apply([gradient for gradient, _ in present], [variable for _, variable in present])
        return self.iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any]) -> None:
        """Change variables by gradients, of which none is None."""
        self.build(trainable_variables)
        rate = as_operand(self.learning_rate)
        gradients = self._clipped([as_operand(gradient) for gradient in grads])
        self.before_updates()
        for gradient, variable in zip(gradients, trainable_variables, strict=True):
            own = cast(rate, variable.dtype)
            if self.weight_decay:
                variable.assign_sub(variable * own * self.weight_decay)
            self.update_step(gradient, variable, own)
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.read_value()))
        self.iterations.assign_add(1)

    def before_updates(self) -> None:
        """Called once in each step, before the variables are changed."""

    def _clipped(self, gradients: list[Any]) -> list[Any]:
        if self.clipnorm is not None:
            return [clip_by_norm(one, self.clipnorm) for one in gradients]
        if self.clipvalue is not None:
            return [clip_by_value(one, -self.clipvalue, self.clipvalue) for one in gradients]
        if self.global_clipnorm is not None:
            return list(clip_by_global_norm(gradients, self.global_clipnorm)[0])
        return gradients

    def minimize(self, loss: Any, var_list: Any, tape: GradientTape | None = None) -> Any:
        """Compute the gradients of a loss and apply them.

        Args:
          loss: a function without arguments; or a tensor, with the tape that recorded it.
          var_list: variables, or a function that gives them.
        """
        if callable(loss):
            with GradientTape() as tape:
                value = loss()
        elif tape is None:
            raise InvalidArgumentError("minimize: a loss that is a tensor needs the tape that recorded it")
        else:
            value = loss
        variables = list(var_list() if callable(var_list) else var_list)
        return self.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))

    # --- configurations ---

    def get_config(self) -> dict[str, Any]:
        """The arguments that every optimizer has."""
        rate = self._rate
        return {
            "name": self.name,
            "learning_rate": float(rate) if isinstance(rate, Variable) else serialize(rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
        }

    def __repr__(self) -> str:
        return f"<gj.nn.optimizers.{type(self).__name__} name={self.name}>"


_IGNORED = frozenset({"decay", "jit_compile", "is_legacy_optimizer"})


def _require_known(name: str, kwargs: dict[str, Any]) -> None:
    unknown = [one for one in kwargs if one not in _IGNORED or (one == "decay" and kwargs[one])]
    if unknown:
        raise InvalidArgumentError(
            f"{name} does not take {', '.join(map(repr, unknown))}; learning rates that decay are schedules, such as "
            "gj.keras.optimizers.schedules.InverseTimeDecay"
        )


def _as_rate(value: Any) -> np.ndarray[Any, Any]:
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value, np.float32)


__all__ = ["Optimizer"]
