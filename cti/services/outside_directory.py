"""Who calls? Our own customer file and another customer system behind one port (`services.ports.Directory`).

The other system is asked when our own file knows nobody (or first), within one deadline for both. Whom it knows is written
into our own file by reference and read from there, so the agent sees one kind of card whoever knew. An answer that comes
late is still kept: the next look-up has it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

import structlog

from cti.clock import Clock, SystemClock
from cti.errors import CtiError
from cti.ids import CustomerId
from cti.model.facts import Match
from cti.model.outside_crm import OddAnswer, OutsideCrm, OutsideCustomer, customers_of
from cti.services.ports import CustomerCard, Directory, LookUp, Services

log = structlog.get_logger(__name__)

MOST_KEPT = 5000
"""Answers."""
MOST_UNDER_WAY = 32
"""Questions; further callers get "unavailable" at once instead of joining a queue."""
UNAVAILABLE = LookUp(match=Match.UNAVAILABLE)


class KeptCustomers(Protocol):
    """Our own file, as it takes in customers of the other system."""

    async def keep(self, customers: Sequence[OutsideCustomer], *, number: str) -> Sequence[CustomerId]:
        """Add them, known by their reference, or bring them up to date; all have `number`. Raises `CtiError`."""
        ...


class OutsideDirectory:
    """`own` first, then the service the centre names in `crm.look_up`; or the other way round."""

    def __init__(
        self,
        own: Directory,
        services: Services,
        kept: KeptCustomers,
        crm: Callable[[], OutsideCrm],
        *,
        deadline: timedelta = timedelta(milliseconds=400),
        forget: Callable[[str], None] = lambda _number: None,
        count: Callable[[str], None] = lambda _result: None,
        clock: Clock | None = None,
    ) -> None:
        self._own = own
        self._services = services
        self._kept = kept
        self._crm = crm
        self._deadline = deadline.total_seconds()
        self._forget = forget
        self._count = count
        self._clock = clock or SystemClock()
        self._answers: OrderedDict[str, tuple[float, tuple[OutsideCustomer, ...]]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[tuple[OutsideCustomer, ...] | None]] = {}
        self._serial = 0

    async def card(self, customer_id: CustomerId) -> CustomerCard | None:
        """See `Directory.card`; of our own file alone."""
        return await self._own.card(customer_id)

    async def look_up(self, number: str | None) -> LookUp:
        """See `Directory.look_up`. Never raises; never longer than the deadline (and our own file's, which is no longer)."""
        crm = self._crm()
        if not crm.look_up or not number:
            return await self._own.look_up(number)
        until = self._clock.monotonic() + self._deadline
        asking = self._asking(crm, number) if crm.look_up_first else None
        mine = await self._own.look_up(number)
        if mine.match is Match.WITHHELD or (not crm.look_up_first and mine.match is not Match.UNKNOWN):
            return mine
        asking = asking or self._asking(crm, number)
        if asking is None:
            return self._without(mine)
        done, _ = await asyncio.wait({asking}, timeout=max(0.0, until - self._clock.monotonic()))
        if not done or asking.cancelled() or (told := asking.result()) is None:
            return self._without(mine)
        if not told:
            return mine
        try:
            async with asyncio.timeout(max(0.05, until - self._clock.monotonic())):
                theirs = await self._own.look_up(number)
        except TimeoutError:
            return self._without(mine)
        return self._shown(theirs, told)

    async def close(self) -> None:
        """End what is still under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    def _without(mine: LookUp) -> LookUp:
        """The answer where the other system did not answer: nobody we know may well be somebody it knows."""
        return replace(mine, match=Match.UNAVAILABLE) if mine.match is Match.UNKNOWN else mine

    @staticmethod
    def _shown(theirs: LookUp, told: Sequence[OutsideCustomer]) -> LookUp:
        """Our cards with the addresses the other system told of."""
        urls = {one.reference: one.url for one in told if one.url}
        cards = tuple(replace(card, url=urls.get(card.reference, "")) for card in theirs.cards)
        return replace(theirs, cards=cards)

    def _asking(self, crm: OutsideCrm, number: str) -> asyncio.Task[tuple[OutsideCustomer, ...] | None] | None:
        """The question about this number, which look-ups of it share; None: too many are under way."""
        task = self._under_way.get(number)
        if task is None:
            if len(self._under_way) >= MOST_UNDER_WAY:
                return None
            task = asyncio.create_task(self._ask(crm, number), name="outside look-up")
            self._under_way[number] = task
            task.add_done_callback(lambda _: self._under_way.pop(number, None))
        return task

    async def _ask(self, crm: OutsideCrm, number: str) -> tuple[OutsideCustomer, ...] | None:
        """The customers the other system has, kept in our file; None: it cannot be asked, or they cannot be kept."""
        kept = self._answers.get(number)
        if kept is not None and self._clock.monotonic() < kept[0]:
            self._answers.move_to_end(number)
            return kept[1]
        self._serial += 1
        try:
            answer = await self._services.ask(crm.look_up, {"number": number}, key=f"look-up-{number}-{self._serial}")
            if answer.status == "failed":
                self._count("failed")
                return None
            told = () if answer.status == "not_found" else customers_of(answer.body)
            if told:
                await self._kept.keep(told, number=number)
                self._forget(number)
        except OddAnswer as error:
            self._count("odd")
            log.warning("crm_answer_odd", service=crm.look_up, reason=str(error))
            return None
        except CtiError as error:
            self._count("failed")
            log.warning("crm_customers_not_kept", error=error.message)
            return None
        except Exception:  # whatever it is, the call goes on
            self._count("failed")
            log.exception("crm_look_up_failed")
            return None
        self._count("found" if told else "unknown")
        self._answers[number] = (self._clock.monotonic() + crm.look_up_keep.total_seconds(), told)
        self._answers.move_to_end(number)
        while len(self._answers) > MOST_KEPT:
            self._answers.popitem(last=False)
        return told
