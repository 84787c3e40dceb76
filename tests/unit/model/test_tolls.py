"""Prices by the unit, windows that slide, caps: the book of legs over the trunk, told the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cti.ids import AgentId, CallId, QueueName
from cti.model.toll_facts import LegKind, TollAnswered, TollBegan, TollEnded
from cti.model.tolls import CENTRE, Limit, Price, Scope, TollRules, Tolls, Unknown, Wanted

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
MOBILE = Price(per_minute=60_000, connection=10_000, first=60, then=1)
"""0.06 a minute, 0.01 for the connection, 60/1."""
LAND = Price(per_minute=20_000)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def begin(book: Tolls, at: datetime, price: Price = MOBILE, *, agent: str = "1001", queue: str = "sales") -> int:
    leg = book.next_leg
    book.learn(
        TollBegan(
            at=at,
            leg=leg,
            call_id=CallId(f"a1-{leg}"),
            kind=LegKind.DIAL,
            agent_id=AgentId(agent),
            queue=QueueName(queue),
            per_minute=price.per_minute,
            connection=price.connection,
            first=price.first,
            then=price.then,
        )
    )
    return leg


def answer(book: Tolls, leg: int, at: datetime, *, inferred: bool = False) -> None:
    book.learn(TollAnswered(at=at, leg=leg, call_id=CallId(f"a1-{leg}"), inferred=inferred))


def end(book: Tolls, leg: int, at: datetime, *, dialled: bool = True) -> None:
    book.learn(TollEnded(at=at, leg=leg, call_id=CallId(f"a1-{leg}"), dialled=dialled))


@pytest.mark.parametrize(
    ("price", "talked", "cost"),
    [
        (MOBILE, 0, 70_000),
        (MOBILE, 60, 70_000),
        (MOBILE, 60.001, 71_000),
        (MOBILE, 75, 85_000),
        (LAND, 60, 20_000),
        (LAND, 61, 40_000),
        (Price(per_minute=1, first=1, then=1), 3, 3),
        (Price(per_minute=100, first=30, then=6), 36, 60),
    ],
)
def test_a_talk_costs_each_unit_begun(price: Price, talked: float, cost: int) -> None:
    book = Tolls()
    leg = begin(book, NOW, price)
    answer(book, leg, NOW + seconds(5))
    if talked:
        # The last unit falls due when it begins, not when the call ends.
        assert book.used(CENTRE, NOW + seconds(5 + talked) - timedelta(milliseconds=1)).cost_hour == cost
    end(book, leg, NOW + seconds(5 + talked))
    assert book.used(CENTRE, NOW + seconds(5 + talked)).cost_day == cost


def test_the_longest_beginning_prices_a_number_and_unknown_ones_are_dealt_with_as_set() -> None:
    prices = {"+49": LAND, "+4917": MOBILE}
    rules = TollRules(currency="EUR", prices=prices)
    assert rules.price_of("+4930123456") == ("+49", LAND)
    assert rules.price_of("+49171234567") == ("+4917", MOBILE)
    assert rules.price_of("+15550100") == ("", Price(per_minute=60_000, connection=10_000, first=60, then=60))
    assert TollRules(prices=prices, unknown=Unknown.FREE).price_of("+15550100") == ("", Price())
    assert TollRules(prices=prices, unknown=Unknown.REFUSE).price_of("+15550100") is None
    assert TollRules(unknown=Unknown.REFUSE).price_of("+15550100") == ("", Price())


def test_what_was_spent_leaves_the_hour_unit_by_unit() -> None:
    book = Tolls()
    leg = begin(book, NOW, Price(per_minute=60_000, first=1, then=1))
    answer(book, leg, NOW)
    end(book, leg, NOW + seconds(100))
    hour = NOW + timedelta(hours=1)
    assert book.used(CENTRE, hour - timedelta(milliseconds=1)).cost_hour == 100_000
    assert book.used(CENTRE, hour).cost_hour == 99_000
    assert book.used(CENTRE, hour + seconds(49)).cost_hour == 50_000
    assert book.used(CENTRE, hour + seconds(99)).cost_hour == 0
    assert book.used(CENTRE, hour + seconds(99)).cost_day == 100_000
    assert book.used(CENTRE, hour + seconds(99)).talk == 100_000
    assert book.used(CENTRE, NOW + timedelta(hours=24, seconds=40)).talk == 60_000


def test_what_rings_has_its_least_price_put_by_and_answering_changes_nothing() -> None:
    book, rules = Tolls(), TollRules(prices={"+": MOBILE}, caps={CENTRE: {Limit.COST_HOUR: 140_000}})
    first, second = begin(book, NOW), begin(book, NOW)
    wanted = [Wanted(price=MOBILE, scopes=(CENTRE,))]
    assert book.why_not(rules, wanted, NOW) == (CENTRE, Limit.COST_HOUR)
    answer(book, first, NOW + seconds(9))
    assert book.used(CENTRE, NOW + seconds(9)).of(Limit.COST_HOUR) == 140_000
    end(book, second, NOW + seconds(10))  # nobody answered: nothing was spent
    assert book.used(CENTRE, NOW + seconds(10)).of(Limit.COST_HOUR) == 70_000
    assert book.why_not(rules, wanted, NOW + seconds(10)) is None
    assert book.why_not(rules, [*wanted, *wanted], NOW + seconds(10)) == (CENTRE, Limit.COST_HOUR)


def test_each_scope_has_its_own_caps_and_what_each_has_replaces_nothing_else() -> None:
    book = Tolls()
    agent = (Scope.AGENT, "1001")
    rules = TollRules(
        caps={agent: {Limit.MINUTES: 1}}, each={Scope.AGENT: {Limit.DIALS: 2}, Scope.QUEUE: {Limit.DIALS: 3}}
    )
    assert rules.of(agent) == {Limit.DIALS: 2, Limit.MINUTES: 1}
    leg = begin(book, NOW)
    answer(book, leg, NOW)
    mine = [Wanted(price=Price(), scopes=(CENTRE, (Scope.QUEUE, "sales"), agent))]
    assert book.why_not(rules, mine, NOW + seconds(59)) is None
    assert book.why_not(rules, mine, NOW + seconds(60)) == (agent, Limit.MINUTES)
    other = [Wanted(price=Price(), scopes=(CENTRE, (Scope.QUEUE, "sales"), (Scope.AGENT, "1002")))]
    assert book.why_not(rules, other, NOW + seconds(60)) is None
    begin(book, NOW + seconds(60), agent="1002")
    begin(book, NOW + seconds(61), agent="1002")
    assert book.why_not(rules, other, NOW + seconds(62)) == ((Scope.QUEUE, "sales"), Limit.DIALS)
    assert book.why_not(rules, other, NOW + timedelta(hours=1, seconds=60)) is None


def test_what_was_let_go_before_it_was_dialled_does_not_count() -> None:
    book = Tolls()
    leg = begin(book, NOW)
    end(book, leg, NOW + seconds(3), dialled=False)
    assert book.used(CENTRE, NOW + seconds(3)).dials == 0
    assert book.since(NOW, NOW + seconds(4)) == {}


def test_an_answer_that_nobody_saw_counts_from_dialling() -> None:
    book = Tolls()
    leg = begin(book, NOW)
    answer(book, leg, NOW + seconds(30), inferred=True)
    end(book, leg, NOW + seconds(90))
    assert book.used(CENTRE, NOW + seconds(90)).talk == 90_000


def test_a_clock_that_is_set_back_widens_nothing() -> None:
    book, rules = Tolls(), TollRules(caps={CENTRE: {Limit.DIALS: 2}})
    begin(book, NOW)
    begin(book, NOW + seconds(1))
    wanted = [Wanted(price=Price(), scopes=(CENTRE,))]
    back = NOW - timedelta(hours=1)
    assert book.why_not(rules, wanted, back) == (CENTRE, Limit.DIALS)
    assert book.why_not(rules, wanted, NOW + seconds(3600)) is None


def test_a_summary_says_what_the_facts_said_and_is_read_again_with_them() -> None:
    book = Tolls()
    legs = [begin(book, NOW + seconds(number), queue="sales" if number % 2 else "support") for number in range(20)]
    for leg in legs[:15]:
        answer(book, leg, NOW + seconds(60 + leg))
    for leg in legs[:10]:
        end(book, leg, NOW + seconds(200 + 7 * leg))
    later = NOW + seconds(400)
    kept = book.kept(later, 100)
    again = Tolls()
    begin(again, NOW)  # what the journal has of the time before counts no more
    again.learn(kept)
    for who in book.scopes():
        for after in (0, 1800, 3500, 3700, 20_000, 86_500):
            moment = later + seconds(after)
            assert again.used(who, moment) == book.used(who, moment)
    assert again.next_leg == book.next_leg
    assert again.kept(later, 100).legs == kept.legs


def test_the_day_is_told_by_who_since_its_morning() -> None:
    book = Tolls()
    leg = begin(book, NOW)
    answer(book, leg, NOW)
    midnight = NOW + seconds(60)
    end(book, leg, NOW + seconds(75))
    other = begin(book, NOW + seconds(80), LAND, agent="1002", queue="support")
    answer(book, other, NOW + seconds(90))
    told = book.since(midnight, NOW + seconds(100))
    assert told[Scope.AGENT, "1001"] == (0, 15_000, 15_000)
    assert told[Scope.QUEUE, "support"] == (1, 10_000, 20_000)
    assert told[CENTRE] == (1, 25_000, 35_000)
