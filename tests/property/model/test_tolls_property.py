"""Caps of dialling out against a plain count: whatever is begun, answered and ended in whatever order, with restarts and with a
clock that jumps, no more is begun than the caps let pass, and what is counted live is what the facts say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from cti.ids import AgentId, CallId, QueueName
from cti.model.fact import Fact
from cti.model.toll_facts import LegKind, TollAnswered, TollBegan, TollEnded, TollsKept
from cti.model.tolls import CENTRE, DAY, HOUR, Limit, Price, Scope, TollRules, Tolls, Wanted, Who, ms
from tests.support.examples import NIGHTLY

PRICES = (Price(), Price(per_minute=20_000), Price(per_minute=61_234, connection=5_000, first=30, then=6), Price(per_minute=600_000, first=1, then=1))  # fmt: skip
SCOPES: tuple[Who, ...] = (CENTRE, (Scope.QUEUE, "sales"), (Scope.QUEUE, "support"), (Scope.AGENT, "1001"), (Scope.SUPERVISOR, "lena"))  # fmt: skip
RULES = TollRules(
    prices={"+": PRICES[1]},
    caps={
        CENTRE: {Limit.DIALS: 25, Limit.MINUTES: 90, Limit.COST_HOUR: 4_000_000, Limit.COST_DAY: 9_000_000},
        (Scope.AGENT, "1001"): {Limit.DIALS: 9, Limit.COST_HOUR: 700_000},
        (Scope.SUPERVISOR, "lena"): {Limit.DIALS: 3},
    },
    each={Scope.QUEUE: {Limit.COST_HOUR: 1_500_000, Limit.MINUTES: 40}},
)


class Plain:
    """What the facts say, added up unit by unit."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.legs: dict[int, tuple[TollBegan, int, int | None, int | None]] = {}
        latest = 0
        for fact in facts:
            if isinstance(fact, TollBegan):
                latest = max(latest, ms(fact.at))
                self.legs[fact.leg] = (fact, latest, None, None)
            elif isinstance(fact, TollAnswered):
                began = self.legs[fact.leg]
                at = began[1] if fact.inferred else max(ms(fact.at), began[1])
                latest = max(latest, at)
                self.legs[fact.leg] = (began[0], began[1], at, None)
            elif isinstance(fact, TollEnded):
                leg = self.legs[fact.leg]
                at = max(ms(fact.at), leg[2] or leg[1])
                latest = max(latest, at) if fact.dialled else latest
                self.legs[fact.leg] = (*leg[:3], at)
                if not fact.dialled:
                    del self.legs[fact.leg]
        self.latest = latest

    def of(self, who: Who) -> list[tuple[TollBegan, int, int | None, int | None]]:
        def mine(fact: TollBegan) -> bool:
            named = {Scope.QUEUE: fact.queue, Scope.AGENT: fact.agent_id, Scope.SUPERVISOR: fact.by or None}
            return who == CENTRE or named[who[0]] == who[1]

        return [leg for leg in self.legs.values() if mine(leg[0])]

    def dials(self, who: Who, now: int) -> int:
        return sum(began > now - HOUR for _, began, _, _ in self.of(who))

    def cost(self, who: Who, now: int, window: int) -> int:
        total = 0
        for fact, _, answered, ended in self.of(who):
            if answered is None:
                continue
            due, charge = answered, fact.connection - (-fact.per_minute * fact.first // 60)
            step = fact.first
            while due <= now or (ended is not None and ended > now):
                if due > now - window:
                    total += charge
                due, step, charge = due + step * 1000, fact.then, -(-fact.per_minute * fact.then // 60)
                if ended is not None and due >= ended:
                    break
        return total

    def talk(self, who: Who, now: int) -> int:
        total = 0
        for _, _, answered, ended in self.of(who):
            if answered is not None:
                total += max(0, (now if ended is None else ended) - max(answered, now - DAY))
        return total


def newest_whole(facts: Sequence[Fact]) -> int:
    """Where the newest summary begins of which there is every part."""
    first, whole = 0, 0
    for place, fact in enumerate(facts):
        if isinstance(fact, TollsKept):
            first = place if fact.part == 1 else first
            whole = first if fact.part == fact.of else whole
    return whole


@pytest.mark.parametrize("seed", range(200 if NIGHTLY else 12))
def test_no_more_is_begun_than_the_caps_let_pass_and_the_fold_is_what_is_live(seed: int) -> None:
    rng = random.Random(seed)
    now = datetime(2026, 11, 22, 8, tzinfo=UTC)
    book, facts, told = Tolls(), list[Fact](), Tolls()
    refused = begun = most = 0

    def record(fact: Fact) -> None:
        book.learn(fact)
        facts.append(fact)

    for _ in range(260):
        act = rng.random()
        now += timedelta(milliseconds=rng.choice([0, 1, 700, 5_000, 61_000, 240_000]))
        if act < 0.04:
            now += timedelta(hours=rng.choice([-1, 1]))  # somebody sets the clock
        if act < 0.35:
            price = rng.choice(PRICES)
            queue, agent = rng.choice([None, "sales", "support"]), rng.choice([None, "1001", "1002"])
            by = rng.choice(["", "", "lena"])
            scopes = [CENTRE]
            scopes += [(Scope.QUEUE, queue)] if queue else []
            scopes += [(Scope.AGENT, agent)] if agent else []
            scopes += [(Scope.SUPERVISOR, by)] if by else []
            if book.why_not(RULES, [Wanted(price=price, scopes=tuple(scopes))], now) is not None:
                refused += 1
                continue
            begun += 1
            record(
                TollBegan(
                    at=now, leg=book.next_leg, call_id=CallId("a1-1"), kind=LegKind.DIAL,
                    agent_id=AgentId(agent) if agent else None, queue=QueueName(queue) if queue else None, by=by,
                    per_minute=price.per_minute, connection=price.connection, first=price.first, then=price.then,
                )
            )  # fmt: skip
            # The caps hold at every beginning, by a count that knows nothing of how it was admitted.
            plain = Plain([fact for fact in facts if not isinstance(fact, TollsKept)])
            moment = max(ms(now), plain.latest)
            for who in scopes:
                for limit, cap in RULES.of(who).items():
                    open_ = sum(
                        Price(
                            per_minute=one.per_minute, connection=one.connection, first=one.first, then=one.then
                        ).least
                        for one, _, answered, ended in plain.of(who)
                        if answered is None and ended is None
                    )
                    if limit is Limit.DIALS:
                        assert plain.dials(who, moment) <= cap
                    elif limit is Limit.MINUTES:
                        assert plain.talk(who, moment) < cap * 60_000
                    else:
                        window = HOUR if limit is Limit.COST_HOUR else DAY
                        assert plain.cost(who, moment, window) + open_ <= cap
        elif act < 0.6 and book.legs:
            leg = rng.choice(list(book.legs.values()))
            if leg.answered is None:
                record(TollAnswered(at=now, leg=leg.leg, call_id=leg.call_id, inferred=rng.random() < 0.1))
        elif act < 0.9 and book.legs:
            leg = rng.choice(list(book.legs.values()))
            early = leg.answered is None and rng.random() < 0.2
            record(TollEnded(at=now, leg=leg.leg, call_id=leg.call_id, dialled=not early))
        elif act < 0.93 or (book.writing and act < 0.95):
            most = most if book.writing else rng.choice([1, 3, 1000])  # of one summary all parts are alike
            record(book.kept(now, most))
        elif act < 0.96:
            # A restart: from the last whole summary on, or (the journal has more) from anywhere before it.
            last = newest_whole(facts)
            told = Tolls()
            for fact in facts[rng.randint(0, last) if rng.random() < 0.5 else last :]:
                told.learn(fact)
            for who in SCOPES:
                assert told.used(who, now) == book.used(who, now)
            book = told
        elif act < 0.99:
            # A clock that was far ahead for a moment, and is set back.
            for ahead in sorted(rng.sample([1, 50, 61, 600, 1_439, 1_500, 3_000], 2)):
                book.used(rng.choice(SCOPES), now + timedelta(minutes=ahead))
            plain = Plain([fact for fact in facts if not isinstance(fact, TollsKept)])
            moment = max(ms(now), plain.latest)
            for who in SCOPES:
                used = book.used(who, now)
                assert (used.dials, used.talk) == (plain.dials(who, moment), plain.talk(who, moment))
                assert used.cost_hour == plain.cost(who, moment, HOUR)
                assert used.cost_day == plain.cost(who, moment, DAY)
    assert begun
    assert refused
    plain = Plain([fact for fact in facts if not isinstance(fact, TollsKept)])
    moment = max(ms(now), book.latest)
    for who in SCOPES:
        used = book.used(who, now)
        assert used.dials == plain.dials(who, moment)
        assert used.cost_hour == plain.cost(who, moment, HOUR)
        assert used.cost_day == plain.cost(who, moment, DAY)
        assert used.talk == plain.talk(who, moment)
