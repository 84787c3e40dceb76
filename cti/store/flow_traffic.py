"""What calls did in a flow, counted from the steps that are stored."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from cti.ids import FlowName
from cti.ivr.drawing import Traffic
from cti.store.pool import naming

GONE = "gone"
"""The exit of a step whose caller hung up (or was taken elsewhere) in it."""

_STEPS = """
SELECT body->>'step' AS step, body->>'result' AS result, body->>'next_step' AS next, count(*) AS calls
  FROM cti.facts
 WHERE kind = 'FlowStepDone' AND body->>'flow' = $1 AND at >= $2 AND at < $3
 GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class StoredFlowTraffic:
    """Counts over `cti.facts`. Raises `RemoteError` when Postgres is away."""

    pool: asyncpg.Pool

    async def traffic(self, flow: FlowName, *, since: datetime, until: datetime) -> Traffic:
        """How often each step was done within `since` <= then < `until`, and by which exit it was left."""
        with naming("the steps of calls cannot be read"):
            rows = await self.pool.fetch(_STEPS, flow, since, until)
        came: Counter[str] = Counter()
        left: Counter[tuple[str, str, str]] = Counter()
        gone: Counter[str] = Counter()
        for row in rows:
            came[row["step"]] += row["calls"]
            if row["result"] == GONE:
                gone[row["step"]] += row["calls"]
            else:
                left[row["step"], row["result"], row["next"] or ""] += row["calls"]
        return Traffic(came=dict(came), left=dict(left), gone=dict(gone))
