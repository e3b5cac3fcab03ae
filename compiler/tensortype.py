"""What is known of a tensor before its numbers are: its dtype and its shape.

Knows nothing of ops, graphs or values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import DtypeError, ShapeError
from graphjit.runtime.fields import dataclass

Dimension = int | None
Shape = tuple[Dimension, ...]


class DType:
    """An element type, such as `gj.float32`.

    Equal to its NumPy counterpart and to its name, as in TensorFlow:

    >>> import graphjit as gj, numpy as np
    >>> gj.float32 == np.float32, gj.float32 == "float32", gj.float32
    (True, True, <dtype: 'float32'>)
    """

    __slots__ = ("as_numpy_dtype", "name", "numpy", "short")

    def __init__(self, name: str, short: str, numpy: type | None = None) -> None:
        self.name = name
        self.short = short
        self.numpy: np.dtype[Any] = np.dtype(numpy or name)
        self.as_numpy_dtype: type = self.numpy.type

    @property
    def is_floating(self) -> bool:
        """Whether it is float16, float32 or float64."""
        return self.numpy.kind == "f"

    @property
    def is_integer(self) -> bool:
        """Whether it is a signed or unsigned integer (bool is not)."""
        return self.numpy.kind in "iu"

    @property
    def is_unsigned(self) -> bool:
        """Whether it is an unsigned integer."""
        return self.numpy.kind == "u"

    @property
    def is_bool(self) -> bool:
        """Whether it is bool."""
        return self.numpy.kind == "b"

    @property
    def is_complex(self) -> bool:
        """Whether it is complex64 or complex128."""
        return self.numpy.kind == "c"

    @property
    def is_string(self) -> bool:
        """Whether its elements are byte strings."""
        return self.numpy.kind == "O"

    @property
    def size(self) -> int:
        """Bytes of one element."""
        return self.numpy.itemsize

    @property
    def min(self) -> Any:
        """The least finite value."""
        if self.is_bool:
            return False
        return np.finfo(self.numpy).min if self.is_floating else np.iinfo(self.numpy).min

    @property
    def max(self) -> Any:
        """The greatest finite value."""
        if self.is_bool:
            return True
        return np.finfo(self.numpy).max if self.is_floating else np.iinfo(self.numpy).max

    def __eq__(self, other: object) -> bool:
        if other is self:
            return True
        if other is None or isinstance(other, DType):
            return False
        found = _BY_NUMPY.get(other) if isinstance(other, np.dtype) else _dtype_or_none(other)
        return found is self

    def __hash__(self) -> int:
        return hash(self.numpy)

    def __repr__(self) -> str:
        return f"<dtype: '{self.name}'>"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return as_dtype, (self.name,)


bool_ = DType("bool", "bool")
int8 = DType("int8", "i8")
int16 = DType("int16", "i16")
int32 = DType("int32", "i32")
int64 = DType("int64", "i64")
uint8 = DType("uint8", "u8")
uint16 = DType("uint16", "u16")
uint32 = DType("uint32", "u32")
uint64 = DType("uint64", "u64")
float16 = DType("float16", "f16")
float32 = DType("float32", "f32")
float64 = DType("float64", "f64")
complex64 = DType("complex64", "c64")
complex128 = DType("complex128", "c128")
string = DType("string", "str", object)
"""Byte strings of any length: Python's `bytes` in an object array. Text is kept as UTF-8."""

ALL_DTYPES: tuple[DType, ...] = (
    bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64,
    float16, float32, float64, complex64, complex128,
)  # fmt: skip
"""The dtypes of numbers and truth values."""
_BY_NUMPY: dict[np.dtype[Any], DType] = {dtype.numpy: dtype for dtype in (*ALL_DTYPES, string)}
BY_SHORT_NAME: dict[str, DType] = {dtype.short: dtype for dtype in (*ALL_DTYPES, string)}
_KINDS_OF_STRINGS = "OSUT"


def _dtype_or_none(value: object) -> DType | None:
    """The dtype that a name, a NumPy dtype or a Python type stands for, or None."""
    # NumPy would read Python's int as int64 and float as float64; here they
    # mean what a literal of that type becomes.
    if value is bool:
        return bool_
    if value is int:
        return int32
    if value is float:
        return float32
    if value == "string":
        return string
    try:
        numpy_dtype = np.dtype(value)  # type: ignore[call-overload]  # any object: that is the question
    except (TypeError, ValueError):
        return None
    if numpy_dtype.kind in _KINDS_OF_STRINGS:
        return string
    return _BY_NUMPY.get(numpy_dtype.newbyteorder("=")) if numpy_dtype.kind in "biufc" else None


def as_dtype(value: object) -> DType:
    """The `DType` that `value` names: a DType, a NumPy dtype or scalar type, a name, or int, float, bool.

    Raises:
      DtypeError: if graphjit has no such dtype.

    >>> as_dtype("float32"), as_dtype(np.int64), as_dtype(float)
    (<dtype: 'float32'>, <dtype: 'int64'>, <dtype: 'float32'>)
    """
    if isinstance(value, DType):
        return value
    if isinstance(value, np.dtype):
        known = _BY_NUMPY.get(value)
        if known is not None:
            return known
    found = None if value is None else _dtype_or_none(value)
    if found is None:
        names = ", ".join(dtype.name for dtype in (*ALL_DTYPES, string))
        raise DtypeError(f"{value!r} is not a dtype of graphjit; there are {names}")
    return found


class TensorShape:
    """A shape whose dimensions may be unknown (None); the rank may be unknown too.

    >>> TensorShape([2, None])
    TensorShape([2, None])
    >>> print(TensorShape([2, 3]), len(TensorShape([2, 3])), TensorShape([2, 3])[-1])
    (2, 3) 2 3
    """

    __slots__ = ("_dims",)

    def __init__(self, dims: object = None) -> None:
        self._dims: Shape | None
        if dims is None:
            self._dims = None
        elif isinstance(dims, TensorShape):
            self._dims = dims._dims
        elif isinstance(dims, int | np.integer):
            self._dims = (int(dims),)
        elif isinstance(dims, Sequence | np.ndarray):
            self._dims = tuple(_as_dimension(dim) for dim in dims)
        else:
            raise ShapeError(f"a shape is a sequence of sizes or None, not {dims!r}")

    @property
    def rank(self) -> int | None:
        """The number of dimensions, or None where it is unknown."""
        return None if self._dims is None else len(self._dims)

    ndims = rank

    @property
    def dims(self) -> list[Dimension] | None:
        """The sizes as a list, None where the rank is unknown."""
        return None if self._dims is None else list(self._dims)

    def as_list(self) -> list[Dimension]:
        """The sizes as a list.

        Raises:
          ShapeError: if the rank is unknown.
        """
        return list(self._known())

    def is_fully_defined(self) -> bool:
        """Whether rank and every size are known."""
        return self._dims is not None and None not in self._dims

    def num_elements(self) -> int | None:
        """The product of the sizes, or None where one is unknown."""
        if self._dims is None or None in self._dims:
            return None
        return element_count(self._dims)

    def is_compatible_with(self, other: object) -> bool:
        """Whether some fully known shape fits both."""
        mine, theirs = self._dims, TensorShape(other)._dims
        if mine is None or theirs is None:
            return True
        return len(mine) == len(theirs) and all(
            a is None or b is None or a == b for a, b in zip(mine, theirs, strict=True)
        )

    def concatenate(self, other: object) -> TensorShape:
        """This shape's dimensions followed by those of `other`."""
        return TensorShape((*self._known(), *TensorShape(other)._known()))

    def _known(self) -> Shape:
        if self._dims is None:
            raise ShapeError("this shape's rank is unknown")
        return self._dims

    def __len__(self) -> int:
        return len(self._known())

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self._known())

    def __getitem__(self, key: Any) -> Any:
        part = self._known()[key]
        return TensorShape(part) if isinstance(key, slice) else part

    def __add__(self, other: object) -> TensorShape:
        return self.concatenate(other)

    def __radd__(self, other: object) -> TensorShape:
        return TensorShape(other).concatenate(self)

    def __bool__(self) -> bool:
        return self._dims is not None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorShape | tuple | list | type(None)):
            return NotImplemented
        return self._dims == TensorShape(other)._dims

    def __hash__(self) -> int:
        return hash(self._dims)

    def __repr__(self) -> str:
        return f"TensorShape({'None' if self._dims is None else self.as_list()})"

    def __str__(self) -> str:
        return "<unknown>" if self._dims is None else str(self._dims)

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return TensorShape, (self._dims,)


def _as_dimension(value: object) -> Dimension:
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ShapeError(f"a dimension is an integer or None, not {value!r}")
    size = int(value.__index__())
    if size < 0:
        raise ShapeError(f"a dimension is not negative, but {size} was given")
    return size


@dataclass(frozen=True, slots=True)
class TensorType:
    """dtype and shape of a value in a graph; the rank is always known, sizes may be None."""

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_static(self) -> bool:
        """Whether every size is known."""
        return None not in self.shape

    @property
    def has_plain_memory(self) -> bool:
        """Whether a value is a known number of bytes, which can be copied and viewed as such; strings are objects."""
        return None not in self.shape and not self.dtype.is_string

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape, where every size is known."""
        if None in self.shape:
            raise ShapeError(f"the shape {self} is not fully known")
        return self.shape  # type: ignore[return-value]  # None was excluded above

    @property
    def element_count(self) -> int:
        return element_count(self.sizes)

    @property
    def byte_count(self) -> int:
        return self.element_count * self.dtype.size

    def accepts(self, other: TensorType) -> bool:
        """Whether a value of type `other` may stand where this type is asked for."""
        return (
            self.dtype is other.dtype
            and len(self.shape) == len(other.shape)
            and all(a is None or a == b for a, b in zip(self.shape, other.shape, strict=True))
        )

    def __str__(self) -> str:
        dims = ",".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.dtype.short}[{dims}]"


def element_count(shape: Sequence[Any]) -> int:
    """The product of the sizes; 1 for a scalar.

    >>> element_count((2, 3)), element_count(())
    (6, 1)
    """
    count = 1
    for size in shape:
        count *= size
    return count


def type_of_array(array: np.ndarray[Any, Any]) -> TensorType:
    """The type of a NumPy array."""
    return TensorType(as_dtype(array.dtype), array.shape)


def bits_of(array: np.ndarray[Any, Any]) -> Any:
    """What is equal for two arrays of one dtype and shape exactly if all their elements are the same to the bit."""
    return tuple(array.ravel().tolist()) if array.dtype.kind == "O" else array.tobytes()


def broadcast_dimension(a: Dimension, b: Dimension) -> Dimension:
    """The size that two sizes broadcast to, None where that depends on the values.

    Raises:
      ShapeError: if they do not go together.
    """
    if a == b or b == 1:
        return a
    if a == 1:
        return b
    if a is None or b is None:
        return a if b is None else b
    raise ShapeError(f"sizes {a} and {b} do not broadcast")


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that the shapes broadcast to (NumPy's rule).

    Raises:
      ShapeError: if two of them do not go together.

    >>> broadcast_shapes((3, 1), (2,)), broadcast_shapes((None, 1), (1, 4))
    ((3, 2), (None, 4))
    """
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result: list[Dimension] = []
    for dims in zip(*padded, strict=True):
        size: Dimension = 1
        for dim in dims:
            try:
                size = broadcast_dimension(size, dim)
            except ShapeError:
                raise ShapeError(
                    "shapes " + " and ".join(str(shape) for shape in shapes) + " do not broadcast"
                ) from None
        result.append(size)
    return tuple(result)


def normalize_axis(axis: object, rank: int, what: str = "axis") -> int:
    """`axis` counted from the front.

    Raises:
      ShapeError: if it is not an integer in [-rank, rank).

    >>> normalize_axis(-1, 3)
    2
    """
    if isinstance(axis, bool) or not hasattr(axis, "__index__"):
        raise ShapeError(f"{what} is an integer, not {axis!r}")
    index = int(axis.__index__())
    if not -rank <= index < rank:
        raise ShapeError(f"{what} {index} is out of range for a tensor of rank {rank}")
    return index % rank


def normalize_axes(axis: object, rank: int) -> tuple[int, ...]:
    """The axes that `axis` names, ascending: None means all of them.

    Raises:
      ShapeError: if one is out of range or named twice.

    >>> normalize_axes(None, 2), normalize_axes([-1, 0], 3)
    ((0, 1), (0, 2))
    """
    if axis is None:
        return tuple(range(rank))
    if hasattr(axis, "__index__"):
        return (normalize_axis(axis, rank),)
    if not isinstance(axis, Sequence | np.ndarray):
        raise ShapeError(f"axis is an integer, a sequence of integers or None, not {axis!r}")
    axes = [normalize_axis(one, rank) for one in axis]
    if len(set(axes)) != len(axes):
        raise ShapeError(f"an axis is named twice in {list(axis)}")
    return tuple(sorted(axes))


class TensorSpec:
    """What an argument of a compiled function must look like: dtype, and a shape that may hold None.

    >>> TensorSpec([None, 784], "float32", name="images")
    TensorSpec(shape=(None, 784), dtype=gj.float32, name='images')
    """

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, shape: object, dtype: object = float32, name: str | None = None) -> None:
        self.shape = TensorShape(shape)
        self.dtype = as_dtype(dtype)
        self.name = name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """The spec of a tensor's own dtype and shape."""
        return cls(tensor.shape, tensor.dtype, name)

    def is_compatible_with(self, tensor: Any) -> bool:
        """Whether a tensor (anything with `shape` and `dtype`) fits."""
        return self.dtype == tensor.dtype and self.shape.is_compatible_with(tensor.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorSpec):
            return NotImplemented
        return (self.shape, self.dtype, self.name) == (other.shape, other.dtype, other.name)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.name))

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype=gj.{self.dtype.name}, name={self.name!r})"

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return TensorSpec, (self.shape, self.dtype, self.name)
