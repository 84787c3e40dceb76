"""Three ledgers of the same calls, kept by parts that do not ask each other, and what they disagree about. Pure.

SIP: what the callers' side saw. Asterisk: its event ledger (CEL). Postgres: our records. Callers have a number of their own
each, so a call is the same in all three by its number.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

TALK_TOLERANCE = 1.0
"""Seconds by which two ledgers may differ about the length of a talk."""
END_TOLERANCE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SipCall:
    """A call as the caller's side saw it."""

    number: str
    answered: bool
    ended: str
    """left: the caller hung up; dropped: the other side did; failed: anything else; open: still there."""


@dataclass(slots=True, kw_only=True)
class AsteriskCall:
    """A call in Asterisk's event ledger."""

    call_id: str
    number: str
    began_at: float
    ended_at: float | None = None
    """None: no end was written (Asterisk was killed)."""
    talks: list[tuple[float, float | None]] = field(default_factory=list)
    """From and until when the caller was in a bridge."""
    survival: bool = False

    def talked(self) -> float:
        """Seconds in a bridge, as far as their end is known."""
        return sum(end - begin for begin, end in self.talks if end is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCall:
    """A row of report.calls."""

    call_id: str
    number: str
    outcome: str
    ended_at: float
    talk_seconds: float | None
    queued_at: datetime | None = None
    offered_at: datetime | None = None
    answered_at: datetime | None = None

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> StoredCall:
        """A row with `STORED_COLUMNS` of report.calls."""
        return cls(
            call_id=row["call_id"],
            number=row["caller_number"] or "",
            outcome=row["outcome"],
            ended_at=row["ended_at"].timestamp(),
            talk_seconds=None if row["talk_seconds"] is None else float(row["talk_seconds"]),
            queued_at=row["queued_at"],
            offered_at=row["offered_at"],
            answered_at=row["answered_at"],
        )


STORED_COLUMNS = "call_id, caller_number, outcome, ended_at, talk_seconds, queued_at, offered_at, answered_at"
"""What `StoredCall.of_row` reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the comparison found; all lists but `kept` are of numbers or call ids, and empty when all is well."""

    calls: int
    dropped: tuple[str, ...]
    """Ended by our side though the caller stayed, and not after a message."""
    messages: int
    """Ended by our side after a message was taken (voicemail): no drop, but nobody served them."""
    refused: tuple[str, ...]
    """Never answered."""
    lost: tuple[str, ...]
    """In SIP or in Asterisk's ledger, not in Postgres."""
    doubled: tuple[str, ...]
    """More than one record, or more than one end."""
    invented: tuple[str, ...]
    """In Postgres only."""
    unlike: tuple[str, ...]
    """Talk or end differ by more than the tolerance, in words."""
    inversions: int
    """Pairs served against their order in the bridge's line though both waited at the time."""
    negative: tuple[str, ...]
    """Records with a time before the one it follows."""
    survived: int
    """Calls that went by Asterisk's own queue."""

    def clean(self, *, drops_allowed: bool = False) -> bool:
        """Whether nothing is to be complained of; a killed Asterisk drops its calls."""
        wrong = (self.lost, self.doubled, self.invented, self.unlike, self.inversions, self.negative)
        return not any(wrong) and (drops_allowed or not (self.dropped or self.refused))


def asterisk_calls(lines: Iterable[str]) -> dict[str, AsteriskCall]:
    """Read the event ledger (columns: `cti.asterisk.render.LEDGER_COLUMNS`); the callers' calls by id."""
    calls: dict[str, AsteriskCall] = {}
    for row in csv.reader(lines):
        if len(row) < 10:
            continue  # its last line may be half written
        event, at, channel, extra = row[0], float(row[1]), row[2], row[9]
        if event == "CTI_INBOUND":
            call_id, number, _did = json.loads(extra)["extra"].split("|")
            calls[channel] = AsteriskCall(call_id=call_id, number=number, began_at=at)
            continue
        call = calls.get(channel)
        if call is None:
            continue
        if event == "BRIDGE_ENTER":
            call.talks.append((at, None))
        elif event == "BRIDGE_EXIT" and call.talks and call.talks[-1][1] is None:
            call.talks[-1] = (call.talks[-1][0], at)
        elif event == "HANGUP":
            call.ended_at = at
        elif event == "CTI_SURVIVAL":
            call.survival = True
    return calls


def compare(
    sip: Sequence[SipCall],
    asterisk: Mapping[str, AsteriskCall],
    stored: Sequence[StoredCall],
    *,
    ends: Mapping[str, int] | None = None,
    numbers: str = "",
) -> Verdict:
    """Compare. `ends`: how many facts of an end a call id has; `numbers`: what the numbers of our callers begin with."""
    ours = {call_id: call for call_id, call in asterisk.items() if call.number.startswith(numbers)}
    rows = [row for row in stored if row.number.startswith(numbers)]
    by_id = {row.call_id: row for row in rows}
    told = {call.number for call in ours.values()}
    answered = {call.number for call in sip if call.answered}
    in_rows = Counter(row.number for row in rows)
    ended = {call.number for call in sip if call.answered and call.ended in ("dropped", "failed")}
    left_message = {row.number for row in rows if row.outcome == "voicemail"}
    survival = {call_id for call_id, call in ours.items() if call.survival}
    lost = sorted({*(answered - set(in_rows)), *(i for i in ours if i not in by_id), *(answered - told)})
    doubled = sorted(
        {*(number for number, count in in_rows.items() if count > 1), *(i for i, n in (ends or {}).items() if n > 1)}
    )
    return Verdict(
        calls=len(sip),
        dropped=tuple(sorted(ended - left_message)),
        messages=len(ended & left_message),
        refused=tuple(sorted(call.number for call in sip if not call.answered)),
        lost=tuple(lost),
        doubled=tuple(doubled),
        invented=tuple(sorted(i for i in by_id if i not in ours)),
        unlike=tuple(_unlike(ours, by_id)),
        inversions=inversions([row for row in rows if row.call_id not in survival]),
        negative=tuple(sorted(row.call_id for row in rows if _backwards(row))),
        survived=len(survival),
    )


def _unlike(asterisk: Mapping[str, AsteriskCall], stored: Mapping[str, StoredCall]) -> Iterable[str]:
    for call_id, call in sorted(asterisk.items()):
        row = stored.get(call_id)
        if row is None or call.ended_at is None or any(end is None for _, end in call.talks):
            continue  # lost is told elsewhere; what a killed Asterisk did not write cannot be compared
        if abs(row.ended_at - call.ended_at) > END_TOLERANCE:
            yield f"{call_id}: ended {row.ended_at - call.ended_at:+.1f} s"
        if abs((row.talk_seconds or 0.0) - call.talked()) > TALK_TOLERANCE:
            yield f"{call_id}: talk {row.talk_seconds} s, Asterisk {call.talked():.1f} s"
        if (row.outcome == "answered") != bool(call.talks):
            yield f"{call_id}: outcome {row.outcome}, {len(call.talks)} talks in Asterisk"


def _backwards(row: StoredCall) -> bool:
    moments = [at for at in (row.queued_at, row.answered_at) if at is not None]
    in_order = all(earlier <= later for earlier, later in pairwise(moments))
    late = bool(moments) and moments[-1].timestamp() > row.ended_at
    return not in_order or late or (row.talk_seconds is not None and row.talk_seconds < 0)


def inversions(rows: Sequence[StoredCall]) -> int:
    """Pairs offered to agents against their order although both waited at the time, by more than half a second.

    Among the bridge's own offers only: a caller whom repeated faults drove into Asterisk's queue stands in another line. The
    offer that was answered counts: one that a fault undid is none; and how fast which agent picks up is nobody's order.
    """
    served = [
        (row.queued_at, row.offered_at)
        for row in rows
        if row.outcome == "answered" and row.offered_at and row.queued_at and row.answered_at
    ]
    return sum(
        queued < other_offered
        and (queued - other_queued).total_seconds() > 0.5
        and (other_offered - offered).total_seconds() > 0.5
        for queued, offered in served
        for other_queued, other_offered in served
    )


def upper_bound(seen: int, trials: int) -> str:
    """What can be said with 95 % confidence about a rate: the rule of three where nothing was seen."""
    if trials == 0:
        return "nothing was tried"
    if seen:
        return f"{seen} of {trials}"
    return f"0 of {trials}; at most {3 / trials:.2%} with 95 % confidence"
