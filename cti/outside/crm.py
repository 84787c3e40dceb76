"""Telling another customer system of calls, see `webhook`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cti.clock import Clock
from cti.ids import CustomerId
from cti.model.crm_stories import CrmEvent, Stories, message
from cti.model.outside_crm import Webhook
from cti.outside.webhook import PAUSE_FIRST, SIGNATURE, DurableFacts, FactWebhook, signature

__all__ = ["SIGNATURE", "CrmWebhook", "DurableFacts", "signature"]


class CrmWebhook(FactWebhook[CrmEvent]):
    """`reference` gives the other system's number of a customer."""

    ABOUT = "crm"

    def __init__(
        self,
        journal: DurableFacts,
        find: Callable[[], Webhook | None],
        *,
        position_file: Path,
        reference: Callable[[CustomerId], Awaitable[str]],
        count: Callable[[str], None] = lambda _result: None,
        clock: Clock | None = None,
        pause: float = PAUSE_FIRST,
    ) -> None:
        super().__init__(journal, find, position_file=position_file, count=count, clock=clock, pause=pause)
        self._reference = reference

    def _reading(self) -> Stories:
        return Stories()

    def _wanted(self, hook: Webhook, event: CrmEvent) -> bool:
        return event.kind in hook.events

    async def _message(self, event: CrmEvent, event_id: str) -> dict[str, Any]:
        reference = "" if event.customer_id is None else await self._reference(event.customer_id)
        return message(event, event_id=event_id, reference=reference)
