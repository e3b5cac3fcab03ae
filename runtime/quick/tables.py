"""The layouts of the tables that native code reads for quick calls, and the IR that reads them.

Each tuple of names is a row of words. `calls` fills the tables; the code is in `arguments`, `checks`,
`results` and `methods`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from graphjit.runtime import objectlayout as layout

ROOT: Final = (
    *("call", "bound_call", "read"),
    *layout.PYTHON_FUNCTIONS,
    *layout.NUMPY_FUNCTIONS,
    *("none", "true", "array_type", "float_type", "int_type"),
    *("tuple_type", "list_type", "dict_type"),
    *("wrapper_type", "wrapper_array", "wrapper_spare", "holder_array"),
    *("callable_type", "callable_calls", "bound_function", "calls_table", "record_words"),
    *("slow_call", "slow_bound_call", "slow_read"),
    *("counted_type", "other_counted_type"),
    *("switch", "first_context", "first_usual", "second_context", "second_usual"),
)
"""Words that are the same for all calls. `call`, `bound_call` and `read` are filled in by the code itself;
functions, objects and types are addresses; `wrapper_...` and the like are offsets of slots. A call is usual
if `switch` points to 0 and both context variables hold nothing, or what is usual. Bases of the `counted` types
say that an array's references are all that can reach its memory."""

RECORD: Final = (
    *("busy", "hits", "positional", "keywords", "keyword_names"),
    *("constants", "constant_count", "arguments", "argument_count", "numbers", "number_count"),
    *("containers", "container_count", "items"),
    *("guards", "guard_count", "held", "held_count"),
    *("outputs", "output_count", "made", "result_count", "wrapped", "updates", "update_count"),
    *("stops", "tail", "in_place"),
    *("before", "run", "frame", "lets_go", "container", "shape_of_result"),
)
"""One signature: what a call must look like, what runs, and what it gives. `made` and `wrapped` are room for
the outputs' arrays and their wrappers; `before` is 0 or what is called before the run; `lets_go` says whether
other Python threads may run meanwhile. `items` is room for the arguments and what is in containers among them;
where there are containers, positions count in that room. `stops` says whether a short run may stop
before its end; `tail` is 0 or where it stops before it writes updates:
over the arrays of their holders, if nobody else sees these, which `in_place` then says."""

CONTAINER: Final = ("position", "kind", "count", "names", "first")
"""An argument that must be a container of so many items, which are put down from `first` on; `names` are dict keys."""

IN_TUPLE: Final = 0
IN_LIST: Final = 1
IN_DICT: Final = 2

CONSTANT: Final = ("position", "object", "bits", "how")
"""An argument that must be this object, or a float with these bits, or what a call of the object gives."""

BY_IDENTITY: Final = 0
BY_BITS: Final = 1
BY_CALL: Final = 2

ARRAY: Final = ("source", "what", "dtype", "ndim", "shape", "scalar_type", "place", "kept")
"""An array that is bound: `what` is a position among the arguments, an array, or what holds one; `place` is where
the address of its elements goes; `kept` is room for what is held while other threads run."""

NUMBER: Final = ("position", "is_int", "target", "place", "room")
"""A Python number that is bound: converted into `room` as `target` says, which `place` then points to."""

TARGETS: Final = ("float32", "float64", "int32", "int64")

FIXED: Final = 0
HOLDER: Final = 1

GUARD: Final = ("kind", "where", "name", "value", "by_call")
"""Something to look at: `value` is the object that must be there, or (`by_call`) what gives it."""

NAME: Final = 0
"""`where` is a dictionary."""
ATTRIBUTE: Final = 1
"""`where` is called for the object."""
CELL: Final = 2
"""`where` is called for a function, `name` is the place among its cells."""
QUESTION: Final = 3
"""`where` is called for True or False."""

UPDATE: Final = ("holder", "held", "place")
"""What gets an output behind the results; `held` is the row of `held` with its array, 0 if that is never written."""

OUTPUT: Final = ("dtype", "ndim", "shape", "maker", "place")
"""An array to make: by NumPy, or by calling `maker`."""

SINGLE: Final = 0
TUPLE: Final = 1
LIST: Final = 2
CALLED: Final = 3
"""`shape_of_result` is called with a list of the wrapped arrays."""
NOTHING: Final = 4
"""`shape_of_result` is the result."""

RUN_AGAIN: Final = 1
"""A run failed, and left nothing behind: in Python it fails again, and explains why."""
RAISED: Final = 2
"""A signal's exception is to be raised."""

SLOW: Final = "inttoptr (i64 1 to ptr)"
"""What the code's functions answer where Python must do it all."""


def at(name: str, source: str, offset: int | str, kind: str = "ptr") -> str:
    """IR that loads `%name` from `offset` bytes behind `%source`."""
    return (
        f"  %{name}.word = getelementptr i8, ptr %{source}, i64 {offset}\n  %{name} = load {kind}, ptr %{name}.word\n"
    )


def load(table: Sequence[str], source: str, *names: str, kind: str = "i64") -> str:
    """IR that loads words of a table, named as they are there."""
    return "".join(at(name, source, 8 * table.index(name), kind) for name in names)


def root(*names: str, kind: str = "ptr") -> str:
    """IR that loads words that are the same for all calls."""
    return "".join(
        f"  %{name}.word = getelementptr i64, ptr @root, i64 {ROOT.index(name)}\n"
        f"  %{name} = load {kind}, ptr %{name}.word\n"
        for name in names
    )


def loop(name: str, count: str, body: str, after: str) -> str:
    """IR that runs `body`, which ends by a branch to `%{name}.next`, for each `%{name}`; then on to `after`."""
    return f"""
  br label %{name}.entry
{name}.entry:
  br label %{name}.head
{name}.head:
  %{name} = phi i64 [ 0, %{name}.entry ], [ %{name}.more, %{name}.next ]
  %{name}.left = icmp slt i64 %{name}, {count}
  br i1 %{name}.left, label %{name}.body, label %{after}
{name}.body:
{body}
{name}.next:
  %{name}.more = add i64 %{name}, 1
  br label %{name}.head
"""


def row(name: str, table: Sequence[str], base: str, index: str) -> str:
    return f"  %{name} = getelementptr [{len(table)} x i64], ptr %{base}, i64 %{index}\n"
