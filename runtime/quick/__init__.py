"""Calls that run from their arguments to their results without Python."""
