"""Who owns the floor, where two bridges stand by for one centre: one process's own view of its lease.

A lease has a token that rises with every owner, and ends by the database's clock when its holder does not renew it. What is
kept here is the other side: when the holder heard last that the lease is still its own. A process that was frozen for a
minute wakes up in the middle of a line and knows nothing of that minute; so nothing is done on a word older than the lease
lasts (Gray and Cheriton, "Leases", 1989, and the fencing tokens of Chubby). A token that Asterisk knows and that is higher than
ours ends it as well: then another one has taken over, whatever our clock says.

Pure: monotonic seconds are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """How this process stands to the floor."""

    OWNER = "owner"
    """It decides."""
    UNSURE = "unsure"
    """Its last word is too old: nothing is done until there is a new one."""
    LOST = "lost"
    """Another one decides. It stays so: a process that lost the floor ends, and comes back as one who stands by."""


@dataclass(slots=True, kw_only=True)
class Ownership:
    """One process's right to act. `hold` is how long a lease lasts, in seconds; `heard` when the last word came."""

    token: int
    hold: float
    heard: float
    shared: bool = True
    """False: nobody else stands by, and nothing can be lost."""
    lost_to: int | None = None
    """The higher token that ended it; 0 when the database said no without naming one."""

    def standing(self, now: float) -> Standing:
        """How we stand at `now`."""
        if self.lost_to is not None:
            return Standing.LOST
        if self.shared and now - self.heard > self.hold:
            return Standing.UNSURE
        return Standing.OWNER

    def renewed(self, asked: float) -> None:
        """The database said yes to a question of `asked`: the lease lasts from before the question on, not from the answer."""
        if self.lost_to is None:
            self.heard = max(self.heard, asked)

    def unanswered(self, asked: float) -> None:
        """The database does not answer. Whoever would take over needs it, too, so the floor stays ours: calls never wait for
        the database. Whoever can reach it while we cannot is stopped by the token in Asterisk (`seen`)."""
        self.renewed(asked)

    def refused(self, token: int) -> None:
        """The database names another holder."""
        if self.shared and self.lost_to is None:
            self.lost_to = token

    def seen(self, token: int) -> None:
        """Asterisk knows this token."""
        if self.shared and token > self.token and self.lost_to is None:
            self.lost_to = token
