"""What a recount sees: telephones and callers that write down, by their own clock, when each SIP message went or came."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field

from tests.support.sip_caller import Caller, CarrierLine, came_at
from tests.support.sip_phone import PhoneCall, SipPhone


@dataclass(slots=True, kw_only=True)
class AgentLeg:
    """One INVITE to an agent's telephone."""

    agent: str
    number: str
    """Who calls, as the telephone is told."""
    call_id: str
    invited: float
    answered: float | None = None
    ended: float | None = None
    call: PhoneCall
    phone: NotingPhone

    async def over(self) -> None:
        """Until the leg is gone."""
        await self.call.ended.wait()


@dataclass(slots=True, kw_only=True)
class CallerLeg:
    """One call from the carrier's side."""

    number: str
    did: str
    invited: float
    answered: float = 0.0
    ended: float = 0.0
    caller: Caller

    async def over(self) -> None:
        """Until the call is gone."""
        await self.caller.ended.wait()
        while not self.ended:  # noqa: ASYNC110 - the note is made in the same turn of the loop
            await asyncio.sleep(0)


class NotingPhone(SipPhone):
    """An agent's telephone."""

    def __init__(self, account: str, password: str, server: tuple[str, int], *, behaviour: str = "answer") -> None:
        super().__init__(account, password, server, behaviour=behaviour)
        self.legs: list[AgentLeg] = []
        self.ringing: asyncio.Queue[AgentLeg] = asyncio.Queue()
        self.refuses: set[str] = set()
        """Numbers of callers whose next call is declined."""

    def _new_call(self, call: PhoneCall, vias: list[str]) -> None:
        found = re.search(r"sip:([^@>;]+)@", call.invite["from"])
        number = found[1] if found else ""
        usual = self.behaviour
        if number in self.refuses:
            self.refuses.discard(number)
            self.behaviour = "603 Decline"
        super()._new_call(call, vias)
        self.behaviour = usual

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """asyncio: a SIP message; the clock is read before anything is done about it."""
        at = came_at(self._transport)
        super().datagram_received(data, addr)
        for call in self.calls[len(self.legs) :]:
            number = re.search(r"sip:([^@>;]+)@", call.invite["from"])
            leg = AgentLeg(
                agent=self.account, number=number[1] if number else "", call_id=call.invite.get("x-cti-call", ""),
                invited=at, call=call, phone=self,
            )  # fmt: skip
            self.legs.append(leg)
            self.ringing.put_nowait(leg)
        for leg in self.legs[-4:]:
            if leg.answered is None and leg.call.answered.is_set():
                leg.answered = at
            if leg.ended is None and leg.call.ended.is_set():
                leg.ended = at

    def hang_up_leg(self, leg: AgentLeg) -> None:
        """The agent hangs up."""
        if leg.ended is None:
            leg.ended = time.time()
            self.hang_up(leg.call)


@dataclass(slots=True)
class NotingLine:
    """The carrier's line: every call that was made over it."""

    line: CarrierLine
    legs: list[CallerLeg] = field(default_factory=list)
    _notes: list[asyncio.Task[None]] = field(default_factory=list)

    async def dial(self, did: str, number: str) -> CallerLeg:
        """Call, and note when."""
        began = time.time()
        caller = await self.line.dial(did, number)
        leg = CallerLeg(number=number, did=did, invited=began, answered=caller.answered_at, caller=caller)
        self.legs.append(leg)
        self._notes.append(asyncio.create_task(self._note(leg)))
        return leg

    async def refused(self, did: str, number: str) -> CallerLeg:
        """Call a number, and be refused; `caller.status` says how. Raises `AssertionError` where it is answered."""
        began = time.time()
        caller = Caller(self.line, number, did)
        self.line.callers[caller._call_id] = caller
        leg = CallerLeg(number=number, did=did, invited=began, caller=caller)
        self.legs.append(leg)
        note = asyncio.create_task(self._note(leg))
        await caller._invite()
        async with asyncio.timeout(60):
            await note
        assert not caller.answered.is_set(), f"{did}: answered"
        assert caller.status >= 400, f"{did}: {caller.status}"
        return leg

    async def _note(self, leg: CallerLeg) -> None:
        await leg.caller.ended.wait()
        leg.ended = leg.ended or leg.caller.ended_at or time.time()
