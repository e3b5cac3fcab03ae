"""gj.sets: sets along the last axis of tensors."""

from graphjit.tracer.sparse.setwise import *
