"""Telling somebody outside what happened: durable facts, read from the journal behind the floor's back, sent one by one.

The journal is the queue. What is read ahead of the answers is bounded (`MOST_WAITING`); a receiver that is slow or away
stops the reading, and nothing else. Events of one lane (a call, an alert) go out in their order; a lane whose event fails
waits, others pass it. An event that could not be told within `give_up` is dropped and counted. The position before the first event that is
still to be told is kept in a file: after a restart telling goes on there, so an event may come twice, under the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import aiohttp
import orjson
import structlog

from cti.clock import Clock, SystemClock
from cti.errors import CtiError
from cti.journal.codec import Position, Record, decoded
from cti.model.fact import Fact
from cti.model.outside_crm import Webhook
from cti.private_file import write_private

log = structlog.get_logger(__name__)

SIGNATURE = "X-CTI-Signature"
MOST_WAITING = 1000
"""Events read and not yet told."""
AT_ONCE = 4
"""Requests under way."""
READ_AT_ONCE = 500
"""Facts."""
GATHER = 0.05
"""Seconds between looks at the journal while facts come."""
PAUSE_FIRST, PAUSE_MOST = 0.5, 60.0
"""Seconds from a try that failed to the next of the same call: doubled each time."""
KEEP_EVERY = 2.0
"""Seconds between writings of the position."""
LOOK_EVERY = 1.0
"""Seconds between looks whether there is somebody to tell by now."""


def signature(secret: bytes, body: bytes) -> str:
    """What the header `X-CTI-Signature` says of a body."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


class DurableFacts(Protocol):
    """The journal, as it is read here."""

    @property
    def journal_id(self) -> str:
        """Which journal this is, for ever."""
        ...

    @property
    def first(self) -> Position:
        """The first position that is retained."""
        ...

    @property
    def end(self) -> Position:
        """The position after the last durable fact."""
        ...

    def records_from(self, position: Position, *, limit: int, before: Position | None = None) -> list[Record]:
        """Durable records from there on."""
        ...

    async def wait_beyond(self, position: Position) -> Position:
        """Wait for more."""
        ...


class Event(Protocol):
    """Something to tell."""

    @property
    def at(self) -> datetime:
        """When it happened."""
        ...

    @property
    def lane(self) -> str:
        """What it is about: events of one lane are told in their order."""
        ...


E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)


class Reading(Protocol[E_co]):
    """Makes events of facts, in the order of the journal."""

    def take(self, fact: Fact, /) -> E_co | None:
        """The event this fact makes, None for most."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[E]):
    position: Position
    event: E


class FactWebhook(ABC, Generic[E]):
    """Tells the webhook `find()` gives, None while the centre has none. `run` is a task of the application's.

    `count` is told what became of each event: "told" or "dropped", and of tries that "failed".
    """

    ABOUT: ClassVar[str]
    """What the log calls it."""

    @abstractmethod
    def _reading(self) -> Reading[E]:
        """A reading from the first fact on."""

    @abstractmethod
    def _wanted(self, hook: Webhook, event: E) -> bool:
        """Whether the receiver is told of such events."""

    @abstractmethod
    async def _message(self, event: E, event_id: str) -> dict[str, Any]:
        """What is sent."""

    def __init__(
        self,
        journal: DurableFacts,
        find: Callable[[], Webhook | None],
        *,
        position_file: Path,
        count: Callable[[str], None] = lambda _result: None,
        clock: Clock | None = None,
        pause: float = PAUSE_FIRST,
    ) -> None:
        self._journal = journal
        self._find = find
        self._file = position_file
        self._count = count
        self._clock = clock or SystemClock()
        self._pause = pause
        self._stories = self._reading()
        self._read = Position(0)
        """Read so far; facts before `_since` were told, or are of before anybody was to be told."""
        self._since = Position(0)
        self._lanes: dict[str, deque[_Waiting[E]]] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._room = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self._kept: Position | None = None
        self._kept_at = 0.0
        self._troubled = False

    def waiting(self) -> int:
        """Events read and not yet told."""
        return sum(map(len, self._lanes.values()))

    async def run(self) -> None:
        """Tell, until cancelled. A fault of the receiver's, or of ours, ends nothing but the event it is about."""
        try:
            while True:
                while self._find() is None:
                    await self._idle()
                if self._session is None:
                    await self._begin()
                await self._turn()
        finally:
            for task in self._workers:
                task.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
            self._keep()
            if self._session is not None:
                await self._session.close()

    async def _idle(self) -> None:
        """Nobody is to be told: whoever will be is told of what comes from then on."""
        if self._session is not None and not self._lanes:
            await self._session.close()
            self._session, self._stories = None, self._reading()
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._file.unlink, missing_ok=True)
        await asyncio.sleep(LOOK_EVERY)

    async def _begin(self) -> None:
        kept = await asyncio.to_thread(self._position)
        first, end = self._journal.first, self._journal.end
        self._since = end if kept is None else Position(max(kept, first))
        if kept is not None and kept < first:
            self._count("dropped")
            log.error(
                "webhook_events_lost", about=self.ABOUT, positions=first - kept, reason="the journal has let them go"
            )
        self._read = first  # calls under way are known from their beginning
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        log.info("webhook_begins", about=self.ABOUT, since=self._since)

    async def _turn(self) -> None:
        if self.waiting() >= MOST_WAITING:
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), LOOK_EVERY)
        else:
            end = self._journal.end
            try:
                records = await asyncio.to_thread(self._journal.records_from, self._read, limit=READ_AT_ONCE)
            except (OSError, CtiError) as error:
                log.error("webhook_journal_unreadable", about=self.ABOUT, error=str(error))
                await asyncio.sleep(LOOK_EVERY)
                return
            for position, fact in decoded(records):
                event = self._stories.take(fact)
                if event is not None and position >= self._since:
                    self._line_up(_Waiting(position, event))
            if records:
                self._read = Position(records[-1].position + 1)
                await asyncio.sleep(GATHER if len(records) < READ_AT_ONCE else 0)
            else:
                self._read = max(self._read, end)  # over the gap a torn tail left
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._journal.wait_beyond(self._read), LOOK_EVERY)
        await self._keep_now_and_then()

    def _line_up(self, waiting: _Waiting[E]) -> None:
        hook = self._find()
        if hook is None or not self._wanted(hook, waiting.event):
            return
        lane = self._lanes.get(waiting.event.lane)
        if lane is not None:
            lane.append(waiting)
            return
        self._lanes[waiting.event.lane] = deque([waiting])
        task = asyncio.create_task(self._work(waiting.event.lane), name=f"{self.ABOUT} webhook")
        self._workers.add(task)
        task.add_done_callback(self._workers.discard)

    async def _work(self, name: str) -> None:
        """Tell the events of one lane in order, until there are no more."""
        lane = self._lanes[name]
        pause = self._pause
        while lane:
            try:
                result = await self._tell(lane[0])
            except Exception:
                log.exception("webhook_event_failed", about=self.ABOUT)
                result = "dropped"
            self._count(result)
            if result == "failed":
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE_MOST)
                continue
            lane.popleft()
            pause = self._pause
            self._room.set()
        del self._lanes[name]

    async def _tell(self, waiting: _Waiting[E]) -> str:
        hook, event = self._find(), waiting.event
        if hook is None or self._session is None:
            return "dropped"
        if (self._clock.now() - event.at) > hook.give_up:
            log.warning("webhook_event_dropped", about=self.ABOUT, lane=event.lane)
            return "dropped"
        event_id = f"{self._journal.journal_id}-{waiting.position}"
        body = orjson.dumps(await self._message(event, event_id))
        try:
            secret = (await asyncio.to_thread(Path(hook.secret_file).read_bytes)).strip()
            if not secret:
                raise ValueError("the secret file is empty")
            headers = {
                "Content-Type": "application/json",
                "Idempotency-Key": event_id,
                SIGNATURE: signature(secret, body),
            }
            async with (
                self._at_once,
                asyncio.timeout(hook.deadline.total_seconds()),
                self._session.post(hook.url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                if 200 <= response.status < 300:
                    self._well()
                    return "told"
                reason = f"HTTP {response.status}"
        except TimeoutError:
            reason = "deadline"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}" if isinstance(error, OSError) else type(error).__name__
        if not self._troubled:
            log.warning("webhook_fails", about=self.ABOUT, reason=reason)
        self._troubled = True
        return "failed"

    def _well(self) -> None:
        if self._troubled:
            log.info("webhook_answers_again", about=self.ABOUT)
        self._troubled = False

    # -- the position

    def _told_before(self) -> Position:
        oldest = min((lane[0].position for lane in self._lanes.values() if lane), default=self._read)
        return Position(max(self._since, min(oldest, self._read)))

    def _position(self) -> Position | None:
        try:
            journal, _, number = self._file.read_text(encoding="ascii").partition(" ")
            return Position(int(number)) if journal == self._journal.journal_id else None
        except (OSError, ValueError):
            return None

    async def _keep_now_and_then(self) -> None:
        now = self._clock.monotonic()
        if now >= self._kept_at + KEEP_EVERY:
            self._kept_at = now
            await asyncio.to_thread(self._keep)

    def _keep(self) -> None:
        if self._session is None or (before := self._told_before()) == self._kept:
            return
        try:
            write_private(self._file, f"{self._journal.journal_id} {before}\n".encode())
            self._kept = before
        except OSError as error:
            log.warning("webhook_position_not_kept", about=self.ABOUT, error=str(error))
