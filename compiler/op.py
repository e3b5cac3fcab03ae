"""What an op is: one value that holds every facet the library knows of it.

An op is declared once, in the file of its family, with `declare` or with one of
the family factories. Everything else (eager mode, tracing, gradients, passes,
kernels, the table-driven tests) reads the declaration; nothing keeps a second
table of ops. This module knows no op by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from importlib import import_module
from typing import Any, Final

from graphjit.runtime.errors import GraphjitError, InvalidArgumentError, NotFoundError
from graphjit.runtime.fields import dataclass, field

from .batchrules import BatchRule
from .tensortype import TensorType


class Kind(StrEnum):
    """How fusion and emission treat an op; they look at the kind, never at the name."""

    ELEMENTWISE = "elementwise"  # one result per element, operands broadcast
    REDUCTION = "reduction"  # combines the elements along `axis`
    VIEW = "view"  # the same elements, seen with other strides
    CONTRACTION = "contraction"  # a matrix product
    INDEXING = "indexing"  # elements picked or put by computed positions
    JOIN = "join"  # whole operands put at fixed places of the result
    SOURCE = "source"  # makes values from attributes only
    COMPOSED = "composed"  # defined by other ops
    CALL = "call"  # runs as a NumPy step
    CONTROL = "control"  # holds sub-graphs


class Differentiability(StrEnum):
    """What stands in for gradient rules where an op has none."""

    NONE = "none"  # flat or discrete: gradients through it are None
    MISSING = "missing"  # no rule is known: reaching it is an error


Infer = Callable[..., tuple[TensorType, ...]]
Rule = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Pullback:
    """A gradient rule that gives the cotangents of all operands at once.

    `function(wanted, g, y, *operands, **attributes)` returns a sequence with one cotangent, or None,
    for each operand; `wanted` is a tuple of booleans that says which of them will be looked at.
    """

    function: Callable[..., Sequence[Any]]


Gradient = Sequence[Rule | None] | Rule | Pullback | Differentiability


@dataclass(frozen=True, slots=True)
class Piece:
    """A box of a join's result, and the operand that is written there.

    Element (i, j, ...) of the operand goes to `(starts[0] + i * steps[0], starts[1] + j * steps[1], ...)`;
    the operand has shape `sizes`, or it is a scalar that fills the box. Pieces are written in
    order: a later one overwrites. Together they cover the result.
    """

    operand: int
    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Example:
    """Arguments with which the tests exercise an op.

    `operands` are texts such as "f32[2,3]" or "f64[4] in (0, 1)", or arrays or numbers as they are.
    """

    operands: tuple[Any, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    differentiable: bool = True


@dataclass(frozen=True, eq=False)
class Op:
    """One operation on tensors.

    Facets:
      infer: `(operand types, **attributes) -> types of the outputs`; raises ShapeError or DtypeError.
      numpy: `(arrays, **attributes) -> array or tuple of arrays`; the meaning in eager mode.
        Its results have the inferred dtypes and never share memory with the operands unless
        the op is a view.
      gradient: for each operand a rule `(g, y, *operands, **attributes) -> cotangent` written with
        public ops (g and y are tuples where the op has several outputs), or None for an operand
        that gets no gradient. An op of any number of operands has one rule for all of them, a function
        `(position, g, y, *operands, **attributes)`.
      kernel: for elementwise ops the expression of one element, a text with `{0}`, `{1}` for the operands
        in the kernel language, or a function of (operand types, attributes) that returns such a text;
        for reductions a `ReductionKernel`,
        for views `(layout, type, **attributes) -> layout or None`; None: it runs as a NumPy step.
      kernel_check: an expression in the same form that is true where an element is an error
        (a zero divisor); as a function it may return None for operands with which no element can be one.
      error: what is then said; `{0}`, `{1}` in it are the element's values, of integer operands,
        and names are those of attributes.
      error_type: the exception that then is raised.
      index_kernel: "gather" or "add", for ops whose operands are elements and indices along `axis`, which may be
        read, or added to, in a kernel.
      pieces: for joins, `(operand types, **attributes) -> list of Piece`, for static types.
      batch: how it is done for many operands at once, see `batchrules`; None: as ops of its kind are.
      definition: for composed ops, the function in terms of public ops.
      fails: whether a run may raise, given operand types and attributes.
    """

    name: str
    kind: Kind
    infer: Infer
    numpy: Callable[..., Any]
    gradient: Gradient = Differentiability.MISSING
    kernel: Any = None
    kernel_check: Any = None
    error: str = ""
    error_type: type[GraphjitError] = InvalidArgumentError
    pieces: Callable[..., Sequence[Piece]] | None = None
    batch: BatchRule | None = None
    definition: Callable[..., Any] | None = None
    examples: tuple[Example, ...] = ()
    commutes: bool = False
    unit: float | None = None
    absorbs: float | None = None
    fails: Callable[[tuple[TensorType, ...], Mapping[str, Any]], bool] | bool = False
    effect: bool = False
    index_kernel: str = ""
    several: bool = False  # `numpy` returns a tuple, rules get tuples
    static_operands: tuple[int, ...] = ()  # operands whose values decide the output's shape
    domain: tuple[float, float] = (-4.0, 4.0)
    ulp: float = 4.0  # how far compiled and eager floats may be apart
    dtypes: str = "f"  # NumPy kinds that its examples run over, for families
    doc: str = ""

    def infer_types(self, types: tuple[TensorType, ...], attributes: Mapping[str, Any]) -> tuple[TensorType, ...]:
        """The types of the outputs; errors name the op and the operands."""
        try:
            return self.infer(types, **attributes)
        except GraphjitError as error:
            shown = ", ".join(str(one) for one in types)
            error.args = (f"{self.name}({shown}): {error.message}",)
            raise

    def can_fail(self, types: tuple[TensorType, ...], attributes: Mapping[str, Any]) -> bool:
        """Whether running it on operands of these types may raise."""
        return self.fails(types, attributes) if callable(self.fails) else self.fails

    def check_text(self, types: tuple[TensorType, ...], attributes: Mapping[str, Any]) -> str | None:
        """The kernel expression that is true where an element is an error; None where none can be."""
        check = self.kernel_check
        text: str | None = check(types, attributes) if callable(check) else check
        return text

    def rule(self, position: int) -> Rule | None:
        """The gradient rule of the operand at `position`, None where that operand gets no gradient."""
        rules = self.gradient
        if isinstance(rules, Differentiability):
            return None
        if isinstance(rules, Pullback):
            return partial(_one_of_all, rules, position)
        if callable(rules):
            return partial(rules, position)
        return rules[position] if position < len(rules) else rules[-1]

    def __repr__(self) -> str:
        return f"<Op {self.name}>"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return find_op, (self.name,)


def _one_of_all(pullback: Pullback, position: int, g: Any, y: Any, *operands: Any, **attributes: Any) -> Any:
    wanted = tuple(place == position for place in range(len(operands)))
    return pullback.function(wanted, g, y, *operands, **attributes)[position]


_TABLE: Final[dict[str, Op]] = {}

MODULES_LATER: Final[list[str]] = []
"""Modules with more ops, which most programs do without; they are imported when an op is not found."""


def _load_later() -> None:
    for module in MODULES_LATER:
        import_module(module)


def declare(op: Op) -> Op:
    """Put an op into the table, and return it.

    Raises:
      ValueError: if the name is taken, or there is no example to test the op with.
    """
    if op.name in _TABLE:
        raise ValueError(f"there is already an op named {op.name!r}")
    if not op.examples:
        raise ValueError(f"op {op.name!r} has no examples; the tests need at least one")
    if op.kind is Kind.COMPOSED and op.definition is None:
        raise ValueError(f"op {op.name!r} is composed and has no definition")
    _TABLE[op.name] = op
    return op


def find_op(name: str) -> Op:
    """The op with this name.

    Raises:
      NotFoundError: if there is none.
    """
    if name not in _TABLE:
        _load_later()
    try:
        return _TABLE[name]
    except KeyError:
        raise NotFoundError(f"there is no op named {name!r}") from None


def all_ops() -> Iterator[Op]:
    """Every declared op, in the order of declaration."""
    _load_later()
    return iter(tuple(_TABLE.values()))
