"""Who takes part in chains of transfers: the floor as a supervisor's feed tells it, agents' telephones, and everybody outside."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import socket
import struct
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.support.centre import ApiPerson
from tests.support.sip_caller import EVENTS, PRESS_TICKS, SAMPLES, TICK
from tests.support.sip_phone import PhoneCall, SipPhone

TAKES, REFUSES, STAYS = "+15550170001", "+15550170002", "+15550170003"
"""Outside numbers: takes the call and hangs up after a while; is busy; takes it and never hangs up."""
TAKEN_SECONDS = 1.5
OF_AGENTS = "+15550180"
"""What the numbers of agents at outside telephones begin with; then their extension."""
KEY_AFTER = (0.3, 1.5, 3.0)
"""Seconds after which an agent at an outside telephone says by a key that it is no machine; the centre waits about five. More
than once: on a busy machine the centre may not listen yet. A key in a talk is only heard."""
PATIENCE = 60.0
"""Seconds in which a move is done, on a busy machine, too."""


class Floor:
    """What a supervisor sees, told by the feed: nobody asks again and again, however many wait."""

    def __init__(self, supervisor: ApiPerson) -> None:
        self._supervisor = supervisor
        self.calls: dict[str, Any] = {}
        self.agents: dict[str, Any] = {}
        self.talks: dict[str, Any] = {}
        self._news = asyncio.Condition()

    async def look(self) -> None:
        """Until it is cancelled. A feed that is closed (who reads too slowly is let go) is opened again."""
        while True:
            async for said in self._supervisor.feed():
                async with self._news:
                    if said["type"] == "snapshot":
                        view = said["view"]
                        self.calls, self.agents, self.talks = (
                            dict(view["calls"]),
                            dict(view["agents"]),
                            dict(view["talks"]),
                        )
                    elif said["type"] == "delta":
                        self._take(said["change"])
                    self._news.notify_all()

    def _take(self, change: dict[str, Any]) -> None:
        self.calls.update(change["calls"])
        self.agents.update(change["agents"])
        for call_id in change["calls_gone"]:
            self.calls.pop(call_id, None)
        for agent, talk in change["talks"].items():
            if talk is None:
                self.talks.pop(agent, None)
            else:
                self.talks[agent] = talk

    async def until(self, fits: Callable[[], Any], what: str, within: float = PATIENCE) -> Any:
        """The first true value of this, looked at whenever there is news."""
        try:
            async with asyncio.timeout(within), self._news:
                while not (found := fits()):
                    await self._news.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"not within {within} s: {what}") from None


class AgentPhone(SipPhone):
    """An agent's telephone that holds by its own key and asks for transfers by itself."""

    def __init__(self, account: str, password: str, server: tuple[str, int]) -> None:
        super().__init__(account, password, server)
        self._asked: dict[str, asyncio.Future[int]] = {}
        self._versions = 1

    def leg(self) -> PhoneCall | None:
        """The call it is in."""
        return next((call for call in reversed(self.calls[-5:]) if not call.ended.is_set()), None)

    async def refer(self, call: PhoneCall, number: str) -> int:
        """Ask the server to send the caller on (RFC 3515); gives its answer, 0 for none: it may let such a thing pass in silence."""
        contact = f"<sip:{self.account}@{self.address[0]}:{self.address[1]}>"
        headers = (f"Refer-To: <sip:{number}@{self.server[0]}>", f"Contact: {contact}")
        with contextlib.suppress(TimeoutError):
            return await self._ask(call, "REFER", *headers, within=2.0)
        return 0

    async def hold(self, call: PhoneCall, *, on: bool) -> int:
        """The telephone's own key: the sound goes one way, or both ways again; gives the server's answer."""
        self._versions += 1
        headers = (
            f"Contact: <sip:{self.account}@{self.address[0]}:{self.address[1]}>",
            "Content-Type: application/sdp",
        )
        body = self._sdp(self._versions, "sendonly" if on else "sendrecv")
        return await self._ask(call, "INVITE", *headers, body=body)

    async def _ask(self, call: PhoneCall, method: str, *headers: str, body: str = "", within: float = PATIENCE) -> int:
        key = f"{call.call_id} {method}"
        self._asked[key] = asyncio.get_running_loop().create_future()
        self._unanswered.send(key, self._request(call, method, *headers, body=body))
        try:
            async with asyncio.timeout(within):
                return await self._asked[key]
        finally:
            self._unanswered.answered(key)
            del self._asked[key]

    def _answer_to_us(self, status: int, headers: dict[str, str]) -> None:
        super()._answer_to_us(status, headers)
        number, _, method = headers.get("cseq", "").partition(" ")
        call = self._by_id.get(headers.get("call-id", ""))
        if status < 200 or call is None or method not in ("INVITE", "REFER"):
            return
        if method == "INVITE":
            self._acknowledge(call, number, headers)
        waits = self._asked.get(f"{call.call_id} {method}")
        if waits is not None and not waits.done():
            waits.set_result(status)

    def _acknowledge(self, call: PhoneCall, number: str, headers: dict[str, str]) -> None:
        contact = re.search(r"<([^>]+)>", headers.get("contact", call.invite["contact"]))
        assert contact is not None
        host, port = self.address
        lines = [
            f"ACK {contact[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(6)}",
            f"From: {headers['from']}",
            f"To: {headers['to']}",
            f"Call-ID: {call.call_id}",
            f"CSeq: {number} ACK",
            "Max-Forwards: 70",
        ]
        self._send(lines, call.source)


class Outside(SipPhone):
    """Everybody who is called over the trunk: what they do, their number says."""

    def __init__(self, server: tuple[str, int]) -> None:
        super().__init__("carrier", "", server)
        self._of: defaultdict[str, list[PhoneCall]] = defaultdict(list)
        self._sound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._keys: set[asyncio.Task[None]] = set()

    async def listen(self, address: str, port: int) -> None:
        """Be the carrier at this address."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(address, port))
        self._sound.bind((address, 0))
        self._sound.setblocking(False)
        self.media_port = self._sound.getsockname()[1]

    async def close(self) -> None:
        """Nobody is there any more."""
        for task in self._keys:
            task.cancel()
        self._unanswered.close()
        self._sound.close()
        if self._transport is not None:
            self._transport.close()

    def leg(self, number: str) -> PhoneCall | None:
        """The call this number is in."""
        self._of[number] = [call for call in self._of[number] if not call.ended.is_set()]
        return self._of[number][-1] if self._of[number] else None

    def _new_call(self, call: PhoneCall, vias: list[str]) -> None:
        found = re.search(r"sip:\+?(\d+)@", call.invite["to"])
        number = f"+{found[1]}" if found is not None else ""
        self._of[number].append(call)
        self.behaviour = "486 Busy Here" if number == REFUSES else "answer"
        if number == TAKES:
            asyncio.get_running_loop().call_later(TAKEN_SECONDS, self._leave, call)
        super()._new_call(call, vias)
        self.behaviour = "answer"
        if number.startswith(OF_AGENTS):
            self._keys.add(task := asyncio.get_running_loop().create_task(self._press(call)))
            task.add_done_callback(self._keys.discard)

    def _leave(self, call: PhoneCall) -> None:
        if call.answered.is_set():
            self._hang_up_if_live(call)
        elif not call.ended.is_set():
            asyncio.get_running_loop().call_later(0.2, self._leave, call)

    async def _press(self, call: PhoneCall) -> None:
        """Press the key 1 (RFC 4733)."""
        await call.answered.wait()
        host, port = re.search(r"c=IN IP4 (\S+)", call.sdp), re.search(r"m=audio (\d+)", call.sdp)
        assert host is not None
        assert port is not None
        sequence, source, waited = 0, secrets.randbits(32), 0.0
        for after in KEY_AFTER:
            await asyncio.sleep(after - waited)
            waited = after
            for tick in range(1, PRESS_TICKS + 3):  # its end is said three times
                held = min(tick, PRESS_TICKS)
                event = struct.pack("!BBH", EVENTS["1"], 10 | (0x80 if tick >= PRESS_TICKS else 0), held * SAMPLES)
                head = struct.pack(
                    "!BBHII", 0x80, 101 | (0x80 if tick == 1 else 0), sequence, int(after * 8000), source
                )
                sequence += 1
                if call.ended.is_set():
                    return
                with contextlib.suppress(OSError):
                    self._sound.sendto(head + event, (host[1], int(port[1])))
                await asyncio.sleep(TICK)
