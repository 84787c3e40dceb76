"""By what the queues of a centre are judged."""

from __future__ import annotations

from cti.ids import QueueName
from cti.model.centre import Centre
from cti.reports.counted import QueueRules


def rules_of(centre: Centre) -> dict[QueueName, QueueRules]:
    """The rules of every queue as the centre has them now."""
    return {
        name: QueueRules(
            service_level=queue.service_level,
            short_abandon=queue.short_abandon,
            level_of=queue.service_level_of,
        )
        for name, queue in centre.queues.items()
    }
