"""`assert`, `raise` and `print` where they depend on traced values: they happen when the compiled function runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.compiler.location import describe, user_location
from graphjit.compiler.ops.raising import raise_unless
from graphjit.runtime.errors import UnimplementedError

from .branching import ArmEndedError
from .changes import arms
from .values import condition, is_traced


def assert_(test: Any, message: Callable[[], Any] | None) -> None:
    """`assert test, message`.

    Raises:
      AssertionError: if it does not hold; when the function runs, if it is a traced value.
    """
    if is_traced(test):
        holds = condition(test, "the condition of `assert`")
        raise_unless(holds, AssertionError(*_arguments(message)), _place())
    elif not test:
        raise AssertionError(*_arguments(message))


def _arguments(message: Callable[[], Any] | None) -> tuple[Any, ...]:
    return () if message is None else (message(),)


def _place() -> str:
    return f"raised in a compiled function, at {describe(user_location())}"


def raised(error: Any, is_caught: bool = False) -> BaseException:
    """What `raise error` raises: inside of a branch or loop on traced values a sign that the block ends there.

    Raises:
      UnimplementedError: if `is_caught`: an `except` around cannot catch what is raised later.
    """
    if not arms():
        return error  # type: ignore[no-any-return]  # whatever it is, `raise` will say
    if is_caught:
        raise UnimplementedError(
            "an error is raised under a condition that is only known when the function runs, and an `except` around is "
            "to catch it: that cannot be compiled. Compute both cases, or catch the error around the compiled call"
        )
    raise_unless(np.array(False), error() if isinstance(error, type) else error, _place())
    return ArmEndedError()


__all__: list[str] = []
