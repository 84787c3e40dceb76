"""Calls that are moved again and again, many at once in one centre: each stays one call, and its talks are Asterisk's.

To colleagues (at telephones, and at outside ones through a Local channel), queues, flows and outside numbers; after a
consultation, over a conference, on hold by the page and by the telephone's own key, back because nobody takes them, in the queue
again because their agent leaves; and a telephone's own REFER, which is refused (`tests/support/chain_moves.py`: all of them). Judged by
Asterisk's ledger: one call id and one record for each caller, who talked when (begin and end within a second), nothing lost or
doubled, and no channel left.

    CTI_CHAINS=1000 CTI_SEED=7 pytest -s tests/faults/test_chains.py

`CTI_AT_ONCE`: chains at the same time. `CTI_SECONDS`: at most so long, however many there were by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from cti.soak.ledgers import END_TOLERANCE, asterisk_calls, upper_bound
from tests.support.centre import ApiPerson, TestCentre
from tests.support.chain_floor import OF_AGENTS, REFUSES, STAYS, TAKES, AgentPhone, Floor, Outside
from tests.support.chain_moves import Chains
from tests.support.demo_centre import demo_centre
from tests.support.ledger_lines import entries
from tests.support.sip_caller import carrier_line

SEED = int(os.environ.get("CTI_SEED", "20268"))
CHAINS = int(os.environ.get("CTI_CHAINS", "6"))
AT_ONCE = int(os.environ.get("CTI_AT_ONCE", "16" if CHAINS > 100 else "6"))
SECONDS = float(os.environ.get("CTI_SECONDS", CHAINS * 10 + 120))
AGENTS = tuple(str(extension) for extension in range(2001, 2003 + 3 * AT_ONCE))
"""Three for each call, so that somebody is nearly always free."""
AT_OUTSIDE_TELEPHONES = AGENTS[::8]
"""Whom a call reaches through a Local channel, once they have pressed a key."""
CARRIERS_PORT = 5095

pytestmark = [pytest.mark.real, pytest.mark.timeout(SECONDS + 400)]


def with_these_agents(tree: Any) -> None:
    """The demo centre's tree with these agents in both queues, and the numbers and flows to send callers to."""
    tree["agents"] = {
        extension: {
            "name": f"Agent {extension}",
            "queues": ["support", "sales"],
            "skills": {"en": 5},
            "miss_limit": 0,
            **({"number": f"{OF_AGENTS}{extension}"} if extension in AT_OUTSIDE_TELEPHONES else {}),
        }
        for extension in AGENTS
    }
    tree["phone_book"] = {"Takes": TAKES, "Is busy": REFUSES, "Stays": STAYS}
    tree["transfer_flows"] = {"survey": "Survey", "support_direct": "Support"}
    tree["outbound"]["most_at_once"] = 3 * AT_ONCE


A_MOMENT = 0.1
"""Seconds that two channels may share a bridge without having talked."""

_LOCAL = re.compile(r"Local/[0-9]{10}3([0-9]{2,6})@cti-outside-[0-9a-f]+;1\Z")
"""The near half of what leads to an agent at an outside telephone."""


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
    for row in entries(lines):
        outside = _LOCAL.match(row.name)
        accounts[row.channel] = account = outside[1] if outside is not None else row.account
        if row.event == "BRIDGE_ENTER":
            there = inside[row.bridge]
            for other, other_account in there.items():
                # Agents only: the ringing tone of a consultation is a Local channel.
                if {account, other_account} - {"trunk"} <= set(AGENTS) and (account == "trunk") != (
                    other_account == "trunk"
                ):
                    caller, leg = (row.channel, other) if account == "trunk" else (other, row.channel)
                    joined.setdefault((caller, leg), row.at)
            there[row.channel] = account
        elif row.event == "BRIDGE_EXIT":
            inside[row.bridge].pop(row.channel, None)
        elif row.event == "HANGUP":
            gone[row.channel] = row.at
    found: dict[str, list[Leg]] = defaultdict(list)
    for (caller, leg), at in joined.items():
        end = min(gone.get(leg, float("inf")), gone.get(caller, float("inf")))
        found[caller].append(Leg(agent=accounts[leg], joined_at=at, ended_at=end))
    return found


def channels_left(lines: Iterable[str]) -> list[str]:
    """Channels that began and never ended, by the ledger."""
    there: dict[str, str] = {}
    for row in entries(lines):
        if row.event == "CHAN_START":
            there[row.channel] = row.name
        elif row.event == "CHAN_END":
            there.pop(row.channel, None)
    return sorted(there.values())


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
    """Where two accounts of a call's talks differ by more than a second, or in number; a talk is longer than a moment, in which the
    caller may come into the room before somebody who was asked in vain has left it."""
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
    return found + [f"{call_id}: Asterisk's {leg}" for leg in left if leg.ended_at - leg.joined_at > A_MOMENT]


async def play(centre: TestCentre) -> tuple[Chains, float]:
    """All chains; everybody is free at the end and nothing is left."""
    host, _, port = str(centre.told["sip"]["server"]).rpartition(":")
    server = (host, int(port))
    async with contextlib.AsyncExitStack() as stack:
        line = await stack.enter_async_context(carrier_line(centre.carrier, server))
        outside = Outside(server)
        await outside.listen(centre.carrier, CARRIERS_PORT)
        stack.push_async_callback(outside.close)
        phones: dict[str, AgentPhone] = {}
        people: dict[str, ApiPerson] = {}
        for extension in AGENTS:
            people[extension] = await stack.enter_async_context(ApiPerson(centre, extension))
            device = "external" if extension in AT_OUTSIDE_TELEPHONES else "sip"
            if device == "sip":
                told = centre.agent(extension)["sip"]
                phone = AgentPhone(told["username"], told["password"], server)
                phones[extension] = await stack.enter_async_context(phone)
                await phone.register(3600)
            await people[extension].post("/agent/state", {"state": "ready", "device": device})
        supervisor = await stack.enter_async_context(ApiPerson(centre, "supervisor"))
        floor = Floor(supervisor)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        looking = group.create_task(floor.look())
        await floor.until(
            lambda: all(floor.agents.get(one, {}).get("state") == "ready" for one in AGENTS), "everybody is ready"
        )
        chains = Chains(line, floor, people, phones, outside, CHAINS)
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
                    f"{told_at - began:.0f} s: {len(chains.done)} chains, {chains.moves.total()} moves, {len(chains.faults)} faults, "
                    f"load {os.getloadavg()[0]:.0f}",
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
    quick = {"ring_timeout": 10, "wrap_up": 0, "record": False}
    (data / "centre.yaml").write_text(demo_centre(quick, with_these_agents), encoding="utf-8")
    centre = TestCentre(data)
    centre.env["CTI_TRUNK__ADDRESS"] = f"{centre.carrier}:{CARRIERS_PORT}"
    await asyncio.to_thread(centre.start, within=240)
    try:
        chains, took = await play(centre)
        ids = [chain.call_id for chain in chains.done]
        records = await centre.records("call_id, caller_number, ended_at", ids, within=60)
        rows = {row["call_id"]: row for row in records if row["call_id"] in ids}
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
    local = sum(_LOCAL.match(row.name) is not None for row in entries(ledger) if row.event == "ANSWER")
    print(
        f"\n{len(chains.done)} chains of {chains.moves.total()} moves in {took:.0f} s, {AT_ONCE} at once, seed {SEED}, "
        f"load {os.getloadavg()[0]:.0f}: {dict(chains.moves)}; refused: {dict(chains.refused)}; {talks} talks, {local} through Local channels; "
        f"lost: {upper_bound(len(lost), len(ids))}; doubled {len(doubled)}, invented {len(invented)}, unlike {len(different)}, "
        f"channels left {len(left)}, books repaired {len(repaired)}, moves that did not come to their end {len(chains.faults)}",
        flush=True,
    )
    if "CTI_CHAINS" in os.environ:
        print("  seconds, median: " + ", ".join(f"{kind} {median(of):.1f}" for kind, of in chains.took.items()))
        for text in (*chains.faults[:20], *different[:40]):
            print("  " + text, flush=True)
    assert chains.faults == []
    assert (lost, doubled, invented) == ([], [], [])
    assert different == []
    assert left == []
    assert [row["kind"] for row in repaired] == []
    assert len(chains.done) >= CHAINS or "CTI_SECONDS" in os.environ
    assert talks > 2 * len(chains.done)
