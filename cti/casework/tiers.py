"""Which tier a customer belongs to, by what they bought: ABC by value, a pyramid, or RFM with thresholds.

- `abc`: customers in the order of their value, highest first. A customer whose predecessors together bring less than the
  tier's `share` of all value belongs to it: with `share` 0.5 for "vip", the customers who bring the first half are vip.
  Whoever crosses the border is still above it, so the first customer always is in the first tier.
- `pyramid`: the first `percent` of the customers, or the first `count` of them, counted from the top.
- `rfm`: each of recency, frequency and money is worth 1 to 5 points by four thresholds; a tier asks for a sum of points,
  and may ask for points of each.

Only customers with a purchase in the window are ranked; the rest get `otherwise`, or keep what they have where `rest` is
"keep". Equal values get equal tiers: a tie never depends on the order of rows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal, cast

from cti.casework.reading import Fields, RuleProblem, RulesInvalid
from cti.ids import CustomerId

Method = Literal["abc", "pyramid", "rfm"]
Value = Literal["spend", "orders", "calls"]

POINTS = 5
"""The most that each of recency, frequency and money is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierStep:
    """One tier of the rules, best first. Of the limits only those of the method are set."""

    tier: str
    share: float | None = None
    """abc: cumulative share of all value, above 0 to 1."""
    percent: float | None = None
    """pyramid: cumulative percent of the customers, above 0 to 100."""
    count: int | None = None
    """pyramid: how many customers, cumulative."""
    points: int | None = None
    """rfm: sum of points, 3-15."""
    recency: int = 1
    frequency: int = 1
    money: int = 1
    """rfm: points of each at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierRules:
    """How tiers are computed."""

    enabled: bool = False
    """Whether they are at all; until then tiers are what was entered or imported."""
    method: Method = "abc"
    window: timedelta = timedelta(days=365)
    """How far back purchases (and calls) count."""
    value: Value = "spend"
    """What abc and pyramid order by."""
    steps: tuple[TierStep, ...] = (
        TierStep(tier="vip", share=0.5),
        TierStep(tier="gold", share=0.8),
        TierStep(tier="silver", share=0.95),
    )
    otherwise: str = "regular"
    rest: Literal["keep", "otherwise"] = "keep"
    """What becomes of customers without a purchase in the window."""
    recency_days: tuple[float, ...] = (30, 90, 180, 270)
    """rfm: bought within so many days: 5, 4, 3, 2 points; longer ago: 1."""
    frequency: tuple[float, ...] = (2, 4, 8, 12)
    """rfm: so many orders: 2, 3, 4, 5 points; fewer: 1."""
    money: tuple[float, ...] = (100, 500, 2000, 5000)
    """rfm: spent so much: 2, 3, 4, 5 points; less: 1."""

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers these rules can give, best first."""
        return (*(step.tier for step in self.steps), self.otherwise)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one customer did in the window. `spent` is net of refunds."""

    customer_id: CustomerId
    orders: int = 0
    spent: float = 0.0
    last_at: datetime | None = None
    """Of the latest purchase."""
    calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TierWhy:
    """The figures a tier follows from; what does not apply to the method is None."""

    method: Method
    window_days: int
    orders: int
    spent: float
    calls: int
    value: Value | None = None
    rank: int | None = None
    """From 1; equals share the first place among them."""
    of: int | None = None
    """Customers who were ranked."""
    share_above: float | None = None
    """abc: what share of all value those before bring."""
    recency: int | None = None
    frequency: int | None = None
    money: int | None = None
    days_since: int | None = None

    def plain(self) -> dict[str, Any]:
        """For JSON; what does not apply is left out."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """The tier a customer belongs to, and why."""

    customer_id: CustomerId
    tier: str
    why: TierWhy


def assign(rules: TierRules, customers: Sequence[Figures], now: datetime) -> list[Assigned]:
    """The tier of each of `customers`, all of them with a purchase (or call) in the window, in the order given."""
    if rules.method == "rfm":
        return [_by_points(rules, one, now) for one in customers]
    return _by_rank(rules, customers)


def worth(figures: Figures, value: Value) -> float:
    """What the customer is ordered by; never below zero."""
    if value == "spend":
        return max(0.0, figures.spent)
    return float(figures.orders if value == "orders" else figures.calls)


def _by_rank(rules: TierRules, customers: Sequence[Figures]) -> list[Assigned]:
    values = sorted((worth(one, rules.value) for one in customers), reverse=True)
    total = sum(values)
    place: dict[float, tuple[int, float]] = {}
    above = 0.0
    for index, value in enumerate(values):
        if value not in place:
            place[value] = (index + 1, above / total if total > 0 else 0.0)
        above += value
    found = []
    for one in customers:
        rank, share = place[worth(one, rules.value)]
        tier = next(
            (step.tier for step in rules.steps if _is_within(step, rank, share, len(customers))), rules.otherwise
        )
        # Who brings nothing is in no better tier, however few bring more.
        if worth(one, rules.value) <= 0:
            tier = rules.otherwise
        why = TierWhy(
            method=rules.method,
            window_days=rules.window.days,
            orders=one.orders,
            spent=round(one.spent, 2),
            calls=one.calls,
            value=rules.value,
            rank=rank,
            of=len(customers),
            share_above=round(share, 4) if rules.method == "abc" else None,
        )
        found.append(Assigned(customer_id=one.customer_id, tier=tier, why=why))
    return found


def _is_within(step: TierStep, rank: int, share: float, of: int) -> bool:
    if step.share is not None:
        return share < step.share
    if step.percent is not None:
        return (rank - 1) * 100 < step.percent * of
    return step.count is not None and rank <= step.count


def points(rules: TierRules, figures: Figures, now: datetime) -> tuple[int, int, int]:
    """Recency, frequency and money, 1-5 each."""
    recency = 1
    if figures.last_at is not None:
        days = (now - figures.last_at).total_seconds() / 86400
        recency = POINTS - bisect_left(rules.recency_days, days)
    return (
        recency,
        1 + bisect_right(rules.frequency, figures.orders),
        1 + bisect_right(rules.money, figures.spent),
    )


def _by_points(rules: TierRules, one: Figures, now: datetime) -> Assigned:
    recency, frequency, money = points(rules, one, now)
    tier = next(
        (
            step.tier
            for step in rules.steps
            if recency + frequency + money >= (step.points or 0)
            and recency >= step.recency
            and frequency >= step.frequency
            and money >= step.money
        ),
        rules.otherwise,
    )
    why = TierWhy(
        method="rfm",
        window_days=rules.window.days,
        orders=one.orders,
        spent=round(one.spent, 2),
        calls=one.calls,
        recency=recency,
        frequency=frequency,
        money=money,
        days_since=max(0, (now - one.last_at).days) if one.last_at is not None else None,
    )
    return Assigned(customer_id=one.customer_id, tier=tier, why=why)


# -- in words ----------------------------------------------------------------------------------------------------------


def explain(tier: str, why: Mapping[str, Any], language: str) -> str:
    """Why somebody is in this tier, in one line: "gold: 14 orders / 12,300 in 12 months: in the top 20 %"."""
    chinese = language.startswith("zh")
    if not why:
        return f"{tier}：人工录入或导入" if chinese else f"{tier}: as entered or imported"
    months = max(1, round(int(why.get("window_days", 365)) / 30.4))
    orders, spent, calls = int(why.get("orders", 0)), float(why.get("spent", 0)), int(why.get("calls", 0))
    amount = f"{spent:,.0f}"
    if chinese:
        bought = f"{months} 个月内 {orders} 单 / {amount}" + (
            f" / {calls} 通来电" if why.get("value") == "calls" else ""
        )
    else:
        noun = "order" if orders == 1 else "orders"
        bought = f"{orders} {noun} / {amount}" + (f" / {calls} calls" if why.get("value") == "calls" else "")
        bought += f" in {months} month" + ("" if months == 1 else "s")
    if why.get("method") == "rfm":
        r, f, m = (int(why.get(name, 1)) for name in ("recency", "frequency", "money"))
        tail = f"R{r} F{f} M{m}, {r + f + m} 分" if chinese else f"R{r} F{f} M{m}, {r + f + m} points"
    else:
        rank, of = int(why.get("rank", 1)), max(1, int(why.get("of", 1)))
        percent = max(1, -(-100 * rank // of))
        tail = f"位于前 {percent} %" if chinese else f"in the top {percent} %"
    return f"{tier}：{bought}，{tail}" if chinese else f"{tier}: {bought}: {tail}"


# -- reading -----------------------------------------------------------------------------------------------------------


def read_rules(plain: object, known_tiers: Collection[str]) -> TierRules:
    """The rules as `docs/casework.md` describes them. Raises `RulesInvalid` with every problem."""
    problems: list[RuleProblem] = []
    at = Fields(plain, problems)
    usual = TierRules()
    method = cast(Method, at.choice("method", ("abc", "pyramid", "rfm"), "abc"))
    steps = tuple(_read_step(item, method, known_tiers) for item in at.objects("tiers"))
    otherwise = at.choice("otherwise", tuple(known_tiers), usual.otherwise if "regular" in known_tiers else None)
    if not steps:
        at.wrong("tiers", "at least one tier is needed, best first")
    names = [step.tier for step in steps]
    for index, name in enumerate(names):
        if name in names[:index] or name == otherwise:
            at.wrong(f"tiers[{index}].tier", f"{name!r} is there twice")
    limits = [step.share or step.percent or step.count or 0 for step in steps]
    kinds = {step.percent is not None for step in steps}
    if method == "pyramid" and len(kinds) > 1:
        at.wrong("tiers", "give every tier a percent, or every tier a count")
    elif method != "rfm" and any(later <= sooner for sooner, later in pairwise(limits)):
        at.wrong("tiers", "limits are cumulative: each must be above the one before")
    asked = [(step.points or 0) for step in steps]
    if method == "rfm" and any(later > sooner for sooner, later in pairwise(asked)):
        at.wrong("tiers", "points must not rise from a tier to the next: the best is first")
    rules = TierRules(
        enabled=at.flag("enabled", usual.enabled),
        method=method,
        window=timedelta(days=at.whole("window_days", usual.window.days, least=1, most=3660)),
        value=cast(Value, at.choice("value", ("spend", "orders", "calls"), usual.value)),
        steps=steps,
        otherwise=otherwise,
        rest=cast(Literal["keep", "otherwise"], at.choice("rest", ("keep", "otherwise"), usual.rest)),
        **{
            key: _rising(at, key) if at.has(key) else getattr(usual, key)
            for key in ("recency_days", "frequency", "money")
        },
    )
    at.done()
    if problems:
        raise RulesInvalid(problems)
    return rules


def _rising(at: Fields, key: str) -> tuple[float, ...]:
    values = at.numbers(key, count=POINTS - 1)
    if any(later <= sooner for sooner, later in pairwise(values)):
        at.wrong(key, "thresholds must rise")
    return values


def _read_step(at: Fields, method: Method, known_tiers: Collection[str]) -> TierStep:
    tier = at.choice("tier", tuple(known_tiers))
    if method == "abc":
        step = TierStep(tier=tier, share=at.number("share", least=0.0001, most=1.0))
    elif method == "rfm":
        step = TierStep(
            tier=tier,
            points=at.whole("points", least=3, most=3 * POINTS),
            **{name: at.whole(name, 1, least=1, most=POINTS) for name in ("recency", "frequency", "money")},
        )
    elif at.has("count"):
        step = TierStep(tier=tier, count=at.whole("count", least=1))
    else:
        step = TierStep(tier=tier, percent=at.number("percent", least=0.0001, most=100.0))
    at.done()
    return step


def plain(rules: TierRules) -> dict[str, Any]:
    """The rules as JSON: `read_rules` reads it again."""
    limits = {
        "abc": ("share",),
        "pyramid": ("percent", "count"),
        "rfm": ("points", "recency", "frequency", "money"),
    }[rules.method]
    return {
        "enabled": rules.enabled,
        "method": rules.method,
        "window_days": rules.window.days,
        "value": rules.value,
        "tiers": [
            {"tier": step.tier, **{key: getattr(step, key) for key in limits if getattr(step, key) is not None}}
            for step in rules.steps
        ],
        "otherwise": rules.otherwise,
        "rest": rules.rest,
        "recency_days": list(rules.recency_days),
        "frequency": list(rules.frequency),
        "money": list(rules.money),
    }
