"""Kernel text to LLVM IR, directly: one walk over the text's syntax tree.

The text says every type, so nothing is inferred: a name is a value of a known dtype from
its assignment to the end of its block, a loop or a branch joins what it changes (a phi),
a word is a call of its function, which LLVM inlines. Whatever is not in the language is
a KernelError that names the line. `numbatranslation` gives the same texts the same meaning.
"""

from __future__ import annotations

import ast
from typing import Final

from graphjit.runtime import wordcode
from graphjit.runtime.errors import KernelError
from graphjit.runtime.expressions import Expressions, Known, Pointer, Value
from graphjit.runtime.irwriting import INVARIANT, IRWriter

_ARGUMENTS: Final = ["addresses", "block", "lo", "hi"]


def kernel_text_to_ir(text: str, symbol: str) -> str:
    """The LLVM IR of a kernel: a C function named `symbol`, and the functions behind its words.

    Raises KernelError, which holds the text, if the text is not in the kernel language.

    >>> print(kernel_text_to_ir("def kernel(addresses, block, lo, hi):\\n    return 0\\n", "nothing"))
    define i64 @nothing(ptr %addresses, ptr %block, i64 %lo, i64 %hi) nounwind {
    entry:
      ret i64 0
    }
    !0 = !{!"graphjit"}
    !1 = !{}
    <BLANKLINE>
    """
    try:
        return _Translator(_parsed(text)).run(symbol)
    except (KernelError, SyntaxError, RecursionError) as error:
        raise KernelError(f"a kernel could not be compiled: {error}\n\n{text}") from error


def _parsed(text: str) -> ast.FunctionDef:
    """The kernel's definition."""
    match ast.parse(text).body:
        case [ast.FunctionDef(name="kernel", decorator_list=[]) as kernel] if _is_plain(kernel.args):
            return kernel
        case _:
            raise KernelError(f"a text must hold one function, kernel({', '.join(_ARGUMENTS)}), and nothing else")


def _is_plain(arguments: ast.arguments) -> bool:
    return ast.unparse(arguments) == ", ".join(_ARGUMENTS)


def _scopes_of(kernel: ast.FunctionDef) -> set[int]:
    """The alias scopes that a kernel names; what is no literal is an error when its call is reached."""
    return {
        node.args[2].value
        for node in ast.walk(kernel)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id.endswith("_at")
        and len(node.args) == 3
        and isinstance(node.args[2], ast.Constant)
        and isinstance(node.args[2].value, int)
    }


def _assigned(statements: list[ast.stmt]) -> set[str]:
    """The names that statements assign, those inside of loops and branches included."""
    return {
        node.id
        for statement in statements
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


class _Translator:
    """Writes the statements of one kernel."""

    def __init__(self, kernel: ast.FunctionDef) -> None:
        self._kernel = kernel
        self._ir = IRWriter(sorted(_scopes_of(kernel)))
        self._known: dict[str, Known] = {
            "addresses": Pointer("uint64", "%addresses", INVARIANT),
            "block": Pointer("uint64", "%block", INVARIANT),
            "lo": Value("uint64", "%lo"),
            "hi": Value("uint64", "%hi"),
        }
        self._expressions = Expressions(self._ir, self._known)

    def run(self, symbol: str) -> str:
        """The whole function, with what it needs."""
        self._ir.start("entry")
        if not self._run_block(self._kernel.body):
            raise KernelError("a kernel must end with a return")
        arguments = "ptr %addresses, ptr %block, i64 %lo, i64 %hi"
        function = f"define i64 @{symbol}({arguments}) nounwind {{\n{self._ir.body()}}}\n"
        return wordcode.definitions(self._expressions.called) + function + self._ir.metadata()

    # --- statements ---------------------------------------------------------------------------

    def _run_block(self, statements: list[ast.stmt]) -> bool:
        """Write statements in turn; whether they end with a return."""
        for number, statement in enumerate(statements):
            if self._run_statement(statement):
                if statements[number + 1 :]:
                    raise KernelError(f"line {statements[number + 1].lineno} stands behind a return")
                return True
        return False

    def _run_statement(self, statement: ast.stmt) -> bool:
        try:
            return self._write_statement(statement)
        except KernelError as error:
            if str(error).startswith("line "):
                raise
            line = ast.unparse(statement).splitlines()[0]
            raise KernelError(f"line {statement.lineno}, {line!r}: {error}") from error

    def _write_statement(self, statement: ast.stmt) -> bool:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._assign(name, value)
            case ast.Assign(targets=[ast.Subscript() as target], value=value):
                self._expressions.store(target, value)
            case ast.For(target=ast.Name(id=name), body=body, orelse=[]):
                self._loop(name, statement.iter, body)
            case ast.While(test=test, body=body, orelse=[]):
                self._while(test, body)
            case ast.If(test=test, body=body, orelse=orelse):
                return self._branch(test, body, orelse)
            case ast.Return(value=ast.Constant(value=int(code))) if type(code) is int:
                self._ir.write(f"ret i64 {code}")
                return True
            case _:
                raise KernelError("no such statement is in the kernel language")
        return False

    def _assign(self, name: str, expression: ast.expr) -> None:
        self._ir.name = name
        value = self._expressions.known(expression)
        before = self._known.get(name)
        if before is not None and (type(before), before.dtype) != (type(value), value.dtype):
            raise KernelError(f"{name} is {before.dtype}, and cannot become {value.dtype}")
        if isinstance(before, Pointer):
            raise KernelError(f"{name} is a pointer, and stays what it is")
        self._known[name] = value

    # --- loops --------------------------------------------------------------------------------

    def _loop(self, counter: str, iterated: ast.expr, body: list[ast.stmt]) -> None:
        start, stop = self._bounds(iterated)
        before, entry = dict(self._known), self._ir.block
        head, inside, behind = self._ir.labels("loop", "body", "done")
        self._ir.write(f"br label %{head}")
        self._ir.start(head)
        joins = self._ir.place()
        carried = self._carried(body)
        self._ir.name = counter
        index = self._ir.fresh()
        more = self._ir.emit(f"icmp ult i64 {index}, {stop}")
        self._ir.write(f"br i1 {more}, label %{inside}, label %{behind}")
        self._ir.start(inside)
        self._known[counter] = Value("uint64", index)
        if self._run_block(body):
            raise KernelError("a loop's body must not always return")
        self._ir.name = counter
        following = self._ir.emit(f"add nuw i64 {index}, 1")
        phis = [f"{index} = phi i64 [ {start}, %{entry} ], [ {following}, %{self._ir.block} ]"]
        phis += [self._phi(value, entry, before[name], self._known[name]) for name, value in carried.items()]
        self._ir.insert(joins, phis)
        self._ir.write(f"br label %{head}")
        self._ir.start(behind)
        self._forget_all_but({**before, **carried}, without=counter)

    def _while(self, test: ast.expr, body: list[ast.stmt]) -> None:
        before, entry = dict(self._known), self._ir.block
        head, inside, behind = self._ir.labels("loop", "body", "done")
        self._ir.write(f"br label %{head}")
        self._ir.start(head)
        joins = self._ir.place()
        carried = self._carried(body)
        condition = self._expressions.condition(test)
        self._ir.write(f"br i1 {condition}, label %{inside}, label %{behind}")
        self._ir.start(inside)
        if self._run_block(body):
            raise KernelError("a loop's body must not always return")
        self._ir.insert(
            joins, [self._phi(one, entry, before[name], self._known[name]) for name, one in carried.items()]
        )
        self._ir.write(f"br label %{head}")
        self._ir.start(behind)
        self._forget_all_but({**before, **carried})

    def _bounds(self, iterated: ast.expr) -> tuple[str, str]:
        match iterated:
            case ast.Call(func=ast.Name(id="range"), args=[stop], keywords=[]):
                return "0", self._expressions.index(stop)
            case ast.Call(func=ast.Name(id="range"), args=[start, stop], keywords=[]):
                return self._expressions.index(start), self._expressions.index(stop)
            case _:
                raise KernelError("a loop runs over range(stop) or range(start, stop)")

    def _carried(self, body: list[ast.stmt]) -> dict[str, Value]:
        """The names that one round of a loop hands to the next, with the values that they have in its head."""
        carried: dict[str, Value] = {}
        for name in sorted(_assigned(body) & self._known.keys()):
            value = self._known[name]
            if isinstance(value, Value):
                self._ir.name = name
                carried[name] = Value(value.dtype, self._ir.fresh())
        self._known.update(carried)
        return carried

    def _phi(self, result: Value, entry: str, first: Known, later: Known) -> str:
        return f"{result.code} = phi {result.llvm_type} [ {first.code}, %{entry} ], [ {later.code}, %{self._ir.block} ]"

    def _forget_all_but(self, kept: dict[str, Known], without: str = "") -> None:
        """What a block defined is unknown behind it, and so is a loop's counter."""
        self._known.clear()
        self._known.update(kept)
        self._known.pop(without, None)

    # --- branches -----------------------------------------------------------------------------

    def _branch(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> bool:
        """Write both branches; whether both of them return."""
        self._ir.name = "test"
        condition = self._expressions.condition(test)
        yes, no, behind = self._ir.labels("then", "else", "done")
        self._ir.write(f"br i1 {condition}, label %{yes}, label %{no}")
        before = dict(self._known)
        ends = [
            end
            for label, statements in ((yes, body), (no, orelse))
            if (end := self._arm(label, statements, behind, before)) is not None
        ]
        if not ends:
            return True
        self._ir.start(behind)
        self._forget_all_but({name: self._joined(name, ends) for name in before})
        return False

    def _arm(
        self, label: str, statements: list[ast.stmt], behind: str, before: dict[str, Known]
    ) -> tuple[str, dict[str, Known]] | None:
        """Write one branch; its last block and what is known there, or None if it returns."""
        self._forget_all_but(before)
        self._ir.start(label)
        if self._run_block(statements):
            return None
        self._ir.write(f"br label %{behind}")
        return self._ir.block, dict(self._known)

    def _joined(self, name: str, ends: list[tuple[str, dict[str, Known]]]) -> Known:
        """What a name is behind branches that end here."""
        values = [known[name] for _block, known in ends]
        first = values[0]
        if isinstance(first, Pointer) or len({value.code for value in values}) == 1:
            return first
        self._ir.name = name
        incoming = ", ".join(f"[ {known[name].code}, %{block} ]" for block, known in ends)
        return Value(first.dtype, self._ir.emit(f"phi {first.llvm_type} {incoming}"))
