"""Whether a link is alive, and how far behind it is: judged by how old the answers to its pings are, as heard by ears that
may have been closed themselves.

Theory of operation. Pings are sent often, and not one after the other's answer: on a link that is slow each answer would be
waited for, and its lateness seen that much later. How old a ping is is counted in *our own waking time*: whoever looks after
the pulse means to wake up every so often, and what it oversleeps does not count. A process that was kept from the processor
for a second did not listen for that second, so it cannot say that nothing came; and on a machine where we are late, the other
side is as well.

Asterisk answers one manager session's actions one after another. A ping behind one that takes long (a list of all channels,
a reload) is answered after it, and has more time.

Pure: monotonic seconds are given.
"""

from __future__ import annotations

from dataclasses import dataclass

SLACK = 0.02
"""Seconds: a timer is never exact, and a wake-up that is late by less counts as it is."""


@dataclass(slots=True, kw_only=True)
class _Ping:
    """A ping that is not answered yet."""

    sent: float
    """In our waking time."""
    bytes_came: bool
    """Whether anything came since."""
    busy: bool
    """Whether something that takes long was asked before it."""


class Pulse:
    """Judges one link. All lengths in seconds."""

    def __init__(self, now: float, *, patience: float, behind: float, busy: float) -> None:
        """`patience`: how old a ping may become while nothing comes at all; `behind`: while other bytes come; `busy`: where
        something that takes long was asked before it."""
        self._patience, self._behind, self._busy = patience, behind, busy
        self._woke = now
        self._awake = 0.0
        self._pings: dict[int, _Ping] = {}
        self._count = 0

    def woke(self, now: float, *, meant: float) -> None:
        """We slept until now, and meant to sleep `meant` seconds."""
        self._awake += min(now - self._woke, meant + SLACK)
        self._woke = now

    def sent(self, *, busy: bool) -> int:
        """A ping leaves now. Gives its number."""
        self._count += 1
        self._pings[self._count] = _Ping(sent=self._awake, bytes_came=False, busy=busy)
        return self._count

    def answered(self, number: int) -> None:
        """Its answer came. Unknown numbers are none of our business."""
        self._pings.pop(number, None)

    def heard(self) -> None:
        """Bytes came, whatever they were."""
        for ping in self._pings.values():
            ping.bytes_came = True

    def late(self) -> float | None:
        """How old the eldest unanswered ping is, when that is too old; None: the link is well."""
        for ping in self._pings.values():
            age = self._awake - ping.sent
            if age > (self._busy if ping.busy else self._behind if ping.bytes_came else self._patience):
                return age
        return None
