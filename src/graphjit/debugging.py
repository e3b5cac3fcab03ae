"""gj.debugging: assertions about tensors, and checks of numbers."""

from graphjit.compiler.ops.checking import *
from graphjit.compiler.ops.typechecks import *
