"""Callers, agents and a link that loses the answers to 10 % of the actions: no telephone rings for two calls, nobody is stuck.

Agents answer, refuse and miss at every moment, and call a colleague while callers come; callers hang up, often in the moment of
the answer. Judged by the telephones themselves, by Asterisk's ledger, by the floor as supervisors see it, and by the records. A
race is one call to one agent's telephone.

    CTI_RACES=1000 CTI_SEED=7 pytest -s tests/faults/test_races.py

`CTI_FAULTS=long`: 10,000 of them. `CTI_SECONDS`: at most so long, however many there were by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cti.soak.ledgers import STORED_COLUMNS, SipCall, StoredCall, asterisk_calls, compare, upper_bound
from tests.support.centre import ApiPerson, TestCentre
from tests.support.demo_centre import demo_centre
from tests.support.ledger_lines import entries
from tests.support.lossy_link import LossyProxy
from tests.support.sip_caller import Caller, CarrierLine, carrier_line
from tests.support.sip_phone import PhoneCall, SipPhone

LONG = os.environ.get("CTI_FAULTS") == "long"
SEED = int(os.environ.get("CTI_SEED", "1"))
RACES = int(os.environ.get("CTI_RACES", "10000" if LONG else "60"))
SECONDS = float(os.environ.get("CTI_SECONDS", RACES * 3 + 60))
AGENTS = ("1001", "1002", "1003", "1004", "1006", "1007", "1008")
NUMBERS = "+155502"
"""What our callers' numbers begin with."""
COLLEAGUE = "1005"
"""Not of the callers' queue; may be called by several agents at once, as they please."""
LINES = 20
"""Callers at once: more than two for each agent."""
RING = 3
KNOWN_FOR = 10.0
"""Seconds for which a caller who left is not yet nobody."""
AT_ONCE = 1.0
"""A telephone that rings for two calls for longer than this does so; less is one call's end on its way."""
STUCK = 15.0
"""Seconds after which an agent is stuck who is busy by the books and whose telephone is not; no answer is waited for so long."""
IDLE = 30.0
"""Seconds after which an agent is stuck who is free while somebody waits: three times the pause after a refusal."""
SERVED = 60.0
"""Seconds in which everybody who waits at the end is served."""

pytestmark = [pytest.mark.real, pytest.mark.timeout(SECONDS + 300)]


class Racer(SipPhone):
    """An agent's telephone that does anything at any moment, and knows when it was called for two calls at once."""

    def __init__(self, account: str, password: str, server: tuple[str, int], chance: random.Random) -> None:
        super().__init__(account, password, server)
        self.chance = chance
        self.calm = False
        self.callers: dict[str, Caller] = {}
        """By number."""
        self.doubled: list[str] = []
        self.offers: Counter[str] = Counter()
        self.did: Counter[str] = Counter()

    def live(self) -> bool:
        """Whether it rings or talks."""
        return any(not call.ended.is_set() for call in self.calls[-5:])

    def _new_call(self, call: PhoneCall, vias: list[str]) -> None:
        loop, chance = asyncio.get_running_loop(), self.chance
        self.offers[call.invite.get("x-cti-offer") or f"{call.invite.get('x-cti-call')} of their own"] += 1
        for other in self.calls:
            if not other.ended.is_set():
                loop.call_later(AT_ONCE, self._at_once, other, call)
        self._by_id[call.call_id] = call
        self.calls.append(call)
        self._reply("180 Ringing", call.invite, vias, call.source, tag=call.tag)
        # Who calls somebody has their telephone at hand.
        act = 0.0 if self.calm else chance.random() * (1.0 if "x-cti-offer" in call.invite else 0.8)
        moment = 0.0 if self.calm else chance.choice((0.0, 0.02, 0.5, chance.uniform(0, RING), RING, RING + 0.02))
        if act < 0.6:
            loop.call_later(moment, self._take, call, vias)
        elif act < 0.8:
            loop.call_later(moment, self._refuse, call, vias)

    def _at_once(self, one: PhoneCall, two: PhoneCall) -> None:
        if not one.ended.is_set() and not two.ended.is_set():
            self.doubled.append(f"{self.account}: {one.invite['from']} and {two.invite['from']}")

    def _caller(self, call: PhoneCall) -> Caller | None:
        return next((one for number, one in self.callers.items() if number in call.invite["from"]), None)

    def _take(self, call: PhoneCall, vias: list[str]) -> None:
        if call.ended.is_set():
            self.did["too late"] += 1
            return
        chance, caller = self.chance, self._caller(call)
        if caller is None and "x-cti-offer" in call.invite:
            self.did["nobody's call"] += 1
        leaves = 1.0 if caller is None or self.calm else chance.random()
        if caller is not None and leaves < 0.15:
            caller.hang_up()
        self._accept(call, vias)
        self.did["answered"] += 1
        if caller is not None and 0.15 <= leaves < 0.35:
            caller.hang_up()
        if leaves < 0.35:
            self.did["caller left in that moment"] += 1
        # The agent hangs up at once, or in a while.
        talk = 0.0 if self.calm else chance.choice((0.0, 0.3, 1.5))
        asyncio.get_running_loop().call_later(talk, self._leave, call)

    def _leave(self, call: PhoneCall) -> None:
        if call.answered.is_set():
            self._hang_up_if_live(call)
        elif not call.ended.is_set():  # not acknowledged yet
            asyncio.get_running_loop().call_later(0.5, self._leave, call)

    def _refuse(self, call: PhoneCall, vias: list[str]) -> None:
        if call.ended.is_set():
            self.did["too late"] += 1
            return
        self.did["refused"] += 1
        status = self.chance.choice(("486 Busy Here", "603 Decline"))
        self._reply(status, call.invite, vias, call.source, tag=call.tag)
        call.end = "refused"
        call.ended.set()


class Watch:
    """A supervisor who looks every second for agents who are stuck."""

    def __init__(self, phones: dict[str, Racer]) -> None:
        self.phones = phones
        self.stuck: list[str] = []
        self.looks: Counter[str] = Counter()
        """How often an agent was seen free, and busy, and somebody waiting."""
        self.longest: Counter[str] = Counter()
        """Seconds: of being busy by the books only, and of being free while somebody waits."""
        self._since: dict[tuple[str, str], float] = {}

    async def look(self, supervisor: ApiPerson) -> None:
        """Until it is cancelled."""
        while True:
            view = await supervisor.get("/state")
            waiting = any(call["state"] == "waiting" for call in view["calls"].values())
            self.looks["somebody waits"] += waiting
            for agent in view["agents"].values():
                phone = self.phones.get(agent["agent_id"])
                if phone is None:
                    continue
                self.looks["an agent " + agent["state"]] += 1
                free = agent["state"] in ("ready", "not_ready", "offline")
                self._is(agent, "busy by the books only", not free and not phone.live(), STUCK)
                until = agent["paused_until"]
                paused = until is not None and datetime.fromisoformat(until) > datetime.now(UTC) - timedelta(seconds=2)
                idle = agent["state"] == "ready" and not paused and not phone.live() and waiting
                self.looks["an agent paused"] += paused
                self._is(agent, "free while somebody waits", idle, IDLE)
            await asyncio.sleep(1)

    def _is(self, agent: dict[str, Any], what: str, so: bool, most: float) -> None:
        key = (agent["agent_id"], what)
        if not so:
            self._since.pop(key, None)
            return
        seconds = time.monotonic() - self._since.setdefault(key, time.monotonic())
        self.longest[what] = max(self.longest[what], round(seconds))
        if seconds > most:
            self.stuck.append(f"{agent['agent_id']} {what} for {seconds:.0f} s: {agent['state']}, {agent['call_id']}")


async def stay_ready(api: ApiPerson) -> None:
    """Whoever was made not ready is ready again."""
    while True:
        mine = await api.get("/agent")
        if mine["agent"]["state"] in ("not_ready", "offline"):
            await api.post("/agent/state", {"state": "ready", "device": "sip"})
        await asyncio.sleep(0.5)


async def call_colleague(api: ApiPerson, chance: random.Random, over: asyncio.Event, did: Counter[str]) -> None:
    """An agent who calls a colleague now and then, as soon as callers leave them a moment: their own telephone is called first."""
    pause = chance.uniform(4, 16)
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await over.wait()
        if over.is_set():
            return
        try:
            await api.post("/agent/dial", {"agent_id": COLLEAGUE})
            did["called a colleague"] += 1
            pause = chance.uniform(4, 16)
        except AssertionError as error:
            if ": 409 " not in str(error):
                raise
            did["might not call a colleague"] += 1
            pause = chance.uniform(0.1, 0.6)


class Callers:
    """Everybody who calls, and what became of them."""

    def __init__(self, line: CarrierLine, phones: Iterable[Racer], chance: random.Random) -> None:
        self.line, self.phones, self.chance = line, tuple(phones), chance
        self.over = asyncio.Event()
        """Nobody calls any more, and whoever waits is to be served."""
        self.by_us: dict[str, bool] = {}
        """By number, of the calls that are over: whether the caller hung up."""
        self.made: list[str] = []
        self.unserved: list[str] = []

    async def one_line(self) -> None:
        """One caller after another, some without patience."""
        while not self.over.is_set():
            number = f"{NUMBERS}{len(self.made):05d}"
            self.made.append(number)
            caller = await self.line.dial("5001", number, within=60)
            for phone in self.phones:
                phone.callers[number] = caller
            ends = [asyncio.ensure_future(event.wait()) for event in (caller.ended, self.over)]
            patience = self.chance.choice((self.chance.uniform(3, 12), 60.0, 60.0))
            await asyncio.wait(ends, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for waits in ends:
                waits.cancel()
            if self.over.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SERVED):
                        await caller.ended.wait()
                if not caller.ended.is_set():
                    self.unserved.append(number)
            caller.hang_up()
            self.by_us[number] = caller.by_us
            self.line.forget(caller)
            # Not at once: a telephone may be answered before it hears that its caller has gone.
            asyncio.get_running_loop().call_later(KNOWN_FOR, self._unknown, number)

    def _unknown(self, number: str) -> None:
        for phone in self.phones:
            phone.callers.pop(number, None)


class Ledger:
    """What Asterisk wrote down, whole."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        self.bridges: list[str] = []
        """What is wrong with bridges: a channel in two at once, or more than one caller or agent in one."""
        self.doubled: list[str] = []
        """Agents' telephones with two legs at once for longer than `AT_ONCE`."""
        self.entered = 0
        self.served: set[str] = set()
        """Callers' channels for whom an agent's telephone was answered, be it for less than a bridge takes to join them."""
        self.agents: dict[str, list[str]] = defaultdict(list)
        """By the caller's channel: the accounts it was bridged with, in order."""
        self._read()

    def _read(self) -> None:
        inside: Counter[str] = Counter()
        members: dict[str, dict[str, str]] = defaultdict(dict)
        legs: dict[str, dict[str, float]] = defaultdict(dict)
        began: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for row in entries(self.lines):
            event, at, channel, name, account = row.event, row.at, row.channel, row.name, row.account
            if event == "CHAN_START" and account in AGENTS:
                legs[account][channel] = at
            elif event == "CHAN_END" and channel in legs[account]:
                began[account].append((legs[account].pop(channel), at))
            elif event == "ANSWER" and account in AGENTS:
                self.served.add(row.call)
            elif event == "BRIDGE_ENTER":
                self.entered += 1
                inside[channel] += 1
                if inside[channel] > 1:
                    self.bridges.append(f"{name} in {inside[channel]} bridges at {at}")
                there = members[row.bridge]
                there[channel] = account
                if len(there) > 2 or sum(one == "trunk" for one in there.values()) > 1:
                    self.bridges.append(f"{sorted(there.values())} in one bridge at {at}")
                for caller in (one for one, whose in there.items() if whose == "trunk"):
                    self.agents[caller] += [whose for whose in there.values() if whose != "trunk"]
            elif event == "BRIDGE_EXIT":
                inside[channel] -= 1
                members[row.bridge].pop(channel, None)
        for account, spans in began.items():
            spans += [(at, float("inf")) for at in legs[account].values()]
            last = 0.0
            for begin, end in sorted(spans):
                if min(last, end) - begin > AT_ONCE:
                    self.doubled.append(f"{account}: two legs for {min(last, end) - begin:.1f} s from {begin}")
                last = max(last, end)
        self.bridges += [f"{channel} still in a bridge" for channel, count in inside.items() if count > 0]


async def stored_calls(
    centre: TestCentre, wanted: Collection[str]
) -> tuple[list[StoredCall], dict[str, str], list[str]]:
    """The records, as soon as all of them are there, who answered by them, and which call ids ended more than once."""
    rows = await centre.records(f"{STORED_COLUMNS}, agent", wanted, within=60)
    ended = await centre.query("SELECT call_id FROM cti.facts WHERE kind = 'CallEnded' GROUP BY 1 HAVING count(*) > 1")
    who = {row["call_id"]: row["agent"] for row in rows if row["outcome"] == "answered" and row["call_id"] in wanted}
    return [StoredCall.of_row(row) for row in rows], who, [row["call_id"] for row in ended]


async def race(centre: TestCentre, proxy: LossyProxy) -> None:
    """All of it, on a centre that runs."""
    chance = random.Random(SEED)
    host, _, port = centre.told["sip"]["server"].partition(":")
    server = (host, int(port))
    async with contextlib.AsyncExitStack() as stack:
        line = await stack.enter_async_context(carrier_line(centre.carrier, server))
        phones: dict[str, Racer] = {}
        people: dict[str, ApiPerson] = {}
        for extension in (*AGENTS, COLLEAGUE):
            account = centre.agent(extension)["sip"]
            phone = Racer(account["username"], account["password"], server, random.Random(chance.random()))
            await stack.enter_async_context(phone)
            await phone.register(3600)
            if extension == COLLEAGUE:
                colleague = phone
                continue
            phones[extension] = phone
            people[extension] = await stack.enter_async_context(ApiPerson(centre, extension))
            await people[extension].post("/agent/state", {"state": "ready", "device": "sip"})
        supervisor = await stack.enter_async_context(ApiPerson(centre, "supervisor"))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        watch, callers = Watch(phones), Callers(line, phones.values(), chance)
        looks = [group.create_task(stay_ready(api)) for api in people.values()]
        looks.append(group.create_task(watch.look(supervisor)))
        dialled: Counter[str] = Counter()
        proxy.share = 0.10
        lines = [group.create_task(callers.one_line()) for _ in range(LINES)]
        lines += [
            group.create_task(call_colleague(api, random.Random(chance.random()), callers.over, dialled))
            for api in people.values()
        ]
        began = told = time.monotonic()
        while (done := sum(phone.offers.total() for phone in phones.values())) < RACES:
            if time.monotonic() - began > SECONDS:
                break
            await asyncio.sleep(0.2)
            if time.monotonic() - told > 60:
                told = time.monotonic()
                print(f"{told - began:.0f} s: {done} races, {proxy.lost} answers lost of {proxy.asked}", flush=True)
        seconds = time.monotonic() - began
        # Nothing is lost any more: everybody who is left is served, and every agent is free.
        proxy.share = 0.0
        for phone in (*phones.values(), colleague):
            phone.calm = True
        callers.over.set()
        await asyncio.gather(*lines)
        for api in people.values():
            await api.until(
                "/agent", lambda a: a["agent"]["state"] == "ready" and a["agent"]["call_id"] is None, within=60
            )
        await supervisor.until("/state", lambda s: not s["calls"], within=60)
        for task in looks:
            task.cancel()
    ledger = Ledger(next(centre.data.rglob("cti.csv")).read_text(encoding="utf-8", errors="replace"))
    asterisk = asterisk_calls(ledger.lines)
    stored, who, ends = await stored_calls(centre, asterisk)
    served = {call.number for call_id, call in asterisk.items() if call_id in ledger.served}
    sip = [
        SipCall(number=number, answered=True, ended="left" if by_us or number in served else "dropped")
        for number, by_us in callers.by_us.items()
    ]
    verdict = compare(sip, asterisk, stored, ends=dict.fromkeys(ends, 2), numbers=NUMBERS)
    others = [f"{i}: {agent}, Asterisk {ledger.agents[i]}" for i, agent in who.items() if agent not in ledger.agents[i]]
    doubled = [text for phone in phones.values() for text in phone.doubled]
    offers = sum((phone.offers for phone in phones.values()), Counter[str]())
    twice = [offer for offer, count in offers.items() if count > 1]
    did = sum((phone.did for phone in phones.values()), dialled)
    repaired = await centre.query("SELECT body->>'kind' AS kind FROM cti.facts WHERE kind = 'BreachRepaired'")
    outcomes = Counter(row.outcome for row in stored)
    print(
        f"\n{done} races of {len(callers.made)} callers in {seconds:.0f} s and {time.monotonic() - began - seconds:.0f} s to the end, "
        f"seed {SEED}: {dict(did)}; {dict(outcomes)}; {proxy.lost} answers lost of {proxy.asked} {dict(proxy.kinds)}; "
        f"rung for two calls: {upper_bound(len(doubled), done)}, by Asterisk: {len(ledger.doubled)}; "
        f"called twice: {upper_bound(len(twice), done)}; wrong in bridges: {len(ledger.bridges)} of {ledger.entered} entries; "
        f"stuck: {len(watch.stuck)} agents, {len(callers.unserved)} callers; looks {dict(watch.looks)}, longest {dict(watch.longest)} s; "
        f"books repaired: {[row['kind'] for row in repaired]}; dropped {len(verdict.dropped)}, lost {len(verdict.lost)}, "
        f"doubled {len(verdict.doubled)}, invented {len(verdict.invented)}, unlike {len(verdict.unlike)}, of others {len(others)}",
        flush=True,
    )
    assert doubled == ledger.doubled == []
    assert twice == []
    assert ledger.bridges == []
    assert (watch.stuck, callers.unserved) == ([], [])
    assert not repaired
    assert (verdict.lost, verdict.doubled, verdict.invented, verdict.dropped) == ((), (), (), ())
    assert (verdict.unlike, verdict.negative) == ((), ())
    assert others == []
    # That there were races at all, and troubles in them.
    assert done >= RACES or "CTI_SECONDS" in os.environ
    assert proxy.asked >= done
    assert proxy.lost > 0
    assert ledger.entered > done / 5
    assert did["caller left in that moment"] > 0
    assert proxy.kinds["Originate"] > 0
    assert watch.looks["somebody waits"] > 0
    assert watch.looks["an agent talking"] > 0
    assert did["nobody's call"] == 0


async def test_no_telephone_is_rung_twice_and_nobody_is_stuck(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(
        demo_centre({"ring_timeout": RING, "wrap_up": 0, "record": False}), encoding="utf-8"
    )
    octets = random.Random(time.monotonic_ns())
    address = f"127.{octets.randrange(2, 250)}.{octets.randrange(2, 250)}.{octets.randrange(2, 250)}"
    centre = TestCentre(data, env={"CTI_ASTERISK__AMI_HOST": address})
    port = 5038 + centre.offset
    proxy = LossyProxy(address, port, ("127.0.0.1", port), share=0.0, seed=SEED)
    await proxy.start()
    try:
        await asyncio.to_thread(partial(centre.start, within=240))
        await race(centre, proxy)
    finally:
        await asyncio.to_thread(centre.stop)
        await proxy.close()
