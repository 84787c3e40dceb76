"""The bridge's answer to a visit: the caller goes on waiting, or where they were sent instead. CTI_NEXT comes last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from cti.asterisk.agi.session import AgiSession
from cti.asterisk.agi.wire import AgiRequest
from cti.entry import Doors
from cti.ids import CallId, ChannelName, FlowName, QueueName
from cti.model.centre import Outbound, Queue, Target, TargetKind
from cti.services import call_control, departures, desk
from cti.services.dispatcher import Dispatcher
from cti.services.flow_runner import FlowRunner
from cti.services.ports import FlowCall
from tests.support.floor_rig import FloorRig


class Channel:
    """A session that writes down the variables it is given."""

    def __init__(self) -> None:
        self.variables: list[tuple[str, str]] = []
        self.gone = False

    async def set_variable(self, name: str, value: str) -> bool:
        self.variables.append((name, value))
        return True

    async def set_together(self, values: Sequence[tuple[str, str]]) -> bool:
        self.variables += values
        return True


class Desk:
    """The dispatcher's requests, carried out at once on a rig's floor."""

    def __init__(self, rig: FloorRig) -> None:
        self.rig = rig
        self.board = rig.board

    async def caller_arrived(
        self, call_id: CallId, *, channel: ChannelName, number: str | None, did: str, returned: str = ""
    ) -> FlowCall:
        return desk.caller_arrived(
            self.board, call_id, self.rig.now, channel=channel, number=number, did=did, returned=returned
        )

    async def enqueue(
        self, call_id: CallId, queue: QueueName, *, skills: Sequence[tuple[str, int]], head_start: timedelta
    ) -> Target | None:
        return desk.enqueue(self.board, call_id, queue, self.rig.now, skills=skills, head_start_of_flow=head_start)

    async def press(self, call_id: CallId, key: str) -> None:
        departures.press(self.board, call_id, key, self.rig.now)

    async def looks_in(self, call_id: CallId) -> None:
        call_control.looks_in(self.board, call_id, self.rig.now)

    def may_wait(self, call_id: CallId) -> bool:
        return self.board.engine.ticket(call_id) is not None

    def queue_of(self, call_id: CallId) -> Queue | None:
        call = self.board.calls[call_id]
        return self.board.centre.queues[call.queue] if call.queue is not None else None


class Runner:
    """A flow that ends as it is told."""

    following = "wait"

    async def run(self, call: FlowCall, leg: object) -> str:
        return self.following


OPTIONS = {
    "1": Target(kind=TargetKind.CALLBACK),
    "2": Target(kind=TargetKind.VOICEMAIL),
    "3": Target(kind=TargetKind.QUEUE, name="sales"),
    "4": Target(kind=TargetKind.FLOW, name="after_hours"),
    "5": Target(kind=TargetKind.NUMBER, name="+15550177"),
    "6": Target(kind=TargetKind.HANG_UP),
}


@pytest.fixture
def rig() -> FloorRig:
    floor = FloorRig()
    centre = floor.board.centre
    support = replace(centre.queues[QueueName("support")], options=OPTIONS)
    floor.board.centre = replace(
        centre, queues={**centre.queues, support.name: support}, outbound=Outbound(allow=("+1555",))
    )
    floor.board.can_dial_out = True
    return floor


async def visit(rig: FloorRig, door: str, call_id: str, *key: str, runner: Runner | None = None) -> dict[str, str]:
    doors = Doors(cast(Dispatcher, Desk(rig)), cast(FlowRunner, runner or Runner()))
    channel = Channel()
    request = AgiRequest(
        script=door, args=(call_id, "+15550100002", "5000", *key), channel=ChannelName("PJSIP/trunk-1")
    )
    await cast(Any, doors.handlers()[door])(request, cast(AgiSession, channel))
    if channel.variables:
        assert channel.variables[-1][0] == "CTI_NEXT"
    return dict(channel.variables)


async def test_a_visit_waits_on(rig: FloorRig) -> None:
    call_id = rig.call()
    rig.queue(call_id)
    answer = await visit(rig, "wait", call_id, "")
    assert (answer["CTI_NEXT"], answer["CTI_QUEUE"]) == ("wait", "support")


@pytest.mark.parametrize(
    ("key", "following"),
    [("1", "callback"), ("2", "voicemail"), ("4", "flow"), ("5", "out"), ("6", "hangup"), ("7", "wait"), ("#", "wait")],
)
async def test_a_key_is_answered_with_where_it_leads(rig: FloorRig, key: str, following: str) -> None:
    call_id = rig.call()
    rig.queue(call_id)
    answer = await visit(rig, "option", call_id, key)
    assert answer["CTI_NEXT"] == following
    assert answer.get("CTI_OUT") == ("15550177" if following == "out" else None)
    # The answer was lost, or the key is pressed again: the same.
    facts = len(rig.board.history[call_id])
    for door in ("option", "wait"):
        assert (await visit(rig, door, call_id, key))["CTI_NEXT"] == following
    assert len(rig.board.history[call_id]) == facts
    assert rig.drain() == []


async def test_a_key_into_another_queue_answers_with_that_queue_s_settings(rig: FloorRig) -> None:
    call_id = rig.call()
    rig.queue(call_id)
    answer = await visit(rig, "option", call_id, "3")
    assert (answer["CTI_NEXT"], answer["CTI_QUEUE"]) == ("wait", "sales")


async def test_a_session_whose_call_was_turned_away_sends_it_there(rig: FloorRig) -> None:
    centre = rig.board.centre
    support = replace(centre.queues[QueueName("support")], max_length=1)
    rig.board.centre = replace(centre, queues={**centre.queues, support.name: support})
    first, second = rig.call(), rig.call()
    rig.queue(first)
    assert desk.enqueue(
        rig.board, second, QueueName("support"), rig.now, skills=(), head_start_of_flow=timedelta()
    ) == Target(kind=TargetKind.VOICEMAIL)
    runner = Runner()
    runner.following = "elsewhere"
    assert (await visit(rig, "call", second, runner=runner))["CTI_NEXT"] == "voicemail"
    # A session after a crash, or a visit from survival: the same answer, and no flow again.
    assert (await visit(rig, "call", second))["CTI_NEXT"] == "voicemail"


async def test_a_caller_sent_into_a_flow_walks_that_flow(rig: FloorRig) -> None:
    call_id = rig.call()
    rig.queue(call_id)
    assert (await visit(rig, "option", call_id, "4"))["CTI_NEXT"] == "flow"
    told = await Desk(rig).caller_arrived(call_id, channel=ChannelName("PJSIP/trunk-1"), number=None, did="5000")
    assert (told.flow, told.finished) == (FlowName("after_hours"), False)


async def test_nobody_is_lost_who_visits_unknown(rig: FloorRig) -> None:
    answer = await visit(rig, "wait", "t1-1795000000.77", "")
    assert (answer["CTI_NEXT"], answer["CTI_QUEUE"]) == ("wait", "support")


async def test_a_gone_session_is_given_no_answer(rig: FloorRig) -> None:
    runner = Runner()
    runner.following = "gone"
    assert await visit(rig, "call", rig.call(), runner=runner) == {}
