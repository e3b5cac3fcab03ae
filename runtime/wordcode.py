"""The LLVM functions behind the words of kernels: one for each word, dtype and conversion that a kernel uses.

Every way to compile a kernel's text calls these and links them in; LLVM then inlines
them. Their bodies stand in `kernel_language` and are written by `vmath`. Knows nothing
of kernels' texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from graphjit.runtime import kernel_language as language, vmath
from graphjit.runtime.errors import KernelError

PREFIX: Final = "graphjit."
_NAME: Final = re.compile(r'@"?([\w.]+)"?\(')
_CALLED: Final = re.compile(r"(?:call|call contract) (\S+) @([\w.]+)\((.*)\)")


def word_function(name: str, dtype: str) -> str:
    """The LLVM function of a word, or of a function of `vmath`, whose operands are of this dtype."""
    return f"{PREFIX}{name}.{dtype}"


def conversion_function(source: str, target: str) -> str:
    """The LLVM function that takes a value from one dtype to another."""
    return f"{PREFIX}{target}.from.{source}"


def definitions(names: Iterable[str]) -> str:
    """LLVM IR that defines these functions, and declares what they call."""
    declared: dict[str, str] = {}
    defined: list[str] = []
    for name in sorted(names):
        declarations, definition = _code(name)
        declared.update({_NAME.findall(line)[0]: line for line in declarations})
        defined.append(definition)
    return "".join([*declared.values(), *defined])


@lru_cache(maxsize=1024)
def _code(name: str) -> tuple[list[str], str]:
    """The lines that declare what the function calls, and its definition."""
    word, *rest = name.removeprefix(PREFIX).split(".")
    if word in vmath.NAMES:
        return _vector_math(name, word, rest[0])
    if rest[0] == "from":
        result, passed, body = _conversion(rest[1], word)
    else:
        result, passed, body = _word(word, rest[0])
    return list(_declarations(body)), _function(name, result, passed, body)


def _function(name: str, result: str, passed: str, body: str) -> str:
    return f'define internal {result} @"{name}"({passed}) alwaysinline nounwind {{\n{body}}}\n'


def _conversion(source: str, target: str) -> tuple[str, str, str]:
    body = language.conversion_body(source, target)
    return language.LLVM_TYPES[target], f"{language.LLVM_TYPES[source]} %a", body


def _word(name: str, dtype: str) -> tuple[str, str, str]:
    word = language.WORDS[name]
    body = word.body_for(dtype)
    if body is None:
        raise KernelError(f"{name} has no native meaning for {dtype}")
    kind = language.LLVM_TYPES[dtype]
    letters = "abc"[: word.operands]
    passed = ", ".join(f"{'i1' if word.condition and letter == 'a' else kind} %{letter}" for letter in letters)
    width = language.bits_of(dtype)
    suffix = f"{'f' if language.kind_of(dtype) == 'float' else 'i'}{width}"
    return language.LLVM_TYPES[word.result_for(dtype)], passed, body.format(T=kind, S=suffix, bits=width)


def _declarations(body: str) -> Iterable[str]:
    """`declare` lines for what a body calls."""
    for result, name, passed in _CALLED.findall(body):
        kinds = ", ".join(operand.split()[0] for operand in passed.split(", "))
        yield f"declare {result} @{name}({kinds})\n"


def _vector_math(name: str, function: str, dtype: str) -> tuple[list[str], str]:
    declared, _, defined = vmath.function_text(name, function, dtype).partition("define ")
    return [line + "\n" for line in declared.splitlines() if line], f"define {defined}"
