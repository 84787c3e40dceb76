"""The demo's people: agents with SIP phones who log in over the HTTP API, and callers from the carrier's address.

Everything is real: SIP, RTP, key presses by RFC 4733, the same API as anybody's. Seeded, so a demo day repeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import aiohttp
import structlog

from cti.app import configure_logging
from cti.centre_file import load_centre
from cti.demo.softphone import PhoneCall, PhoneError, PhoneRoom, Softphone
from cti.errors import CtiError
from cti.places import Places
from cti.secrets_file import load_or_make
from cti.settings import Settings
from cti.status import describe

log = structlog.get_logger(__name__)

FIRST_LEFT_FREE = 2
"""So many agents of the file are left to people at the keyboard."""
CALLERS_AT_ONCE = 9
"""Callers on the line at once, at most: more than the agents can take, so that a queue is seen."""
NOTES = (
    "Sent the invoice again.",
    "Delivery moved to Thursday.",
    "Wants a call back after the renewal.",
    "Password reset, works again.",
    "Asked about prices for ten more seats.",
    "已补发订单确认。",
)


class DemoAgent:
    """One simulated agent: answers after a moment, talks a while, sometimes holds, writes a disposition, takes breaks."""

    def __init__(self, told: dict[str, Any], api: str, rng: random.Random) -> None:
        self._told = told
        self._api = api
        self._rng = rng
        self._token = ""
        self._break_until = 0.0

    async def run(self, room: PhoneRoom, server: str) -> None:
        """Log in, register, take calls until cancelled."""
        sip = self._told["sip"]
        phone = await room.phone(
            user=sip["username"], password=sip["password"], server=server, address="127.0.0.1", display=""
        )
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http, asyncio.TaskGroup() as group:
            await self._log_in(http)
            group.create_task(self._stay_ready(http))
            while True:
                call = await phone.incoming.get()
                try:
                    await self._take(http, call)
                except (PhoneError, aiohttp.ClientError, TimeoutError) as error:
                    log.info("demo_agent_call_failed", agent=self._told["agent_id"], error=str(error))

    async def _take(self, http: aiohttp.ClientSession, call: PhoneCall) -> None:
        if await self._over_within(call, self._rng.uniform(1, 5)):
            return
        if self._rng.random() < 0.04:
            await call.answer(486)
            return
        await call.answer()
        async with asyncio.timeout(8):
            await call.confirmed.wait()
        await call.play_tone(300)
        talk = min(120.0, self._rng.lognormvariate(3.4, 0.6))
        over = await self._over_within(call, talk / 2)
        if not over and self._rng.random() < 0.25:
            await call.hold(True)
            over = await self._over_within(call, self._rng.uniform(4, 12))
            if not over:
                await call.hold(False)
        if not over and not await self._over_within(call, talk / 2):
            await call.hang_up()
        await asyncio.sleep(self._rng.uniform(3, 14))
        if self._rng.random() < 0.08:
            self._break_until = asyncio.get_running_loop().time() + self._rng.uniform(20, 60)
            reason = self._rng.choice(["break", "lunch", "training"])
            await self._request(http, "POST", "/agent/state", {"state": "not_ready", "reason": reason})
        await self._wrap_up(http)

    async def _over_within(self, call: PhoneCall, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await call.ended.wait()
        return call.ended.is_set()

    async def _stay_ready(self, http: aiohttp.ClientSession) -> None:
        """Back from a break, after a restart of the server, or taken out for a missed call: ready again."""
        while True:
            try:
                mine = await self._request(http, "GET", "/agent")
                state = (mine.get("agent") or {}).get("state")
                if state in ("offline", "not_ready") and asyncio.get_running_loop().time() >= self._break_until:
                    await self._request(http, "POST", "/agent/state", {"state": "ready", "device": "sip"})
                elif "error" in mine:
                    await self._log_in(http)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                pass  # the server is away; it comes back
            await asyncio.sleep(3)

    async def _request(
        self, http: aiohttp.ClientSession, method: str, path: str, body: dict[str, Any] | None = None
    ) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with http.request(method, f"{self._api}{path}", json=body, headers=headers) as response:
            return await response.json()

    async def _log_in(self, http: aiohttp.ClientSession) -> None:
        self._token = ""
        while not self._token:
            try:
                self._token = (await self._request(http, "POST", "/login", self._told["login"]))["token"]
            except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
                await asyncio.sleep(1)

    async def _wrap_up(self, http: aiohttp.ClientSession) -> None:
        mine = await self._request(http, "GET", "/agent")
        agent = mine.get("agent") or {}
        if agent.get("call_id") and agent.get("state") == "wrap_up":
            # Most calls end with the first kind of their queue.
            kinds = (mine.get("pop") or {}).get("dispositions") or ["other"]
            kind = kinds[0] if self._rng.random() < 0.7 else self._rng.choice(kinds)
            note = self._rng.choice(NOTES) if self._rng.random() < 0.6 else ""
            await self._request(
                http, "POST", f"/agent/calls/{agent['call_id']}/wrapup", {"disposition": kind, "note": note}
            )


class DemoCallers:
    """Callers: some known customers, some strangers, some who give up."""

    def __init__(self, numbers: list[str], rng: random.Random) -> None:
        self._numbers = numbers
        self._rng = rng

    async def run(self, phones: list[Softphone]) -> None:
        """Call now and then until cancelled."""
        async with asyncio.TaskGroup() as group:
            for place, phone in enumerate(phones):
                # The first ones call at once, so that a visitor need not wait for life.
                group.create_task(self._one(phone, 1 + place * 1.5))

    async def _one(self, phone: Softphone, pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            try:
                await self._call(phone)
            except (PhoneError, TimeoutError) as error:
                log.info("demo_caller_failed", error=str(error))
            pause = 2 + self._rng.expovariate(1 / 14)

    async def _call(self, phone: Softphone) -> None:
        # Half of all call the first number, the main line.
        did = self._numbers[0] if self._rng.random() < 0.5 else self._rng.choice(self._numbers)
        call = await phone.dial(did)
        try:
            async with asyncio.timeout(10):
                await call.confirmed.wait()
            with contextlib.suppress(PhoneError, TimeoutError):
                await call.play_tone(500)
            for _menu in range(2):
                if await self._left(call, self._rng.uniform(2.5, 4.5)):
                    return
                if self._rng.random() < 0.04:
                    return
                await call.press(self._rng.choice("1112"))
            # Calls end by the agent mostly; a caller who waits too long gives up.
            await self._left(call, min(600.0, self._rng.lognormvariate(5.0, 0.5)))
        finally:
            await call.hang_up()

    async def _left(self, call: PhoneCall, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await call.ended.wait()
        return call.ended.is_set()


async def run(settings: Settings) -> None:
    """Be the demo's people until cancelled. Raises `CtiError` when the softphone library is missing."""
    configure_logging(settings.log_level)
    places = Places(settings)
    centre = load_centre(places.centre)
    told = describe(settings, centre, load_or_make(settings.data, centre))
    server = told["sip"]["server"]
    rng = random.Random(5)  # noqa: S311 - a demo, not a secret
    if not settings.trunk.match:
        raise CtiError("no trunk address to call from", remedy="set trunk.match")
    carrier = settings.trunk.match[0]
    persons = [f"+1555010{number:04d}" for number in (*range(2, 16), 29, 32, 77, 88)]
    # Two of them (77, 88) are in nobody's file.
    async with PhoneRoom() as room, asyncio.TaskGroup() as group:
        for agent in told["agents"][FIRST_LEFT_FREE:]:
            group.create_task(DemoAgent(agent, told["urls"]["api"], random.Random(rng.random())).run(room, server))  # noqa: S311
        phones = []
        for person in rng.sample(persons, CALLERS_AT_ONCE):
            phones.append(await room.phone(user=person, server=server, address=carrier, register=False))
        callers = DemoCallers([n["did"] for n in told["numbers"]], rng)
        group.create_task(callers.run(phones))
        log.info("demo_started", agents=len(told["agents"]) - FIRST_LEFT_FREE, callers=len(phones))
