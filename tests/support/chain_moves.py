"""Chains of moves: one caller and whoever has them, again and again, many at once."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.centre import ApiPerson
from tests.support.chain_floor import OF_AGENTS, PATIENCE, REFUSES, STAYS, TAKES, AgentPhone, Floor, Outside
from tests.support.sip_caller import Caller, CarrierLine
from tests.support.sip_phone import PhoneCall, SipPhone

NUMBERS = "+155503"
"""What our callers' numbers begin with."""
ASKS = ("consult", "cancel", "swap", "conference", "drop", "hands over", "third leaves")
"""Moves for which a colleague is asked first."""
MOVES = (
    "agent", "agent", "queue", "queue", "flow", "busy", "hold", "own hold", "leaves a held one", "refer",
    "ask outside", "ask busy", "outside joins", "consult", *ASKS,
)  # fmt: skip
"""What is done with a caller, twice as often what stands here twice; docs/reliability.md says it in words."""
LASTS = ("caller", "caller", "agent", "phone", "number", "number stays", "survey", "voicemail", "outside party")
"""How a chain ends."""
BRINGS_BACK = ("hold", "cancel", "ask outside", "ask busy", "third leaves")
"""Moves that end with the caller on the way back to the agent from the server's hold."""
ON_THE_WAY = 1.0
"""Seconds in which they may still be: who hangs up then hangs up on nobody, and the caller waits for the next agent."""


@dataclass(slots=True)
class Chain:
    """One caller and whoever has them."""

    number: str
    caller: Caller
    call_id: str = ""
    moves: list[str] = field(default_factory=list)
    brought_back_at: float = float("-inf")
    """When the last move ended that is one of `BRINGS_BACK`; other moves undo it."""


class Chains:
    """All of them. Agents are shared, so a move goes to somebody who is free at that moment, and may find them taken."""

    def __init__(
        self,
        line: CarrierLine,
        floor: Floor,
        people: dict[str, ApiPerson],
        phones: dict[str, AgentPhone],
        outside: Outside,
        wanted: int,
    ) -> None:
        self.line, self.floor, self.people, self.phones, self.outside = line, floor, people, phones, outside
        self.wanted = wanted
        self.done: list[Chain] = []
        self.moves: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.faults: list[str] = []
        self.took: defaultdict[str, list[float]] = defaultdict(list)
        """Seconds, by kind of move."""
        self.made = 0
        self.promised: set[str] = set()
        """Agents to whom a chain is about to move its caller."""

    async def one_after_another(self, chance: random.Random, until: float) -> None:
        """Chains until there are enough."""
        while self.made < self.wanted and time.monotonic() < until:
            number = f"{NUMBERS}{self.made:05d}"
            self.made += 1
            try:
                chain = Chain(number, await self.line.dial("5001", number, within=PATIENCE))
            except AssertionError as error:
                self.faults.append(repr(error))
                continue
            try:
                await self._play(chain, chance)
            except (AssertionError, TimeoutError) as error:
                self.faults.append(f"{number} {chain.call_id} {chain.moves}: {error!r}; {self._seen(chain)}")
            finally:
                chain.caller.hang_up()
                self.line.forget(chain.caller)
            self.done.append(chain)

    def _seen(self, chain: Chain) -> str:
        """The call as it is, in short, for a fault."""
        call = self.floor.calls.get(chain.call_id)
        if call is None:
            return f"no such call; the caller {'has ended' if chain.caller.ended.is_set() else 'is there'}"
        agents = {one: row["state"] for one, row in self.floor.agents.items() if row["call_id"] == chain.call_id}
        return f"{call['state']} with {call['agent_id']}, agents {agents}"

    async def _play(self, chain: Chain, chance: random.Random) -> None:
        began = time.monotonic()
        chain.call_id = await self.floor.until(
            lambda: next((i for i, call in self.floor.calls.items() if call["caller_number"] == chain.number), ""),
            "the call",
        )
        agent = await self._with_whom(chain)
        self.took["come"].append(time.monotonic() - began)
        for _ in range(chance.randrange(2, 6)):
            agent = await self._move(chain, agent, chance.choice(MOVES), chance)
            await asyncio.sleep(chance.uniform(0.0, 0.6))  # moves come at any moment of a talk
        last = chance.choice(LASTS)
        chain.moves.append(f"{agent} {last}")
        self.moves[last] += 1
        began = time.monotonic()
        await self._end(chain, agent, last, chance)
        self.took[last].append(time.monotonic() - began)

    async def _with_whom(self, chain: Chain, *, but: str = "", only: str = "") -> str:
        """The agent who talks with the caller."""

        def found() -> str:
            call = self.floor.calls.get(chain.call_id)
            who = str(call["agent_id"] or "") if call is not None else ""
            if call is None or call["state"] != "talking" or who == but or (only and who != only):
                return ""
            return who if self.floor.agents[who]["state"] == "talking" else ""

        return str(await self.floor.until(found, f"a talk (not with {but or 'nobody'}, only {only or 'anybody'})"))

    async def _ask(self, agent: str, path: str, body: Any = None) -> bool:
        """Whether it was done; a refusal because things have changed meanwhile is none of ours."""
        try:
            await self.people[agent].post(path, body)
        except AssertionError as error:
            if ": 409 " not in str(error):
                raise
            self.refused[json.loads(str(error).partition(": 409 ")[2])["error"]["id"]] += 1
            return False
        return True

    def _free(self, kind: str, chance: random.Random) -> str:
        """Somebody who is free now. Asked first are those at a telephone of ours: an outside one is rung for a delivery."""
        free = [
            one
            for one, row in self.floor.agents.items()
            if row["state"] == "ready" and one not in self.promised and (one in self.phones or kind not in ASKS)
        ]
        return chance.choice(sorted(free)) if free else ""

    async def _move(self, chain: Chain, agent: str, kind: str, chance: random.Random) -> str:
        """One move by this agent; gives who talks then."""
        other = self._free(kind, chance) if kind == "agent" or kind in ASKS else ""
        if other:
            self.promised.add(other)
        began = time.monotonic()
        chain.moves.append(f"{agent} {kind} {other}")
        try:
            moved = await self._moved(chain, agent, kind, other, chance)
        finally:
            self.promised.discard(other)
        if moved:
            self.moves[kind] += 1
            self.took[kind].append(time.monotonic() - began)
            chain.brought_back_at = time.monotonic() if kind in BRINGS_BACK else float("-inf")
            return moved
        chain.moves.pop()
        return agent

    async def _moved(self, chain: Chain, agent: str, kind: str, other: str, chance: random.Random) -> str:
        base, talks_since = f"/agent/calls/{chain.call_id}", self.floor.agents[agent]["since"]
        match kind:
            case "hold" | "leaves a held one":
                if not await self._ask(agent, f"{base}/hold", {"on": True}):
                    return ""
                await self._agent_is(agent, "held")
                await asyncio.sleep(chance.uniform(0.0, 0.6))
                if kind == "leaves a held one":
                    self._hang_up_phone(agent)
                    await self.floor.until(lambda: not self._has(chain, agent), f"{agent} has left")
                    return await self._with_whom(chain)
                await self._ask(agent, f"{base}/hold", {"on": False})
                return await self._with_whom(chain, only=agent)
            case "own hold" | "refer" if agent in self.phones:
                return await self._by_telephone(chain, agent, kind)
            case "agent" if other:
                if await self._ask(agent, f"{base}/transfer", {"to": {"kind": "agent", "name": other}, "note": kind}):
                    return await self._with_whom(chain, but=agent)
            case "queue" | "flow" | "busy":
                if await self._ask(agent, f"{base}/transfer", {"to": self._elsewhere(kind, chance)}):
                    await self._has_left(chain, agent, talks_since)
                    return await self._with_whom(chain)
            case "ask outside" | "ask busy" | "outside joins":
                return await self._asked_outside(chain, agent, kind)
            case _ if kind in ASKS and other:
                return await self._consulted(chain, agent, kind, other)
        return ""

    def _elsewhere(self, kind: str, chance: random.Random) -> dict[str, str]:
        """Where a caller is sent whom no certain colleague gets."""
        if kind == "queue":
            return {"kind": "queue", "name": chance.choice(("support", "sales"))}
        return {"kind": "flow", "name": "support_direct"} if kind == "flow" else {"kind": "number", "name": REFUSES}

    async def _by_telephone(self, chain: Chain, agent: str, kind: str) -> str:
        phone = self.phones[agent]
        leg = phone.leg()
        if leg is None:
            return ""
        if kind == "refer":
            status = await phone.refer(leg, TAKES)
            assert not 200 <= status < 300, f"a telephone's REFER was taken: {status}"
            return await self._with_whom(chain, only=agent)
        assert await phone.hold(leg, on=True) == 200
        await self._agent_is(agent, "held")
        assert await phone.hold(leg, on=False) == 200
        return await self._with_whom(chain, only=agent)

    async def _asked_outside(self, chain: Chain, agent: str, kind: str) -> str:
        base = f"/agent/calls/{chain.call_id}"
        name = REFUSES if kind == "ask busy" else STAYS
        # One that failed before is still to be seen.
        before = ((self.floor.talks.get(agent) or {}).get("consult") or {}).get("since")
        if not await self._ask(agent, f"{base}/consult", {"to": {"kind": "number", "name": name}}):
            return ""
        if kind == "ask busy":
            await self._talk_is(agent, lambda talk: _failed_since(talk, before), "consult failed")
            await self._ask(agent, f"{base}/hold", {"on": False})
            return await self._with_whom(chain, only=agent)
        await self._consult_is(agent, "talking")
        if kind == "outside joins":
            await self._ask(agent, f"{base}/consult/join")
            await self._in_conference(agent)
            await self._ask(agent, f"{base}/parties/{name}/drop")
            await self._talk_is(agent, lambda talk: not talk.get("conference"), "alone with the caller")
        else:
            await self._ask(agent, f"{base}/consult/cancel")
        return await self._with_whom(chain, only=agent)

    async def _consulted(self, chain: Chain, agent: str, kind: str, other: str) -> str:
        base = f"/agent/calls/{chain.call_id}"
        if not await self._ask(agent, f"{base}/consult", {"to": {"kind": "agent", "name": other}}):
            return ""
        await self._consult_is(agent, "talking")
        match kind:
            case "cancel":
                await self._ask(agent, f"{base}/consult/cancel")
                return await self._with_whom(chain, only=agent)
            case "third leaves":
                self._hang_up_phone(other)
                return await self._with_whom(chain, only=agent)
            case "hands over":
                self._hang_up_phone(agent)
                return await self._with_whom(chain, but=agent)
            case "swap":
                await self._ask(agent, f"{base}/consult/swap")
                await self._agent_is(agent, "talking")
                await self._ask(agent, f"{base}/consult/swap")
                await self._agent_is(agent, "held")
        if kind in ("consult", "swap"):
            await self._ask(agent, f"{base}/consult/complete", {"note": kind})
            return await self._with_whom(chain, but=agent)
        await self._ask(agent, f"{base}/consult/join")
        await self._in_conference(agent)
        if kind == "drop":
            await self._ask(agent, f"{base}/parties/{other}/drop")
            await self._talk_is(other, lambda talk: talk.get("call_id") != chain.call_id, "dropped")
            return await self._with_whom(chain, only=agent)
        self._hang_up_phone(agent)
        return await self._with_whom(chain, but=agent)

    def _has(self, chain: Chain, agent: str) -> bool:
        call = self.floor.calls.get(chain.call_id)
        return call is not None and call["agent_id"] == agent and call["state"] in ("talking", "held")

    def _talks(self, chain: Chain, agent: str) -> bool:
        return self._has(chain, agent) and self.floor.calls[chain.call_id]["state"] == "talking"

    async def _has_left(self, chain: Chain, agent: str, since: str) -> None:
        """A caller may be back with the same agent before the feed tells that they were gone: it is another talk then."""
        await self.floor.until(
            lambda: not self._talks(chain, agent) or self.floor.agents[agent]["since"] != since, f"{agent} has left"
        )

    async def _agent_is(self, agent: str, state: str) -> None:
        await self.floor.until(lambda: self.floor.agents[agent]["state"] == state, f"{agent} is {state}")

    async def _talk_is(self, agent: str, fits: Callable[[dict[str, Any]], bool], what: str) -> None:
        await self.floor.until(lambda: fits(self.floor.talks.get(agent) or {}), f"{agent}: {what}")

    async def _consult_is(self, agent: str, state: str) -> None:
        await self._talk_is(agent, lambda talk: (talk.get("consult") or {}).get("state") == state, f"consult {state}")

    async def _in_conference(self, agent: str) -> None:
        await self._talk_is(agent, lambda talk: bool(talk.get("conference")), "in a conference")

    def _hang_up_phone(self, agent: str) -> None:
        phone: SipPhone = self.phones.get(agent, self.outside)
        for leg in self._legs(agent):
            phone.hang_up(leg)

    def _legs(self, agent: str) -> list[PhoneCall]:
        leg = self.phones[agent].leg() if agent in self.phones else self.outside.leg(f"{OF_AGENTS}{agent}")
        return [] if leg is None else [leg]

    async def _end(self, chain: Chain, agent: str, last: str, chance: random.Random) -> None:
        base = f"/agent/calls/{chain.call_id}"
        done = True
        if last == "agent":
            done = await self._ask(agent, f"{base}/hangup")
        elif last == "phone":
            on_the_way = time.monotonic() - chain.brought_back_at < ON_THE_WAY
            self._hang_up_phone(agent)
            if on_the_way:
                await self.floor.until(
                    lambda: chain.caller.ended.is_set() or not self._has(chain, agent), f"{agent} has hung up"
                )
                done = chain.call_id not in self.floor.calls
        elif last == "outside party":
            # Whoever is asked gets the caller, and the caller hangs up.
            if await self._ask(agent, f"{base}/consult", {"to": {"kind": "number", "name": STAYS}}):
                await self._consult_is(agent, "talking")
                await self._ask(agent, f"{base}/consult/complete", {"note": ""})
                await self._is_free(chain, agent)
                await asyncio.sleep(chance.uniform(0.1, 0.6))
        elif last != "caller":
            to = {
                "number": {"kind": "number", "name": TAKES},
                "number stays": {"kind": "number", "name": STAYS},
                "survey": {"kind": "flow", "name": "survey"},
                "voicemail": {"kind": "voicemail", "name": "support"},
            }[last]
            if done := await self._ask(agent, f"{base}/transfer", {"to": to}):
                await self._is_free(chain, agent)
            if last != "number":
                await asyncio.sleep(chance.uniform(0.1, 1.2))
        if done and last in ("agent", "phone", "number"):
            try:
                async with asyncio.timeout(PATIENCE):
                    await chain.caller.ended.wait()
            except TimeoutError:
                raise AssertionError(f"the caller is not let go after: {last}") from None
        chain.caller.hang_up()
        await self.floor.until(lambda: chain.call_id not in self.floor.calls, "the call is over")

    async def _is_free(self, chain: Chain, agent: str) -> None:
        await self.floor.until(lambda: self.floor.agents[agent]["call_id"] != chain.call_id, f"{agent} is free")


def _failed_since(talk: dict[str, Any], before: str | None) -> bool:
    consult = talk.get("consult") or {}
    return consult.get("state") == "failed" and consult.get("since") != before
