"""Acts of supervisors over HTTP: whose queues, who is told no, and what is written down."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.ids import AgentId, CallId, QueueName
from cti.services.acts import JournalActs
from cti.services.floor import CallRow, Refused
from cti.services.supervision import Changed, WatchRow
from cti.web.app import OPERATIONS
from cti.web.auth.accounts import Account
from cti.web.auth.acts import ASKING, is_act
from cti.web.auth.before_after import CHANGES, PLAIN, TELLS, Shown, fields_of
from cti.web.auth.permissions import PERMISSIONS, Role
from cti.web.auth.scopes import SCOPES, Scope, may
from tests.support.fake_floor import SALES, SUPPORT, demo_centre, make_accounts

SALES_CALL, SUPPORT_CALL = CallId("a1-1.1"), CallId("a1-2.1")
BODIES: Mapping[str, Any] = {
    "call_watch": {"mode": "listen"},
    "call_end": {},
    "call_send": {"to": {"kind": "queue", "name": "sales"}},
    "call_priority": {"front": True, "reason": "x"},
    "call_queue": {"queue": "sales", "reason": "x"},
    "agent_set": {"state": "offline"},
    "agent_change": {"skills": {"en": 5}},
    "agent_reassign": {"skills": {"en": 5}, "shift": True},
    "queue_force": {"open": False},
    "queue_announce": {"prompt": ""},
    "centre_announce": {"prompt": ""},
}


class Desk:
    """Notes what it is asked."""

    def __init__(self, now: Any) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.now = now
        self.over = ""

    def __getattr__(self, name: str) -> Any:
        async def ask(*given: Any, **more: Any) -> Any:
            self.asked.append((name, *given))
            if name == "change_watch" and self.over:
                raise Refused(self.over, "no", remedy="no")
            if name in ("watch", "change_watch"):
                return WatchRow(
                    call_id=SALES_CALL,
                    by=more["by"],
                    mode=more["mode"],
                    state="calling",
                    since=self.now(),
                    agent_id=AgentId("1003"),
                )
            if name == "stop_watch":
                raise Refused("not_watching", "no", remedy="no")
            return Changed(before={"state": "ready"}, after={"state": "offline"})

        return ask

    def usual_agent(self, agent_id: AgentId) -> Any:
        return demo_centre().agents.get(agent_id)

    def watches(self) -> Sequence[WatchRow]:
        return []

    def forced_queues(self) -> Sequence[Any]:
        return []

    def emergencies(self) -> Sequence[Any]:
        return []

    def messages(self) -> Sequence[Any]:
        return []


class Journal:
    def __init__(self) -> None:
        self.facts: list[Any] = []

    async def append(self, facts: Sequence[Any]) -> None:
        self.facts += facts

    def written(self) -> bool:
        return True


def row(call_id: CallId, queue: QueueName | None, site_clock: Any) -> CallRow:
    now = site_clock.now()
    return CallRow(
        call_id=call_id, state="talking", since=now, started_at=now, caller_number=None, did="5000", language="en",
        customer_name="", tier="", queue=queue, queued_at=now, place=None, head_start=0.0, skills=(), why_waiting="",
        choice="", agent_id=AgentId("1003"), answered_at=now,
    )  # fmt: skip


@pytest.fixture
async def limited(make_site: Any, tmp_path: Any) -> Any:
    """A site whose supervisor acts on sales only."""
    accounts = make_accounts(tmp_path, demo_centre())
    mine = accounts.get("supervisor")
    assert mine is not None
    accounts._accounts["supervisor"] = mine.model_copy(update={"queues": ("sales",)})
    journal = Journal()
    site = await make_site(accounts=accounts)
    desk = Desk(site.clock.now)
    for field, value in (("supervision", desk), ("acts", JournalActs(journal, site.clock))):
        object.__setattr__(site.deps, field, value)
    object.__setattr__(
        site.deps.phone, "passwords", {**site.deps.phone.passwords, "supervisor": "x", "supervisor-web": "y"}
    )
    for call_id, queue in ((SALES_CALL, SALES), (SUPPORT_CALL, SUPPORT)):
        site.floor.calls[call_id] = row(call_id, queue, site.clock)
    return SimpleNamespace(site=site, desk=desk, journal=journal)


def paths(name: str, *, mine: bool) -> list[str]:
    operation = next(one for one in OPERATIONS if one.name == name)
    match SCOPES[name]:
        case Scope.CALL:
            values = [SALES_CALL] if mine else [SUPPORT_CALL, "a1-9.9"]
            return [operation.path.replace("{call_id}", value) for value in values]
        case Scope.AGENT:
            return [operation.path.replace("{agent_id}", value) for value in (["1003"] if mine else ["1002", "4711"])]
        case Scope.QUEUE:
            return [operation.path.replace("{queue}", value) for value in (["sales"] if mine else ["support", "none"])]
        case Scope.ALERT:
            values = ["sales.waiting"] if mine else ["support.waiting", "-.service_level"]
            return [operation.path.replace("{alert}", value) for value in values]
        case _:
            return [] if mine else [re.sub(r"\{\w+(:[^}]*)?\}", "1", operation.path)]


NAMED = sorted(name for name, scope in SCOPES.items() if scope not in (Scope.ANSWER, Scope.NONE))


@pytest.mark.parametrize("name", NAMED)
async def test_what_is_not_theirs_is_refused_before_anything_is_looked_at(limited: Any, name: str) -> None:
    operation = next(one for one in OPERATIONS if one.name == name)
    more = {"json": BODIES.get(name, {})} if operation.method in ("POST", "PUT") else {}
    for path in paths(name, mine=False):
        answer, said = await limited.site.ask(operation.method, path, "supervisor", **more)
        assert (answer.status, said["error"]["id"]) == (403, "not_your_queue"), path
    assert limited.desk.asked == []
    assert limited.site.floor.asked == []
    assert limited.journal.facts == []
    for path in paths(name, mine=True):
        answer, said = await limited.site.ask(operation.method, path, "supervisor", **more)
        assert answer.status != 403, said


async def test_an_act_leaves_one_line_and_a_refused_one_none(limited: Any) -> None:
    site = limited.site
    answer, said = await site.ask(
        "POST", f"/api/v1/calls/{SALES_CALL}/watch", "supervisor", json={"mode": "whisper", "reason": "new agent"}
    )
    assert (answer.status, said["watch"]["mode"]) == (200, "whisper")
    answer, _ = await site.ask("POST", f"/api/v1/calls/{SALES_CALL}/hangup", "supervisor", json={"reason": "x" * 2000})
    assert answer.status == 400
    answer, said = await site.ask("POST", "/api/v1/supervision/stop", "supervisor")  # over already: no line
    assert (answer.status, said) == (200, {"call_id": None})
    (act,) = limited.journal.facts
    assert (act.by, act.act, act.subject, act.queue, act.reason) == (
        "supervisor",
        "call_watch",
        f"call:{SALES_CALL}",
        SALES,
        "new agent",
    )
    assert dict(act.after) == {"mode": "whisper", "agent": "1003"}


async def test_old_operations_leave_a_line_too_and_bodies_are_checked_for_queues(limited: Any) -> None:
    site = limited.site
    answer, _ = await site.ask(
        "POST", f"/api/v1/calls/{SALES_CALL}/priority", "supervisor", json={"front": True, "reason": "angry"}
    )
    assert answer.status == 200
    assert [(act.act, act.subject) for act in limited.journal.facts] == [("call_priority", f"call:{SALES_CALL}")]
    answer, said = await site.ask(
        "POST", f"/api/v1/calls/{SALES_CALL}/send", "supervisor", json={"to": {"kind": "queue", "name": "vip"}}
    )
    assert (answer.status, said["error"]["id"]) == (403, "not_your_queue")
    answer, said = await site.ask("POST", "/api/v1/messages", "supervisor", json={"queue": "support", "text": "x"})
    assert answer.status == 403
    answer, said = await site.ask("POST", "/api/v1/messages", "supervisor", json={"agents": ["1002"], "text": "x"})
    assert answer.status == 403
    assert limited.desk.asked == []


@pytest.mark.parametrize("over", ["not_watching", "unknown_call"])
async def test_a_part_that_is_over_is_no_error_to_a_page_that_asks_for_another(limited: Any, over: str) -> None:
    limited.desk.over = over
    answer, said = await limited.site.ask("POST", "/api/v1/supervision/mode", "supervisor", json={"mode": "whisper"})
    assert (answer.status, said) == (200, {"watch": None})
    assert limited.journal.facts == []  # nothing was done
    limited.desk.over = "recording_paused"
    answer, said = await limited.site.ask("POST", "/api/v1/supervision/mode", "supervisor", json={"mode": "whisper"})
    assert (answer.status, said["error"]["id"]) == (409, "recording_paused")


def session(role: Role, queues: tuple[str, ...]) -> Any:
    account = Account(username="x", role=role, hash="", queues=queues)
    return SimpleNamespace(account=account, token=None)


QUEUES = st.lists(st.sampled_from(["support", "sales", "vip"]), unique=True)


@given(
    operation=st.sampled_from(sorted(PERMISSIONS)),
    role=st.sampled_from(sorted(Role)),
    own=QUEUES,
    asked=st.none() | QUEUES,
)
def test_who_may_what_over_the_whole_table(operation: str, role: Role, own: list[str], asked: list[str] | None) -> None:
    centre = demo_centre()
    queues = None if asked is None else [QueueName(one) for one in asked]
    allowed = may(session(role, tuple(own)), operation, queues, centre)
    roles = PERMISSIONS[operation]
    if roles is None:
        assert allowed
    elif role not in roles:
        assert not allowed
    elif role in (Role.AGENT, Role.ADMIN) or not own or asked is None:
        assert allowed
    elif SCOPES.get(operation) is Scope.CENTRE:
        assert not allowed
    else:
        assert allowed == bool(set(own) & set(asked))


def test_every_operation_says_what_of_it_belongs_to_queues() -> None:
    """Cut by queue, about no queue, or of the whole centre and refused to supervisors of certain queues."""
    assert set(SCOPES) == set(PERMISSIONS)
    for one in OPERATIONS:
        named = {Scope.CALL: "{call_id}", Scope.AGENT: "{agent_id}", Scope.QUEUE: "{queue}", Scope.ALERT: "{alert}"}
        part = named.get(SCOPES[one.name])
        assert part is None or part in one.path, one.name


def test_of_every_act_it_is_said_how_what_it_changes_is_read() -> None:
    """A new changing operation has to stand in one of the three: read before and after, told by itself, or nothing to read."""
    by_name = {one.name: one for one in OPERATIONS}
    acts = {one.name for one in OPERATIONS if is_act(one.name, one.method)}
    assert acts == {*CHANGES, *TELLS, *PLAIN}
    assert not {*CHANGES} & TELLS
    assert not PLAIN & ({*CHANGES} | TELLS)
    parts = {name: set(re.findall(r"{(\w+)", one.path)) for name, one in by_name.items()}
    for name, change in CHANGES.items():
        if isinstance(change.of, Shown):
            shown = by_name[change.of.by]
            assert shown.method == "GET"
            assert parts[shown.name] <= parts[name], name
            assert change.of.row is None or change.of.row[1] in parts[name], name
        elif change.of is not None:
            assert "call_id" in parts[name]


def test_every_act_has_a_name_in_the_audit_log_in_both_languages() -> None:
    acts = {one.name for one in OPERATIONS if is_act(one.name, one.method)}
    for language in ("en", "zh"):
        words = Path(__file__).resolve().parents[3] / "cti" / "web" / "ui" / "src" / "i18n"
        text = "".join((words / f"{language}.{part}.ts").read_text("utf-8") for part in ("acts", "act_names"))
        assert acts <= set(re.findall(r"^ +(\w+): \"", text, re.MULTILINE)), language


def test_numbers_are_masked_and_long_values_cut() -> None:
    said = {
        "to": "+15550102345",
        "body": {"title": "x" * 400, "on": True, "none": None},
        "tags": ["a", "b"],
        "n": {"a": 1},
    }
    told = fields_of(said, ("to", "body.*", "tags", "n", "nowhere"))
    assert told["to"] == "+…45"
    assert told["title"] == "x" * 299 + "…"
    assert told == {"to": "+…45", "title": told["title"], "on": "true", "tags": "a; b", "n": '{"a":1}'}


async def test_what_was_before_and_is_now_stands_in_the_log(limited: Any) -> None:
    site = limited.site
    call = site.floor.calls[SALES_CALL]
    site.floor.calls[SALES_CALL] = replace(call, callback="waiting", attempt=1, caller_number="+15550102345")
    answer, _ = await site.ask("DELETE", f"/api/v1/callbacks/{SALES_CALL}", "supervisor")
    assert answer.status == 200
    (act,) = limited.journal.facts
    assert (act.act, act.subject) == ("callback_cancel", f"call:{SALES_CALL}")
    assert (dict(act.before), dict(act.after)) == (
        {"queue": "sales", "callback": "waiting", "attempt": "1"},
        {"callback": "cancelled"},
    )
    now = (await site.ask("GET", "/api/v1/config", "admin"))[1]
    answer, _ = await site.ask(
        "PUT",
        "/api/v1/config",
        "admin",
        json={"text": now["text"] + "\n# one more line\n"},
        headers={"If-Match": now["version"]},
    )
    assert answer.status == 200, await answer.text()
    applied = limited.journal.facts[-1]
    assert applied.act == "config_apply"
    assert dict(applied.before) == {"version": now["version"]}
    assert dict(applied.after)["version"] != now["version"]


def test_what_only_those_who_manage_may_change_is_an_act() -> None:
    for one in OPERATIONS:
        roles = PERMISSIONS[one.name]
        manages = roles is not None and Role.AGENT not in roles and one.method not in ("GET", "HEAD")
        if manages and one.name not in ASKING:
            assert is_act(one.name, one.method), one.name
    assert not is_act("config_check", "POST")
    assert not is_act("login", "POST")
    assert not is_act("calls", "GET")
