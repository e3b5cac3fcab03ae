"""Rules for ops whose meaning lies in their attributes: views of views, casts of casts, flags of products.

All of them are exact. Each is a function of the rewriter and an equation that returns what stands for the
equation's results, or None where it has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .dispatch import apply
from .graph import Equation, Value
from .op import Kind, find_op
from .operand import Operand
from .rewriting import Rewriter
from .tensortype import DType, broadcast_shapes

Answer = Sequence[Operand] | None
ViewRule = Callable[[Rewriter, Equation], Answer]


def _itself(rewriter: Rewriter, equation: Equation) -> Answer:
    """identity(x) -> x, once gradients have been derived."""
    return rewriter.symbols(equation.operands[:1])


def _source(rewriter: Rewriter, equation: Equation, name: str) -> Equation | None:
    """The equation that makes the first operand, if it is of this op."""
    producer = rewriter.producers.get(equation.operands[0])
    return producer if producer is not None and producer.op.name == name else None


def _transpose(rewriter: Rewriter, equation: Equation) -> Answer:
    """transpose(x, identity) -> x; transpose(transpose(x)) -> transpose(x)."""
    perm = equation.attributes["perm"]
    if perm == tuple(range(len(perm))):
        return rewriter.symbols(equation.operands)
    inner = _source(rewriter, equation, "transpose")
    if inner is None:
        return None
    joined = tuple(inner.attributes["perm"][axis] for axis in perm)
    return (apply(equation.op, *rewriter.symbols(inner.operands), perm=joined),)


def _checked(rewriter: Rewriter, equation: Equation) -> Answer:
    """ensure_shape(x) -> x, where the shape is known to fit."""
    known = all(value.type.is_static for value in equation.operands)
    return rewriter.symbols(equation.operands) if known else None


_RESHAPES = frozenset({"reshape", "expand_dims", "squeeze"})


def _reshape(rewriter: Rewriter, equation: Equation) -> Answer:
    """reshape(x, its own shape) -> x; reshape(reshape(x)) -> reshape(x), and so for added and dropped axes."""
    (operand,), shape = equation.operands, equation.output.type.shape
    if None in shape or not operand.type.is_static:
        return None
    if operand.type.shape == shape:
        return rewriter.symbols([operand])
    inner = rewriter.producers.get(operand)
    if inner is None or inner.op.name not in _RESHAPES or not inner.operands[0].type.is_static:
        return None
    return (apply(find_op("reshape"), *rewriter.symbols(inner.operands), shape=shape),)


def _broadcast(rewriter: Rewriter, equation: Equation) -> Answer:
    """broadcast_to(x, its own shape) -> x; broadcast_to(broadcast_to(x)) -> broadcast_to(x)."""
    (operand,), shape = equation.operands, equation.attributes["shape"]
    if operand.type.shape == shape:
        return rewriter.symbols([operand])
    inner = _source(rewriter, equation, "broadcast_to")
    if inner is None:
        return None
    return (apply(equation.op, *rewriter.symbols(inner.operands), shape=shape),)


def _cast(rewriter: Rewriter, equation: Equation) -> Answer:
    """cast(x, its own dtype) -> x; cast(cast(x)) -> cast(x) where the first one loses nothing."""
    (operand,), wanted = equation.operands, equation.output.type.dtype
    if operand.type.dtype is wanted:
        return rewriter.symbols([operand])
    inner = _source(rewriter, equation, "cast")
    if inner is None or not _passes_through(inner.operands[0].type.dtype, operand.type.dtype, wanted):
        return None
    return (apply(equation.op, *rewriter.symbols(inner.operands), **equation.attributes),)


def _passes_through(first: DType, middle: DType, last: DType) -> bool:
    """Whether first -> middle -> last is always what first -> last is."""
    if first.is_bool:
        return True
    if first.is_floating and middle.is_floating and last.is_floating:
        return first.size <= middle.size
    return first.is_integer and middle.is_integer and not last.is_bool and _holds(first, middle)


def _holds(first: DType, middle: DType) -> bool:
    """Whether every integer of one dtype is one of the other."""
    return int(middle.min) <= int(first.min) and int(first.max) <= int(middle.max)


def _slice(rewriter: Rewriter, equation: Equation) -> Answer:
    """A slice of everything -> x."""
    (operand,) = equation.operands
    backwards = any(step < 0 for step in equation.attributes["step"])
    same = operand.type.is_static and operand.type == equation.output.type
    return rewriter.symbols([operand]) if same and not backwards else None


def _concat(rewriter: Rewriter, equation: Equation) -> Answer:
    """concat of one -> that one."""
    return rewriter.symbols(equation.operands) if len(equation.operands) == 1 else None


def _matmul(rewriter: Rewriter, equation: Equation) -> Answer:
    """matmul(transpose(x), y) -> matmul(x, y, transpose_a), and so for y."""
    flags = dict(equation.attributes)
    operands = list(equation.operands)
    for position, flag in enumerate(("transpose_a", "transpose_b")):
        source = _swapped(rewriter, operands[position])
        if source is not None:
            operands[position] = source
            flags[flag] = not flags[flag]
    if operands == list(equation.operands):
        return None
    return (apply(equation.op, *rewriter.symbols(operands), **flags),)


def _swapped(rewriter: Rewriter, value: Value) -> Value | None:
    """What `value` is the transpose of, where only its last two axes are swapped."""
    producer = rewriter.producers.get(value)
    if producer is None or producer.op.name != "transpose":
        return None
    perm = producer.attributes["perm"]
    rank = len(perm)
    swaps = rank >= 2 and perm == (*range(rank - 2), rank - 1, rank - 2)
    return producer.operands[0] if swaps else None


def _elementwise(rewriter: Rewriter, equation: Equation) -> Answer:
    """f(broadcast_to(x), y) -> f(x, y), where y gives the result its shape: broadcasting is part of the op."""
    if not all(value.type.is_static for value in equation.operands):
        return None
    operands = list(equation.operands)
    for position, operand in enumerate(operands):
        producer = rewriter.producers.get(operand)
        if producer is None or producer.op.name != "broadcast_to" or not producer.operands[0].type.is_static:
            continue
        tried = [*operands[:position], producer.operands[0], *operands[position + 1 :]]
        if broadcast_shapes(*(value.type.shape for value in tried)) == equation.output.type.shape:
            operands = tried
    if operands == list(equation.operands):
        return None
    return rewriter.apply(equation.op, rewriter.symbols(operands), equation.attributes)


_BY_NAME: dict[str, ViewRule] = {
    "identity": _itself,
    "stop_gradient": _itself,
    "ensure_shape": _checked,
    "transpose": _transpose,
    "reshape": _reshape,
    "expand_dims": _reshape,
    "squeeze": _reshape,
    "broadcast_to": _broadcast,
    "cast": _cast,
    "strided_slice": _slice,
    "concat": _concat,
    "matmul": _matmul,
}


def apply_view_rules(rewriter: Rewriter, equation: Equation) -> Answer:
    """What a rule for the equation's op makes of it, or None."""
    known = _BY_NAME.get(equation.op.name)
    answer = None if known is None else known(rewriter, equation)
    if answer is None and equation.op.kind is Kind.ELEMENTWISE and len(equation.operands) > 1:
        return _elementwise(rewriter, equation)
    return answer
