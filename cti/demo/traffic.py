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


class DemoAgent:
    """One simulated agent: answers after a moment, talks a while, writes a disposition."""

    def __init__(self, told: dict[str, Any], api: str, rng: random.Random) -> None:
        self._told = told
        self._api = api
        self._rng = rng
        self._token = ""

    async def run(self, room: PhoneRoom, server: str) -> None:
        """Log in, register, take calls until cancelled."""
        sip = self._told["sip"]
        phone = await room.phone(
            user=sip["username"], password=sip["password"], server=server, address="127.0.0.1", display=""
        )
        async with aiohttp.ClientSession() as http:
            await self._ready(http)
            while True:
                call = await phone.incoming.get()
                try:
                    await self._take(http, call)
                except (PhoneError, aiohttp.ClientError, TimeoutError) as error:
                    log.info("demo_agent_call_failed", agent=self._told["agent_id"], error=str(error))
                    await asyncio.sleep(1)
                    await self._ready(http)

    async def _take(self, http: aiohttp.ClientSession, call: PhoneCall) -> None:
        await asyncio.sleep(self._rng.uniform(1, 5))
        if self._rng.random() < 0.05:
            await call.answer(486)
            return
        await call.answer()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(8):
                await call.confirmed.wait()
            await call.play_tone(300)
            async with asyncio.timeout(self._rng.lognormvariate(3.3, 0.6)):
                await call.ended.wait()
        await call.hang_up()
        await asyncio.sleep(self._rng.uniform(2, 12))
        await self._wrap_up(http)

    async def _request(
        self, http: aiohttp.ClientSession, method: str, path: str, body: dict[str, Any] | None = None
    ) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with http.request(method, f"{self._api}{path}", json=body, headers=headers) as response:
            return await response.json()

    async def _ready(self, http: aiohttp.ClientSession) -> None:
        login = self._told["login"]
        while True:
            try:
                answer = await self._request(http, "POST", "/login", login)
                self._token = answer["token"]
                await self._request(http, "POST", "/agent/state", {"state": "ready", "device": "sip"})
            except (aiohttp.ClientError, KeyError, ValueError):
                await asyncio.sleep(1)
            else:
                return

    async def _wrap_up(self, http: aiohttp.ClientSession) -> None:
        mine = await self._request(http, "GET", "/agent")
        call_id = (mine.get("agent") or {}).get("call_id")
        pop = mine.get("pop") or {}
        if call_id and (mine.get("agent") or {}).get("state") == "wrap_up":
            kinds = pop.get("dispositions") or ["other"]
            await self._request(
                http, "POST", f"/agent/calls/{call_id}/wrapup", {"disposition": self._rng.choice(kinds), "note": ""}
            )


class DemoCallers:
    """Callers: some known customers, some strangers, some who give up."""

    def __init__(self, numbers: list[str], rng: random.Random) -> None:
        self._numbers = numbers
        self._rng = rng

    async def run(self, phones: list[Softphone]) -> None:
        """Call now and then until cancelled."""
        async with asyncio.TaskGroup() as group:
            for phone in phones:
                group.create_task(self._one(phone))

    async def _one(self, phone: Softphone) -> None:
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / 14))
            try:
                await self._call(phone)
            except (PhoneError, TimeoutError) as error:
                log.info("demo_caller_failed", error=str(error))

    async def _call(self, phone: Softphone) -> None:
        call = await phone.dial(self._rng.choice(self._numbers))
        try:
            async with asyncio.timeout(10):
                await call.confirmed.wait()
            with contextlib.suppress(PhoneError, TimeoutError):
                await call.play_tone(500)
            if self._rng.random() < 0.08:
                return
            await asyncio.sleep(self._rng.uniform(2.0, 3.5))
            await call.press("1")
            await asyncio.sleep(self._rng.uniform(2.5, 4.0))
            await call.press(self._rng.choice("1112"))
            patience = self._rng.lognormvariate(4.8, 0.5)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await call.ended.wait()
        finally:
            await call.hang_up()


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
    persons = [f"+1555010{number:04d}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)]
    async with PhoneRoom() as room, asyncio.TaskGroup() as group:
        for agent in told["agents"][FIRST_LEFT_FREE:]:
            group.create_task(DemoAgent(agent, told["urls"]["api"], random.Random(rng.random())).run(room, server))  # noqa: S311
        phones = []
        for person in rng.sample(persons, CALLERS_AT_ONCE):
            phones.append(await room.phone(user=person, server=server, address=carrier, register=False))
        callers = DemoCallers([n["did"] for n in told["numbers"]], rng)
        group.create_task(callers.run(phones))
        log.info("demo_started", agents=len(told["agents"]) - FIRST_LEFT_FREE, callers=len(phones))
