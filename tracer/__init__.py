"""Turns Python into graphs: tensors, variables, the tape, compile."""

if __name__ != "graphjit.tracer":
    raise ImportError(
        "import graphjit.tracer, not tracer: a second copy of this package would hold a second table of ops"
    )
