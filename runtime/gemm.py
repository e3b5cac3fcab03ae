"""How a matrix product runs: by a kernel of our own where that pays, else by BLAS, each as the words of its block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from graphjit.runtime import products, sequencer as walk
from graphjit.runtime.blas import blas, wants_one_thread
from graphjit.runtime.kernelcache import Kernel
from graphjit.runtime.program import GemmStep

_FLOPS_PER_BYTE: Final = 8
"""What a matrix product does in the time in which a kernel reads a byte."""

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
    one_thread = library.set_threads and wants_one_thread(step.m, step.n, step.k)
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
        "offset_c": 0,
        "batch": step.batch,
        "stride_a": step.batch_stride_b * size,
        "stride_b": step.batch_stride_a * size,
        "stride_c": step.batch_stride_c * size,
        "alpha": alpha,
        "beta": beta,
        "get_threads": library.get_threads if one_thread else 0,
        "set_threads": library.set_threads if one_thread else 0,
    }
    return [words[name] for name in walk.GEMM_WORDS]
