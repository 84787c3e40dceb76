"""Nothing of a centre is left out of what is written and compared."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from cti.calendar_forms import CalendarForm
from cti.centre_file import parse_centre
from cti.centre_forms import AgentForm, CentreForm, NumberForm, OutboundForm, QueueForm, ServiceForm, TierForm
from cti.ids import AgentId, FlowName, QueueName
from cti.model import centre_tables as t
from cti.model.calendar import Calendar
from cti.model.centre import Agent, Centre, HttpService, Number, Outbound, Queue, Tier
from cti.model.centre_changes import changes
from tests.unit.centre_forms_test import WHOLE, whole

NAMED = {
    "queues",
    "agents",
    "numbers",
    "tiers",
    "calendars",
    "services",
    "groups",
    "outbound",
    "presence",
    "supervision",
    "crm",
    "alerts",
}


@pytest.mark.parametrize(
    ("table", "form"),
    [
        (t.queue_table(Queue(name=QueueName("q"), titles={})), QueueForm),
        (t.agent_table(Agent(agent_id=AgentId("1001"), name="A", queues=())), AgentForm),
        (t.tier_table(Tier(name="vip")), TierForm),
        (t.number_table(Number(did="5000", flow=FlowName("f"), survival_queue=QueueName("q"))), NumberForm),
        (t.outbound_table(Outbound()), OutboundForm),
        (t.service_table(HttpService(name="s", url="http://x")), ServiceForm),
        (t.calendar_table(Calendar(name="c")), CalendarForm),
    ],
)
def test_a_table_has_every_key_of_its_form(table: dict[str, object], form: type) -> None:
    assert set(table) == set(form.model_fields) - {"holidays"}  # type: ignore[attr-defined]


def test_every_table_of_the_file_is_there() -> None:
    own = set(t.centre_table(whole()))
    assert own | NAMED == set(CentreForm.model_fields)
    assert own | NAMED - {"groups"} == {field.name for field in fields(Centre)}


def test_changes_in_plain_words() -> None:
    text = WHOLE
    for old, new in (
        ("max_wait: 600\n", "max_wait: 90.5\n"),
        ("callback: {first: agent, attempts", "callback: {attempts"),
        ("when_full: {queue: sales}", "when_full: voicemail"),
        ('    options: {"1": callback, "2": voicemail, "*": {queue: sales}}\n', ""),
        ("    count_menu: true\n", ""),
        ("not_ready_limits: {break: 900}\n", ""),
        ("  sales: {titles: {en: Sales}}\n", "  orders: {titles: {en: Orders}}\n"),
        ("name: Bo\n", "name: Bob\n"),
    ):
        assert old in text
        text = text.replace(old, new)
    after = parse_centre(text.replace("sales", "orders"), source="x")
    assert changes(whole(), after, waiting={QueueName("sales"): 3}, on_calls={AgentId("1001")}) == (
        "not_ready_limits break 900 s -> none",
        "queue orders is new",
        "queue support: count_menu yes -> no",
        "queue support: max_wait 600 s -> 90.5 s",
        "queue support: when_full queue sales -> voicemail",
        "queue support: overflow (to queue sales, after 120 s), (to voicemail, expected 300 s), (to hang_up, length 80)"
        " -> (to queue orders, after 120 s), (to voicemail, expected 300 s), (to hang_up, length 80)",
        "queue support: options 1 callback, 2 voicemail, * queue sales -> none",
        "queue support: callback.first agent -> customer",
        "queue sales goes: 3 callers wait in it and stay",
        "agent 1001: queues support, sales -> support, orders",
        "agent 1001: tiers support 1, sales 3 -> support 1, orders 3",
        "agent 1002: name Bo -> Bob",
    )


def test_days_are_told_one_by_one_and_many_in_short() -> None:
    office = whole().calendars["office"]
    other = Calendar(name="office", week=office.week, days={})
    lines = changes(whole(), replace(whole(), calendars={"office": other}))
    assert lines[0].startswith("calendar office: closed: no more: 2020-01-01, 2020-01-06, 2020-04-10 and ")
    assert lines[1] == "calendar office: special: no more: 2026-12-26, 2026-12-31"
