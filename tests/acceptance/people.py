"""People for acceptance tests: an agent with a SIP phone and the API, a caller on the carrier's line."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from cti.demo.softphone import PhoneCall, PhoneRoom, Softphone
from tests.support.centre import ApiPerson, TestCentre


class SipAgent:
    """An agent: phone registered, logged in over the API."""

    def __init__(self, extension: str, phone: Softphone, api: ApiPerson) -> None:
        self.extension = extension
        self.phone = phone
        self.api = api

    async def ready(self) -> None:
        """Become ready, and be reachable."""
        await self.api.post("/agent/state", {"state": "ready", "device": "sip"})
        await self.api.until(
            "/agent",
            lambda a: a["agent"]["state"] in ("ready", "reserved", "ringing") and a["agent"]["reachable"]["sip"],
        )

    async def rings(self, within: float = 60) -> PhoneCall:
        """The next call on the phone."""
        async with asyncio.timeout(within):
            return await self.phone.incoming.get()

    async def wrap_up(self, disposition: str = "resolved") -> float:
        """Finish the work after the call; gives when it was finished."""
        mine = await self.api.until("/agent", lambda a: a["agent"]["state"] == "wrap_up")
        call_id = mine["agent"]["call_id"]
        at = time.time()
        await self.api.post(f"/agent/calls/{call_id}/wrapup", {"disposition": disposition, "note": ""})
        return at

    async def go(self) -> None:
        """Leave: not ready, nothing of this test stays."""
        with contextlib.suppress(AssertionError):
            mine = await self.api.get("/agent")
            if mine["agent"]["state"] == "wrap_up":
                await self.wrap_up("other")
            await self.api.post("/agent/state", {"state": "offline"})


@contextlib.asynccontextmanager
async def sip_agent(
    centre: TestCentre, room: PhoneRoom, extension: str, *, ready: bool = True
) -> AsyncIterator[SipAgent]:
    """An agent with a registered SIP phone."""
    account = centre.agent(extension)["sip"]
    async with ApiPerson(centre, extension) as api:
        phone = await room.phone(user=account["username"], password=account["password"], server=account["server"])
        agent = SipAgent(extension, phone, api)
        try:
            if ready:
                await agent.ready()
            yield agent
        finally:
            await agent.go()
            await phone.unregister()


async def caller(centre: TestCentre, room: PhoneRoom, number: str) -> Softphone:
    """A phone on the carrier's side."""
    return await room.phone(user=number, server=centre.told["sip"]["server"], address=centre.carrier, register=False)


async def call_in(phone: Softphone, did: str = "5000", *, keys: str = "1", after: float = 1.2) -> PhoneCall:
    """Dial, wait for the answer, press keys one after another."""
    call = await phone.dial(did)
    async with asyncio.timeout(60):
        await call.confirmed.wait()
    for key in keys:
        # The prompt must have begun: a person listens first.
        await asyncio.sleep(after)
        await call.press(key)
    return call


async def key_in(call: PhoneCall, keys: str, *, after: float = 1.2) -> None:
    """Listen, then press keys one after another, as fast as a person does.

    Asterisk drops a key that ends between two commands of AGI, so faster ones are lost where bridge and machine are busy.
    """
    await asyncio.sleep(after)
    for key in keys:
        await call.press(key)
        await asyncio.sleep(0.35)
