"""The names an expression of a flow may use, their types, and which of them have a value at a step.

caller.number  text    E.164, empty when withheld        customer.known  flag    exactly one customer was found
call.did       text    the number that was dialled       customer.tier   text    empty unless known
call.language  text                                      customer.name   text    empty unless known
now.hour now.minute now.weekday (1 is Monday) now.day now.month now.year   numbers, the centre's local time
answer.<name>  text    digits a `collect` step kept      <name>          what a `set` step gave it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from cti.ivr.expression import Expression, Kind, Value, names_in

if TYPE_CHECKING:
    from cti.ivr.flow import Flow

GIVEN: Mapping[str, Kind] = {
    "caller.number": Kind.TEXT,
    "call.did": Kind.TEXT,
    "call.language": Kind.TEXT,
    "customer.known": Kind.FLAG,
    "customer.tier": Kind.TEXT,
    "customer.name": Kind.TEXT,
}
"""Known from the beginning of every call; those of the customer say something once `look_up_customer` was there."""
CLOCK: Mapping[str, Kind] = {
    f"now.{part}": Kind.NUMBER for part in ("hour", "minute", "weekday", "day", "month", "year")
}
NOBODY: Mapping[str, Value] = {
    "caller.number": "",
    "call.did": "",
    "customer.known": False,
    "customer.tier": "",
    "customer.name": "",
}
"""Values of `GIVEN` (but the language) before anything is known."""


def needs_clock(trees: Iterable[Expression]) -> bool:
    """Whether one of the expressions asks for the time."""
    return any(name in CLOCK for tree in trees for name in names_in(tree))


def clock_values(local: datetime) -> Mapping[str, Value]:
    """`now.*` at a moment of the centre's local time."""
    numbers = (local.hour, local.minute, local.isoweekday(), local.day, local.month, local.year)
    return dict(zip(CLOCK, map(Decimal, numbers), strict=True))


def assigned_before(flow: Flow) -> Mapping[str, frozenset[str]]:
    """For each step, the names that have a value whichever way the call came there (given names are not among them).

    The greatest fixed point of: what every predecessor had, and what it gave on the exit that leads here.
    """
    everything = frozenset(name for step in flow.steps.values() for name in step.gives())
    before = dict.fromkeys(flow.steps, everything)
    for entry in (flow.start.step, flow.failure.step):
        if entry in before:
            before[entry] = frozenset()
    changed = True
    while changed:
        changed = False
        for step in flow.steps.values():
            for exit_ in step.exits():
                there = exit_.target.step
                arriving = before[step.name] | frozenset(step.gives() if exit_.name in step.giving else ())
                if there in before and not before[there] <= arriving:
                    before[there] = before[there] & arriving
                    changed = True
    return before


def lost_at(flow: Flow, step: str) -> frozenset[str]:
    """Names that had a value when the call came to `step` and are asked for from there on: what a session that begins
    there, after a restart, would miss."""
    seen: set[str] = set()
    used: set[str] = set()
    ahead = [step]
    while ahead:
        here = flow.steps.get(ahead.pop())
        if here is None or here.name in seen:
            continue
        seen.add(here.name)
        used |= here.uses()
        ahead += [exit_.target.step for exit_ in here.exits()]
    return frozenset(used) & assigned_before(flow).get(step, frozenset())
