"""The ways to run a graph: native kernels, or equation by equation with NumPy."""
