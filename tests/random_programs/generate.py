"""A Hypothesis strategy for small programs over tensors, and the machine that runs them.

A program is a list of instructions over numbered values. Each instruction is drawn so that
shapes and dtypes fit, so a program always means something; `as_python` shows it as code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import graphjit as gj

FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Value:
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Instruction:
    text: str  # a Python expression over v0, v1, ...
    result: Value


@dataclass(frozen=True)
class Program:
    inputs: tuple[Value, ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[int, ...]
    seed: int

    def as_python(self) -> str:
        """The program as the source of a function `program(v0, v1, ...)`."""
        names = ", ".join(f"v{number}" for number in range(len(self.inputs)))
        lines = [f"def program({names}):"]
        for number, instruction in enumerate(self.instructions, len(self.inputs)):
            lines.append(f"    v{number} = {instruction.text}")
        lines.append("    return " + ", ".join(f"v{number}" for number in self.outputs) + ",")
        return "\n".join(lines)

    def function(self) -> Callable[..., Any]:
        """The program as a Python function of tensors."""
        scope: dict[str, Any] = {"gj": gj, "np": np}
        exec(compile(self.as_python(), f"<program {self.seed}>", "exec"), scope)
        function: Callable[..., Any] = scope["program"]
        return function

    def computes_in(self, dtype: str) -> bool:
        """Whether a value has this dtype."""
        return any(value.dtype == dtype for value in (*self.inputs, *(one.result for one in self.instructions)))

    def arrays(self) -> list[np.ndarray[Any, Any]]:
        """Inputs with a few special numbers among them."""
        rng = np.random.default_rng(self.seed)
        return [_array(rng, value) for value in self.inputs]

    def __repr__(self) -> str:
        inputs = ", ".join(f"{value.dtype}{list(value.shape)}" for value in self.inputs)
        return f"seed {self.seed}, inputs {inputs}\n{self.as_python()}"


def _array(rng: np.random.Generator, value: Value) -> np.ndarray[Any, Any]:
    if value.dtype == "bool":
        return rng.random(value.shape) < 0.5
    if value.dtype.startswith("int"):
        return rng.integers(-9, 10, value.shape).astype(value.dtype)
    numbers = rng.uniform(-3, 3, value.shape)
    return np.asarray(np.where(rng.random(value.shape) < 0.05, 0.0, numbers)).astype(value.dtype)


# Functions that are smooth and bounded enough that rounding differences stay small.
UNARY_FLOAT = (
    "negative", "abs", "square", "tanh", "sigmoid", "sin", "cos", "exp2", "relu", "sign", "floor",
    "softplus", "expm1",
)  # fmt: skip
BINARY_FLOAT = ("add", "subtract", "multiply", "maximum", "minimum", "squared_difference")
BINARY_INT = ("add", "subtract", "multiply", "maximum", "minimum", "bitwise_and", "bitwise_xor")
COMPARE = ("less", "greater_equal", "equal", "not_equal")
REDUCE_FLOAT = ("reduce_sum", "reduce_max", "reduce_min", "reduce_mean")
REDUCE_INT = ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod")


class _Builder:
    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self.draw = draw
        self.values: list[Value] = []
        self.instructions: list[Instruction] = []

    def pick(self, accept: Callable[[Value], bool]) -> int | None:
        """The number of a value that fits, recent ones more often."""
        fitting = [number for number, value in enumerate(self.values) if accept(value)]
        if not fitting:
            return None
        return int(self.draw(st.sampled_from(fitting[::-1])))

    def add(self, text: str, dtype: str, shape: Sequence[int]) -> bool:
        value = Value(dtype, tuple(int(size) for size in shape))
        if np.prod(value.shape, dtype=float) > 5000:
            return False
        self.instructions.append(Instruction(text, value))
        self.values.append(value)
        return True

    # Each of these adds one instruction, or none where nothing fits.

    def unary(self) -> None:
        number = self.pick(lambda value: value.dtype in FLOATS)
        if number is not None:
            value = self.values[number]
            name = self.draw(st.sampled_from(UNARY_FLOAT))
            where = "gj.nn." if name in ("relu", "softplus") else "gj."
            self.add(f"{where}{name}(v{number})", value.dtype, value.shape)

    def binary(self) -> None:
        first = self.pick(lambda value: value.dtype != "bool")
        if first is None:
            return
        a = self.values[first]
        second = self.pick(lambda value: value.dtype == a.dtype and _broadcast(a.shape, value.shape) is not None)
        if second is None:
            return
        b = self.values[second]
        shape = _broadcast(a.shape, b.shape)
        assert shape is not None
        if self.draw(st.booleans()):
            first, second = second, first
        if self.draw(st.integers(0, 4)) == 0:
            self.add(f"gj.{self.draw(st.sampled_from(COMPARE))}(v{first}, v{second})", "bool", shape)
            return
        names = BINARY_FLOAT if a.dtype in FLOATS else BINARY_INT
        where = "gj.bitwise." if "bitwise" in (name := self.draw(st.sampled_from(names))) else "gj."
        self.add(f"{where}{name}(v{first}, v{second})", a.dtype, shape)

    def with_number(self) -> None:
        number = self.pick(lambda value: value.dtype in FLOATS)
        if number is not None:
            value = self.values[number]
            literal = self.draw(st.sampled_from(("1.0", "0.5", "-2.0", "0.1", "3.0")))
            operator = self.draw(st.sampled_from(("+", "-", "*", "/")))
            text = f"v{number} {operator} {literal}" if self.draw(st.booleans()) else f"{literal} + v{number}"
            self.add(text, value.dtype, value.shape)

    def select(self) -> None:
        condition = self.pick(lambda value: value.dtype == "bool")
        first = self.pick(lambda value: value.dtype != "bool")
        if condition is None or first is None:
            return
        a, c = self.values[first], self.values[condition]
        second = self.pick(lambda value: value.dtype == a.dtype)
        assert second is not None
        shape = _broadcast(a.shape, c.shape)
        shape = None if shape is None else _broadcast(shape, self.values[second].shape)
        if shape is not None:
            self.add(f"gj.where(v{condition}, v{first}, v{second})", a.dtype, shape)

    def reduce(self) -> None:
        number = self.pick(lambda value: len(value.shape) > 0 and value.dtype != "bool")
        if number is None:
            return
        value = self.values[number]
        axes = self.draw(st.sampled_from(_axis_choices(len(value.shape))))
        keep = self.draw(st.booleans())
        names = REDUCE_FLOAT if value.dtype in FLOATS else REDUCE_INT
        name = self.draw(st.sampled_from(names))
        reduced = range(len(value.shape)) if axes is None else [axis % len(value.shape) for axis in axes]
        if name == "reduce_mean" and any(value.shape[axis] == 0 for axis in reduced):
            name = "reduce_sum"
        shape = [1 if axis in reduced else size for axis, size in enumerate(value.shape) if keep or axis not in reduced]
        self.add(f"gj.{name}(v{number}, axis={axes}, keepdims={keep})", value.dtype, shape)

    def softmax(self) -> None:
        number = self.pick(lambda value: value.dtype in FLOATS and len(value.shape) > 0)
        if number is not None:
            value = self.values[number]
            name = self.draw(st.sampled_from(("softmax", "log_softmax")))
            self.add(f"gj.nn.{name}(v{number})", value.dtype, value.shape)

    def transpose(self) -> None:
        number = self.pick(lambda value: len(value.shape) > 1)
        if number is not None:
            value = self.values[number]
            order = self.draw(st.permutations(range(len(value.shape))))
            shape = [value.shape[axis] for axis in order]
            self.add(f"gj.transpose(v{number}, {list(order)})", value.dtype, shape)

    def reshape(self) -> None:
        number = self.pick(lambda value: True)
        if number is not None:
            value = self.values[number]
            count = int(np.prod(value.shape))
            shapes = [(count,), (1, count), (count, 1), *_factored(count)]
            shape = self.draw(st.sampled_from(shapes))
            self.add(f"gj.reshape(v{number}, {list(shape)})", value.dtype, shape)

    def expand(self) -> None:
        number = self.pick(lambda value: len(value.shape) < 3)
        if number is not None:
            value = self.values[number]
            axis = self.draw(st.integers(0, len(value.shape)))
            shape = (*value.shape[:axis], 1, *value.shape[axis:])
            self.add(f"gj.expand_dims(v{number}, {axis})", value.dtype, shape)

    def index(self) -> None:
        number = self.pick(lambda value: len(value.shape) > 0)
        if number is None:
            return
        value = self.values[number]
        texts: list[str] = []
        shape: list[int] = []
        for size in value.shape:
            kind = self.draw(st.sampled_from(("all", "part", "reverse", "step", "one")))
            if kind == "one" and size > 0:
                texts.append(str(self.draw(st.integers(-size, size - 1))))
                continue
            bounds = {"all": ":", "part": "1:", "reverse": "::-1", "step": "::2", "one": ":"}[kind]
            texts.append(bounds)
            start = 1 if kind == "part" else None
            step = {"reverse": -1, "step": 2}.get(kind)
            shape.append(len(range(size)[slice(start, None, step)]))
        self.add(f"v{number}[{', '.join(texts)}]", value.dtype, shape)

    def concat(self) -> None:
        first = self.pick(lambda value: len(value.shape) > 0)
        if first is None:
            return
        a = self.values[first]
        axis = self.draw(st.integers(0, len(a.shape) - 1))
        rest = (*a.shape[:axis], *a.shape[axis + 1 :])
        second = self.pick(
            lambda b: (
                b.dtype == a.dtype and len(b.shape) == len(a.shape) and (*b.shape[:axis], *b.shape[axis + 1 :]) == rest
            )
        )
        assert second is not None
        shape = list(a.shape)
        shape[axis] += self.values[second].shape[axis]
        self.add(f"gj.concat([v{first}, v{second}], {axis})", a.dtype, shape)

    def matmul(self) -> None:
        first = self.pick(lambda value: value.dtype in FLOATS and len(value.shape) >= 2)
        if first is None:
            return
        a = self.values[first]
        second = self.pick(
            lambda b: (
                b.dtype == a.dtype
                and len(b.shape) >= 2
                and b.shape[-2] == a.shape[-1]
                and _broadcast(a.shape[:-2], b.shape[:-2]) is not None
            )
        )
        if second is not None:
            b = self.values[second]
            batch = _broadcast(a.shape[:-2], b.shape[:-2])
            assert batch is not None
            # Scaled down, so that chains of products stay small.
            self.add(f"gj.matmul(v{first}, v{second}) * 0.25", a.dtype, (*batch, a.shape[-2], b.shape[-1]))

    def cast(self) -> None:
        number = self.pick(lambda value: True)
        if number is not None:
            value = self.values[number]
            wanted = ("float32", "float64") if value.dtype in FLOATS else ("float32", "float64", "int32", "int64")
            dtype = self.draw(st.sampled_from(wanted))
            self.add(f"gj.cast(v{number}, gj.{dtype})", dtype, value.shape)


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None


def _axis_choices(rank: int) -> list[list[int] | None]:
    single: list[list[int] | None] = [[axis] for axis in range(-1, rank)]
    return [None, *single, *([[0, rank - 1]] if rank > 1 else [])]


def _factored(count: int) -> list[tuple[int, int]]:
    return [(factor, count // factor) for factor in (2, 3, 4) if count and count % factor == 0]


_SIZES = (1, 2, 3, 4, 5, 8)
_MOVES = (
    "unary", "unary", "binary", "binary", "binary", "with_number", "select", "reduce", "reduce", "softmax",
    "transpose", "reshape", "expand", "index", "concat", "matmul", "cast",
)  # fmt: skip


@st.composite
def programs(draw: Callable[[Any], Any], most: int = 12) -> Program:
    """Programs of up to `most` instructions over one to four inputs."""
    builder = _Builder(draw)
    base = draw(st.lists(st.sampled_from((*_SIZES, 0)), min_size=1, max_size=3))
    for _number in range(draw(st.integers(1, 4))):
        dtype = draw(st.sampled_from(("float32", "float32", "float64", "int32", "bool")))
        shape = tuple(size if draw(st.integers(0, 3)) else 1 for size in base[draw(st.integers(0, len(base))) :])
        builder.values.append(Value(dtype, shape))
    inputs = tuple(builder.values)
    for _step in range(draw(st.integers(1, most))):
        getattr(builder, draw(st.sampled_from(_MOVES)))()
    last = len(builder.values) - 1
    outputs = {last, *draw(st.lists(st.integers(0, last), max_size=2))}
    return Program(inputs, tuple(builder.instructions), tuple(sorted(outputs)), draw(st.integers(0, 2**31)))
