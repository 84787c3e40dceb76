"""What agents' time went into: the states they chose, with what calls made of them on top.

At each moment an agent is in one state: what a call made of them where one did, else what they chose. Of several at once the
first of `FIRST` counts. Nothing is counted while the agent is offline and no call is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from cti.model.facts import AgentState
from cti.reports.counted import milliseconds
from cti.reports.slots import HALF_HOUR, day_start, half_hour_of
from cti.reports.talks import Activity

FIRST = (
    AgentState.HELD,
    AgentState.TALKING,
    AgentState.DIALLING,
    AgentState.RINGING,
    AgentState.RESERVED,
    AgentState.WRAP_UP,
)
BUSY = frozenset(FIRST)
_RANK = {state: rank for rank, state in enumerate(FIRST)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """From `at` on the agent has chosen this."""

    at: datetime
    state: AgentState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One agent in one state."""

    began_at: datetime
    ended_at: datetime
    state: AgentState
    reason: str = ""


def stretches(
    chosen: Sequence[Chosen], activities: Iterable[Activity], *, since: datetime, until: datetime
) -> tuple[Stretch, ...]:
    """One agent's time from `since` to `until`, in order and without gaps but offline. Moments are cut to whole milliseconds.

    `chosen` in the order of time; before the first the agent is offline.
    """
    took = [activity for activity in activities if activity.began_at < until and activity.ended_at > since]
    borders = {since, until}
    borders |= {moment for one in took for moment in (one.began_at, one.ended_at) if since < moment < until}
    borders |= {one.at for one in chosen if since < one.at < until}
    moments = sorted({_whole(moment) for moment in borders})
    found: list[Stretch] = []
    running: list[Activity] = []
    coming = sorted(took, key=lambda one: one.began_at, reverse=True)
    choices = list(chosen)
    now = Chosen(at=since, state=AgentState.OFFLINE)
    index = 0
    for began, ended in pairwise(moments):
        while coming and _whole(coming[-1].began_at) <= began:
            running.append(coming.pop())
        running = [one for one in running if _whole(one.ended_at) > began]
        while index < len(choices) and _whole(choices[index].at) <= began:
            now = choices[index]
            index += 1
        state, reason = now.state, now.reason
        if running:
            state, reason = min((one.state for one in running), key=_RANK.__getitem__), ""
        if state is AgentState.OFFLINE:
            continue
        if state is not AgentState.NOT_READY:
            reason = ""
        last = found[-1] if found else None
        if last is not None and (last.state, last.reason, last.ended_at) == (state, reason, began):
            found[-1] = Stretch(began_at=last.began_at, ended_at=ended, state=state, reason=reason)
        else:
            found.append(Stretch(began_at=began, ended_at=ended, state=state, reason=reason))
    return tuple(found)


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def by_half_hour(times: Iterable[Stretch], zone: ZoneInfo) -> dict[tuple[datetime, AgentState, str], int]:
    """(beginning of the half-hour, state, reason) -> milliseconds. Together they are as long as the stretches."""
    found: dict[tuple[datetime, AgentState, str], int] = {}
    for one in times:
        for slot, part in _pieces(one.began_at, one.ended_at, zone):
            key = (slot, one.state, one.reason)
            found[key] = found.get(key, 0) + part
    return found


def _pieces(began: datetime, ended: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, int]]:
    at = began
    while at < ended:
        slot = half_hour_of(at, zone)
        until = min(ended, max(slot + HALF_HOUR, at + timedelta(milliseconds=1)))
        yield slot, milliseconds(until - at)
        at = until


Used = dict[tuple[date, str], int]
"""(day, reason) -> milliseconds not ready."""
AllowedAt = Callable[[str, datetime], int | None]
"""How many milliseconds a day may be spent on a reason, as it was when the day began; None: as many as one likes."""


def beyond_allowed(
    times: Mapping[tuple[datetime, AgentState, str], int], used: Used, allowed: AllowedAt, zone: ZoneInfo
) -> dict[tuple[datetime, AgentState, str], int]:
    """What of one agent's time lies beyond what the day has for its reason, as `by_half_hour` gives the time.

    `used`: what was used up of these days before; it goes on counting.
    """
    found: dict[tuple[datetime, AgentState, str], int] = {}
    for key in sorted(times):
        slot, state, reason = key
        if state is not AgentState.NOT_READY:
            continue
        day = slot.astimezone(zone).date()
        before = used.get((day, reason), 0)
        used[day, reason] = after = before + times[key]
        limit = allowed(reason, day_start(day, zone))
        if limit is not None and after > limit:
            found[key] = after - max(before, limit)
    return found


def amounts_of(state: AgentState, ms: int, over: int = 0) -> Mapping[str, int]:
    """What so much time in a state, `over` of it beyond what is allowed, adds to the figures of the agent."""
    busy, ready = state in BUSY, state is AgentState.READY
    return {
        "ms": ms,
        "signed_in_ms": ms,
        "ready_ms": ms if ready else 0,
        "busy_ms": ms if busy else 0,
        "not_ready_ms": ms if state is AgentState.NOT_READY else 0,
        "staffed_ms": ms if busy or ready else 0,
        "over_ms": over,
        "kept_ms": ms - over,
    }
