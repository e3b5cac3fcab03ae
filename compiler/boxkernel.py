"""Writing a box into a tensor as a kernel: `dynamic_update_slice` where all sizes are known.

The kernel gets the tensor that is written into, the box, and where the box begins. It knows nothing of who else reads
the tensor: whoever plans it hands over a copy, or the tensor itself where nobody reads it afterwards.
"""

from __future__ import annotations

from graphjit.runtime.kernel_language import STATUS_SLOT

from .emit import EmittedKernel, Word
from .graph import Equation
from .kernel_facts import why_not_type
from .layout import contiguous
from .ops.dynamicslices import dynamic_update_slice_op
from .views import Place


def is_box_update(equation: Equation) -> bool:
    """Whether an equation writes a box of known size into a tensor of known size."""
    if equation.op is not dynamic_update_slice_op or not all(one.type.is_static for one in equation.operands):
        return False
    x, box, begin = (one.type for one in equation.operands)
    fits = all(size <= whole for size, whole in zip(box.sizes, x.sizes, strict=True))
    return bool(x.rank) and fits and why_not_type(x) is None and begin.dtype.name in ("int32", "int64")


def lies_plainly(place: Place | None, shape: tuple[int, ...]) -> bool:
    """Whether the elements of a value of this shape lie one behind the other from the beginning of a buffer on."""
    if place is None:
        return True
    plain = contiguous(shape)
    strides = zip(place.layout.strides, plain.strides, shape, strict=True)
    return place.layout.offset == 0 and all(one == other or size == 1 for one, other, size in strides)


def box_kernel(equation: Equation) -> EmittedKernel:
    """The kernel, whose words name the tensor that is written into (as the result), the box, and its begin."""
    x, box, begin = equation.operands
    shape, sizes = x.type.sizes, box.type.sizes
    strides, inner = contiguous(shape).strides, contiguous(sizes).strides
    words = [Word(buffer=one) for one in (equation.output, box, begin)]
    lines = [
        f"# {equation.op.name}",
        "def kernel(addresses, block, lo, hi):",
        f"    x0 = {x.type.dtype.name}_at(addresses, block[0], 0)  # {x.type}",
        f"    x1 = {box.type.dtype.name}_at(addresses, block[1], 1)  # {box.type}",
        f"    x2 = {begin.type.dtype.name}_at(addresses, block[2], 2)  # {begin.type}",
        f"    details = int64_at(addresses, {STATUS_SLOT}, 3)",
    ]
    axes = range(len(shape))
    for axis in axes:
        lines.append(f"    b{axis} = int64(x2[{axis}])")
        lines.append(f"    if (b{axis} < int64(0)) | (b{axis} > int64({shape[axis] - sizes[axis]})):")
        lines.append(f"        details[0] = b{axis}")
        lines.append("        return 1")
        lines.append(f"    o{axis} = uint64(b{axis})")
        words.append(Word(number=sizes[axis]))
        lines.append(f"    n{axis} = block[{3 + axis}]")
    for axis in axes:
        lines.append("    " * (1 + axis) + f"for i{axis} in range(n{axis}):")
    target = " + ".join(f"(o{axis} + i{axis}) * uint64({strides[axis]})" for axis in axes)
    source = " + ".join(f"i{axis} * uint64({inner[axis]})" for axis in axes)
    lines.append("    " * (1 + len(shape)) + f"x0[{target}] = x1[{source}]")
    return EmittedKernel("\n".join([*lines, "    return 0", ""]), tuple(words), 1, (equation,))


__all__: list[str] = []
