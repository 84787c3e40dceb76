"""Callbacks that call the agent first: offered like a call, the customer dialled when the agent is there, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cti.acd.inputs import CentreChanged
from cti.ids import AgentId, CallId, ChannelName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.callback import agents_leg, agents_leg_of, callback_of_leg, is_callers_leg
from cti.model.centre import CallbackFirst, CallbackRules, Strategy
from cti.model.commands import HangUp, RingForCallback
from cti.model.facts import AgentState, Device, Direction, OfferEnd, Outcome
from cti.reports.call_record import fold
from cti.services import agent_first, agents, callbacks, outbound, reconcile
from tests.unit.services.test_callback_rules import NUMBER, OTHER, Line

RULES = CallbackRules(first=CallbackFirst.AGENT, attempts=2, retry=timedelta(seconds=60))
CUSTOMER = ChannelName("PJSIP/trunk-0000cccc")


class AgentLine(Line):
    """A floor whose queues call the agent first, and the telephones as Asterisk would tell of them."""

    def __init__(self, *, rules: CallbackRules = RULES, most_at_once: int = 10) -> None:
        super().__init__(rules=rules, most_at_once=most_at_once)

    def look_around(self) -> list[RingForCallback]:
        """One look at whose turn it is; the agents rung for it."""
        self.pass_time(1)
        callbacks.attend(self.board, self.now)
        return [c for c in self.drain() if isinstance(c, RingForCallback)]

    def leg_of(self, call_id: CallId) -> str:
        call = self.live(call_id)
        assert call.offer_id is not None
        assert call.offered_agent is not None
        return agents_leg(call_id, call.offer_id, call.offered_agent)

    def rings_for(self, call_id: CallId) -> str:
        """The agent's telephone rings; its channel's unique id."""
        call, leg = self.live(call_id), self.leg_of(call_id)
        assert call.offered_agent is not None
        self.signal(
            s.AgentLegDialled(
                at=self.now, call_id=call_id, offer_id=call.offer_id, channel=ChannelName(""),
                agent_channel=self.leg(call.offered_agent), agent_id=call.offered_agent, unique_id=leg,
            )
        )  # fmt: skip
        self.signal(
            s.AgentLegRinging(
                at=self.now, call_id=call_id, offer_id=call.offer_id, agent_channel=self.leg(call.offered_agent)
            )
        )
        return leg

    def picks_up(self, call_id: CallId, leg: str = "") -> str:
        """The agent is there: the customer is dialled."""
        leg = leg or self.rings_for(call_id)
        own = agents_leg_of(call_id, leg)
        assert own is not None
        self.signal(
            s.AgentPickedUp(
                at=self.now, call_id=call_id, offer_id=own[0], agent_id=own[1], channel=self.leg(own[1]), unique_id=leg
            )
        )
        return leg

    def joined(self, call_id: CallId, agent: str) -> None:
        """Customer and agent are in one bridge."""
        self.signal(s.BridgeJoined(at=self.now, bridge_id="b7", channel=CUSTOMER, call_id=call_id, agent_id=None))
        self.signal(
            s.BridgeJoined(
                at=self.now, bridge_id="b7", channel=self.leg(agent), call_id=call_id, agent_id=AgentId(agent)
            )
        )

    def agent_leg_gone(self, call_id: CallId, leg: str, *, cause: int = 16) -> None:
        own = agents_leg_of(call_id, leg)
        assert own is not None
        self.signal(
            s.ChannelGone(
                at=self.now, channel=self.leg(own[1]), call_id=call_id, agent_id=own[1], is_caller=False, cause=cause,
                unique_id=leg,
            )
        )  # fmt: skip

    def customer_gone(self, call_id: CallId) -> None:
        self.signal(
            s.ChannelGone(
                at=self.now, channel=CUSTOMER, call_id=call_id, agent_id=None, is_caller=False, cause=16,
                unique_id="t1-9.9",
            )
        )  # fmt: skip

    def unreached(self, leg: str, status: str) -> None:
        self.signal(s.CustomerUnreached(at=self.now, unique_id=leg, status=status))

    def agent(self, agent: str) -> AgentState:
        return self.board.agents[AgentId(agent)].state

    def told(self, kind: type[f.Fact], field: str) -> list[object]:
        return [getattr(fact, field) for fact in self.of(kind)]


def test_legs_are_told_apart() -> None:
    callback, own = CallId("a1-1.7-cb"), "a1-1.7-cb-a1732200099-1001"
    assert agents_leg(callback, 1732200099, AgentId("1001")) == own  # type: ignore[arg-type]
    assert agents_leg_of(callback, own) == (1732200099, "1001")
    assert not is_callers_leg(callback, own)
    assert agents_leg_of(callback, "a1-1.7-cb-2") is None
    assert agents_leg_of(CallId("a1-1.8-cb"), own) is None
    assert callback_of_leg(own) == callback
    assert callback_of_leg("a1-1.7-cb-2") is None


def test_an_agent_is_offered_the_callback_and_talks() -> None:
    line = AgentLine()
    callback = line.asked()
    since = line.live(callback).queued_at
    line.ready("1002")
    assert line.delivered() == []
    (rung,) = line.look_around()
    assert (rung.call_id, rung.number, rung.agent_id, rung.device) == (callback, NUMBER, "1002", Device.SIP)
    assert (rung.agents_ring, rung.ring_timeout) == (timedelta(seconds=15), timedelta(seconds=30))
    pop = line.board.pops[AgentId("1002")]
    assert (pop.number, pop.callback, len(pop.customers)) == (NUMBER, True, 1)
    leg = line.rings_for(callback)
    assert rung.channel_id == leg
    assert line.agent("1002") is AgentState.RINGING
    assert [line.look_around() for _ in range(3)] == [[]] * 3
    line.picks_up(callback, leg)
    line.picks_up(callback, leg)
    assert line.told(f.CallbackDialled, "attempt") == [1]
    assert line.agent("1002") is AgentState.RESERVED
    line.pass_time(28)  # longer than the offer was made for: it lasts until the customer's telephone has rung
    assert line.live(callback).state is CallState.OFFERED
    line.joined(callback, "1002")
    assert line.live(callback).channel == CUSTOMER
    assert line.agent("1002") is AgentState.TALKING
    line.pass_time(40)
    line.signal(s.HangupAsked(at=line.now, channel=CUSTOMER, call_id=callback, agent_id=None))
    line.part(callback, CUSTOMER, None, bridge="b7")
    line.customer_gone(callback)
    line.agent_leg_gone(callback, leg)
    record = fold([fact for fact in line.facts if getattr(fact, "call_id", "") == callback])
    assert (record.outcome, record.direction, record.agent) == (Outcome.ANSWERED, Direction.OUTBOUND, "1002")
    assert (record.queued_at, record.talk_seconds, record.hangup_by) == (since, 40, f.HangupBy.CALLER)
    assert record.ring_seconds == 3  # the agent's, not the customer's
    assert line.agent("1002") is AgentState.WRAP_UP
    assert HangUp(channel=ChannelName(leg)) not in line.commands


def test_a_callback_is_before_who_is_behind_it_and_behind_who_is_before_it() -> None:
    line = AgentLine()
    before = line.call(number="+15550100011")
    line.queue(before)
    line.pass_time(1)
    callback = line.asked()
    line.pass_time(1)
    behind = line.call(number="+15550100012")
    line.queue(behind)
    line.look_around()
    line.ready("1002")
    assert line.delivered() == [(before, "1002")]
    line.ready("1001")
    assert line.live(callback).offered_agent == "1001"
    assert line.live(behind).state is CallState.WAITING


def test_the_customer_is_not_reached_and_the_agent_has_missed_nothing() -> None:
    line = AgentLine()
    callback = line.asked()
    line.ready("1002")
    for attempt, status, told in ((1, "BUSY", "busy"), (2, "NOANSWER", "no_answer")):
        (rung,) = line.look_around()
        leg = line.picks_up(callback)
        assert rung.channel_id == leg
        line.unreached(leg, status)
        line.agent_leg_gone(callback, leg)
        assert (line.told(f.CallbackFailed, "attempt")[-1], line.told(f.CallbackFailed, "status")[-1]) == (
            attempt,
            told,
        )
        status_of = line.board.agents[AgentId("1002")]
        assert (status_of.state, status_of.missed, status_of.paused_until) == (AgentState.READY, 0, None)
        assert line.look_around() == []
        line.pass_time(60)
    assert callback not in line.board.calls
    assert line.look_around() == []
    record = fold([fact for fact in line.facts if getattr(fact, "call_id", "") == callback])
    assert record.outcome is Outcome.FAILED
    assert len(line.of(f.CallbackDialled)) == 2


@pytest.mark.parametrize(
    ("cause", "end"),
    [(21, OfferEnd.REJECTED), (17, OfferEnd.BUSY), (19, OfferEnd.NO_ANSWER), (20, OfferEnd.UNREACHABLE)],
)
def test_an_agent_who_does_not_take_it_leaves_the_ticket_its_place(cause: int, end: OfferEnd) -> None:
    line = AgentLine()
    callback = line.asked()
    since = line.live(callback).queued_at
    line.ready("1002")
    line.look_around()
    leg = line.rings_for(callback)
    line.unreached(leg, "")  # Asterisk's answer to the command comes before the channel's end, and knows less
    line.agent_leg_gone(callback, leg, cause=cause)
    assert line.told(f.OfferEnded, "end") == [end]
    assert (line.live(callback).queued_at, line.live(callback).attempt) == (since, 0)
    assert line.of(f.CallbackFailed) == []
    assert line.board.agents[AgentId("1002")].missed == 1
    line.ready("1001")
    assert [rung.agent_id for rung in line.look_around()] == ["1001"]


def test_refused_on_the_page_and_never_rung_at_all() -> None:
    line = AgentLine()
    callback = line.asked()
    line.ready("1002")
    line.look_around()
    leg, offer_id = line.leg_of(callback), line.live(callback).offer_id
    assert offer_id is not None
    agents.reject(line.board, AgentId("1002"), offer_id, line.now)
    assert HangUp(channel=ChannelName(leg)) in line.drain()
    assert line.told(f.OfferEnded, "end") == [OfferEnd.REJECTED]
    line.ready("1001")
    (rung,) = line.look_around()
    agent_first.not_sent(line.board, rung, line.now)
    line.drain()
    assert line.told(f.OfferEnded, "end")[-1] is OfferEnd.SUPERSEDED
    (rung,) = line.look_around()
    line.unreached(rung.channel_id, "")  # there never was a channel
    assert line.told(f.OfferEnded, "end")[-1] is OfferEnd.UNREACHABLE
    assert line.of(f.CallbackDialled) == []


def test_an_agent_who_hangs_up_while_the_customers_telephone_rings() -> None:
    line = AgentLine()
    callback = line.asked()
    line.ready("1002")
    line.look_around()
    leg = line.picks_up(callback)
    line.agent_leg_gone(callback, leg)
    assert line.told(f.CallbackFailed, "status") == ["agent_hung_up"]
    assert line.told(f.OfferEnded, "end") == [OfferEnd.REJECTED]
    line.ready("1001")
    assert line.look_around() == []  # the customer's telephone rang: not at once again
    line.pass_time(60)
    assert len(line.look_around()) == 1


@pytest.mark.parametrize("dialled", [False, True])
def test_who_calls_in_meanwhile_takes_the_place_back(dialled: bool) -> None:
    line = AgentLine()
    callback = line.asked()
    since = line.live(callback).queued_at
    line.ready("1002")
    line.look_around()
    leg = line.picks_up(callback) if dialled else line.rings_for(callback)
    again = line.call()
    line.queue(again)
    assert HangUp(channel=ChannelName(leg)) in line.commands
    assert callback not in line.board.calls
    line.agent_leg_gone(callback, leg)
    assert (line.live(again).queued_at, line.delivered()) == (since, [(again, "1002")])
    assert line.board.agents[AgentId("1002")].missed == 0


def test_an_offer_that_runs_out_ends_the_agents_leg() -> None:
    line = AgentLine()
    callback = line.asked()
    line.ready("1002")
    line.look_around()
    leg = line.leg_of(callback)
    line.pass_time(21)
    assert HangUp(channel=ChannelName(leg)) in line.commands
    assert line.told(f.OfferEnded, "end") == [OfferEnd.EXPIRED]
    # Its channel shows after all: hung up, and says nothing of the customer.
    line.signal(
        s.AgentPickedUp(
            at=line.now, call_id=callback, offer_id=line.board.engine.last_offer_id, agent_id=AgentId("1002"),
            channel=line.leg("1002"), unique_id=leg,
        )
    )  # fmt: skip
    assert line.commands[-1] == HangUp(channel=line.leg("1002"))
    assert line.of(f.CallbackDialled) == []


def test_a_supervisor_cancels_while_the_agent_waits_for_the_customer() -> None:
    line = AgentLine()
    callback = line.asked()
    line.ready("1002")
    line.look_around()
    leg = line.picks_up(callback)
    callbacks.cancel(line.board, callback, line.now, by="supervisor")
    assert HangUp(channel=ChannelName(leg)) in line.drain()
    assert callback not in line.board.calls
    assert line.agent("1002") is AgentState.READY


def test_one_line_makes_one_call_and_the_others_wait_for_it() -> None:
    line = AgentLine(most_at_once=1)
    first = line.asked()
    line.asked(OTHER)
    line.ready("1001")
    line.ready("1002")
    assert [rung.call_id for rung in line.look_around()] == [first]
    assert line.look_around() == []
    holder = line.call(number="+15550100011")
    line.queue(holder, "sales")
    assert not outbound.send_out(line.board, line.live(holder), OTHER, line.now, "option")


def test_a_number_that_may_not_be_dialled_any_more_rings_nobody() -> None:
    line = AgentLine()
    callback = line.asked()
    assert line.look_around() == []
    assert line.board.engine.is_deliverable(callback)
    line.board.centre = replace(line.board.centre, outbound=replace(line.board.centre.outbound, allow=("+49",)))
    line.ready("1002")
    assert line.of(f.OfferMade) == []
    assert line.agent("1002") is AgentState.READY
    other = line.call(number=OTHER)
    line.queue(other)
    assert line.delivered() == [(other, "1002")]


def test_ring_all_rings_one_agent_for_a_callback() -> None:
    line = AgentLine()
    centre = line.board.centre
    queues = {name: replace(queue, strategy=Strategy.RING_ALL) for name, queue in centre.queues.items()}
    ring_all = AgentLine()
    ring_all.board.centre = replace(centre, queues=queues)
    ring_all.board.route(CentreChanged(centre=ring_all.board.centre), ring_all.now)
    callback = ring_all.asked()
    ring_all.ready("1001")
    ring_all.ready("1002")
    assert len(ring_all.look_around()) == 1
    assert ring_all.live(callback).others == ()


# -- gaps --------------------------------------------------------------------------------------------------------------


def restarted(line: AgentLine, *, agent: str = "1002") -> AgentLine:
    after = AgentLine()
    after.now, after.serial = line.now, line.serial
    after.board.recover(line.facts, line.now)
    after.now += timedelta(seconds=3)
    after.signal(
        s.DeviceReachable(at=after.now, agent_id=AgentId(agent), device=Device.SIP, reachable=True, in_use=False)
    )
    return after


def channel(
    call_id: CallId, unique_id: str, *, name: str, state: str = "Up", bridge: str | None = None
) -> s.LiveChannel:
    own = agents_leg_of(call_id, unique_id)
    return s.LiveChannel(
        channel=ChannelName(name), unique_id=unique_id, call_id=call_id, offer_id=own[0] if own else None,
        agent_id=own[1] if own else None, device=Device.SIP if own else None, context="cti-callback-agent", state=state,
        bridge_id=bridge, queue=None, caller_number=NUMBER, did="5000", seconds=5.0,
    )  # fmt: skip


def take(line: AgentLine, *channels: s.LiveChannel, ledger: tuple[f.Fact, ...] = ()) -> None:
    reconcile.adopt_ledger(line.board, ledger, line.now)
    snapshot = s.Snapshot(at=line.now, channels=channels, devices=(), restarted=False)
    reconcile.adopt_snapshot(line.board, snapshot, line.now)
    line.drain()


def rung(dialled: bool = False) -> tuple[AgentLine, CallId, str]:
    line = AgentLine()
    callback = line.asked()
    line.ready("1002")
    line.look_around()
    leg = line.picks_up(callback) if dialled else line.rings_for(callback)
    return line, callback, leg


def test_a_new_bridge_finds_the_agent_ringing_and_goes_on() -> None:
    line, callback, leg = rung()
    after = restarted(line)
    take(after, channel(callback, leg, name=line.leg("1002"), state="Ringing"))
    assert after.live(callback).state is CallState.OFFERED
    assert after.look_around() == []
    after.picks_up(callback, leg)
    after.joined(callback, "1002")
    assert after.live(callback).state is CallState.TALKING


@pytest.mark.parametrize("known", [False, True])
def test_a_new_bridge_finds_the_customer_being_dialled(known: bool) -> None:
    line, callback, leg = rung(dialled=known)
    after = restarted(line)
    take(after, channel(callback, leg, name=line.leg("1002")), channel(callback, "t1-9.9", name=CUSTOMER, state="Ring"))
    assert len([*line.of(f.CallbackDialled), *after.of(f.CallbackDialled)]) == 1
    assert after.look_around() == []
    after.joined(callback, "1002")
    assert after.agent("1002") is AgentState.TALKING


@pytest.mark.parametrize("known", [False, True])
def test_a_new_bridge_finds_them_talking(known: bool) -> None:
    line, callback, leg = rung(dialled=known)
    after = restarted(line)
    take(
        after,
        channel(callback, leg, name=line.leg("1002"), bridge="b9"),
        channel(callback, "t1-9.9", name=CUSTOMER, bridge="b9"),
    )
    assert (after.live(callback).state, after.live(callback).channel) == (CallState.TALKING, CUSTOMER)
    assert after.agent("1002") is AgentState.TALKING
    after.customer_gone(callback)
    assert callback not in after.board.calls


@pytest.mark.parametrize("dialled", [False, True])
def test_a_leg_that_is_gone_without_a_word_is_nobodys_fault(dialled: bool) -> None:
    line, callback, _ = rung(dialled=dialled)
    after = restarted(line)
    take(after)
    assert after.live(callback).state is CallState.WAITING
    assert after.board.agents[AgentId("1002")].missed == 0
    assert after.told(f.CallbackFailed, "status") == (["lost"] if dialled else [])
    assert len(after.look_around()) == (0 if dialled else 1)
    after.pass_time(60)
    if dialled:
        (again,) = after.look_around()
        after.picks_up(callback)
        assert after.told(f.CallbackDialled, "attempt") == [2]
        assert again.call_id == callback


def test_the_ledger_tells_of_an_attempt_that_nobody_saw() -> None:
    line, callback, leg = rung()
    after = restarted(line)
    at = line.now + timedelta(seconds=1)
    take(
        after,
        ledger=(
            f.CallbackDialled(at=at, call_id=callback, attempt=1, channel=leg, agent_id=AgentId("1002"), inferred=True),
            f.CallbackFailed(at=at, call_id=callback, attempt=1, status="busy", inferred=True),
        ),
    )
    assert after.told(f.CallbackFailed, "status") == ["busy"]
    assert after.live(callback).retry_at == at + timedelta(seconds=60)
    assert (after.agent("1002"), after.board.agents[AgentId("1002")].missed) == (AgentState.READY, 0)


def test_a_leg_of_an_offer_that_is_over_is_hung_up() -> None:
    line, callback, leg = rung()
    callbacks.cancel(line.board, callback, line.now, by="supervisor")
    line.drain()
    line.commands.clear()
    take(line, channel(callback, leg, name="PJSIP/1002-0000beef"))
    assert line.commands == [HangUp(channel=ChannelName("PJSIP/1002-0000beef"))]


# -- lines of the trunk ------------------------------------------------------------------------------------------------


def test_an_agent_at_an_outside_number_waits_for_a_line() -> None:
    line = Line(most_at_once=1)
    agents_too = dict(line.board.centre.agents)
    agents_too[AgentId("1001")] = replace(agents_too[AgentId("1001")], number="+15550107777")
    line.board.centre = replace(line.board.centre, agents=agents_too)
    outbound.open_trunk(line.board, line.now, there=True)
    sent = line.call(number="+15550100011")
    line.queue(sent, "sales")
    assert outbound.send_out(line.board, line.live(sent), OTHER, line.now, "option")
    line.ready("1001", device=Device.EXTERNAL)
    waiting = line.call(number="+15550100012")
    line.queue(waiting, "sales")
    assert line.delivered() == []
    assert line.board.lines_taken
    assert line.live(waiting).state is CallState.WAITING
    line.hang_up_caller(sent)
    line.look()
    assert line.delivered() == [(waiting, "1001")]
    assert not line.board.lines_taken


def test_a_talk_that_only_a_slow_snapshot_tells_of_is_as_old_as_the_question() -> None:
    line, callback, leg = rung()
    line.pass_time(8)
    after, asked = restarted(line), line.now - timedelta(seconds=5)
    channels = (
        channel(callback, leg, name=line.leg("1002"), bridge="b1"),
        replace(channel(callback, "t1-77.1", name="PJSIP/trunk-7", bridge="b1"), agent_id=None),
    )
    snapshot = s.Snapshot(at=after.now, asked_at=asked, channels=channels, devices=(), restarted=False)
    reconcile.adopt_snapshot(after.board, snapshot, after.now)
    after.drain()
    assert after.live(callback).state is CallState.TALKING
    (begun,) = after.of(f.CallAnswered)
    assert begun.at == asked
