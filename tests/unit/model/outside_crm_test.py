"""Addresses of another system's pages, and its answers: what is taken and what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.ids import AgentId, CallId, NodeName, OfferId, QueueName
from cti.model import facts as f
from cti.model.crm_stories import Stories, message
from cti.model.outside_crm import (
    MOST_CUSTOMERS,
    PLACES,
    OddAnswer,
    customers_of,
    page_address,
    template_trouble,
)

TEMPLATE = "https://crm.example/find?" + "&".join(f"{name}={{{name}}}" for name in PLACES)


@given(st.dictionaries(st.sampled_from(PLACES), st.text(st.characters(exclude_categories=("Cs",)))))
def test_whatever_the_values_they_stay_values(values: dict[str, str]) -> None:
    parts = urlsplit(page_address(TEMPLATE, values))
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == ("https", "crm.example", "/find", "")
    assert parse_qs(parts.query, keep_blank_values=True) == {name: [values.get(name, "")] for name in PLACES}


def test_a_place_is_filled_once() -> None:
    assert page_address("http://c/{number}", {"number": "{call}", "call": "x"}) == "http://c/%7Bcall%7D"


@pytest.mark.parametrize(
    "template", ["http://crm:8080", "https://crm.example/{reference}", TEMPLATE, "https://[::1]/a#/{call}"]
)
def test_templates_that_are_fine(template: str) -> None:
    assert template_trouble(template) == ""


@pytest.mark.parametrize(
    "template",
    [
        "javascript:alert({number})", "//crm.example/{number}", "https://{number}.example/", "https://crm.example{number}/",
        "ftp://crm.example/", "https://crm.example/{nothing}", "https://crm.example/{number", "https://crm.example/}",
        "https://crm.example/ {number}", 'https://crm.example/"', "https://user@crm.example/", "data:text/html,x", "https://",
        "https://crm.example\\@evil/", "https://crm.example/\n",
    ],
)  # fmt: skip
def test_templates_that_are_not(template: str) -> None:
    assert template_trouble(template)


def test_a_whole_answer() -> None:
    (one,) = customers_of(
        {"customers": [{"reference": 17, "name": " Zoë ", "tier": "vip", "phones": ["+1 555"], "notes": "a\nb",
                        "url": "https://crm.example/c/17", "colour": {"any": "thing"}, "company": None}], "next": 2}
    )  # fmt: skip
    assert (one.reference, one.name, one.tier, one.phones, one.notes) == ("17", "Zoë", "vip", ("+1 555",), "a\nb")
    assert customers_of({"customers": []}) == ()


def test_many_are_cut_and_the_same_one_is_one() -> None:
    rows = [{"reference": f"r{number // 2}", "name": "x"} for number in range(100)]
    assert [one.reference for one in customers_of({"customers": rows})] == [f"r{n}" for n in range(MOST_CUSTOMERS // 2)]


GOOD = {"reference": "1", "name": "x"}


@pytest.mark.parametrize(
    "body",
    [
        None, [], "text", {}, {"customers": None}, {"customers": {}}, {"customers": [1]}, {"customers": [[]]},
        {"customers": [{"name": "x"}]}, {"customers": [{"reference": "1"}]}, {"customers": [{"reference": "", "name": "x"}]},
        *({"customers": [{**GOOD, **wrong}]} for wrong in (
            {"name": 1}, {"name": "x" * 201}, {"name": "a\nb"}, {"name": "\x00"}, {"name": "\ud800"}, {"reference": True},
            {"tier": "VIP!"}, {"tier": ["vip"]}, {"url": "javascript:alert(1)"}, {"url": "https://a b"}, {"url": 5},
            {"phones": "+1"}, {"phones": [1]}, {"phones": [""]}, {"phones": ["1"] * 21}, {"phones": ["1" * 41]},
            {"notes": "x" * 8001}, {"notes": "\x1b[31m"}, {"language": 3},
        )),
    ],
)  # fmt: skip
def test_odd_answers_are_refused_whole(body: Any) -> None:
    with pytest.raises(OddAnswer):
        customers_of(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("customers", "reference", "name", "phones", "url", "x")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_answer_is_taken_or_refused(body: Any) -> None:
    try:
        found = customers_of(body)
    except OddAnswer:
        return
    assert all(one.reference and one.name for one in found)


# ---- what is told of calls


AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
CALL, ADA, BO = CallId("n1-1.1"), AgentId("1001"), AgentId("1002")


def test_a_call_as_it_is_told() -> None:
    offer: dict[str, Any] = {"call_id": CALL, "offer_id": OfferId(1), "agent_id": ADA}
    facts: list[f.Fact] = [
        f.CallStarted(at=AT, call_id=CALL, node=NodeName("n1"), caller_number="+15550100001", did="5000"),
        f.CustomerMatched(at=AT, call_id=CALL, match=f.Match.FOUND, customer_id=7),
        f.CallQueued(at=AT, call_id=CALL, queue=QueueName("support")),
        f.OfferMade(at=AT, **offer, queue=QueueName("support"), device=f.Device.SIP, deadline=AT, others=(BO,)),
        f.OfferDeclined(at=AT, **{**offer, "agent_id": BO}, end=f.OfferEnd.REJECTED),
        f.OfferEnded(at=AT, **offer, end=f.OfferEnd.NO_ANSWER),
        f.OfferMade(at=AT, **offer, queue=QueueName("support"), device=f.Device.SIP, deadline=AT),
        f.OfferEnded(at=AT, **offer, end=f.OfferEnd.ANSWERED),
        f.CallAnswered(at=AT + timedelta(seconds=20), call_id=CALL, agent_id=ADA),
        f.CallEnded(at=AT + timedelta(seconds=80), call_id=CALL, hangup_by=f.HangupBy.CALLER),
        f.WrapUpEnded(at=AT + timedelta(seconds=90), call_id=CALL, agent_id=ADA, disposition="resolved", note="well"),
        f.AgentChanged(at=AT, agent_id=ADA, state=f.AgentState.READY),
    ]
    stories = Stories()
    told = [message(event, event_id="j-1", reference="C-7") for fact in facts if (event := stories.take(fact))]
    assert [(one["event"], one["agents"]) for one in told] == [
        ("offered", [ADA, BO]), ("missed", [BO]), ("missed", [ADA]), ("offered", [ADA]), ("answered", [ADA]), ("ended", [ADA]),
        ("wrapped_up", [ADA]),
    ]  # fmt: skip
    for one in told:
        assert (one["version"], one["call_id"], one["number"], one["queue"]) == (1, CALL, "+15550100001", "support")
        assert one["customer"] == {"id": 7, "reference": "C-7"}
    assert told[1]["reason"] == "rejected"
    assert (told[5]["answered"], told[5]["seconds"], told[5]["talk_seconds"]) == (True, 80.0, 60.0)
    assert (told[6]["disposition"], told[6]["note"]) == ("resolved", "well")
    assert stories._calls == {}


def test_an_unanswered_call_is_forgotten_at_its_end() -> None:
    stories = Stories()
    stories.take(f.CallStarted(at=AT, call_id=CALL, node=NodeName("n1")))
    event = stories.take(f.CallEnded(at=AT, call_id=CALL, hangup_by=f.HangupBy.CALLER))
    assert event is not None
    assert event.more["answered"] is False
    assert event.number == ""
    assert stories._calls == {}
