"""`gj.nest`: nested structures, under TensorFlow's names."""

from graphjit.tracer.nest import *
from graphjit.tracer.nest import __all__ as __all__
