"""Ragged tensors: tensors with rows of different lengths."""
