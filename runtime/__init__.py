"""Loads kernels and runs numbered steps over buffers; knows nothing of ops or graphs."""

if __name__ != "graphjit.runtime":
    raise ImportError(
        "import graphjit.runtime, not runtime: a second copy of this package would hold a second table of ops"
    )
