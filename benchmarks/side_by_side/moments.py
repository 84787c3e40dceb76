"""What the watching manager session saw, and the times computed from it. Only Asterisk's own time stamps are used."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cti.asterisk.ami.wire import AmiMessage, AmiReader


@dataclass(slots=True)
class Seen:
    """Moments of one block, in seconds since the epoch."""

    entered: dict[str, float] = field(default_factory=dict)
    """Caller's unique id -> when the caller stood in the queue: QueueCallerJoin, or our user event CtiWait (the first)."""
    dialled: list[tuple[float, str, str]] = field(default_factory=list)
    """DialBegin: when, caller's unique id, agent."""
    gone: list[tuple[float, str]] = field(default_factory=list)
    """Hangup of an agent's leg: when, agent."""

    def take(self, event: Mapping[str, str] | AmiMessage, agents: frozenset[str]) -> None:
        """Note one event."""
        name = event.get("Event") or ""
        at = float(event.get("Timestamp") or 0)
        if name == "QueueCallerJoin" or (name == "UserEvent" and event.get("UserEvent") == "CtiWait"):
            self.entered.setdefault(event.get("Uniqueid") or "", at)
        elif name == "DialBegin":
            agent = agent_of(event.get("DestChannel") or "")
            if agent in agents:
                self.dialled.append((at, event.get("Uniqueid") or "", agent))
        elif name == "Hangup":
            agent = agent_of(event.get("Channel") or "")
            if agent in agents:
                self.gone.append((at, agent))


def agent_of(channel: str) -> str:
    """`PJSIP/2001-0000002a` -> `2001`."""
    return channel.removeprefix("PJSIP/").rpartition("-")[0]


def free_to_next_offer(seen: Seen) -> tuple[list[float], int]:
    """Seconds from an agent's leg being gone to the next DialBegin to that agent, while somebody waited for it.

    Only those are counted at which, when the agent became free, more callers stood in the queue than agents were free
    already; at the edges of a block, where no queue stands, there is nothing to measure. Gives also how many those were.
    """
    first_dial: dict[str, float] = {}
    by_agent: dict[str, list[float]] = {}
    for at, caller, agent in sorted(seen.dialled):
        first_dial.setdefault(caller, at)
        by_agent.setdefault(agent, []).append(at)
    came = sorted(at for caller, at in seen.entered.items() if caller in first_dial)
    left = sorted(at for caller, at in first_dial.items() if caller in seen.entered)
    went = sorted(at for at, _ in seen.gone)
    starts = sorted(at for at, _, _ in seen.dialled)
    found: list[float] = []
    skipped = 0
    for at, agent in seen.gone:
        dials = by_agent.get(agent, [])
        index = bisect_right(dials, at)
        standing = bisect_left(came, at) - bisect_right(left, at)
        # Agents with a leg: begun minus ended. This one's end is at `at` itself.
        free = len(by_agent) - (bisect_right(starts, at) - bisect_right(went, at))
        if index == len(dials) or standing < free:
            skipped += 1
            continue
        found.append(dials[index] - at)
    return found, skipped


def entry_to_ring(seen: Seen, entered: Mapping[str, float]) -> list[float]:
    """Seconds from a caller's place in the queue to the first DialBegin for that caller."""
    first: dict[str, float] = {}
    for at, caller, _ in sorted(seen.dialled):
        first.setdefault(caller, at)
    return [first[caller] - at for caller, at in entered.items() if caller in first]


def per_second(ends: Iterable[float]) -> float:
    """Calls a second, from the moments they ended: of the middle eight tenths, where the loop was closed."""
    ordered = sorted(ends)
    low, high = len(ordered) // 10, len(ordered) - len(ordered) // 10 - 1
    return (high - low) / (ordered[high] - ordered[low])


class Watcher:
    """A manager session that keeps what Asterisk says, unread, and reads it afterwards: it must not disturb."""

    def __init__(self, port: int, user: str, secret: str) -> None:
        self._port, self._user, self._secret = port, user, secret
        self._bytes = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Watcher:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
        self._writer.write(
            f"Action: Login\r\nUsername: {self._user}\r\nSecret: {self._secret}\r\nActionID: in\r\n\r\n".encode()
        )
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"\r\n\r\n")
            while b"Response:" not in answer:
                answer = await reader.readuntil(b"\r\n\r\n")
        if b"Success" not in answer:
            raise RuntimeError(f"the watcher was not let in: {answer!r}")
        self._task = asyncio.create_task(self._keep(reader))
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._task is not None
        assert self._writer is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._writer.close()

    async def _keep(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1 << 20):
            self._bytes += data
        raise RuntimeError("Asterisk closed the watching session")

    def seen(self, agents: frozenset[str]) -> Seen:
        """All since the last time."""
        data, self._bytes = bytes(self._bytes), bytearray()
        reader = AmiReader()
        reader.feed(b"Asterisk Call Manager/0.0.0\r\n")
        seen = Seen()
        for message in reader.feed(data):
            seen.take(message, agents)
        return seen
