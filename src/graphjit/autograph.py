"""`gj.autograph`: the conversion of Python control flow to graph control flow."""

from types import SimpleNamespace as _SimpleNamespace

from graphjit.tracer.autograph.options import set_loop_options
from graphjit.tracer.autograph.policy import converted, no_convert, no_convert as do_not_convert, unconverted
from graphjit.tracer.inspecting import to_code
from graphjit.tracer.unrolling import UnrolledLoopWarning

experimental = _SimpleNamespace(do_not_convert=do_not_convert, set_loop_options=set_loop_options)
"""The same under the names that TensorFlow has for them."""

__all__ = [
    "UnrolledLoopWarning",
    "converted",
    "do_not_convert",
    "experimental",
    "no_convert",
    "set_loop_options",
    "to_code",
    "unconverted",
]
