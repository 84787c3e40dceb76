"""What fuzzing the decoders has found, each a case of its own."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError
from yarl import URL

from cti.asterisk.cel_facts import infer_facts
from cti.asterisk.cel_lines import read_ledger
from cti.clock import SystemClock
from cti.journal.codec import Opaque, decode, encode
from cti.model.facts import CallEnded
from cti.settings import Oidc
from cti.web.auth.provider import OidcProvider, ProviderAway, ProviderRefused, object_of
from cti.web.customers.schemas import ChangeBody
from cti.web.errors import ApiError, error_response
from cti.web.operations import Params
from cti.web.wire import encode as encode_answer
from cti.web.wire import read_query
from tests.support.ledger_lines import hangup, own


class Asked(Params):
    """One parameter."""

    limit: int = 1


@pytest.mark.parametrize("query", ["a\udced=1&a\udced=2", "a\udced=1"], ids=["twice", "unknown"])
def test_a_query_of_bytes_that_are_no_text_is_refused_with_an_answer_that_can_be_written(query: str) -> None:
    request = cast(Any, SimpleNamespace(query=URL("/x?" + query, encoded=True).query))
    with pytest.raises(ApiError) as refused:
        read_query(request, Asked)
    told = refused.value
    answer = error_response(told.status, told.error_id, told.message, told.remedy)
    assert answer.status == 400
    assert b"invalid_input" in cast(bytes, answer.body)


async def test_an_address_that_is_none_is_not_asked() -> None:
    provider = OidcProvider(Oidc(issuer="https://a.example", client_id="cti"), SystemClock())
    said = {"issuer": "https://a.example", "authorization_endpoint": "https://[[a/c"}

    async def answers(*_asked: object, **_more: object) -> tuple[int, dict[str, Any]]:
        return 200, said

    provider._ask = answers  # type: ignore[method-assign, assignment]
    with pytest.raises(ProviderAway, match="not to be used"):
        await provider._discover()


@pytest.mark.parametrize("moment", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), int("9" * 400), True])
def test_a_time_that_is_no_number_is_refused(moment: str, value: float) -> None:
    now = int(time.time())
    provider = OidcProvider(Oidc(issuer="https://a.example", client_id="cti"), SystemClock())
    claims = {"iss": "https://a.example", "aud": "cti", "iat": now, "exp": now + 9, "nonce": "n", "sub": "x"}
    provider._check(claims, "n")
    with pytest.raises(ProviderRefused, match="no time"):
        provider._check({**claims, moment: value}, "n")


def test_half_a_sign_is_no_nonce() -> None:
    now = int(time.time())
    provider = OidcProvider(Oidc(issuer="https://a.example", client_id="cti"), SystemClock())
    claims = {"iss": "https://a.example", "aud": "cti", "iat": now, "exp": now + 9, "nonce": "\ud800", "sub": "x"}
    with pytest.raises(ProviderRefused, match="another log-in"):
        provider._check(claims, "n")


def test_an_answer_nested_too_deeply_is_no_answer() -> None:
    with pytest.raises(ProviderAway):
        object_of(b"[" * 100_000)


def test_a_stored_time_that_is_no_time_elsewhere_is_kept_as_it_is() -> None:
    stored = b'{"fact":"TalkEnded","at":"0001-01-01T00:00:00+14:00","call_id":"a1-1.1","agent_id":"1001"}'
    assert isinstance(decode(stored), Opaque)
    assert not isinstance(decode(stored.replace(b"0001", b"2001")), Opaque)


def test_a_ledger_s_cause_beyond_all_numbers_makes_a_fact_that_can_be_kept() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    began = own("CTI_INBOUND", at, "a1-1.1", "PJSIP/trunk-1", "+15550001", "5000")
    ended = hangup(at, "a1-1.1", "PJSIP/trunk-1", source="dialplan/builtin").replace(":16", ":" + "9" * 400)
    facts = infer_facts(read_ledger((began + ended).encode()).events, {}, asterisk_started_at=at)
    assert all(encode(fact) for fact in facts)
    assert any(isinstance(fact, CallEnded) and fact.cause == 16 for fact in facts)


def test_a_number_beyond_all_ids_is_refused_and_one_in_a_field_can_be_written() -> None:
    with pytest.raises(ValidationError, match="company_id"):
        ChangeBody.model_validate({"version": 1, "company_id": 2**64})
    body = ChangeBody.model_validate({"version": 1, "fields": {"size": 10**30, "small": 3}})
    assert body.fields == {"size": 1e30, "small": 3}
    assert encode_answer(body)
