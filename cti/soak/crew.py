"""The agents of a soak: SIP phones that answer everything and never hang up, and log-ins that stay ready."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

import aiohttp

from cti.demo.softphone import PhoneCall, PhoneError, PhoneRoom

LOOK_AFTER = 1.0
"""Seconds between looks whether an agent is still ready: a restart or a missed call may have changed that."""


class SoakAgent:
    """One agent. Whatever rings is answered; the talk ends when the caller leaves; the wrap-up is done at once."""

    def __init__(self, told: dict[str, Any], api: str, tls: ssl.SSLContext | None = None) -> None:
        self._told = told
        self._api = api
        self._tls = tls
        self._token = ""
        self.answered = 0

    async def run(self, room: PhoneRoom, server: str) -> None:
        """Register, log in, take calls until cancelled."""
        sip = self._told["sip"]
        phone = await room.phone(user=sip["username"], password=sip["password"], server=server)
        timeout = aiohttp.ClientTimeout(total=5)
        connector = aiohttp.TCPConnector(ssl=self._tls or True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http, asyncio.TaskGroup() as group:
            group.create_task(self._stay_ready(http))
            while True:
                call = await phone.incoming.get()
                group.create_task(self._take(call))

    async def _take(self, call: PhoneCall) -> None:
        try:
            await call.answer()
        except PhoneError:
            return  # the caller left first
        self.answered += 1
        with contextlib.suppress(PhoneError, TimeoutError):
            await call.play_tone(300)
        await call.ended.wait()

    async def _stay_ready(self, http: aiohttp.ClientSession) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError, KeyError):
                mine = await self._ask(http, "GET", "/agent")
                if "error" in mine:
                    await self._log_in(http)
                elif (agent := mine["agent"])["state"] == "wrap_up" and agent.get("call_id"):
                    body = {"disposition": "other", "note": ""}
                    await self._ask(http, "POST", f"/agent/calls/{agent['call_id']}/wrapup", body)
                elif agent["state"] in ("offline", "not_ready"):
                    await self._ask(http, "POST", "/agent/state", {"state": "ready", "device": "sip"})
            await asyncio.sleep(LOOK_AFTER)

    async def _log_in(self, http: aiohttp.ClientSession) -> None:
        self._token = ""
        self._token = (await self._ask(http, "POST", "/login", self._told["login"]))["token"]

    async def _ask(
        self, http: aiohttp.ClientSession, method: str, path: str, body: dict[str, Any] | None = None
    ) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with http.request(method, f"{self._api}{path}", json=body, headers=headers) as response:
            return await response.json()
