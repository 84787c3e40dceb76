"""The comparison of the three ledgers finds what it is there to find."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cti.soak.ledgers import (
    AsteriskCall,
    SipCall,
    StoredCall,
    Verdict,
    asterisk_calls,
    compare,
    inversions,
    upper_bound,
)

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
EPOCH = T0.timestamp()


def sip(number: str = "+15552", *, answered: bool = True, ended: str = "left") -> SipCall:
    return SipCall(number=number, answered=answered, ended=ended)


def in_asterisk(call_id: str = "a1-1.1", number: str = "+15552", talk: float | None = 20.0) -> dict[str, AsteriskCall]:
    talks = [] if talk is None else [(EPOCH + 10, EPOCH + 10 + talk)]
    return {call_id: AsteriskCall(call_id=call_id, number=number, began_at=EPOCH, ended_at=EPOCH + 40, talks=talks)}


ROW = StoredCall(
    call_id="a1-1.1",
    number="+15552",
    outcome="answered",
    ended_at=EPOCH + 40,
    talk_seconds=20.0,
    queued_at=T0 + timedelta(seconds=2),
    offered_at=T0 + timedelta(seconds=8),
    answered_at=T0 + timedelta(seconds=10),
)


def verdict(rows: Sequence[StoredCall] = (ROW,), **changes: object) -> Verdict:
    arguments: dict[str, object] = {"sip": [sip()], "asterisk": in_asterisk(), "stored": rows, **changes}
    return compare(**arguments)  # type: ignore[arg-type]


def test_three_that_agree_are_clean() -> None:
    assert verdict().clean()
    assert verdict(ends={"a1-1.1": 1}).clean()


@pytest.mark.parametrize(
    ("found", "changes"),
    [
        ("lost", {"rows": ()}),
        ("lost", {"asterisk": {}, "rows": ()}),
        ("doubled", {"rows": (ROW, replace(ROW, call_id="a1-1.2")), "asterisk": in_asterisk() | in_asterisk("a1-1.2")}),
        ("doubled", {"ends": {"a1-1.1": 2}}),
        ("invented", {"rows": (ROW, replace(ROW, call_id="a1-9.9", number="+15553"))}),
        ("unlike", {"rows": (replace(ROW, talk_seconds=18.0),)}),
        ("unlike", {"rows": (replace(ROW, ended_at=EPOCH + 43),)}),
        (
            "unlike",
            {"rows": (replace(ROW, outcome="abandoned", talk_seconds=None),), "asterisk": in_asterisk(talk=0.3)},
        ),
        ("negative", {"rows": (replace(ROW, answered_at=T0),)}),
        ("negative", {"rows": (replace(ROW, answered_at=T0 + timedelta(seconds=41)),)}),
        ("dropped", {"sip": [sip(ended="dropped")]}),
        ("dropped", {"sip": [sip(ended="failed")]}),
        ("refused", {"sip": [sip(), sip("+15559", answered=False, ended="failed")]}),
    ],
)
def test_every_kind_of_difference_is_found(found: str, changes: dict[str, object]) -> None:
    seen = verdict(**changes)
    assert getattr(seen, found)
    assert not seen.clean()


def test_drops_are_forgiven_where_asterisk_was_killed_and_nothing_else_is() -> None:
    assert verdict(sip=[sip(ended="dropped")]).clean(drops_allowed=True)
    assert not verdict(sip=[sip(ended="dropped")], rows=()).clean(drops_allowed=True)


def test_a_message_that_was_taken_is_no_drop() -> None:
    row = replace(ROW, outcome="voicemail", talk_seconds=None, answered_at=None)
    seen = verdict(rows=(row,), sip=[sip(ended="dropped")], asterisk=in_asterisk(talk=None))
    assert (seen.dropped, seen.messages, seen.clean()) == ((), 1, True)


def test_calls_of_others_are_left_out() -> None:
    other = replace(ROW, call_id="a1-7.7", number="+441")
    assert verdict(rows=(ROW, other), numbers="+15552").clean()


def test_who_came_later_and_was_served_sooner_is_an_inversion() -> None:
    def served(queued: float, offered: float, answered: float) -> StoredCall:
        at = [T0 + timedelta(seconds=seconds) for seconds in (queued, offered, answered)]
        return replace(ROW, queued_at=at[0], offered_at=at[1], answered_at=at[2])

    first, second = served(0, 29, 30), served(5, 19, 20)
    assert inversions([first, second]) == 1
    assert inversions([first, served(5, 28.8, 29.8)]) == 0
    assert inversions([served(0, 18, 30), second]) == 0, "offered in order: the one's agent was slower to pick up"
    assert inversions([first, replace(second, offered_at=None)]) == 0, "served by Asterisk's own queue"


def line(event: str, at: float, unique_id: str, extra: str = "") -> str:
    told = json.dumps({"extra": extra}).replace('"', '""') if extra else ""
    return f'{event},{EPOCH + at:.6f},{unique_id},{unique_id},PJSIP/trunk-1,,cti-flow,s,,"{told}"\n'


def test_asterisks_ledger_is_read_with_talks_survival_and_a_torn_end() -> None:
    lines = [
        line("CHAN_START", 0, "a1-1.1"),
        line("CTI_INBOUND", 0.1, "a1-1.1", "a1-1.1|+15552|5000"),
        line("BRIDGE_ENTER", 10, "a1-1.1"),
        line("BRIDGE_ENTER", 10, "a1-1.2"),
        line("BRIDGE_EXIT", 15, "a1-1.1"),
        line("BRIDGE_ENTER", 16, "a1-1.1"),
        line("BRIDGE_EXIT", 20, "a1-1.1"),
        line("CTI_SURVIVAL", 21, "a1-1.1", "a1-1.1|support"),
        line("HANGUP", 30, "a1-1.1"),
        line("CTI_INBOUND", 31, "a1-2.1", "a1-2.1|+15553|5000"),
        "BRIDGE_ENT",
    ]
    calls = asterisk_calls(lines)
    assert set(calls) == {"a1-1.1", "a1-2.1"}
    one = calls["a1-1.1"]
    assert (one.number, one.talked(), one.survival, one.ended_at) == ("+15552", 9.0, True, EPOCH + 30)
    assert calls["a1-2.1"].ended_at is None


def test_the_bound_is_the_rule_of_three() -> None:
    assert upper_bound(0, 300) == "0 of 300; at most 1.00% with 95 % confidence"
    assert upper_bound(2, 300) == "2 of 300"
    assert upper_bound(0, 0) == "nothing was tried"
