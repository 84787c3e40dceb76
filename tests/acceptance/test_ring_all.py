"""Several agents rung at once, and callers who are kept for one agent or moved by a supervisor, on real parts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.people import call_in, caller, sip_agent
from tests.acceptance.test_bridge_killed import bridge_back, kill_bridge
from tests.support.centre import REPOSITORY, ApiPerson, TestCentre, running_centre
from tests.support.sip_phone import SipPhone
from tests.support.sipp import Sipp

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

RACES = 24
TRIO = ("1002", "1004", "1008")
DESK = ("1001", "1003", "1007")
HOLD_SECONDS = 6


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    """The demo centre, but two queues ring everybody (one of them for long), nobody has work after a call, and callers are
    not held for long."""
    folder = tmp_path_factory.mktemp("together")
    text = (REPOSITORY / "cti" / "demo" / "centre.yaml").read_text(encoding="utf-8")
    text = text.replace("    titles: {en: Support,", "    strategy: ring_all\n    titles: {en: Support,")
    text = text.replace("    ring_timeout: 12\n", "    ring_timeout: 60\n    strategy: ring_all\n")
    text = text.replace("wrap_up: 30", "wrap_up: 0").replace("{hold: 20}", f"{{hold: {HOLD_SECONDS}}}")
    assert text.count("ring_all") == 2
    assert f"hold: {HOLD_SECONDS}" in text
    (folder / "centre.yaml").write_text(text, encoding="utf-8")
    with running_centre(folder / "data", env={"CTI_CENTRE": str(folder / "centre.yaml")}) as running:
        yield running


def states(floor: dict[str, Any], crew: tuple[str, ...] = TRIO) -> list[str]:
    return [floor["agents"][extension]["state"] for extension in crew]


async def facts_of(centre: TestCentre, number: str, *kinds: str) -> list[dict[str, Any]]:
    """The facts of these kinds of the calls from a number, as soon as the calls are stored."""
    await centre.record(where=f"caller_number = '{number}'")
    rows = await centre.query(
        "SELECT kind, body FROM cti.facts WHERE kind = ANY($2) AND call_id IN"
        " (SELECT call_id FROM cti.calls WHERE caller_number = $1) ORDER BY position",
        number,
        list(kinds),
    )
    return [{"kind": row["kind"], **json.loads(row["body"])} for row in rows]


async def nothing_was_repaired(centre: TestCentre) -> None:
    rows = await centre.query("SELECT body FROM cti.facts WHERE kind = 'BreachRepaired'")
    assert [row["body"] for row in rows] == []


async def test_three_phones_ring_one_answers_the_others_stop_at_once(together: TestCentre) -> None:
    async with (
        PhoneRoom() as room,
        sip_agent(together, room, "1002") as bo,
        sip_agent(together, room, "1004") as dora,
        sip_agent(together, room, "1008") as hugo,
        ApiPerson(together, "supervisor") as supervisor,
    ):
        phone = await caller(together, room, "+15550100070")
        call = await call_in(phone, "5001", keys="#")
        rung = {agent.extension: await agent.rings() for agent in (bo, dora, hugo)}
        await supervisor.until("/state", lambda s: states(s) == ["ringing"] * 3)
        pops = [(await agent.api.get("/agent"))["pop"] for agent in (bo, dora, hugo)]
        assert {pop["offer_id"] for pop in pops} == {int(rung["1002"].header("X-CTI-Offer") or 0)}
        assert [pop["agent_id"] for pop in pops] == list(TRIO)
        await rung["1004"].answer()
        async with asyncio.timeout(60):
            await rung["1004"].confirmed.wait()
            await asyncio.gather(rung["1002"].ended.wait(), rung["1008"].ended.wait())
        await supervisor.until("/state", lambda s: states(s) == ["ready", "talking", "ready"], within=60)
        assert (await bo.api.get("/agent"))["pop"] is None
        await asyncio.sleep(0.5)
        await rung["1004"].hang_up()
        async with asyncio.timeout(60):
            await call.ended.wait()
        await supervisor.until("/state", lambda s: states(s) == ["ready"] * 3)

        # One refuses: the others ring on. Then the caller gives up: all are free.
        phone = await caller(together, room, "+15550100071")
        call = await call_in(phone, "5001", keys="#")
        rung = {agent.extension: await agent.rings() for agent in (bo, dora, hugo)}
        await rung["1002"].answer(603)
        await supervisor.until("/state", lambda s: states(s) == ["ready", "ringing", "ringing"], within=60)
        mine = await hugo.api.get("/agent")
        await hugo.api.post(f"/agent/offers/{mine['pop']['offer_id']}/reject")
        async with asyncio.timeout(60):
            await rung["1008"].ended.wait()
        await supervisor.until("/state", lambda s: states(s) == ["ready", "ringing", "ready"], within=60)
        await call.hang_up()
        async with asyncio.timeout(60):
            await rung["1004"].ended.wait()
        await supervisor.until("/state", lambda s: states(s) == ["ready"] * 3, within=60)

        # Nobody is there: each has missed it, and the caller keeps the place.
        phone = await caller(together, room, "+15550100072")
        call = await call_in(phone, "5001", keys="#")
        rung = {agent.extension: await agent.rings() for agent in (bo, dora, hugo)}
        await supervisor.until("/state", lambda s: [c["state"] for c in s["calls"].values()] == ["waiting"], within=60)
        await supervisor.until("/state", lambda s: states(s) == ["ready"] * 3, within=60)
        await call.hang_up()

        row = await together.record(where="caller_number = '+15550100070'")
        assert (row["agent"], row["outcome"], row["hangup_by"]) == ("1004", "answered", "agent")
        assert 0 < row["ring_seconds"] < row["wait_seconds"] + 0.01
        (ended,) = await facts_of(together, "+15550100070", "OfferEnded")
        assert (ended["end"], ended["agent_id"], sorted(ended["others"])) == ("answered", "1004", ["1002", "1008"])
        told = await facts_of(together, "+15550100071", "OfferDeclined", "OfferEnded")
        assert [(x["kind"], x["agent_id"], x["end"]) for x in told] == [
            ("OfferDeclined", "1002", "rejected"),
            ("OfferDeclined", "1008", "rejected"),
            ("OfferEnded", "1004", "caller_gone"),
        ]
        told = await facts_of(together, "+15550100072", "OfferDeclined", "OfferEnded")
        assert {x["end"] for x in told} == {"no_answer"}
        assert sorted(extension for x in told for extension in (x["agent_id"], *x["others"])) == list(TRIO)
    await nothing_was_repaired(together)


async def test_the_bridge_dies_while_all_ring_and_one_answers_meanwhile(together: TestCentre) -> None:
    number = "+15550100074"
    async with (
        PhoneRoom() as room,
        sip_agent(together, room, "1001") as ada,
        sip_agent(together, room, "1003") as mei,
        sip_agent(together, room, "1007") as grace,
        ApiPerson(together, "supervisor") as supervisor,
    ):
        call = await call_in(await caller(together, room, number), "5003", keys="#")
        rung = {agent.extension: await agent.rings() for agent in (ada, mei, grace)}
        await supervisor.until("/state", lambda s: states(s, DESK) == ["ringing"] * 3)
        await kill_bridge(together)
        # Still ringing, and the new bridge knows for whom.
        await supervisor.until("/state", lambda s: states(s, DESK) == ["ringing"] * 3, within=60)
        old = together.pid("bridge")
        os.kill(old, signal.SIGKILL)
        await rung["1007"].answer()
        async with asyncio.timeout(60):
            await rung["1007"].confirmed.wait()
            await asyncio.gather(rung["1001"].ended.wait(), rung["1003"].ended.wait())
        await bridge_back(together, old)
        await supervisor.until("/state", lambda s: states(s, DESK) == ["ready", "ready", "talking"], within=60)
        await call.hang_up()
        await supervisor.until("/state", lambda s: states(s, DESK) == ["ready"] * 3)
    row = await together.record(where=f"caller_number = '{number}'")
    assert (row["agent"], row["outcome"]) == ("1007", "answered")
    (ended,) = await facts_of(together, number, "OfferEnded")
    assert (ended["end"], ended["agent_id"], sorted(ended["others"])) == ("answered", "1007", ["1001", "1003"])
    await nothing_was_repaired(together)


@contextlib.asynccontextmanager
async def eager(centre: TestCentre, extension: str) -> AsyncIterator[SipPhone]:
    """An agent whose phone answers at the moment it rings."""
    account = centre.agent(extension)["sip"]
    host, port = account["server"].rsplit(":", 1)
    async with SipPhone(account["username"], account["password"], (host, int(port))) as phone:
        phone.talk_seconds = 0.4
        await phone.register()
        async with ApiPerson(centre, extension) as api:
            await api.post("/agent/state", {"state": "ready", "device": "sip"})
            await api.until("/agent", lambda a: a["agent"]["state"] == "ready" and a["agent"]["reachable"]["sip"])
            try:
                yield phone
            finally:
                await api.post("/agent/state", {"state": "offline"})
                await phone.register(expires=0)


@pytest.mark.needs("sipp")
async def test_all_answer_at_the_same_moment_and_exactly_one_wins_every_time(together: TestCentre) -> None:
    host, port = together.told["sip"]["server"].rsplit(":", 1)
    number = "+15550100073"
    async with contextlib.AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(eager(together, extension)) for extension in TRIO]
        supervisor = await stack.enter_async_context(ApiPerson(together, "supervisor"))
        async with Sipp(
            "caller_stays",
            local=together.carrier,
            remote=(host, int(port)),
            service="5001",
            calls=RACES,
            rate=1.0,
            keys={"number": number, "display": "Race"},
        ) as sipp:
            result = await sipp.finished()
        assert (result.successful, result.failed) == (RACES, 0), result.output
        await supervisor.until("/state", lambda s: not s["calls"] and states(s) == ["ready"] * 3)
        answered_twice = sum(phone.answered_count for phone in phones) - RACES
    rows = []
    async with asyncio.timeout(60):
        while len(rows) < RACES:
            rows = await together.query(
                "SELECT call_id, agent, outcome, talk_seconds FROM report.calls WHERE caller_number = $1", number
            )
            await asyncio.sleep(0.1)
    assert {row["outcome"] for row in rows} == {"answered"}
    assert all(0.2 < row["talk_seconds"] < 3 for row in rows)
    told = await facts_of(together, number, "OfferMade", "CallAnswered", "OfferEnded", "OfferDeclined")
    answers = Counter(x["call_id"] for x in told if x["kind"] == "CallAnswered")
    twice = [x for x in told if answers[x["call_id"]] > 1]
    assert not twice
    assert answers == {row["call_id"]: 1 for row in rows}
    made = {x["offer_id"]: x for x in told if x["kind"] == "OfferMade"}
    ended = {x["offer_id"]: x for x in told if x["kind"] == "OfferEnded"}
    assert made.keys() == ended.keys()
    # Several phones had been answered at once in most of them: without that this proves nothing.
    assert sum(bool(offer["others"]) for offer in made.values()) >= RACES // 2
    assert answered_twice > 0
    assert {x["end"] for x in ended.values()} == {"answered"}
    await nothing_was_repaired(together)


async def test_kept_for_the_own_agent_who_is_talking_then_given_to_the_other_one(together: TestCentre) -> None:
    vip = "+15550100080"
    await together.query(
        "WITH c AS (INSERT INTO crm.customers (name, tier, own_agent) VALUES ('Fatima', 'vip', '1001') RETURNING customer_id)"
        " INSERT INTO crm.phones (customer_id, number, raw) SELECT customer_id, $1, $1 FROM c",
        vip,
    )
    async with (
        PhoneRoom() as room,
        sip_agent(together, room, "1001") as ada,
        sip_agent(together, room, "1003", ready=False) as mei,
        ApiPerson(together, "supervisor") as supervisor,
    ):
        busy = await call_in(await caller(together, room, "+15550100081"), "5003", keys="#")
        ringing = await ada.rings()
        await ringing.answer()
        await ada.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await mei.ready()
        kept = await call_in(await caller(together, room, vip), "5003", keys="#")
        floor = await supervisor.until(
            "/state",
            lambda s: any(c["caller_number"] == vip and c["state"] == "waiting" for c in s["calls"].values()),
        )
        (row,) = [c for c in floor["calls"].values() if c["caller_number"] == vip]
        assert (row["why_waiting"], floor["agents"]["1003"]["state"]) == ("held_for_agent", "ready")
        other = await mei.rings(within=HOLD_SECONDS + 5)
        await other.answer()
        await mei.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await kept.hang_up()
        await busy.hang_up()
        await supervisor.until("/state", lambda s: not s["calls"])
        (queued,) = await facts_of(together, vip, "CallQueued")
        assert (queued["preferred"], queued["hold"]) == ("1001", HOLD_SECONDS)
        stored = await together.record(where=f"caller_number = '{vip}'")
        assert stored["agent"] == "1003"
        assert HOLD_SECONDS <= stored["wait_seconds"] < HOLD_SECONDS + 5


async def test_a_supervisor_puts_a_caller_first_and_moves_another(together: TestCentre) -> None:
    async with PhoneRoom() as room, ApiPerson(together, "supervisor") as supervisor:
        first = await call_in(await caller(together, room, "+15550100082"), "5001", keys="#")
        await supervisor.until("/state", lambda s: sum(c["state"] == "waiting" for c in s["calls"].values()) == 1)
        second = await call_in(await caller(together, room, "+15550100083"), "5001", keys="#")
        floor = await supervisor.until(
            "/state", lambda s: sum(c["state"] == "waiting" for c in s["calls"].values()) == 2
        )
        ids = {c["caller_number"]: c["call_id"] for c in floor["calls"].values()}
        later = ids["+15550100083"]
        standing = await supervisor.post(f"/calls/{later}/priority", {"front": True, "reason": "promised"})
        assert (standing["place"], standing["queue"]) == (1, "support")
        await supervisor.until("/state", lambda s: s["calls"][later]["place"] == 1)
        standing = await supervisor.post(f"/calls/{later}/queue", {"queue": "sales", "reason": "wants to buy"})
        assert (standing["place"], standing["queue"]) == (1, "sales")
        async with sip_agent(together, room, "1005") as emil:
            ringing = await emil.rings()
            assert (await emil.api.get("/agent"))["pop"]["queue"] == "sales"
            await ringing.answer()
            await emil.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
            with pytest.raises(AssertionError, match="not_waiting"):
                await supervisor.post(f"/calls/{later}/priority", {"front": True, "reason": "late"})
            await second.hang_up()
            await first.hang_up()
            await supervisor.until("/state", lambda s: not s["calls"])
        told = await facts_of(together, "+15550100083", "PriorityChanged", "CallQueued")
        changed, moved = told[1], told[2]
        assert (changed["kind"], changed["by"], changed["reason"]) == ("PriorityChanged", "supervisor", "promised")
        assert (moved["queue"], moved["by"], moved["reason"]) == ("sales", "supervisor", "wants to buy")
        assert moved["since"] == told[0]["at"]
