"""Kernel text to LLVM IR by Numba: the second compiler of the same texts.

Numba reads the bytecode, infers the types and writes IR; each word becomes a call of
its function in `wordcode`. Numba's own optimisation and engine are not used. It takes
ten times as long as `translation`, and half a second to be imported; its worth is that
somebody else's compiler reads the kernels as we do. Used only where it is asked for.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import codegen, compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.errors import NumbaError
from numba.core.registry import cpu_target
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from graphjit.runtime import kernel_language as language, vmath, wordcode
from graphjit.runtime.errors import KernelError

_MOST_SCOPES = 62
_TYPES: dict[str, Any] = {dtype: getattr(types, language.constructor_name(dtype)) for dtype in language.DTYPES}
_DTYPES = {numba_type: dtype for dtype, numba_type in _TYPES.items()}
_BYTE = ir.IntType(8)
_DECLARED = re.compile(rf'^declare .*@"?{re.escape(wordcode.PREFIX)}.*$', re.MULTILINE)
_CALLED = re.compile(rf'^declare .*@"?({re.escape(wordcode.PREFIX)}[\w.]+)"?\(', re.MULTILINE)
"""The words' functions as Numba declares them."""


# --- Pointers ---


class Pointer(types.Type):  # type: ignore[misc]  # Numba is untyped
    """A pointer to elements of a dtype in an aliasing scope; `scopes` is the bit set of all scopes."""

    def __init__(self, dtype: str, scope: int, scopes: int) -> None:
        self.dtype = dtype
        self.scope = scope
        self.scopes = scopes
        super().__init__(f"Pointer({dtype}, {scope}, {scopes:#x})")

    @property
    def element(self) -> Any:
        """The LLVM type of an element in memory."""
        return _memory_type(self.dtype)

    @property
    def alignment(self) -> int:
        """The alignment of an element in bytes."""
        return max(1, language.bits_of(self.dtype) // 8)


_WORDS = Pointer("uint64", -1, 0)


def _memory_type(dtype: str) -> Any:
    if language.kind_of(dtype) == "float":
        return ir.FloatType() if dtype == "float32" else ir.DoubleType()
    return ir.IntType(max(8, language.bits_of(dtype)))


@register_model(Pointer)
class _PointerModel(models.PrimitiveModel):  # type: ignore[misc]  # Numba is untyped
    def __init__(self, manager: Any, kind: Pointer) -> None:
        super().__init__(manager, kind, kind.element.as_pointer())


@infer_global(operator.getitem)
class _LoadTemplate(AbstractTemplate):  # type: ignore[misc]  # Numba is untyped
    def generic(self, arguments: Any, keywords: Any) -> Any:
        pointer, index = arguments
        if isinstance(pointer, Pointer) and isinstance(index, types.Integer):
            return signature(_TYPES[pointer.dtype], pointer, index)
        return None


@infer_global(operator.setitem)
class _StoreTemplate(AbstractTemplate):  # type: ignore[misc]  # Numba is untyped
    def generic(self, arguments: Any, keywords: Any) -> Any:
        pointer, index, value = arguments
        if not isinstance(pointer, Pointer) or not isinstance(index, types.Integer):
            return None
        if types.unliteral(value) != _TYPES[pointer.dtype]:
            raise KernelError(f"a kernel stores {types.unliteral(value)} into {pointer.dtype}")
        return signature(types.none, pointer, index, _TYPES[pointer.dtype])


def _scope_list(module: Any, scopes: list[int]) -> Any:
    domain = module.add_metadata(["graphjit"])
    return module.add_metadata([module.add_metadata([f"scope {scope}", domain]) for scope in scopes])


def _mark(module: Any, instruction: Any, pointer: Pointer) -> None:
    """Tell LLVM what this access cannot overlap with."""
    if pointer.scope < 0:
        instruction.set_metadata("invariant.load", module.add_metadata([]))
        return
    instruction.set_metadata("alias.scope", _scope_list(module, [pointer.scope]))
    others = [s for s in range(_MOST_SCOPES) if pointer.scopes >> s & 1 and s != pointer.scope]
    if others:
        instruction.set_metadata("noalias", _scope_list(module, others))


def _place(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
    index = context.cast(builder, values[1], kinds[1], types.uint64)
    return builder.gep(values[0], [index])


@lower_builtin(operator.getitem, Pointer, types.Integer)  # type: ignore[untyped-decorator]  # Numba
def _load(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    pointer = signature.args[0]
    loaded = builder.load(_place(context, builder, signature.args, values))
    loaded.align = pointer.alignment
    _mark(builder.module, loaded, pointer)
    if pointer.dtype != "bool":
        return loaded
    return builder.icmp_unsigned("!=", loaded, ir.Constant(_BYTE, 0))


@lower_builtin(operator.setitem, Pointer, types.Integer, types.Any)  # type: ignore[untyped-decorator]  # Numba
def _store(context: Any, builder: Any, signature: Any, values: Any) -> None:
    pointer = signature.args[0]
    value = builder.zext(values[2], _BYTE) if pointer.dtype == "bool" else values[2]
    stored = builder.store(value, _place(context, builder, signature.args, values))
    stored.align = pointer.alignment
    _mark(builder.module, stored, pointer)


def _pointer_maker(dtype: str) -> Any:
    """`float32_at(addresses, slot, scope, scopes)`; the last is put in by `_with_scopes`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        index = context.cast(builder, values[1], signature.args[1], types.uint64)
        address = builder.load(builder.gep(values[0], [index]))
        address.align = 8
        _mark(builder.module, address, _WORDS)
        return builder.inttoptr(address, signature.return_type.element.as_pointer())

    def typed(context: Any, addresses: Any, slot: Any, scope: Any, scopes: Any) -> Any:
        if not isinstance(scope, types.IntegerLiteral) or not isinstance(slot, types.Integer):
            return None
        kind = Pointer(dtype, scope.literal_value, scopes.literal_value)
        return kind(addresses, types.unliteral(slot), scope, scopes), generate

    return intrinsic(prefer_literal=True)(_named(typed, f"{dtype}_at"))


def _named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    return function


# --- Words and dtypes: calls of functions that are linked in afterwards ---


def _call_of(name: str) -> Callable[..., Any]:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(context.get_value_type(signature.return_type), [value.type for value in values])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, values)

    return generate


def _word_signature(name: str, condition: bool, operands: tuple[Any, ...]) -> Any:
    """The signature and the generator of a word over these Numba types; None where it has no meaning."""
    subject = operands[1] if condition else operands[0]
    dtype = _DTYPES.get(subject)
    first = types.boolean if condition else subject
    if dtype is None or operands[0] != first or any(o != subject for o in operands[1:]):
        return None
    word = language.WORDS[name]
    if word.body_for(dtype) is None:
        return None
    return _TYPES[word.result_for(dtype)](*operands), _call_of(wordcode.word_function(name, dtype))


def _word_maker(name: str, operands: int, condition: bool) -> Any:
    def typed1(context: Any, a: Any) -> Any:
        return _word_signature(name, condition, (a,))

    def typed2(context: Any, a: Any, b: Any) -> Any:
        return _word_signature(name, condition, (a, b))

    def typed3(context: Any, a: Any, b: Any, c: Any) -> Any:
        return _word_signature(name, condition, (a, b, c))

    typed: dict[int, Callable[..., Any]] = {1: typed1, 2: typed2, 3: typed3}
    return intrinsic(_named(typed[operands], name))


def _conversion_maker(target: str) -> Any:
    def typed(context: Any, value: Any) -> Any:
        source = _DTYPES.get(value)
        if source is None:
            return None
        return _TYPES[target](value), _call_of(wordcode.conversion_function(source, target))

    return intrinsic(_named(typed, language.constructor_name(target)))


def _names() -> Iterator[tuple[str, Any]]:
    yield from language.CONSTANTS.items()
    for dtype in language.DTYPES:
        yield f"{dtype}_at", _pointer_maker(dtype)
        yield language.constructor_name(dtype), _conversion_maker(dtype)
    for word in language.WORDS.values():
        yield word.name, _word_maker(word.name, word.operands, word.condition)
    yield from vmath.numba_namespace().items()


@lru_cache(maxsize=1)
def native_namespace() -> dict[str, Any]:
    """Every name of the language with its native meaning, as Numba knows it."""
    return dict(_names())


# --- Compiling ---


class _KernelLibrary(codegen.AOTCodeLibrary):  # type: ignore[misc]  # Numba is untyped
    """Collects a kernel's IR, and leaves optimising to `machinecode`."""

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        return

    def _finalize_final_module(self) -> None:
        self._finalized = True


def _flags() -> Any:
    flags = compiler.Flags()
    flags.no_compile = True
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    flags.error_model = "numpy"
    flags.fastmath = {"contract"}
    flags.nrt = False
    flags.enable_pyobject = False
    return flags


class _Scopes(ast.NodeTransformer):
    """Gives each `..._at(addresses, slot, scope)` the bit set of all scopes as a fourth argument."""

    def __init__(self, scopes: int) -> None:
        self._scopes = scopes

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if _makes_pointer(node):
            node.args.append(ast.copy_location(ast.Constant(self._scopes), node))
        return node


def _makes_pointer(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("_at")


def _scope_of(node: ast.Call) -> int:
    scope = node.args[2] if len(node.args) == 3 else None
    if not isinstance(scope, ast.Constant) or not isinstance(scope.value, int):
        raise KernelError(f"a pointer's scope must be a literal: {ast.unparse(node)}")
    if not 0 <= scope.value < _MOST_SCOPES:
        raise KernelError(f"a pointer's scope must be from 0 to {_MOST_SCOPES - 1}: {ast.unparse(node)}")
    return scope.value


def _with_scopes(tree: ast.Module) -> ast.Module:
    scopes = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _makes_pointer(node):
            scopes |= 1 << _scope_of(node)
    return ast.fix_missing_locations(_Scopes(scopes).visit(tree))  # type: ignore[no-any-return]  # a transformer returns what it is given


def _function(text: str) -> Any:
    """The kernel as a Python function over the native names."""
    tree = ast.parse(text)
    names = native_namespace()
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    module = {name: names[name] for name in used if name in names}
    exec(compile(_with_scopes(tree), "<kernel>", "exec"), module)
    return module["kernel"]


def _entry(symbol: str, inner: str) -> str:
    """The C function around Numba's: a nonzero status, which no kernel gives, becomes -1."""
    return f"""
define i64 @{symbol}(ptr %addresses, ptr %block, i64 %lo, i64 %hi) {{
  %result = alloca i64
  %exception = alloca ptr
  %status = call i32 @"{inner}"(ptr %result, ptr %exception, ptr %addresses, ptr %block, i64 %lo, i64 %hi)
  %fine = icmp eq i32 %status, 0
  %code = load i64, ptr %result
  %answer = select i1 %fine, i64 %code, i64 -1
  ret i64 %answer
}}
"""


def kernel_text_to_ir(text: str, symbol: str) -> str:
    """The LLVM IR of a kernel, as `translation.kernel_text_to_ir` gives it.

    Raises KernelError, which holds the text, if the text is not in the kernel language.
    """
    try:
        with global_compiler_lock:
            return _kernel_ir(text, symbol)
    except (NumbaError, KernelError, SyntaxError, RuntimeError, KeyError) as error:
        raise KernelError(f"a kernel could not be compiled: {error}\n\n{text}") from error


def _kernel_ir(text: str, symbol: str) -> str:
    typing_context, target_context = cpu_target.typing_context, cpu_target.target_context
    function = _function(text)
    typing_context.refresh()
    target_context.refresh()
    library = _KernelLibrary(target_context.codegen(), symbol)
    arguments = (_WORDS, _WORDS, types.uint64, types.uint64)
    result = compiler.compile_extra(
        typing_context, target_context, function, arguments, types.int64, _flags(), {}, library=library
    )
    module = library.get_llvm_str()
    called = set(_CALLED.findall(module))
    return _DECLARED.sub("", module) + wordcode.definitions(called) + _entry(symbol, result.fndesc.llvm_func_name)
