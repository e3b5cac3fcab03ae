"""Knows ops and graphs: what an op is, how a graph is checked, improved, differentiated and turned into kernels."""

if __name__ != "graphjit.compiler":
    raise ImportError(
        "import graphjit.compiler, not compiler: a second copy of this package would hold a second table of ops"
    )
