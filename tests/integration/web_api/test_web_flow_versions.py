"""Versions of flows over the API: who may, what is told, what is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from cti.ids import FlowName
from cti.ivr.parser import version_of
from cti.live_flows import LiveFlows, open_flows
from tests.support.fake_floor import demo_centre
from tests.support.flow_fakes import TickingClock

PROMPTS = 'voices: {en: "piper:joe"}\nprompts: {one: {en: One}, two: {en: Two}}\n'


def text(says: str = "one", name: str = "hello") -> str:
    return f"flow: {name}\nlanguages: [en]\nstart: a\nfailure: b\nsteps:\n  a: {{say: {says}, go: b}}\n  b: {{hang_up: [one]}}\n"


FIRST, SECOND = version_of(text()), version_of(text("two"))


@pytest.fixture
async def flows(make_site, tmp_path: Path):
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "prompts.yaml").write_text(PROMPTS)
    (folder / "hello.yaml").write_text(text())
    for name in ("one", "two"):
        file = tmp_path / "sounds" / "en" / f"{name}.ulaw"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    centre = demo_centre()
    places = SimpleNamespace(data=tmp_path / "data", flows=folder)
    clock = TickingClock()
    object.__setattr__(centre, "numbers", {})
    object.__setattr__(centre, "queues", {})
    library, versions = open_flows(places, centre, clock)
    return await make_site(flows=library, flow_changes=LiveFlows(library, versions, tmp_path / "sounds", clock))


def put(*texts: str, expected: str = FIRST, **more) -> dict:
    return {"flows": [{"flow": "hello", "text": one, "expected": expected} for one in texts], **more}


async def test_the_way_of_a_change(flows):
    answer, said = await flows.ask("PUT", "/api/v1/flows", "admin", json=put(text("two"), note="Why", by="Ann"))
    assert (answer.status, said["flows"], said["changes"]) == (200, {"hello": SECOND}, ["step a: say: one -> two"])
    _, said = await flows.ask("GET", "/api/v1/flows/hello/versions", "supervisor")
    assert (said["version"], said["former"], said["draft"]) == (SECOND, FIRST, "")
    assert [(row["version"], row["by"], row["note"]) for row in said["changes"]] == [
        (SECOND, "Ann (as admin)", "Why"),
        (FIRST, "", ""),
    ]
    _, said = await flows.ask("GET", f"/api/v1/flows/hello/versions/{FIRST}", "supervisor")
    assert said["text"] == text()
    _, said = await flows.ask("GET", f"/api/v1/flows/hello/diff?from={FIRST}&to={SECOND}", "supervisor")
    assert said["steps"] == ["step a: say: one -> two"]
    assert "+  a: {say: two, go: b}" in said["text"]
    answer, said = await flows.ask("PUT", "/api/v1/flows", "admin", json=put(text(), expected=FIRST))
    assert (answer.status, said["error"]["id"]) == (412, "flow_conflict")
    answer, said = await flows.ask("POST", "/api/v1/flows/hello/rollback", "admin", json={"expected": SECOND})
    assert (answer.status, said["flows"]) == (200, {"hello": FIRST})
    _, said = await flows.ask("GET", "/api/v1/flows", "supervisor")
    assert [(row["flow"], row["version"], row["by"]) for row in said["flows"]] == [("hello", FIRST, "admin")]


async def test_a_wrong_text_is_refused_with_its_places(flows):
    wrong = text().replace("go: b", "go: c")
    answer, said = await flows.ask("PUT", "/api/v1/flows", "admin", json=put(wrong))
    assert (answer.status, said["error"]["id"]) == (400, "flow_invalid")
    assert said["error"]["details"][0]["field"] == "hello.yaml:6:21"
    body = {"flows": [{"flow": "hello", "text": wrong}]}
    answer, said = await flows.ask("POST", "/api/v1/flows/check", "admin", json=body)
    assert [(one["line"], one["column"], one["severity"]) for one in said["problems"]][:1] == [(6, 21, "error")]
    _, said = await flows.ask("GET", "/api/v1/flows/hello/versions", "admin")
    assert (said["version"], len(said["changes"])) == (FIRST, 1)


async def test_drafts(flows):
    answer, said = await flows.ask("PUT", "/api/v1/flows/new/draft", "admin", json={"text": text("two", "new")})
    assert (answer.status, list(said["flows"])) == (200, ["new"])
    _, said = await flows.ask("GET", "/api/v1/flows", "supervisor")
    row = next(row for row in said["flows"] if row["flow"] == "new")
    assert (row["version"], row["draft"]) == ("", version_of(text("two", "new")))
    answer, said = await flows.ask("GET", f"/api/v1/flows/new/picture.svg?version={row['draft']}", "supervisor")
    assert (answer.status, answer.content_type) == (200, "image/svg+xml")
    answer, said = await flows.ask("DELETE", "/api/v1/flows/new/draft", "admin")
    assert (answer.status, bool(said["flows"])) == (200, True)
    _, said = await flows.ask("GET", "/api/v1/flows", "supervisor")
    assert [row["flow"] for row in said["flows"]] == ["hello"]


async def test_removing(flows):
    await flows.ask(
        "PUT", "/api/v1/flows", "admin", json={"flows": [{"flow": "new", "text": text(name="new"), "expected": ""}]}
    )
    body = {"expected": version_of(text(name="new"))}
    answer, _ = await flows.ask("POST", "/api/v1/flows/new/remove", "admin", json=body)
    assert answer.status == 200
    assert [flow.name for flow in flows.deps.flows] == [FlowName("hello")]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/v1/flows", put(text("two"))),
        ("POST", "/api/v1/flows/check", {"flows": [{"flow": "hello", "text": ""}]}),
        ("POST", "/api/v1/flows/hello/rollback", {"expected": FIRST}),
        ("POST", "/api/v1/flows/hello/remove", {"expected": FIRST}),
        ("PUT", "/api/v1/flows/hello/draft", {"text": text("two")}),
        ("DELETE", "/api/v1/flows/hello/draft", None),
    ],
)
async def test_only_the_administrator_changes_something(flows, method, path, body):
    answer, _ = await flows.ask(method, path, "supervisor", **({"json": body} if body is not None else {}))
    assert answer.status == 403


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/flows/nobody/versions", None, 404),
        ("GET", "/api/v1/flows/hello/versions/0123456789ab", None, 404),
        ("GET", "/api/v1/flows/hello/versions/..%2Fx", None, 400),
        ("GET", f"/api/v1/flows/hello/diff?from={FIRST}", None, 400),
        ("GET", "/api/v1/flows/hello/picture.svg?version=0123456789ab", None, 404),
        ("POST", "/api/v1/flows/hello/rollback", {"expected": FIRST}, 404),
        ("POST", "/api/v1/flows/hello/rollback", {}, 400),
        ("PUT", "/api/v1/flows", {"flows": []}, 400),
        ("PUT", "/api/v1/flows", put(text("two"), text()), 400),
        ("PUT", "/api/v1/flows", {"flows": [{"flow": "hello", "text": text("two")}]}, 400),
        ("DELETE", "/api/v1/flows/nobody/draft", None, 404),
    ],
)
async def test_what_cannot_be(flows, method, path, body, status):
    answer, _ = await flows.ask(method, path, "admin", **({"json": body} if body is not None else {}))
    assert answer.status == status
