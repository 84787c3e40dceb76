"""The two containers, against plain sorted lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cti.acd.order
from cti.acd.heap import LazyHeap, in_order
from cti.acd.order import Order

moves = st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=300)


@given(moves)
def test_a_lazy_heap_is_a_sorted_set(made):
    heap, plain = LazyHeap(), set()
    for add, number in made:
        (heap.add if add else heap.discard)((number, str(number)))
        (plain.add if add else plain.discard)((number, str(number)))
        expected = sorted(plain)
        assert len(heap) == len(expected)
        assert heap.first() == (expected[0] if expected else None)
        assert len(heap.keys) <= 2 * len(plain) + 33
    assert list(in_order([heap])) == sorted(plain)
    odd = {str(number) for number in range(0, 60, 2)}
    assert heap.first_except(odd) == next((key for key in sorted(plain) if key[-1] not in odd), None)


@given(st.lists(st.sets(st.integers(0, 99)), max_size=4))
def test_several_heaps_are_walked_as_one(sets):
    heaps = []
    for n, numbers in enumerate(sets):
        heap = LazyHeap()
        for number in numbers:
            heap.add((number, n))
        for number in list(numbers)[::3]:
            heap.discard((number, n))
        heaps.append(heap)
    expected = sorted(
        (number, n) for n, numbers in enumerate(sets) for number in set(numbers) - set(list(numbers)[::3])
    )
    assert list(in_order(heaps)) == expected


@given(moves)
def test_an_order_is_a_sorted_list_in_pieces(made):
    piece, cti.acd.order.PIECE = cti.acd.order.PIECE, 4
    try:
        order, plain = Order(), []
        for add, number in made:
            key = (number,)
            if add and key not in plain:
                order.add(key)
                plain = sorted([*plain, key])
            elif not add and key in plain:
                order.remove(key)
                plain.remove(key)
            assert list(order) == plain
            assert len(order) == len(plain)
            assert order.rank(key) == sum(other < key for other in plain)
    finally:
        cti.acd.order.PIECE = piece


def test_removing_what_is_not_there_is_an_error():
    order = Order()
    order.add((1,))
    for key in ((0,), (2,)):
        with pytest.raises(KeyError):
            order.remove(key)
