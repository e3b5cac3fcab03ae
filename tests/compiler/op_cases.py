"""The examples of the op table as arrays: "f64[2,3] in (0, 1)" becomes numbers, the same ones each time."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphjit.compiler.graph import Graph
from graphjit.compiler.op import Example, Op
from graphjit.compiler.tensortype import BY_SHORT_NAME

Array = np.ndarray[Any, Any]
_TEXT = re.compile(r"(\w+)\[([\d,]*)\](?: in \(([^,]+), ([^)]+)\))?")
_SWEPT = {"f": ("f64", "f32", "f16"), "i": ("i32", "i64", "i8"), "u": ("u8", "u32", "u64"), "b": ("bool",)}


@dataclass(frozen=True)
class Case:
    """One op with arrays to run it on."""

    op: Op
    name: str
    arrays: tuple[Array, ...]
    attributes: Mapping[str, Any]
    differentiable: bool

    def __repr__(self) -> str:
        return self.name


def parse_array(text: str, domain: tuple[float, float], generator: np.random.Generator) -> Array:
    """Numbers of the dtype, shape and range that a text names."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"an example's operand is written like 'f64[2,3] in (0, 1)', not {text!r}")
    dtype = BY_SHORT_NAME[match[1]].numpy
    shape = tuple(int(size) for size in match[2].split(",") if size)
    low, high = domain if match[3] is None else (float(match[3]), float(match[4]))
    return _drawn(dtype, shape, low, high, generator)


def _drawn(dtype: Any, shape: tuple[int, ...], low: float, high: float, generator: np.random.Generator) -> Array:
    if dtype.kind == "b":
        return generator.random(shape) < 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        least, most = max(np.ceil(low), limits.min), min(np.floor(high), limits.max)
        if dtype.kind == "u" and least == 0:
            least = 1  # many families' ranges exclude zero by starting above it
        return generator.integers(int(least), int(max(most, least)), shape, endpoint=True).astype(dtype)
    numbers = generator.uniform(low, high, shape)
    if dtype.kind == "c":
        numbers = numbers + 1j * generator.uniform(low, high, shape)
    return np.asarray(numbers, dtype)


def materialise(op: Op, example: Example, short: str, seed: int) -> tuple[Array, ...]:
    """The operands of an example, with the dtype `short` where its texts say f64."""
    generator = np.random.default_rng(seed)
    found: list[Any] = []
    for one in example.operands:
        text = one.replace("f64", short) if isinstance(one, str) else one
        found.append(parse_array(text, op.domain, generator) if isinstance(text, str) else text)
    dtypes = [one.dtype for one in found if isinstance(one, np.ndarray)]
    return tuple(
        np.asarray(one, dtypes[0] if dtypes and isinstance(one, int | float) else None, order="C") for one in found
    )


def _swept(op: Op, example: Example, number: int) -> tuple[str, ...]:
    """The dtypes that an example runs over, where its texts say f64: the first example over all of the op's kinds."""
    texts = any(isinstance(one, str) and "f64" in one for one in example.operands)
    fixed = any(isinstance(one, np.ndarray) and one.dtype == np.float64 for one in example.operands)
    if not texts or fixed or any(isinstance(one, Graph) for one in example.attributes.values()):
        return ("as_it_is",)
    if number > 0:
        return ("f64", "f32") if "f" in op.dtypes else ("f64",)
    return tuple(short for kind in op.dtypes for short in _SWEPT.get(kind, ())) or ("f64",)


def cases_of(op: Op) -> Iterator[Case]:
    """Every example of an op in every dtype of its kinds."""
    for number, example in enumerate(op.examples):
        for short in _swept(op, example, number):
            name = f"{op.name}-{number}-{short}"
            arrays = materialise(op, example, "f64" if short == "as_it_is" else short, zlib.crc32(name.encode()))
            yield Case(op, name, arrays, example.attributes, example.differentiable)
