"""Native code that makes what a call gives, runs it, and hands over the results.

Nothing that can be seen from outside is changed before the run has succeeded.
"""

from __future__ import annotations

from graphjit.runtime import objectlayout as layout

from .tables import (
    ARRAY,
    CALLED,
    LIST,
    NOTHING,
    OUTPUT,
    RAISED,
    RECORD,
    RUN_AGAIN,
    SLOW,
    TUPLE,
    UPDATE,
    at,
    load,
    loop,
    root,
    row,
)


def make_ir() -> str:
    """Make the arrays of the outputs and the wrappers of the results; or none of them.

    The arrays of updates that may be written where their holders' lie are made when that shows to be impossible.
    """
    output = f"""  %o = add i64 %j, %from
{row("row", OUTPUT, "outputs", "o")}
{load(OUTPUT, "row", "dtype", "shape", "maker", kind="ptr")}
{load(OUTPUT, "row", "ndim", "place")}  %from_numpy = icmp eq ptr %maker, null
  br i1 %from_numpy, label %new, label %ask
new:
  call void %Py_IncRef(ptr %dtype)
  %short_ndim = trunc i64 %ndim to i32
  %fresh = call ptr %PyArray_NewFromDescr(ptr %array_type, ptr %dtype, i32 %short_ndim, ptr %shape, ptr null,
    ptr null, i32 0, ptr null)
  br label %have
ask:
  %pooled = call ptr %PyObject_CallNoArgs(ptr %maker)
  br label %have
have:
  %array = phi ptr [ %fresh, %new ], [ %pooled, %ask ]
  %failed = icmp eq ptr %array, null
  br i1 %failed, label %no, label %keep
keep:
  %made.at = getelementptr ptr, ptr %made, i64 %o
  store ptr %array, ptr %made.at
{at("data", "array", layout.DATA, "i64")}  %where = inttoptr i64 %place to ptr
  store i64 %data, ptr %where
  br label %j.next"""
    wrapper = """  %wrapper = call ptr %PyType_GenericAlloc(ptr %wrapper_type, i64 0)
  %not_made = icmp eq ptr %wrapper, null
  br i1 %not_made, label %no, label %fill
fill:
  call void %Py_IncRef(ptr %none)
  %spare = getelementptr i8, ptr %wrapper, i64 %wrapper_spare
  store ptr %none, ptr %spare
  %wrapped.at = getelementptr ptr, ptr %wrapped, i64 %w
  store ptr %wrapper, ptr %wrapped.at
  br label %w.next"""
    drop = """  %room = getelementptr ptr, ptr %list, i64 %d
  %held = load ptr, ptr %room
  store ptr null, ptr %room
  %empty = icmp eq ptr %held, null
  br i1 %empty, label %d.next, label %drop
drop:
  call void %Py_DecRef(ptr %held)
  br label %d.next"""
    return f"""
define internal void @drop_all(ptr %list, i64 %count) alwaysinline {{
{root("Py_DecRef")}{loop("d", "%count", drop, "end")}
end:
  ret void
}}

define internal void @drop_made(ptr %record) alwaysinline {{
{load(RECORD, "record", "output_count", "result_count")}{load(RECORD, "record", "made", "wrapped", kind="ptr")}
  call void @drop_all(ptr %wrapped, i64 %result_count)
  call void @drop_all(ptr %made, i64 %output_count)
  ret void
}}

define internal i1 @make_outputs(ptr %record, i64 %from, i64 %to) alwaysinline {{
{load(RECORD, "record", "outputs", "made", kind="ptr")}{root("PyErr_Clear", "array_type")}
{root("Py_IncRef", "PyArray_NewFromDescr", "PyObject_CallNoArgs")}  %count = sub i64 %to, %from
{loop("j", "%count", output, "yes")}
yes:
  ret i1 true
no:
  call void %PyErr_Clear()
  ret i1 false
}}

define internal i1 @make(ptr %record) alwaysinline {{
{load(RECORD, "record", "output_count", "result_count", "tail")}{load(RECORD, "record", "wrapped", kind="ptr")}
{root("PyType_GenericAlloc", "Py_IncRef", "PyErr_Clear", "wrapper_type", "none")}{root("wrapper_spare", kind="i64")}
  %no_tail = icmp eq i64 %tail, 0
  %first_made = select i1 %no_tail, i64 %output_count, i64 %result_count
  %outputs_made = call i1 @make_outputs(ptr %record, i64 0, i64 %first_made)
  br i1 %outputs_made, label %wrap, label %no
wrap:
{loop("w", "%result_count", wrapper, "yes")}
yes:
  ret i1 true
no:
  call void %PyErr_Clear()
  call void @drop_made(ptr %record)
  ret i1 false
}}
"""


def keep_ir() -> str:
    """Hold on to, or let go of, the arguments that were found in containers, which others may change meanwhile."""
    each = f"""{row("row", ARRAY, "arguments", "a")}{load(ARRAY, "row", "kept", kind="ptr")}
  br i1 %hold, label %keep, label %drop
keep:
  call void %Py_IncRef(ptr %kept)
  br label %a.next
drop:
  call void %Py_DecRef(ptr %kept)
  br label %a.next"""
    return f"""
define internal void @keep_arguments(ptr %record, i1 %hold) alwaysinline {{
{load(RECORD, "record", "container_count", "argument_count")}{load(RECORD, "record", "arguments", kind="ptr")}
{root("Py_IncRef", "Py_DecRef")}  %flat = icmp eq i64 %container_count, 0
  br i1 %flat, label %end, label %all
all:
{loop("a", "%argument_count", each, "end")}
end:
  ret void
}}
"""


def commit_ir() -> str:
    """Let updates be written where the arrays of their holders lie, if nobody else sees any of these.

    A holder and the run itself refer to such an array: two references.
    """
    check = f"""{row("row", UPDATE, "updates", "c")}{load(UPDATE, "row", "holder", "held", kind="ptr")}
{at("array", "held", 8 * ARRAY.index("kept"))}{at("current", "holder", "%holder_array")}
  %same = icmp eq ptr %array, %current
  %references = load i32, ptr %array
  %alone = icmp eq i32 %references, 2
{at("base", "array", layout.BASE)}  %own = icmp eq ptr %base, null
  %unseen = and i1 %same, %alone
  %borrowed = xor i1 %own, true
  %may = and i1 %unseen, %borrowed
  br i1 %may, label %look, label %no
look:
{at("type", "base", layout.TYPE)}  %is_one = icmp eq ptr %type, %counted_type
  %is_other = icmp eq ptr %type, %other_counted_type
  %counted = or i1 %is_one, %is_other
  br i1 %counted, label %c.next, label %no"""
    aim = f"""{row("aimed", UPDATE, "updates", "a")}{load(UPDATE, "aimed", "place", kind="ptr")}
{at("state", "aimed", 8 * UPDATE.index("held"))}
{at("state_array", "state", 8 * ARRAY.index("kept"))}{at("data", "state_array", layout.DATA)}
  store ptr %data, ptr %place
  br label %a.next"""
    return f"""
define internal i1 @writes_over(ptr %record) {{
{load(RECORD, "record", "update_count")}{load(RECORD, "record", "updates", kind="ptr")}
{root("counted_type", "other_counted_type")}{root("holder_array", kind="i64")}
{loop("c", "%update_count", check, "aim")}
aim:
{loop("a", "%update_count", aim, "yes")}
yes:
  %in_place.at = getelementptr i64, ptr %record, i64 {RECORD.index("in_place")}
  store i64 1, ptr %in_place.at
  ret i1 true
no:
  ret i1 false
}}
"""


def run_ir() -> str:
    """Bind what is held, and run; 0, or what `RUN_AGAIN` and `RAISED` say. Long runs stop for signals."""
    bind = f"""{row("row", ARRAY, "held", "h")}  %bound = call i1 @bind_held(ptr %row)
  br i1 %bound, label %h.next, label %no"""
    keep = f"""{row("kept_row", ARRAY, "held", "k")}{load(ARRAY, "kept_row", "kept", kind="ptr")}
  call void %Py_IncRef(ptr %kept)
  br label %k.next"""
    drop = f"""{row("left_row", ARRAY, "held", "l")}{at("left", "left_row", 8 * ARRAY.index("kept"))}
  call void %Py_DecRef(ptr %left)
  br label %l.next"""
    return f"""
define internal i64 @run(ptr %record) {{
{load(RECORD, "record", "held_count", "lets_go", "stops", "tail", "result_count", "output_count")}
{load(RECORD, "record", "before", "held", "run", "frame", kind="ptr")}
{root("PyEval_SaveThread", "PyEval_RestoreThread", "PyErr_CheckSignals")}
{root("Py_IncRef", "Py_DecRef", "PyObject_CallNoArgs", "PyErr_Clear")}
  %alone = icmp eq ptr %before, null
  br i1 %alone, label %bind_all, label %call_before
call_before:
  %ready = call ptr %PyObject_CallNoArgs(ptr %before)
  %unready = icmp eq ptr %ready, null
  br i1 %unready, label %not_ready, label %drop_ready
drop_ready:
  call void %Py_DecRef(ptr %ready)
  br label %bind_all
not_ready:
  call void %PyErr_Clear()
  ret i64 {RUN_AGAIN}
bind_all:
{loop("h", "%held_count", bind, "bound_all")}
bound_all:
  %short = icmp eq i64 %lets_go, 0
  %straight = icmp eq i64 %stops, 0
  %simple = and i1 %short, %straight
  br i1 %simple, label %holding, label %keep_all
holding:
  %short_code = call i64 %run(ptr null, ptr %frame, i64 0)
  %short_fine = icmp eq i64 %short_code, 0
  %short_status = select i1 %short_fine, i64 0, i64 {RUN_AGAIN}
  ret i64 %short_status
keep_all:
{loop("k", "%held_count", keep, "go")}
go:
  %first = phi i64 [ 0, %k.head ], [ %code, %signals ], [ %code, %renew ]
  br i1 %short, label %go_holding, label %go_free
go_holding:
  %held_code = call i64 %run(ptr null, ptr %frame, i64 %first)
  br label %stopped
go_free:
  %state = call ptr %PyEval_SaveThread()
  %free_code = call i64 %run(ptr null, ptr %frame, i64 %first)
  call void %PyEval_RestoreThread(ptr %state)
  br label %stopped
stopped:
  %code = phi i64 [ %held_code, %go_holding ], [ %free_code, %go_free ]
  %fine = icmp eq i64 %code, 0
  %status = select i1 %fine, i64 0, i64 {RUN_AGAIN}
  %paused = icmp sgt i64 %code, 0
  br i1 %paused, label %pause, label %over
pause:
  %at_tail = icmp eq i64 %code, %tail
  br i1 %at_tail, label %commit, label %signals
signals:
  %raised = call i32 %PyErr_CheckSignals()
  %calm = icmp eq i32 %raised, 0
  br i1 %calm, label %go, label %over
commit:
  %writes = call i1 @writes_over(ptr %record)
  br i1 %writes, label %end, label %renew
renew:
  %renewed = call i1 @make_outputs(ptr %record, i64 %result_count, i64 %output_count)
  br i1 %renewed, label %go, label %over
end:
  %end_code = call i64 %run(ptr null, ptr %frame, i64 %code)
  br label %over
over:
  %end_status = phi i64 [ %status, %stopped ], [ {RAISED}, %signals ], [ {RUN_AGAIN}, %renew ], [ 0, %end ]
{loop("l", "%held_count", drop, "gone")}
gone:
  ret i64 %end_status
no:
  ret i64 {RUN_AGAIN}
}}
"""


def finish_ir() -> str:
    """Hand over the new arrays: to what holds them, to the wrappers, and these to the caller."""
    update = f"""{row("row", UPDATE, "updates", "u")}{load(UPDATE, "row", "holder", kind="ptr")}
  %slot = getelementptr i8, ptr %holder, i64 %holder_array
  %old = load ptr, ptr %slot
  %index = add i64 %result_count, %u
  %new.at = getelementptr ptr, ptr %made, i64 %index
  %new = load ptr, ptr %new.at
  store ptr %new, ptr %slot
  store ptr %old, ptr %new.at
  br label %u.next"""
    wrap = """  %array.at = getelementptr ptr, ptr %made, i64 %w
  %array = load ptr, ptr %array.at
  store ptr null, ptr %array.at
  %wrapper.at = getelementptr ptr, ptr %wrapped, i64 %w
  %wrapper = load ptr, ptr %wrapper.at
  %inside = getelementptr i8, ptr %wrapper, i64 %wrapper_array
  store ptr %array, ptr %inside
  br label %w.next"""
    into_tuple = f"""  %given.at = getelementptr ptr, ptr %wrapped, i64 %t
  %given = load ptr, ptr %given.at
  store ptr null, ptr %given.at
  %offset = mul i64 %t, 8
  %place = add i64 %offset, {layout.ITEMS}
  %item = getelementptr i8, ptr %tuple, i64 %place
  store ptr %given, ptr %item
  br label %t.next"""
    into_list = """  %put.at = getelementptr ptr, ptr %wrapped, i64 %i
  %put = load ptr, ptr %put.at
  store ptr null, ptr %put.at
  %status = call i32 %PyList_SetItem(ptr %list, i64 %i, ptr %put)
  br label %i.next"""
    functions = ("PyTuple_New", "PyList_New", "PyList_SetItem", "PyObject_CallOneArg", "Py_IncRef", "Py_DecRef")
    return f"""
define internal ptr @finish(ptr %record) {{
{load(RECORD, "record", "result_count", "update_count", "container", "hits", "output_count")}{root(*functions)}
{load(RECORD, "record", "made", "wrapped", "updates", "shape_of_result", kind="ptr")}
{root("wrapper_array", "holder_array", kind="i64")}
  %in_place.at = getelementptr i64, ptr %record, i64 {RECORD.index("in_place")}
  %in_place = load i64, ptr %in_place.at
  store i64 0, ptr %in_place.at
  %renewed = icmp eq i64 %in_place, 0
  %replaced = select i1 %renewed, i64 %update_count, i64 0
{loop("u", "%replaced", update, "updated")}
updated:
{loop("w", "%result_count", wrap, "put_together")}
put_together:
  %hits.pointer = inttoptr i64 %hits to ptr
  %hits.before = load i64, ptr %hits.pointer
  %hits.now = add i64 %hits.before, 1
  store i64 %hits.now, ptr %hits.pointer
  call void @drop_all(ptr %made, i64 %output_count)
  switch i64 %container, label %single [
    i64 {TUPLE}, label %new_tuple
    i64 {LIST}, label %new_list
    i64 {CALLED}, label %new_list
    i64 {NOTHING}, label %nothing
  ]
single:
  %only = load ptr, ptr %wrapped
  store ptr null, ptr %wrapped
  ret ptr %only
nothing:
  call void %Py_IncRef(ptr %shape_of_result)
  ret ptr %shape_of_result
new_tuple:
  %tuple = call ptr %PyTuple_New(i64 %result_count)
  %no_tuple = icmp eq ptr %tuple, null
  br i1 %no_tuple, label %out_of_memory, label %fill_tuple
fill_tuple:
{loop("t", "%result_count", into_tuple, "give_tuple")}
give_tuple:
  ret ptr %tuple
new_list:
  %list = call ptr %PyList_New(i64 %result_count)
  %no_list = icmp eq ptr %list, null
  br i1 %no_list, label %out_of_memory, label %fill_list
fill_list:
{loop("i", "%result_count", into_list, "have_list")}
have_list:
  %is_called = icmp eq i64 %container, {CALLED}
  br i1 %is_called, label %shape, label %give_list
give_list:
  ret ptr %list
shape:
  %shaped = call ptr %PyObject_CallOneArg(ptr %shape_of_result, ptr %list)
  call void %Py_DecRef(ptr %list)
  ret ptr %shaped
out_of_memory:
  call void @drop_all(ptr %wrapped, i64 %result_count)
  ret ptr null
}}

define internal ptr @perform(ptr %record) alwaysinline {{
  %ready = call i1 @make(ptr %record)
  br i1 %ready, label %start, label %slow
start:
  %status = call i64 @run(ptr %record)
  %fine = icmp eq i64 %status, 0
  br i1 %fine, label %end, label %undo
end:
  %result = call ptr @finish(ptr %record)
  ret ptr %result
undo:
  call void @drop_made(ptr %record)
  %raised = icmp eq i64 %status, {RAISED}
  br i1 %raised, label %error, label %slow
error:
  ret ptr null
slow:
  ret ptr {SLOW}
}}
"""
