"""What dialling out costs, and how much of it there may be: price list, caps, and the book of all legs over the trunk.

Theory of operation. The book is a fold over `toll_facts`, live and on replay. A leg is *begun* before it is dialled, *answered*
when it begins to cost, and *ended*. What it costs falls due unit by unit: connection fee and first unit with the answer, each
further unit when it begins. So what was spent within the last hour is known to the millisecond without a leg having ended,
and the sum of all that fell due is the price of the call.

A cap is of a scope (the centre, a queue, an agent, a supervisor) and of a sliding window. A leg may begin when, with it, no
scope it counts for has begun more than its dials, no less than all of its minutes are used up, and what is spent, what every leg
not answered yet would cost at least, and what this one would, is within the cap. A leg that is dialled has therefore its least
price put by: answering changes nothing, and only calls that go on go beyond a cap.

Time never runs backwards here: no leg begins before the newest fact, and no window ends before it. So a clock that is set back
makes caps stricter and never wider.
"""

from __future__ import annotations

import contextlib
import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from cti.model.changed import replacer
from cti.model.fact import Fact
from cti.model.toll_facts import KeptLeg, TollAnswered, TollBegan, TollEnded, TollsKept
from cti.model.toll_legs import DAY, HOUR, Leg, kept_leg, leg_of, moment_of, ms
from cti.model.toll_rules import CENTRE, MILLION, Beyond, Caps, Limit, Price, Scope, TollRules, Unknown, Who

__all__ = [
    "CENTRE", "DAY", "HOUR", "MILLION", "Beyond", "Caps", "Leg", "Limit", "Price", "Scope", "TollRules", "Unknown", "Who", "moment_of", "ms",
]  # fmt: skip
"""Known from here, too."""

KEPT = 26 * HOUR
"""So long a leg that is over is known: a day has 25 hours when the clocks go back."""
_changed = replacer(Leg)


class _Window:
    """Sums over the legs that are over, within a window that ends now, and moves forwards unless the clock is set back."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._whole: list[tuple[int, int, Leg, int, int]] = []
        """Legs of which nothing has left the window yet, by when it will: with what they cost, and the talk."""
        self._cost = self._talk = 0
        self._leaving: list[tuple[Leg, int, int]] = []

    def add(self, leg: Leg, cost: int, talk: int) -> None:
        """The leg is over, and was answered, within the window or before it began, but not over then."""
        heapq.heappush(self._whole, (leg.answered or 0, leg.leg, leg, cost, talk))
        self._cost += cost
        self._talk += talk

    def move(self, now: int) -> None:
        """Let go of what has left the window that ends now."""
        since = now - self._length
        while self._whole and self._whole[0][0] <= since:
            _, _, leg, cost, talk = heapq.heappop(self._whole)
            self._cost -= cost
            self._talk -= talk
            self._leaving.append((leg, cost, talk))
        if self._leaving:
            self._leaving = [one for one in self._leaving if (one[0].ended or 0) > since]

    def back(self, now: int) -> None:
        """Move backwards. Legs that were over before the window began, and are not any more, are to be added besides."""
        since = now - self._length
        again = [one for one in self._leaving if (one[0].answered or 0) > since]
        if again:
            self._leaving = [one for one in self._leaving if (one[0].answered or 0) <= since]
        for leg, cost, talk in again:
            self.add(leg, cost, talk)

    def value(self, now: int) -> tuple[int, int]:
        """What it cost, and the milliseconds talked, within the window."""
        self.move(now)
        since = now - self._length
        # An ended leg's last charge is due before its end, and a leg's end may lie ahead of `now` where clocks differ.
        cost = sum(cost - leg.cost(since) for leg, cost, _ in self._leaving)
        return self._cost + cost, self._talk + sum(talk - leg.talk(since) for leg, _, talk in self._leaving)


@dataclass(slots=True)
class _Account:
    """What counts for one scope."""

    dials: deque[int] = field(default_factory=deque)
    hour: _Window = field(default_factory=lambda: _Window(HOUR))
    day: _Window = field(default_factory=lambda: _Window(DAY))

    def trim(self, now: int) -> None:
        """Let go of what has left the windows."""
        while self.dials and self.dials[0] <= now - HOUR:
            self.dials.popleft()
        self.hour.move(now)
        self.day.move(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """How much of everything a scope has used."""

    dials: int = 0
    talk: int = 0
    """Milliseconds, of the last 24 hours."""
    cost_hour: int = 0
    cost_day: int = 0
    put_by: int = 0
    """For legs that are not answered yet."""

    def of(self, limit: Limit) -> int:
        """In the unit of the cap, but minutes in milliseconds; with what is put by."""
        if limit is Limit.DIALS:
            return self.dials
        if limit is Limit.MINUTES:
            return self.talk
        return self.put_by + (self.cost_hour if limit is Limit.COST_HOUR else self.cost_day)

    def share(self, limit: Limit, cap: int) -> float:
        """How much of a cap is used; 1.0 and above: all of it."""
        most = cap * 60_000 if limit is Limit.MINUTES else cap
        return self.of(limit) / most if most else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A leg that somebody would begin."""

    price: Price
    scopes: tuple[Who, ...]


class Tolls:
    """The book: every leg over the trunk that still counts."""

    def __init__(self) -> None:
        self.legs: dict[int, Leg] = {}
        """Legs under way, by number."""
        self.over: deque[Leg] = deque()
        """Legs that are over, of the last 26 hours."""
        self.next_leg = 1
        self.latest = 0
        """The newest moment of any fact."""
        self._asked = 0
        """The newest moment for which figures were asked: the windows have moved that far."""
        self.since_kept = 0
        """Facts since everything was last written down."""
        self.oldest_since = 0
        """When the first of these was."""
        self._accounts: dict[Who, _Account] = {}
        self._found: dict[int, Leg | KeptLeg] | None = None
        """Legs that are over, while facts are read back: nothing is counted until somebody asks. None: all are counted."""
        self._since_part = 0
        """Facts since the first part of the newest summary."""
        self._rest: list[Leg] = []
        """Of the summary that is being written: legs that are not in a part yet, the newest last."""
        self._part = self._of = 0
        self._written: TollsKept | None = None
        self._day: tuple[int, dict[Who, list[int]]] | None = None
        """Since when, and by whom: legs dialled, talk and costs of the legs that are over."""

    @property
    def size(self) -> int:
        """Legs that are known."""
        return len(self.legs) + len(self.over if self._found is None else self._found)

    def now(self, moment: datetime) -> int:
        """This moment, or that of the newest fact, if that is later; the windows end there now."""
        now = max(ms(moment), self.latest)
        self.settle(now)
        if now < self._asked:
            self._back(now)
        self._asked = now
        return now

    def _heard(self, at: int) -> int:
        self.latest = max(self.latest, at)
        return self.latest

    # ---- the fold

    def learn(self, fact: Fact) -> None:
        """A fact happened, or is read back. What is known already changes nothing."""
        if isinstance(fact, TollBegan):
            self._began(fact)
        elif isinstance(fact, TollAnswered):
            leg = self.legs.get(fact.leg)
            if leg is not None and leg.answered is None:
                # Where nobody saw when it was, it may have been as soon as it was dialled.
                answered = leg.began if fact.inferred else max(leg.began, ms(fact.at))
                self._heard(answered)
                self.legs[fact.leg] = _changed(leg, answered=answered, leg_id=fact.leg_id or leg.leg_id)
        elif isinstance(fact, TollEnded):
            leg = self.legs.pop(fact.leg, None)
            if leg is not None and fact.dialled:
                ended = max(ms(fact.at), leg.answered or leg.began)
                self._heard(ended)
                self._over(_changed(leg, ended=ended))
            elif leg is not None and self._found is None:
                for who in leg.scopes():
                    with contextlib.suppress(ValueError):  # it has left the window
                        self._accounts[who].dials.remove(leg.began)
        elif isinstance(fact, TollsKept):
            if fact is not self._written:
                self._read(fact)
            if fact.part == 1:
                self._since_part = 0
            if fact.part == fact.of:
                self.since_kept = self._since_part
                self.oldest_since = max(self.oldest_since, fact.latest)
            return
        else:
            return
        self.oldest_since = self.oldest_since if self.since_kept else self.latest
        self.since_kept += 1
        self._since_part += 1

    def written_due(self, least: int, after: int) -> int | None:
        """When something is to be written down (0: at once); None: no need.

        After so many facts, but three for each leg that is known; or so many milliseconds after the first of them, if there is one
        for every fourth leg. After 26 hours at the latest: nothing that was written down before counts then.
        """
        if self._rest:
            return 0
        if not self.since_kept:
            return None
        if self.since_kept >= max(least, 3 * self.size):
            return 0
        return self.oldest_since + (after if 4 * self.since_kept >= self.size else KEPT)

    def _began(self, fact: TollBegan) -> None:
        if fact.leg < self.next_leg:
            return
        self.next_leg = fact.leg + 1
        price = Price(per_minute=fact.per_minute, connection=fact.connection, first=fact.first, then=fact.then)
        leg = Leg(
            leg=fact.leg,
            call_id=fact.call_id,
            kind=fact.kind,
            agent_id=fact.agent_id,
            queue=fact.queue,
            by=fact.by,
            prefix=fact.prefix,
            price=price,
            began=self._heard(ms(fact.at)),
            leg_id=fact.leg_id,
        )
        self.legs[leg.leg] = leg
        if self._found is None:
            for who in leg.scopes():
                self._account(who).dials.append(leg.began)

    def _over(self, leg: Leg) -> None:
        if self._found is not None:
            self._found[leg.leg] = leg
            return
        self.over.append(leg)
        ended = leg.ended or 0
        if leg.answered is not None:
            cost, talk = leg.cost(ended), leg.talk(ended)
            for who in leg.scopes():
                account = self._account(who)
                account.hour.add(leg, cost, talk)
                account.day.add(leg, cost, talk)
                account.trim(self.latest)
        if self._day is not None:
            _add_to_day(self._day[1], leg, self._day[0], ended)
        self._let_go(self.latest)

    def settle(self, now: int) -> None:
        """Count what was read back, once."""
        if self._found is None:
            return
        legs = (found if isinstance(found, Leg) else leg_of(found) for found in self._found.values())
        self.over = deque(sorted(legs, key=lambda leg: (leg.ended, leg.leg)))
        self._found = self._day = None
        self._let_go(self.latest)
        self._count_again(now)
        self._asked = now

    def _count_again(self, now: int) -> None:
        """Fill the windows that end now anew from all legs that are known."""
        self._accounts = {who: _Account() for who in self._accounts}
        for leg in sorted((*self.over, *self.legs.values()), key=lambda one: (one.began, one.leg)):
            dialled, ended = leg.began > now - HOUR, leg.ended or 0
            accounts = [self._account(who) for who in leg.scopes()]
            if dialled:
                for account in accounts:
                    account.dials.append(leg.began)
            if leg.answered is None or ended <= now - DAY:
                continue
            cost, talk = leg.cost(ended), leg.talk(ended)
            for account in accounts:
                account.day.add(leg, cost, talk)
                if ended > now - HOUR:
                    account.hour.add(leg, cost, talk)

    def _back(self, now: int) -> None:
        """The clock was set back: what had left the windows is in them again. Only that is counted."""
        asked, dials = self._asked, dict[Who, list[int]]()
        for account in self._accounts.values():
            account.trim(asked)
            account.hour.back(now)
            account.day.back(now)
        for leg in chain(self.over, self.legs.values()):
            ended = 0 if leg.ended is None or leg.answered is None else leg.ended
            dialled, hour, day = (
                now - HOUR < leg.began <= asked - HOUR,
                now - HOUR < ended <= asked - HOUR,
                now - DAY < ended <= asked - DAY,
            )
            if not (dialled or hour or day):
                continue
            cost, talk = (leg.cost(ended), leg.talk(ended)) if hour or day else (0, 0)
            for who in leg.scopes():
                account = self._account(who)
                if dialled:
                    dials.setdefault(who, []).append(leg.began)
                if hour:
                    account.hour.add(leg, cost, talk)
                if day:
                    account.day.add(leg, cost, talk)
        for who, begun in dials.items():
            account = self._accounts[who]
            account.dials = deque(sorted((*begun, *account.dials)))

    def _account(self, who: Who) -> _Account:
        account = self._accounts.get(who)
        if account is None:
            account = self._accounts[who] = _Account()
        return account

    def _let_go(self, now: int) -> None:
        while self.over and (self.over[0].ended or 0) <= now - KEPT:
            self.over.popleft()

    # ---- writing everything down

    @property
    def writing(self) -> bool:
        """Whether a summary has been begun of which not all parts are written."""
        return bool(self._rest)

    def kept(self, at: datetime, most: int) -> TollsKept:
        """Everything that still counts, if that is no more than so many legs that are over; else the next part of it.

        It is to be learned next: what was written here is known, and is not read back.
        """
        now = self.now(at)
        legs: tuple[KeptLeg, ...] = ()
        if not self._rest:
            self._let_go(now)
            for account in self._accounts.values():
                account.trim(now)
            self._rest, self._part, self._of = list(self.over), 0, max(1, -(-len(self.over) // most))
            legs = tuple(kept_leg(leg) for leg in self.legs.values())
        self._part += 1
        legs += tuple(kept_leg(leg) for leg in self._rest[-most:])
        del self._rest[-most:]
        self._written = TollsKept(
            at=at, next_leg=self.next_leg, latest=self.latest, legs=legs, part=self._part, of=self._of
        )
        return self._written

    def _read(self, fact: TollsKept) -> None:
        if self._found is None:
            self._found = {leg.leg: leg for leg in self.over}
            self.over, self._accounts = deque(), {}
        if fact.part == 1:
            self.legs = {}
            self.next_leg = max(self.next_leg, fact.next_leg)
            if fact.of == 1:
                self._found = {}
        for kept in fact.legs:
            if kept[10] < 0:
                self.legs[kept[0]] = leg_of(kept)
            else:
                self._found[kept[0]] = kept
        self._heard(fact.latest)
        self._rest = []

    # ---- figures

    def used(self, who: Who, moment: datetime) -> Used:
        """What a scope has used within the windows that end now."""
        now = self.now(moment)
        account = self._accounts.get(who)
        if account is None:
            return Used()
        while account.dials and account.dials[0] <= now - HOUR:
            account.dials.popleft()
        (day, talk), hour, put_by = account.day.value(now), account.hour.value(now)[0], 0
        for leg in self.legs.values():
            if who in leg.scopes():
                put_by += leg.put_by
                due = leg.cost(now)
                hour += due - leg.cost(now - HOUR)
                day += due - leg.cost(now - DAY)
                talk += leg.talk(now) - leg.talk(now - DAY)
        return Used(dials=len(account.dials), talk=talk, cost_hour=hour, cost_day=day, put_by=put_by)

    def scopes(self) -> tuple[Who, ...]:
        """Everybody for whom something counts or counted."""
        self.settle(self.latest)
        return tuple(self._accounts)

    def why_not(self, rules: TollRules, wanted: Sequence[Wanted], moment: datetime) -> tuple[Who, Limit] | None:
        """The cap because of which these legs must not begin together; None: they may."""
        if not rules.any():
            return None
        for who in dict.fromkeys(who for leg in wanted for who in leg.scopes):
            caps = rules.of(who)
            if not caps:
                continue
            used = self.used(who, moment)
            mine = [leg.price for leg in wanted if who in leg.scopes]
            least = sum(price.least for price in mine)
            for limit, cap in caps.items():
                if limit is Limit.DIALS:
                    full = used.dials + len(mine) > cap
                elif limit is Limit.MINUTES:
                    full = used.talk >= cap * 60_000
                else:
                    full = used.of(limit) + least > cap
                if full:
                    return who, limit
        return None

    def since(self, moment: datetime, now: datetime) -> Mapping[Who, tuple[int, int, int]]:
        """By scope, since a moment of at most a day ago: legs dialled, milliseconds talked, what they cost."""
        first, last = ms(moment) - 1, self.now(now)
        if self._day is None or self._day[0] != first:
            self._day = (first, {})
            for leg in self.over:
                _add_to_day(self._day[1], leg, first, leg.ended or 0)
        found = {who: list(told) for who, told in self._day[1].items()}
        for leg in self.legs.values():
            _add_to_day(found, leg, first, last)
        return {who: (dials, talk, cost) for who, (dials, talk, cost) in found.items()}

    def running(self, who: Who) -> Iterable[Leg]:
        """Answered legs of a scope that go on."""
        return [leg for leg in self.legs.values() if leg.answered is not None and who in leg.scopes()]


def _add_to_day(day: dict[Who, list[int]], leg: Leg, first: int, last: int) -> None:
    """Add what a leg was after `first` and up to `last`."""
    if last <= first:
        return
    dialled = int(leg.began > first)
    talk, cost = leg.talk(last) - leg.talk(first + 1), leg.cost(last) - leg.cost(first)
    if dialled or talk or cost:
        for who in leg.scopes():
            told = day.setdefault(who, [0, 0, 0])
            told[0] += dialled
            told[1] += talk
            told[2] += cost
