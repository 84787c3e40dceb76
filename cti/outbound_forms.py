"""What centre.yaml says about dialling out, as forms: the list of what may be dialled, prices, caps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from cti.form_types import Extension, Form, Name
from cti.model.centre import Outbound
from cti.model.tolls import MILLION, Beyond, Caps, Limit, Price, Scope, TollRules, Unknown, Who

Prefix = Annotated[str, StringConstraints(pattern=r"^\+[0-9]{1,15}$")]
Money = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=6)]
SHOWN = r"^\+[0-9]{7,15}$"


class PriceForm(Form):
    """What numbers that begin so cost."""

    per_minute: Money
    connection: Money = Decimal(0)
    unit: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,3}/[1-9][0-9]{0,3}$")] = "60/60"


class CapForm(Form):
    """How much one may use."""

    dials_an_hour: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    minutes_a_day: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    cost_an_hour: Money | None = None
    cost_a_day: Money | None = None


class CapsForm(Form):
    """Who may use how much."""

    centre: CapForm = CapForm()
    each_queue: CapForm = CapForm()
    queues: dict[Name, CapForm] = {}
    each_agent: CapForm = CapForm()
    agents: dict[Extension, CapForm] = {}
    each_supervisor: CapForm = CapForm()
    supervisors: dict[Name, CapForm] = {}

    def all(self) -> Iterator[CapForm]:
        """Every cap."""
        yield from (self.centre, self.each_queue, self.each_agent, self.each_supervisor)
        for named in (self.queues, self.agents, self.supervisors):
            yield from named.values()


class OutboundForm(Form):
    """What may be dialled over the trunk."""

    allow: list[Prefix] = []
    caller_id: Annotated[str, StringConstraints(pattern=r"^(\+[0-9]{7,15})?$")] = ""
    caller_ids: list[Annotated[str, StringConstraints(pattern=SHOWN)]] = []
    most_at_once: Annotated[int, Field(ge=1, le=1000)] = 10
    currency: Annotated[str, StringConstraints(pattern=r"^([A-Z]{3})?$")] = ""
    prices: dict[Prefix, PriceForm] = {}
    unknown: Unknown = Unknown.DEAREST
    caps: CapsForm = CapsForm()
    when_reached: Beyond = Beyond.WARN

    @model_validator(mode="after")
    def _money_is_told(self) -> OutboundForm:
        if self.prices and not self.currency:
            raise ValueError("prices need a currency, as in EUR")
        costs = any(one.cost_an_hour is not None or one.cost_a_day is not None for one in self.caps.all())
        if costs and not self.prices:
            raise ValueError("a cap of what may be spent needs prices")
        return self


def _millionths(money: Decimal) -> int:
    return int(money * MILLION)


def _price(form: PriceForm) -> Price:
    first, then = (int(part) for part in form.unit.split("/"))
    return Price(
        per_minute=_millionths(form.per_minute), connection=_millionths(form.connection), first=first, then=then
    )


def _cap(form: CapForm) -> Caps:
    told = {
        Limit.DIALS: form.dials_an_hour,
        Limit.MINUTES: form.minutes_a_day,
        Limit.COST_HOUR: None if form.cost_an_hour is None else _millionths(form.cost_an_hour),
        Limit.COST_DAY: None if form.cost_a_day is None else _millionths(form.cost_a_day),
    }
    return {limit: cap for limit, cap in told.items() if cap is not None}


def _caps(form: CapsForm) -> Mapping[Who, Caps]:
    named = ((Scope.QUEUE, form.queues), (Scope.AGENT, form.agents), (Scope.SUPERVISOR, form.supervisors))
    caps: dict[Who, Caps] = {(Scope.CENTRE, ""): _cap(form.centre)}
    for scope, those in named:
        for name, one in those.items():
            caps[scope, name] = _cap(one)
    return {who: cap for who, cap in caps.items() if cap}


def outbound_of(o: OutboundForm) -> Outbound:
    """The rules of dialling out a form tells of."""
    each = {
        Scope.QUEUE: _cap(o.caps.each_queue),
        Scope.AGENT: _cap(o.caps.each_agent),
        Scope.SUPERVISOR: _cap(o.caps.each_supervisor),
    }
    return Outbound(
        allow=tuple(o.allow),
        caller_id=o.caller_id,
        caller_ids=tuple(o.caller_ids),
        most_at_once=o.most_at_once,
        tolls=TollRules(
            currency=o.currency,
            prices={prefix: _price(price) for prefix, price in o.prices.items()},
            unknown=o.unknown,
            caps=_caps(o.caps),
            each={scope: caps for scope, caps in each.items() if caps},
            beyond=o.when_reached,
        ),
    )
