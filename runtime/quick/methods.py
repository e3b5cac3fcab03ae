"""The native code of quick calls: what Python calls in place of a class's methods.

The first record that fits serves a call. A call that no record fits, or that anything is
unusual about, goes to Python with nothing done. Python's code may run while guards are
read and objects are made: a record is busy from then on, and whoever calls meanwhile
goes to Python too. What is short or stands on the usual way is marked to be inlined, as
nothing else decides that. Knows nothing of programs.
"""

from __future__ import annotations

from graphjit.runtime import objectlayout as layout

from .arguments import bind_ir, containers_ir, numbers_ir
from .checks import guards_ir, is_usual_ir, matches_ir
from .results import commit_ir, finish_ir, keep_ir, make_ir, run_ir
from .tables import RECORD, ROOT, SLOW, at, loop, root


def _setup_ir() -> str:
    stores = "".join(
        f"  %{name}.at = getelementptr i64, ptr @root, i64 {ROOT.index(name)}\n  store ptr @{name}, ptr %{name}.at\n"
        for name in ("call", "bound_call", "read")
    )
    back = "".join(
        f"  %{name}.to = getelementptr i64, ptr %words, i64 {ROOT.index(name)}\n  store ptr @{name}, ptr %{name}.to\n"
        for name in ("call", "bound_call", "read")
    )
    return f"""
@root = internal global [{len(ROOT)} x i64] zeroinitializer, align 8
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define i64 @entry(ptr %words) {{
  call void @llvm.memcpy.p0.p0.i64(ptr @root, ptr %words, i64 {8 * len(ROOT)}, i1 false)
{stores}{back}  ret i64 0
}}
"""


def _slow_ir() -> str:
    """Hand a call over to a Python function, with the object that was called before the arguments."""
    return f"""
define internal i64 @size_of(ptr %tuple) alwaysinline {{
  %none = icmp eq ptr %tuple, null
  br i1 %none, label %zero, label %some
some:
{at("size", "tuple", layout.SIZE, "i64")}  ret i64 %size
zero:
  ret i64 0
}}

define internal ptr @hand_over(ptr %function, ptr %self, ptr %args, i64 %count, ptr %names) {{
{root("PyObject_Vectorcall")}  %keywords = call i64 @size_of(ptr %names)
  %given = add i64 %count, %keywords
  %all = add i64 %given, 1
  %room = alloca ptr, i64 %all
  store ptr %self, ptr %room
  %rest = getelementptr ptr, ptr %room, i64 1
  %bytes = mul i64 %given, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %rest, ptr %args, i64 %bytes, i1 false)
  %positional = add i64 %count, 1
  %result = call ptr %PyObject_Vectorcall(ptr %function, ptr %room, i64 %positional, ptr %names)
  ret ptr %result
}}
"""


def _call_ir() -> str:
    """What Python calls: the first record that fits serves the call."""
    each = f"""  %offset = mul i64 %r, 8
  %item = add i64 %offset, {layout.ITEMS}
{at("owner", "table", "%item")}{at("array", "owner", "%record_words")}{at("record", "array", layout.DATA)}
  %fits = call i1 @matches(ptr %record, ptr %args, i64 %count, i64 %keywords, ptr %names)
  br i1 %fits, label %take, label %r.next
take:
  %busy.at = getelementptr i64, ptr %record, i64 {RECORD.index("busy")}
  store i64 1, ptr %busy.at
  call void @keep_arguments(ptr %record, i1 true)
  %as_before = call i1 @guards_hold(ptr %record)
  br i1 %as_before, label %serve, label %release
release:
  call void @keep_arguments(ptr %record, i1 false)
  store i64 0, ptr %busy.at
  br label %r.next"""
    return f"""
define internal ptr @served(ptr %self, ptr %args, i64 %count, ptr %names) {{
{root("callable_calls", "calls_table", "record_words", kind="i64")}{root("none", "Py_IncRef", "Py_DecRef")}
{at("calls", "self", "%callable_calls")}  %no_calls = icmp eq ptr %calls, null
  br i1 %no_calls, label %slow, label %look
look:
{at("table", "calls", "%calls_table")}  %empty = icmp eq ptr %table, null
  br i1 %empty, label %slow, label %maybe
maybe:
  %usual = call i1 @is_usual()
  br i1 %usual, label %search, label %slow
search:
  %keywords = call i64 @size_of(ptr %names)
  %records = call i64 @size_of(ptr %table)
  call void %Py_IncRef(ptr %table)
{loop("r", "%records", each, "nobody")}
serve:
  %result = call ptr @perform(ptr %record)
  call void @keep_arguments(ptr %record, i1 false)
  store i64 0, ptr %busy.at
  call void %Py_DecRef(ptr %table)
  ret ptr %result
nobody:
  call void %Py_DecRef(ptr %table)
  br label %slow
slow:
  ret ptr {SLOW}
}}

define internal ptr @call(ptr %self, ptr %args, i64 %count, ptr %names) {{
  %result = call ptr @served(ptr %self, ptr %args, i64 %count, ptr %names)
  %refused = icmp eq ptr %result, {SLOW}
  br i1 %refused, label %slow, label %end
end:
  ret ptr %result
slow:
{root("slow_call")}
  %slow_result = tail call ptr @hand_over(ptr %slow_call, ptr %self, ptr %args, i64 %count, ptr %names)
  ret ptr %slow_result
}}

define internal ptr @bound_call(ptr %self, ptr %args, i64 %count, ptr %names) {{
{root("bound_function", kind="i64")}{root("callable_type", "slow_bound_call")}
{at("function", "self", "%bound_function")}  %no_function = icmp eq ptr %function, null
  br i1 %no_function, label %slow, label %look
look:
{at("type", "function", layout.TYPE)}  %is_known = icmp eq ptr %type, %callable_type
  br i1 %is_known, label %try, label %slow
try:
  %result = call ptr @served(ptr %function, ptr %args, i64 %count, ptr %names)
  %refused = icmp eq ptr %result, {SLOW}
  br i1 %refused, label %slow, label %end
end:
  ret ptr %result
slow:
  %slow_result = tail call ptr @hand_over(ptr %slow_bound_call, ptr %self, ptr %args, i64 %count, ptr %names)
  ret ptr %slow_result
}}
"""


def _read_ir() -> str:
    """A wrapper's array as one that nobody writes to, without a copy; a scalar where it has no axes."""
    return f"""
define internal ptr @read(ptr %self, ptr %unused) {{
{root("PyArray_NewFromDescr", "PyArray_SetBaseObject", "PyArray_Scalar", "Py_IncRef", "Py_DecRef", "array_type")}
{root("wrapper_array", kind="i64")}{root("PyObject_CallOneArg", "slow_read")}
{at("array", "self", "%wrapper_array")}  %empty = icmp eq ptr %array, null
  br i1 %empty, label %slow, label %look
slow:
  %slow_result = call ptr %PyObject_CallOneArg(ptr %slow_read, ptr %self)
  ret ptr %slow_result
look:
{at("dtype", "array", layout.DTYPE)}{at("ndim", "array", layout.NDIM, "i32")}{at("data", "array", layout.DATA)}
{at("shape", "array", layout.SHAPE)}{at("strides", "array", layout.STRIDES)}
{at("flags", "array", layout.FLAGS, "i32")}
  %is_scalar = icmp eq i32 %ndim, 0
  br i1 %is_scalar, label %scalar, label %view
scalar:
  %number = call ptr %PyArray_Scalar(ptr %data, ptr %dtype, ptr %array)
  ret ptr %number
view:
  call void %Py_IncRef(ptr %dtype)
  %read_only = and i32 %flags, {~layout.WRITEABLE & 0x0FFF & ~0x0004}
  %made = call ptr %PyArray_NewFromDescr(ptr %array_type, ptr %dtype, i32 %ndim, ptr %shape, ptr %strides,
    ptr %data, i32 %read_only, ptr null)
  %failed = icmp eq ptr %made, null
  br i1 %failed, label %nothing, label %own
own:
  call void %Py_IncRef(ptr %array)
  %status = call i32 %PyArray_SetBaseObject(ptr %made, ptr %array)
  %refused = icmp slt i32 %status, 0
  br i1 %refused, label %drop, label %end
drop:
  call void %Py_DecRef(ptr %made)
  br label %nothing
nothing:
  ret ptr null
end:
  ret ptr %made
}}
"""


def quick_ir() -> str:
    """The native code of quick calls as LLVM IR; `entry` is handed the words of `ROOT` once."""
    checks = (is_usual_ir, bind_ir, numbers_ir, containers_ir, matches_ir, guards_ir)
    results = (make_ir, keep_ir, commit_ir, run_ir, finish_ir)
    return "".join(part() for part in (_setup_ir, *checks, *results, _slow_ir, _call_ir, _read_ir))
