"""The expressions of kernel text, as LLVM instructions: operators, words, conversions, memory.

A value's dtype is known from the text, and no operator converts: both sides are of one
dtype, or a whole number is compared with an integer. Around what operators make of
integers narrower than 64 bits stands their dtype's constructor: NumPy, which wraps them,
and Numba, which widens them, agree on no more than that.
"""

from __future__ import annotations

import ast
import struct
from typing import Final, TypeAlias

from graphjit.runtime import kernel_language as language, vmath
from graphjit.runtime.errors import KernelError
from graphjit.runtime.fields import dataclass
from graphjit.runtime.irwriting import IRWriter
from graphjit.runtime.wordcode import conversion_function, word_function

_MOST_SCOPES: Final = 62
_CONSTRUCTORS: Final = {language.constructor_name(dtype): dtype for dtype in language.DTYPES}
_POINTERS: Final = {f"{dtype}_at": dtype for dtype in language.DTYPES}
_INDEX: Final = "uint64"

_FLOAT_OPERATORS: Final[dict[type[ast.operator], str]] = {
    ast.Add: "fadd contract",
    ast.Sub: "fsub contract",
    ast.Mult: "fmul contract",
    ast.Div: "fdiv contract",
}
_INTEGER_OPERATORS: Final[dict[type[ast.operator], str]] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
}
_BOOL_OPERATORS: Final[dict[type[ast.operator], str]] = {ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor"}
_OPERATORS: Final = {
    "float": _FLOAT_OPERATORS,
    "signed": _INTEGER_OPERATORS,
    "unsigned": _INTEGER_OPERATORS,
    "bool": _BOOL_OPERATORS,
}
_COMPARISONS: Final[dict[type[ast.cmpop], tuple[str, str]]] = {
    ast.Eq: ("oeq", "eq"),
    ast.NotEq: ("une", "ne"),
    ast.Lt: ("olt", "lt"),
    ast.LtE: ("ole", "le"),
    ast.Gt: ("ogt", "gt"),
    ast.GtE: ("oge", "ge"),
}
"""What LLVM calls each comparison: of floats, and of integers without their sign's letter."""


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar: its dtype, and its name or constant in LLVM IR."""

    dtype: str
    code: str
    wrapped: bool = True
    """False for a narrow integer that its constructor has to wrap before anything else is done with it."""

    @property
    def llvm_type(self) -> str:
        """The type of the value in LLVM IR."""
        return language.LLVM_TYPES[self.dtype]


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer to elements of a dtype, in an alias scope."""

    dtype: str
    code: str
    scope: int

    @property
    def element(self) -> str:
        """The LLVM type of an element in memory, where a bool takes a byte."""
        return "i8" if self.dtype == "bool" else language.LLVM_TYPES[self.dtype]

    @property
    def alignment(self) -> int:
        """The alignment of an element in bytes."""
        return max(1, language.bits_of(self.dtype) // 8)


Known: TypeAlias = Value | Pointer
Number: TypeAlias = bool | int | float
"""A literal of the text, which has no dtype yet."""


class Expressions:
    """Writes the expressions of one kernel; `known` is what the names mean, and is the caller's to change."""

    def __init__(self, ir: IRWriter, known: dict[str, Known]) -> None:
        self._ir = ir
        self._known = known
        self.called: set[str] = set()
        """The functions of words and conversions that have been called."""

    # --- what statements ask for ----------------------------------------------------------------

    def known(self, node: ast.expr) -> Known:
        """What a name can be given."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _POINTERS:
            return self._pointer(_POINTERS[node.func.id], node)
        return self._value(node)

    def condition(self, node: ast.expr) -> str:
        """The code of a bool."""
        return self._of_dtype(node, "bool", "a condition")

    def index(self, node: ast.expr) -> str:
        """The code of an index, which is uint64 or a literal."""
        number = _number(node)
        if type(number) is int and number >= 0:
            return str(number)
        return self._of_dtype(node, _INDEX, "an index")

    def store(self, target: ast.Subscript, node: ast.expr) -> None:
        """Write an element."""
        self._ir.name = "value"
        value = self._value(node)
        pointer, place = self._place(target)
        if value.dtype != pointer.dtype:
            raise KernelError(f"a kernel stores {value.dtype} into {pointer.dtype}")
        code = value.code
        if pointer.dtype == "bool":
            code = self._ir.emit(f"zext i1 {code} to i8")
        stored = f"store {pointer.element} {code}, ptr {place}, align {pointer.alignment}"
        self._ir.write(stored + self._ir.access(pointer.scope))

    # --- values -------------------------------------------------------------------------------

    def _value(self, node: ast.expr) -> Value:
        """A value that anything may be done with."""
        value = self._to_wrap(node)
        if not value.wrapped:
            raise KernelError(f"{ast.unparse(node)} must be wrapped: {value.dtype}({ast.unparse(node)})")
        return value

    def _to_wrap(self, node: ast.expr) -> Value:
        """A value for an operator that goes on without the wrapping: only the lowest bits count."""
        value = self._operand(node)
        if not isinstance(value, Value):
            raise KernelError(f"{ast.unparse(node)} has no dtype: put one around it, as in float32({value})")
        return value

    def _of_dtype(self, node: ast.expr, dtype: str, what: str) -> str:
        value = self._value(node)
        if value.dtype != dtype:
            raise KernelError(f"{what} must be {dtype}, and {ast.unparse(node)} is {value.dtype}")
        return value.code

    def _operand(self, node: ast.expr) -> Value | Number:
        """A value, or a number that has no dtype yet."""
        number = _number(node)
        if number is not None:
            return number
        match node:
            case ast.Name(id=name):
                return self._named(name)
            case ast.Subscript():
                return self._load(node)
            case ast.BinOp():
                return self._operator(node)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.Compare(left=left, ops=[comparison], comparators=[right]):
                return self._comparison(node, left, comparison, right)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name, arguments)
            case _:
                raise KernelError(f"{ast.unparse(node)} is not in the kernel language")

    def _named(self, name: str) -> Value:
        value = self._known.get(name)
        if value is None:
            raise KernelError(f"{name} is unknown here: it has no value, or had one in a block that has ended")
        if isinstance(value, Pointer):
            raise KernelError(f"{name} is a pointer, of which only elements can be used")
        return value

    # --- operators ----------------------------------------------------------------------------

    def _operator(self, node: ast.BinOp) -> Value:
        left, right = self._to_wrap(node.left), self._to_wrap(node.right)
        self._require_equal(node, left, right)
        kind = language.kind_of(left.dtype)
        instruction = _OPERATORS[kind].get(type(node.op))
        if instruction is None:
            raise KernelError(f"{ast.unparse(node)}: there is no such operator for {left.dtype}")
        code = self._ir.emit(f"{instruction} {left.llvm_type} {left.code}, {right.code}")
        return Value(left.dtype, code, wrapped=_needs_no_wrapping(left.dtype))

    def _unary(self, node: ast.UnaryOp) -> Value:
        value = self._to_wrap(node.operand)
        kind = language.kind_of(value.dtype)
        if isinstance(node.op, ast.USub) and kind == "float":
            return Value(value.dtype, self._ir.emit(f"fneg {value.llvm_type} {value.code}"))
        if kind not in ("signed", "unsigned") or not isinstance(node.op, ast.USub | ast.Invert):
            raise KernelError(f"{ast.unparse(node)}: there is no such operator for {value.dtype}")
        instruction = "sub {T} 0, {a}" if isinstance(node.op, ast.USub) else "xor {T} {a}, -1"
        code = self._ir.emit(instruction.format(T=value.llvm_type, a=value.code))
        return Value(value.dtype, code, wrapped=_needs_no_wrapping(value.dtype))

    def _comparison(self, node: ast.expr, left: ast.expr, comparison: ast.cmpop, right: ast.expr) -> Value:
        a, b = self._compared(left, right)
        self._require_equal(node, a, b)
        names = _COMPARISONS.get(type(comparison))
        if names is None:
            raise KernelError(f"{ast.unparse(node)}: there is no such comparison")
        code = self._ir.emit(f"{_predicate(names, a.dtype)} {a.llvm_type} {a.code}, {b.code}")
        return Value("bool", code)

    def _compared(self, left: ast.expr, right: ast.expr) -> tuple[Value, Value]:
        """The sides of a comparison; a whole number takes the dtype of an integer beside it."""
        number = _number(right)
        if type(number) is not int:
            return self._value(left), self._value(right)
        value = self._value(left)
        if language.kind_of(value.dtype) not in ("signed", "unsigned"):
            raise KernelError(f"{number} has no dtype: put one around it, as in {value.dtype}({number})")
        return value, Value(value.dtype, _constant(number, value.dtype))

    def _require_equal(self, node: ast.expr, left: Value, right: Value) -> None:
        if left.dtype != right.dtype:
            raise KernelError(f"{ast.unparse(node)} joins {left.dtype} and {right.dtype}")

    # --- calls --------------------------------------------------------------------------------

    def _call(self, name: str, arguments: list[ast.expr]) -> Value:
        if name in _CONSTRUCTORS and len(arguments) == 1:
            return self._converted(self._operand(arguments[0]), _CONSTRUCTORS[name])
        operands = [self._value(argument) for argument in arguments]
        if name in language.WORDS:
            return self._word(language.WORDS[name], operands)
        if name in vmath.NAMES:
            return self._vector_math(name, operands)
        raise KernelError(f"{name}({', '.join(o.dtype for o in operands)}) is no word of the kernel language")

    def _converted(self, operand: Value | Number, dtype: str) -> Value:
        if not isinstance(operand, Value):
            return Value(dtype, _constant(operand, dtype))
        if operand.dtype == dtype:
            return Value(dtype, operand.code)
        if not operand.wrapped:
            raise KernelError(f"{operand.dtype} must be wrapped before it becomes {dtype}")
        return self._called(conversion_function(operand.dtype, dtype), dtype, [operand])

    def _word(self, word: language.Word, operands: list[Value]) -> Value:
        dtypes = [operand.dtype for operand in operands]
        first = dtypes.pop(0) if word.condition and dtypes else "bool"
        dtype = dtypes[0] if dtypes else ""
        fits = len(operands) == word.operands and first == "bool" and dtypes == [dtype] * len(dtypes)
        if not fits or word.body_for(dtype) is None:
            raise KernelError(f"{word.name} does not take {', '.join(operand.dtype for operand in operands)}")
        return self._called(word_function(word.name, dtype), word.result_for(dtype), operands)

    def _vector_math(self, name: str, operands: list[Value]) -> Value:
        dtypes = {operand.dtype for operand in operands}
        count = 2 if name in vmath.BINARY else 1
        if len(operands) != count or len(dtypes) != 1 or language.kind_of(operands[0].dtype) != "float":
            raise KernelError(f"{name} does not take {', '.join(operand.dtype for operand in operands)}")
        dtype = operands[0].dtype
        return self._called(word_function(name, dtype), dtype, operands)

    def _called(self, function: str, dtype: str, operands: list[Value]) -> Value:
        self.called.add(function)
        passed = ", ".join(f"{operand.llvm_type} {operand.code}" for operand in operands)
        return Value(dtype, self._ir.emit(f'call {language.LLVM_TYPES[dtype]} @"{function}"({passed})'))

    # --- memory -------------------------------------------------------------------------------

    def _pointer(self, dtype: str, node: ast.Call) -> Pointer:
        match node.args:
            case [ast.Name(id="addresses"), slot, ast.Constant(value=int(scope))] if not node.keywords:
                address = self._loaded(self._known["addresses"], self.index(slot))
                if not 0 <= scope < _MOST_SCOPES:
                    raise KernelError(f"a pointer's scope must be from 0 to {_MOST_SCOPES - 1}, and not {scope}")
                return Pointer(dtype, self._ir.emit(f"inttoptr i64 {address} to ptr"), scope)
            case _:
                raise KernelError("a pointer is made by its dtype_at(addresses, slot, scope), the scope a literal")

    def _place(self, node: ast.Subscript) -> tuple[Pointer, str]:
        """The pointer of an element's array, and the element's address."""
        pointer = self._known.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if not isinstance(pointer, Pointer):
            raise KernelError(f"{ast.unparse(node.value)} is no pointer")
        return pointer, self._address(pointer, self.index(node.slice))

    def _address(self, pointer: Known, index: str) -> str:
        assert isinstance(pointer, Pointer)
        return self._ir.emit(f"getelementptr {pointer.element}, ptr {pointer.code}, i64 {index}")

    def _load(self, node: ast.Subscript) -> Value:
        pointer, place = self._place(node)
        return Value(pointer.dtype, self._read(pointer, place))

    def _loaded(self, pointer: Known, index: str) -> str:
        assert isinstance(pointer, Pointer)
        return self._read(pointer, self._address(pointer, index))

    def _read(self, pointer: Pointer, place: str) -> str:
        loaded = f"load {pointer.element}, ptr {place}, align {pointer.alignment}"
        code = self._ir.emit(loaded + self._ir.access(pointer.scope))
        return code if pointer.dtype != "bool" else self._ir.emit(f"icmp ne i8 {code}, 0")


def _needs_no_wrapping(dtype: str) -> bool:
    return language.kind_of(dtype) in ("float", "bool") or language.bits_of(dtype) == 64


def _predicate(names: tuple[str, str], dtype: str) -> str:
    """What LLVM calls a comparison of values of a dtype."""
    of_floats, of_integers = names
    kind = language.kind_of(dtype)
    if kind == "float":
        return f"fcmp {of_floats}"
    sign = "" if of_integers in ("eq", "ne") else "s" if kind == "signed" else "u"
    return f"icmp {sign}{of_integers}"


def _number(node: ast.expr) -> Number | None:
    """The number that an expression of literals is; None where it is more than that."""
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return value
        case ast.Name(id=name) if name in language.CONSTANTS:
            return language.CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inside = _number(operand)
            return None if inside is None else -inside
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            first, second = _number(left), _number(right)
            return None if first is None or second is None else first - second
        case _:
            return None


def _constant(number: Number, dtype: str) -> str:
    """A literal as an LLVM constant of a dtype; the same number as `kernel_language.convert` gives."""
    exact = language.convert(number, dtype)
    kind = language.kind_of(dtype)
    if kind == "bool":
        return "true" if exact else "false"
    if kind == "float":
        return "0x" + struct.pack(">d", float(exact)).hex().upper()
    return str(int(exact))
