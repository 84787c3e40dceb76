"""The outside customer system put together: who is asked when somebody calls, and who is told of calls."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from cti.clock import Clock
from cti.crm.directory import CustomerDirectory
from cti.errors import CtiError
from cti.ids import CustomerId
from cti.metrics.registry import Metrics
from cti.model.outside_crm import OutsideCrm
from cti.outside.crm import CrmWebhook, DurableFacts
from cti.services.outside_directory import KeptCustomers, OutsideDirectory
from cti.services.ports import Services

POSITION = "crm_webhook.position"
"""The file that says how far the webhook was told."""
MOST_REFERENCES = 5000


class OutsideCrmWork:
    """`directory` for the dispatcher; `run` in the background."""

    def __init__(
        self,
        own: CustomerDirectory,
        *,
        services: Services,
        kept: KeptCustomers,
        journal: DurableFacts,
        crm: Callable[[], OutsideCrm],
        folder: Path,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._own = own
        self._references: OrderedDict[CustomerId, str] = OrderedDict()
        self.directory = OutsideDirectory(
            own,
            services,
            kept,
            crm,
            forget=own.forget,
            count=lambda result: metrics.crm_look_ups.labels(result=result).inc(),
            clock=clock,
        )
        self.webhook = CrmWebhook(
            journal,
            lambda: crm().webhook,
            position_file=folder / POSITION,
            reference=self._reference,
            count=lambda result: metrics.crm_events.labels(result=result).inc(),
            clock=clock,
        )
        for result in ("told", "failed", "dropped"):
            metrics.crm_events.labels(result=result)  # there from the first scrape on, at 0

    async def run(self) -> None:
        """Tell the webhook, for ever."""
        await self.webhook.run()

    async def close(self) -> None:
        """End what is still under way; before the directory of our own file."""
        await self.directory.close()

    async def _reference(self, customer_id: CustomerId) -> str:
        """The other system's number of a customer; empty where there is none, or the file does not answer."""
        if (known := self._references.get(customer_id)) is not None:
            return known
        card = None
        with contextlib.suppress(CtiError):
            card = await self._own.card(customer_id)
        if card is not None and card.reference:
            self._references[customer_id] = card.reference
            while len(self._references) > MOST_REFERENCES:
                self._references.popitem(last=False)
            return card.reference
        return ""
