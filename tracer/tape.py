"""GradientTape: records ops as they run, and differentiates by walking the records in reverse."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from graphjit.compiler.dispatch import add_recorder, current_interpreter, not_recording, remove_recorder
from graphjit.compiler.gradient import Recording, backward, is_differentiable
from graphjit.compiler.op import Op
from graphjit.compiler.operand import PUBLIC, Operand, as_operand, is_operand_like
from graphjit.compiler.tensortype import TensorShape
from graphjit.compiler.writer import GraphWriter
from graphjit.runtime.errors import DtypeError, FailedPreconditionError, InvalidArgumentError, ShapeError

from .composite import Elements
from .jacobian import VectorProduct, batch_rows, filled, jacobian_rows, require_tensor
from .latest import note_latest
from .state import State
from .structure import flatten, unflatten
from .trail import Outline, Trail
from .unconnected import UnconnectedGradients, as_unconnected, connected

_log = logging.getLogger("graphjit")

if TYPE_CHECKING:
    from .explain_gradient import GradientExplanation


class TapeRecorder:
    """Listens for a tape: watches trainable variables as they are read, and notes what is not recorded."""

    def __init__(self, watch_accessed: bool) -> None:
        self.trail = Trail()
        self.recording = Recording(self.trail.note_discrete)
        self.variables: list[State] = []
        self._watch_accessed = watch_accessed

    def watch(self, value: Any) -> None:
        """Watch a tensor or a variable."""
        if isinstance(value, State) and not self.recording.is_tracked(value):
            self.variables.append(value)
        self.recording.watch(value)

    def record(
        self, op: Op, operands: tuple[Any, ...], attributes: Mapping[str, Any], outputs: tuple[Any, ...]
    ) -> None:
        """Take in an op that was interpreted."""
        if self._watch_accessed:
            for operand in operands:
                if isinstance(operand, State) and operand.trainable and is_differentiable(operand.dtype):
                    self.watch(operand)
        if not self.recording.record(op, operands, attributes, outputs):
            self.trail.note(op, operands, outputs, self.recording)


def require_watchable(value: Any, what: str) -> None:
    """Refuse what is neither tensor nor variable.

    Raises:
      InvalidArgumentError: if it is neither.
    """
    if not isinstance(value, Operand | State):
        raise InvalidArgumentError(
            f"{what} is {value!r} of type {type(value).__name__!r}; only tensors and variables have gradients "
            "(gj.constant makes a tensor)"
        )


class GradientTape:
    """Records the ops that depend on watched values, so that `gradient` can differentiate them.

    Trainable variables are watched as soon as they are read; tensors must be `watch`ed. It works the same
    inside of compiled functions, and tapes may be nested for higher orders.

    Args:
      persistent: whether `gradient` may be called more than once. Such a tape keeps what it recorded
        until it is deleted or `reset`.
      watch_accessed_variables: False, if only what is given to `watch` is to be watched.

    >>> import graphjit as gj
    >>> x = gj.constant(3.0)
    >>> with gj.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> print(tape.gradient(y, x))
    gj.Tensor(6.0, shape=(), dtype=float32)
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watch_accessed = watch_accessed_variables
        self._recorder: TapeRecorder | None = None
        self._is_active = False
        self._was_used = False
        self._variables: tuple[State, ...] = ()
        self._outline: Outline | None = None

    # --- recording ---

    def __enter__(self) -> GradientTape:
        if self._is_active:
            raise InvalidArgumentError("this tape records already; use a second GradientTape inside of it")
        self._start()
        note_latest(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _start(self) -> None:
        if self._recorder is None:
            self._recorder = TapeRecorder(self._watch_accessed)
            self._outline = None
        add_recorder(self._recorder)
        self._is_active = True

    def _stop(self) -> None:
        if self._is_active and self._recorder is not None:
            remove_recorder(self._recorder)
        self._is_active = False

    def _current(self) -> TapeRecorder:
        """What was recorded.

        Raises:
          FailedPreconditionError: if there is nothing, with the reason.
        """
        if self._recorder is not None:
            return self._recorder
        if self._was_used:
            raise FailedPreconditionError(
                "this tape gave its gradient and let go of what it had recorded; for more than one call of "
                "gradient or jacobian use gj.GradientTape(persistent=True)"
            )
        raise FailedPreconditionError("this tape has recorded nothing; use it as `with gj.GradientTape() as tape:`")

    def watch(self, tensor: Any) -> None:
        """Record what is computed from a tensor or variable, or from those in a nested structure, from now on.

        Raises:
          InvalidArgumentError: for something that is neither.
          FailedPreconditionError: before the tape's `with`.
        """
        recorder = self._current()
        for leaf in flatten(Elements(tensor).bare)[0]:
            require_watchable(leaf, "what is to be watched")
            if is_differentiable(leaf.dtype):
                recorder.watch(leaf)
            else:
                _warn_of_dtype("watched tensor", leaf)

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Do not record what happens inside, on this tape.

        Raises:
          FailedPreconditionError: if the tape does not record.

        >>> import graphjit as gj
        >>> x = gj.Variable(3.0)
        >>> with gj.GradientTape() as tape:
        ...     y = x * x
        ...     with tape.stop_recording():
        ...         shown = y * 2
        >>> print(tape.gradient(y, x))
        gj.Tensor(6.0, shape=(), dtype=float32)
        """
        if not self._is_active:
            raise FailedPreconditionError("stop_recording() of a tape that does not record")
        self._stop()
        try:
            yield
        finally:
            self._start()

    def reset(self) -> None:
        """Forget everything that was recorded and watched."""
        was_active = self._is_active
        self._stop()
        self._recorder = None
        self._outline = None
        self._variables = ()
        self._was_used = False
        if was_active:
            self._start()

    def watched_variables(self) -> tuple[Any, ...]:
        """The variables that are watched, in the order in which they were first read."""
        if self._recorder is not None:
            self._variables = tuple(self._recorder.variables)
        return self._variables

    # --- differentiating ---

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
    ) -> Any:
        """The derivative of the sum of all elements of the target(s) with respect to each source.

        Args:
          target: a tensor, or a nested structure of tensors, which count together.
          sources: a tensor or variable, or a nested structure of them.
          output_gradients: for each target what its elements are multiplied by in that sum, of the
            target's shape; by default ones.
          unconnected_gradients: "none" or "zero", for sources that the target does not depend on.

        Returns:
          The structure of `sources` with a tensor for each source, or None.

        Raises:
          FailedPreconditionError: if the tape is not persistent and was used already.
          ShapeError: if an output gradient has another shape than its target.
          GradientError: if an op on the path has no gradient rule.
        """
        unconnected = as_unconnected(unconnected_gradients)
        self._current()
        bare_target, bare_sources = Elements(target).bare, Elements(sources)
        seeds = _seeds(bare_target, None if output_gradients is None else Elements(output_gradients).bare)
        leaves, structure = _sources(bare_sources.bare)
        recorder = self._released()
        found = backward(recorder.recording, seeds, leaves)
        gradients = [found.of(source) for source in leaves]
        self._keep_outline(recorder, flatten(bare_target)[0], leaves, gradients)
        answers = [connected(gradient, source, unconnected) for gradient, source in zip(gradients, leaves, strict=True)]
        return bare_sources.restored(unflatten(structure, answers))

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """All derivatives of each element of the target by each element of the sources.

        Args:
          target: one tensor. It takes one walk for each of its elements.
          sources: a tensor or variable, or a nested structure of them.
          unconnected_gradients: "none" or "zero", for sources that the target does not depend on.
          parallel_iterations, experimental_use_pfor: accepted for TensorFlow's sake; as there, a tape
            that is not persistent needs `experimental_use_pfor=True` outside of compiled functions.

        Returns:
          The structure of `sources`, with a tensor of shape `target.shape + source.shape` for each.

        Raises:
          InvalidArgumentError: if the target is a structure of tensors.
          FailedPreconditionError: if the tape was used already.

        >>> import graphjit as gj
        >>> x = gj.Variable([1.0, 2.0])
        >>> with gj.GradientTape() as tape:
        ...     y = x * x
        >>> print(tape.jacobian(y, x).numpy())
        [[2. 0.]
         [0. 4.]]
        """
        unconnected = as_unconnected(unconnected_gradients)
        operand = require_tensor(target, "target")
        leaves, structure = _sources(sources)
        self._require_persistent_loop(experimental_use_pfor)
        present = [leaf for leaf in leaves if leaf is not None]
        rows = iter(jacobian_rows(operand, present, self._vector_product(target, present)))
        answers = [None if leaf is None else filled(next(rows), operand, leaf, unconnected) for leaf in leaves]
        return unflatten(structure, answers)

    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """For each example the derivatives of its target by its source.

        It is assumed, and not checked, that an example's target depends on that example's source only.

        Args:
          target: shape [batch, ...]. It takes one walk for each element of one example.
          source: shape [batch, ...].
          unconnected_gradients, parallel_iterations, experimental_use_pfor: see `jacobian`; a source
            that the target does not depend on gives zeros.

        Returns:
          A tensor of shape `[batch, *target.shape[1:], *source.shape[1:]]`.

        Raises:
          ShapeError: if a rank is below 2, or the batches have different sizes.
        """
        as_unconnected(unconnected_gradients)
        operand, read = require_tensor(target, "target"), require_tensor(source, "source")
        self._require_persistent_loop(experimental_use_pfor)
        product = self._vector_product(target, [source])
        return batch_rows(operand, read, lambda seed: product(seed)[0])

    def _require_persistent_loop(self, use_pfor: bool) -> None:
        if use_pfor or self._persistent or isinstance(current_interpreter(), GraphWriter):
            return
        raise FailedPreconditionError(
            "a Jacobian with experimental_use_pfor=False needs a tape with persistent=True, "
            "except in compiled functions"
        )

    def _vector_product(self, target: Any, sources: Sequence[Any]) -> VectorProduct:
        """The walk from a cotangent of the target to those of the sources; the tape counts as used."""
        require_watchable(target, "the target")
        recording = self._released().recording.between(sources, [target])

        def product(seed: Any) -> list[Any]:
            found = backward(recording, [(target, seed)], sources)
            return [found.of(source) for source in sources]

        return product

    def _released(self) -> TapeRecorder:
        """What was recorded; the tape itself lets go of it unless it is persistent."""
        recorder = self._current()
        if self._persistent:
            if self._is_active:
                _log.warning(
                    "gradient() of a persistent tape inside of its `with` records the derivative as well, which "
                    "costs time and memory; call it outside unless higher orders are wanted"
                )
            return recorder
        self.watched_variables()
        self._stop()
        self._recorder = None
        self._was_used = True
        return recorder

    def _keep_outline(
        self, recorder: TapeRecorder, targets: Sequence[Any], sources: Sequence[Any], gradients: Sequence[Any]
    ) -> None:
        """After the tape let go of its records, keep what tells why a gradient was None."""
        missing = [source for source, gradient in zip(sources, gradients, strict=True) if gradient is None]
        if self._recorder is None and missing:
            self._outline = Outline(recorder.trail, recorder.recording, [*targets, *sources], missing)

    def explain(self, target: Any, source: Any) -> GradientExplanation:
        """Why `gradient(target, source)` is None, zero, infinite or not a number: see `gj.explain_gradient`.

        Raises:
          FailedPreconditionError: if the tape has let go of what it would need.
        """
        # Loaded when it is asked for, as most programs never do.
        from .explain_gradient import explain_none, explain_nothing, explain_numbers

        require_watchable(target, "the target")
        require_watchable(source, "the source")
        kept = self._outline if self._recorder is None else None
        if kept is not None and kept.knows(source) and kept.knows(target):
            found = explain_none(kept, target, source)
            if found is None and kept.has_no_gradient(source):
                found = explain_nothing(kept, source)
            if found is not None:
                return found
        recorder = self._current()
        outline = Outline(recorder.trail, recorder.recording, [target, source])
        return (
            explain_none(outline, target, source)
            or explain_numbers(recorder.recording, target, source)
            or explain_nothing(outline, source)
        )


_warned: set[str] = set()


def _warn_of_dtype(what: str, value: Any) -> None:
    """Say, once for each kind of use, that integers have no gradient."""
    if what not in _warned:
        _warned.add(what)
        _log.warning("the dtype of the %s must be floating (e.g. float32), but it is %s", what, value.dtype.name)


def _sources(sources: Any) -> tuple[list[Any], Any]:
    """The sources, None among them (a bias that is not there), and their structure."""
    leaves, structure = flatten(sources)
    for leaf in leaves:
        if leaf is not None:
            require_watchable(leaf, "a source")
            if not is_differentiable(leaf.dtype):
                _warn_of_dtype("source", leaf)
    return leaves, structure


def _seeds(target: Any, output_gradients: Any) -> list[tuple[Any, Any]]:
    targets, structure = flatten(target)
    for leaf in targets:
        require_watchable(leaf, "a target")
        if not is_differentiable(leaf.dtype):
            _warn_of_dtype("target", leaf)
    given = _given_seeds(targets, structure, output_gradients)
    return [
        (leaf, _ones_like(leaf) if seed is None else _checked_seed(leaf, seed))
        for leaf, seed in zip(targets, given, strict=True)
        if is_differentiable(leaf.dtype)
    ]


def _given_seeds(targets: Sequence[Any], structure: Any, output_gradients: Any) -> list[Any]:
    """What was given for each target: numbers, which may be a nested list themselves, or None."""
    if output_gradients is None:
        return [None] * len(targets)
    is_sequence = isinstance(output_gradients, list | tuple)
    if len(targets) == 1 and is_sequence and len(output_gradients) == 1:
        (only,) = output_gradients
        return [only if np.ndim(only) or is_operand_like(only) else output_gradients]
    if is_sequence and structure.num_nodes - 1 == len(targets) == len(output_gradients):
        return list(output_gradients)
    try:
        given: list[Any] = structure.flatten_up_to(output_gradients)
    except ValueError as error:
        raise InvalidArgumentError(
            f"the output gradients have another structure than the {len(targets)} targets: {error}"
        ) from None
    return given


def _ones_like(target: Any) -> Any:
    with not_recording():
        return PUBLIC["ones_like"](as_operand(target))


def _checked_seed(target: Any, seed: Any) -> Any:
    operand = as_operand(seed, target.dtype, "an output gradient")
    if operand.type.dtype is not target.dtype:
        raise DtypeError(f"an output gradient is {operand.type.dtype.name}, but its target is {target.dtype.name}")
    if not TensorShape(operand.type.shape).is_compatible_with(target.shape):
        raise ShapeError(f"an output gradient has shape {operand.shape}, but its target has shape {target.shape}")
    return operand
