"""Who talked with whom last: the floor's memory of callers' numbers, for queues that send people back to the same agent.

A fold over facts, live and on replay, so a restarted bridge knows what its journal remembers. What is older than that the
directory knows (`LookUp.last_talk`); the younger of both counts.
"""

from __future__ import annotations

from cti.model import facts as f
from cti.model.call import Call
from cti.services.ports import Talk

NUMBERS_KEPT = 50_000
"""Days of a busy centre; about 10 MB."""


class LastTalks:
    """The last talk of each number, for the numbers that talked last."""

    def __init__(self, most: int = NUMBERS_KEPT) -> None:
        self._most = most
        self._talks: dict[str, Talk] = {}

    def learn(self, fact: f.Fact, call: Call | None) -> None:
        """Take one fact in. `call` is the call it is about, if it is live."""
        if not isinstance(fact, f.TalkEnded) or call is None or call.caller_number is None:
            return
        # Taken out and put in again, so that the dictionary's order is the order of the talks.
        self._talks.pop(call.caller_number, None)
        self._talks[call.caller_number] = Talk(agent_id=fact.agent_id, at=fact.at)
        if len(self._talks) > self._most:
            del self._talks[next(iter(self._talks))]

    def of(self, number: str | None) -> Talk | None:
        """The last talk with this number; None when none is remembered, and for a number that is withheld."""
        return self._talks.get(number) if number is not None else None

    def __len__(self) -> int:
        return len(self._talks)
