"""Eager tensors: an immutable NumPy array that takes part in ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.compiler.dispatch import current_interpreter
from graphjit.compiler.operand import PUBLIC, Operand, ReadsAsOperand, as_array, as_operand, is_operand_like
from graphjit.compiler.reference import Reference
from graphjit.compiler.tensortype import DType, TensorType, as_dtype, element_count, type_of_array
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, TraceError

CPU = "/job:localhost/replica:0/task:0/device:CPU:0"


class Tensor(Operand):
    """Numbers with a dtype and a shape; nothing changes them.

    >>> import graphjit as gj
    >>> gj.constant([[1.0, 2.0]])
    <gj.Tensor: shape=(1, 2), dtype=float32, numpy=array([[1., 2.]], dtype=float32)>
    """

    __slots__ = ("__weakref__", "_array", "_type")

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array
        self._type: TensorType | None = None

    @property
    def type(self) -> TensorType:
        found = self._type
        if found is None:
            found = self._type = type_of_array(self._array)
        return found

    @property
    def device(self) -> str:
        """Where the numbers are, in TensorFlow's words."""
        return CPU

    def numpy(self) -> Any:
        """The numbers as a read-only NumPy array without a copy; a NumPy scalar for a scalar tensor."""
        if self._array.ndim == 0:
            return self._array[()]
        view = self._array.view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """The number of a tensor with one element, as a Python number."""
        return self._array.item()

    def tolist(self) -> Any:
        """The numbers as nested lists."""
        return self._array.tolist()

    def ref(self) -> Reference:
        """A hashable stand-in for the tensor itself."""
        return Reference(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        view = self._array.view()
        view.flags.writeable = False
        if dtype is not None and np.dtype(dtype) != view.dtype:
            if copy is False:
                raise InvalidArgumentError(f"a tensor of {view.dtype} cannot be seen as {dtype} without a copy")
            return view.astype(dtype)
        return view.copy() if copy else view

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: Any = None,
        copy: bool | None = None,
    ) -> Any:
        """Hands the numbers to another library: without a copy if it promises not to write, else as a copy.

        Raises:
          BufferError: if it forbids a copy and cannot take read-only memory, or its device is no CPU.
        """
        takes_read_only = max_version is not None and max_version[0] >= 1
        if copy is False and not takes_read_only:
            raise BufferError("a tensor is read-only, which DLPack before version 1.0 cannot say; allow a copy")
        shown = self._array if takes_read_only and not copy else self._array.copy()
        if takes_read_only and not copy:
            shown = shown.view()
            shown.flags.writeable = False
        version = max_version if takes_read_only else None
        return shown.__dlpack__(stream=stream, max_version=version, dl_device=dl_device)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    def _scalar(self, what: str) -> Any:
        if self._array.size != 1:
            raise DtypeError(f"{what} needs one element, but the tensor's shape is {self._array.shape}")
        return self._array.item()

    def __bool__(self) -> bool:
        return bool(self._scalar("bool()"))

    def __float__(self) -> float:
        return float(self._scalar("float()"))

    def __int__(self) -> int:
        return int(self._scalar("int()"))

    def __complex__(self) -> complex:
        return complex(self._scalar("complex()"))

    def __index__(self) -> int:
        if self._array.ndim or self._array.dtype.kind not in "iu":
            raise DtypeError(f"only a scalar integer tensor can be an index, not {self.type}")
        return int(self._array)

    def __format__(self, spec: str) -> str:
        """As a number or an array is put into a text, so that messages show numbers."""
        if not spec:
            return str(self._array)
        return format(self._array.item(), spec) if self._array.ndim == 0 else format(self._array, spec)

    def __repr__(self) -> str:
        return f"<gj.Tensor: shape={self.shape}, dtype={self.dtype.name}, numpy={numpy_repr(self._array)}>"

    def __str__(self) -> str:
        text = np.array2string(self._array) if self._array.ndim else str(self._array)
        separator = "\n" if "\n" in text else ""
        return f"gj.Tensor({separator}{text}, shape={self.shape}, dtype={self.dtype.name})"

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return _unpickled, (np.asarray(self._array),)

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: Any) -> Tensor:
        return self


def numpy_repr(array: np.ndarray[Any, Any]) -> str:
    """How TensorFlow shows the numbers in a repr: the scalar alone, or NumPy's repr."""
    text = str(array) if array.ndim == 0 else repr(array)
    return f"\n{text}" if "\n" in text else text


def _unpickled(array: np.ndarray[Any, Any]) -> Tensor:
    array.flags.writeable = False
    return Tensor(array)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """A tensor with the value's numbers, copied.

    Args:
      value: a number, a nested list, an array or a tensor.
      dtype: the element type; by default int32, float32 or bool for Python values and the array's own
        for arrays. A float64 array may become float32 here.
      shape: a shape to reshape to, or to fill with a single value.

    Raises:
      DtypeError: if the numbers do not fit the dtype.
      InvalidArgumentError: if a nested list is ragged, or the shape does not fit.

    >>> print(constant([1, 2, 3]))
    gj.Tensor([1 2 3], shape=(3,), dtype=int32)
    """
    wanted = None if dtype is None else as_dtype(dtype)
    operand = _as_constant(value, wanted)
    return operand if shape is None else _shaped(operand, tuple(int(size) for size in shape))


def _as_constant(value: Any, dtype: DType | None) -> Any:
    operand = value.read_value() if isinstance(value, ReadsAsOperand) else value
    if not isinstance(operand, Operand):
        return as_operand(operand, dtype)
    if dtype is None or operand.type.dtype is dtype:
        return operand
    if not isinstance(operand, Tensor):
        raise TraceError(f"constant() cannot convert a traced value {operand!r} to {dtype.name}; use gj.cast")
    return current_interpreter().constant(as_array(operand._array, dtype))


def _shaped(operand: Any, sizes: tuple[int, ...]) -> Any:
    """The elements under a shape, or the only element repeated to fill it."""
    count = element_count(operand.type.sizes)
    if count == element_count(sizes):
        return PUBLIC["reshape"](operand, sizes)
    if count == 1:
        return PUBLIC["broadcast_to"](PUBLIC["reshape"](operand, ()), sizes)
    raise InvalidArgumentError(f"constant: {count} elements do not fill shape {sizes}")


def convert_to_tensor(value: Any, dtype: Any = None, name: str | None = None) -> Any:
    """`value` as a tensor; tensors and variables keep their dtype.

    Raises:
      DtypeError: if a tensor has another dtype than `dtype`, or the numbers do not fit.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    operand = as_operand(value, wanted)
    if wanted is not None and operand.type.dtype is not wanted:
        raise DtypeError(
            f"a tensor of {operand.type.dtype.name} was given where {wanted.name} was asked for; use gj.cast"
        )
    return operand


def is_tensor(value: Any) -> bool:
    """Whether the value is a tensor, eager or traced, or a variable."""
    return is_operand_like(value)


def from_dlpack(dlcapsule: Any, copy: bool | None = None) -> Tensor:
    """A tensor of the numbers that another library exports through DLPack, sharing its memory.

    Args:
      dlcapsule: an object with `__dlpack__`, such as a NumPy array or a PyTorch CPU tensor.
      copy: True for a tensor with memory of its own, False to refuse any copy.

    Whoever exported the memory should not write into it afterwards, unless `copy` is True.

    Raises:
      InvalidArgumentError: if the object does not speak DLPack, or is not on a CPU.
      DtypeError: if graphjit does not have its dtype.

    >>> import numpy as np
    >>> print(from_dlpack(np.arange(3.0)))
    gj.Tensor([0. 1. 2.], shape=(3,), dtype=float64)
    """
    if not hasattr(dlcapsule, "__dlpack__"):
        raise InvalidArgumentError(
            f"from_dlpack takes an object with __dlpack__ (an array of another library), not {type(dlcapsule).__name__}"
        )
    try:
        array = np.from_dlpack(dlcapsule, device="cpu", copy=copy)
    except (BufferError, ValueError, RuntimeError, TypeError) as error:
        raise InvalidArgumentError(f"from_dlpack: the memory cannot be shared: {error}") from error
    as_dtype(array.dtype)
    return Tensor(array)
