"""`gj.autograph`: the conversion of Python control flow to graph control flow."""

from graphjit.tracer.autograph.options import set_loop_options
from graphjit.tracer.autograph.policy import converted, no_convert, no_convert as do_not_convert, unconverted
from graphjit.tracer.autograph.unrolling import UnrolledLoopWarning
from graphjit.tracer.inspecting import to_code

__all__ = [
    "UnrolledLoopWarning",
    "converted",
    "do_not_convert",
    "no_convert",
    "set_loop_options",
    "to_code",
    "unconverted",
]
