"""A thread that makes the next elements while the last one is worked with."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from .orders import running_orders

_END = object()


def ahead(source: Iterable[Any], size: int) -> Iterator[Any]:
    """Elements that a thread makes ahead; its errors are raised here, and it ends when nobody asks any more."""
    waiting: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(size)
    stopped = threading.Event()

    def put(item: tuple[Any, BaseException | None]) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    orders = running_orders.get()

    def work() -> None:
        running_orders.set(orders)  # those of whoever asks, who is in another thread
        try:
            for element in source:
                if not put((element, None)):
                    return
            put((_END, None))
        except BaseException as error:  # noqa: BLE001 -- raised again in the thread that iterates
            put((_END, error))

    threading.Thread(target=work, daemon=True, name="graphjit-prefetch").start()
    try:
        while True:
            element, error = waiting.get()
            if error is not None:
                raise error
            if element is _END:
                return
            yield element
    finally:
        stopped.set()


__all__: list[str] = []
