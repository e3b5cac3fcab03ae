"""Native code that tells whether a record serves a call: how it is called, and what must be as it was."""

from __future__ import annotations

from graphjit.runtime import objectlayout as layout

from .tables import (
    ARRAY,
    BY_BITS,
    BY_CALL,
    CELL,
    CONSTANT,
    GUARD,
    NAME,
    NUMBER,
    QUESTION,
    RECORD,
    at,
    load,
    loop,
    root,
    row,
)


def is_usual_ir() -> str:
    """Whether calls run compiled here, and nobody listens."""
    return f"""
define internal i1 @holds_usual(ptr %variable, ptr %usual) alwaysinline {{
{root("PyContextVar_Get", "Py_DecRef")}  %found.at = alloca ptr
  store ptr null, ptr %found.at
  %status = call i32 %PyContextVar_Get(ptr %variable, ptr null, ptr %found.at)
  %found = load ptr, ptr %found.at
  %nothing = icmp eq ptr %found, null
  br i1 %nothing, label %yes, label %compare
compare:
  call void %Py_DecRef(ptr %found)
  %same = icmp eq ptr %found, %usual
  ret i1 %same
yes:
  ret i1 true
}}

define internal i1 @is_usual() alwaysinline {{
{root("switch", "first_context", "first_usual", "second_context", "second_usual")}  %on = load i64, ptr %switch
  %off = icmp eq i64 %on, 0
  br i1 %off, label %first, label %no
first:
  %one = call i1 @holds_usual(ptr %first_context, ptr %first_usual)
  br i1 %one, label %second, label %no
second:
  %other = call i1 @holds_usual(ptr %second_context, ptr %second_usual)
  ret i1 %other
no:
  ret i1 false
}}
"""


def matches_ir() -> str:
    """Whether a call fits a record, whose arguments are bound if so."""
    keywords = loop(
        "k",
        "%keywords",
        f"""  %offset = mul i64 %k, 8
  %item = add i64 %offset, {layout.ITEMS}
{at("given_name", "names", "%item")}  %name.at = getelementptr ptr, ptr %keyword_names, i64 %k
  %name = load ptr, ptr %name.at
  %same_name = icmp eq ptr %given_name, %name
  br i1 %same_name, label %k.next, label %spelled
spelled:
  %order = call i32 %PyUnicode_Compare(ptr %given_name, ptr %name)
  %same_spelling = icmp eq i32 %order, 0
  br i1 %same_spelling, label %k.next, label %no""",
        "free",
    )
    constants = loop(
        "c",
        "%constant_count",
        f"""{row("constant", CONSTANT, "constants", "c")}{load(CONSTANT, "constant", "position", "bits", "how")}
{load(CONSTANT, "constant", "object", kind="ptr")}  %argument.at = getelementptr ptr, ptr %args, i64 %position
  %argument = load ptr, ptr %argument.at
  %same = icmp eq ptr %argument, %object
  br i1 %same, label %c.next, label %float
float:
  switch i64 %how, label %no [
    i64 {BY_BITS}, label %typed
    i64 {BY_CALL}, label %lent
  ]
lent:
  %wanted_object = call ptr %PyObject_CallNoArgs(ptr %object)
  %unknown = icmp eq ptr %wanted_object, null
  br i1 %unknown, label %failed, label %compare_lent
compare_lent:
  call void %Py_DecRef(ptr %wanted_object)
  %same_lent = icmp eq ptr %wanted_object, %argument
  br i1 %same_lent, label %c.next, label %no
failed:
  call void %PyErr_Clear()
  br label %no
typed:
{at("type", "argument", layout.TYPE)}  %is_float = icmp eq ptr %type, %float_type
  br i1 %is_float, label %bitwise, label %no
bitwise:
{at("given_bits", "argument", layout.FLOAT, "i64")}  %same_bits = icmp eq i64 %given_bits, %bits
  br i1 %same_bits, label %c.next, label %no""",
        "arrays",
    )
    arguments = loop(
        "a",
        "%argument_count",
        f"""{row("row", ARRAY, "arguments", "a")}{load(ARRAY, "row", "what")}
  %object.at = getelementptr ptr, ptr %args, i64 %what
  %one = load ptr, ptr %object.at
  %kept.at = getelementptr i64, ptr %row, i64 {ARRAY.index("kept")}
  store ptr %one, ptr %kept.at
  %bound = call i1 @bind_argument(ptr %one, ptr %row)
  br i1 %bound, label %a.next, label %no""",
        "take_numbers",
    )
    numbers = loop(
        "n",
        "%number_count",
        f"""{row("number", NUMBER, "numbers", "n")}
{at("number_position", "number", 8 * NUMBER.index("position"), "i64")}
  %number.at = getelementptr ptr, ptr %args, i64 %number_position
  %python_number = load ptr, ptr %number.at
  %converted = call i1 @bind_number(ptr %python_number, ptr %number)
  br i1 %converted, label %n.next, label %no""",
        "yes",
    )
    counts = ("busy", "positional", "keywords", "constant_count", "argument_count", "number_count", "container_count")
    tables = ("keyword_names", "constants", "arguments", "numbers", "items")
    return f"""
define internal i1 @matches(ptr %record, ptr %given, i64 %count, i64 %keyword_count, ptr %names) {{
entry:
{load(RECORD, "record", *counts)}{load(RECORD, "record", *tables, kind="ptr")}
{root("float_type", "PyObject_CallNoArgs", "Py_DecRef", "PyErr_Clear", "PyUnicode_Compare")}
  %same_count = icmp eq i64 %count, %positional
  %same_keywords = icmp eq i64 %keyword_count, %keywords
  %same_counts = and i1 %same_count, %same_keywords
  br i1 %same_counts, label %named, label %no
named:
{keywords}
free:
  %idle = icmp eq i64 %busy, 0
  br i1 %idle, label %look_inside, label %no
look_inside:
  %is_flat = icmp eq i64 %container_count, 0
  br i1 %is_flat, label %values, label %expand
expand:
  %all = add i64 %count, %keyword_count
  %expanded = call i1 @take_apart(ptr %record, ptr %given, i64 %all)
  br i1 %expanded, label %values, label %no
values:
  %args = phi ptr [ %given, %look_inside ], [ %items, %expand ]
{constants}
arrays:
{arguments}
take_numbers:
{numbers}
yes:
  ret i1 true
no:
  ret i1 false
}}
"""


def guards_ir() -> str:
    """Whether everything that a record depends on beside its arguments is as it was."""
    body = f"""{row("guard", GUARD, "guards", "g")}{load(GUARD, "guard", "kind", "by_call", "name")}
{load(GUARD, "guard", "where", "value", kind="ptr")}  %name.pointer = inttoptr i64 %name to ptr
  %is_name = icmp eq i64 %kind, {NAME}
  br i1 %is_name, label %look_up, label %ask
look_up:
  %borrowed = call ptr %PyDict_GetItemWithError(ptr %where, ptr %name.pointer)
  %same_borrowed = icmp eq ptr %borrowed, %value
  br i1 %same_borrowed, label %g.next, label %no
ask:
  %target = call ptr %PyObject_CallNoArgs(ptr %where)
  %no_target = icmp eq ptr %target, null
  br i1 %no_target, label %no, label %kinds
kinds:
  switch i64 %kind, label %attribute [
    i64 {QUESTION}, label %question
    i64 {CELL}, label %cell
  ]
question:
  call void %Py_DecRef(ptr %target)
  %is_true = icmp eq ptr %target, %true
  br i1 %is_true, label %g.next, label %no
cell:
  %gone = icmp eq ptr %target, %none
  br i1 %gone, label %forget, label %closure
closure:
  %cells = call ptr %PyFunction_GetClosure(ptr %target)
  %offset = mul i64 %name, 8
  %item = add i64 %offset, {layout.ITEMS}
{at("one_cell", "cells", "%item")}  %in_cell = call ptr %PyCell_Get(ptr %one_cell)
  br label %found
attribute:
  %attribute_value = call ptr %PyObject_GetAttr(ptr %target, ptr %name.pointer)
  br label %found
found:
  %there = phi ptr [ %in_cell, %closure ], [ %attribute_value, %attribute ]
  call void %Py_DecRef(ptr %target)
  %nothing = icmp eq ptr %there, null
  br i1 %nothing, label %no, label %wanted
wanted:
  %fixed = icmp eq i64 %by_call, 0
  br i1 %fixed, label %compare_fixed, label %given
compare_fixed:
  call void %Py_DecRef(ptr %there)
  %same_fixed = icmp eq ptr %there, %value
  br i1 %same_fixed, label %g.next, label %no
given:
  %must_be = call ptr %PyObject_CallNoArgs(ptr %value)
  %unknown = icmp eq ptr %must_be, null
  br i1 %unknown, label %forget_found, label %compare_given
compare_given:
  %same_given = icmp eq ptr %there, %must_be
  %is_some = icmp ne ptr %there, %none
  %good = and i1 %same_given, %is_some
  call void %Py_DecRef(ptr %must_be)
  call void %Py_DecRef(ptr %there)
  br i1 %good, label %g.next, label %no
forget_found:
  call void %Py_DecRef(ptr %there)
  br label %no
forget:
  call void %Py_DecRef(ptr %target)
  br label %no"""
    functions = (
        *("PyDict_GetItemWithError", "PyObject_CallNoArgs", "PyObject_GetAttr", "PyFunction_GetClosure", "PyCell_Get"),
        *("Py_DecRef", "PyErr_Clear", "none", "true"),
    )
    return f"""
define internal i1 @guards_hold(ptr %record) {{
{load(RECORD, "record", "guard_count")}{load(RECORD, "record", "guards", kind="ptr")}{root(*functions)}
{loop("g", "%guard_count", body, "yes")}
yes:
  ret i1 true
no:
  call void %PyErr_Clear()
  ret i1 false
}}
"""
