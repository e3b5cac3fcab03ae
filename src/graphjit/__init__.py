"""graphjit: functions of tensors, traced once and run as native kernels on the CPU."""

import os as _os
import typing as _typing

# When the layers are links (a checkout), name the real files in tracebacks
# and breakpoints: the folder that one edits comes first.
_link = _os.path.join(_os.path.dirname(__file__), "compiler")
if _os.path.islink(_link):
    __path__.insert(0, _os.path.dirname(_os.path.realpath(_link)))

from graphjit import autodiff, autograph, bitwise, config, debugging, errors, linalg, math, nest, nn, random
from graphjit.compiler.dispatch import set_default_interpreter as _set_default_interpreter
from graphjit.compiler.op import MODULES_LATER as _OP_MODULES_LATER
from graphjit.compiler.ops import (
    arithmetic as _arithmetic,
    arrayfunctions as _arrayfunctions,
    arrayproducts as _arrayproducts,
    arrayreductions as _arrayreductions,
    bitwise as _bitwise,
    broadcasting as _broadcasting,
    casting as _casting,
    comparing as _comparing,
    einsum as _einsum,
    filling as _filling,
    gathering as _gathering,
    grouping as _grouping,
    joining as _joining,
    linear as _linear,
    masking as _masking,
    ordering as _ordering,
    padding as _padding,
    positions as _positions,
    reduction as _reduction,
    rounding as _rounding,
    scanning as _scanning,
    scattering as _scattering,
    selecting as _selecting,
    shaping as _shaping,
    slicing as _slicing,
    subscripts as _subscripts,
    transcendental as _transcendental,
    updating as _updating,
)
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
    string,
    uint8,
    uint16,
    uint32,
    uint64,
)
from graphjit.nn.module import Module
from graphjit.runtime.missing import missing_attribute as _missing_attribute
from graphjit.tracer.autograph.policy import no_convert
from graphjit.tracer.branching import case, cond, switch_case
from graphjit.tracer.callbacks import numpy_function, print_ as print, py_function
from graphjit.tracer.compiling import compile, function
from graphjit.tracer.custom_gradient import custom_gradient, grad_pass_through, recompute_grad
from graphjit.tracer.device import device
from graphjit.tracer.eager import EagerInterpreter as _EagerInterpreter
from graphjit.tracer.exploring import UnrepeatedWarning
from graphjit.tracer.forward import ForwardAccumulator
from graphjit.tracer.function import Function
from graphjit.tracer.lifting import init_scope
from graphjit.tracer.looping import while_loop
from graphjit.tracer.modes import eager_mode, functions_run_eagerly, run_functions_eagerly
from graphjit.tracer.namescope import name_scope
from graphjit.tracer.pinned import ConcreteFunction
from graphjit.tracer.retraces import RetraceWarning
from graphjit.tracer.scanning import foldl, foldr, map_fn, scan, vectorized_map, vmap
from graphjit.tracer.structure import register_structure
from graphjit.tracer.tape import GradientTape
from graphjit.tracer.tensor import Tensor, constant, convert_to_tensor, from_dlpack, is_tensor
from graphjit.tracer.tensorarray import TensorArray
from graphjit.tracer.unconnected import UnconnectedGradients
from graphjit.tracer.variable import Variable

if _typing.TYPE_CHECKING:
    from graphjit import keras, queue, ragged, sets, sparse, strings, train
    from graphjit.nn import data, initializers, losses, metrics, optimizers
    from graphjit.nn.checkpoint import Checkpoint, CheckpointManager
    from graphjit.nn.saving import LoadedModule, load, save
    from graphjit.runtime.buffers import memory_report
    from graphjit.tracer.compare import Comparison, compare
    from graphjit.tracer.explain_gradient import GradientExplanation, explain_gradient
    from graphjit.tracer.ragged.raggedtensor import RaggedTensor
    from graphjit.tracer.sparse.sparsetensor import SparseTensor

_set_default_interpreter(_EagerInterpreter())
_OP_MODULES_LATER.extend(
    f"graphjit.compiler.ops.{name}" for name in ("rows", "setmembers", "sparsity", "stringparts", "strings")
)

__version__ = "0.1.0"

newaxis = None
"""In an index: an axis of size 1."""

__all__ = [
    "Assert",
    "Checkpoint",
    "CheckpointManager",
    "Comparison",
    "ConcreteFunction",
    "DType",
    "ForwardAccumulator",
    "Function",
    "GradientExplanation",
    "GradientTape",
    "LoadedModule",
    "Module",
    "RaggedTensor",
    "RetraceWarning",
    "SparseTensor",
    "Tensor",
    "TensorArray",
    "TensorShape",
    "TensorSpec",
    "UnconnectedGradients",
    "UnrepeatedWarning",
    "Variable",
    "absolute",
    "all",
    "any",
    "arange",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "as_dtype",
    "assert_equal",
    "assert_greater",
    "assert_less",
    "assert_rank",
    "autodiff",
    "autograph",
    "bitwise",
    "bitwise_not",
    "bool",
    "case",
    "clip_by_global_norm",
    "clip_by_norm",
    "compare",
    "compile",
    "complex64",
    "complex128",
    "concatenate",
    "cond",
    "config",
    "constant",
    "convert_to_tensor",
    "custom_gradient",
    "debugging",
    "device",
    "eager_mode",
    "errors",
    "explain_gradient",
    "flip",
    "float16",
    "float32",
    "float64",
    "floor_divide",
    "foldl",
    "foldr",
    "from_dlpack",
    "function",
    "functions_run_eagerly",
    "grad_pass_through",
    "init_scope",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_tensor",
    "linalg",
    "load",
    "map_fn",
    "math",
    "max",
    "mean",
    "memory_report",
    "min",
    "name_scope",
    "nest",
    "newaxis",
    "nn",
    "no_convert",
    "norm",
    "numpy_function",
    "power",
    "print",
    "prod",
    "py_function",
    "queue",
    "ragged",
    "random",
    "range",
    "rank",
    "recompute_grad",
    "reduce_euclidean_norm",
    "reduce_logsumexp",
    "reduce_std",
    "reduce_variance",
    "register_structure",
    "remainder",
    "run_functions_eagerly",
    "save",
    "scan",
    "sets",
    "shape",
    "size",
    "slice",
    "sparse",
    "std",
    "string",
    "strings",
    "sum",
    "switch_case",
    "take",
    "train",
    "true_divide",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "var",
    "vectorized_map",
    "vmap",
    "while_loop",
]
__all__ += _arithmetic.__all__
__all__ += _arrayfunctions.__all__
__all__ += _arrayproducts.__all__
__all__ += _arrayreductions.__all__
__all__ += _bitwise.__all__
__all__ += _broadcasting.__all__
__all__ += _casting.__all__
__all__ += _comparing.__all__
__all__ += _einsum.__all__
__all__ += _filling.__all__
__all__ += _gathering.__all__
__all__ += _grouping.__all__
__all__ += _joining.__all__
__all__ += _linear.__all__
__all__ += _masking.__all__
__all__ += _ordering.__all__
__all__ += _padding.__all__
__all__ += _positions.__all__
__all__ += _reduction.__all__
__all__ += _rounding.__all__
__all__ += _scanning.__all__
__all__ += _scattering.__all__
__all__ += _selecting.__all__
__all__ += _shaping.__all__
__all__ += _slicing.__all__
__all__ += _subscripts.__all__
__all__ += _transcendental.__all__
__all__ += _updating.__all__
# end of __all__


# Loaded when they are first used, as most programs do without.
_LATER = {
    "Comparison": "graphjit.tracer.compare",
    "compare": "graphjit.tracer.compare",
    "GradientExplanation": "graphjit.tracer.explain_gradient",
    "RaggedTensor": "graphjit.tracer.ragged.raggedtensor",
    "SparseTensor": "graphjit.tracer.sparse.sparsetensor",
    "explain_gradient": "graphjit.tracer.explain_gradient",
    "memory_report": "graphjit.runtime.buffers",
    "Checkpoint": "graphjit.nn.checkpoint",
    "CheckpointManager": "graphjit.nn.checkpoint",
    "LoadedModule": "graphjit.nn.saving",
    "load": "graphjit.nn.saving",
    "save": "graphjit.nn.saving",
}
# Whole modules that are loaded when they are first used.
_MODULES_LATER = {
    "data": "graphjit.nn.data",
    "initializers": "graphjit.nn.initializers",
    "keras": "graphjit.keras",
    "losses": "graphjit.nn.losses",
    "metrics": "graphjit.nn.metrics",
    "optimizers": "graphjit.nn.optimizers",
    "train": "graphjit.train",
    "queue": "graphjit.queue",
    "ragged": "graphjit.ragged",
    "sets": "graphjit.sets",
    "sparse": "graphjit.sparse",
    "strings": "graphjit.strings",
}


def __getattr__(name: str) -> object:
    if name not in _LATER and name not in _MODULES_LATER:
        raise _missing_attribute("graphjit", name, __dir__())
    import importlib

    found: object
    if name in _LATER:
        found = getattr(importlib.import_module(_LATER[name]), name)
    else:
        found = importlib.import_module(_MODULES_LATER[name])
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_MODULES_LATER})
