"""How a matrix product runs: by a kernel of our own where that pays, else by BLAS, each as the words of its block."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphjit.runtime import products, sequencer as walk
from graphjit.runtime.blas import blas
from graphjit.runtime.fields import dataclass, replace
from graphjit.runtime.kernelcache import Kernel
from graphjit.runtime.program import GemmStep
from graphjit.runtime.threads import processors

_FLOPS_PER_BYTE: Final = 2
"""What a matrix product does in the time in which a kernel reads a byte."""
_LONGEST: Final = 2**32
"""What a call of BLAS, which nothing interrupts, may cost: about 0.1 s on one thread."""
SHARED_PRODUCT: Final = 2**19
"""A product that costs less runs on one thread: it takes less than about 15 us."""
_STRIP_COST: Final = 2**21
"""What a strip costs at least: each packs what it multiplies by anew."""
_STRIP_SIDE: Final = 64
"""Strips are multiples of this, so that their inner blocks are those of the whole product."""

# Measured against OpenBLAS 0.3.31 on one thread (AVX-512): our kernels take 0.45 of its time up to TINY
# multiplications, 0.6 to 0.95 of it up to MOST; outside of the other bounds they lose, up to sixfold.
_TINY: Final = 2**12
_MOST: Final = 2**22
_FEWEST_COLUMNS: Final = 6
_FEWEST_ROWS: Final = 3
_FEWEST_ROWS_PACKED: Final = 32


@dataclass(frozen=True)
class OwnProduct:
    """A product by a kernel of our own, whose outermost loop goes over blocks of rows."""

    kernel: Kernel
    words: list[int]
    extent: int


def product_cost(step: GemmStep) -> int:
    """About how many bytes a kernel reads in the time that the product takes."""
    return 2 * step.m * step.n * step.k * step.batch // _FLOPS_PER_BYTE


def product_pieces(step: GemmStep) -> list[GemmStep]:
    """The product as products that do not take long, in parts of the batch, else of the larger side."""
    side = "batch" if step.batch > 1 else "m" if step.m >= step.n else "n"
    size: int = getattr(step, side)
    if product_cost(step) <= _LONGEST or size < 2:
        return [step]
    half = size // 2
    if side != "batch" and half > 64:
        half -= half % 64
    lda, ldb, ldc = _row_distances(step)
    distances = {
        "batch": (step.batch_stride_a, step.batch_stride_b, step.batch_stride_c),
        "m": (1 if step.transpose_a else lda, 0, ldc),
        "n": (0, ldb if step.transpose_b else 1, 1),
    }
    a, b, c = (half * distance for distance in distances[side])
    own = replace(step, lda=lda, ldb=ldb, ldc=ldc)
    moved = replace(own, offset_a=step.offset_a + a, offset_b=step.offset_b + b, offset_c=step.offset_c + c)
    return [*product_pieces(_resized(own, side, half)), *product_pieces(_resized(moved, side, size - half))]


def strip_size(step: GemmStep) -> int:
    """How much of its larger side each thread multiplies at a time; the whole side of a small product.

    It follows from the sizes and from how many processors the computer has, not from the
    number of threads: a result has the same bits for any number of them.
    """
    side = max(step.m, step.n)
    wanted = min(processors(), product_cost(step) // _STRIP_COST) if blas().set_threads else 1
    if step.batch >= processors() or wanted < 2:
        return side
    return min(side, -(-side // (wanted * _STRIP_SIDE)) * _STRIP_SIDE)


def _resized(step: GemmStep, side: str, size: int) -> GemmStep:
    if side == "batch":
        return replace(step, batch=size)
    return replace(step, m=size) if side == "m" else replace(step, n=size)


def own_product(step: GemmStep) -> OwnProduct | None:
    """The product by a kernel of our own; None where BLAS is faster."""
    if not _pays(step):
        return None
    tile = products.tile_for(step.dtype.name, step.m, step.n, step.transpose_b, _row_distances(step)[1])
    blocks = -(-step.m // tile.rows)
    return OwnProduct(products.load_product(tile), _own_words(step, blocks), blocks * step.batch)


def _pays(step: GemmStep) -> bool:
    m, n, k = step.m, step.n, step.k
    size = int(step.dtype.itemsize)
    if not products.vector_bytes() or (step.transpose_b and k * products.widest(size) > products.MOST_PACKED):
        return False
    if m * n * k <= _TINY:
        return True
    if step.transpose_b and m < _FEWEST_ROWS_PACKED:
        return False
    fits = m >= _FEWEST_ROWS or n * size <= products.MOST_VECTORS * products.vector_bytes()
    return fits and n >= _FEWEST_COLUMNS and m * n * k <= _MOST


def _row_distances(step: GemmStep) -> tuple[int, int, int]:
    """From one stored row to the next of a, b and c, in elements."""
    lda = step.lda or (step.m if step.transpose_a else step.k)
    ldb = step.ldb or (step.k if step.transpose_b else step.n)
    return lda, ldb, step.ldc or step.n


def _bits(step: GemmStep) -> tuple[int, int]:
    """alpha and beta as whole numbers with the same bits."""
    words = np.array([step.alpha, step.beta], step.dtype).view(f"u{step.dtype.itemsize}")
    return int(words[0]), int(words[1])


def _own_words(step: GemmStep, blocks: int) -> list[int]:
    size = int(step.dtype.itemsize)
    lda, ldb, ldc = _row_distances(step)
    alpha, beta = _bits(step)
    words = {
        "a": step.a,
        "b": step.b,
        "c": step.c,
        "m": step.m,
        "n": step.n,
        "k": step.k,
        "blocks": blocks,
        "a_row": size if step.transpose_a else lda * size,
        "a_step": lda * size if step.transpose_a else size,
        "b_row": ldb * size,
        "c_row": ldc * size,
        "a_offset": step.offset_a * size,
        "b_offset": step.offset_b * size,
        "c_offset": step.offset_c * size,
        "a_batch": step.batch_stride_a * size,
        "b_batch": step.batch_stride_b * size,
        "c_batch": step.batch_stride_c * size,
        "alpha": alpha,
        "beta": beta,
    }
    return [words[name] for name in products.WORDS]


def blas_words(step: GemmStep) -> list[int]:
    """The block of a product by BLAS, which counts in columns: the operands trade places (c' = op(b)' @ op(a)')."""
    library = blas()
    size = int(step.dtype.itemsize)
    lda, ldb, ldc = _row_distances(step)
    alpha, beta = _bits(step)
    strip = strip_size(step)
    strips = -(-max(step.m, step.n) // strip)
    columns = step.n >= step.m
    words = {
        "function": library.sgemm if step.dtype == np.float32 else library.dgemm,
        "transpose_a": ord("T" if step.transpose_b else "N"),
        "transpose_b": ord("T" if step.transpose_a else "N"),
        "m": step.n,
        "n": step.m,
        "k": step.k,
        "lda": max(1, ldb),
        "ldb": max(1, lda),
        "ldc": max(1, ldc),
        "a": step.b,
        "b": step.a,
        "c": step.c,
        "offset_a": step.offset_b * size,
        "offset_b": step.offset_a * size,
        "offset_c": step.offset_c * size,
        "batch": step.batch,
        "stride_a": step.batch_stride_b * size,
        "stride_b": step.batch_stride_a * size,
        "stride_c": step.batch_stride_c * size,
        "alpha": alpha,
        "beta": beta,
        "get_threads": library.get_threads,
        "set_threads": library.set_threads,
        "shared": int(strips * step.batch > 1 and product_cost(step) >= SHARED_PRODUCT and library.set_threads > 0),
        "strips": strips,
        "strip": strip,
        "splits_m": int(columns),
        "move_a": (strip * size * (ldb if step.transpose_b else 1)) if columns else 0,
        "move_b": 0 if columns else strip * size * (1 if step.transpose_a else lda),
        "move_c": strip * size * (1 if columns else ldc),
    }
    return [words[name] for name in walk.GEMM_WORDS]
