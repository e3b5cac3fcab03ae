"""`gj.config`: settings of the whole process."""

from graphjit.tracer.modes import functions_run_eagerly, run_functions_eagerly

__all__ = ["functions_run_eagerly", "run_functions_eagerly"]
