"""Times of events on our clock, where the machine's was stepped and ours follows slowly (`cti.clock.SteadyClock`)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cti.model.signals import Signal

STEP = timedelta(seconds=0.5)
"""Clocks that differ by less are taken for one."""
LATE_EVENT = timedelta(seconds=10)


def on_our_clock(signal: Signal, now: datetime, ahead: timedelta) -> Signal:
    """A signal with its time on our clock, where the machine's was stepped and ours has not followed yet.

    An event is read milliseconds after it was stamped; what does not come out so was stamped before the step.
    """
    if abs(ahead) < STEP:
        return signal
    at = signal.at + ahead
    return replace(signal, at=at if timedelta() <= now - at <= LATE_EVENT else now)
