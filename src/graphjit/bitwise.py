"""gj.bitwise: the bits of integers, under TensorFlow's namespace."""

from graphjit.compiler.ops.bitwise import *
