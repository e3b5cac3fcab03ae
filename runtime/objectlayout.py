"""Where CPython and NumPy keep what native code reads: fields of objects, and the functions of their C interfaces.

Nothing is taken on trust: every offset is tried on objects whose contents are known, and `is_known` says whether
all of them are as expected. On an interpreter where they are not, native code does not touch objects at all.
"""

from __future__ import annotations

import ctypes
import sysconfig
from functools import lru_cache
from typing import Any, Final

import numpy as np

from graphjit.runtime.buffers import address_of

TYPE: Final = object.__basicsize__ - 8
"""Where an object names its type."""
SIZE: Final = object.__basicsize__
"""Where a tuple says how many items it has."""
ITEMS: Final = tuple.__basicsize__
"""Where a tuple's items begin."""
LIST_ITEMS: Final = object.__basicsize__ + 8
"""Where a list points to its items."""
FLOAT: Final = object.__basicsize__
"""Where a Python float, and a NumPy scalar, has its bits."""

# The fields of PyArrayObject are the same since NumPy 1.7.
DATA: Final = object.__basicsize__
NDIM: Final = DATA + 8
SHAPE: Final = DATA + 16
STRIDES: Final = DATA + 24
BASE: Final = DATA + 32
DTYPE: Final = DATA + 40
FLAGS: Final = DATA + 48

PLAIN: Final = 0x0101
"""NPY_ARRAY_C_CONTIGUOUS and NPY_ARRAY_ALIGNED."""
WRITEABLE: Final = 0x0400
"""NPY_ARRAY_WRITEABLE."""

PYTHON_FUNCTIONS: Final = (
    *("Py_IncRef", "Py_DecRef", "PyErr_Clear", "PyErr_CheckSignals", "PyType_GenericAlloc", "PyContextVar_Get"),
    *("PyDict_GetItemWithError", "PyDict_Size", "PyObject_GetAttr", "PyObject_CallNoArgs", "PyObject_CallOneArg"),
    *("PyObject_Vectorcall", "PyTuple_New", "PyList_New", "PyList_SetItem", "PyFunction_GetClosure", "PyCell_Get"),
    *("PyLong_AsLongLongAndOverflow", "PyEval_SaveThread", "PyEval_RestoreThread", "PyUnicode_Compare"),
)
NUMPY_FUNCTIONS: Final = {"PyArray_NewFromDescr": 94, "PyArray_SetBaseObject": 282, "PyArray_Scalar": 60}
"""Their places in NumPy's table, which no version changes."""


@lru_cache(maxsize=1)
def functions() -> dict[str, int]:
    """The addresses of the functions by name; empty where one is missing."""
    found = {name: getattr(ctypes.pythonapi, name, None) for name in PYTHON_FUNCTIONS}
    if None in found.values():
        return {}
    addresses = {name: int(ctypes.cast(one, ctypes.c_void_p).value or 0) for name, one in found.items() if one}
    table = _numpy_table()
    return addresses | {name: table[place] for name, place in NUMPY_FUNCTIONS.items()}


def _numpy_table() -> Any:
    """NumPy's functions as addresses."""
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    capsule = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]  # what C extensions import
    return (ctypes.c_uint64 * 400).from_address(pointer_of(capsule, None))


def _word(target: Any, offset: int) -> int:
    return int(ctypes.c_uint64.from_address(id(target) + offset).value)


def tuples_are_known() -> bool:
    """Whether the items of a tuple lie where they are looked for."""
    sample = (object(), 1, "one")
    return _word(sample, SIZE) == 3 and [_word(sample, ITEMS + 8 * k) for k in range(3)] == list(map(id, sample))


def lists_are_known() -> bool:
    """Whether the items of a list lie where they are looked for."""
    sample = [object(), 1, "one"]
    items = (ctypes.c_uint64 * 3).from_address(_word(sample, LIST_ITEMS))
    return _word(sample, SIZE) == 3 and list(items) == list(map(id, sample))


def arrays_are_known() -> bool:
    """Whether the fields of arrays lie where they are looked for, tried on arrays of known contents."""
    array = np.zeros((3, 4))
    return all(_array_is_known(one) for one in (array, array.T, array[1:, 1:], np.zeros((), np.int8)))


def _array_is_known(sample: np.ndarray[Any, Any]) -> bool:
    numbers = (ctypes.c_int64 * sample.ndim).from_address(_word(sample, SHAPE)) if sample.ndim else ()
    strides = (ctypes.c_int64 * sample.ndim).from_address(_word(sample, STRIDES)) if sample.ndim else ()
    return (
        _word(sample, DATA) == address_of(sample)
        and _word(sample, NDIM) % 2**32 == sample.ndim
        and tuple(numbers) == sample.shape
        and tuple(strides) == sample.strides
        and _word(sample, BASE) == (0 if sample.base is None else id(sample.base))
        and _word(sample, DTYPE) == id(sample.dtype)
        and _word(sample, FLAGS) % 2**32 == sample.flags.num
    )


@lru_cache(maxsize=1)
def is_known() -> bool:
    """Whether native code may read and make objects in this interpreter."""
    if sysconfig.get_config_var("Py_GIL_DISABLED") or not functions():
        return False
    number = np.float64(1.5)
    return (
        _word(number, TYPE) == id(np.float64)
        and _word(1.5, FLOAT) == _word(number, FLOAT) == int(np.float64(1.5).view(np.uint64))
        and tuples_are_known()
        and lists_are_known()
        and arrays_are_known()
    )


@lru_cache(maxsize=64)
def scalar_type(dtype: np.dtype[Any]) -> type | None:
    """The type of NumPy scalars of a dtype; None where their bits do not lie where they are looked for.

    >>> scalar_type(np.dtype("float32"))
    <class 'numpy.float32'>
    """
    if not dtype.isnative or dtype.kind not in "biufc":
        return None
    sample: Any = np.frombuffer(bytes(range(1, 1 + dtype.itemsize)), dtype)[0] if dtype.kind != "b" else np.True_
    found = ctypes.string_at(id(sample) + FLOAT, dtype.itemsize)
    return dtype.type if found == sample.tobytes() else None


def slot_offset(cls: type, name: str) -> int:
    """Where instances of a class have a slot, tried on one.

    >>> class Point:
    ...     __slots__ = ("x", "y")
    >>> slot_offset(Point, "y") - slot_offset(Point, "x")
    8
    """
    sample: Any = object.__new__(cls)
    mark = object()
    member = next(one.__dict__[name] for one in cls.__mro__ if name in one.__dict__)
    member.__set__(sample, mark)
    places = range(object.__basicsize__, cls.__basicsize__, 8)
    found = next(place for place in places if _word(sample, place) == id(mark))
    member.__delete__(sample)
    return found
