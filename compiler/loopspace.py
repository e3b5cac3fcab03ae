"""The loops that a group of equations shares: which axis of which value runs along which loop.

A `LoopSpace` grows by one equation at a time and refuses those that do not fit. It
looks at the kind of an op and at shapes, never at names:

- elementwise ops fit when every operand computed inside agrees on the loops;
- a reduction over the innermost loops gives a value per row, which later equations
  may use again (softmax, layer norm); any other reduction ends its branch: its
  result is accumulated in memory and can only be read outside;
- a view of a value computed inside fits when it only renames, adds or drops axes.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphjit.runtime.fields import dataclass, field

from .graph import Equation, Value
from .layout import Layout
from .op import Kind
from .tensortype import TensorType

Axes = tuple[int | None, ...]
"""For each axis of a value the loop that it runs along; None: it has size 1, or the value does not vary."""

ROW_BYTES = 1 << 19
"""A row that is read again after it was reduced should still be in the cache."""
MOST_ROW_REDUCTIONS = 4
"""So often may rows be reduced one after the other. Each pass computes what the passes before it did, so more would
take the square of the time, to run as to compile; two softmaxes and a gradient are within it."""


@dataclass
class LoopSpace:
    """Loops, and where the values computed in them lie."""

    domain: list[int] = field(default_factory=list)
    inner: tuple[int, ...] | None = None
    axes: dict[Value, Axes] = field(default_factory=dict)
    level: dict[Value, int] = field(default_factory=dict)
    ended: set[Value] = field(default_factory=set)
    inputs: dict[Value, Axes] = field(default_factory=dict)
    equations: list[Equation] = field(default_factory=list)

    def computes(self, value: Value) -> bool:
        """Whether `value` is computed here and can be used here."""
        return value in self.axes and value not in self.ended

    def add(self, equation: Equation) -> str | None:
        """Take the equation in; None if it fits, else why it does not, and nothing has changed."""
        kind = equation.op.kind
        if kind is Kind.ELEMENTWISE:
            return self._add_elementwise(equation)
        if kind is Kind.REDUCTION:
            return self._add_reduction(equation)
        return self._add_view(equation) if kind is Kind.VIEW else f"{kind.value} ops have no loops to share"

    # --- elementwise ------------------------------------------------------------------------

    def _add_elementwise(self, equation: Equation) -> str | None:
        sizes = equation.output.type.sizes
        if not self.equations:
            self.domain = [size for size in sizes if size != 1]
        constrained = self._constraints(equation, len(sizes))
        if constrained is None:
            return "its operands run along different loops, or one is complete only after all loops"
        axes = self._placed(constrained, sizes)
        if axes is None:
            return f"its shape {list(sizes)} does not fit the loops {self.domain}"
        if self._repeats(equation, axes):
            return "it would be computed anew in each round of a loop around its own"
        level = max((self.level.get(operand, 0) for operand in equation.operands), default=0)
        if level and self.inner is not None and self._varies_inside(axes) and self._row_bytes(equation) > ROW_BYTES:
            return "its row is too long to be still in the cache after it was reduced"
        read = {operand: _aligned(operand.type, axes) for operand in equation.operands if not self.computes(operand)}
        if any(self.inputs.get(operand, wanted) != wanted for operand, wanted in read.items()):
            return "an operand is already read along other loops"
        self.inputs.update(read)
        self._enter(equation, axes, level)
        return None

    def _repeats(self, equation: Equation, axes: Axes) -> bool:
        """Whether it is no part of what the outer loops compute, but would be computed in each of their rounds."""
        used = {loop for loop in axes if loop is not None}
        if not used or all(loop in used for loop in range(max(used))):
            return False
        return all(loop is None for operand in equation.operands for loop in self.axes.get(operand, ()))

    def _constraints(self, equation: Equation, rank: int) -> list[int | None] | None:
        """For each axis of the result the loop that operands computed here demand; None if they disagree."""
        wanted: list[int | None] = [None] * rank
        for operand in equation.operands:
            if operand in self.ended:
                return None
            known = self.axes.get(operand)
            if known is None:
                continue
            offset = rank - len(known)
            for axis, loop in enumerate(known, offset):
                if loop is None:
                    continue
                if wanted[axis] not in (None, loop):
                    return None
                wanted[axis] = loop
        used = [loop for loop in wanted if loop is not None]
        return wanted if len(used) == len(set(used)) else None

    def _placed(self, wanted: list[int | None], sizes: Sequence[int]) -> Axes | None:
        """Loops for every axis of size other than 1, or None if there are none that fit."""
        free = [axis for axis, size in enumerate(sizes) if wanted[axis] is None and size != 1]
        if free and not self.domain and self.inner is None:
            self.domain = [size for size in sizes if size != 1]  # scalars so far: computed before the loops
        for axis in free:
            loop = self._loop_for(axis, wanted, sizes)
            if loop is None:
                return None
            wanted[axis] = loop
        return tuple(wanted)

    def _loop_for(self, axis: int, wanted: list[int | None], sizes: Sequence[int]) -> int | None:
        """An unused loop of the axis's size that keeps the order of axes."""
        before = max((loop for loop in wanted[:axis] if loop is not None), default=-1)
        after = min((loop for loop in wanted[axis + 1 :] if loop is not None), default=len(self.domain))
        fitting = [loop for loop in range(before + 1, after) if self.domain[loop] == sizes[axis]]
        natural = self._natural_loop(axis, sizes)
        if natural in fitting:
            return natural
        return fitting[0] if fitting else None

    def _natural_loop(self, axis: int, sizes: Sequence[int]) -> int | None:
        """The loop that is as far from the innermost one as the axis is from the last one of size other than 1."""
        behind = sum(size != 1 for size in sizes[axis + 1 :])
        loop = len(self.domain) - 1 - behind
        return loop if loop >= 0 else None

    # --- reductions -------------------------------------------------------------------------

    def _add_reduction(self, equation: Equation) -> str | None:
        (operand,) = equation.operands
        if operand in self.ended:
            return "its operand is complete only after all loops"
        axes = self.axes.get(operand)
        if axes is None:
            if self.equations:
                return "its operand is not computed in these loops"
            axes = self._open_for(operand)
        reduced = equation.attributes["axis"]
        loops = tuple(loop for axis in reduced if (loop := axes[axis]) is not None)
        if any(loop is None and size != 1 for loop, size in zip(axes, operand.type.sizes, strict=True)):
            return "its operand repeats the same element along an axis, which no loop runs along"
        level = self.level.get(operand, 0)
        if level >= MOST_ROW_REDUCTIONS and self.inner == tuple(sorted(loops)):
            return f"its row has been reduced {level} times, and is better read again"
        if not self._accepts_reduction(axes, tuple(sorted(loops))):
            return f"it reduces other loops than {self.inner} of {self.domain}"
        if operand not in self.axes:
            self.inputs[operand] = axes
        self._enter(equation, _without(axes, reduced, equation), level + (1 if loops else 0))
        if loops and self.inner != tuple(sorted(loops)):
            self.ended.add(equation.output)
            self.level[equation.output] = level
        return None

    def _open_for(self, operand: Value) -> Axes:
        sizes = operand.type.sizes
        self.domain = [size for size in sizes if size != 1]
        numbers = iter(range(len(self.domain)))
        return tuple(None if size == 1 else next(numbers) for size in sizes)

    def _accepts_reduction(self, axes: Axes, loops: tuple[int, ...]) -> bool:
        if not loops:
            return True
        innermost = tuple(range(loops[0], len(self.domain)))
        if loops == innermost and self.inner in (None, loops):
            self.inner = loops
            return True
        # Accumulated in memory, so each element must be met exactly once.
        varies = {loop for loop in axes if loop is not None}
        outer = set(range(len(self.domain))) - set(self.inner or ())
        return varies == set(range(len(self.domain))) or (self.inner is not None and varies == outer)

    # --- views ------------------------------------------------------------------------------

    def _add_view(self, equation: Equation) -> str | None:
        (operand,) = equation.operands
        if not self.computes(operand):
            return "its operand is not computed in these loops"
        axes = _view_axes(equation, self.axes[operand])
        if axes is None:
            return "it moves elements to other rounds of the loops"
        self._enter(equation, axes, self.level[operand])
        return None

    # --- joining ----------------------------------------------------------------------------

    def merge(self, other: LoopSpace) -> bool:
        """Take in all of another space with the same loops; False, and no change, where they differ."""
        if self.domain and other.domain and self.domain != other.domain:
            return False
        if not self._inner_fits(other) or self._feeds(other) or other._feeds(self):
            return False
        if any(self.inputs.get(value, axes) != axes for value, axes in other.inputs.items()):
            return False
        self.domain = self.domain or other.domain
        self.inner = self.inner or other.inner
        self.axes.update(other.axes)
        self.level.update(other.level)
        self.ended.update(other.ended)
        self.inputs.update(other.inputs)
        self.equations.extend(other.equations)
        return True

    def _inner_fits(self, other: LoopSpace) -> bool:
        return self.inner == other.inner or self.inner is None or other.inner is None

    def _feeds(self, other: LoopSpace) -> bool:
        return any(value in self.axes for value in other.inputs)

    # --- small parts ------------------------------------------------------------------------

    def _enter(self, equation: Equation, axes: Axes, level: int) -> None:
        self.axes[equation.output] = axes
        self.level[equation.output] = level
        self.equations.append(equation)

    def _varies_inside(self, axes: Axes) -> bool:
        return any(loop in axes for loop in self.inner or ())

    def _row_bytes(self, equation: Equation) -> int:
        size = equation.output.type.dtype.size
        for loop in self.inner or ():
            size *= self.domain[loop]
        return size


def _aligned(type: TensorType, axes: Axes) -> Axes:
    """The loops of an operand that is broadcast against a result with these loops."""
    offset = len(axes) - type.rank
    return tuple(None if size == 1 else axes[axis] for axis, size in enumerate(type.sizes, offset))


def _without(axes: Axes, reduced: Sequence[int], equation: Equation) -> Axes:
    keep_dims = equation.attributes["keepdims"]
    return tuple(
        None if axis in reduced else loop for axis, loop in enumerate(axes) if keep_dims or axis not in reduced
    )


def _view_axes(equation: Equation, axes: Axes) -> Axes | None:
    """The loops of a view, or None where the view is more than a renaming of axes.

    The op's layout function is asked with a stride that marks each axis: an axis of the
    result that comes out with a mark is that axis.
    """
    (operand,) = equation.operands
    marks = {(1 << 40) + axis: axis for axis in range(operand.type.rank)}
    layout = equation.op.kernel(Layout(0, tuple(marks)), operand.type, **equation.attributes)
    if layout is None or layout.offset != 0:
        return None
    source, target = operand.type.sizes, equation.output.type.sizes
    found: list[int | None] = []
    for stride, size in zip(layout.strides, target, strict=True):
        axis = marks.get(stride)
        if size != 1 and stride != 0 and (axis is None or source[axis] != size):
            return None
        found.append(None if size == 1 or stride == 0 else axis)
    # An axis that is gone was indexed, so the view holds only some of the elements.
    if {axis for axis, size in enumerate(source) if size != 1} - set(found):
        return None
    return tuple(None if axis is None else axes[axis] for axis in found)
