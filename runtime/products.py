"""Our own matrix products, for sizes at which a BLAS spends more time on getting ready than on multiplying.

A block of rows of the result stays in vector registers while the second operand
streams by; its last, shorter vector is masked. Nothing is packed but a transposed
second operand, on the stack. An element is always the same chain of fused
multiplications and additions over k, so that neither the piece of the rows that a
call is given nor the number of threads changes a bit. Knows nothing of steps.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Final

from graphjit.runtime.fields import dataclass
from graphjit.runtime.kernelcache import Kernel, load_ir
from graphjit.runtime.processor import host

WORDS: Final = (
    *("a", "b", "c", "m", "n", "k", "blocks", "a_row", "a_step", "b_row", "c_row"),
    *("a_offset", "b_offset", "c_offset", "a_batch", "b_batch", "c_batch", "alpha", "beta"),
)
"""The words of a product's block: slots, sizes, then distances in bytes, then numbers as bits.

Element (i, p) of op(a) lies `a_row * i + a_step * p` behind `a_offset`; `b_row` is the
distance of stored rows of b. `blocks` is the number of row blocks of one product, and
`batch * blocks` the extent of the kernel's outermost loop.
"""

MOST_PACKED: Final = 2**17
"""Bytes of the stack that a transposed second operand may take."""
MOST_VECTORS: Final = 3
FEWEST_LANES: Final = 4


@dataclass(frozen=True)
class Tile:
    """What a kernel holds in registers: `rows` times vectors of `widths` elements."""

    dtype: str
    rows: int
    widths: tuple[int, ...]
    packs: bool
    """Whether b is transposed, and so packed."""

    @property
    def columns(self) -> int:
        """The columns of the result that are made at a time."""
        return sum(self.widths)

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return 4 if self.dtype == "float32" else 8


@lru_cache(maxsize=1)
def vector_bytes() -> int:
    """The width of this computer's masked vectors; 0 where it has none, and BLAS does all products."""
    features = host().features.split(",")
    if "+avx512f" in features:
        return 64
    return 32 if "+avx2" in features and "+fma" in features else 0


def widest(size: int) -> int:
    """The most bytes that a row of a panel has, for elements of `size` bytes."""
    return max(MOST_VECTORS * vector_bytes(), FEWEST_LANES * size)


def tile_for(dtype: str, m: int, n: int, transpose_b: bool, b_row: int) -> Tile:
    """The tile that suits an m x n result, with stored rows of b that lie `b_row` elements apart."""
    size = 4 if dtype == "float32" else 8
    most = 8 if vector_bytes() == 64 else 4  # of 32 or 16 registers
    rows = next(count for count in (1, 4, most) if m <= count or count == most)
    # rows at such distances share a few lines of the cache, so more of each is used at a time
    crowded = not transpose_b and b_row * size % 1024 == 0
    return Tile(dtype, rows, _widths(n, vector_bytes() // size, 2 if crowded else 1), transpose_b)


def _widths(n: int, lanes: int, wide: int) -> tuple[int, ...]:
    """Whole vectors and a shorter one for what is left; `wide` vectors at a time where there are many."""
    whole, rest = divmod(n, lanes)
    if whole + (rest > 0) > MOST_VECTORS:
        return (lanes,) * wide
    tail = (max(FEWEST_LANES, 1 << (rest - 1).bit_length()),) if rest else ()
    return (lanes,) * whole + tail


def load_product(tile: Tile) -> Kernel:
    """The machine code of the products with this tile."""
    return load_ir(product_ir(tile), "product", has_loops=True)


# --- LLVM IR ---


def product_ir(tile: Tile) -> str:
    """The kernel `entry(addresses, block, lo, hi)` over the row blocks of all products of a batch."""
    return "".join(
        (
            _declarations(tile),
            "define i64 @entry(ptr %addresses, ptr %block, i64 %lo, i64 %hi) {\n",
            _start(tile),
            _RUN,
            _panel(tile),
            _pack(tile) if tile.packs else _STREAM.format(T=_scalar(tile)),
            _tile(tile),
            _steps(tile),
            _stores(tile),
            _ENDS.format(columns=tile.columns),
        )
    )


def _scalar(tile: Tile) -> str:
    return "float" if tile.dtype == "float32" else "double"


def _vector(tile: Tile, width: int) -> str:
    return f"<{width} x {_scalar(tile)}>"


def _suffix(tile: Tile, width: int) -> str:
    return f"v{width}f{8 * tile.size}"


def _places(tile: Tile) -> list[tuple[int, int, int]]:
    """For each vector of a row its number, its width, and the column at which it begins."""
    starts = accumulate(tile.widths, initial=0)
    return [(number, width, start) for number, (width, start) in enumerate(zip(tile.widths, starts, strict=False))]


def _declarations(tile: Tile) -> str:
    lines = ["declare i64 @llvm.umin.i64(i64, i64)\n"]
    for width in sorted(set(tile.widths)):
        vector, suffix, mask = _vector(tile, width), _suffix(tile, width), f"<{width} x i1>"
        lines += [
            f"declare {vector} @llvm.masked.load.{suffix}.p0(ptr, i32, {mask}, {vector})\n",
            f"declare void @llvm.masked.store.{suffix}.p0({vector}, ptr, i32, {mask})\n",
            f"declare {vector} @llvm.fma.{suffix}({vector}, {vector}, {vector})\n",
        ]
    return "".join(lines)


def _splat(name: str, kind: str, width: int, source: str) -> str:
    """IR for a vector `name` whose elements are all `source`."""
    return (
        f"  {name}.one = insertelement <{width} x {kind}> poison, {kind} {source}, i32 0\n"
        f"  {name} = shufflevector <{width} x {kind}> {name}.one, <{width} x {kind}> poison,"
        f" <{width} x i32> zeroinitializer\n"
    )


def _masked_load(tile: Tile, name: str, at: str, number: int) -> str:
    width = tile.widths[number]
    vector = _vector(tile, width)
    return (
        f"  {name} = call {vector} @llvm.masked.load.{_suffix(tile, width)}.p0(ptr {at}, i32 {tile.size},"
        f" <{width} x i1> %mask{number}, {vector} zeroinitializer)\n"
    )


def _masked_store(tile: Tile, value: str, at: str, number: int) -> str:
    width = tile.widths[number]
    return (
        f"  call void @llvm.masked.store.{_suffix(tile, width)}.p0({_vector(tile, width)} {value}, ptr {at},"
        f" i32 {tile.size}, <{width} x i1> %mask{number})\n"
    )


def _start(tile: Tile) -> str:
    """Loads the block, finds the operands, and makes room for what is packed."""
    lines = ["start:\n"]
    for place, name in enumerate(WORDS):
        word = f"%{name}.word" if name in ("a", "b", "c", "alpha", "beta") else f"%{name}"
        lines.append(
            f"  %{name}.at = getelementptr i64, ptr %block, i64 {place}\n  {word} = load i64, ptr %{name}.at\n"
        )
    for name in "abc":
        lines.append(
            f"  %{name}.place = getelementptr i64, ptr %addresses, i64 %{name}.word\n"
            f"  %{name} = load ptr, ptr %{name}.place\n"
        )
    for name in ("alpha", "beta"):
        lines.append(f"  %{name} = load {_scalar(tile)}, ptr %{name}.at\n")
        for width in sorted(set(tile.widths)):
            lines.append(_splat(f"%{name}.{width}", _scalar(tile), width, f"%{name}"))
    lines.append(
        "  %a.first = getelementptr i8, ptr %a, i64 %a_offset\n"
        "  %b.first = getelementptr i8, ptr %b, i64 %b_offset\n"
        "  %c.first = getelementptr i8, ptr %c, i64 %c_offset\n"
        f"  %plain = fcmp oeq {_scalar(tile)} %beta, 0.0\n"
        "  %last = sub i64 %m, 1\n"
    )
    if tile.packs:
        lines.append(f"  %room = mul i64 %k, {tile.columns * tile.size}\n  %packed = alloca i8, i64 %room, align 64\n")
    return "".join(lines)


_RUN: Final = """\
  br label %runs
runs:
  %t = phi i64 [ %lo, %start ], [ %run.end, %runs.next ]
  %t.more = icmp ult i64 %t, %hi
  br i1 %t.more, label %run, label %done
run:
  %which = udiv i64 %t, %blocks
  %run.first = mul i64 %which, %blocks
  %run.whole = add i64 %run.first, %blocks
  %run.end = call i64 @llvm.umin.i64(i64 %run.whole, i64 %hi)
  %a.shift = mul i64 %which, %a_batch
  %a.mine = getelementptr i8, ptr %a.first, i64 %a.shift
  %b.shift = mul i64 %which, %b_batch
  %b.mine = getelementptr i8, ptr %b.first, i64 %b.shift
  %c.shift = mul i64 %which, %c_batch
  %c.mine = getelementptr i8, ptr %c.first, i64 %c.shift
  br label %panels
panels:
  %j = phi i64 [ 0, %run ], [ %j.next, %panels.next ]
  %j.more = icmp ult i64 %j, %n
  br i1 %j.more, label %panel, label %runs.next
"""


def _panel(tile: Tile) -> str:
    """The masks of a panel of columns."""
    lines = ["panel:\n  %rest = sub i64 %n, %j\n"]
    lines += [_splat(f"%rest.{width}", "i64", width, "%rest") for width in sorted(set(tile.widths))]
    for number, width, start in _places(tile):
        columns = ", ".join(f"i64 {start + lane}" for lane in range(width))
        lines.append(f"  %mask{number} = icmp ugt <{width} x i64> %rest.{width}, <{columns}>\n")
    return "".join(lines)


_STREAM: Final = """\
  %b.panel = getelementptr {T}, ptr %b.mine, i64 %j
  %b.step = add i64 %b_row, 0
  br label %tiles
tiles:
  %u = phi i64 [ %t, %panel ], [ %u.next, %tiles.next ]
"""


def _pack(tile: Tile) -> str:
    """Copies the panel's columns, which lie in rows of b, so that they lie side by side."""
    kind, columns = _scalar(tile), tile.columns
    return f"""\
  %b.panel = getelementptr i8, ptr %packed, i64 0
  %b.step = add i64 {columns * tile.size}, 0
  %wide = call i64 @llvm.umin.i64(i64 %rest, i64 {columns})
  br label %columns
columns:
  %q = phi i64 [ 0, %panel ], [ %q.next, %columns.next ]
  %q.more = icmp ult i64 %q, %wide
  br i1 %q.more, label %column, label %tiles
column:
  %from.column = add i64 %j, %q
  %from.shift = mul i64 %from.column, %b_row
  %from.row = getelementptr i8, ptr %b.mine, i64 %from.shift
  %to.row = getelementptr {kind}, ptr %packed, i64 %q
  br label %elements
elements:
  %e = phi i64 [ 0, %column ], [ %e.next, %element ]
  %e.more = icmp ult i64 %e, %k
  br i1 %e.more, label %element, label %columns.next
element:
  %from = getelementptr {kind}, ptr %from.row, i64 %e
  %moved = load {kind}, ptr %from
  %e.shift = mul i64 %e, {columns}
  %to = getelementptr {kind}, ptr %to.row, i64 %e.shift
  store {kind} %moved, ptr %to
  %e.next = add i64 %e, 1
  br label %elements
columns.next:
  %q.next = add i64 %q, 1
  br label %columns
tiles:
  %u = phi i64 [ %t, %columns ], [ %u.next, %tiles.next ]
"""


def _tile(tile: Tile) -> str:
    """The rows of a tile; those behind the last row are the last one again."""
    lines = [
        "  %u.more = icmp ult i64 %u, %run.end\n"
        "  br i1 %u.more, label %tile, label %panels.next\n"
        "tile:\n"
        "  %u.inside = sub i64 %u, %run.first\n"
        f"  %row = mul i64 %u.inside, {tile.rows}\n"
    ]
    for row in range(tile.rows):
        lines.append(
            f"  %row{row}.raw = add i64 %row, {row}\n"
            f"  %row{row} = call i64 @llvm.umin.i64(i64 %row{row}.raw, i64 %last)\n"
            f"  %a{row}.shift = mul i64 %row{row}, %a_row\n"
            f"  %a{row} = getelementptr i8, ptr %a.mine, i64 %a{row}.shift\n"
            f"  %c{row}.shift = mul i64 %row{row}, %c_row\n"
            f"  %c{row}.row = getelementptr i8, ptr %c.mine, i64 %c{row}.shift\n"
            f"  %c{row} = getelementptr {_scalar(tile)}, ptr %c{row}.row, i64 %j\n"
        )
    return "".join(lines)


def _steps(tile: Tile) -> str:
    """The loop over k: one row of the panel, times one element of each row of a."""
    lines = [
        "  br label %steps\nsteps:\n"
        "  %p = phi i64 [ 0, %tile ], [ %p.next, %step ]\n"
        "  %a.moved = phi i64 [ 0, %tile ], [ %a.next, %step ]\n"
        "  %b.now = phi ptr [ %b.panel, %tile ], [ %b.next, %step ]\n"
    ]
    for row in range(tile.rows):
        for number, width, _start in _places(tile):
            name = f"{row}.{number}"
            lines.append(
                f"  %sum{name} = phi {_vector(tile, width)} [ zeroinitializer, %tile ], [ %new{name}, %step ]\n"
            )
    lines.append("  %p.more = icmp ult i64 %p, %k\n  br i1 %p.more, label %step, label %finish\nstep:\n")
    for number, _width, start in _places(tile):
        lines.append(f"  %b{number}.at = getelementptr {_scalar(tile)}, ptr %b.now, i64 {start}\n")
        lines.append(_masked_load(tile, f"%b{number}", f"%b{number}.at", number))
    lines += [_step_of_row(tile, row) for row in range(tile.rows)]
    lines.append(
        "  %p.next = add i64 %p, 1\n"
        "  %a.next = add i64 %a.moved, %a_step\n"
        "  %b.next = getelementptr i8, ptr %b.now, i64 %b.step\n"
        "  br label %steps\n"
    )
    return "".join(lines)


def _step_of_row(tile: Tile, row: int) -> str:
    lines = [
        f"  %x{row}.at = getelementptr i8, ptr %a{row}, i64 %a.moved\n"
        f"  %x{row} = load {_scalar(tile)}, ptr %x{row}.at\n"
    ]
    lines += [_splat(f"%x{row}.{width}", _scalar(tile), width, f"%x{row}") for width in sorted(set(tile.widths))]
    for number, width, _start in _places(tile):
        vector = _vector(tile, width)
        lines.append(
            f"  %new{row}.{number} = call {vector} @llvm.fma.{_suffix(tile, width)}"
            f"({vector} %x{row}.{width}, {vector} %b{number}, {vector} %sum{row}.{number})\n"
        )
    return "".join(lines)


def _stores(tile: Tile) -> str:
    """The end of a tile: all of c is read before any is written, since rows behind the last one repeat it."""
    reads, sums, fresh = [], [], []
    for row in range(tile.rows):
        for number, width, start in _places(tile):
            name, vector = f"{row}.{number}", _vector(tile, width)
            reads.append(
                f"  %c{name}.at = getelementptr {_scalar(tile)}, ptr %c{row}, i64 {start}\n"
                f"  %scaled{name} = fmul {vector} %sum{name}, %alpha.{width}\n"
            )
            sums.append(
                _masked_load(tile, f"%old{name}", f"%c{name}.at", number)
                + f"  %all{name} = call {vector} @llvm.fma.{_suffix(tile, width)}"
                f"({vector} %old{name}, {vector} %beta.{width}, {vector} %scaled{name})\n"
            )
            fresh.append((name, number))
    over = "".join(_masked_store(tile, f"%scaled{name}", f"%c{name}.at", number) for name, number in fresh)
    onto = "".join(_masked_store(tile, f"%all{name}", f"%c{name}.at", number) for name, number in fresh)
    return (
        "finish:\n" + "".join(reads) + "  br i1 %plain, label %over, label %onto\nover:\n" + over
        + "  br label %tiles.next\nonto:\n" + "".join(sums) + onto + "  br label %tiles.next\n"
    )  # fmt: skip


_ENDS: Final = """\
tiles.next:
  %u.next = add i64 %u, 1
  br label %tiles
panels.next:
  %j.next = add i64 %j, {columns}
  br label %panels
runs.next:
  br label %runs
done:
  ret i64 0
}}
"""
