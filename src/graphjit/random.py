"""gj.random: random numbers from streams with a state, and stateless ones from a seed."""

from graphjit.compiler.ops.draws import (
    fold_in,
    split,
    stateless_categorical,
    stateless_normal,
    stateless_shuffle,
    stateless_truncated_normal,
    stateless_uniform,
)
from graphjit.tracer.generator import (
    Generator,
    categorical,
    get_global_generator,
    normal,
    set_global_generator,
    set_seed,
    shuffle,
    truncated_normal,
    uniform,
)
from graphjit.tracer.streams import Streams

__all__ = [
    "Generator",
    "Streams",
    "categorical",
    "fold_in",
    "get_global_generator",
    "normal",
    "set_global_generator",
    "set_seed",
    "shuffle",
    "split",
    "stateless_categorical",
    "stateless_normal",
    "stateless_shuffle",
    "stateless_truncated_normal",
    "stateless_uniform",
    "truncated_normal",
    "uniform",
]
