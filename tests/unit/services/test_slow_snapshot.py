"""A snapshot that took long to come is older than what the ledger tells: it undoes nothing of that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cti.ids import AgentId, ChannelName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.services.reconcile import adopt_ledger, adopt_snapshot
from tests.support.floor_rig import FloorRig


def slow_snapshot(rig: FloorRig, asked: timedelta, *channels: s.LiveChannel) -> s.Snapshot:
    return s.Snapshot(at=rig.now, asked_at=rig.now - asked, channels=channels, devices=(), restarted=False)


def waits(rig: FloorRig, call_id: str) -> s.LiveChannel:
    call = rig.board.calls[f.CallId(call_id)]
    return s.LiveChannel(
        channel=call.channel,
        unique_id=call_id,
        call_id=call.call_id,
        offer_id=None,
        agent_id=None,
        device=None,
        context="cti-wait-run",
        state="Up",
        bridge_id=None,
        queue=call.queue,
        caller_number=call.caller_number,
        did=call.did,
        seconds=10,
    )


def answered(rig: FloorRig, call_id: str, ago: float) -> f.CallAnswered:
    at = rig.now - timedelta(seconds=ago)
    return f.CallAnswered(at=at, call_id=f.CallId(call_id), agent_id=AgentId("1001"), inferred=True)


def test_a_talk_the_ledger_tells_of_is_not_ended_by_an_older_snapshot() -> None:
    rig = FloorRig()
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    old = waits(rig, call_id)
    rig.pass_time(8)
    assert adopt_ledger(rig.board, [answered(rig, call_id, 2)], rig.now) == 1
    adopt_snapshot(rig.board, slow_snapshot(rig, timedelta(seconds=6), old), rig.now)
    assert rig.live(call_id).state is CallState.TALKING
    assert not rig.of(f.TalkEnded)


def test_one_that_was_asked_for_after_it_corrects_it() -> None:
    rig = FloorRig()
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    old = waits(rig, call_id)
    rig.pass_time(8)
    adopt_ledger(rig.board, [answered(rig, call_id, 4)], rig.now)
    adopt_snapshot(rig.board, slow_snapshot(rig, timedelta(seconds=1), old), rig.now)
    assert rig.live(call_id).state is not CallState.TALKING


def test_a_call_that_began_while_it_was_on_its_way_is_not_closed() -> None:
    rig = FloorRig()
    rig.pass_time(10)
    young = rig.call()
    rig.queue(young)
    rig.pass_time(5)
    adopt_snapshot(rig.board, slow_snapshot(rig, timedelta(seconds=6)), rig.now)
    assert young in rig.board.calls
    adopt_snapshot(rig.board, slow_snapshot(rig, timedelta(seconds=1)), rig.now)
    assert young not in rig.board.calls


def test_a_caller_who_is_just_coming_in_is_told_of_with_the_number() -> None:
    rig = FloorRig()
    other = rig.call()
    coming = replace(
        waits(rig, other),
        channel=ChannelName("PJSIP/trunk-9"),
        unique_id="t1-9.9",
        call_id=f.CallId("t1-9.9"),
        context="cti-enter",
        queue=None,
        caller_number=None,
        seconds=0,
    )
    snapshot = slow_snapshot(rig, timedelta(seconds=1), waits(rig, other), coming)
    adopt_snapshot(rig.board, snapshot, rig.now)
    assert "t1-9.9" not in rig.board.calls
    adopt_snapshot(
        rig.board, replace(snapshot, channels=(waits(rig, other), replace(coming, context="cti-flow-run"))), rig.now
    )
    assert "t1-9.9" in rig.board.calls


def test_signals_from_before_a_talk_the_ledger_tells_of_do_not_end_it() -> None:
    """They stood in line while the ledger was read: the caller waited, left a bridge, and was answered after that."""
    rig = FloorRig()
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    old = waits(rig, call_id)
    rig.pass_time(8)
    adopt_ledger(rig.board, [answered(rig, call_id, 2)], rig.now)
    adopt_snapshot(rig.board, slow_snapshot(rig, timedelta(seconds=4), old), rig.now)
    before = rig.now - timedelta(seconds=3)
    rig.signal(s.WaitEntered(at=before, call_id=call_id, channel=old.channel))
    rig.signal(s.BridgeParted(at=before, bridge_id="b0", channel=old.channel, call_id=call_id, agent_id=None))
    assert rig.live(call_id).state is CallState.TALKING
    assert not rig.of(f.TalkEnded)
    ended = rig.now - timedelta(seconds=1)
    rig.signal(s.BridgeParted(at=ended, bridge_id="b1", channel=old.channel, call_id=call_id, agent_id=None))
    (talk,) = rig.of(f.TalkEnded)
    assert talk.at == ended, "what came after it ends it"


def test_a_talk_that_only_the_snapshot_knows_is_as_old_as_the_question_and_ends_by_what_came_after_it() -> None:
    rig = FloorRig()
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    rig.pass_time(8)
    caller = replace(waits(rig, call_id), context="cti-survival-run", bridge_id="b1")
    agent = replace(
        caller, channel=ChannelName("PJSIP/1001-1"), unique_id="t1-9.9", agent_id=AgentId("1001"), device=f.Device.SIP
    )
    asked_at = rig.now - timedelta(seconds=6)
    adopt_snapshot(rig.board, slow_snapshot(rig, timedelta(seconds=6), caller, agent), rig.now)
    rig.drain()
    (begun,) = rig.of(f.CallAnswered)
    assert begun.at == asked_at
    ended = rig.now - timedelta(seconds=1)
    rig.signal(s.BridgeParted(at=ended, bridge_id="b1", channel=caller.channel, call_id=call_id, agent_id=None))
    (talk,) = rig.of(f.TalkEnded)
    assert talk.at == ended


def test_a_call_first_seen_in_the_snapshot_has_its_times_in_order() -> None:
    rig = FloorRig()
    rig.ready("1001")
    caller = s.LiveChannel(
        channel=ChannelName("PJSIP/trunk-1"),
        unique_id="t1-5.5",
        call_id=f.CallId("t1-5.5"),
        offer_id=None,
        agent_id=None,
        device=None,
        context="cti-wait-run",
        state="Up",
        bridge_id="b1",
        queue=QueueName("support"),
        caller_number="+15550100009",
        did="5000",
        seconds=10,
    )
    agent = replace(
        caller, channel=ChannelName("PJSIP/1001-1"), unique_id="t1-9.9", agent_id=AgentId("1001"), device=f.Device.SIP
    )
    adopt_snapshot(rig.board, slow_snapshot(rig, timedelta(seconds=6), caller, agent), rig.now)
    rig.drain()
    times = [fact.at for fact in rig.facts if isinstance(fact, f.CallFact)]
    assert times == sorted(times)
    assert rig.live(f.CallId("t1-5.5")).state is CallState.TALKING
