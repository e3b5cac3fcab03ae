"""Data sets that lie on this machine; nothing is fetched."""

from . import digits, fashion_mnist, mnist

__all__ = ["digits", "fashion_mnist", "mnist"]
