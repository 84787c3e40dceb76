"""What the bridge as a whole counts: breaches of the books, and what came of today's expected waits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from cti.errors import RemoteError
from cti.ids import QueueName
from cti.metrics.registry import Metrics
from cti.model import facts as f
from cti.observe import Observer
from cti.services.audit import REPAIRS
from cti.store.explain import QueueAccuracy, StoredExplanations, WaitAccuracy

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SUPPORT = QueueName("support")


class Clock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


class Stored:
    """Gives one answer after another; the last asked for ends the watching."""

    def __init__(self, *answers: Mapping[QueueName, QueueAccuracy] | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[datetime, datetime]] = []
        self.done = asyncio.Event()

    async def accuracy(self, *, since: datetime, until: datetime) -> Mapping[QueueName, QueueAccuracy]:
        self.asked.append((since, until))
        answer = self.answers.pop(0)
        if not self.answers:
            self.done.set()
        if answer is None:
            raise RemoteError("the database cannot be reached")
        return answer


def test_every_kind_of_breach_is_there_at_nought_and_counts() -> None:
    metrics = Metrics()
    observer = Observer(metrics)
    for kind in REPAIRS:
        assert metrics.registry.get_sample_value("cti_conservation_breaches_total", {"kind": kind}) == 0
    observer.facts([f.BreachRepaired(at=NOW, kind="caller_overlooked")], NOW)
    assert metrics.registry.get_sample_value("cti_conservation_breaches_total", {"kind": "caller_overlooked"}) == 1


async def test_what_came_of_expected_waits_is_shown_and_stays_while_the_database_is_away() -> None:
    accuracy = WaitAccuracy(promises=4, mean_error=-2.5, mean_absolute_error=6.0, inside=0.75, mean_wait=30.0)
    stored = Stored({SUPPORT: QueueAccuracy(joined=accuracy)}, None, None)
    zones = iter(["Asia/Shanghai"])
    metrics = Metrics()
    observer = Observer(metrics)
    watching = asyncio.create_task(
        observer.watch_promises(cast(StoredExplanations, stored), lambda: next(zones, "UTC"), Clock(), every=0.0)
    )
    await asyncio.wait_for(stored.done.wait(), 5)
    watching.cancel()
    for name, value in (
        ("cti_expected_wait_promises", 4),
        ("cti_expected_wait_error_seconds", -2.5),
        ("cti_expected_wait_absolute_error_seconds", 6.0),
        ("cti_expected_wait_inside_ratio", 0.75),
    ):
        assert metrics.registry.get_sample_value(name, {"queue": SUPPORT}) == value
    # By the clock the centre has by now.
    assert stored.asked[0] == (datetime(2026, 3, 1, 16, 0, tzinfo=UTC), NOW)
    assert stored.asked[1] == (NOW.replace(hour=0, minute=0, second=0, microsecond=0), NOW)
