"""gj.ragged: tensors with rows of different lengths."""

from graphjit.tracer.ragged.making import *
from graphjit.tracer.ragged.raggedtensor import RaggedTensor
