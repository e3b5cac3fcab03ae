"""gj.sparse: tensors most of whose elements are zero."""

from graphjit.tracer.sparse.arithmetic import *
from graphjit.tracer.sparse.arranging import *
from graphjit.tracer.sparse.making import *
from graphjit.tracer.sparse.sparsetensor import SparseTensor
