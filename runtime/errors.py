"""Every exception that graphjit raises on purpose, with its cause and its remedy.

All of them derive from `GraphjitError`; those that a Python programmer would
also look for under a built-in name (`ValueError`, `TypeError`, `IndexError`)
derive from that one too, so that both `except` clauses work.
"""

from __future__ import annotations

from collections.abc import Callable

_observers: list[Callable[[GraphjitError], None]] = []


def observe_errors(observer: Callable[[GraphjitError], None]) -> None:
    """Let `observer` note on every new error where the user is; this layer does not know how to find that out."""
    _observers[:] = [observer]


class GraphjitError(Exception):
    """Anything that graphjit raises on purpose.

    `location` is the user's line (an object whose text names it), `entry` the public function that the user
    called there; both are part of the message.
    """

    location: object = None
    entry: str = ""
    pinned: bool = False
    """Whether the location is that of the failing equation, which outer layers must not replace."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        for observer in _observers:
            observer(self)

    @property
    def message(self) -> str:
        """What is said, without the function's name and the location: for an error that says it again."""
        return super().__str__()

    def __str__(self) -> str:
        message = self.message
        if self.entry and self.entry not in message:
            message = f"{self.entry}: {message}"
        return message if self.location is None else f"{message}\n  at {self.location}"


class InvalidArgumentError(GraphjitError, ValueError):
    """An argument's value, shape or structure does not fit.

    Cause: for example `matmul` of shapes (2, 3) and (2, 3).
    Remedy: the message names the op, the shapes and the line; reshape or transpose there.
    """


class ShapeError(InvalidArgumentError):
    """Two shapes, or a shape and an axis, do not go together."""


class DtypeError(InvalidArgumentError, TypeError):
    """A dtype does not fit, most often float32 beside float64.

    Cause: graphjit never promotes one tensor's dtype to another's silently.
    Remedy: `gj.cast(b, a.dtype)` at the line that the message names.
    """


class OutOfRangeError(InvalidArgumentError, IndexError):
    """An index lies outside of its axis, or an iterator is exhausted."""


class DivisionByZeroError(InvalidArgumentError, ZeroDivisionError):
    """An integer was divided by zero."""


class FailedPreconditionError(GraphjitError, RuntimeError):
    """A thing was used before it was ready, or after it was closed."""


class MutationError(GraphjitError, TypeError, RuntimeError):
    """Python's syntax for changing a thing in place was used on a tensor or a variable.

    Cause: `v += 1` or `v[0] = 4`.
    Remedy: `v.assign_add(1)`, `v[0].assign(4)`; for tensors `gj.tensor_scatter_nd_update`.
    """


class LengthError(GraphjitError, TypeError):
    """The length of something was asked for that has no end, or an end that nobody knows.

    Cause: `len(dataset)` of a repeated or filtered dataset.
    Remedy: `dataset.cardinality()`, or `take(count)`.
    """


class IdentityError(GraphjitError, TypeError):
    """A tensor or a variable was used as a key, though == compares its elements.

    Remedy: use `x.ref()` as the key.
    """


class NotFoundError(GraphjitError, LookupError):
    """A named thing does not exist."""


class UnimplementedError(GraphjitError, NotImplementedError):
    """The request is meaningful and not supported; the message says what to use instead."""


class ResourceExhaustedError(GraphjitError, MemoryError):
    """A size would exceed the memory that is there or allowed."""


class CancelledError(GraphjitError, RuntimeError):
    """Something was called off before it was done: a queue was closed."""


class DeadlineExceededError(GraphjitError, TimeoutError):
    """What was waited for did not come in the time that was given for it."""


class GradientError(GraphjitError, LookupError):
    """An op on the path has no gradient rule.

    Remedy: `gj.stop_gradient` around it, or `gj.custom_gradient` to supply the rule.
    """


class ScopeError(GraphjitError, TypeError):
    """A value that was traced inside a compiled function was used after its trace had ended.

    Cause: it was kept in an attribute, a global or a list.
    Remedy: return it from the function, or keep state in a `gj.Variable`.
    """


class TraceError(GraphjitError, TypeError):
    """Python asked a traced value for something that only exists when the function runs."""


class SignatureError(GraphjitError, TypeError):
    """A call does not fit the function's signature, or an argument cannot be part of one."""


class VerificationError(GraphjitError, AssertionError):
    """A graph breaks one of the rules of graphs: a defect of a pass, not of the user's program."""


class FormatError(GraphjitError, ValueError):
    """A text or file that should hold a graph or a tensor does not."""


class KernelError(GraphjitError, RuntimeError):
    """A kernel could not be compiled or loaded: a defect of graphjit; the message holds the kernel's text."""
