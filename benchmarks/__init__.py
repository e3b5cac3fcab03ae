"""Benchmarks: graphjit, its peers on a CPU, and a C limit, side by side in one run."""
