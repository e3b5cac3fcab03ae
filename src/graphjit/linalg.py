"""gj.linalg: linear algebra, under TensorFlow's namespace."""

from graphjit.compiler.ops.clipping import global_norm
from graphjit.compiler.ops.decomposition import *
from graphjit.compiler.ops.diagonals import band_part, diag, diag_part, set_diag
from graphjit.compiler.ops.einsum import einsum
from graphjit.compiler.ops.filling import eye
from graphjit.compiler.ops.linear import matmul, matvec, tensordot
from graphjit.compiler.ops.norms import l2_normalize, norm
