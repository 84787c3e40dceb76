"""The arithmetic of the comparison with app_queue: which waits count, and from when to when."""

from __future__ import annotations

import pytest

from benchmarks.side_by_side.moments import Seen, agent_of, entry_to_ring, free_to_next_offer, per_second
from cti.asterisk.ami.wire import AmiReader

AGENTS = frozenset({"2001", "2002"})


def seen(*, entered: dict[str, float], dialled: list[tuple[float, str, str]], gone: list[tuple[float, str]]) -> Seen:
    return Seen(entered=entered, dialled=dialled, gone=gone)


def test_from_the_end_of_a_leg_to_the_next_dial_of_the_same_agent() -> None:
    block = seen(
        entered={"a": 0.0, "b": 0.1, "c": 0.2, "d": 0.3},
        dialled=[(0.5, "a", "2001"), (0.6, "b", "2002"), (2.25, "c", "2001"), (3.5, "d", "2002")],
        gone=[(2.0, "2001"), (3.0, "2002")],
    )
    assert free_to_next_offer(block) == ([0.25, 0.5], 0)


def test_an_agent_nobody_waited_for_is_not_counted() -> None:
    block = seen(
        entered={"a": 0.0, "b": 5.0},
        dialled=[(0.5, "a", "2001"), (5.1, "b", "2001")],
        gone=[(2.0, "2001"), (6.0, "2001")],
    )
    assert free_to_next_offer(block) == ([], 2)


def test_of_two_free_agents_and_one_caller_the_second_is_not_counted() -> None:
    block = seen(
        entered={"a": 0.0, "b": 0.0, "c": 1.0, "d": 9.0},
        dialled=[(0.5, "a", "2001"), (0.5, "b", "2002"), (2.4, "c", "2001"), (9.1, "d", "2002")],
        gone=[(2.0, "2001"), (2.1, "2002")],
    )
    times, left_out = free_to_next_offer(block)
    assert times == [pytest.approx(0.4)]
    assert left_out == 1


def test_a_caller_is_rung_for_once_however_often_offered() -> None:
    block = seen(entered={"a": 1.0}, dialled=[(3.0, "a", "2002"), (1.25, "a", "2001")], gone=[])
    assert entry_to_ring(block, block.entered) == [0.25]
    assert entry_to_ring(block, {"nobody": 1.0}) == []


def test_the_rate_is_that_of_the_middle() -> None:
    assert per_second([0.0, *(10 + n / 10 for n in range(18)), 99.0]) == pytest.approx(10)


def test_events_are_read_as_asterisk_writes_them() -> None:
    reader = AmiReader()
    found = Seen()
    for message in reader.feed(
        b"Asterisk Call Manager/12.0.0\r\n"
        b"Event: UserEvent\r\nTimestamp: 10.5\r\nUniqueid: a1-1.0\r\nUserEvent: CtiWait\r\n\r\n"
        b"Event: UserEvent\r\nTimestamp: 11.5\r\nUniqueid: a1-1.0\r\nUserEvent: CtiWait\r\n\r\n"
        b"Event: QueueCallerJoin\r\nTimestamp: 10.75\r\nUniqueid: a1-1.1\r\n\r\n"
        b"Event: DialBegin\r\nTimestamp: 11\r\nUniqueid: a1-1.0\r\nDestChannel: PJSIP/2001-0000002a\r\n\r\n"
        b"Event: DialBegin\r\nTimestamp: 11\r\nUniqueid: a1-1.0\r\nDestChannel: PJSIP/other-0000002b\r\n\r\n"
        b"Event: Hangup\r\nTimestamp: 12\r\nChannel: PJSIP/2001-0000002a\r\n\r\n"
        b"Event: Hangup\r\nTimestamp: 12\r\nChannel: PJSIP/trunk-00000029\r\n\r\n"
    ):
        found.take(message, AGENTS)
    assert found == Seen(
        entered={"a1-1.0": 10.5, "a1-1.1": 10.75}, dialled=[(11, "a1-1.0", "2001")], gone=[(12, "2001")]
    )
    assert agent_of("PJSIP/2001-web-0000002a") == "2001-web"
