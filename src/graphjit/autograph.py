"""`gj.autograph`: what is traced of a function."""

from graphjit.tracer.inspecting import to_code

__all__ = ["to_code"]
