"""Native code that takes arguments in: arrays, numbers, and what is in containers among them."""

from __future__ import annotations

from graphjit.runtime import objectlayout as layout

from .tables import ARRAY, CONTAINER, FIXED, IN_LIST, IN_TUPLE, NUMBER, RECORD, TARGETS, at, load, loop, root, row


def bind_ir() -> str:
    """Take the address of an array's elements, if the array is of the wanted dtype and shape, and plain."""
    compare_shape = loop(
        "axis",
        "%ndim",
        """  %given.at = getelementptr i64, ptr %given_shape, i64 %axis
  %given = load i64, ptr %given.at
  %wanted.at = getelementptr i64, ptr %shape, i64 %axis
  %wanted = load i64, ptr %wanted.at
  %same_size = icmp eq i64 %given, %wanted
  br i1 %same_size, label %axis.next, label %no""",
        "store",
    )
    return f"""
define internal i1 @bind_array(ptr %array, ptr %row) alwaysinline {{
{load(ARRAY, "row", "dtype", "ndim", "place")}{load(ARRAY, "row", "shape", kind="ptr")}{root("array_type")}
{at("type", "array", layout.TYPE)}  %is_array = icmp eq ptr %type, %array_type
  br i1 %is_array, label %look, label %no
look:
{at("given_dtype", "array", layout.DTYPE, "i64")}{at("given_ndim", "array", layout.NDIM, "i32")}
{at("flags", "array", layout.FLAGS, "i32")}{at("given_shape", "array", layout.SHAPE)}
  %same_dtype = icmp eq i64 %given_dtype, %dtype
  %long_ndim = sext i32 %given_ndim to i64
  %same_ndim = icmp eq i64 %long_ndim, %ndim
  %plain_bits = and i32 %flags, {layout.PLAIN}
  %plain = icmp eq i32 %plain_bits, {layout.PLAIN}
  %both = and i1 %same_dtype, %same_ndim
  %fits = and i1 %both, %plain
  br i1 %fits, label %sizes, label %no
sizes:
{compare_shape}
store:
{at("data", "array", layout.DATA, "i64")}  %where = inttoptr i64 %place to ptr
  store i64 %data, ptr %where
  ret i1 true
no:
  ret i1 false
}}

define internal i1 @bind_argument(ptr %object, ptr %row) {{
{root("wrapper_type")}{root("wrapper_array", kind="i64")}{load(ARRAY, "row", "place", "scalar_type")}
{at("type", "object", layout.TYPE)}  %is_wrapper = icmp eq ptr %type, %wrapper_type
  br i1 %is_wrapper, label %unwrap, label %scalar
unwrap:
{at("inside", "object", "%wrapper_array")}  %empty = icmp eq ptr %inside, null
  br i1 %empty, label %no, label %unwrapped
unwrapped:
  %from_wrapper = call i1 @bind_array(ptr %inside, ptr %row)
  ret i1 %from_wrapper
scalar:
  %type_word = ptrtoint ptr %type to i64
  %is_scalar = icmp eq i64 %type_word, %scalar_type
  br i1 %is_scalar, label %number, label %array
number:
  %bits = getelementptr i8, ptr %object, i64 {layout.FLOAT}
  %where = inttoptr i64 %place to ptr
  store ptr %bits, ptr %where
  ret i1 true
array:
  %from_array = call i1 @bind_array(ptr %object, ptr %row)
  ret i1 %from_array
no:
  ret i1 false
}}

define internal i1 @bind_held(ptr %row) alwaysinline {{
entry:
{load(ARRAY, "row", "source")}{load(ARRAY, "row", "what", kind="ptr")}{root("holder_array", kind="i64")}
  %fixed = icmp eq i64 %source, {FIXED}
  br i1 %fixed, label %bind, label %hold
hold:
{at("inside", "what", "%holder_array")}  %empty = icmp eq ptr %inside, null
  br i1 %empty, label %no, label %bind
bind:
  %array = phi ptr [ %what, %entry ], [ %inside, %hold ]
  %kept.at = getelementptr i64, ptr %row, i64 {ARRAY.index("kept")}
  store ptr %array, ptr %kept.at
  %bound = call i1 @bind_array(ptr %array, ptr %row)
  ret i1 %bound
no:
  ret i1 false
}}
"""


def numbers_ir() -> str:
    """Convert a Python number into its room, if it is of its kind and fits as any number does."""
    at_room = "  %room.pointer = inttoptr i64 %room to ptr\n  %place.pointer = inttoptr i64 %place to ptr\n"
    return f"""
define internal i1 @bind_number(ptr %object, ptr %row) {{
{load(NUMBER, "row", "is_int", "target", "place", "room")}
{root("float_type", "int_type", "PyLong_AsLongLongAndOverflow")}
{at("type", "object", layout.TYPE)}{at_room}  %overflow.at = alloca i32
  %wants_int = icmp ne i64 %is_int, 0
  br i1 %wants_int, label %int, label %float
float:
  %is_float = icmp eq ptr %type, %float_type
  br i1 %is_float, label %read_float, label %no
read_float:
{at("number", "object", layout.FLOAT, "double")}  %wants_double = icmp eq i64 %target, {TARGETS.index("float64")}
  br i1 %wants_double, label %double, label %single
double:
  store double %number, ptr %room.pointer
  br label %yes
single:
  %size = call double @llvm.fabs.f64(double %number)
  %small = fcmp olt double %size, 0x47EC363CBF21F28A
  %wants_single = icmp eq i64 %target, {TARGETS.index("float32")}
  %can = and i1 %small, %wants_single
  br i1 %can, label %store_single, label %no
store_single:
  %short = fptrunc double %number to float
  store float %short, ptr %room.pointer
  br label %yes
int:
  %is_integer = icmp eq ptr %type, %int_type
  br i1 %is_integer, label %read_int, label %no
read_int:
  %whole = call i64 %PyLong_AsLongLongAndOverflow(ptr %object, ptr %overflow.at)
  %overflow = load i32, ptr %overflow.at
  %in_range = icmp eq i32 %overflow, 0
  %low = trunc i64 %whole to i32
  %again = sext i32 %low to i64
  %same = icmp eq i64 %again, %whole
  %fits = and i1 %in_range, %same
  br i1 %fits, label %convert, label %no
convert:
  switch i64 %target, label %as_long [
    i64 {TARGETS.index("float32")}, label %as_single
    i64 {TARGETS.index("float64")}, label %as_double
    i64 {TARGETS.index("int32")}, label %as_int
  ]
as_single:
  %single_value = sitofp i64 %whole to float
  store float %single_value, ptr %room.pointer
  br label %yes
as_double:
  %double_value = sitofp i64 %whole to double
  store double %double_value, ptr %room.pointer
  br label %yes
as_int:
  store i32 %low, ptr %room.pointer
  br label %yes
as_long:
  store i64 %whole, ptr %room.pointer
  br label %yes
yes:
  store i64 %room, ptr %place.pointer
  ret i1 true
no:
  ret i1 false
}}
declare double @llvm.fabs.f64(double)
"""


def containers_ir() -> str:
    """Put down the arguments and what is in containers among them, if these are as expected."""
    in_tuple = f"""  %tuple.bytes = mul i64 %t, 8
  %tuple.offset = add i64 %tuple.bytes, {layout.ITEMS}
{at("tuple_item", "container", "%tuple.offset")}  %tuple.to = getelementptr ptr, ptr %target, i64 %t
  store ptr %tuple_item, ptr %tuple.to
  br label %t.next"""
    in_list = """  %list.from = getelementptr ptr, ptr %list_items, i64 %l
  %list_item = load ptr, ptr %list.from
  %list.to = getelementptr ptr, ptr %target, i64 %l
  store ptr %list_item, ptr %list.to
  br label %l.next"""
    in_dict = """  %name.at = getelementptr ptr, ptr %names, i64 %d
  %name = load ptr, ptr %name.at
  %dict_item = call ptr %PyDict_GetItemWithError(ptr %container, ptr %name)
  %dict.to = getelementptr ptr, ptr %target, i64 %d
  store ptr %dict_item, ptr %dict.to
  %absent = icmp eq ptr %dict_item, null
  br i1 %absent, label %unknown_name, label %d.next"""
    each = f"""{row("row", CONTAINER, "containers", "c")}{load(CONTAINER, "row", "position", "kind", "count", "first")}
{load(CONTAINER, "row", "names", kind="ptr")}  %container.at = getelementptr ptr, ptr %items, i64 %position
  %container = load ptr, ptr %container.at
  %target = getelementptr ptr, ptr %items, i64 %first
{at("type", "container", layout.TYPE)}{at("size", "container", layout.SIZE, "i64")}
  %same_size = icmp eq i64 %size, %count
  switch i64 %kind, label %dict [
    i64 {IN_TUPLE}, label %tuple
    i64 {IN_LIST}, label %list
  ]
tuple:
  %is_tuple = icmp eq ptr %type, %tuple_type
  %good_tuple = and i1 %is_tuple, %same_size
  br i1 %good_tuple, label %from_tuple, label %no
from_tuple:
{loop("t", "%count", in_tuple, "c.next")}
list:
  %is_list = icmp eq ptr %type, %list_type
  %good_list = and i1 %is_list, %same_size
  br i1 %good_list, label %from_list, label %no
from_list:
{at("list_items", "container", layout.LIST_ITEMS)}
{loop("l", "%count", in_list, "c.next")}
dict:
  %is_dict = icmp eq ptr %type, %dict_type
  br i1 %is_dict, label %count_dict, label %no
count_dict:
  %dict_size = call i64 %PyDict_Size(ptr %container)
  %good_dict = icmp eq i64 %dict_size, %count
  br i1 %good_dict, label %from_dict, label %no
from_dict:
{loop("d", "%count", in_dict, "c.next")}"""
    functions = ("PyDict_GetItemWithError", "PyDict_Size", "PyErr_Clear", "tuple_type", "list_type", "dict_type")
    return f"""
define internal i1 @take_apart(ptr %record, ptr %args, i64 %given) {{
{load(RECORD, "record", "container_count")}{load(RECORD, "record", "containers", "items", kind="ptr")}
{root(*functions)}  %bytes = mul i64 %given, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %items, ptr %args, i64 %bytes, i1 false)
{loop("c", "%container_count", each, "yes")}
yes:
  ret i1 true
unknown_name:
  call void %PyErr_Clear()
  ret i1 false
no:
  ret i1 false
}}
"""
