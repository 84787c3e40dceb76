"""The audit log as whoever acts sees it: what was done is a fact in the journal, so no database need be there."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol

from cti.clock import Clock
from cti.ids import QueueName
from cti.model.supervision_facts import Acted
from cti.services.ports import Journal

written: ContextVar[list[str] | None] = ContextVar("written", default=None)
"""The acts that were written down while one request was served: whoever serves requests sets it, so that what an operation has
told itself is not told again in its name."""


class Acts(Protocol):
    """Where acts are written down."""

    async def acted(
        self,
        *,
        by: str,
        role: str,
        act: str,
        subject: str,
        queue: QueueName | None = None,
        before: Mapping[str, str] | None = None,
        after: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> None:
        """Write down one act, see `cti.model.supervision_facts.Acted`; returns when it is durable."""
        ...


class JournalActs:
    """`Acts` that end up in the journal, and from there in `report.acts`."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    async def acted(
        self,
        *,
        by: str,
        role: str,
        act: str,
        subject: str,
        queue: QueueName | None = None,
        before: Mapping[str, str] | None = None,
        after: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> None:
        """See `Acts.acted`."""
        fact = Acted(
            at=self._clock.now(),
            by=by,
            role=role,
            act=act,
            subject=subject,
            queue=queue,
            before=tuple((before or {}).items()),
            after=tuple((after or {}).items()),
            reason=reason,
        )
        so_far = written.get()
        if so_far is not None:
            so_far.append(act)
        await self._journal.append([fact])
