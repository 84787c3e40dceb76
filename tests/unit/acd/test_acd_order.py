"""The order of callers and agents, against plain sorted lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cti.acd.order
from cti.acd.order import Order

moves = st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=300)


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
            assert order.head == (plain[0] if plain else None)
            assert order.first(9) == plain[:9]
            assert [order.nth(n) for n in range(len(plain) + 1)] == [*plain, None]
            odd = range(0, 60, 2)
            assert order.first_except(odd) == next((other for other in plain if other[0] not in odd), None)
    finally:
        cti.acd.order.PIECE = piece


def test_removing_what_is_not_there_is_an_error():
    order = Order()
    order.add((1,))
    for key in ((0,), (2,)):
        with pytest.raises(KeyError):
            order.remove(key)
