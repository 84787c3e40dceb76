"""What a supervisor may send about a waiting call."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cti.web.operations import Body

DAY = 86_400.0

Reason = Annotated[str, Field(min_length=1, max_length=200)]
"""Why it is done; it is kept with the call."""


class PriorityBody(Body):
    """The priority a waiting call has from now on; what is left out stays as it is."""

    head_start: Annotated[float, Field(ge=-DAY, le=DAY)] | None = None
    """Seconds the call is ranked as if it had waited longer; replaces what it had."""
    strict: Annotated[int, Field(ge=0, le=99)] | None = None
    """Class of strict priority: a higher one goes before all of a lower, however long these have waited."""
    front: bool = False
    """Before everybody else in the queue."""
    reason: Reason


class QueueBody(Body):
    """The queue a waiting call goes to; the time it has waited counts there."""

    queue: Annotated[str, Field(min_length=1, max_length=64)]
    reason: Reason
