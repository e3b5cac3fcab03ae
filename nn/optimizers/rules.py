"""The optimizers: one class for each published rule, with Keras 3's arguments and numbers."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.ops.arithmetic import pow as power, rsqrt, sqrt, square
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.selecting import maximum
from graphjit.runtime.errors import InvalidArgumentError
from graphjit.tracer.lifting import init_scope
from graphjit.tracer.variable import Variable

from .optimizer import Optimizer


class SGD(Optimizer):
    """w -= rate * g; with momentum v = momentum * v - rate * g and w += v (Sutskever et al. 2013).

    Args:
      learning_rate: 0.01 by default.
      momentum: in [0, 1].
      nesterov: whether the step looks ahead: w += momentum * v - rate * g.
      others: see `Optimizer`.

    >>> import graphjit as gj
    >>> w = gj.Variable(1.0)
    >>> _ = SGD(0.5).apply_gradients([(gj.constant(1.0), w)])
    >>> print(float(w))
    0.5
    """

    slots: tuple[str, ...] = ("momentum",)

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        if not 0 <= momentum <= 1:
            raise InvalidArgumentError(f"SGD: the momentum lies in [0, 1], not at {momentum}")
        self.momentum, self.nesterov = momentum, nesterov
        self.slots = ("momentum",) if momentum else ()

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable by its gradient."""
        if not self.momentum:
            variable.assign_sub(learning_rate * gradient)
            return
        kept = self.slot(variable, "momentum")
        step = kept * self.momentum - gradient * learning_rate
        kept.assign(step)
        variable.assign_add(step * self.momentum - gradient * learning_rate if self.nesterov else step)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}


class RMSprop(Optimizer):
    """Gradients divided by the root of a running mean of their squares (Tieleman and Hinton 2012).

    Args:
      learning_rate: 0.001 by default.
      rho: how much of the mean is kept.
      momentum: of the steps.
      epsilon: added to the mean.
      centered: whether the square of the mean gradient is subtracted.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered
        self.slots = ("velocity", *(("momentum",) if momentum else ()), *(("average",) if centered else ()))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable by its gradient."""
        velocity = self.slot(variable, "velocity")
        velocity.assign(self.rho * velocity + (1.0 - self.rho) * square(gradient))
        spread = velocity + self.epsilon
        if self.centered:
            average = self.slot(variable, "average")
            average.assign(self.rho * average + (1.0 - self.rho) * gradient)
            spread = velocity - square(average.read_value()) + self.epsilon
        step = learning_rate * gradient * rsqrt(spread)
        if self.momentum:
            kept = self.slot(variable, "momentum")
            kept.assign(self.momentum * kept + step)
            step = kept.read_value()
        variable.assign_sub(step)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}
        return {**super().get_config(), **own}


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of their squares so far (Duchi et al. 2011)."""

    slots = ("accumulator",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def first_value(self, name: str) -> float:
        """What the sum starts with."""
        return self.initial_accumulator_value

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable by its gradient."""
        kept = self.slot(variable, "accumulator")
        kept.assign_add(square(gradient))
        variable.assign_sub(learning_rate * gradient / sqrt(kept + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


class Adam(Optimizer):
    """Running means of gradients and of their squares, both corrected for their start (Kingma and Ba 2014).

    Args:
      learning_rate: 0.001 by default.
      beta_1, beta_2: how much of the means is kept.
      epsilon: "epsilon hat" of the paper's section 2.1.
      amsgrad: whether the greatest mean square so far is used (Reddi et al. 2018).
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad
        self.slots = ("momentum", "velocity", *(("velocity_hat",) if amsgrad else ()))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable by its gradient."""
        steps = cast(self.iterations + 1, variable.dtype)
        rate = learning_rate * sqrt(1.0 - power(self.beta_2, steps)) / (1.0 - power(self.beta_1, steps))
        mean, squares = self.slot(variable, "momentum"), self.slot(variable, "velocity")
        mean.assign_add((gradient - mean) * (1.0 - self.beta_1))
        squares.assign_add((square(gradient) - squares) * (1.0 - self.beta_2))
        spread = squares.read_value()
        if self.amsgrad:
            greatest = self.slot(variable, "velocity_hat")
            greatest.assign(maximum(greatest.read_value(), spread))
            spread = greatest.read_value()
        variable.assign_sub(mean * rate / (sqrt(spread) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **own}


class AdamW(Adam):
    """Adam with weight decay apart from the gradients (Loshchilov and Hutter 2019); 0.004 by default."""

    def __init__(self, learning_rate: Any = 0.001, weight_decay: float | None = 0.004, **kwargs: Any) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)


class Nadam(Optimizer):
    """Adam with Nesterov momentum (Dozat 2015): beta_1 * (1 - 0.5 * 0.96 ** step) is the momentum of a step."""

    slots = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        with init_scope():
            self._product = Variable(1.0, trainable=False, name="momentum_product")

    @property
    def variables(self) -> list[Any]:
        """What every optimizer keeps, and the product of the momenta so far."""
        return [*super().variables, self._product]

    def _momentum(self, steps: Any) -> Any:
        return self.beta_1 * (1.0 - 0.5 * power(0.96, steps))

    def before_updates(self) -> None:
        """Take this step's momentum into the product."""
        steps = cast(self.iterations + 1, "float32")
        self._product.assign(self._product * self._momentum(steps))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable by its gradient."""
        dtype = variable.dtype
        steps = cast(self.iterations + 1, dtype)
        now, after = self._momentum(steps), self._momentum(steps + 1.0)
        product = cast(self._product.read_value(), dtype)
        mean, squares = self.slot(variable, "momentum"), self.slot(variable, "velocity")
        mean.assign_add((gradient - mean) * (1.0 - self.beta_1))
        squares.assign_add((square(gradient) - squares) * (1.0 - self.beta_2))
        ahead = after * mean / (1.0 - product * after) + (1.0 - now) * gradient / (1.0 - product)
        spread = squares / (1.0 - power(self.beta_2, steps))
        variable.assign_sub(ahead * learning_rate / (sqrt(spread) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


class Adamax(Optimizer):
    """Adam with the greatest gradient in place of the mean square (Kingma and Ba 2014, section 7)."""

    slots = ("momentum", "norm")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable by its gradient."""
        steps = cast(self.iterations + 1, variable.dtype)
        mean, norm = self.slot(variable, "momentum"), self.slot(variable, "norm")
        mean.assign_add((gradient - mean) * (1.0 - self.beta_1))
        norm.assign(maximum(self.beta_2 * norm, abs(gradient)))
        rate = learning_rate / (1.0 - power(self.beta_1, steps))
        variable.assign_sub(rate * mean / (norm + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


class Adadelta(Optimizer):
    """Steps in the units of the variable: roots of running means of squared steps and gradients (Zeiler 2012)."""

    slots = ("gradients", "steps")

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho, self.epsilon = rho, epsilon

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable by its gradient."""
        gradients, steps = self.slot(variable, "gradients"), self.slot(variable, "steps")
        gradients.assign(self.rho * gradients + (1.0 - self.rho) * square(gradient))
        step = sqrt(steps + self.epsilon) * gradient / sqrt(gradients + self.epsilon)
        steps.assign(self.rho * steps + (1.0 - self.rho) * square(step))
        variable.assign_sub(learning_rate * step)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}


__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Nadam", "RMSprop"]
