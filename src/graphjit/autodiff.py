"""gj.autodiff: differentiation, under TensorFlow's namespace."""

from graphjit.tracer.forward import ForwardAccumulator
from graphjit.tracer.tape import GradientTape

__all__ = ["ForwardAccumulator", "GradientTape"]
