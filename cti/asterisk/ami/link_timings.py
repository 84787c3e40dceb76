"""How long what may take on the link to Asterisk's manager interface."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTimings:
    """Deadlines and pauses of the link. A stalled link is noticed after `ping_interval + ping_patience` at the latest, one that
    is slow when it is `ping_reply` behind; by so much later as our own event loop was late meanwhile."""

    connect: timedelta = timedelta(seconds=3)
    login: timedelta = timedelta(seconds=5)
    boot: timedelta = timedelta(seconds=60)
    """From login to FullyBooted; Asterisk opens the port before it has loaded everything."""
    action: timedelta = timedelta(seconds=5)
    ping_interval: timedelta = timedelta(seconds=0.1)
    """A ping and its answer are 150 bytes: 12 kbit a second, and a link that has not even that shows it by them, also where
    nothing else is said on it."""
    ping_patience: timedelta = timedelta(seconds=1.5)
    """Silence after a ping that means the link is dead."""
    ping_reply: timedelta = timedelta(seconds=1.2)
    """Longest wait for a ping's own reply while other bytes still arrive: what comes is by so much too old to act on, and a
    snapshot is sooner there than the rest of it."""
    ping_busy: timedelta = timedelta(seconds=2.5)
    """Longest wait for one that was sent while Asterisk boots, or works on a question with a deadline longer than `action`."""
    first_retry: timedelta = timedelta(seconds=0.2)
    longest_retry: timedelta = timedelta(seconds=1)
    unreachable_retry: timedelta = timedelta(seconds=0.4)
    """The longest while nobody listens: an Asterisk that was killed is back in seconds, and asking costs nothing."""
    steady: timedelta = timedelta(seconds=10)
    """A link that lived this long starts the next retries from `first_retry` again."""

    def pause(self, failures: int, jitter: float) -> float:
        """Seconds before the next attempt after `failures` in a row (from 1). `jitter` 0..1 spreads it over half to full."""
        full = self.first_retry.total_seconds() * 2.0 ** min(failures - 1, 16)
        return min(full, self.longest_retry.total_seconds()) * (0.5 + 0.5 * jitter)
