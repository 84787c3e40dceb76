"""Why calls went where they went, over the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cti.errors import RemoteError
from cti.ids import AgentId, CallId, NodeName, OfferId, QueueName
from cti.model import facts as f
from cti.store.explain import QueueAccuracy, WaitAccuracy

BEGIN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CALL = CallId("a1-1.1")
SUPPORT = QueueName("support")
ADA, BO, DORA = AgentId("1001"), AgentId("1002"), AgentId("1003")


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


REFUSED = f.Decided(
    at=at(1),
    call_id=CALL,
    queue=SUPPORT,
    why="nobody_has_skill",
    score=1.0,
    strategy="longest_idle",
    excluded=((DORA, "lacks_skill:zh 3,sales 1"), (BO, "talking")),
    more_agents=3,
)
OFFERED = f.Decided(
    at=at(9),
    call_id=CALL,
    queue=SUPPORT,
    offer_id=OfferId(7),
    agents=(ADA,),
    score=9.0,
    strategy="longest_idle",
    candidates=((ADA, 192.0), (BO, 11.5)),
    passed_over=(CallId("a1-1.0"),),
)
STORY: list[f.CallFact] = [
    f.CallStarted(at=at(0), call_id=CALL, node=NodeName("a1"), did="5000"),
    f.CallQueued(at=at(1), call_id=CALL, queue=SUPPORT),
    REFUSED,
    f.WaitPromised(at=at(2), call_id=CALL, queue=SUPPORT, place=2, low=5.0, mean=20.0, high=60.0, told=True),
    f.OfferMade(
        at=at(9), call_id=CALL, offer_id=OfferId(7), agent_id=ADA, queue=SUPPORT, device=f.Device.SIP, deadline=at(29)
    ),
    OFFERED,
    f.OfferRang(at=at(10), call_id=CALL, offer_id=OfferId(7), agent_id=ADA),
    f.OfferEnded(at=at(24), call_id=CALL, offer_id=OfferId(7), agent_id=ADA, end=f.OfferEnd.NO_ANSWER),
]


async def test_the_story_of_a_live_call_from_memory_and_database_together(site) -> None:
    site.explained.stored[CALL], site.explained.remembered[CALL] = STORY[:5], STORY[2:]
    answer, said = await site.ask("GET", f"/api/v1/calls/{CALL}/decisions", "supervisor")
    assert answer.status == 200
    assert (said["live"], said["complete"]) == (True, True)
    first, second = said["decisions"]
    assert (first["offer_id"], first["why"], first["agents"], first["more_agents"]) == (None, "nobody_has_skill", [], 3)
    lacks = [{"skill": "zh", "level": 3}, {"skill": "sales", "level": 1}]
    assert first["excluded"] == [
        {"agent_id": DORA, "reason": "lacks_skill", "lacks": lacks},
        {"agent_id": BO, "reason": "talking", "lacks": []},
    ]
    assert (second["offer_id"], second["agents"], second["end"]) == (7, [ADA], "no_answer")
    assert second["ended_at"] == "2026-03-02T09:30:24Z"
    assert second["candidates"][0] == {"agent_id": ADA, "score": 192.0}
    assert second["passed_over"] == ["a1-1.0"]
    kinds = [moment["kind"] for moment in said["moments"]]
    assert kinds == ["arrived", "queued", "promised", "rang", "offer_ended"]
    assert said["moments"][2]["place"] == 2
    assert said["moments"][4] | {"agent_id": ADA, "text": "no_answer"} == said["moments"][4]


async def test_an_old_call_comes_from_the_database_alone(site) -> None:
    end = f.CallEnded(at=at(30), call_id=CALL, hangup_by=f.HangupBy.CALLER)
    site.explained.stored[CALL] = [*STORY, end]
    _, said = await site.ask("GET", f"/api/v1/calls/{CALL}/decisions", "admin")
    assert said["live"] is False
    assert said["moments"][-1]["by"] == "caller"


async def test_without_the_database_the_floor_tells_what_it_remembers(site) -> None:
    site.explained.error = RemoteError("the database cannot be reached")
    answer, said = await site.ask("GET", f"/api/v1/calls/{CALL}/decisions", "supervisor")
    assert answer.status == 503
    site.explained.remembered[CALL] = STORY
    answer, said = await site.ask("GET", f"/api/v1/calls/{CALL}/decisions", "supervisor")
    assert (answer.status, said["complete"], len(said["decisions"])) == (200, False, 2)


async def test_a_call_nobody_knows_is_unknown(site) -> None:
    for path in ("decisions", "why"):
        answer, said = await site.ask("GET", f"/api/v1/calls/a1-9.9/{path}", "supervisor")
        assert (answer.status, said["error"]["id"]) == (404, "unknown_call")


async def test_why_not_yet_is_told_as_things_stand(site) -> None:
    site.explained.remembered[CALL] = STORY
    _, said = await site.ask("GET", f"/api/v1/calls/{CALL}/why", "supervisor")
    assert said["decision"] is None
    site.explained.standing[CALL] = REFUSED
    _, said = await site.ask("GET", f"/api/v1/calls/{CALL}/why", "supervisor")
    assert said["decision"]["why"] == "nobody_has_skill"
    assert said["at"] == "2026-03-02T09:30:00Z"


async def test_how_right_the_expected_waits_were(site) -> None:
    path = f"/api/v1/queues/{SUPPORT}/expected-wait-accuracy"
    _, said = await site.ask("GET", path, "supervisor")
    assert said["joined"]["promises"] == said["told"]["promises"] == 0
    assert (said["from"], said["to"]) == ("2026-03-02T00:00:00Z", "2026-03-02T09:30:00Z")
    site.explained.accurate[SUPPORT] = QueueAccuracy(
        joined=WaitAccuracy(promises=10, mean_error=-2.0, mean_absolute_error=8.0, inside=0.8, mean_wait=40.0)
    )
    _, said = await site.ask(
        "GET", path, "supervisor", params={"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00+00:00"}
    )
    assert said["joined"]["inside"] == 0.8
    assert said["told"]["mean_error"] is None
    assert site.explained.asked[-1] == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    answer, _ = await site.ask("GET", "/api/v1/queues/nowhere/expected-wait-accuracy", "supervisor")
    assert answer.status == 404
    answer, _ = await site.ask("GET", path, "supervisor", params={"from": "yesterday"})
    assert answer.status == 400
    answer, _ = await site.ask("GET", path, "supervisor", params={"from": "2026-03-01T00:00:00"})
    assert answer.status == 400
