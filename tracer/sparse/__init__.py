"""Sparse tensors: the elements that are not zero, and where they stand."""
