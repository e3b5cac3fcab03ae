"""gj.strings: tensors of strings."""

from graphjit.compiler.ops.strings import *
