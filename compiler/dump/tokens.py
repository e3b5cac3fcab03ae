"""The words of the text form, one ahead, each with its place in the text; knows no graphs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn, TypeVar

from graphjit.runtime.errors import FormatError

_MAXIMUM_DEPTH = 64
_MAXIMUM_DIGITS = 400

_TOKEN = re.compile(
    r"""
      (?P<skip>[ \t\r\n;]+|\#[^\n]*)
    | (?P<value>%[\w.]+)
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<number>-?(?:0x[0-9a-fA-F]+|(?:[0-9]+\.[0-9]*|[0-9]+)(?:[eE][+-]?[0-9]+)?|inf\b|nan\b))
    | (?P<word>[^\W\d]\w*)
    | (?P<sign>\.\.\.|[(){}\[\]<>:=,?])
    """,
    re.VERBOSE,
)

T = TypeVar("T")


class Token(NamedTuple):
    """One word: its kind, its text, and where it begins."""

    kind: str
    text: str
    offset: int


class Tokens:
    """A text's tokens; `current` is the next one that is not taken yet.

    `splat_bytes` is how many bytes an array may have that is given by one element.
    """

    def __init__(self, text: str, splat_bytes: int) -> None:
        self.splat_bytes = splat_bytes
        self._text = text
        self._stream = _scan(text)
        self._held: Token | None = None
        self._depth = 0
        self.current = next(self._stream)

    def fail(self, message: str, at: Token | None = None) -> NoReturn:
        """Refuse the text at a token, by default the current one."""
        raise _error(self._text, (at or self.current).offset, message)

    def take(self) -> Token:
        """The current token, whatever it is."""
        token = self.current
        if self._held is not None:
            self.current, self._held = self._held, None
        elif token.kind != "end":
            self.current = next(self._stream)
        return token

    def take_kind(self, kind: str, what: str) -> Token:
        """The current token, which must be of a kind; `what` says so in words."""
        if self.current.kind != kind:
            self.fail(f"{what} was expected, but {self.current.text!r} came")
        token = self.take()
        if kind == "number" and len(token.text) > _MAXIMUM_DIGITS:
            self.fail(f"a number has at most {_MAXIMUM_DIGITS} characters", token)
        return token

    def give_back(self, token: Token) -> None:
        """Make a token that was just taken the current one again."""
        self._held = self.current
        self.current = token

    def at(self, sign: str) -> bool:
        """Whether the current token is this sign or word."""
        return self.current.text == sign and self.current.kind in ("sign", "word")

    def accept(self, sign: str) -> bool:
        """Take the current token if it is this sign or word; whether it was."""
        found = self.at(sign)
        if found:
            self.take()
        return found

    def expect(self, sign: str) -> None:
        """Take this sign or word, which must come."""
        if not self.accept(sign):
            self.fail(f"{sign!r} was expected, but {self.current.text!r} came")

    def sequence(self, item: Callable[[], T], end: str) -> list[T]:
        """Items between commas up to the sign `end`, which is taken."""
        items: list[T] = []
        while not self.accept(end):
            items.append(item())
            if not self.accept(","):
                self.expect(end)
                break
        return items

    def deeper(self, parse: Callable[[], T]) -> T:
        """What `parse` returns, one level deeper; the depth is bounded."""
        if self._depth >= _MAXIMUM_DEPTH:
            self.fail(f"graphs and tuples may be nested {_MAXIMUM_DEPTH} deep")
        self._depth += 1
        result = parse()
        self._depth -= 1
        return result


def _scan(text: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _error(text, position, f"{text[position]!r} does not belong here")
        if match.lastgroup != "skip":
            yield Token(str(match.lastgroup), match.group(), position)
        position = match.end()
    yield Token("end", "the end of the text", len(text))


def _error(text: str, offset: int, message: str) -> FormatError:
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    return FormatError(f"line {line}, column {column}: {message}")
