"""Compiled functions as methods: each object has traces of its own, which die with it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol
from weakref import ref


class Bindable(Protocol):
    """A compiled function, as far as binding it to objects is concerned."""

    __name__: str
    python_function: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def for_instance(self, instance: Any) -> Bindable: ...


class Method:
    """A compiled function bound to an object; the function's own attributes are found here too."""

    __slots__ = ("__self__", "__weakref__", "_function")

    def __init__(self, function: Bindable, instance: Any) -> None:
        self._function = function
        self.__self__ = instance

    @property
    def __func__(self) -> Callable[..., Any]:
        """The Python function, as bound methods of Python have it."""
        return self._function.python_function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with the object before the arguments."""
        return self._function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def __reduce__(self) -> Any:
        return getattr, (self.__self__, self._function.__name__)

    def __repr__(self) -> str:
        return f"<bound {self._function!r} of {type(self.__self__).__qualname__}>"


class Methods:
    """The methods of one function. For each object it keeps, weakly, a function with traces of its own."""

    def __init__(self) -> None:
        self._functions: dict[int, tuple[ref[Any], Bindable]] = {}
        self._methods: dict[int, ref[Method]] = {}

    def of(self, instance: Any, function: Bindable) -> Any:
        """The function as a method of an object: the same thing for as long as somebody holds it."""
        held = self._methods.get(id(instance))
        method = None if held is None else held()
        if method is None or method.__self__ is not instance:
            own = self._own_function(instance, function)
            if own is None:
                return functools.partial(function, instance)
            method = Method(own, instance)
            self._methods[id(instance)] = ref(method)
        return method

    def _own_function(self, instance: Any, function: Bindable) -> Bindable | None:
        """The object's function; None where it allows no weak references, and is an argument like any other."""
        key = id(instance)
        found = self._functions.get(key)
        if found is not None and found[0]() is instance:
            return found[1]
        try:
            reference = ref(instance, functools.partial(self._drop, key))
        except TypeError:
            return None
        own = function.for_instance(instance)
        self._functions[key] = (reference, own)
        return own

    def _drop(self, key: int, reference: ref[Any]) -> None:
        found = self._functions.get(key)
        if found is not None and found[0] is reference:
            del self._functions[key]
            self._methods.pop(key, None)


__all__: list[str] = []
