"""What tensors and symbols share: being an operand of ops, with Python's operators.

Also the rules by which a Python number, a list or a NumPy array beside an operand
becomes one. The operators are the public op functions, looked up in the table
that `public` fills, because those are written in terms of operands.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar, NoReturn, TypeVar

import numpy as np

from graphjit.runtime.errors import (
    DtypeError,
    IdentityError,
    InvalidArgumentError,
    MutationError,
    ShapeError,
    TraceError,
)

from .arraymethods import ArrayMethods
from .dispatch import current_interpreter
from .tensortype import (
    DType,
    TensorShape,
    TensorType,
    as_dtype,
    bool_,
    complex64,
    float32,
    int32,
    int64,
)

F = TypeVar("F", bound=Callable[..., Any])

PUBLIC: dict[str, Callable[..., Any]] = {}
"""The public op functions by name."""

FOR_NUMPY: dict[Any, Callable[..., Any]] = {}
"""What a NumPy function does when it is called on operands."""


def public(*, numpy: Sequence[Any] | Any = ()) -> Callable[[F], F]:
    """Enter a function into the table of public op functions; `numpy` names NumPy functions that it serves."""

    def enter(function: F) -> F:
        PUBLIC[function.__name__] = function
        for one in numpy if isinstance(numpy, list | tuple) else (numpy,):
            FOR_NUMPY[one] = function
        return function

    return enter


def for_numpy(*functions: Any) -> Callable[[F], F]:
    """Let a function stand in for NumPy functions whose arguments are named differently."""

    def enter(function: F) -> F:
        for one in functions:
            FOR_NUMPY[one] = function
        return function

    return enter


def _binary(name: str) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        return PUBLIC[name](self, other)

    return operator


def _reflected(name: str) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        return PUBLIC[name](other, self)

    return operator


def _unary(name: str) -> Callable[[Any], Any]:
    def operator(self: Any) -> Any:
        return PUBLIC[name](self)

    return operator


def _sum_of(is_reflected: bool) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        return PUBLIC["add"](*(_counted(other, self) if is_reflected else _counted(self, other)))

    return operator


def _counted(left: Any, right: Any) -> tuple[Any, Any]:
    """Truth values beside whole numbers count as 0 and 1, so that Python's sum() counts them."""
    kinds: list[Any] = [getattr(one, "dtype", type(one)) for one in (left, right)]
    if bool_ in kinds:
        for place, other in enumerate(reversed(kinds)):
            if kinds[place] is bool_ and (other is int or (isinstance(other, DType) and other.is_integer)):
                counted = PUBLIC["cast"]((left, right)[place], int32 if other is int else other)
                return (counted, right) if place == 0 else (left, counted)
    return left, right


class Operators(ArrayMethods):
    """Python's operators in terms of the public op functions, and some methods of NumPy's arrays."""

    __slots__ = ()

    # NumPy arrays on the left leave the operation to the operand on the right.
    __array_priority__: ClassVar[float] = 100.0

    __add__, __radd__ = _sum_of(is_reflected=False), _sum_of(is_reflected=True)
    __sub__, __rsub__ = _binary("subtract"), _reflected("subtract")
    __mul__, __rmul__ = _binary("multiply"), _reflected("multiply")
    __truediv__, __rtruediv__ = _binary("divide"), _reflected("divide")
    __floordiv__, __rfloordiv__ = _binary("floordiv"), _reflected("floordiv")
    __mod__, __rmod__ = _binary("mod"), _reflected("mod")
    __pow__, __rpow__ = _binary("pow"), _reflected("pow")
    __matmul__, __rmatmul__ = _binary("matmul"), _reflected("matmul")
    __and__, __rand__ = _binary("bitwise_and"), _reflected("bitwise_and")
    __or__, __ror__ = _binary("bitwise_or"), _reflected("bitwise_or")
    __xor__, __rxor__ = _binary("bitwise_xor"), _reflected("bitwise_xor")
    __lshift__, __rlshift__ = _binary("left_shift"), _reflected("left_shift")
    __rshift__, __rrshift__ = _binary("right_shift"), _reflected("right_shift")
    __lt__, __le__ = _binary("less"), _binary("less_equal")
    __gt__, __ge__ = _binary("greater"), _binary("greater_equal")
    __neg__, __abs__, __invert__ = _unary("negative"), _unary("abs"), _unary("invert")
    __getitem__ = _binary("getitem")

    def __hash__(self) -> int:
        raise IdentityError(
            f"a {type(self).__name__} cannot be a key of a dict or a member of a set, because == compares its "
            "elements; use x.ref()"
        )

    def __pos__(self) -> Any:
        return PUBLIC["identity"](self)

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Any, Any]:
        return other // self, other % self

    def __round__(self, digits: int | None = None) -> Any:
        if digits is None:
            return PUBLIC["cast"](PUBLIC["round"](self), int32)
        return PUBLIC["round"](self * 10.0**digits) / 10.0**digits

    def __eq__(self, other: object) -> Any:
        return _compare("equal", self, other)

    def __ne__(self, other: object) -> Any:
        return _compare("not_equal", self, other)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        """NumPy's ufuncs on operands are our ops of the same meaning."""
        if method != "__call__":
            raise InvalidArgumentError(
                f"np.{ufunc.__name__}.{method} has no graphjit counterpart; use gj.reduce_* or gj.cumsum"
            )
        return _call_for_numpy(ufunc, f"np.{ufunc.__name__}", inputs, keywords)

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        """NumPy's functions on operands are our functions of the same meaning."""
        return _call_for_numpy(function, f"np.{function.__name__}", arguments, keywords)


def _compare(name: str, left: Any, right: Any) -> Any:
    if right is None or isinstance(right, DType | type) or (isinstance(right, str) and not left.dtype.is_string):
        return name == "not_equal"
    return PUBLIC[name](left, right)


def _call_for_numpy(function: Any, name: str, arguments: Any, keywords: dict[str, Any]) -> Any:
    ours = FOR_NUMPY.get(function)
    if ours is None:
        raise TraceError(
            f"{name} has no graphjit counterpart; outside of compiled functions call it on tensor.numpy(), "
            "inside of them say the same with graphjit's ops"
        )
    if keywords.get("out") is not None:
        raise InvalidArgumentError(f"{name}(out=...) cannot write into a tensor: tensors do not change")
    given = {key: value for key, value in keywords.items() if key != "out"}
    if given:
        _require_known(ours, name, arguments, given)
    return ours(*arguments, **given)


_signature = lru_cache(maxsize=None)(inspect.signature)


def _require_known(ours: Callable[..., Any], name: str, arguments: Any, keywords: dict[str, Any]) -> None:
    """Refuse arguments of a NumPy function that our function of the same meaning does not have."""
    try:
        _signature(ours).bind(*arguments, **keywords)
    except TypeError as error:
        known = ", ".join(_signature(ours).parameters)
        raise InvalidArgumentError(f"{name} on tensors takes the arguments {known}: {error}") from None


class Operand(Operators):
    """A value that ops take: a tensor with numbers, or a symbol in a graph being written."""

    # No ABC: its `isinstance` is a Python call, and every op asks several times.

    __slots__ = ()

    is_weak: ClassVar[bool] = False
    """Whether it stands for a Python number, which takes the dtype of the tensor beside it."""

    @property
    @abstractmethod
    def type(self) -> TensorType:
        """dtype and shape."""

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.type.dtype

    @property
    def shape(self) -> TensorShape:
        """The shape; a size is None where it is only known when the graph runs."""
        return TensorShape(self.type.shape)

    def as_weak(self) -> Operand:
        """The same as what stands for a Python number; a tensor with numbers stays what it is."""
        return self

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.type.shape)

    def get_shape(self) -> TensorShape:
        """The same as `shape`."""
        return self.shape

    @property
    def T(self) -> Any:  # noqa: N802 -- NumPy's name
        """The transpose: all axes reversed."""
        return PUBLIC["transpose"](self)

    def __len__(self) -> int:
        if not self.type.shape:
            raise DtypeError("len() of a scalar tensor")
        length = self.type.shape[0]
        if length is None:
            raise TraceError("len() of a tensor whose first size is unknown; use gj.shape(x)[0]")
        return length

    def __iter__(self) -> Iterator[Any]:
        if not self.type.shape:
            raise DtypeError("a scalar tensor cannot be iterated")
        return iter([self[row] for row in range(len(self))])

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise MutationError(
            "tensors do not change: tensor[...] = value is not supported. Use gj.tensor_scatter_nd_update or gj.where "
            "to make another one, or a gj.Variable and variable[...].assign(value)"
        )


class ReadsAsOperand(Operators):
    """Something that is read as an operand each time it is used: a Variable."""

    __slots__ = ()

    @property
    @abstractmethod
    def dtype(self) -> DType:
        """The element type."""

    @abstractmethod
    def read_value(self) -> Any:
        """The operand that stands for what is held now; a new one each time."""


class Composite(Operators):
    """A structure of tensors that ops take as one thing: a ragged or a sparse tensor."""

    __slots__ = ()

    @property
    @abstractmethod
    def dtype(self) -> DType:
        """The element type."""

    @property
    @abstractmethod
    def flat_values(self) -> Any:
        """The elements, as one operand."""

    @abstractmethod
    def with_flat_values(self, values: Any) -> Any:
        """The same structure with other elements."""

    @abstractmethod
    def elementwise(self, function: Callable[..., Any], operands: tuple[Any, ...]) -> Any:
        """What an elementwise function gives for operands of which this is one."""

    @abstractmethod
    def reduced(self, function: Callable[..., Any], axis: Any, keepdims: bool) -> Any:
        """What a reduction gives for this."""

    def concatenated(self, values: Sequence[Any], axis: Any) -> Any:
        """Several of these one behind the other.

        Raises:
          DtypeError: where that is not defined.
        """
        raise DtypeError(f"concat does not take a {type(self).__name__}; gj.sparse.concat puts sparse tensors together")

    def product(self, left: Any, right: Any, transpose_left: bool, transpose_right: bool) -> Any:
        """The product of matrices of which this is one.

        Raises:
          DtypeError: where there is none.
        """
        raise DtypeError(f"a {type(self).__name__} has no matrix product; make a tensor of it with to_tensor()")


class AdaptingNumber:
    """A Python number whose value is only known when the graph runs, and which takes any dtype, as a literal does."""

    __slots__ = ()

    @abstractmethod
    def adapted(self, dtype: DType | None) -> Operand:
        """The operand that stands for it where `dtype`, or no particular dtype, is asked for."""


def is_operand_like(value: object) -> bool:
    """Whether the value is an operand or is read as one."""
    return isinstance(value, Operand | ReadsAsOperand)


def as_operand(value: Any, dtype: DType | None = None, what: str = "value") -> Operand:
    """`value` as an operand.

    Operands keep their dtype. Python numbers and lists become `dtype`, or int32, float32 and so on
    by TensorFlow's rules; arrays become `dtype`, or keep theirs.

    Raises:
      DtypeError: if the elements do not fit the dtype (2.5 as int32), or are no numbers.
      InvalidArgumentError: if a nested list is ragged.
    """
    if isinstance(value, Operand):
        return value
    if isinstance(value, ReadsAsOperand):
        read = value.read_value()
        assert isinstance(read, Operand)
        return read
    if isinstance(value, AdaptingNumber):
        return value.adapted(dtype)
    if holds_operand(value):
        return _stack_nested(value, dtype)
    converted = as_array(value, dtype, what)
    if isinstance(value, np.ndarray):
        return current_interpreter().adopt_array(value, converted)
    return current_interpreter().constant(converted)


def as_operands(*values: Any) -> tuple[Operand, ...]:
    """Operands for the arguments of one op, where the first operand decides the dtype of all that are none.

    Without any operand among them, the common dtype of the values decides.
    """
    dtype: DType | None = None
    has_weak = False
    for value in values:
        if isinstance(value, Operand):
            if value.is_weak:
                has_weak = True
            elif dtype is None:
                dtype = value.type.dtype
        elif dtype is None and isinstance(value, ReadsAsOperand):
            dtype = value.dtype
    if has_weak:
        return _with_weak_operands(values, dtype)
    if dtype is None and len(values) > 1:
        dtype = _common_dtype(values)
    try:
        return tuple(as_operand(value, dtype) for value in values)
    except DtypeError as error:
        raise current_interpreter().dtypes_refused(values, error) from None


def _with_weak_operands(values: Sequence[Any], dtype: DType | None) -> tuple[Operand, ...]:
    """The same where some operands stand for Python numbers; if all do, so does what is computed from them."""
    if dtype is not None or any(isinstance(value, np.ndarray | np.generic) or holds_operand(value) for value in values):
        return tuple(adapted(as_operand(value, dtype), dtype) for value in values)
    dtypes = [value.type.dtype if isinstance(value, Operand) else as_operand(value).type.dtype for value in values]
    widest = max(dtypes, key=lambda one: _order(one.numpy.kind))
    return tuple(adapted(as_operand(value, widest), widest).as_weak() for value in values)


def adapted(operand: Operand, dtype: DType | None) -> Operand:
    """An operand that stands for a Python number as one of a dtype, where such a number can have it."""
    own = operand.type.dtype
    if dtype is None or own is dtype or not operand.is_weak or _order(own.numpy.kind) > _order(dtype.numpy.kind):
        return operand
    cast: Operand = PUBLIC["cast"](operand, dtype)
    return cast


def _common_dtype(values: Sequence[Any]) -> DType | None:
    """The dtype that arrays among the values promote to, else that of the widest Python value."""
    if any(isinstance(value, AdaptingNumber) or holds_operand(value) for value in values):
        return None
    dtypes = [as_array(value).dtype for value in values]
    arrays = [one for one, value in zip(dtypes, values, strict=True) if isinstance(value, np.ndarray | np.generic)]
    return as_dtype(np.result_type(*(arrays or dtypes))) if arrays or dtypes else None


def holds_operand(value: object) -> bool:
    """Whether a list or tuple has an operand in it, however deep."""
    return isinstance(value, list | tuple) and any(is_operand_like(one) or holds_operand(one) for one in value)


def _first_dtype(value: Any) -> DType | None:
    if is_operand_like(value):
        found: DType = value.dtype
        return found
    if isinstance(value, list | tuple):
        return next((dtype for one in value if (dtype := _first_dtype(one)) is not None), None)
    return None


def _stack_nested(value: Any, dtype: DType | None) -> Operand:
    wanted = dtype if dtype is not None else _first_dtype(value)
    stacked: Operand = PUBLIC["stack"]([as_operand(one, wanted) for one in value])
    return stacked


_KINDS_IN_WORDS = {
    "b": "booleans",
    "i": "integers",
    "u": "integers",
    "f": "floats",
    "c": "complex numbers",
    "O": "strings",
}


def as_array(value: Any, dtype: DType | None = None, what: str = "value") -> np.ndarray[Any, Any]:
    """A fresh or immutable C-ordered array with the value's elements, as `dtype` or by TensorFlow's rules.

    Raises: see `as_operand`.

    >>> as_array([1, 2]).dtype, as_array(2**40).dtype, as_array([1, 2.5]).dtype
    (dtype('int32'), dtype('int64'), dtype('float32'))
    """
    array = _plain_array(value, what)
    if dtype is None:
        return _with_default_dtype(array, value)
    return _converted(array, value, dtype, what)


def _plain_array(value: Any, what: str) -> np.ndarray[Any, Any]:
    if value is None:
        raise DtypeError(f"{what} is None, where a tensor is needed")
    if isinstance(value, Composite):
        raise DtypeError(
            f"{what} is a {type(value).__name__}, which this function does not take; make a tensor of it first "
            "(to_tensor() of a ragged one, gj.sparse.to_dense of a sparse one), or use its flat_values"
        )
    try:
        array = np.array(value, order="C", subok=False)
    except ValueError as error:
        raise InvalidArgumentError(f"{what} is not a rectangular array of numbers: {error}") from None
    if array.dtype.kind in "SUOT" and (not array.size or _is_text(array.flat[0])):
        return _array_of_strings(value, what)
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > 16:
        raise DtypeError(f"{what} has elements of dtype {array.dtype} ({_shortened(value)}), which cannot be a tensor")
    native = array.dtype.newbyteorder("=")
    return array if array.dtype == native and array.dtype.isnative else array.astype(native)


def _is_text(value: Any) -> bool:
    return isinstance(value, str | bytes)


def _array_of_strings(value: Any, what: str) -> np.ndarray[Any, Any]:
    """Strings as byte strings; text becomes UTF-8.

    Raises:
      DtypeError: if something else is among them.
      InvalidArgumentError: if a nested list is ragged.
    """
    # As objects, since NumPy would make one kind of strings of all, and cut zeros off their ends.
    given = value if isinstance(value, np.ndarray | np.generic) else _nested_objects(value)
    array = np.array(given, dtype=object)
    result = np.empty(array.shape, object)
    for place, element in enumerate(array.flat):
        if isinstance(element, list | tuple):
            raise InvalidArgumentError(f"{what} is not a rectangular array of strings; gj.ragged.constant takes others")
        if not _is_text(element):
            raise DtypeError(f"{what} holds {element!r} among strings; gj.strings.as_string writes numbers")
        result.flat[place] = element.encode() if isinstance(element, str) else bytes(element)
    return result


def _nested_objects(value: Any) -> Any:
    """Nested lists with what is in arrays and tensors among them."""
    if isinstance(value, list | tuple):
        return [_nested_objects(one) for one in value]
    return np.asarray(value).tolist() if hasattr(value, "__array__") else value


def _shortened(value: Any) -> str:
    text = repr(value).replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "..."


def _with_default_dtype(array: np.ndarray[Any, Any], value: Any) -> np.ndarray[Any, Any]:
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__"):
        return array.astype(as_dtype(array.dtype).numpy, copy=False)
    if _leaf_is_numpy(value):
        return array
    if array.dtype.kind == "f":
        return array.astype(float32.numpy)
    if array.dtype.kind in "iu":
        limits = np.iinfo(np.int32)
        fits = array.size == 0 or (int(array.min()) >= limits.min and int(array.max()) <= limits.max)
        if fits:
            return array.astype(int32.numpy)
        return array if array.dtype == np.uint64 else array.astype(int64.numpy)
    return array


def _leaf_is_numpy(value: Any) -> bool:
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, np.ndarray | np.generic)


def _converted(array: np.ndarray[Any, Any], value: Any, dtype: DType, what: str) -> np.ndarray[Any, Any]:
    if array.dtype == dtype.numpy:
        return array
    source, target = array.dtype.kind, dtype.numpy.kind
    empty_list = array.size == 0 and not isinstance(value, np.ndarray)
    if "O" in (source, target) and not empty_list:
        hint = "gj.strings.to_number reads numbers" if source == "O" else "gj.strings.as_string writes them as strings"
        raise DtypeError(
            f"{what} holds {_KINDS_IN_WORDS[source]} ({_shortened(value)}), which cannot become {dtype.name}; {hint}"
        )
    if not empty_list and _order(source) > _order(target):
        raise DtypeError(
            f"{what} holds {_KINDS_IN_WORDS[source]} ({_shortened(value)}), which cannot become {dtype.name}; "
            f"cast on purpose with gj.cast(..., gj.{dtype.name})"
        )
    if source in "iu" and target in "iu" and array.size and not isinstance(value, np.ndarray):
        limits = np.iinfo(dtype.numpy)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise DtypeError(f"{what} {_shortened(value)} does not fit into {dtype.name}")
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(dtype.numpy)


def _order(kind: str) -> int:
    return {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3, "O": 4}[kind]


def require_same_dtype(types: Sequence[TensorType]) -> DType:
    """The dtype that all of the types have.

    Raises:
      DtypeError: if they differ; the message says how to cast.
    """
    first = types[0].dtype
    for position, one in enumerate(types):
        if one.dtype is not first:
            raise DtypeError(
                f"operand #{position} is {one.dtype.name} where operand #0 is {first.name}; "
                f"cast with gj.cast(b, a.dtype)"
            )
    return first


def kinds_in_words(kinds: str) -> str:
    """NumPy kinds as people say them.

    >>> kinds_in_words("iuf")
    'integers or floats'
    """
    return " or ".join(dict.fromkeys(_KINDS_IN_WORDS[kind] for kind in kinds))


def require_kind(type: TensorType, kinds: str, what: str = "operand") -> None:
    """Refuse a dtype whose NumPy kind is not among `kinds`.

    Raises:
      DtypeError: if it is not.
    """
    if type.dtype.numpy.kind not in kinds:
        raise DtypeError(f"{what} must hold {kinds_in_words(kinds)}, not {type.dtype.name}")


def require_rank(type: TensorType, least: int, what: str = "operand") -> None:
    """Refuse a type with fewer than `least` dimensions.

    Raises:
      ShapeError: if it has fewer.
    """
    if type.rank < least:
        raise ShapeError(f"{what} must have rank {least} or more, but its shape is {type.shape}")


__all__ = [
    "FOR_NUMPY",
    "PUBLIC",
    "AdaptingNumber",
    "Composite",
    "Operand",
    "Operators",
    "ReadsAsOperand",
    "adapted",
    "as_array",
    "as_operand",
    "as_operands",
    "bool_",
    "complex64",
    "for_numpy",
    "holds_operand",
    "is_operand_like",
    "kinds_in_words",
    "public",
    "require_kind",
    "require_rank",
    "require_same_dtype",
]
