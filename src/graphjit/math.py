"""gj.math: the mathematical functions, under TensorFlow's namespace."""

from graphjit.compiler.ops.activations import log_sigmoid, softsign
from graphjit.compiler.ops.arithmetic import *
from graphjit.compiler.ops.casting import *
from graphjit.compiler.ops.checking import is_non_decreasing, is_strictly_increasing
from graphjit.compiler.ops.comparing import *
from graphjit.compiler.ops.grouping import *
from graphjit.compiler.ops.moments import reduce_std, reduce_variance
from graphjit.compiler.ops.neural import in_top_k
from graphjit.compiler.ops.norms import l2_normalize, reduce_euclidean_norm
from graphjit.compiler.ops.ordering import top_k
from graphjit.compiler.ops.positions import *
from graphjit.compiler.ops.reduction import *
from graphjit.compiler.ops.rounding import *
from graphjit.compiler.ops.rounding import isfinite as is_finite, isinf as is_inf, isnan as is_nan
from graphjit.compiler.ops.scanning import *
from graphjit.compiler.ops.selecting import *
from graphjit.compiler.ops.softmax import *
from graphjit.compiler.ops.transcendental import *
