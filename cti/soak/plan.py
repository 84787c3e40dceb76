"""Which fault comes when: a list made from a seed, so that a run can be repeated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What can be done to a centre."""

    BRIDGE_KILL = "bridge-kill"
    """SIGKILL to the bridge."""
    BRIDGE_STOP = "bridge-stop"
    """SIGSTOP to the bridge; if nobody ends it, it goes on after `seconds`."""
    AMI_CUT = "ami-cut"
    """The link to Asterisk's manager interface is closed, and no new one to be had."""
    AMI_STALL = "ami-stall"
    """The link stays open and nothing goes through."""
    AMI_SLOW = "ami-slow"
    """A few hundred bytes a second go through."""
    DATABASE_STOP = "database-stop"
    """PostgreSQL is killed and stays away."""
    DATABASE_FREEZE = "database-freeze"
    """All processes of PostgreSQL are stopped (SIGSTOP)."""
    DATABASE_HOLE = "database-hole"
    """Connections to PostgreSQL stay open and swallow everything; new ones too."""
    DATABASE_FULL = "database-full"
    """The disk of PostgreSQL is full."""
    JOURNAL_FULL = "journal-full"
    """The disk of the journal is full: nothing can be made durable."""
    ASTERISK_KILL = "asterisk-kill"
    """SIGKILL to Asterisk: the calls on it are gone, and nothing else may be."""
    DOORS = "doors"
    """Every port is attacked: silence, halves, single bytes, garbage, early ends, floods (`cti.soak.doors`)."""


NEEDS_PROXY = frozenset({Fault.AMI_CUT, Fault.AMI_STALL, Fault.AMI_SLOW, Fault.DATABASE_HOLE})
"""Done on the way between two parts: only on a centre that the soak has started itself."""
NEEDS_OWN_DATABASE = frozenset({Fault.DATABASE_STOP, Fault.DATABASE_FREEZE, Fault.DATABASE_HOLE, Fault.DATABASE_FULL})
"""Done to a database that the soak has started itself."""


NEEDS_DISK = frozenset({Fault.DATABASE_FULL, Fault.JOURNAL_FULL})
"""Done to a small disk that is mounted for it, which root may."""
NEEDS_OWN_CENTRE = NEEDS_PROXY | NEEDS_OWN_DATABASE | NEEDS_DISK


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One fault."""

    wait: float
    """Seconds after the end of the one before."""
    fault: Fault
    seconds: float
    """How long it lasts, where it lasts."""
    bridge_dies: float | None = None
    """The bridge is killed besides, so many seconds after the beginning."""


def plan(
    seed: int,
    faults: Sequence[Fault],
    times: int,
    *,
    gap: tuple[float, float] = (2.0, 12.0),
    lasting: float = 60.0,
    kill_inside: bool = False,
) -> tuple[Planned, ...]:
    """`times` faults, as evenly of all kinds as possible, in an order and at moments that follow from `seed` alone.

    With `kill_inside` the bridge is killed at some moment of each fault that lasts; not of a full journal: what nothing could
    be written of is gone with the process, which is what the alarm is for.
    """
    if not faults:
        return ()
    rng = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    kinds = [faults[number % len(faults)] for number in range(times)]
    rng.shuffle(kinds)
    lasts = frozenset(Fault) - {Fault.BRIDGE_KILL, Fault.ASTERISK_KILL}
    return tuple(
        Planned(
            wait=round(rng.uniform(*gap), 3),
            fault=kind,
            seconds=lasting if kind in lasts else 0.0,
            bridge_dies=(
                round(rng.uniform(0.2, 0.8) * lasting, 3)
                if kill_inside and kind in lasts and kind not in (Fault.BRIDGE_STOP, Fault.JOURNAL_FULL)
                else None
            ),
        )
        for kind in kinds
    )
