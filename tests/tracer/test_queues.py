"""Queues: order, limits, closing, threads, effects in compiled functions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import graphjit as gj


def test_first_in_first_out() -> None:
    queue = gj.queue.FIFOQueue(10, gj.int32)
    for one in range(3):
        queue.enqueue(one)
    queue.enqueue_many([3, 4, 5])
    assert int(queue.size()) == 6
    assert queue.dequeue().numpy() == 0 and queue.dequeue_many(4).numpy().tolist() == [1, 2, 3, 4]
    assert queue.dequeue_up_to(1).numpy().tolist() == [5] and int(queue.size()) == 0
    assert repr(queue) == "<gj.queue.FIFOQueue 'FIFOQueue': 0 of 10 elements>"


def test_components_and_names() -> None:
    queue = gj.queue.FIFOQueue(10, [gj.float32, gj.string], shapes=[[2], []])
    queue.enqueue([[1.0, 2.0], "a"])
    queue.enqueue_many([[[3.0, 4.0], [5.0, 6.0]], ["b", "c"]])
    numbers, words = queue.dequeue_many(3)
    assert numbers.numpy().tolist() == [[1, 2], [3, 4], [5, 6]] and words.numpy().tolist() == [b"a", b"b", b"c"]
    named = gj.queue.FIFOQueue(10, [gj.int32, gj.float32], names=["i", "x"])
    named.enqueue({"x": 1.5, "i": 7})
    found = named.dequeue()
    assert (int(found["i"]), float(found["x"])) == (7, 1.5)


def test_priorities() -> None:
    """The least first; equal ones in the order in which they came."""
    queue = gj.queue.PriorityQueue(10, [gj.string], [()])
    for priority, word in ((3, "c"), (1, "a"), (3, "d"), (2, "b")):
        queue.enqueue([priority, word])
    assert [queue.dequeue()[1].numpy() for _ in range(4)] == [b"a", b"b", b"c", b"d"]


def test_padding() -> None:
    queue = gj.queue.PaddingFIFOQueue(10, [gj.int32, gj.string], shapes=[[None, 2], [None]])
    queue.enqueue([[[1, 2]], ["a", "b"]])
    queue.enqueue([[[3, 4], [5, 6]], ["c"]])
    numbers, words = queue.dequeue_many(2)
    assert numbers.numpy().tolist() == [[[1, 2], [0, 0]], [[3, 4], [5, 6]]]
    assert words.numpy().tolist() == [[b"a", b"b"], [b"c", b""]]


def test_closing() -> None:
    """What is there can be taken; then it is over. Nothing more goes in."""
    queue = gj.queue.FIFOQueue(10, gj.int32, shapes=[()], name="work")
    queue.enqueue_many([1, 2, 3])
    assert not bool(queue.is_closed())
    queue.close()
    queue.close()
    assert bool(queue.is_closed())
    with pytest.raises(gj.errors.CancelledError, match="'work' is closed"):
        queue.enqueue(4)
    with pytest.raises(gj.errors.OutOfRangeError, match="holds 3 elements, where 4"):
        queue.dequeue_many(4)
    assert int(queue.dequeue()) == 1 and queue.dequeue_up_to(9).numpy().tolist() == [2, 3]
    with pytest.raises(gj.errors.OutOfRangeError, match="closed and holds 0"):
        queue.dequeue()
    with pytest.raises(gj.errors.OutOfRangeError):
        queue.dequeue_up_to(2)


def test_waiting_has_an_end() -> None:
    queue = gj.queue.FIFOQueue(1, gj.int32, shapes=[()])
    with pytest.raises(gj.errors.DeadlineExceededError, match="waited"):
        queue.dequeue(timeout=0.01)
    queue.enqueue(1)
    with pytest.raises(TimeoutError, match="room"):
        queue.enqueue(2, timeout=0.01)
    assert int(queue.size()) == 1


def test_producers_and_consumers() -> None:
    """Eight threads, a small queue: nothing is lost or seen twice, and each producer's order stays."""
    queue = gj.queue.FIFOQueue(3, [gj.int32, gj.int32], shapes=[(), ()])
    count = 200

    @gj.compile
    def take() -> Any:
        return queue.dequeue()

    def produce(number: int) -> None:
        for one in range(count):
            queue.enqueue([number, one])

    def consume() -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        while True:
            try:
                found.append(tuple(int(part) for part in take()))  # type: ignore[arg-type]  # two parts
            except gj.errors.OutOfRangeError:
                return found

    with ThreadPoolExecutor(8) as pool:
        consumers = [pool.submit(consume) for _ in range(4)]
        for producer in [pool.submit(produce, number) for number in range(4)]:
            producer.result()
        queue.close()
        results = [one.result() for one in consumers]
    assert sorted(one for found in results for one in found) == [
        (number, one) for number in range(4) for one in range(count)
    ]
    for found in results:
        for number in range(4):
            mine = [one for producer, one in found if producer == number]
            assert mine == sorted(mine)


def _started(function: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(function())
        except gj.errors.GraphjitError as error:
            answers.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, answers


def _until(ready: Callable[[], bool]) -> None:
    for _ in range(2000):
        if ready():
            return
        time.sleep(0.002)
    raise AssertionError("it did not come")


@pytest.mark.parametrize("cancel", [False, True])
def test_closing_while_somebody_waits_for_room(cancel: bool) -> None:
    """What waits goes in when there is room, or is called off."""
    queue = gj.queue.FIFOQueue(1, gj.int32)
    queue.enqueue(1)
    thread, answers = _started(lambda: queue.enqueue(2))
    _until(lambda: queue._shared._waiting_to_put == 1)
    queue.close(cancel_pending_enqueues=cancel)
    assert int(queue.dequeue()) == 1
    if cancel:
        thread.join(10)
        assert isinstance(answers[0], gj.errors.CancelledError)
    else:
        assert int(queue.dequeue()) == 2
        thread.join(10)
        assert answers == [None]


def test_closing_ends_those_who_wait_for_elements() -> None:
    queue = gj.queue.FIFOQueue(5, gj.int32)
    thread, answers = _started(lambda: queue.dequeue_many(2))
    queue.enqueue(1)
    queue.close()
    thread.join(10)
    assert isinstance(answers[0], gj.errors.OutOfRangeError) and int(queue.size()) == 1


def test_d7_effects_in_program_order() -> None:
    """C7, D7: in a compiled function each use happens each time, in the order in which it is written."""
    queue = gj.queue.FIFOQueue(-1, gj.float32, shapes=[()])

    @gj.compile
    def f(x: Any) -> Any:
        queue.enqueue(x)
        queue.enqueue(x * 2.0)
        first = queue.dequeue()
        size = queue.size()
        queue.enqueue_many([first + 10.0, 20.0])
        return first, size, queue.dequeue_many(2), queue.is_closed()

    for x in (1.0, 3.0):
        first, size, rest, closed = f(gj.constant(x))
        assert (float(first), int(size), rest.numpy().tolist(), bool(closed)) == (x, 1, [2 * x, x + 10.0], False)
        assert float(queue.dequeue()) == 20.0
    assert f.trace_count == 1 and int(queue.size()) == 0


def test_in_loops_of_compiled_functions() -> None:
    queue = gj.queue.FIFOQueue(100, gj.int32, shapes=[()])

    @gj.compile
    def fill(n: Any) -> Any:
        for i in gj.range(n):
            queue.enqueue(i * i)
        return queue.size()

    @gj.compile
    def total() -> Any:
        found = 0
        while queue.size() > 0:
            found += queue.dequeue()
        return found

    assert int(fill(gj.constant(5))) == 5 and int(total()) == 0 + 1 + 4 + 9 + 16


def test_c9_another_queue_under_the_same_name_is_seen() -> None:
    """D3: a closure that is given another queue uses that one."""
    queue = gj.queue.FIFOQueue(5, gj.int32, shapes=[()])

    @gj.compile
    def f() -> Any:
        queue.enqueue(7)
        return queue.size()

    assert int(f()) == 1
    old, queue = queue, gj.queue.FIFOQueue(5, gj.int32, shapes=[()])
    assert int(f()) == 1 and int(old.size()) == 1


def test_what_is_queued_is_a_copy() -> None:
    """Later changes of an array are not seen."""
    queue = gj.queue.FIFOQueue(5, gj.int32)
    array = np.array([1, 2], np.int32)
    queue.enqueue(array)
    array[0] = 9
    assert queue.dequeue().numpy().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gj.queue.FIFOQueue(0, gj.int32), gj.errors.InvalidArgumentError, "capacity"),
        (lambda: gj.queue.FIFOQueue(1, [gj.int32], shapes=[[None]]), gj.errors.ShapeError, "PaddingFIFOQueue"),
        (lambda: gj.queue.FIFOQueue(1, [gj.int32], shapes=[[1], [2]]), gj.errors.InvalidArgumentError, "2 shapes"),
        (lambda: gj.queue.FIFOQueue(1, gj.int32).enqueue(1.5), gj.errors.DtypeError, "cannot become int32"),
        (lambda: gj.queue.FIFOQueue(1, gj.int32, shapes=[[2]]).enqueue([1]), gj.errors.ShapeError, r"\(2,\) is needed"),
        (lambda: gj.queue.FIFOQueue(1, [gj.int32] * 2).enqueue([1]), gj.errors.InvalidArgumentError, "2 components"),
        (lambda: gj.queue.FIFOQueue(1, gj.int32).dequeue_many(2), gj.errors.InvalidArgumentError, "capacity 1"),
        (lambda: gj.queue.FIFOQueue(1, gj.int32).dequeue_many(-1), gj.errors.InvalidArgumentError, "not negative"),
        (lambda: gj.compile(gj.queue.FIFOQueue(1, gj.int32).dequeue)(), gj.errors.ShapeError, "has no shapes"),
    ],
)
def test_refused(call: Any, error: type[Exception], words: str) -> None:
    """Bad uses say what was needed and what to do."""
    with pytest.raises(error, match=words):
        call()
