"""Learning rates that change with the number of steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.reduction import reduce_sum
from graphjit.compiler.ops.rounding import ceil, floor
from graphjit.compiler.ops.selecting import maximum, minimum, where
from graphjit.compiler.ops.transcendental import cos, exp
from graphjit.runtime.errors import InvalidArgumentError

from ..byname import Configurable, deserialize as _deserialize, serialize as _serialize, table_of


class LearningRateSchedule(Configurable):
    """A function from the number of steps so far to a learning rate; it runs inside of compiled steps.

    A subclass defines `__call__(step)`, with `step` a scalar integer tensor.
    """

    def __call__(self, step: Any) -> Any:
        """The rate."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")


def _as_step(step: Any) -> Any:
    return cast(as_operand(step), "float32")


class _Decay(LearningRateSchedule):
    """What decays has in common: the arguments are attributes of the same names."""

    arguments: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {name: getattr(self, name) for name in self.arguments}


class ExponentialDecay(_Decay):
    """initial_learning_rate * decay_rate ** (step / decay_steps), the exponent rounded down if `staircase`.

    >>> print(float(ExponentialDecay(0.5, 10, 0.5)(10)))
    0.25
    """

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def __call__(self, step: Any) -> Any:
        """The rate."""
        done = _as_step(step) / float(self.decay_steps)
        done = floor(done) if self.staircase else done
        return self.initial_learning_rate * exp(done * math.log(self.decay_rate))


class InverseTimeDecay(_Decay):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps)."""

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def __call__(self, step: Any) -> Any:
        """The rate."""
        done = _as_step(step) / float(self.decay_steps)
        done = floor(done) if self.staircase else done
        return self.initial_learning_rate / (1.0 + self.decay_rate * done)


class PolynomialDecay(_Decay):
    """From the initial rate to the end rate within `decay_steps`, by a power of the part that is left."""

    arguments = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power, self.cycle, self.name = end_learning_rate, power, cycle, name

    def __call__(self, step: Any) -> Any:
        """The rate."""
        done, whole = _as_step(step), float(self.decay_steps)
        part = done / (whole * maximum(ceil(done / whole), 1.0)) if self.cycle else minimum(done, whole) / whole
        above = self.initial_learning_rate - self.end_learning_rate
        return above * (1.0 - part) ** self.power + self.end_learning_rate


class PiecewiseConstantDecay(_Decay):
    """values[0] up to and including step boundaries[0], then values[1], and so on."""

    arguments = ("boundaries", "values", "name")

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str | None = None) -> None:
        if len(values) != len(boundaries) + 1:
            raise InvalidArgumentError(
                f"there is one value more than boundaries, but {len(values)} and {len(boundaries)} were given"
            )
        self.boundaries, self.values, self.name = list(boundaries), list(values), name

    def __call__(self, step: Any) -> Any:
        """The rate."""
        done = _as_step(step)
        jumps = np.diff(np.asarray(self.values, np.float32))
        passed = cast(done > np.asarray(self.boundaries, np.float32), "float32")
        return reduce_sum(passed * jumps) + float(self.values[0])


class CosineDecay(_Decay):
    """Half a cosine from the initial rate to alpha times it, after a linear warm-up if wanted (Loshchilov 2016)."""

    arguments = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str | None = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate, self.decay_steps, self.alpha = initial_learning_rate, decay_steps, alpha
        self.name, self.warmup_target, self.warmup_steps = name, warmup_target, warmup_steps

    def _decayed(self, done: Any, start: float) -> Any:
        part = minimum(maximum(done, 0.0), float(self.decay_steps)) / float(self.decay_steps)
        return start * ((1.0 - self.alpha) * 0.5 * (1.0 + cos(math.pi * part)) + self.alpha)

    def __call__(self, step: Any) -> Any:
        """The rate."""
        done = _as_step(step)
        if self.warmup_target is None:
            return self._decayed(done, self.initial_learning_rate)
        warmup = float(self.warmup_steps)
        rise = (self.warmup_target - self.initial_learning_rate) / max(warmup, 1.0)
        rising = self.initial_learning_rate + rise * done
        return where(done < warmup, rising, self._decayed(done - warmup, self.warmup_target))


SCHEDULES = table_of(ExponentialDecay, InverseTimeDecay, PolynomialDecay, PiecewiseConstantDecay, CosineDecay)


def serialize(schedule: Any) -> Any:
    """The schedule as a configuration."""
    return _serialize(schedule)


def deserialize(config: Any) -> Any:
    """The schedule that `serialize` wrote down."""
    return _deserialize(config, SCHEDULES, "learning rate schedule")


__all__ = [
    "CosineDecay",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]
