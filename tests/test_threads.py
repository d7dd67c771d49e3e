"""Ordered results of threads, and the memory budget."""

import threading
import time
from collections.abc import Iterator

import pytest

from surface_crack.threads import MemoryBudget, in_order


def test_in_order_keeps_the_order_with_a_short_queue() -> None:
    consumed = 0

    def numbers() -> Iterator[int]:
        nonlocal consumed
        for number in range(1000):
            consumed = number
            yield number

    results = in_order(lambda number: number * 2, numbers(), workers=2)
    assert next(results) == 0
    assert consumed < 40
    assert list(results) == list(range(2, 2000, 2))


def test_in_order_raises_errors_of_the_work() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda number: 1 // number, range(5), workers=2))


def test_the_budget_is_shared_and_an_oversized_request_waits_to_be_alone() -> None:
    budget = MemoryBudget(10)
    held = most = 0
    lock = threading.Lock()

    def work(size: int) -> int:
        nonlocal held, most
        with budget.reserve(size):
            with lock:
                held += size
                most = max(most, held if held > 10 else 0)
                assert held <= 10 or held == size
            time.sleep(0.001)
            with lock:
                held -= size
        return size

    sizes = [3, 7, 25, 4, 4, 4, 10, 1, 30] * 5
    assert list(in_order(work, sizes, workers=8)) == sizes
    assert most == 30


def test_the_budget_is_released_after_an_error() -> None:
    budget = MemoryBudget(1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), budget.reserve(1):
            _ = 1 // 0
