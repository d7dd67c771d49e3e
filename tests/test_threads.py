"""Results in order, and not far ahead of who reads them."""

from collections.abc import Iterator

import pytest

from surface_crack.threads import in_order


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
