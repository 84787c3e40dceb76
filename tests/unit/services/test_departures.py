"""Who may join a queue, who leaves it and where to: on a floor with virtual time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cti.centre_file import parse_centre
from cti.ids import CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.commands import ConfirmCallback, Deliver, HangUp, SendOut, SendToFlow, SendToVoicemail, SetQueue
from cti.model.facts import AgentState
from cti.services import agents, departures, desk, errands
from cti.services.rows import Rows
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import FloorRig

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday


def rig(support: str = "", sales: str = "", *, dials: bool = True) -> FloorRig:
    """A floor whose two queues have these rules."""
    floor = FloorRig()
    floor.now = BEGIN
    text = f"""
name: Test centre
numbers:
  "5000": {{flow: main, survival_queue: support}}
outbound: {{allow: ["+1555"]}}
calendars:
  office: {{hours: {{mon-fri: "09:00-17:00"}}}}
queues:
  support: {{titles: {{en: Support}}, {support}}}
  sales: {{titles: {{en: Sales}}, {sales}}}
tiers: {{vip: {{head_start: 600}}}}
agents:
  "1001": {{name: Ada, queues: [support, sales]}}
  "1002": {{name: Bo, queues: [support], skills: {{zh: 3}}}}
  "1003": {{name: Cy, queues: [sales]}}
"""
    floor.board = Switchboard(parse_centre(text, source="centre.yaml"), node=NodeName("t1"), now=BEGIN)
    floor.board.can_dial_out = dials
    return floor


def dequeued(floor: FloorRig) -> list[tuple[str, str, str | None]]:
    """(reason, to, queue) of every way out so far."""
    return [(x.reason, x.to, x.queue) for x in floor.facts if isinstance(x, f.CallDequeued)]


def join(floor: FloorRig, queue: str = "support", **terms: object) -> tuple[CallId, str]:
    """A caller whom the flow queues; gives where the call went: its queue, or "voicemail" and the like."""
    call_id = floor.call(number=str(terms.get("number", "+15550100002")))
    target = desk.enqueue(floor.board, call_id, QueueName(queue), floor.now, skills=(), head_start_of_flow=timedelta())
    floor.drain()
    if target is None:
        floor.waits(call_id)
        return call_id, floor.live(call_id).queue or ""
    return call_id, target.name or target.kind.value


# ---- joining


def test_a_full_queue_sends_to_voicemail_and_the_call_never_joined() -> None:
    floor = rig("max_length: 2")
    assert [join(floor)[1] for _ in range(3)] == ["support", "support", "voicemail"]
    assert dequeued(floor) == [("full", "voicemail", "support")]
    call_id = list(floor.board.calls)[-1]
    assert floor.live(call_id).state is CallState.MENU
    # The session's answer brings the caller there; no command besides.
    assert not [c for c in floor.commands if isinstance(c, SendToVoicemail)]
    assert len(floor.board.engine.tickets()) == 2


def test_a_caller_under_an_offer_counts_in_the_length() -> None:
    floor = rig("max_length: 1")
    floor.ready("1001")
    first, _ = join(floor)
    assert floor.live(first).state is CallState.OFFERED
    assert join(floor)[1] == "voicemail"


def test_out_of_hours_a_flow_takes_over_and_who_waits_is_still_served() -> None:
    floor = rig("calendar: office, when_closed: {flow: after_hours}")
    floor.now = BEGIN + timedelta(hours=7, minutes=59)
    waiting, _ = join(floor)
    floor.pass_time(120)
    late, where = join(floor)
    assert where == "after_hours"
    assert dequeued(floor) == [("closed", "flow:after_hours", "support")]
    assert floor.live(late).flow == "after_hours"
    assert floor.live(late).destination == ""
    assert floor.live(late).next_step is None
    floor.ready("1001")
    assert (waiting, "1001") in floor.delivered()


def test_nobody_who_is_there_may_take_the_call() -> None:
    floor = rig("join_empty: [offline, not_ready], when_empty: hang_up")
    assert join(floor)[1] == "hang_up"
    floor.ready("1002")
    call_id, where = join(floor)
    assert where == "support"
    floor.hang_up_caller(call_id)
    agents.set_agent(floor.board, agents.AgentId("1002"), AgentState.NOT_READY, floor.now, reason="break", device=None)
    assert join(floor)[1] == "hang_up"


def test_empty_is_judged_by_those_who_can_take_the_call_at_the_end_of_relax() -> None:
    floor = rig("skills: {zh: 3}, join_empty: [offline], relax: [{after: 60, skills: {zh: 0}}]")
    floor.ready("1001")
    assert join(floor)[1] == "support"
    strict = rig("skills: {zh: 3}, join_empty: [offline]")
    strict.ready("1001")
    assert join(strict)[1] == "voicemail"


def test_a_full_queue_overflows_into_another_which_is_asked_too() -> None:
    floor = rig("max_length: 1, when_full: {queue: sales}", "max_length: 1, when_full: hang_up")
    assert [join(floor)[1] for _ in range(3)] == ["support", "sales", "hang_up"]
    assert dequeued(floor) == [
        ("full", "queue:sales", "support"),
        ("full", "queue:sales", "support"),
        ("full", "hang_up", "sales"),
    ]
    queued = [x for x in floor.facts if isinstance(x, f.CallQueued)]
    assert [(x.queue, x.by) for x in queued] == [("support", ""), ("sales", "overflow")]


def test_a_circle_of_full_queues_ends_in_voicemail() -> None:
    floor = rig("max_length: 1, when_full: {queue: sales}", "max_length: 1, when_full: {queue: support}")
    assert [join(floor)[1] for _ in range(3)] == ["support", "sales", "voicemail"]


def test_overflow_by_length_and_by_expected_wait() -> None:
    floor = rig("overflow: [{length: 1, to: {queue: sales}}]", "overflow: [{expected: 60, to: voicemail}]")
    assert join(floor)[1] == "support"
    # Nobody is at work in sales: that is longer than any limit.
    assert join(floor)[1] == "voicemail"
    floor.ready("1003")
    assert join(floor)[1] == "sales"


def test_a_flow_that_leads_back_to_the_closed_queue_ends_in_voicemail() -> None:
    floor = rig("calendar: office, when_closed: {flow: after_hours}")
    floor.now = BEGIN + timedelta(hours=12)
    call_id = floor.call()
    found = []
    for _ in range(7):
        target = desk.enqueue(
            floor.board, call_id, QueueName("support"), floor.now, skills=(), head_start_of_flow=timedelta()
        )
        assert target is not None
        found.append(target.kind.value)
    assert found == ["flow"] * 5 + ["voicemail"] * 2


def test_a_number_or_a_callback_that_cannot_be_is_voicemail() -> None:
    rules = 'max_length: 1, when_full: {number: "+15550177"}'
    floor = rig(rules)
    join(floor)
    call_id, where = join(floor)
    assert where == "+15550177"
    assert floor.live(call_id).state is CallState.OUT
    without = rig(rules, dials=False)
    join(without)
    assert join(without)[1] == "voicemail"
    withheld = rig("max_length: 1, when_full: callback")
    join(withheld)
    assert join(withheld, number="anonymous")[1] == "voicemail"
    assert join(withheld)[1] == "callback"


# ---- waiting


def test_who_waits_too_long_goes_to_voicemail_and_the_command_follows_the_fact() -> None:
    floor = rig("max_wait: 60")
    call_id, _ = join(floor)
    floor.pass_time(59.9)
    assert dequeued(floor) == []
    commands = floor.pass_time(0.2)
    assert dequeued(floor) == [("late", "voicemail", "support")]
    assert commands == [SendToVoicemail(call_id=call_id, channel=floor.channel(call_id))]
    assert floor.board.engine.ticket(call_id) is None
    floor.ready("1001")
    assert floor.delivered() == []


def test_overflow_by_wait_moves_the_ticket_with_its_place() -> None:
    floor = rig("overflow: [{after: 60, to: {queue: sales}}]", "record: true")
    first, _ = join(floor)
    floor.pass_time(30)
    second, _ = join(floor, "sales")
    # The channel is told, should it be offered before its next visit; the music goes on.
    assert floor.pass_time(31) == [
        SetQueue(
            call_id=first,
            channel=floor.channel(first),
            queue=QueueName("sales"),
            ring_timeout=timedelta(seconds=15),
            record=True,
        )
    ]
    moved = next(x for x in floor.facts if isinstance(x, f.CallQueued) and x.by == "overflow")
    assert (moved.call_id, moved.queue, moved.since) == (first, "sales", BEGIN)
    assert [ticket.call_id for ticket in floor.board.engine.waiting(QueueName("sales"))] == [first, second]
    floor.ready("1003")
    assert floor.delivered() == [(first, "1003")]


def test_overflow_into_a_queue_that_would_not_have_the_call_waits_on_and_tries_again() -> None:
    floor = rig("overflow: [{after: 60, to: {queue: sales}}], max_wait: 300", "join_empty: [offline]")
    call_id, _ = join(floor)
    floor.pass_time(100)
    assert floor.live(call_id).queue == "support"
    floor.ready("1003")
    floor.pass_time(6)
    assert floor.live(call_id).queue == "sales"
    assert dequeued(floor) == []


def test_two_queues_that_overflow_into_each_other_do_not_play_ball() -> None:
    floor = rig("overflow: [{after: 60, to: {queue: sales}}]", "overflow: [{after: 60, to: {queue: support}}]")
    call_id, _ = join(floor)
    floor.pass_time(600)
    assert floor.live(call_id).queue == "sales"
    assert len([x for x in floor.facts if isinstance(x, f.CallQueued)]) == 2


def test_late_into_a_circle_ends_in_voicemail() -> None:
    floor = rig("max_wait: 60, when_late: {queue: sales}", "max_wait: 90, when_late: {queue: support}")
    call_id, _ = join(floor)
    floor.pass_time(61)
    assert floor.live(call_id).queue == "sales"
    floor.pass_time(30)
    assert dequeued(floor) == [("late", "voicemail", "sales")]


def test_nobody_overflows_into_a_queue_for_which_they_have_waited_too_long() -> None:
    floor = rig("overflow: [{after: 60, to: {queue: sales}}], max_wait: 90", "max_wait: 50, when_late: hang_up")
    call_id, _ = join(floor)
    floor.pass_time(80)
    assert floor.live(call_id).queue == "support"
    floor.pass_time(11)
    assert dequeued(floor) == [("late", "voicemail", "support")]
    late = rig("max_wait: 60, when_late: {queue: sales}", "max_wait: 50, when_late: hang_up")
    call_id, _ = join(late)
    assert late.pass_time(61) == [HangUp(channel=late.channel(call_id))]
    assert dequeued(late) == [("late", "hang_up", "support")]


def test_who_takes_the_place_of_a_callback_back_has_not_waited_on_the_line() -> None:
    floor = rig('max_wait: 60, options: {"1": callback}')
    first, _ = join(floor)
    departures.press(floor.board, first, "1", floor.now)
    floor.hang_up_caller(first)
    floor.pass_time(600)
    again, where = join(floor)
    assert (where, floor.live(again).queued_at) == ("support", BEGIN)
    assert floor.pass_time(59) == []
    assert isinstance(floor.pass_time(2)[0], SendToVoicemail)


def test_nobody_leaves_from_under_an_offer_but_right_after_it() -> None:
    floor = rig("max_wait: 20, ring_timeout: 15")
    floor.ready("1001")
    call_id, _ = join(floor)
    floor.pass_time(14)
    floor.not_answered(call_id)
    floor.ready("1002")
    assert floor.live(call_id).state is CallState.OFFERED
    floor.pass_time(10)
    assert dequeued(floor) == []
    floor.not_answered(call_id)
    floor.pass_time(0.1)
    assert dequeued(floor) == [("late", "voicemail", "support")]


def test_the_last_agent_logs_out_and_the_waiting_leave() -> None:
    floor = rig("leave_empty: [offline], when_empty: {flow: after_hours}")
    floor.ready("1001")
    agents.set_agent(floor.board, agents.AgentId("1001"), AgentState.NOT_READY, floor.now, reason="break", device=None)
    call_id, _ = join(floor)
    assert floor.pass_time(30) == []
    agents.set_agent(floor.board, agents.AgentId("1001"), AgentState.OFFLINE, floor.now, reason="", device=None)
    floor.drain()
    commands = floor.pass_time(0.1)
    assert dequeued(floor) == [("empty", "flow:after_hours", "support")]
    assert commands == [SendToFlow(call_id=call_id, channel=floor.channel(call_id))]
    told = desk.caller_arrived(floor.board, call_id, floor.now, channel=floor.channel(call_id), number=None, did="5000")
    assert (told.flow, told.resume_at, told.finished) == ("after_hours", None, False)
    assert floor.live(call_id).destination == ""


def test_who_would_have_to_leave_at_once_does_not_join() -> None:
    floor = rig("leave_empty: [offline]")
    assert join(floor)[1] == "voicemail"


def test_a_callback_waits_as_long_as_it_takes() -> None:
    floor = rig('max_wait: 60, leave_empty: [not_ready], options: {"1": callback}')
    call_id, _ = join(floor)
    departures.press(floor.board, call_id, "1", floor.now)
    floor.drain()
    callback = floor.live(call_id).callback
    assert callback is not None
    floor.pass_time(600)
    assert floor.live(callback).state is CallState.WAITING


def test_a_lost_redirect_is_news_and_the_caller_is_sent_again() -> None:
    floor = rig("max_wait: 60")
    call_id, _ = join(floor)
    floor.pass_time(61)
    again = SendToVoicemail(call_id=call_id, channel=floor.channel(call_id))
    assert floor.waits(call_id) == [again]
    assert dequeued(floor) == [("late", "voicemail", "support")]


def test_a_restarted_bridge_sends_whom_it_finds_still_waiting_and_forgets_no_limit() -> None:
    floor = rig("max_wait: 60")
    gone, _ = join(floor)
    floor.pass_time(61)
    waiting, _ = join(floor)
    floor.pass_time(30)
    journal = floor.facts
    after = rig("max_wait: 60")
    after.now = floor.now + timedelta(seconds=40)
    after.board.recover(journal, after.now)
    assert after.pass_time(0) == []
    assert after.waits(waiting) == [SendToVoicemail(call_id=waiting, channel=after.channel(waiting))]
    assert after.waits(gone) == [SendToVoicemail(call_id=gone, channel=after.channel(gone))]


# ---- keys


@pytest.mark.parametrize(
    ("option", "to", "command"),
    [
        ("voicemail", "voicemail", SendToVoicemail),
        ("{flow: after_hours}", "flow:after_hours", SendToFlow),
        ('{number: "+15550177"}', "number:+15550177", SendOut),
        ("hang_up", "hang_up", HangUp),
        ("callback", "callback", ConfirmCallback),
    ],
)
def test_a_key_leads_away_once(option: str, to: str, command: type) -> None:
    floor = rig(f'options: {{"2": {option}}}')
    call_id, _ = join(floor)
    for _ in range(3):
        departures.press(floor.board, call_id, "2", floor.now)
    assert floor.drain() == []  # the visit's answer brings the caller there
    assert dequeued(floor) == [("option", to, "support")]
    # Should the answer be lost, whoever meets the caller knows the way.
    assert isinstance(errands.command_of(floor.live(call_id)), command)


def test_a_key_into_another_queue_keeps_the_place_and_one_that_is_no_option_does_nothing() -> None:
    floor = rig('options: {"3": {queue: sales}}', "max_length: 1")
    call_id, _ = join(floor)
    floor.pass_time(20)
    for key in ("1", "#", "0"):
        departures.press(floor.board, call_id, key, floor.now)
    assert floor.live(call_id).queue == "support"
    departures.press(floor.board, call_id, "3", floor.now)
    floor.drain()
    assert (floor.live(call_id).queue, floor.live(call_id).queued_at) == ("sales", BEGIN)
    other, _ = join(floor)
    departures.press(floor.board, other, "3", floor.now)
    assert floor.live(other).queue == "support"
    assert dequeued(floor) == []


def test_a_key_to_be_called_back_does_nothing_for_who_cannot_be_called() -> None:
    floor = rig('options: {"1": callback}')
    call_id = floor.call(number=None)
    floor.queue(call_id)
    departures.press(floor.board, call_id, "1", floor.now)
    assert floor.live(call_id).state is CallState.WAITING
    assert dequeued(floor) == []


def test_a_key_under_an_offer_does_nothing() -> None:
    floor = rig('options: {"2": voicemail}')
    floor.ready("1001")
    call_id, _ = join(floor)
    departures.press(floor.board, call_id, "2", floor.now)
    assert floor.live(call_id).state is CallState.OFFERED
    assert [c for c in floor.commands if isinstance(c, Deliver)]


def test_queues_open_and_close_by_the_clock() -> None:
    floor = rig("calendar: office")
    departures.tick(floor.board, floor.now)
    floor.board.dirty_queues.clear()
    floor.pass_time(8 * 3600)
    assert "support" in floor.board.dirty_queues
    assert floor.board.looks.edges["office"] == BEGIN + timedelta(days=1)


def test_a_caller_who_hangs_up_leaves_nothing_behind() -> None:
    floor = rig("max_wait: 60")
    call_id, _ = join(floor)
    floor.hang_up_caller(call_id)
    floor.pass_time(100)
    assert dequeued(floor) == []
    assert floor.board.looks.next() is None


def test_voicemail_is_recorded_with_its_message() -> None:
    floor = rig("max_wait: 60")
    call_id, _ = join(floor)
    floor.pass_time(61)
    floor.signal(s.VoicemailRecorded(at=floor.now, call_id=call_id, path="a.wav", seconds=5.0))
    floor.hang_up_caller(call_id)
    assert [type(x).__name__ for x in floor.facts if x.at >= BEGIN + timedelta(seconds=60)] == [
        "CallDequeued", "VoicemailLeft", "CallEnded",
    ]  # fmt: skip


# ---- what the pages show


def test_rows_tell_closed_queues_and_callers_at_voicemail() -> None:
    floor = rig("calendar: office, max_wait: 60")
    floor.now = BEGIN + timedelta(hours=7, minutes=59)
    rows = Rows(floor.board)
    call_id, _ = join(floor)
    change = rows.change(floor.now)
    assert change is not None
    assert (change.queues[QueueName("support")].open, change.calls[call_id].state) == (True, "waiting")
    departures.tick(floor.board, floor.now)
    floor.pass_time(61)
    change = rows.change(floor.now)
    assert change is not None
    assert (change.queues[QueueName("support")].open, change.calls[call_id].state) == (False, "voicemail")
