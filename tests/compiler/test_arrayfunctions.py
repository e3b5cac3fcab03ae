"""NumPy's functions called on tensors mean what NumPy means by them, in both modes (row H6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from differences import check_written

import graphjit as gj
from graphjit.runtime.errors import InvalidArgumentError, TraceError, UnimplementedError

Array = np.ndarray[Any, Any]
X = np.arange(24.0).reshape(2, 3, 4) + 1

CALLS: list[tuple[str, Any]] = [
    ("reshape", lambda x: np.reshape(x, (4, -1))),
    ("ravel", lambda x: np.ravel(x)),
    ("transpose", lambda x: np.transpose(x, axes=(2, 0, 1))),
    ("matrix_transpose", lambda x: np.matrix_transpose(x)),
    ("moveaxis", lambda x: np.moveaxis(x, 0, -1)),
    ("swapaxes", lambda x: np.swapaxes(x, 0, 1)),
    ("squeeze", lambda x: np.squeeze(x[:1], axis=0)),
    ("expand_dims", lambda x: np.expand_dims(x, axis=(0, -1))),
    ("broadcast_to", lambda x: np.broadcast_to(x, (2, 2, 3, 4))),
    ("atleast_1d", lambda x: np.atleast_1d(x[0, 0, 0])),
    ("concatenate", lambda x: np.concatenate([x, x], axis=1)),
    ("concatenate flat", lambda x: np.concatenate([x, x[0]], axis=None)),
    ("stack", lambda x: np.stack([x, x], axis=-1)),
    ("vstack", lambda x: np.vstack([x[0, 0], x[0, 1]])),
    ("hstack", lambda x: np.hstack([x[0, 0], x[0, 1]])),
    ("hstack of matrices", lambda x: np.hstack([x[0], x[1]])),
    ("append", lambda x: np.append(x, x)),
    ("split", lambda x: np.split(x, 2, axis=2)[1]),
    ("split at positions", lambda x: np.split(x, [1, 3], axis=2)[1]),
    ("array_split", lambda x: np.array_split(x, 3, axis=2)[0]),
    ("tile", lambda x: np.tile(x, 2)),
    ("tile to more axes", lambda x: np.tile(x, (2, 1, 1, 2))),
    ("repeat", lambda x: np.repeat(x, 2, axis=1)),
    ("meshgrid", lambda x: np.meshgrid(x[0, 0], x[0, :, 0])[0]),
    ("pad", lambda x: np.pad(x, ((1, 0), (0, 2), (0, 0)))),
    ("pad reflect", lambda x: np.pad(x, 1, mode="reflect")),
    ("pad a value", lambda x: np.pad(x, (1, 2), constant_values=5)),
    ("flip", lambda x: np.flip(x)),
    ("flip axis", lambda x: np.flip(x, axis=1)),
    ("flipud", lambda x: np.flipud(x)),
    ("fliplr", lambda x: np.fliplr(x)),
    ("rot90", lambda x: np.rot90(x)),
    ("rot90 twice", lambda x: np.rot90(x, 2)),
    ("rot90 back", lambda x: np.rot90(x, -1, axes=(1, 2))),
    ("rot90 not", lambda x: np.rot90(x, 4)),
    ("roll", lambda x: np.roll(x, 5)),
    ("roll axes", lambda x: np.roll(x, (1, -2), axis=(0, 2))),
    ("roll one shift", lambda x: np.roll(x, 1, axis=(0, 2))),
    ("sort", lambda x: np.sort(-x, axis=1)),
    ("sort flat", lambda x: np.sort(-x, axis=None)),
    ("argsort", lambda x: np.argsort(-x)),
    ("searchsorted", lambda x: np.searchsorted(x[0, 0], x[0, 0], side="right")),
    ("zeros_like", lambda x: np.zeros_like(x)),
    ("ones_like", lambda x: np.ones_like(x, dtype=np.int32)),
    ("full_like", lambda x: np.full_like(x, 7.0)),
    ("take", lambda x: np.take(x, [2, -1], axis=1)),
    ("take flat", lambda x: np.take(x, 5)),
    ("take_along_axis", lambda x: np.take_along_axis(x, np.argsort(-x, axis=0), axis=0)),
    ("diagonal", lambda x: np.diagonal(x, 1, 0, 2)),
    ("diag of a vector", lambda x: np.diag(x[0, 0], 1)),
    ("diag of a matrix", lambda x: np.diag(x[0], -1)),
    ("tril", lambda x: np.tril(x, -1)),
    ("triu", lambda x: np.triu(x, 1)),
    ("argwhere", lambda x: np.argwhere(x > 20)),
    ("nonzero", lambda x: np.nonzero(x > 20)[1]),
    ("bincount", lambda x: np.bincount([1, 2, 2, 5], x[0, 0])),
    ("copy", lambda x: np.copy(x)),
]


@pytest.mark.parametrize("call", [call for _, call in CALLS], ids=[name for name, _ in CALLS])
def test_numpys_functions_on_tensors(call: Any) -> None:
    """H6: the result is a tensor with NumPy's numbers, eagerly and in a graph."""
    got = call(gj.constant(X))
    assert isinstance(got, gj.Tensor)
    np.testing.assert_array_equal(np.asarray(got), call(X), strict=True)


@pytest.mark.parametrize("call", [call for _, call in CALLS], ids=[name for name, _ in CALLS])
def test_numpys_functions_in_graphs(call: Any) -> None:
    from graphjit.compiler.backends.reference import run_reference
    from graphjit.compiler.tensortype import type_of_array
    from graphjit.compiler.writer import write_graph

    graph = write_graph("f", [type_of_array(X)], call)
    np.testing.assert_array_equal(run_reference(graph, [X])[0], call(X), strict=True)


def test_shapes_are_plain_python() -> None:
    x = gj.constant(X)
    assert np.shape(x) == (2, 3, 4) and np.ndim(x) == 3 and np.size(x) == 24 and np.size(x, 1) == 3


def test_some_work_with_unknown_sizes() -> None:
    for call in (np.ravel, np.flip, lambda x: np.tile(x, 2), lambda x: np.roll(x, 1, axis=0), np.zeros_like):
        check_written(call, X)


def test_lists_that_hold_tensors_and_arrays() -> None:
    x = gj.constant(X)
    got = np.concatenate([X, x], axis=0)
    assert isinstance(got, gj.Tensor) and got.shape == (4, 3, 4)


def test_what_has_no_counterpart_says_so() -> None:
    x = gj.constant(X)
    for call, error in (
        (lambda: np.fft.fft(x), TraceError),
        (lambda: np.reshape(x, (24,), order="F"), UnimplementedError),
        (lambda: np.pad(x, 1, mode="edge"), UnimplementedError),
        (lambda: np.zeros_like(x, shape=(2,)), UnimplementedError),
        (lambda: np.take(x, 1, mode="clip"), UnimplementedError),
        (lambda: np.concatenate([x, x], out=np.zeros((4, 3, 4))), InvalidArgumentError),
        (lambda: np.array_split(x, 0), InvalidArgumentError),
        (lambda: np.diag(x), InvalidArgumentError),
    ):
        with pytest.raises(error):
            call()
