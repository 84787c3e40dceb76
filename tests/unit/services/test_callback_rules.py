"""Callbacks: the ticket goes over, the customer is called when it is their turn, once, and overtakes nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cti.ids import AgentId, CallId, ChannelName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.calendar import Calendar
from cti.model.call import CallState
from cti.model.centre import CallbackRules, Outbound
from cti.model.commands import ConfirmCallback, DialCustomer, HangUp, SendOut
from cti.model.facts import AgentState, Direction, Outcome
from cti.reports.call_record import fold
from cti.services import callbacks, desk, outbound, reconcile, terms
from cti.services.floor import Refused
from tests.support.floor_rig import FloorRig

NUMBER = "+15550100002"
OTHER = "+15550100003"


class Line(FloorRig):
    """A floor that may dial out, on which time passes second by second as the dispatcher lets it."""

    def __init__(self, *, rules: CallbackRules | None = None, most_at_once: int = 10) -> None:
        super().__init__()
        self.use(rules or CallbackRules(), most_at_once=most_at_once)
        outbound.open_trunk(self.board, self.now, there=True)
        self.board.linked = True

    def use(self, rules: CallbackRules, *, most_at_once: int = 10) -> None:
        centre = self.board.centre
        queues = {name: replace(queue, callback=rules) for name, queue in centre.queues.items()}
        outside = Outbound(allow=("+1555",), caller_id="+15550105000", most_at_once=most_at_once)
        self.board.centre = replace(centre, queues=queues, outbound=outside)

    def look(self) -> list[DialCustomer]:
        """One look at whose turn it is; the customers dialled."""
        self.pass_time(1)
        callbacks.attend(self.board, self.now)
        return [c for c in self.drain() if isinstance(c, DialCustomer)]

    def ask(self, call_id: CallId, number: str | None = NUMBER) -> CallId | None:
        """The caller wants to be called back, is told so and hangs up."""
        channel = self.channel(call_id)
        new = callbacks.ask_callback(self.board, self.live(call_id), number, self.now)
        told = [c for c in self.drain() if isinstance(c, ConfirmCallback)]
        if new is not None:
            assert [(c.call_id, c.channel) for c in told] == [(call_id, channel)]
        return new

    def asked(self, number: str = NUMBER, queue: str = "support") -> CallId:
        """A caller who has waited, asked for a callback and gone."""
        caller = self.call(number=number)
        self.queue(caller, queue)
        new = self.ask(caller, number)
        assert new is not None
        self.hang_up_caller(caller)
        return new

    def answers(self, call_id: CallId, *, confirmed: bool = True, leg: str = "") -> ChannelName:
        """The customer picks up and presses the key, or nothing."""
        self.serial += 1
        channel = ChannelName(f"PJSIP/trunk-{self.serial:08x}")
        leg = leg or self.live(call_id).leg_id
        self.signal(
            s.CustomerAnswered(at=self.now, call_id=call_id, channel=channel, unique_id=leg, confirmed=confirmed)
        )
        return channel

    def reached(self, call_id: CallId) -> None:
        """The customer picks up, presses the key and is in the wait context."""
        self.answers(call_id)
        self.waits(call_id)

    def leg_ends(self, call_id: CallId, *, cause: int, leg: str = "") -> None:
        """The customer's channel is gone before it said anything."""
        leg = leg or self.live(call_id).leg_id
        channel = ChannelName("PJSIP/trunk-0000ffff")
        self.signal(
            s.ChannelGone(
                at=self.now, channel=channel, call_id=call_id, agent_id=None, is_caller=True, cause=cause, unique_id=leg
            )
        )

    def leg_ends_late(self, call_id: CallId, leg: str) -> None:
        """The channel of a callback that is over ends."""
        self.signal(
            s.ChannelGone(
                at=self.now, channel=ChannelName("PJSIP/trunk-0000fffe"), call_id=call_id, agent_id=None, is_caller=True,
                cause=16, unique_id=leg,
            )
        )  # fmt: skip

    def busy(self, agent: str) -> CallId:
        """An agent in a call."""
        caller = self.call(number="+15550100099")
        self.queue(caller)
        self.ready(agent)
        self.ring(caller, agent)
        self.answer(caller, agent)
        return caller

    def frees(self, call_id: CallId, agent: str) -> None:
        """The agent's caller hangs up, the work after it is done."""
        self.part(call_id, self.channel(call_id), None)
        self.hang_up_caller(call_id)
        self.pass_time(11)


def test_the_ticket_goes_over_and_the_caller_may_hang_up() -> None:
    line = Line()
    caller = line.call(tier="vip")
    line.queue(caller)
    since = line.live(caller).queued_at
    line.pass_time(40)
    new = line.ask(caller)
    assert new == f"{caller}-cb"
    assert line.board.engine.ticket(caller) is None
    ticket = line.board.engine.ticket(new)
    assert ticket is not None
    assert (ticket.queued_at, ticket.head_start) == (since, timedelta(seconds=600))
    callback = line.live(new)
    assert (callback.direction, callback.parent, callback.tier) == (Direction.OUTBOUND, caller, "vip")
    assert callback.absent
    assert not callback.dialling
    record = fold([fact for fact in [*line.facts, *line.board.out.facts] if getattr(fact, "call_id", "") == caller])
    line.hang_up_caller(caller)
    assert record.outcome is None
    record = fold([fact for fact in line.facts if getattr(fact, "call_id", "") == caller])
    assert (record.outcome, record.wait_seconds) == (Outcome.CALLBACK, 40)


def test_asking_three_times_is_one_callback() -> None:
    line = Line()
    caller = line.call()
    line.queue(caller)
    first = line.ask(caller)
    assert callbacks.ask_callback(line.board, line.live(caller), NUMBER, line.now) == first
    line.hang_up_caller(caller)
    moved = line.call()
    line.queue(moved, "sales")
    terms.move(line.board, line.live(moved), QueueName("support"), line.now, by="overflow")
    assert line.ask(moved) == first
    line.hang_up_caller(moved)
    again = line.call()
    line.queue(again)
    second = line.ask(again)
    assert list(line.board.callbacks) == [second]
    assert second is not None
    assert line.live(second).queued_at == line.of(f.CallQueued)[0].at


@pytest.mark.parametrize("number", [None, "", "+4930123456", "+1555010000a", "15550100002", "+15550", "+05550100002"])
def test_who_cannot_be_dialled_keeps_the_ticket(number: str | None) -> None:
    line = Line()
    caller = line.call()
    line.queue(caller)
    assert line.ask(caller, number) is None
    assert line.live(caller).state is CallState.WAITING
    assert line.board.engine.ticket(caller) is not None


def test_without_a_trunk_there_is_no_callback() -> None:
    line = Line()
    outbound.open_trunk(line.board, line.now, there=False)
    caller = line.call()
    line.queue(caller)
    assert line.ask(caller) is None
    assert outbound.why_not(line.board, NUMBER) == "no_trunk"


@pytest.mark.parametrize("while_dialled", [False, True])
def test_who_calls_in_again_takes_the_place_back(while_dialled: bool) -> None:
    line = Line()
    callback = line.asked()
    since = line.live(callback).queued_at
    line.pass_time(10)
    behind = line.call(number="+15550100012")
    line.queue(behind, "sales")
    if while_dialled:
        line.ready("1002")
        (dialled,) = line.look()
    line.pass_time(10)
    again = line.call()
    line.queue(again)
    assert line.live(again).queued_at == since
    assert callback not in line.board.calls
    assert (HangUp(channel=ChannelName(f"{callback}-1")) in line.commands) is while_dialled
    record = fold([fact for fact in line.facts if getattr(fact, "call_id", "") == callback])
    assert record.outcome is Outcome.CALLBACK
    if while_dialled:
        line.leg_ends_late(callback, dialled.channel_id)
        assert line.delivered() == [(again, "1002")]
    assert line.look() == []
    # Another customer's callback, or one of another queue, is nobody else's.
    other = line.asked(OTHER, "sales")
    line.queue(line.call(number=OTHER))
    assert other in line.board.calls


def test_nobody_is_dialled_while_nobody_could_serve() -> None:
    line = Line()
    line.asked()
    assert [line.look() for _ in range(5)] == [[]] * 5


def test_dialled_when_an_agent_is_free_and_delivered_when_the_key_is_pressed() -> None:
    line = Line()
    callback = line.asked()
    line.ready("1002")
    (dialled,) = line.look()
    assert (dialled.call_id, dialled.number, dialled.channel_id) == (callback, NUMBER, f"{callback}-1")
    assert (dialled.caller_id, dialled.queue, dialled.did) == ("+15550105000", "support", "5000")
    assert (dialled.agents_ring, dialled.record) == (timedelta(seconds=15), False)
    assert [line.look() for _ in range(3)] == [[]] * 3
    assert line.delivered() == []
    line.answers(callback)
    assert line.delivered() == []  # the dialplan has not got there yet
    line.waits(callback)
    assert line.delivered() == [(callback, "1002")]
    line.ring(callback, "1002")
    line.answer(callback, "1002")
    line.pass_time(30)
    line.part(callback, line.channel(callback), None)
    line.hang_up_caller(callback)
    record = fold([fact for fact in line.facts if getattr(fact, "call_id", "") == callback])
    assert (record.outcome, record.direction, record.agent) == (Outcome.ANSWERED, Direction.OUTBOUND, "1002")
    assert callback not in line.board.callbacks


def test_a_callback_overtakes_nobody_and_is_overtaken_by_nobody_behind_it() -> None:
    """FreePBX VQPlus#525: callbacks went before callers who held the line."""
    line = Line()
    talk = line.busy("1002")
    before = line.call(number="+15550100011")
    line.queue(before)
    line.pass_time(1)
    callback = line.asked()
    line.pass_time(1)
    behind = line.call(number="+15550100012")
    line.queue(behind)
    assert [line.board.engine.place(call) for call in (before, callback, behind)] == [1, 2, 3]
    # Reached early, the customer stands where the caller stood.
    callbacks._dial(line.board, line.live(callback), line.now)
    line.drain()
    line.reached(callback)
    served = []
    for expected in (before, callback, behind):
        line.frees(talk, "1002")
        talk, _ = line.delivered()[-1]
        assert talk == expected
        served.append(talk)
        line.ring(talk, "1002")
        line.answer(talk, "1002")
    assert served == [before, callback, behind]


def test_not_dialled_for_an_agent_whom_a_caller_on_the_line_gets() -> None:
    line = Line()
    callback = line.asked()
    line.pass_time(1)
    holder = line.call(number="+15550100011")
    line.queue(holder)
    line.ready("1002")
    assert line.delivered() == [(holder, "1002")]
    assert line.look() == []
    assert line.live(callback).attempt == 0


def test_two_callbacks_and_one_free_agent_make_one_call() -> None:
    line = Line(rules=CallbackRules(ring_timeout=timedelta(seconds=1)))
    first = line.asked()
    line.pass_time(1)
    line.asked(OTHER)
    line.ready("1002")
    assert [d.call_id for d in line.look()] == [first]
    assert line.look() == []
    line.ready("1001")
    assert len(line.look()) == 1


def test_a_look_at_a_long_line_of_callbacks_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One question about the wait a queue, and one about agents for each that is free and one more."""
    line = Line()
    for number in range(60):
        line.asked(f"+155502{number:05d}")
    asked: list[str] = []
    explain, wait_of = line.board.engine.explain, callbacks.wait_of
    monkeypatch.setattr(line.board.engine, "explain", lambda *a, **k: asked.append("who") or explain(*a, **k))
    monkeypatch.setattr(callbacks, "wait_of", lambda *a, **k: asked.append("wait") or wait_of(*a, **k))
    line.ready("1002")
    assert len(line.look()) == 1
    assert asked.count("who") <= 2
    assert asked.count("wait") <= 1


def test_retried_three_times_and_never_a_fourth() -> None:
    """FreePBX VQPlus#621: customers were called again and again."""
    line = Line()
    callback = line.asked()
    line.ready("1002")
    legs = []
    for cause, status in ((17, "busy"), (19, "no_answer"), (21, "rejected")):
        (dialled,) = line.look()
        legs.append(dialled.channel_id)
        line.leg_ends(callback, cause=cause)
        (failed,) = [x for x in line.of(f.CallbackFailed) if isinstance(x, f.CallbackFailed)][-1:]
        assert failed.status == status
        assert line.look() == []
        line.pass_time(299)
    assert len(set(legs)) == 3
    assert callback not in line.board.calls
    assert [line.look() for _ in range(3)] == [[]] * 3
    record = fold([fact for fact in line.facts if getattr(fact, "call_id", "") == callback])
    assert record.outcome is Outcome.FAILED
    assert len(line.of(f.CallbackDialled)) == 3


def test_a_machine_that_picks_up_is_not_the_customer() -> None:
    line = Line()
    callback = line.asked()
    line.ready("1002")
    line.look()
    leg = line.live(callback).leg_id
    line.answers(callback, confirmed=False)
    line.leg_ends(callback, cause=16, leg=leg)
    (failed,) = line.of(f.CallbackFailed)
    assert isinstance(failed, f.CallbackFailed)
    assert failed.status == "not_confirmed"
    assert failed.retry_at is not None
    assert line.delivered() == []


def test_late_and_doubled_news_of_an_attempt_changes_nothing() -> None:
    line = Line()
    callback = line.asked()
    line.ready("1002")
    (first,) = line.look()
    line.leg_ends(callback, cause=17)
    line.leg_ends(callback, cause=17, leg=first.channel_id)
    line.signal(s.CustomerUnreached(at=line.now, unique_id=first.channel_id, status="BUSY"))
    assert len(line.of(f.CallbackFailed)) == 1
    line.pass_time(300)
    (second,) = line.look()
    line.signal(s.CustomerUnreached(at=line.now, unique_id=first.channel_id, status="BUSY"))
    assert line.live(callback).leg_id == second.channel_id
    # The attempt that was given up comes through after all: it is ended, the other goes on.
    channel = line.answers(callback, leg=first.channel_id)
    assert HangUp(channel=channel) in line.commands
    assert line.live(callback).dialling


def test_no_channel_was_ever_made() -> None:
    line = Line()
    callback = line.asked()
    line.ready("1002")
    (dialled,) = line.look()
    line.signal(s.CustomerUnreached(at=line.now, unique_id=dialled.channel_id, status=""))
    assert line.live(callback).retry_at is not None
    assert not line.live(callback).dialling


def test_an_attempt_nobody_hears_of_is_hung_up_before_the_next() -> None:
    line = Line()
    callback = line.asked()
    line.ready("1002")
    (dialled,) = line.look()
    line.pass_time(118)
    assert line.look() == []
    assert line.live(callback).dialling
    line.pass_time(2)
    assert line.look() == []
    assert HangUp(channel=ChannelName(dialled.channel_id)) in line.commands
    assert not line.live(callback).dialling


def test_not_outside_the_hours() -> None:
    line = Line(rules=CallbackRules(calendar="day"))
    nine_to_ten = Calendar(name="day", week=(((540, 600),),) * 7)
    line.board.centre = replace(line.board.centre, calendars={"day": nine_to_ten})
    line.pass_time(3600)
    callback = line.asked()
    line.ready("1002")
    assert line.look() == []
    line.now += timedelta(hours=23)
    assert [d.call_id for d in line.look()] == [callback]


def test_no_more_calls_at_once_than_allowed() -> None:
    line = Line(most_at_once=1)
    line.asked()
    line.asked(OTHER)
    line.ready("1001")
    line.ready("1002")
    assert len(line.look()) == 1
    assert line.look() == []
    holder = line.call(number="+15550100011")
    line.queue(holder, "sales")
    assert not outbound.send_out(line.board, line.live(holder), OTHER, line.now, "option")


def test_nobody_is_dialled_while_asterisk_is_out_of_sight() -> None:
    line = Line()
    callback = line.asked()
    line.ready("1002")
    line.board.linked = False
    assert line.look() == []
    line.board.linked = True
    assert [d.call_id for d in line.look()] == [callback]


def snapshot(line: Line, *channels: s.LiveChannel, restarted: bool = False) -> None:
    reconcile.adopt_snapshot(
        line.board, s.Snapshot(at=line.now, channels=channels, devices=(), restarted=restarted), line.now
    )
    line.drain()


def channel_of(call_id: CallId, leg: str, *, context: str) -> s.LiveChannel:
    return s.LiveChannel(
        channel=ChannelName("PJSIP/trunk-00000abc"), unique_id=leg, call_id=call_id, offer_id=None, agent_id=None,
        device=None, context=context, state="Up", bridge_id=None, queue=QueueName("support"), caller_number=NUMBER,
        did="5000", seconds=5.0,
    )  # fmt: skip


def restarted(line: Line) -> Line:
    """The same floor, rebuilt by a new bridge from the journal."""
    after = Line()
    after.now = line.now
    after.board.recover(line.facts, line.now)
    after.ready("1002")
    return after


def test_a_new_bridge_does_not_dial_who_is_being_dialled() -> None:
    line = Line()
    callback = line.asked()
    line.ready("1002")
    (dialled,) = line.look()
    line.pass_time(5)
    after = restarted(line)
    snapshot(after, channel_of(callback, dialled.channel_id, context="default"))
    assert after.look() == []
    after.reached(callback)
    assert after.delivered() == [(callback, "1002")]
    assert len([*line.of(f.CallbackDialled), *after.of(f.CallbackDialled)]) == 1


def test_a_new_bridge_finds_the_customer_who_confirmed_unseen() -> None:
    line = Line()
    callback = line.asked()
    line.ready("1002")
    (dialled,) = line.look()
    line.pass_time(5)
    after = restarted(line)
    snapshot(after, channel_of(callback, dialled.channel_id, context="cti-wait-run"))
    assert after.delivered() == [(callback, "1002")]


@pytest.mark.parametrize("asterisk_too", [False, True])
def test_an_attempt_that_is_gone_counts_and_is_made_again_later(asterisk_too: bool) -> None:
    line = Line()
    callback = line.asked()
    waiting = line.asked(OTHER, "sales")
    line.ready("1002")
    line.look()
    line.pass_time(5)
    after = restarted(line)
    snapshot(after, restarted=asterisk_too)
    assert [(x.call_id, x.status) for x in after.of(f.CallbackFailed) if isinstance(x, f.CallbackFailed)] == [
        (callback, "lost")
    ]
    assert after.look() == []
    assert after.live(waiting).absent  # whose turn had not come is as before
    after.pass_time(300)
    assert [d.channel_id for d in after.look()] == [f"{callback}-2"]


@pytest.mark.parametrize("ledger", [False, True])
@pytest.mark.parametrize("offered", [False, True])
def test_a_customer_who_waited_when_asterisk_fell_over_is_called_again_at_the_old_place(
    offered: bool, ledger: bool
) -> None:
    line = Line()
    callback = line.asked()
    since = line.live(callback).queued_at
    line.ready("1002")
    line.look()
    line.answers(callback)
    if offered:
        line.waits(callback)
        assert line.delivered() == [(callback, "1002")]
    line.pass_time(5)
    if ledger:
        ended = f.CallEnded(at=line.now, call_id=callback, hangup_by=f.HangupBy.SYSTEM, cause=0, inferred=True)
        reconcile.adopt_ledger(line.board, [ended], line.now)
    snapshot(line, restarted=True)
    (failed,) = line.of(f.CallbackFailed)
    assert isinstance(failed, f.CallbackFailed)
    assert (failed.status, failed.attempt) == ("lost", 1)
    assert (line.live(callback).absent, line.live(callback).queued_at) == (True, since)
    assert line.board.agents[AgentId("1002")].missed == 0
    assert [x.end for x in line.of(f.OfferEnded) if isinstance(x, f.OfferEnded)] == [f.OfferEnd.SUPERSEDED] * offered
    assert line.look() == []
    line.pass_time(300)
    assert [d.channel_id for d in line.look()] == [f"{callback}-2"]
    line.reached(callback)
    line.ring(callback, "1002")
    line.answer(callback, "1002")
    assert line.live(callback).state is CallState.TALKING


def test_a_customer_on_the_line_of_whom_the_journal_knows_nothing_stays() -> None:
    line = Line()
    lost, leg = CallId("t1-1.1-cb"), "t1-1.1-cb-2"
    there = channel_of(lost, leg, context="cti-wait-run")
    snapshot(line, there)
    assert line.commands == []
    # The next visit from the wait context makes it a call.
    desk.caller_arrived(line.board, lost, line.now, channel=there.channel, number=NUMBER, did="5000")
    line.queue(lost)
    line.pass_time(10)
    snapshot(line, there)
    assert line.live(lost).state is CallState.WAITING
    assert line.commands == []
    line.leg_ends_late(lost, leg)
    assert lost not in line.board.calls


def test_a_channel_of_a_callback_that_is_over_is_hung_up() -> None:
    line = Line()
    callback = line.asked()
    line.ready("1002")
    (dialled,) = line.look()
    callbacks.cancel(line.board, callback, line.now, by="supervisor")
    line.drain()
    line.commands.clear()
    snapshot(line, channel_of(callback, dialled.channel_id, context="cti-wait-run"))
    assert line.commands == [HangUp(channel=ChannelName("PJSIP/trunk-00000abc"))]


def test_a_supervisor_takes_a_callback_off_the_list() -> None:
    line = Line()
    callback = line.asked()
    line.ready("1002")
    (dialled,) = line.look()
    callbacks.cancel(line.board, callback, line.now, by="supervisor")
    assert HangUp(channel=ChannelName(dialled.channel_id)) in line.drain()
    assert callback not in line.board.calls
    with pytest.raises(Refused):
        callbacks.cancel(line.board, callback, line.now, by="supervisor")


def test_a_caller_is_sent_to_an_outside_number() -> None:
    line = Line()
    caller = line.call()
    line.queue(caller)
    assert not outbound.send_out(line.board, line.live(caller), "+4930123456", line.now, "late")
    assert line.live(caller).state is CallState.WAITING
    line.ready("1002")  # under an offer: it leaves that too
    assert line.delivered() == [(caller, "1002")]
    assert outbound.send_out(line.board, line.live(caller), OTHER, line.now, "late")
    assert [c.number for c in line.drain() if isinstance(c, SendOut)] == [OTHER]
    assert line.live(caller).state is CallState.OUT
    assert line.board.agents[AgentId("1002")].state is AgentState.READY
    line.hang_up_caller(caller)
    record = fold([fact for fact in line.facts if getattr(fact, "call_id", "") == caller])
    assert record.outcome is Outcome.OVERFLOW
