"""A snapshot that took long to come is older than what the ledger tells: it undoes nothing of that."""

from __future__ import annotations

from datetime import timedelta

from cti.ids import AgentId
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
