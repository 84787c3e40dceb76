"""Calls that are moved again and again, many at once in one centre: each stays one call, and its talks are Asterisk's.

To colleagues, queues, flows and outside numbers, after a consultation, over a conference, on hold and back, and back because nobody
takes them. Judged by Asterisk's ledger: one call id and one record for each caller, who talked when (begin and end within a
second), nothing lost or doubled, and no channel left.

    CTI_CHAINS=1000 CTI_SEED=7 pytest -s tests/faults/chains.py

Not among the tests of CI: it has not run to its end often enough.
`CTI_SECONDS`: at most so long, however many there were by then. `CTI_AT_ONCE`: chains at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cti.soak.ledgers import END_TOLERANCE, asterisk_calls, upper_bound
from tests.support.centre import REPOSITORY, ApiPerson, TestCentre
from tests.support.sip_caller import Caller, CarrierLine, carrier_line
from tests.support.sip_phone import PhoneCall, SipPhone

SEED = int(os.environ.get("CTI_SEED", "20268"))
CHAINS = int(os.environ.get("CTI_CHAINS", "12"))
AT_ONCE = int(os.environ.get("CTI_AT_ONCE", "4"))
SECONDS = float(os.environ.get("CTI_SECONDS", CHAINS * 10 + 120))
AGENTS = tuple(str(extension) for extension in range(2001, 2001 + 4 * AT_ONCE))
"""Four for each call, so that somebody is nearly always free."""
TAKES, REFUSES, STAYS = "+15550170001", "+15550170002", "+15550170003"
"""Outside numbers: takes the call and hangs up after a while; is busy; takes it and never hangs up."""
NUMBERS = "+155503"
PATIENCE = 60.0
"""Seconds in which a move is done, on a busy machine, too."""
CARRIERS_PORT = 5095

pytestmark = [pytest.mark.real, pytest.mark.timeout(SECONDS + 400)]


def centre_text() -> str:
    """The demo centre with these agents in both queues, short rings and nothing to do after calls."""
    yaml = YAML()
    tree = yaml.load((REPOSITORY / "cti" / "demo" / "centre.yaml").read_text(encoding="utf-8"))
    for queue in tree["queues"].values():
        queue |= {"ring_timeout": 10, "wrap_up": 0, "record": False}
    tree["agents"] = {
        extension: {"name": f"Agent {extension}", "queues": ["support", "sales"], "skills": {"en": 5}}
        for extension in AGENTS
    }
    tree["phone_book"] = {"Takes": TAKES, "Is busy": REFUSES, "Stays": STAYS}
    tree["transfer_flows"] = {"survey": "Survey", "support_direct": "Support"}
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue()


class Outside(SipPhone):
    """Everybody who is called over the trunk: what they do, their number says."""

    async def listen(self, address: str) -> None:
        """Be the carrier at this address."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(address, CARRIERS_PORT))

    def _new_call(self, call: PhoneCall, vias: list[str]) -> None:
        if REFUSES.lstrip("+") in call.invite["to"]:
            self.behaviour = "486 Busy Here"
        else:
            self.behaviour = "answer"
            if TAKES.lstrip("+") in call.invite["to"]:
                asyncio.get_running_loop().call_later(1.5, self._leave, call)
        super()._new_call(call, vias)
        self.behaviour = "answer"

    def _leave(self, call: PhoneCall) -> None:
        if call.answered.is_set():
            self._hang_up_if_live(call)
        elif not call.ended.is_set():
            asyncio.get_running_loop().call_later(0.2, self._leave, call)


class Floor:
    """What a supervisor sees, kept up to date."""

    def __init__(self, supervisor: ApiPerson) -> None:
        self._supervisor = supervisor
        self.calls: dict[str, Any] = {}
        self.agents: dict[str, Any] = {}
        self._news = asyncio.Condition()

    async def look(self) -> None:
        """Until it is cancelled."""
        while True:
            view = await self._supervisor.get("/state")
            async with self._news:
                self.calls, self.agents = view["calls"], view["agents"]
                self._news.notify_all()
            await asyncio.sleep(0.1)

    async def until(self, fits: Any, what: str, within: float = PATIENCE) -> Any:
        """The first true value of this, looked at whenever there is news."""
        try:
            async with asyncio.timeout(within), self._news:
                while not (found := fits()):
                    await self._news.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"not within {within} s: {what}") from None


class Left(Exception):
    """The caller is nobody's of ours any more: the chain ends."""


@dataclass(slots=True)
class Chain:
    """One caller and whoever has them."""

    number: str
    caller: Caller
    call_id: str = ""
    moves: list[str] = field(default_factory=list)


class Chains:
    """All of them. Agents are shared, so a move goes to somebody who is free at that moment, and may find them taken."""

    def __init__(
        self, line: CarrierLine, floor: Floor, people: dict[str, ApiPerson], phones: dict[str, SipPhone]
    ) -> None:
        self.line, self.floor, self.people, self.phones = line, floor, people, phones
        self.done: list[Chain] = []
        self.moves: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.faults: list[str] = []
        self.made = 0
        self.promised: set[str] = set()
        """Agents to whom a chain is about to move its caller."""

    async def one_after_another(self, chance: random.Random, until: float) -> None:
        """Chains until there are enough."""
        while self.made < CHAINS and time.monotonic() < until:
            number = f"{NUMBERS}{self.made:05d}"
            self.made += 1
            chain = Chain(number, await self.line.dial("5001", number, within=PATIENCE))
            try:
                await self._play(chain, chance)
            except (AssertionError, TimeoutError) as error:
                self.faults.append(f"{number} {chain.call_id} {chain.moves}: {error!r}")
            finally:
                chain.caller.hang_up()
                self.line.forget(chain.caller)
            self.done.append(chain)

    async def _play(self, chain: Chain, chance: random.Random) -> None:
        chain.call_id = await self.floor.until(
            lambda: next((i for i, call in self.floor.calls.items() if call["caller_number"] == chain.number), ""),
            "the call",
        )
        agent = await self._with_whom(chain)
        for _ in range(chance.randrange(2, 6)):
            kind = chance.choice(("agent", "agent", "queue", "queue", "flow", "consult", "consult", "cancel", "swap", "conference", "drop", "hold", "busy", "ask outside"))  # fmt: skip
            agent = await self._move(chain, agent, kind, chance)
            await asyncio.sleep(chance.uniform(0.1, 1.2))
        last = chance.choice(
            ("caller", "caller", "agent", "phone", "number", "number stays", "survey", "voicemail", "outside party")
        )
        chain.moves.append(f"{agent} {last}")
        self.moves[last] += 1
        await self._end(chain, agent, last, chance)

    async def _with_whom(self, chain: Chain, *, but: str = "", only: str = "") -> str:
        """The agent who talks with the caller."""

        def found() -> str:
            call = self.floor.calls.get(chain.call_id)
            who = str(call["agent_id"] or "") if call is not None else ""
            if call is None or call["state"] != "talking" or who == but or (only and who != only):
                return ""
            return who if self.floor.agents[who]["state"] == "talking" else ""

        try:
            return str(await self.floor.until(found, "a talk"))
        except AssertionError:
            raise AssertionError(
                f"nobody talks (not {but}, only {only}): {self.floor.calls.get(chain.call_id)}"
            ) from None

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

    def _free(self, chance: random.Random) -> str:
        free = [one for one, row in self.floor.agents.items() if row["state"] == "ready" and one not in self.promised]
        return chance.choice(sorted(free)) if free else ""

    async def _move(self, chain: Chain, agent: str, kind: str, chance: random.Random) -> str:
        """One move by this agent; gives who talks then."""
        other = self._free(chance) if kind in ("agent", "consult", "cancel", "swap", "conference", "drop") else ""
        if other:
            self.promised.add(other)
        try:
            moved = await self._moved(chain, agent, kind, other, chance)
        finally:
            self.promised.discard(other)
        if moved:
            self.moves[kind] += 1
            chain.moves.append(f"{agent} {kind} {other}")
            return moved
        return agent

    async def _moved(self, chain: Chain, agent: str, kind: str, other: str, chance: random.Random) -> str:
        base = f"/agent/calls/{chain.call_id}"
        match kind:
            case "hold":
                if not await self._ask(agent, f"{base}/hold", {"on": True}):
                    return ""
                await self._agent_is(agent, "held")
                await asyncio.sleep(chance.uniform(0.1, 1.0))
                await self._ask(agent, f"{base}/hold", {"on": False})
                return await self._with_whom(chain, only=agent)
            case "agent" if other:
                if await self._ask(agent, f"{base}/transfer", {"to": {"kind": "agent", "name": other}, "note": kind}):
                    return await self._with_whom(chain, but=agent)
            case "queue" | "flow":
                name = chance.choice(("support", "sales")) if kind == "queue" else "support_direct"
                if await self._ask(agent, f"{base}/transfer", {"to": {"kind": kind, "name": name}}):
                    await self.floor.until(lambda: not self._talks(chain, agent), f"{agent} has left")
                    return await self._with_whom(chain)
            case "busy":
                if await self._ask(agent, f"{base}/transfer", {"to": {"kind": "number", "name": REFUSES}}):
                    await self.floor.until(lambda: not self._talks(chain, agent), f"{agent} has left")
                    return await self._with_whom(chain)
            case "ask outside":
                if await self._ask(agent, f"{base}/consult", {"to": {"kind": "number", "name": STAYS}}):
                    await self._consult_is(agent, "talking")
                    await self._ask(agent, f"{base}/consult/cancel")
                    return await self._with_whom(chain, only=agent)
            case "consult" | "cancel" | "swap" | "conference" | "drop" if other:
                return await self._consulted(chain, agent, kind, other)
        return ""

    async def _consulted(self, chain: Chain, agent: str, kind: str, other: str) -> str:
        base = f"/agent/calls/{chain.call_id}"
        if not await self._ask(agent, f"{base}/consult", {"to": {"kind": "agent", "name": other}}):
            return ""
        await self._consult_is(agent, "talking")
        if kind == "cancel":
            await self._ask(agent, f"{base}/consult/cancel")
            return await self._with_whom(chain, only=agent)
        if kind == "swap":
            await self._ask(agent, f"{base}/consult/swap")
            await self._agent_is(agent, "talking")
            await self._ask(agent, f"{base}/consult/swap")
            await self._agent_is(agent, "held")
        if kind in ("consult", "swap"):
            await self._ask(agent, f"{base}/consult/complete", {"note": kind})
            return await self._with_whom(chain, but=agent)
        await self._ask(agent, f"{base}/consult/join")
        await self.people[agent].until("/agent", lambda a: (a["talk"] or {}).get("conference"), within=PATIENCE)
        await asyncio.sleep(0.3)
        if kind == "drop":
            await self._ask(agent, f"{base}/parties/{other}/drop")
            await self._agent_is(other, "ready")
            return await self._with_whom(chain, only=agent)
        self._hang_up_phone(agent)
        return await self._with_whom(chain, but=agent)

    def _talks(self, chain: Chain, agent: str) -> bool:
        call = self.floor.calls.get(chain.call_id)
        return call is not None and call["agent_id"] == agent and call["state"] == "talking"

    async def _agent_is(self, agent: str, state: str) -> None:
        await self.people[agent].until("/agent", lambda a: a["agent"]["state"] == state, within=PATIENCE)

    async def _consult_is(self, agent: str, state: str) -> None:
        await self.people[agent].until(
            "/agent", lambda a: ((a["talk"] or {}).get("consult") or {}).get("state") == state, within=PATIENCE
        )

    def _hang_up_phone(self, agent: str) -> None:
        for leg in self.phones[agent].calls:
            if not leg.ended.is_set():
                self.phones[agent].hang_up(leg)

    async def _end(self, chain: Chain, agent: str, last: str, chance: random.Random) -> None:
        base = f"/agent/calls/{chain.call_id}"
        done = True
        if last == "agent":
            done = await self._ask(agent, f"{base}/hangup")
        elif last == "phone":
            self._hang_up_phone(agent)
        elif last == "outside party":
            # Whoever is asked gets the caller, and the caller hangs up.
            if await self._ask(agent, f"{base}/consult", {"to": {"kind": "number", "name": STAYS}}):
                await self._consult_is(agent, "talking")
                await self._ask(agent, f"{base}/consult/complete", {"note": ""})
                await self.floor.until(lambda: self.floor.agents[agent]["call_id"] != chain.call_id, f"{agent} is free")
                await asyncio.sleep(chance.uniform(0.3, 1.0))
        elif last not in ("caller",):
            to = {
                "number": {"kind": "number", "name": TAKES},
                "number stays": {"kind": "number", "name": STAYS},
                "survey": {"kind": "flow", "name": "survey"},
                "voicemail": {"kind": "voicemail", "name": "support"},
            }[last]
            if done := await self._ask(agent, f"{base}/transfer", {"to": to}):
                await self.floor.until(lambda: self.floor.agents[agent]["call_id"] != chain.call_id, f"{agent} is free")
            await asyncio.sleep(chance.uniform(0.5, 2.0))
        if done and last in ("agent", "phone", "number"):
            async with asyncio.timeout(PATIENCE):
                await chain.caller.ended.wait()
        chain.caller.hang_up()
        await self.floor.until(lambda: chain.call_id not in self.floor.calls, "the call is over")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """An agent's leg that was joined with a caller: from when to when, by Asterisk's ledger."""

    agent: str
    joined_at: float
    ended_at: float
    """When it left the last bridge with that caller, or was hung up."""


def legs_of(lines: Iterable[str]) -> dict[str, list[Leg]]:
    """By the caller's channel: the agents' legs that shared a bridge with it."""
    inside: dict[str, dict[str, str]] = defaultdict(dict)
    joined: dict[tuple[str, str], float] = {}
    gone: dict[str, float] = {}
    accounts: dict[str, str] = {}
    for row in csv.reader(lines):
        if len(row) < 10:
            continue
        event, at, channel, name = row[0], float(row[1]), row[2], row[4]
        account = name.removeprefix("PJSIP/").rpartition("-")[0]
        accounts[channel] = account
        if event == "BRIDGE_ENTER":
            there = inside[json.loads(row[9])["bridge_id"]]
            for other, other_account in there.items():
                # Agents only: the ringing tone of a consultation is a Local channel.
                if {account, other_account} - {"trunk"} <= set(AGENTS) and (account == "trunk") != (
                    other_account == "trunk"
                ):
                    caller, leg = (channel, other) if account == "trunk" else (other, channel)
                    joined.setdefault((caller, leg), at)
            there[channel] = account
        elif event == "BRIDGE_EXIT":
            inside[json.loads(row[9])["bridge_id"]].pop(channel, None)
        elif event == "HANGUP":
            gone[channel] = at
    found: dict[str, list[Leg]] = defaultdict(list)
    for (caller, leg), at in joined.items():
        end = min(gone.get(leg, float("inf")), gone.get(caller, float("inf")))
        found[caller].append(Leg(agent=accounts[leg], joined_at=at, ended_at=end))
    return found


async def facts_of(centre: TestCentre) -> dict[str, list[tuple[str, str, float]]]:
    """By call id: what happened, to which agent, when."""
    rows = await centre.query(
        "SELECT call_id, kind, body->>'agent_id' AS agent, at FROM cti.facts WHERE call_id IS NOT NULL ORDER BY position"
    )
    found: dict[str, list[tuple[str, str, float]]] = defaultdict(list)
    for row in rows:
        found[row["call_id"]].append((row["kind"], row["agent"] or "", row["at"].timestamp()))
    return found


def talks_of(facts: list[tuple[str, str, float]]) -> list[Leg]:
    """The talks with the caller as our facts tell them."""
    begun: dict[str, float] = {}
    talks = []
    for kind, agent, at in facts:
        if kind in ("CallAnswered", "PartyJoined") and agent:
            begun.setdefault(agent, at)
        elif kind in ("TalkEnded", "PartyLeft") and agent in begun:
            talks.append(Leg(agent=agent, joined_at=begun.pop(agent), ended_at=at))
    talks += [Leg(agent=agent, joined_at=at, ended_at=float("nan")) for agent, at in begun.items()]
    return talks


def unlike(call_id: str, ours: list[Leg], theirs: list[Leg]) -> list[str]:
    """Where two accounts of a call's talks differ by more than a second, or in number."""
    found = []
    left = sorted(theirs, key=lambda leg: leg.joined_at)
    for talk in sorted(ours, key=lambda leg: leg.joined_at):
        same = [
            leg
            for leg in left
            if leg.agent == talk.agent
            and abs(leg.joined_at - talk.joined_at) <= END_TOLERANCE
            and abs(leg.ended_at - talk.ended_at) <= END_TOLERANCE
        ]
        if same:
            left.remove(same[0])
        else:
            found.append(f"{call_id}: ours {talk}")
    return found + [f"{call_id}: Asterisk's {leg}" for leg in left]


async def play(centre: TestCentre) -> tuple[Chains, float]:
    """All chains; everybody is free at the end and nothing is left."""
    host, _, port = str(centre.told["sip"]["server"]).rpartition(":")
    server = (host, int(port))
    async with contextlib.AsyncExitStack() as stack:
        line = await stack.enter_async_context(carrier_line(centre.carrier, server))
        outside = Outside("carrier", "", server)
        await outside.listen(centre.carrier)
        stack.callback(lambda: outside._transport and outside._transport.close())
        phones: dict[str, SipPhone] = {}
        people: dict[str, ApiPerson] = {}
        for extension in AGENTS:
            told = centre.agent(extension)["sip"]
            phones[extension] = await stack.enter_async_context(SipPhone(told["username"], told["password"], server))
            await phones[extension].register(3600)
            people[extension] = await stack.enter_async_context(ApiPerson(centre, extension))
            await people[extension].post("/agent/state", {"state": "ready", "device": "sip"})
        supervisor = await stack.enter_async_context(ApiPerson(centre, "supervisor"))
        floor = Floor(supervisor)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        looking = group.create_task(floor.look())
        await floor.until(
            lambda: all(floor.agents.get(one, {}).get("state") == "ready" for one in AGENTS), "everybody is ready"
        )
        chains = Chains(line, floor, people, phones)
        began = time.monotonic()
        lines = [
            asyncio.create_task(chains.one_after_another(random.Random(f"{SEED} {one}"), began + SECONDS))
            for one in range(AT_ONCE)
        ]
        told_at = began
        while not all(one.done() for one in lines):
            await asyncio.wait(lines, timeout=5)
            if time.monotonic() - told_at > 60:
                told_at = time.monotonic()
                print(
                    f"{told_at - began:.0f} s: {len(chains.done)} chains, {chains.moves.total()} moves, {len(chains.faults)} faults",
                    flush=True,
                )
        await asyncio.gather(*lines)
        took = time.monotonic() - began
        await floor.until(
            lambda: not floor.calls and all(row["state"] == "ready" for row in floor.agents.values()), "all are free"
        )
        looking.cancel()
    return chains, took


async def test_a_call_that_is_moved_again_and_again_is_one_call(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(centre_text(), encoding="utf-8")
    centre = TestCentre(data)
    centre.env["CTI_TRUNK__ADDRESS"] = f"{centre.carrier}:{CARRIERS_PORT}"
    await asyncio.to_thread(centre.start, within=240)
    try:
        chains, took = await play(centre)
        ids = [chain.call_id for chain in chains.done]
        rows = {}
        for call_id in ids:
            with contextlib.suppress(AssertionError):
                rows[call_id] = await centre.record(where=f"call_id = '{call_id}'", within=30)
        counts = await centre.query("SELECT caller_number, count(*) AS n FROM report.calls GROUP BY 1")
        ends = await centre.query(
            "SELECT call_id FROM cti.facts WHERE kind = 'CallEnded' GROUP BY 1 HAVING count(*) > 1"
        )
        repaired = await centre.query("SELECT body->>'kind' AS kind FROM cti.facts WHERE kind = 'BreachRepaired'")
        facts = await facts_of(centre)
        ledger = next(data.rglob("cti.csv")).read_text(encoding="utf-8", errors="replace").splitlines()
    finally:
        await asyncio.to_thread(centre.stop)
    calls = {call.call_id: call for call in asterisk_calls(ledger).values()}
    legs = legs_of(ledger)
    lost = [call_id for call_id in ids if call_id not in rows or call_id not in calls]
    doubled = [row["caller_number"] for row in counts if row["n"] > 1] + [row["call_id"] for row in ends]
    invented = sorted({row["caller_number"] or "" for row in counts} - {chain.number for chain in chains.done})
    different = [
        f"{call_id}: ended {row['ended_at'].timestamp() - (calls[call_id].ended_at or 0):+.1f} s"
        for call_id, row in rows.items()
        if abs(row["ended_at"].timestamp() - (calls[call_id].ended_at or 0)) > END_TOLERANCE
    ]
    for call_id in rows:
        different += unlike(call_id, talks_of(facts[call_id]), legs.get(call_id, []))
    talks = sum(len(legs.get(call_id, [])) for call_id in rows)
    left = channels_left(ledger)
    print(
        f"\n{len(chains.done)} chains of {chains.moves.total()} moves in {took:.0f} s, {AT_ONCE} at once, seed {SEED}, "
        f"load {os.getloadavg()[0]:.0f}: {dict(chains.moves)}; refused: {dict(chains.refused)}; {talks} talks; "
        f"lost: {upper_bound(len(lost), len(ids))}; doubled {len(doubled)}, invented {len(invented)}, unlike {len(different)}, "
        f"channels left {len(left)}, books repaired {len(repaired)}, moves that did not come to their end {len(chains.faults)}",
        flush=True,
    )
    if "CTI_CHAINS" in os.environ:
        for text in (*chains.faults[:20], *different[:40]):
            print("  " + text, flush=True)
    assert chains.faults == []
    assert (lost, doubled, invented) == ([], [], [])
    assert different == []
    assert left == []
    assert [row["kind"] for row in repaired] == []
    assert len(chains.done) >= CHAINS or "CTI_SECONDS" in os.environ
    assert talks > 2 * len(chains.done)


def channels_left(lines: Iterable[str]) -> list[str]:
    """Channels that began and never ended, by the ledger."""
    there: dict[str, str] = {}
    for row in csv.reader(lines):
        if len(row) >= 10 and row[0] == "CHAN_START":
            there[row[2]] = row[4]
        elif len(row) >= 10 and row[0] == "CHAN_END":
            there.pop(row[2], None)
    return sorted(there.values())
