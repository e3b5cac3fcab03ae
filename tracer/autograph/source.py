"""Finding the syntax tree of a Python function: a `def` by its lines, a lambda by the positions of its instructions.

The nodes keep the places that they have in the user's file, so that code made from them points there.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Iterator
from types import CodeType, FunctionType

Span = tuple[int, int, int, int]
"""First line and column, last line and column."""


class SourceMissingError(Exception):
    """There is no source that belongs to a function; the message says why."""


def tree_of(function: FunctionType) -> ast.FunctionDef | ast.Lambda:
    """The syntax tree of a function, with the line numbers of its file.

    Raises:
      SourceMissingError: if the source is not there, or is not what the function was made from.
    """
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        raise _missing(code)
    tree = _lambda_tree(code, lines) if code.co_name == "<lambda>" else _def_tree(code, lines)
    if [one.arg for one in _all_arguments(tree.args)] != list(code.co_varnames[: _argument_count(code)]):
        raise _changed(code)
    return tree


def _missing(code: CodeType) -> SourceMissingError:
    return SourceMissingError(
        f"its source is not there ({code.co_filename}): it was typed at a prompt, or made by exec"
    )


def _changed(code: CodeType) -> SourceMissingError:
    if code.co_filename.startswith("<"):  # no file: since Python 3.13 this may be the name of another text, of `-c`
        return _missing(code)
    return SourceMissingError(f"{code.co_filename} does not hold its source any more: the file was changed")


def _argument_count(code: CodeType) -> int:
    stars = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return code.co_argcount + code.co_kwonlyargcount + stars


def _all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    """The parameters in the order in which code objects hold their names."""
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return found + [one for one in (arguments.vararg, arguments.kwarg) if one is not None]


# --- def ------------------------------------------------------------------------------------------


def _def_tree(code: CodeType, lines: list[str]) -> ast.FunctionDef:
    """Parse as many lines as the function has, and no more: files can be long."""
    first = code.co_firstlineno
    if first > len(lines):
        raise _changed(code)
    for end in _ends(lines, first):
        tree = _parsed("".join(lines[first - 1 : end]), first)
        if tree is not None and len(tree) == 1:
            found = tree[0]
            if isinstance(found, ast.FunctionDef) and found.name == code.co_name:
                return found
            break
    raise _changed(code)


def _parsed(text: str, first: int) -> list[ast.stmt] | None:
    """The statements of a text that may be indented as a whole; None if it does not end where a statement does."""
    indented = text[:1] in (" ", "\t")
    try:
        tree = ast.parse(f"if 1:\n{text}" if indented else text)
    except SyntaxError:
        return None
    ast.increment_lineno(tree, first - (2 if indented else 1))
    return tree.body[0].body if indented else tree.body  # type: ignore[attr-defined]  # an `if` was put around


def _ends(lines: list[str], first: int) -> Iterator[int]:
    """Numbers of lines where the block that begins at `first` can end, nearest first."""
    indentation = _indentation(lines[first - 1])
    for number in range(first, len(lines)):
        line = lines[number]
        if line.strip() and not line.lstrip().startswith("#") and _indentation(line) <= indentation:
            yield number
    yield len(lines)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


# --- lambda ---------------------------------------------------------------------------------------


_files: dict[str, tuple[list[str], ast.Module]] = {}


def _lambda_tree(code: CodeType, lines: list[str]) -> ast.Lambda:
    candidates = [
        node
        for node in ast.walk(_file_tree(code, lines))
        if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno
    ]
    if len(candidates) > 1:
        candidates = [node for node in candidates if _holds(_span(node.body), code)]
    if not candidates:
        raise _changed(code)
    # Of lambdas inside of each other the smallest that holds all instructions is the one.
    return min(candidates, key=lambda node: _size(_span(node.body)))


def _file_tree(code: CodeType, lines: list[str]) -> ast.Module:
    known = _files.get(code.co_filename)
    if known is not None and known[0] is lines:
        return known[1]
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        raise _changed(code) from None
    _files[code.co_filename] = lines, tree
    return tree


def _span(node: ast.expr) -> Span:
    return node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset


def _size(span: Span) -> tuple[int, int]:
    return span[2] - span[0], span[3] - span[1]


def _holds(span: Span, code: CodeType) -> bool:
    """Whether all instructions of the code stand inside of the span."""
    for line, end_line, column, end_column in code.co_positions():
        if line is None or end_line is None or column is None or end_column is None:
            continue
        if (column, end_column) == (0, 0):
            continue  # where the function begins: no place of its own
        if (line, column) < span[:2] or (end_line, end_column) > span[2:]:
            return False
    return True


__all__: list[str] = []
