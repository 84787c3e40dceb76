"""Supervisors of certain queues, and screens on the wall, over the real application: what they are sent, what they are refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cti.ids import AgentId, CallId, QueueName
from cti.model.facts import AgentState
from cti.services.floor import AlertRow, CentreRow, Change
from cti.web import feed as feed_module
from cti.web.auth.accounts import Account
from cti.web.auth.permissions import PERMISSIONS, Role
from cti.web.feed import HUB
from tests.integration.web_api.conftest import until
from tests.support.fake_floor import QUICK_HASHER, SALES, SUPPORT, VIP, StandingClock, demo_centre, make_accounts

ADA, FOREIGN = AgentId("1001"), ("+14155550777", "Foreign Caller", "a1-66.6")


def figures(queues: frozenset[QueueName]) -> CentreRow:
    """Tells by the number of calls which queues were asked about."""
    return CentreRow(
        day_start=StandingClock().now(), calls=sum({SUPPORT: 1, SALES: 10, VIP: 100}[one] for one in queues), live=0, answered=0,
        abandoned=0, service_level=None, longest_wait=0.0, satisfaction=None, rated=0, complaint_rate=None, complaints=0,
        effective_answer_rate=None,
    )  # fmt: skip


@pytest.fixture
async def house(make_site: Any, tmp_path: Any) -> Any:
    """supervisor: support; lena: support too; mo: sales by the centre's file; admin; hall: a wall of support; lobby: a wall."""
    accounts = make_accounts(tmp_path, demo_centre())
    mine = accounts.get("supervisor")
    assert mine is not None
    hashed = QUICK_HASHER.hash("demo")
    accounts._accounts["supervisor"] = mine.model_copy(update={"queues": ("support",)})
    for name, role, queues in (
        ("lena", Role.SUPERVISOR, ("support",)), ("mo", Role.SUPERVISOR, ()), ("hall", Role.WALL, ("support",)),
        ("lobby", Role.WALL, ()),
    ):  # fmt: skip
        accounts._accounts[name] = Account(username=name, role=role, queues=queues, hash=hashed)
    site = await make_site(accounts=accounts, centre_of=figures)
    centre = dataclasses.replace(site.floor.centre, supervisors={"mo": (SALES,)})
    state = SimpleNamespace(centre=centre)
    object.__setattr__(site.deps, "centre_now", lambda: state.centre)
    floor, now = site.floor, site.clock.now()
    own = floor.make_call("a1-1.1", caller_number="+14155550111", customer_name="Own Caller")
    other = floor.make_call(
        FOREIGN[2], queue=VIP, caller_number=FOREIGN[0], customer_name=FOREIGN[1], agent_id=ADA, callback="waiting"
    )
    alerts = {
        f"{queue or '-'}.waiting": AlertRow(
            alert=f"{queue or '-'}.waiting",
            queue=queue,
            figure="waiting",
            level="warn",
            since=now,
            value=3.0,
            limit=2.0,
        )
        for queue in (SUPPORT, VIP, None)
    }
    talking = dataclasses.replace(
        floor.agents[ADA], state=AgentState.TALKING, call_id=other.call_id, name="Amelia Stone"
    )
    floor.apply(
        Change(
            calls={own.call_id: own, other.call_id: other},
            agents={ADA: talking},
            alerts=alerts,
            centre=figures(frozenset({SUPPORT, SALES, VIP})),
        )
    )
    await until(lambda: site.client.app[HUB]._view().centre is not None)
    site.calls.rows = [
        {"call_id": call_id, "started_at": now - timedelta(minutes=place), "queue": queue, "outcome": "answered"}
        for place, (call_id, queue) in enumerate((("a1-1.9", "support"), (FOREIGN[2], "vip"), ("a1-1.8", None)))
    ]
    return SimpleNamespace(site=site, floor=floor, state=state)


async def received(feed: Any) -> Mapping[str, Any]:
    return json.loads(await feed.receive_str(timeout=60))


def clean(answer: Any) -> None:
    text = json.dumps(answer)
    assert not any(mark in text for mark in FOREIGN), text


async def test_state_and_lists_have_what_is_of_the_own_queues(house: Any) -> None:
    ask = house.site.ask
    _, state = await ask("GET", "/api/v1/state", "supervisor")
    clean(state)
    assert set(state["queues"]) == {"support"}
    assert set(state["calls"]) == {"a1-1.1"}
    assert set(state["alerts"]) == {"support.waiting"}
    assert state["centre"]["calls"] == 1
    ada = state["agents"]["1001"]
    assert (ada["name"], ada["state"], ada["call_id"], ada["elsewhere"]) == ("Amelia Stone", "talking", None, True)
    assert "1003" not in state["agents"]  # sales and vip
    for path in ("callbacks", "alerts", "calls", "supervision"):
        _, told = await ask("GET", f"/api/v1/{path}", "supervisor")
        clean(told)
    _, own = await ask("GET", "/api/v1/outbound/spent", "supervisor")
    assert [(row["scope"], row["name"]) for row in own["rows"]] == [("queue", "support")]
    _, spent = await ask("GET", "/api/v1/outbound/spent", "admin")
    assert [row["name"] for row in spent["rows"]] == ["", "support", "vip", "1001"]
    _, calls = await ask("GET", "/api/v1/calls", "supervisor")
    assert [row["call_id"] for row in calls["calls"]] == ["a1-1.9"]
    for path in ("calls?queue=vip", f"calls/{FOREIGN[2]}", f"calls/{FOREIGN[2]}/timeline"):
        answer, said = await ask("GET", f"/api/v1/{path}", "supervisor")
        assert (answer.status, said["error"]["id"]) == (403, "not_your_queue")
    answer, _ = await ask("POST", "/api/v1/calls/a1-1.1/queue", "supervisor", json={"queue": "vip", "reason": "x"})
    assert answer.status == 403
    _, whole = await ask("GET", "/api/v1/state", "admin")
    assert set(whole["calls"]) == {"a1-1.1", FOREIGN[2]}
    assert set(whole["alerts"]) == {"support.waiting", "vip.waiting", "-.waiting"}


async def test_each_set_of_queues_is_encoded_once_and_gets_its_own(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[Any] = []

    def counting(value: object, _real: Any = feed_module.encode) -> bytes:
        encoded.append(value)
        return _real(value)

    monkeypatch.setattr(feed_module, "encode", counting)
    users = ("supervisor", "lena", "supervisor", "mo", "admin", "admin", "hall", "lobby")
    feeds = [await house.site.feed(user) for user in users]
    views = [(await received(feed))["view"] for feed in feeds]
    assert [sorted(view["queues"]) for view in views[:4]] == [["support"]] * 3 + [["sales"]]
    clean(views[:4])
    encoded.clear()
    moved = dataclasses.replace(house.floor.calls[CallId("a1-1.1")], queue=VIP)
    house.floor.apply(Change(calls={moved.call_id: moved}))
    told = [await received(feed) for feed in (feeds[0], feeds[1], feeds[2], feeds[4], feeds[5])]
    assert [one["change"]["calls_gone"] for one in told[:3]] == [["a1-1.1"]] * 3
    assert all(one["change"]["calls"]["a1-1.1"]["queue"] == "vip" for one in told[3:])
    assert (
        len([one for one in encoded if isinstance(one, Change)]) == 2
    )  # support's, everything; nothing for the others
    house.floor.apply(Change(calls={CallId(FOREIGN[2]): house.floor.calls[CallId(FOREIGN[2])]}))
    row = dataclasses.replace(house.floor.queues[SUPPORT], waiting=7)
    house.floor.apply(Change(queues={SUPPORT: row}))
    for feed in feeds[:3]:  # the foreign call was no message at all
        assert (await received(feed))["change"]["queues"]["support"]["waiting"] == 7
    for feed in feeds:
        await feed.close()


async def test_other_queues_by_the_centres_file_begin_a_feed_anew(house: Any) -> None:
    feed = await house.site.feed("mo")
    assert set((await received(feed))["view"]["queues"]) == {"sales"}
    house.state.centre = dataclasses.replace(house.state.centre, supervisors={"mo": (SUPPORT,)})
    again = await received(feed)  # by itself: nothing on the floor has changed
    assert (again["type"], again["seq"], set(again["view"]["queues"])) == ("snapshot", 2, {"support"})
    clean(again)
    house.floor.apply(Change(queues={SALES: house.floor.queues[SALES], SUPPORT: house.floor.queues[SUPPORT]}))
    house.floor.apply(Change(queues={SUPPORT: dataclasses.replace(house.floor.queues[SUPPORT], waiting=4)}))
    assert set((await received(feed))["change"]["queues"]) == {"support"}
    hub = house.site.client.app[HUB]
    await feed.close()
    house.state.centre = dataclasses.replace(house.state.centre, supervisors={"mo": (VIP,)})
    hub.follow_centre()
    assert hub.clients == ()


async def test_who_lost_the_line_in_the_centres_file_sees_nothing_on_a_page_that_stayed_open(house: Any) -> None:
    accounts = house.site.deps.accounts
    mo = accounts.get("mo").model_copy(update={"of_centre": False, "subject": "https://id mo"})
    await accounts.put(mo)
    house.state.centre = dataclasses.replace(house.state.centre, supervisors={})
    feed = await house.site.feed("mo")
    assert set((await received(feed))["view"]["queues"]) == {"support", "sales", "vip"}
    house.state.centre = dataclasses.replace(house.state.centre, supervisors={"mo": (SUPPORT,)})
    await accounts.put(mo.model_copy(update={"once_named": True}))
    assert set((await received(feed))["view"]["queues"]) == {"support"}
    house.state.centre = dataclasses.replace(house.state.centre, supervisors={})
    view = (await received(feed))["view"]
    assert (view["queues"], view["calls"], view["agents"], view["alerts"]) == ({}, {}, {}, {})
    clean(view)
    for path, status in (("calls?queue=support", 403), ("state", 200)):
        answer, said = await house.site.ask("GET", f"/api/v1/{path}", "mo")
        assert answer.status == status
        clean(said)
    await feed.close()


async def test_a_wall_reads_what_it_draws_and_nothing_else(house: Any) -> None:
    ask = house.site.ask
    for user, queues in (("hall", {"support"}), ("lobby", {"support", "sales", "vip"})):
        answer, state = await ask("GET", "/api/v1/state", user)
        assert answer.status == 200
        clean(state)
        assert (set(state["queues"]), state["calls"], state["pops"], state["talks"]) == (queues, {}, {}, {})
        assert {row["name"] for row in state["agents"].values()} == {""}
        assert state["agents"]["1001"]["state"] == "talking"
        assert "Own Caller" not in json.dumps(state)
    _, me = await ask("GET", "/api/v1/me", "hall")
    assert me["user"]["role"] == "wall"
    feed = await house.site.feed("lobby")
    view = (await received(feed))["view"]
    assert (view["calls"], view["centre"]["calls"], len(view["alerts"])) == ({}, 111, 3)
    await feed.close()
    allowed = {name for name, roles in PERMISSIONS.items() if roles is not None and Role.WALL in roles}
    assert {"me", "logout", "state", "feed"} == allowed
    for method, path in (
        ("GET", "calls"),
        ("GET", "alerts"),
        ("GET", "reports"),
        ("GET", "customers"),
        ("GET", "recordings"),
    ):
        answer, said = await ask(method, f"/api/v1/{path}", "hall")
        assert (answer.status, said["error"]["id"]) == (403, "forbidden")


async def test_a_walls_session_lasts_for_weeks_and_over_a_restart(house: Any, make_site: Any) -> None:
    token = await house.site.token("hall")
    await house.site.token("lena")
    house.site.clock.move(timedelta(days=60))
    assert (await house.site.ask("GET", "/api/v1/me", "hall"))[0].status == 200
    assert (await house.site.ask("GET", "/api/v1/me", "lena"))[0].status == 401
    restarted = await make_site(accounts=house.site.deps.accounts, clock=house.site.clock)
    headers = {"Authorization": f"Bearer {token}"}
    assert (await restarted.ask("GET", "/api/v1/me", headers=headers))[0].status == 200
    house.site.clock.move(timedelta(days=400))
    assert (await restarted.ask("GET", "/api/v1/me", headers=headers))[0].status == 401
