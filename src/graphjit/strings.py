"""gj.strings: tensors of strings."""

from graphjit.compiler.ops.strings import *
from graphjit.tracer.ragged.text import *
