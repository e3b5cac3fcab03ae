"""What of a call's arguments decides which trace serves it.

Each leaf of the arguments becomes a slot: a tensor counts by dtype and shape, a variable by dtype, shape
and which other arguments are the same variable, a Python value by its exact type and value, any other
object by its identity (and by the attributes that the trace reads, which are guarded elsewhere).
"""

from __future__ import annotations

import enum
import inspect
import struct
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import GeneratorType
from typing import Any
from weakref import ref

import numpy as np

from graphjit.compiler.operand import Operand, as_array
from graphjit.compiler.tensortype import DType, TensorShape, TensorSpec, TensorType, as_dtype
from graphjit.compiler.writer import Symbol, leaked
from graphjit.runtime.errors import DtypeError, SignatureError
from graphjit.runtime.fields import dataclass, field

from .handing import HandedOut
from .origin import is_library_class
from .state import State
from .structure import flatten
from .tensor import Tensor

Array = np.ndarray[Any, Any]


class Identity:
    """A key that stands for one object and dies with it: a later object at the same address is another key."""

    __slots__ = ("_hash", "_target")

    def __init__(self, target: Any) -> None:
        self._hash = id(target)
        try:
            self._target: Callable[[], Any] = ref(target)
        except TypeError:
            self._target = lambda: target

    @property
    def target(self) -> Any:
        """The object, None where it is gone."""
        return self._target()

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Identity) or self._hash != other._hash:
            return False
        target = self._target()
        return target is not None and target is other._target()

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class TensorSlot:
    """A tensor or an array."""

    type: TensorType

    def __str__(self) -> str:
        return str(self.type)


@dataclass(frozen=True, slots=True)
class VariableSlot:
    """A variable; `alias` is the position of the first argument that is the same one."""

    type: TensorType
    trainable: bool
    alias: int

    def __str__(self) -> str:
        return f"Variable({self.type})"


@dataclass(frozen=True, slots=True)
class ValueSlot:
    """A Python value that the trace depends on."""

    key: Hashable
    value: Any = field(compare=False)

    def __str__(self) -> str:
        return described(self.value)


@dataclass(frozen=True, slots=True)
class NumberSlot:
    """A Python number whose value the trace does not depend on."""

    kind: type

    def __str__(self) -> str:
        return f"any {self.kind.__name__}"


@dataclass(frozen=True, slots=True)
class ObjectSlot:
    """An object that is known by its identity."""

    identity: Identity
    shown: str = field(compare=False)

    def __str__(self) -> str:
        return self.shown


Slot = TensorSlot | VariableSlot | ValueSlot | NumberSlot | ObjectSlot


def shortened(value: Any, limit: int = 60) -> str:
    """The value's repr in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def described(value: Any) -> str:
    """A value in few words, without running the user's code.

    >>> described(0.1), described([1, 2]), described(np.zeros((2, 3)))
    ('0.1', 'a list of 2', 'an array float64[2, 3]')
    """
    if type(value) in _SHOWN:
        return shortened(value)
    if isinstance(value, np.ndarray):
        return f"an array {value.dtype}{list(value.shape)}"
    if isinstance(value, list | tuple | dict | set | frozenset):
        return f"a {type(value).__name__} of {len(value)}"
    name = getattr(value, "__qualname__", None)
    return f"{name!s}" if isinstance(name, str) else f"a {type(value).__qualname__} at {id(value):#x}"


_SHOWN: frozenset[type] = frozenset(
    {int, float, complex, bool, str, bytes, type(None), type(...), range, slice, DType, TensorShape, TensorSpec}
)
_BY_VALUE: frozenset[type] = frozenset(
    {int, bool, str, bytes, type(None), type(...), range, DType, TensorShape, TensorSpec}
)


def value_key(value: Any) -> Hashable | None:
    """A key that is equal exactly for the same type and value; None for objects known by identity.

    >>> value_key(1) == value_key(True), value_key(0.0) == value_key(-0.0)
    (False, False)
    >>> value_key(float("nan")) == value_key(float("nan"))
    True
    """
    cls = type(value)
    if cls in _BY_VALUE:
        return cls, value
    if cls is float:
        return cls, struct.pack("<d", value)
    if cls is complex:
        return cls, struct.pack("<dd", value.real, value.imag)
    if cls in (set, frozenset):
        return cls, frozenset(value_key(one) or Identity(one) for one in value)
    if isinstance(value, enum.Enum):
        return cls, value.name
    if _compares_by_value(cls):
        return cls, value
    return None


def _compares_by_value(cls: type) -> bool:
    """Whether it is a library's class of immutable values, such as a path, a date or a fraction."""
    return (
        getattr(cls, "__hash__", None) not in (None, object.__hash__)
        and not issubclass(cls, type | Operand | State)
        and is_library_class(cls)
    )


class Names:
    """The names of a call's leaves, worked out when somebody asks."""

    def __init__(self, parameters: Sequence[str], structure: Any) -> None:
        self._parameters = parameters
        self._structure = structure
        self._names: list[str] | None = None

    def __getitem__(self, position: int) -> str:
        if self._names is None:
            self._names = [self._name(accessor) for accessor in self._structure.accessors()]
        return self._names[position]

    def parameter(self, position: int) -> str:
        """The name of a positional argument as a whole."""
        known = position < len(self._parameters)
        return self._parameters[position] if known else f"args[{position - len(self._parameters)}]"

    def parameter_of(self, position: int) -> str:
        """The name of the parameter that a leaf belongs to."""
        accessor = self._structure.accessors()[position]
        return str(accessor[1].entry) if accessor[0].entry else self.parameter(accessor[1].entry)

    def _name(self, accessor: Any) -> str:
        entry = accessor[1].entry
        first = str(entry) if accessor[0].entry else self.parameter(entry)
        return str(accessor[2:].codify(first)) if len(accessor) > 2 else first


@dataclass(slots=True)
class Call:
    """The arguments of one call, taken apart.

    `leaves` are the arguments' leaves, `arrays` the numbers of those that are tensors or arrays.
    """

    structure: Any
    names: Names
    leaves: list[Any]
    slots: tuple[Slot, ...]
    arrays: list[Array | None]

    @property
    def key(self) -> Hashable:
        return self.structure, self.slots


def call_of_leaves(leaves: list[Any]) -> Call:
    """A call of which only the leaves are known: enough for a trace that reads numbers among them."""
    return Call(None, Names((), None), leaves, (), [])


class Parameters:
    """The parameters of a Python function: how positional and keyword arguments and defaults come together."""

    def __init__(self, function: Callable[..., Any], function_name: str, is_method: bool = False) -> None:
        self.function_name = function_name
        self.signature = _signature_of(function, is_method)
        self.names = self._positional_names()
        self._plain_count = self._count_without_defaults()

    def _positional_names(self) -> tuple[str, ...]:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = self.signature.parameters.values() if self.signature else ()
        return tuple(one.name for one in parameters if one.kind in kinds)

    def _count_without_defaults(self) -> int:
        """How many positional arguments make a complete call by themselves; -1 where that is not enough."""
        if self.signature is None:
            return -1
        parameters = self.signature.parameters.values()
        others = {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_POSITIONAL}
        # With **kwargs alone, positional arguments are complete.
        return -1 if any(one.kind in others for one in parameters) else len(self.names)

    @property
    def takes_any(self) -> bool:
        """Whether there is a parameter for any number of positional arguments."""
        parameters = self.signature.parameters.values() if self.signature else ()
        return any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with defaults filled in, positional where they can be.

        Raises:
          SignatureError: if they do not fit the parameters.
        """
        if not kwargs and len(args) == self._plain_count:
            return args, {}
        if self.signature is None:
            return args, dict(kwargs)
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise SignatureError(f"{self.function_name}{self.signature}: {error}") from None
        bound.apply_defaults()
        return bound.args, bound.kwargs

    def take_apart(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """The leaves and slots of bound arguments.

        Raises:
          SignatureError: if a leaf cannot be an argument; the message names it.
        """
        leaves, structure = flatten((args, kwargs))
        names = Names(self.names, structure)
        slots: list[Slot] = []
        arrays: list[Array | None] = []
        variables: dict[int, int] = {}
        for position, leaf in enumerate(leaves):
            array = array_of(leaf, names, position)
            arrays.append(array)
            if array is not None:
                slots.append(TensorSlot(TensorType(as_dtype(array.dtype), array.shape)))
            elif isinstance(leaf, State):
                alias = variables.setdefault(id(leaf), position)
                slots.append(VariableSlot(leaf.type, leaf.trainable, alias))
            elif isinstance(leaf, TensorSpec):
                slots.append(TensorSlot(_type_of_spec(leaf, names[position])))
            else:
                slots.append(slot_of_object(leaf, names, position))
        return Call(structure, names, leaves, tuple(slots), arrays)

    def name_of(self, names: Names, position: int) -> str:
        """How a message names an argument."""
        return f"argument {names[position]!r} of {self.function_name!r}"


def _signature_of(function: Callable[..., Any], is_method: bool) -> inspect.Signature | None:
    """The function's signature, without `self` for a method; None for what has none."""
    if isinstance(function, np.ufunc):
        return None  # its keywords exclude each other, so that defaults cannot be handed over
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    return found.replace(parameters=list(found.parameters.values())[1:]) if is_method else found


def _type_of_spec(spec: TensorSpec, name: str) -> TensorType:
    if spec.shape.rank is None:
        raise SignatureError(f"the rank of the TensorSpec for {name!r} is unknown; call the function with a tensor")
    return TensorType(spec.dtype, tuple(spec.shape))


def array_of(leaf: Any, names: Names, position: int) -> Array | None:
    """The numbers of a leaf that is a tensor, an array or a NumPy scalar, else None.

    Raises:
      SignatureError: if it is an array that cannot be a tensor.
    """
    if isinstance(leaf, Tensor):
        return leaf._array
    if isinstance(leaf, np.ndarray | np.generic):
        return native_array(leaf, f"argument {names[position]!r}")
    return None


def native_array(value: Any, what: str) -> Array:
    """An array as kernels take it: a plain ndarray of one of our dtypes in this machine's byte order.

    Raises:
      SignatureError: if it is a masked array, or its elements are no numbers.
    """
    masked = sys.modules.get("numpy.ma")  # to import it takes 10 ms, and who has such an array has imported it
    if masked is not None and isinstance(value, masked.MaskedArray):
        raise SignatureError(f"{what} is a masked array, whose mask would be lost; use its .data or .filled()")
    array = np.asarray(value)
    try:
        if array.dtype.kind in "OSUT":
            return as_array(array, what=what)
        dtype = as_dtype(array.dtype)
    except DtypeError:
        raise SignatureError(
            f"{what} is an array of dtype {array.dtype}, which cannot be a tensor; "
            "convert it with .astype, or hand it over inside of an object"
        ) from None
    return array.astype(dtype.numpy, copy=False)


def slot_of_object(leaf: Any, names: Names, position: int) -> Slot:
    """The slot of a leaf that is no tensor.

    Raises:
      SignatureError: if nothing about it can be a key.
      ScopeError: if it is a symbol of a trace that is over.
    """
    if isinstance(leaf, Symbol):
        raise leaked(leaf)
    key = value_key(leaf)
    if key is not None:
        return ValueSlot(key, leaf)
    _require_lasting(leaf, names, position)
    return ObjectSlot(Identity(leaf), described(leaf))


def _require_lasting(leaf: Any, names: Names, position: int) -> None:
    """Refuse what is used up or changed without a trace."""
    name = f"argument {names[position]!r} is a {type(leaf).__name__}"
    if hasattr(leaf, "watch") and hasattr(leaf, "gradient") and hasattr(leaf, "stop_recording"):
        raise SignatureError(
            f"{name}: a tape cannot be handed to a compiled function, whose ops it would not see; "
            "make the tape inside of the function, or record the call from outside"
        )
    if isinstance(leaf, bytearray | memoryview):
        raise SignatureError(f"{name}, which can change unnoticed; hand over bytes or an array")
    if isinstance(leaf, GeneratorType | Iterator) and not isinstance(leaf, Operand | HandedOut):
        raise SignatureError(
            f"{name}: it would be used up while the function is traced and be empty ever after; "
            "hand over a list, or loop outside of the function"
        )


__all__: list[str] = []
