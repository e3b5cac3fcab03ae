"""Variables: state that programs read and assign.

Reading gives a tensor that later assignments do not change, because an assignment replaces the
variable's array and writes into none. Who reads and assigns is the interpreter (see `state`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from graphjit.compiler.dispatch import current_interpreter, current_scope, not_recording, tell_recorders
from graphjit.compiler.operand import PUBLIC, Operand, ReadsAsOperand, as_array, as_operand
from graphjit.compiler.ops.shaping import identity_op
from graphjit.compiler.reference import Reference
from graphjit.compiler.tensortype import DType, TensorShape, TensorType, as_dtype, type_of_array
from graphjit.compiler.writer import Symbol
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, MutationError, ShapeError

from .namescope import scoped_name
from .state import State, StateInterpreter, assign, created, read
from .tensor import CPU, Tensor, numpy_repr


class Variable(State):
    """A tensor that can be assigned to.

    Args:
      initial_value: numbers, a tensor, another variable (whose value is copied), or a function that
        returns one of these.
      trainable: whether gradient tapes watch it by themselves.
      validate_shape: False is the same as `shape=TensorShape(None)`.
      caching_device, variable_def, import_scope, synchronization, aggregation: accepted for
        TensorFlow's sake, and without meaning here.
      name: shown by `name` and `repr`, with ":0" behind it.
      dtype: the element type; by default that of the initial value.
      constraint: a function from a value to an allowed value, which optimizers apply after an update.
      shape: what every value's shape must fit; sizes may be None, and `TensorShape(None)` allows
        any shape. By default the shape of the initial value.

    Raises:
      DtypeError: if the initial value does not fit the dtype.
      ShapeError: if it does not fit the shape.

    >>> import graphjit as gj
    >>> v = gj.Variable([1.0, 2.0])
    >>> v.assign_add([1.0, 1.0])
    <gj.Variable 'Variable:0' shape=(2,) dtype=float32, numpy=array([2., 3.], dtype=float32)>
    >>> print(v * 2)
    gj.Tensor([4. 6.], shape=(2,), dtype=float32)
    """

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        import_scope: Any = None,
        constraint: Callable[[Any], Any] | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
    ) -> None:
        if constraint is not None and not callable(constraint):
            raise InvalidArgumentError(f"the constraint of a variable is a function, not {constraint!r}")
        self.trainable = True if trainable is None else bool(trainable)
        self.constraint = constraint
        self.name = scoped_name(name or "Variable") + ":0"
        self.array = _initial_array(initial_value, None if dtype is None else as_dtype(dtype))
        if self.array.dtype.kind == "O":
            raise DtypeError(
                "a variable holds numbers, not strings; keep strings in a Python attribute or a gj.constant"
            )
        if not validate_shape:
            shape = TensorShape(None)
        self._shape = TensorShape(self.array.shape if shape is None else shape)
        self._require_shape(self.array.shape, "the initial value")
        created(self)

    @property
    def type(self) -> TensorType:
        """dtype and shape of what is held now."""
        return type_of_array(self.array)

    @property
    def dtype(self) -> DType:
        """The element type."""
        return as_dtype(self.array.dtype)

    @property
    def shape(self) -> TensorShape:
        """The shape that every value has; not fully known if the variable was made so."""
        return self._shape

    @property
    def ndim(self) -> int:
        """The number of dimensions of what is held now."""
        return self.array.ndim

    @property
    def device(self) -> str:
        """Where the numbers are, in TensorFlow's words."""
        return CPU

    @property
    def handle(self) -> Reference:
        """What identifies the variable; the same as `ref()`."""
        return Reference(self)

    @property
    def T(self) -> Any:  # noqa: N802 -- NumPy's name
        """The transpose: all axes reversed."""
        return PUBLIC["transpose"](self)

    def get_shape(self) -> TensorShape:
        """The same as `shape`."""
        return self.shape

    def ref(self) -> Reference:
        """A hashable stand-in for the variable itself."""
        return Reference(self)

    # --- reading ---

    def read_value(self) -> Any:
        """What is held now, as a tensor that later assignments do not change."""
        return read(self)

    def value(self) -> Any:
        """The same as `read_value()`."""
        return self.read_value()

    def numpy(self) -> Any:
        """A copy of the numbers as a NumPy array; a NumPy scalar for a scalar variable.

        Raises:
          TraceError: while a function is traced.
        """
        numbers = self.read_value().numpy()
        return numbers.copy() if isinstance(numbers, np.ndarray) else numbers

    def gather_nd(self, indices: Any, name: str | None = None) -> Any:
        """The elements or slices at the index tuples: see `gj.gather_nd`."""
        return PUBLIC["gather_nd"](self, indices)

    def sparse_read(self, indices: Any, name: str | None = None) -> Any:
        """The rows at the indices: see `gj.gather`."""
        return PUBLIC["gather"](self, indices)

    def __getitem__(self, key: Any) -> Any:
        return _sliced(self, key)

    def __len__(self) -> int:
        return len(self.read_value())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.read_value())

    def __bool__(self) -> bool:
        return bool(self.read_value())

    def __float__(self) -> float:
        return float(self.read_value())

    def __int__(self) -> int:
        return int(self.read_value())

    def __complex__(self) -> complex:
        return complex(self.read_value())

    def __index__(self) -> int:
        index: int = self.read_value().__index__()
        return index

    def __format__(self, spec: str) -> str:
        return format(self.read_value(), spec) if spec else str(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.read_value().__array__(dtype, copy)

    # --- assigning ---

    def assign(self, value: Any, use_locking: Any = None, name: str | None = None, read_value: bool = True) -> Any:
        """Replace what is held; returns the variable.

        Tensors must have the variable's dtype; numbers, lists and arrays are converted.

        Raises:
          DtypeError: if the dtype does not fit.
          ShapeError: if the shape does not fit.
        """
        return self._put(as_operand(value, self.dtype, f"the value for {self.name!r}"), None, read_value)

    def assign_add(self, delta: Any, use_locking: Any = None, name: str | None = None, read_value: bool = True) -> Any:
        """Add to what is held; returns the variable. Raises: see `assign`."""
        return self._change("add", delta, read_value)

    def assign_sub(self, delta: Any, use_locking: Any = None, name: str | None = None, read_value: bool = True) -> Any:
        """Subtract from what is held; returns the variable. Raises: see `assign`."""
        return self._change("subtract", delta, read_value)

    def scatter_nd_update(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Replace the elements or slices at the index tuples; returns the variable."""
        return self._scatter("tensor_scatter_nd_update", indices, updates)

    def scatter_nd_add(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Add to the elements or slices at the index tuples, duplicates included; returns the variable."""
        return self._scatter("tensor_scatter_nd_add", indices, updates)

    def scatter_nd_sub(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Subtract from the elements or slices at the index tuples; returns the variable."""
        return self._scatter("tensor_scatter_nd_sub", indices, updates)

    def _scatter(self, name: str, indices: Any, updates: Any) -> Any:
        given = as_operand(updates, self.dtype, f"the updates for {self.name!r}")
        self._require_dtype(given.type.dtype)
        with not_recording():
            value = PUBLIC[name](read(self), indices, given)
        return self._put(value, given, True)

    def _change(self, name: str, delta: Any, read_value: bool) -> Any:
        given = as_operand(delta, self.dtype, f"the value for {self.name!r}")
        self._require_dtype(given.type.dtype)
        with not_recording():
            value = PUBLIC[name](read(self), given)
        return self._put(value, given, read_value)

    def put_slice(self, key: Any, value: Any, change: str | None = None) -> Any:
        """Replace `self[key]`, or add to it or subtract from it (`change`); returns the variable."""
        given = as_operand(value, self.dtype, f"the value for a slice of {self.name!r}")
        self._require_dtype(given.type.dtype)
        with not_recording():
            before = read(self)
            part = given if change is None else PUBLIC[change](PUBLIC["getitem"](before, key), given)
            updated = PUBLIC["put_item"](before, key, part)
        return self._put(updated, given, True)

    def _put(self, value: Operand, cause: Operand | None, read_value: bool) -> Any:
        self._require_dtype(value.type.dtype)
        self._require_shape(value.type.shape, "the assigned value")
        assign(self, value, value if cause is None else cause)
        return self if read_value or isinstance(value, Symbol) else None

    def _require_dtype(self, dtype: DType) -> None:
        if dtype is not self.dtype:
            raise DtypeError(
                f"{self.name!r} holds {self.dtype.name}, but {dtype.name} was given; cast with "
                f"gj.cast(value, gj.{self.dtype.name})"
            )

    def _require_shape(self, shape: Any, what: str) -> None:
        if not self._shape.is_compatible_with(shape):
            raise ShapeError(f"{self.name!r} has shape {self._shape}, but {what} has shape {TensorShape(shape)}")

    # --- Python's syntax for changing things, which cannot be told from making a new tensor ---

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise MutationError("variable[...] = value is not supported; use variable[...].assign(value)")

    def _refused(self, sign: str, instead: str) -> NoReturn:
        raise MutationError(
            f"variable {sign} value is not supported; use variable.{instead} to change the variable, "
            f"or variable = variable {sign[:-1]} value to get a new tensor"
        )

    def __iadd__(self, other: Any) -> NoReturn:
        self._refused("+=", "assign_add(value)")

    def __isub__(self, other: Any) -> NoReturn:
        self._refused("-=", "assign_sub(value)")

    def __imul__(self, other: Any) -> NoReturn:
        self._refused("*=", "assign(variable * value)")

    def __itruediv__(self, other: Any) -> NoReturn:
        self._refused("/=", "assign(variable / value)")

    def __ifloordiv__(self, other: Any) -> NoReturn:
        self._refused("//=", "assign(variable // value)")

    def __imod__(self, other: Any) -> NoReturn:
        self._refused("%=", "assign(variable % value)")

    def __ipow__(self, other: Any) -> NoReturn:
        self._refused("**=", "assign(variable ** value)")

    def __imatmul__(self, other: Any) -> NoReturn:
        self._refused("@=", "assign(variable @ value)")

    # --- copying and showing ---

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        made = self.__copy__()
        memo[id(self)] = made
        return made

    def __copy__(self) -> Variable:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.array = _initial_array(self, None)
        created(made)
        return made

    def __repr__(self) -> str:
        return (
            f"<gj.Variable {self.name!r} shape={self._shape} dtype={self.dtype.name}, numpy={numpy_repr(self.array)}>"
        )


def _initial_array(value: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    """The elements with which a variable starts, as an array that nobody else writes into."""
    if callable(value) and not isinstance(value, Operand | ReadsAsOperand):
        value = value()
    if value is None:
        raise InvalidArgumentError("a variable needs an initial value: numbers, a tensor, or a function that gives one")
    operand = value if isinstance(value, Operand) else None
    if isinstance(value, State):
        with not_recording():
            operand = read(value)
    elif isinstance(value, ReadsAsOperand):
        operand = value.read_value()
    if operand is None:
        return as_array(value, dtype, "the initial value of a variable")
    if dtype is not None and operand.type.dtype is not dtype:
        raise DtypeError(
            f"a variable of {dtype.name} cannot start with a tensor of {operand.type.dtype.name}; "
            f"cast with gj.cast(value, gj.{dtype.name})"
        )
    interpreter = current_interpreter()
    if isinstance(interpreter, StateInterpreter):
        return interpreter.initial_array(operand)
    raise InvalidArgumentError("a variable cannot be created while a graph is rewritten")


# --- slices ---------------------------------------------------------------------------------------


class TensorSlice(Tensor):
    """A tensor that was read as a slice of a variable, and can be assigned to as such."""

    __slots__ = ("_key", "_variable")
    _key: Any
    _variable: Variable

    def assign(self, value: Any, name: str | None = None) -> Any:
        """Replace this part of the variable; returns the variable. Raises: see `Variable.assign`."""
        return self._variable.put_slice(self._key, value)

    def assign_add(self, value: Any, name: str | None = None) -> Any:
        """Add to this part of the variable; returns the variable."""
        return self._variable.put_slice(self._key, value, "add")

    def assign_sub(self, value: Any, name: str | None = None) -> Any:
        """Subtract from this part of the variable; returns the variable."""
        return self._variable.put_slice(self._key, value, "subtract")


class SymbolSlice(Symbol):
    """A symbol that was read as a slice of a variable, and can be assigned to as such."""

    __slots__ = ("_key", "_variable")

    assign = TensorSlice.assign
    assign_add = TensorSlice.assign_add
    assign_sub = TensorSlice.assign_sub


def _sliced(variable: Variable, key: Any) -> Any:
    """`variable[key]` as a tensor or symbol with `assign`, `assign_add` and `assign_sub`."""
    part = PUBLIC["getitem"](read(variable), key)
    made: Any
    if isinstance(part, Symbol):
        made = SymbolSlice(part.value, part.writer, part.location)
    else:
        made = TensorSlice(part._array)
        tell_recorders(current_scope(), identity_op, (part,), {}, (made,))
    made._variable, made._key = variable, key
    return made
