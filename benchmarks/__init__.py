"""Benchmarks: graphjit, its peers on a CPU, and a C limit, side by side in one run."""

# a checkout's top folder is one of the places where Python looks for parts of graphjit
if __name__ != "benchmarks":
    raise ImportError("the benchmarks are no part of graphjit: run `python -m benchmarks` in the repository's root")
