"""Puts invented weeks (`history`) into the journal of a data folder that has none yet."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from cti.demo.history import Known, weeks
from cti.ids import CustomerId, NodeName
from cti.journal.writer import JournalWriter
from cti.model.centre import Centre

BATCH = 2000
"""Facts of one write."""


async def invent(
    journal: Path,
    centre: Centre,
    callers: Iterable[tuple[int, str, str, str]],
    now: datetime,
    *,
    days: int,
    node: NodeName,
) -> int:
    """Write the facts of `days` invented days, in the order they happened; how many they were. See `cti.crm.demo.callers`."""
    known = [Known(customer_id=CustomerId(c), number=n, tier=tier, language=lang) for c, n, tier, lang in callers]
    facts = sorted(weeks(centre, known, now, days=days, node=node), key=lambda fact: fact.at)
    async with JournalWriter(journal) as writer:
        for start in range(0, len(facts), BATCH):
            await writer.append(facts[start : start + BATCH])
    return len(facts)
