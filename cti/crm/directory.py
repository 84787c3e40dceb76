"""Who calls? The customer file behind a cache and a deadline (the port `services.ports.Directory`).

A look-up that is late answers "unavailable" in time and goes on in the background: its answer is in the cache when the
same caller is asked for again. Look-ups of one number share one query. With too many queries under way (a slow database)
further callers get "unavailable" at once instead of joining the queue.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import timedelta
from typing import Any

import asyncpg
import orjson
import structlog

from cti.clock import Clock, SystemClock
from cti.crm.numbers import normalise
from cti.errors import RemoteError
from cti.ids import AgentId, CustomerId
from cti.model.facts import Match
from cti.services.ports import ContactSummary, CustomerCard, LookUp, Talk

_log = structlog.get_logger(__name__)

MOST_CARDS = 10
MOST_CONTACTS = 5

_CARDS = """
SELECT c.customer_id, c.name, c.tier, c.language, c.company, c.notes, c.own_agent, c.tags, c.kind, c.tier_reason,
       coalesce(c.reference, '') AS reference,
       EXISTS (SELECT FROM crm.do_not_call d WHERE d.customer_id = c.customer_id) AS do_not_call,
       (SELECT array_agg(p.number ORDER BY p.place, p.number) FROM crm.phones p WHERE p.customer_id = c.customer_id) AS phones,
       k.contacts
  FROM crm.customers c
  LEFT JOIN LATERAL (
       SELECT json_agg(json_build_array(to_char(l.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                                        coalesce(l.queue, ''), l.outcome, coalesce(l.agent, ''), coalesce(l.note, ''))
                       ORDER BY l.at DESC) AS contacts
         FROM (SELECT * FROM crm.contacts x WHERE x.customer_id = c.customer_id ORDER BY x.at DESC LIMIT $2) l
       ) k ON true
 WHERE {whose}
 ORDER BY c.customer_id
 LIMIT $3
"""
_CUSTOMERS = _CARDS.format(whose="c.customer_id IN (SELECT customer_id FROM crm.phones WHERE number = $1)")
_CUSTOMER = _CARDS.format(whose="c.customer_id = $1")

_LAST_TALK = """
SELECT agent, coalesce(ended_at, answered_at) AS at
  FROM cti.calls
 WHERE caller_number = $1 AND agent IS NOT NULL
 ORDER BY started_at DESC
 LIMIT 1
"""

_UNAVAILABLE = LookUp(match=Match.UNAVAILABLE)


class CustomerDirectory:
    """Looks customers up by number. Built on a pool (see `store.pool.open_pool`); `close` it before the pool."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        region: str = "US",
        deadline: timedelta = timedelta(milliseconds=400),
        keep: timedelta = timedelta(seconds=30),
        size: int = 5000,
        most_under_way: int = 32,
        clock: Clock | None = None,
    ) -> None:
        self._pool = pool
        self._region = region
        self._deadline = deadline
        self._keep = keep.total_seconds()
        self._size = size
        self._most_under_way = most_under_way
        self._clock = clock or SystemClock()
        self._cache: OrderedDict[str, tuple[float, LookUp]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[LookUp]] = {}
        self._forgotten: set[str] = set()
        """Numbers that were forgotten while they were asked for: that answer may be the old one, and is not kept."""
        self._troubled = False

    def use_region(self, region: str) -> None:
        """From now on national numbers are read in this region."""
        self._region = region

    async def look_up(self, number: str | None) -> LookUp:
        """Who calls from this number? Never raises; never longer than the deadline."""
        key = normalise(number, self._region)
        if key is None:
            return LookUp(match=Match.WITHHELD)
        kept = self._cache.get(key)
        if kept is not None and self._clock.monotonic() < kept[0]:
            self._cache.move_to_end(key)
            return kept[1]
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= self._most_under_way:
                return _UNAVAILABLE
            task = asyncio.create_task(self._ask(key), name="customer look-up")
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._asked(key))
        done, _ = await asyncio.wait({task}, timeout=self._deadline.total_seconds())
        if not done:
            self._trouble("deadline")
            return _UNAVAILABLE
        return _UNAVAILABLE if task.cancelled() else task.result()

    async def card(self, customer_id: CustomerId) -> CustomerCard | None:
        """The card of one customer; None: there is none. Raises `RemoteError` when the file does not answer in time."""
        try:
            async with asyncio.timeout(5.0), self._pool.acquire() as connection:
                row = await connection.fetchrow(_CUSTOMER, customer_id, MOST_CONTACTS, 1)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            self._trouble(type(error).__name__)
            raise RemoteError(
                "the customer file does not answer", remedy="try again in a moment; nothing was changed"
            ) from None
        return _card(row) if row is not None else None

    def forget(self, number: str | None = None) -> None:
        """Drop a number (or everything) from the cache: the customer file changed, or a contact was added."""
        if number is None:
            self._cache.clear()
            self._forgotten.update(self._under_way)
        elif (key := normalise(number, self._region)) is not None:
            self._cache.pop(key, None)
            if key in self._under_way:
                self._forgotten.add(key)

    async def close(self) -> None:
        """End what is still under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _asked(self, key: str) -> None:
        self._under_way.pop(key, None)
        self._forgotten.discard(key)

    async def _ask(self, key: str) -> LookUp:
        try:
            async with self._pool.acquire() as connection:
                rows = await connection.fetch(_CUSTOMERS, key, MOST_CONTACTS, MOST_CARDS)
                talk = await connection.fetchrow(_LAST_TALK, key)
            cards = tuple(_card(row) for row in rows)
        except Exception as error:  # whatever it is, the call goes on without the card
            self._trouble(type(error).__name__)
            return _UNAVAILABLE
        match = Match.UNKNOWN if not cards else Match.FOUND if len(cards) == 1 else Match.SEVERAL
        last = Talk(agent_id=AgentId(talk["agent"]), at=talk["at"]) if talk is not None else None
        answer = LookUp(match=match, cards=cards, last_talk=last)
        if key not in self._forgotten:
            self._cache[key] = (self._clock.monotonic() + self._keep, answer)
            self._cache.move_to_end(key)
        while len(self._cache) > self._size:
            self._cache.popitem(last=False)
        if self._troubled:
            _log.info("directory_answers_again")
            self._troubled = False
        return answer

    def _trouble(self, reason: str) -> None:
        if not self._troubled:
            _log.warning("directory_unavailable", reason=reason)
        self._troubled = True


def _card(row: Any) -> CustomerCard:
    contacts = orjson.loads(row["contacts"]) if row["contacts"] else []
    return CustomerCard(
        customer_id=CustomerId(row["customer_id"]),
        name=row["name"],
        tier=row["tier"],
        language=row["language"],
        phones=tuple(row["phones"] or ()),
        company=row["company"],
        notes=row["notes"],
        own_agent=row["own_agent"],
        tags=tuple(row["tags"]),
        kind=row["kind"],
        tier_reason=row["tier_reason"],
        do_not_call=row["do_not_call"],
        reference=row["reference"],
        contacts=tuple(
            ContactSummary(at=at, queue=queue, outcome=outcome, agent=agent, note=note)
            for at, queue, outcome, agent, note in contacts
        ),
    )
