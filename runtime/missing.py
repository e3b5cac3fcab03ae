"""The error for a name that a module does not have, with the names that are similar."""

from __future__ import annotations

from collections.abc import Iterable


def missing_attribute(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """What the module's `__getattr__` raises.

    >>> print(missing_attribute("gj.nn", "rellu", ["relu", "tanh"]))
    module 'gj.nn' has no attribute 'rellu'; did you mean 'relu'?
    """
    message = f"module {module!r} has no attribute {name!r}"
    if not name.startswith("_"):
        # only where there is something to say, as `import graphjit` stays quick
        import difflib

        near = difflib.get_close_matches(name, [one for one in known if not one.startswith("_")], n=3, cutoff=0.7)
        message += f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    return AttributeError(message)


__all__: list[str] = []
