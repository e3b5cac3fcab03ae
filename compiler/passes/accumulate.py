"""Let a matrix product be added to what it changes: one step in place of a product, a factor and a sum.

>>> from graphjit.compiler.dump.text import show
>>> show(accumulate, '''
... step(%w: f32[784,20], %x: f32[64,784], %g: f32[64,20]) {
...   %d: f32[784,20] = matmul(%x, %g) {transpose_a=true, transpose_b=false}
...   %rate = constant() {value=dense<f32[]: 0.5>}
...   %e: f32[784,20] = multiply(%rate, %d)
...   %v: f32[784,20] = subtract(%w, %e)
...   return %v
... }
... ''')
step(%w: f32[784,20], %x: f32[64,784], %g: f32[64,20]) {
  %rate: f32[] = constant() {value=dense<f32[]: 0.5>}
  %v: f32[784,20] = accumulate_matmul(%x, %g, %w) {alpha=-0.5, transpose_a=true, transpose_b=false}
  return %v
}

This is done for an input that is replaced by an output, as a variable is by its update, and for the sum of
two products. In other places the sum belongs to the kernels around it.
"""

from __future__ import annotations

import numpy as np

from graphjit.runtime.fields import replace

from ..constants import unrepeated
from ..contraction import runs_in_blas
from ..graph import Equation, Graph, Value
from ..op import Kind
from ..ops.linear import accumulate_op, matmul_op


def accumulate(graph: Graph) -> Graph:
    """The graph with such products, each at the place of the sum that it becomes."""
    finder = _Finder(graph)
    merged: set[Equation] = set()
    equations: list[Equation] = []
    for equation in graph.equations:
        found = finder.accumulation(equation)
        if found is None:
            equations.append(equation)
            continue
        replaced, parts = found
        finder.replaced[replaced.output] = replaced
        merged.update(parts)
        equations.append(replaced)
    return graph.with_equations([one for one in equations if one not in merged]) if merged else graph


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.uses = graph.uses()
        self.replaced: dict[Value, Equation] = {}

    def accumulation(self, equation: Equation) -> tuple[Equation, list[Equation]] | None:
        """What stands for a sum or a difference, and the equations that it contains."""
        if equation.op.name not in ("add", "subtract"):
            return None
        first, second = equation.operands
        orders = [(first, second), (second, first)] if equation.op.name == "add" else [(first, second)]
        for kept, changed in orders:
            found = self.scaled_product(changed)
            if found is None or not self.may_take(kept, equation) or kept.type != equation.output.type:
                continue
            product, alpha, parts = found
            if equation.op.name == "subtract":
                alpha = -alpha
            attributes = {**product.attributes, "alpha": alpha}
            operands = (*product.operands, kept)
            return replace(equation, op=accumulate_op, operands=operands, attributes=attributes), parts
        return None

    def scaled_product(self, value: Value) -> tuple[Equation, float, list[Equation]] | None:
        """A product with a constant factor that is read only here, the factor, and its equations."""
        made = self.read_once(value)
        if made is None:
            return None
        if made.op is matmul_op:
            return (made, 1.0, [made]) if runs_in_blas(made) and made.output.type == value.type else None
        if made.op.name != "multiply":
            return None
        for factor, rest in (made.operands, made.operands[::-1]):
            array = unrepeated(factor, self.graph.producers)
            product = self.read_once(rest)
            if array is None or array.size != 1 or product is None or product.op is not matmul_op:
                continue
            alpha = float(array.item())
            # BLAS takes a factor of zero as a reason not to look at the product, NaN or not.
            if runs_in_blas(product) and product.output.type == value.type and alpha and np.isfinite(alpha):
                return product, alpha, [product, made]
        return None

    def read_once(self, value: Value) -> Equation | None:
        """What makes a value that one equation reads; None where it is read more often."""
        if len(self.uses.get(value, ())) != 1 or value in self.graph.outputs:
            return None
        return self.graph.producers.get(value)

    def may_take(self, value: Value, equation: Equation) -> bool:
        """Whether the product can be added where this value lies."""
        if value in self.graph.inputs:
            return equation.output in self.graph.outputs
        made = self.replaced.get(value) or self.graph.producers.get(value)
        is_product = made is not None and made.op.kind is Kind.CONTRACTION
        return is_product and self.read_once(value) is not None
