"""Results in order, and not far ahead of who reads them."""

import threading
import time
from collections.abc import Iterator

import pytest

from surface_crack.threads import MemoryBudget, in_order


def test_in_order_keeps_the_order_and_runs_only_a_little_ahead() -> None:
    asked = 0

    def numbers() -> Iterator[int]:
        nonlocal asked
        for number in range(1000):
            asked = number
            yield number

    results = in_order(lambda number: number * 2, numbers(), workers=2)
    assert next(results) == 0
    assert asked < 40
    assert list(results) == list(range(2, 2000, 2))


def test_in_order_passes_an_error_on() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda number: 1 // number, range(5), workers=2))


def test_room_is_shared_and_what_is_too_large_waits_until_it_is_alone() -> None:
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


def test_room_is_given_back_after_an_error() -> None:
    budget = MemoryBudget(1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), budget.reserve(1):
            _ = 1 // 0
