"""graphjit: functions of tensors, traced once and run as native kernels on the CPU."""

import os as _os

# When the layers are links (a checkout), name the real files in tracebacks
# and breakpoints: the folder that one edits comes first.
_link = _os.path.join(_os.path.dirname(__file__), "compiler")
if _os.path.islink(_link):
    __path__.insert(0, _os.path.dirname(_os.path.realpath(_link)))

from graphjit import autodiff, autograph, bitwise, config, debugging, errors, linalg, math, nest, nn, random
from graphjit.compiler.dispatch import set_default_interpreter as _set_default_interpreter
from graphjit.compiler.ops.arithmetic import *
from graphjit.compiler.ops.arithmetic import (
    abs as absolute,
    divide as true_divide,
    floordiv as floor_divide,
    mod as remainder,
    pow as power,
)
from graphjit.compiler.ops.arrayfunctions import *
from graphjit.compiler.ops.arrayfunctions import numpy_flip as flip, numpy_take as take
from graphjit.compiler.ops.arrayproducts import *
from graphjit.compiler.ops.arrayreductions import *
from graphjit.compiler.ops.bitwise import *
from graphjit.compiler.ops.bitwise import invert as bitwise_not
from graphjit.compiler.ops.broadcasting import *
from graphjit.compiler.ops.casting import *
from graphjit.compiler.ops.checking import Assert, assert_equal, assert_greater, assert_less
from graphjit.compiler.ops.clipping import clip_by_global_norm, clip_by_norm
from graphjit.compiler.ops.comparing import *
from graphjit.compiler.ops.dynamicslices import slice_ as slice
from graphjit.compiler.ops.einsum import *
from graphjit.compiler.ops.filling import *
from graphjit.compiler.ops.filling import range_ as arange, range_ as range
from graphjit.compiler.ops.gathering import *
from graphjit.compiler.ops.grouping import *
from graphjit.compiler.ops.joining import *
from graphjit.compiler.ops.joining import concat as concatenate
from graphjit.compiler.ops.linear import *
from graphjit.compiler.ops.masking import *
from graphjit.compiler.ops.moments import reduce_std, reduce_std as std, reduce_variance, reduce_variance as var
from graphjit.compiler.ops.norms import norm, reduce_euclidean_norm
from graphjit.compiler.ops.ordering import *
from graphjit.compiler.ops.padding import *
from graphjit.compiler.ops.positions import *
from graphjit.compiler.ops.reduction import *
from graphjit.compiler.ops.reduction import (
    reduce_all as all,
    reduce_any as any,
    reduce_max as max,
    reduce_mean as mean,
    reduce_min as min,
    reduce_prod as prod,
    reduce_sum as sum,
)
from graphjit.compiler.ops.rounding import *
from graphjit.compiler.ops.scanning import *
from graphjit.compiler.ops.scattering import *
from graphjit.compiler.ops.selecting import *
from graphjit.compiler.ops.shaping import *
from graphjit.compiler.ops.sizes import rank_of as rank, shape_of as shape, size_of as size
from graphjit.compiler.ops.slicing import *
from graphjit.compiler.ops.softmax import reduce_logsumexp
from graphjit.compiler.ops.sources import *
from graphjit.compiler.ops.subscripts import *
from graphjit.compiler.ops.transcendental import *
from graphjit.compiler.ops.transcendental import (
    acos as arccos,
    acosh as arccosh,
    asin as arcsin,
    asinh as arcsinh,
    atan as arctan,
    atan2 as arctan2,
    atanh as arctanh,
)
from graphjit.compiler.ops.typechecks import assert_rank
from graphjit.compiler.ops.updating import *
from graphjit.compiler.tensortype import (
    DType,
    TensorShape,
    TensorSpec,
    as_dtype,
    bool_ as bool,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from graphjit.nn.module import Module
from graphjit.tracer.compare import Comparison, compare
from graphjit.tracer.compiling import compile, function
from graphjit.tracer.custom_gradient import custom_gradient, grad_pass_through, recompute_grad
from graphjit.tracer.device import device
from graphjit.tracer.eager import EagerInterpreter as _EagerInterpreter
from graphjit.tracer.explain_gradient import GradientExplanation, explain_gradient
from graphjit.tracer.exploring import UnrepeatedWarning
from graphjit.tracer.forward import ForwardAccumulator
from graphjit.tracer.function import Function
from graphjit.tracer.modes import eager_mode, functions_run_eagerly, run_functions_eagerly
from graphjit.tracer.namescope import name_scope
from graphjit.tracer.pinned import ConcreteFunction
from graphjit.tracer.retraces import RetraceWarning
from graphjit.tracer.structure import register_structure
from graphjit.tracer.tape import GradientTape
from graphjit.tracer.tensor import Tensor, constant, convert_to_tensor, from_dlpack, is_tensor
from graphjit.tracer.unconnected import UnconnectedGradients
from graphjit.tracer.variable import Variable

_set_default_interpreter(_EagerInterpreter())

__version__ = "0.1.0"
