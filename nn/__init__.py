"""Builds models out of the tracer's parts."""

if __name__ != "graphjit.nn":
    raise ImportError("import graphjit.nn, not nn: a second copy of this package would hold a second table of ops")

from graphjit.nn.functional import *
