"""The doors through which Asterisk's dialplan visits the bridge: a new (or resumed) call, a look-in while waiting, a key.

CTI_NEXT is always the last variable set: the dialplan believes it and nothing else. Whatever fails here leaves it unset,
and the dialplan carries the caller on without us.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import TypeAlias

import structlog

from cti.asterisk.agi.hold import HoldingLeg
from cti.asterisk.agi.session import AgiLeg, AgiSession, RunScript
from cti.asterisk.agi.wire import AgiRequest
from cti.asterisk.ami.translate import account_of_channel, accounts_of
from cti.crm.numbers import normalise
from cti.ids import CallId, QueueName
from cti.ivr.effects import Sound
from cti.model.centre import TargetKind
from cti.services import recording_choice
from cti.services.announcer import Announcer
from cti.services.desk import CallOver
from cti.services.dispatcher import Dispatcher
from cti.services.errands import destination
from cti.services.floor import Refused
from cti.services.flow_runner import FlowRunner

NEXT = {
    TargetKind.VOICEMAIL: "voicemail",
    TargetKind.FLOW: "flow",
    TargetKind.NUMBER: "out",
    TargetKind.CALLBACK: "callback",
    TargetKind.HANG_UP: "hangup",
}
"""CTI_NEXT for a caller who goes elsewhere."""

Handler: TypeAlias = Callable[[AgiRequest, AgiSession], Awaitable[None]]
log = structlog.get_logger(__name__)


class Doors:
    """AGI handlers over the dispatcher and the flows; with an announcer, waiting callers are told how they stand."""

    def __init__(
        self,
        desk: Dispatcher,
        runner: FlowRunner,
        announcer: Announcer | None = None,
        *,
        run_script: RunScript | None = None,
    ) -> None:
        self._run_script = run_script
        self._desk = desk
        self._runner = runner
        self._announcer = announcer

    def handlers(self) -> Mapping[str, Handler]:
        """By AGI script name."""
        return {"call": self.call, "wait": self.wait, "option": self.option, "dial": self.dial}

    async def call(self, request: AgiRequest, session: AgiSession) -> None:
        """A caller in the inbound context: run the flow, new or where it was."""
        call_id, number, did = self._who(request)
        try:
            flow_call = await self._desk.caller_arrived(
                call_id, channel=request.channel, number=number, did=did, returned="".join(request.args[3:4])
            )
        except CallOver:
            log.info("session_of_a_closed_call", call_id=call_id)
            return
        leg = HoldingLeg(session, run_script=self._run_script)
        if self._announcer is not None and (warning := self._announcer.warning(call_id, None)):
            # A hang-up or a Redirect meanwhile is met by the flow, at its first step.
            await leg.play([self._runner.sound(sound) for sound in warning], interrupt="")
        following = await self._runner.run(flow_call, leg)
        if following == "hangup":
            await leg.set_variables([("CTI_NEXT", "hangup")])
        elif following != "gone":
            await self._send_on(call_id, leg)

    async def wait(self, request: AgiRequest, session: AgiSession) -> None:
        """A waiting caller looks in. One we do not know (a lost journal) is given a place now, never turned away."""
        call_id = await self._known(request)
        if call_id is None:
            return
        await self._desk.looks_in(call_id)
        sounds = self._announcer.due(call_id) if self._announcer is not None else ()
        await self._send_on(call_id, AgiLeg(session), sounds)

    async def option(self, request: AgiRequest, session: AgiSession) -> None:
        """A waiting caller pressed a key. Keys are not logged."""
        call_id = await self._known(request)
        if call_id is None:
            return
        if len(request.args) > 3:
            await self._desk.press(call_id, request.args[3])
        await self._send_on(call_id, AgiLeg(session))

    async def dial(self, request: AgiRequest, session: AgiSession) -> None:
        """An agent's telephone dialled an outside number. Unless we say the number, nothing is dialled."""
        account = account_of_channel(request.channel, accounts_of(self._desk.board.centre.agents))
        if account is None or len(request.args) < 4:
            return
        call_id, agent_id = request.call_id or CallId(request.unique_id), account[0]
        try:
            number, shown = await self._desk.keypad(call_id, request.channel, agent_id, request.args[3])
        except Refused as refused:
            log.info("not_dialled", agent_id=agent_id, reason=refused.error_id)
            return
        call = self._desk.board.calls.get(call_id)
        queue = call.queue if call is not None and call.queue is not None else ""
        # The far side has the queue, too: where it waits if the telephone is gone and no bridge is there.
        values = [("CTI_OUT", number.removeprefix("+")), ("CTI_SHOWN", shown), ("__CTI_QUEUE", queue)]
        if not await AgiLeg(session).set_variables([*values, ("CTI_NEXT", "dial")]):
            await self._desk.keypad_gone(call_id)

    async def _known(self, request: AgiRequest) -> CallId | None:
        """The visiting call, with a place in a queue unless it was sent elsewhere; None when it is over."""
        call_id, number, did = self._who(request)
        board = self._desk.board
        if not self._desk.may_wait(call_id) and destination(board.calls.get(call_id)) is None:
            try:
                await self._desk.caller_arrived(call_id, channel=request.channel, number=number, did=did)
                known = board.centre.numbers.get(did)
                queue = known.survival_queue if known is not None else next(iter(board.centre.queues))
                await self._desk.enqueue(call_id, QueueName(queue), skills=(), head_start=timedelta())
            except CallOver:
                return None
        return call_id

    async def _send_on(self, call_id: CallId, leg: AgiLeg, sounds: Sequence[Sound] = ()) -> None:
        """The answer of every session: the caller goes on waiting, or where they were sent instead."""
        call = self._desk.board.calls.get(call_id)
        target = destination(call)
        following = NEXT.get(target.kind) if target is not None else None
        if following is None or target is None:
            await self._send_to_wait(call_id, leg, sounds)
            return
        values = [("CTI_LANGUAGE", call.language)] if call is not None and call.language else []
        if target.kind is TargetKind.NUMBER:
            back = "1" if call is not None and call.sent_from else ""
            values += [("CTI_BACK", back), ("CTI_OUT", target.name.removeprefix("+"))]
        await leg.set_variables([*values, ("CTI_NEXT", following)])

    async def _send_to_wait(self, call_id: CallId, leg: AgiLeg, sounds: Sequence[Sound] = ()) -> None:
        queue = self._desk.queue_of(call_id)
        call = self._desk.board.calls.get(call_id)
        values: list[tuple[str, str]] = []
        if queue is not None:
            values += [
                ("CTI_QUEUE", queue.name),
                ("CTI_RING", str(round(queue.ring_timeout.total_seconds()))),
                ("CTI_RECORD", "1" if recording_choice.wanted(self._desk.board, call_id, queue.name) else ""),
            ]
        if call is not None and call.language:
            values += [("CTI_LANGUAGE", call.language), ("CHANNEL(language)", call.language)]
        if sounds:
            # The dialplan plays them when this visit is over: no session is open meanwhile, and an offer, a key or a
            # hang-up ends the playing as it ends the music.
            values.append(("CTI_SAY", "&".join(self._runner.sound(sound) for sound in sounds)))
        await leg.set_variables([*values, ("CTI_NEXT", "wait")])

    def _who(self, request: AgiRequest) -> tuple[CallId, str | None, str]:
        call_id = request.call_id or CallId(request.unique_id)
        raw = request.args[1] if len(request.args) > 1 else ""
        did = request.args[2] if len(request.args) > 2 else ""
        return call_id, normalise(raw, self._desk.board.centre.region) if raw else None, did
