"""How arguments and results are nested, in JSON, and back without the classes that they were instances of.

    STRUCTURE = "*" (a leaf) | {"tuple": [STRUCTURE]} | {"list": [...]} | {"dict": [[VALUE, STRUCTURE]]}
              | {"ordered": [[VALUE, STRUCTURE]]} | {"slice": [3]} | {"named": [NAME, [FIELD, STRUCTURE] ...]}
              | {"fields": [NAME, [FIELD, STRUCTURE] ...]} | {"ragged": [2]} | {"sparse": [SHAPE, [3]]}

A named tuple ("named") and a dataclass or attrs class ("fields") come back as classes of the same name and fields;
arguments of the user's own class are taken for them.
"""

from __future__ import annotations

import keyword
from collections import OrderedDict, namedtuple
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import make_dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from graphjit.runtime.errors import FormatError, InvalidArgumentError

from ..structure import field_names, flatten, is_named_tuple, unflatten
from .documents import of_kind, tagged
from .values import decode_shape, decode_value, encode_value

RecordKey = tuple[str, str, tuple[str, ...]]
"""What tells classes with fields apart: "named" or "fields", the class's name, the fields."""

_MOST_DEPTH = 64
_MOST_FIELDS = 1000


# --- writing


def encode_structure(structure: Any) -> Any:
    """A structure as what JSON knows.

    Raises:
      InvalidArgumentError: if it holds an instance of a class that only the user's code knows.
    """
    if structure.is_leaf():
        return "*"
    kind = structure.type
    parts = [encode_structure(one) for one in structure.children()]
    if kind in (tuple, list, slice):
        return {kind.__name__: parts}
    if kind in (dict, OrderedDict):
        by_name = dict(zip(structure.entries(), parts, strict=True))
        names = unflatten(structure, [None] * structure.num_leaves)  # in the order in which they were put in
        return {"dict" if kind is dict else "ordered": [[encode_value(name), by_name[name]] for name in names]}
    if kind.__name__ in _LIBRARY and kind is _library_class(kind.__name__):
        return _encoded_library_part(structure, kind.__name__, parts)
    key = _record_key(kind)
    if key is None or len(key[2]) != len(parts) or _has_more(structure, kind):
        raise InvalidArgumentError(
            f"a {kind.__qualname__} among arguments or results cannot be saved; lists, tuples, dicts, named tuples, "
            "slices and dataclasses can"
        )
    return {key[0]: [key[1], *([name, part] for name, part in zip(key[2], parts, strict=True))]}


_LIBRARY = {
    "RaggedTensor": ("graphjit.tracer.ragged.raggedtensor", "ragged", 2),
    "SparseTensor": ("graphjit.tracer.sparse.sparsetensor", "sparse", 3),
}
"""Our own classes with tensors in them: where they are, how they are called in a file, how many parts they have."""


def _library_class(name: str) -> Any:
    return getattr(import_module(_LIBRARY[name][0]), name)


def _encoded_library_part(structure: Any, name: str, parts: list[Any]) -> Any:
    if name == "RaggedTensor":
        return {"ragged": parts}
    static = unflatten(structure, [_Leaf()] * structure.num_leaves).static_shape
    return {"sparse": [None if static is None else list(static), parts]}


def _record_key(kind: type) -> RecordKey | None:
    """What tells a class with fields apart; None for other classes."""
    if is_named_tuple(kind):
        return "named", kind.__name__, tuple(kind._fields)  # type: ignore[attr-defined]  # named tuples have it
    names = field_names(kind)
    return None if names is None else ("fields", kind.__name__, names)


def _has_more(structure: Any, kind: type) -> bool:
    """Whether an instance has attributes beside its fields."""
    sample = unflatten(structure, [None] * structure.num_leaves)
    names = field_names(kind)
    return names is not None and bool(set(getattr(sample, "__dict__", ())) - set(names))


# --- reading


def decode_structure(found: Any) -> Any:
    """The structure that `encode_structure` wrote.

    Raises:
      FormatError: if it wrote no such thing.
    """
    return flatten(_sample(found, 0))[1]


class _Leaf:
    """Stands at the leaves."""


def _sample(found: Any, depth: int) -> Any:
    """Something that is nested in this way."""
    if found == "*":
        return _Leaf()
    if depth >= _MOST_DEPTH:
        raise FormatError(f"arguments and results are nested at most {_MOST_DEPTH} deep")
    kind, inner = tagged(found)
    items = of_kind(inner, list, "a structure")
    if kind in ("tuple", "list", "slice"):
        parts = [_sample(one, depth + 1) for one in items]
        return _put_together(kind, parts)
    if kind in ("dict", "ordered"):
        return _sample_of_dict(kind, items, depth)
    if kind in ("named", "fields") and items:
        return _sample_of_record(kind, items, depth)
    if kind in ("ragged", "sparse"):
        return _sample_of_library(kind, items, depth)
    raise FormatError(f"{kind!r} is no kind of structure")


def _put_together(kind: str, parts: list[Any]) -> Any:
    if kind != "slice":
        return tuple(parts) if kind == "tuple" else parts
    if len(parts) != 3:
        raise FormatError("a slice has three parts")
    return slice(*parts)


def _pairs(items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    for item in items:
        if type(item) is not list or len(item) != 2:
            raise FormatError("pairs of a name and a structure must stand here")
        yield item[0], item[1]


def _sample_of_dict(kind: str, items: Sequence[Any], depth: int) -> Any:
    pairs = [(decode_value(name), _sample(part, depth + 1)) for name, part in _pairs(items)]
    try:
        made = OrderedDict(pairs) if kind == "ordered" else dict(pairs)
    except TypeError:
        raise FormatError("the keys of a dict are hashable") from None
    if len(made) != len(pairs):
        raise FormatError("a key of a dict is given twice")
    return made


def _sample_of_library(kind: str, items: Sequence[Any], depth: int) -> Any:
    (name,) = (name for name, facts in _LIBRARY.items() if facts[1] == kind)
    if kind == "sparse":
        static, items = next(_pairs([items]))
        shape = None if static is None else tuple(decode_shape(static))
    parts = [_sample(one, depth + 1) for one in of_kind(items, list, "the parts")]
    if len(parts) != _LIBRARY[name][2]:
        raise FormatError(f"a {kind} tensor has {_LIBRARY[name][2]} parts, not {len(parts)}")
    if kind == "ragged":
        return _library_class(name)(*parts)
    return _library_class(name).of_parts(*parts, shape)


def _sample_of_record(kind: str, items: Sequence[Any], depth: int) -> Any:
    pairs = list(_pairs(items[1:]))
    names = tuple(of_kind(name, str, "a field") for name, _ in pairs)
    cls = record_class((kind, of_kind(items[0], str, "a class's name"), names))
    return cls(*(_sample(part, depth + 1) for _, part in pairs))


def record_class(key: RecordKey) -> Any:
    """A class of this name with these fields.

    Raises:
      FormatError: if name or fields are no identifiers, or a field stands there twice.
    """
    _, name, fields = key
    words = (name, *fields)
    if len(fields) > _MOST_FIELDS or len(set(fields)) != len(fields) or not all(map(_is_plain_name, words)):
        raise FormatError(f"{', '.join(words)[:100]} are no names of a class and its fields")
    return _made_class(key)


def _is_plain_name(word: str) -> bool:
    return word.isascii() and word.isidentifier() and not keyword.iskeyword(word) and not word.startswith("_")


@lru_cache(maxsize=1024)
def _made_class(key: RecordKey) -> Any:
    kind, name, fields = key
    if kind == "named":
        return namedtuple(name, fields)
    return make_dataclass(name, [(field, Any) for field in fields])


# --- arguments of the user's classes


def record_classes(structure: Any) -> dict[RecordKey, Any]:
    """The classes with fields in a structure."""
    found: dict[RecordKey, Any] = {}
    if not structure.is_leaf():
        key = None if structure.type is None else _record_key(structure.type)
        if key is not None:
            found[key] = structure.type
        for one in structure.children():
            found.update(record_classes(one))
    return found


def as_known(value: Any, known: Mapping[RecordKey, Any]) -> Any:
    """A nested value with instances of the known classes for those of other classes of the same name and fields."""
    kind = type(value)
    if kind in (tuple, list):
        return kind(as_known(one, known) for one in value)
    if kind in (dict, OrderedDict):
        return kind((name, as_known(one, known)) for name, one in value.items())
    key = _record_key(kind)
    if key is None or key not in known:
        return value
    return known[key](*(as_known(getattr(value, name), known) for name in key[2]))


__all__: list[str] = []
