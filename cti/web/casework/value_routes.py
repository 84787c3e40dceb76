"""Tiers, early warning, rules, purchases, and the history that other programs may follow."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from aiohttp import hdrs, web
from pydantic import Field, ValidationError

from cti.casework.rows import BroughtIn, CaseEvent, ChurnRow, CustomerTier, NewTransaction, Rules, TierRun
from cti.ids import CustomerId
from cti.web.casework.asking import AWAY, Limit, Line, Moment, Number, Text, asker, rooms, telling
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Answer, Body, Operation, Params
from cti.web.wire import read_body, read_path, read_query, refuse_invalid, reply

MOST_ROWS = 5000
"""Purchases in one request."""
_FILE = 2 * 1024 * 1024
"""Bytes of purchases in one request."""
_CUSTOMER = "{customer_id:[0-9]+}"
_UNKNOWN = {404: "unknown_customer", **AWAY}


class RulesParams(Params):
    """Which rules."""

    kind: Literal["tiers", "complaints", "churn"]


class RulesBody(Body):
    """Rules to put in force; docs/casework.md describes them. `version`: of those they replace."""

    rules: dict[str, Any]
    version: Annotated[int, Field(ge=0, le=2**31 - 2)]
    note: Line = ""


class TiersNow(Answer):
    """The tiers of the centre, the rules, and what they came to last."""

    tiers: list[str]
    rules: Rules
    last_run: TierRun | None


class ComputeBody(Body):
    """`rules`: compute by these only to look at what would come of them; left out: by those in force, for good."""

    rules: dict[str, Any] | None = None


class CustomerParams(Params):
    """A customer."""

    customer_id: Number


class OverrideBody(Body):
    """Another tier than the computed one. `expires_at` null: until it is taken back."""

    tier: Annotated[Line, Field(min_length=1)]
    reason: Annotated[Line, Field(min_length=1)]
    expires_at: Moment | None = None


class TransactionItem(Body):
    """A purchase. The customer: our number, or the reference of the customer file."""

    at: Moment
    amount: Annotated[float, Field(ge=-1e11, le=1e11, allow_inf_nan=False)]
    customer_id: Number | None = None
    customer_reference: Line | None = None
    reference: Line | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{0,3}$")] = ""
    what: Line = ""


class TransactionsBody(Body):
    """Purchases; one whose reference is known already changes nothing."""

    transactions: Annotated[list[TransactionItem], Field(max_length=MOST_ROWS)]


class ChurnQuery(Params):
    """`handled`: only those about whom something was done since they are on the list, or nothing."""

    handled: bool | None = None
    limit: Limit = 100


class ChurnList(Answer):
    """Who may be about to leave, highest score first."""

    customers: list[ChurnRow]


class ChurnCount(Answer):
    """How many are on the list."""

    count: int


class ActionBody(Body):
    """What was done."""

    action: Literal["called", "offer", "visit", "no_risk", "other"]
    note: Text = ""


class EventsQuery(Params):
    """What happened after this event."""

    after: Annotated[int, Field(ge=0, le=2**62)] = 0
    limit: Limit = 100


class EventList(Answer):
    """In the order they happened."""

    events: list[CaseEvent]


@telling
async def rules(request: web.Request) -> web.Response:
    """The rules in force."""
    return reply(await rooms(request).rules.rules(read_path(request, RulesParams).kind))


@telling
async def set_rules(request: web.Request) -> web.Response:
    """Put rules in force."""
    kind, body = read_path(request, RulesParams).kind, await read_body(request, RulesBody, limit=256 * 1024)
    return reply(
        await rooms(request).rules.set_rules(
            kind, body.rules, by=asker(request).username, note=body.note, version=body.version
        )
    )


@telling
async def events(request: web.Request) -> web.Response:
    """What happened, in order."""
    query = read_query(request, EventsQuery)
    return reply({"events": await rooms(request).rules.events(after=query.after, limit=query.limit)})


@telling
async def tiers(request: web.Request) -> web.Response:
    """Tiers as they are."""
    found = rooms(request)
    return reply(
        {
            "tiers": list(request.app[DEPS].centre.tiers),
            "rules": await found.rules.rules("tiers"),
            "last_run": await found.tiers.last_run(),
        }
    )


@telling
async def compute(request: web.Request) -> web.Response:
    """Compute every tier now, or see what rules would do."""
    body = await read_body(request, ComputeBody)
    return reply(
        await rooms(request).tiers.compute(by=asker(request).username, body=body.rules, apply=body.rules is None)
    )


def _customer(request: web.Request) -> CustomerId:
    return CustomerId(read_path(request, CustomerParams).customer_id)


@telling
async def tier_of(request: web.Request) -> web.Response:
    """One customer's tier, and why."""
    return reply(await rooms(request).tiers.of(_customer(request)))


@telling
async def override(request: web.Request) -> web.Response:
    """Give a customer another tier."""
    customer, body = _customer(request), await read_body(request, OverrideBody)
    return reply(
        await rooms(request).tiers.override(
            customer, body.tier, reason=body.reason, by=asker(request).username, expires_at=body.expires_at
        )
    )


@telling
async def take_back(request: web.Request) -> web.Response:
    """End the override."""
    return reply(await rooms(request).tiers.take_back(_customer(request), by=asker(request).username))


@telling
async def bring_in(request: web.Request) -> web.Response:
    """Purchases, as JSON or as CSV with a heading."""
    if request.content_type == "text/csv":
        items = await _read_csv(request)
    else:
        items = (await read_body(request, TransactionsBody, limit=_FILE)).transactions
    for index, item in enumerate(items, start=1):
        if (item.customer_id is None) == (item.customer_reference is None):
            raise ApiError(
                400,
                "invalid_input",
                f"row {index}: name the customer by customer_id or by customer_reference",
                remedy="give one of the two",
            )
    rows = [NewTransaction(**item.model_dump()) for item in items]
    return reply(await rooms(request).tiers.bring_in(rows))


async def _read_csv(request: web.Request) -> list[TransactionItem]:
    try:
        text = (await request.clone(client_max_size=_FILE).read()).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(413, "too_large", "the file is too large", remedy="send it in parts of 2 MB") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ApiError(400, "bad_csv", f"this is no CSV in UTF-8: {error}", remedy="save it as CSV UTF-8") from None
    if len(rows) > MOST_ROWS:
        raise ApiError(413, "too_large", f"more than {MOST_ROWS} rows", remedy="send them in parts")
    items = []
    for index, row in enumerate(rows, start=1):
        given: Mapping[str, str] = {key: value for key, value in row.items() if key and value}
        try:
            items.append(TransactionItem.model_validate({**given, **_moment(given.get("at", ""))}))
        except ValidationError as error:
            raise refuse_invalid(error, f"row {index}") from None
    return items


def _moment(text: str) -> dict[str, datetime]:
    """A day without a time of day counts from its beginning, in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return {}
    return {"at": moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)}


@telling
async def churn(request: web.Request) -> web.Response:
    """Who may be about to leave."""
    query = read_query(request, ChurnQuery)
    return reply({"customers": await rooms(request).churn.list(handled=query.handled, limit=query.limit)})


@telling
async def churn_compute(request: web.Request) -> web.Response:
    """Compute the scores now."""
    return reply(ChurnCount(count=await rooms(request).churn.compute()))


@telling
async def churn_act(request: web.Request) -> web.Response:
    """Write down what was done."""
    customer, body = _customer(request), await read_body(request, ActionBody)
    return reply(await rooms(request).churn.act(customer, action=body.action, note=body.note, by=asker(request)))


OPERATIONS = (
    Operation(
        name="case_rules",
        method=hdrs.METH_GET,
        path="/api/v1/casework/rules/{kind}",
        handler=rules,
        summary="Rules of tiers, complaints or churn",
        params=RulesParams,
        answer=Rules,
        errors=AWAY,
    ),
    Operation(
        name="case_rules_set",
        method=hdrs.METH_POST,
        path="/api/v1/casework/rules/{kind}",
        handler=set_rules,
        summary="Put rules in force",
        params=RulesParams,
        body=RulesBody,
        body_limit=256 * 1024,
        answer=Rules,
        errors={409: "edit_conflict", **AWAY},
    ),
    Operation(
        name="case_events",
        method=hdrs.METH_GET,
        path="/api/v1/casework/events",
        handler=events,
        summary="What happened to complaints, follow-up calls, tasks and tiers, in order",
        query=EventsQuery,
        answer=EventList,
        errors=AWAY,
    ),
    Operation(
        name="tiers",
        method=hdrs.METH_GET,
        path="/api/v1/tiers",
        handler=tiers,
        summary="Tiers, their rules, and what they came to last",
        answer=TiersNow,
        errors=AWAY,
    ),
    Operation(
        name="tiers_compute",
        method=hdrs.METH_POST,
        path="/api/v1/tiers/compute",
        handler=compute,
        summary="Compute every tier now, or see what rules would do",
        body=ComputeBody,
        answer=TierRun,
        errors={409: "tiers_off", **AWAY},
    ),
    Operation(
        name="transactions",
        method=hdrs.METH_POST,
        path="/api/v1/tiers/transactions",
        handler=bring_in,
        summary="Bring purchases in, as JSON or as text/csv",
        body=TransactionsBody,
        body_limit=_FILE,
        files=("text/csv",),
        answer=BroughtIn,
        errors=AWAY,
    ),
    Operation(
        name="customer_tier",
        method=hdrs.METH_GET,
        path=f"/api/v1/tiers/customers/{_CUSTOMER}",
        handler=tier_of,
        summary="A customer's tier, and why",
        params=CustomerParams,
        answer=CustomerTier,
        errors=_UNKNOWN,
    ),
    Operation(
        name="customer_tier_override",
        method=hdrs.METH_POST,
        path=f"/api/v1/tiers/customers/{_CUSTOMER}/override",
        handler=override,
        summary="Give a customer another tier, with a reason and an end",
        params=CustomerParams,
        body=OverrideBody,
        answer=CustomerTier,
        errors=_UNKNOWN,
    ),
    Operation(
        name="customer_tier_take_back",
        method=hdrs.METH_POST,
        path=f"/api/v1/tiers/customers/{_CUSTOMER}/take-back",
        handler=take_back,
        summary="End the override",
        params=CustomerParams,
        answer=CustomerTier,
        errors={409: "no_override", **_UNKNOWN},
    ),
    Operation(
        name="churn",
        method=hdrs.METH_GET,
        path="/api/v1/churn",
        handler=churn,
        summary="Who may be about to leave, with reasons and what was done",
        query=ChurnQuery,
        answer=ChurnList,
        errors=AWAY,
    ),
    Operation(
        name="churn_compute",
        method=hdrs.METH_POST,
        path="/api/v1/churn/compute",
        handler=churn_compute,
        summary="Compute the scores now",
        answer=ChurnCount,
        errors=AWAY,
    ),
    Operation(
        name="churn_act",
        method=hdrs.METH_POST,
        path=f"/api/v1/churn/{_CUSTOMER}/actions",
        handler=churn_act,
        summary="Write down what was done about a warning",
        params=CustomerParams,
        body=ActionBody,
        answer=ChurnRow,
        errors={404: "not_on_the_list", **AWAY},
    ),
)
