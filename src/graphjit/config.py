"""`gj.config`: settings of the whole process."""

from graphjit.runtime.kernelcompiler import kernel_compiler, set_kernel_compiler
from graphjit.runtime.threads import number_of_threads, set_number_of_threads
from graphjit.tracer.modes import functions_run_eagerly, run_functions_eagerly

__all__ = [
    "functions_run_eagerly",
    "kernel_compiler",
    "number_of_threads",
    "run_functions_eagerly",
    "set_kernel_compiler",
    "set_number_of_threads",
]
