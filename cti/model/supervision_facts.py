"""What supervisors, and whoever else works with the pages, did: the audit log, as facts."""

from __future__ import annotations

from dataclasses import dataclass

from cti.ids import QueueName
from cti.model.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted(Fact):
    """Somebody did something that others must be able to look up: one line of the audit log. Never changed, never deleted.

    Names of customers, their numbers and what was said are not in it: ids only.
    """

    by: str
    """The user's name."""
    role: str
    act: str
    """The operation of the API ("call_listen"); a name of its own where it was done in another way."""
    subject: str
    """What it was done to, "call:pbx1-1700000000.1", "agent:1001", "queue:support", "recording:...", "form:3"."""
    queue: QueueName | None = None
    """The queue by which it was allowed."""
    before: tuple[tuple[str, str], ...] = ()
    """What was changed, as it was: (field, value)."""
    after: tuple[tuple[str, str], ...] = ()
    """The same as it is now."""
    reason: str = ""


FACTS = (Acted,)
