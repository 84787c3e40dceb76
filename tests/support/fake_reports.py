"""A believable half year of a contact centre in memory: `cti.services.reporting.Reports` over invented stays, talks and times.

Every figure is a sum over rows, as in the product, so parts add up; but the rows are invented here and the sums are made
in the plainest way there is. For pages and what is made of reports; the real figures have tests of their own.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cti.errors import RemoteError
from cti.ids import CallId
from cti.model.centre import Centre
from cti.reports.metric import Dimension, Grain, Metric
from cti.reports.metrics import DEFINITION_VERSION, METRICS
from cti.services.reporting import (
    CallsQuery,
    Compare,
    CountedCall,
    CountedCalls,
    Figure,
    Filters,
    Funnel,
    FunnelStep,
    Part,
    Report,
    ReportQuery,
    ReportRow,
    Spread,
    SpreadAnswer,
    SpreadBin,
)

PROFILE = {
    8: 0.45, 9: 1.0, 10: 1.25, 11: 1.2, 12: 0.8, 13: 0.95, 14: 1.15, 15: 1.1, 16: 0.95, 17: 0.6, 18: 0.25,
}  # fmt: skip
WEEK = (1.25, 1.1, 1.0, 0.95, 0.9, 0.3, 0.0)
TIERS = ("gold", "silver", "standard", "standard", "standard", None)
DIDS = ("5000", "5000", "5001")


@dataclass(slots=True)
class Counted:
    """One thing counted."""

    grain: Grain
    at: datetime
    keys: dict[Dimension, str | None]
    amounts: dict[str, float]
    call: str = ""
    wait: float = 0.0
    talk: float = 0.0
    handle: float = 0.0
    row: dict[str, Any] = field(default_factory=dict)


class FakeReports:
    """`rows` are all there are; `away` makes every question fail."""

    def __init__(self, centre: Centre, now: datetime, *, days: int = 90, busy: float = 22.0, seed: int = 4) -> None:
        self.centre = centre
        self.now = now
        self.zone = ZoneInfo(centre.time_zone)
        self.away = False
        self.asked: list[Any] = []
        self.rows: list[Counted] = []
        self._chance = random.Random(seed)
        today = now.astimezone(self.zone).date()
        for back in range(days, -1, -1):
            self._day(today - timedelta(days=back), busy)
        self.rows = [one for one in self.rows if one.at <= now]
        self.by_grain = defaultdict(list)
        for one in self.rows:
            self.by_grain[one.grain].append(one)

    # -- invention

    def _day(self, day: date, busy: float) -> None:
        chance = self._chance
        factor = WEEK[day.weekday()] * chance.gauss(1.0, 0.08) * (1 + 0.1 * math.sin(day.toordinal() / 17))
        if factor <= 0:
            return
        bad = chance.random() < 0.12  # a day on which somebody was missing
        agents = list(self.centre.agents.values())
        for hour, share in PROFILE.items():
            for half in (0, 30):
                start = datetime.combine(day, time(hour, half), tzinfo=self.zone).astimezone(UTC)
                load = share * factor
                strain = (
                    load * (1.5 if bad else 1.0) * (1.15 if hour in (10, 11) else 0.8 if hour in (8, 17, 18) else 1.0)
                )
                calls = max(0, round(chance.gauss(busy * load, math.sqrt(busy * load))))
                for _ in range(calls):
                    self._call(start + timedelta(seconds=chance.random() * 1800), strain)
                present = agents if share >= 1 else agents[: max(2, round(len(agents) * (0.4 + 0.5 * share)))]
                for agent in present if not bad else present[1:]:
                    busy_share = min(0.93, chance.gauss(0.62 * strain / 1.1 + 0.1, 0.06))
                    staffed = 1_800_000 * (0.92 if hour != 12 else 0.6)
                    keys = {
                        Dimension.AGENT: str(agent.agent_id),
                        Dimension.TEAM: "day",
                        Dimension.STATE: None,
                        Dimension.REASON: None,
                    }
                    self.rows.append(
                        Counted(
                            grain=Grain.TIMES, at=start, keys=keys,
                            amounts={
                                "busy_ms": staffed * busy_share, "ready_ms": staffed * (1 - busy_share), "staffed_ms": staffed,
                                "signed_in_ms": 1_800_000, "not_ready_ms": 1_800_000 - staffed, "ms": 1_800_000,
                            },
                        )
                    )  # fmt: skip

    def _call(self, at: datetime, strain: float) -> None:
        chance = self._chance
        call = f"a1-{at.timestamp():.2f}"
        did = chance.choice(DIDS)
        keys: dict[Dimension, str | None] = {
            Dimension.DID: did, Dimension.TIER: chance.choice(TIERS), Dimension.DIRECTION: "inbound",
            Dimension.FLOW_VERSION: "main@3", Dimension.QUEUE: None, Dimension.AGENT: None, Dimension.TEAM: None,
            Dimension.OUTCOME: "self_served",
        }  # fmt: skip
        amounts: dict[str, float] = {"calls": 1, "inbound": 1}
        number = f"+1555{int(at.timestamp()) % 10_000_000:07}"
        row: dict[str, Any] = {
            "caller_number": number,
            "did": did,
            "tier": keys[Dimension.TIER],
            "wait_seconds": None,
            "talk_seconds": None,
        }
        if chance.random() < 0.14:
            amounts["self_served"] = 1
        elif chance.random() < 0.05:
            amounts["menu_hang_ups"] = 1
            keys[Dimension.OUTCOME] = "abandoned"
        else:
            self._stay(call, at, strain, keys, amounts, row)
        self.rows.append(Counted(grain=Grain.CALLS, at=at, keys=keys, amounts=amounts, call=call, row=row))
        if chance.random() < 0.012:
            self.rows.append(
                Counted(
                    grain=Grain.COMPLAINTS,
                    at=at,
                    keys={Dimension.QUEUE: keys[Dimension.QUEUE]},
                    amounts={"complaints": 1},
                )
            )

    def _stay(self, call: str, at: datetime, strain: float, keys: dict, amounts: dict, row: dict) -> None:  # type: ignore[type-arg]
        chance = self._chance
        queues = list(self.centre.queues.values())
        queue = chance.choices(queues, [3, 2, 1][: len(queues)])[0]
        keys[Dimension.QUEUE] = str(queue.name)
        pressure = min(0.97, 0.1 + 0.36 * strain)
        wait = (
            2 + chance.random() * 3
            if chance.random() > pressure * 0.75
            else chance.expovariate(1 / (12 + 16 * strain**3))
        )
        patience = chance.expovariate(1 / 190)
        level = queue.service_level.total_seconds()
        visit: dict[str, float] = {"offered": 1}
        amounts["wanted"] = amounts["repeatable"] = 1
        amounts["repeats"] = float(chance.random() < 0.11)
        if patience < wait:
            short = patience <= queue.short_abandon.total_seconds()
            keys[Dimension.OUTCOME] = "short_abandon" if short else "abandoned"
            row.update(wait_seconds=patience)
            visit |= (
                {"short_abandoned": 1}
                if short
                else {"abandoned": 1, "decided": 1, "abandon_wait_ms": patience * 1000, "level_base": 1}
            )
            if not short and chance.random() < 0.3:
                kept = float(chance.random() < 0.9)
                amounts |= {
                    "callbacks_promised": 1,
                    "callbacks_kept": kept,
                    "callbacks_late": kept * float(chance.random() < 0.12),
                }
        else:
            serving = [one for one in self.centre.agents.values() if queue.name in one.queues]
            agent = chance.choice(serving or list(self.centre.agents.values()))
            keys |= {Dimension.OUTCOME: "answered", Dimension.AGENT: str(agent.agent_id), Dimension.TEAM: "day"}
            talk, hold, wrap = chance.lognormvariate(5.0, 0.55), chance.random() * 30, chance.expovariate(1 / 35)
            row.update(wait_seconds=wait, talk_seconds=talk)
            visit |= {
                "answered": 1, "decided": 1, "level_base": 1, "in_time": float(wait <= level), "answer_wait_ms": wait * 1000, "promises": 1,
                "promise_error_ms": abs(chance.gauss(0, wait * 300)), "promise_inside": float(chance.random() < 0.81),
            }  # fmt: skip
            sent_on = float(chance.random() < 0.09)
            amounts |= {
                "reached": 1, "answered_calls": 1, "recorded": 1, "transferred": sent_on, "resolvable": 1,
                "resolved": float(chance.random() < 0.78) * (1 - sent_on),
            }  # fmt: skip
            self.rows.append(
                Counted(
                    grain=Grain.TALKS, at=at + timedelta(seconds=wait), keys=dict(keys), call=call, talk=talk, handle=talk + hold + wrap, row=row,
                    amounts={
                        "handled": 1, "talk_ms": talk * 1000, "hold_ms": hold * 1000, "wrap_ms": wrap * 1000,
                        "handle_ms": (talk + hold + wrap) * 1000, "transfers_out": sent_on, "consults": 0, "conferences": 0,
                    },
                )
            )  # fmt: skip
            if chance.random() < 0.3:
                score = min(5, max(1, round(chance.gauss(4.5 - wait / 150, 0.8))))
                rated = {
                    "answers": 1,
                    "ratings": 1,
                    "rating_sum": score,
                    "satisfied": float(score >= 4),
                    "nps_answers": 1,
                }
                rated["nps_net"] = 1 if score == 5 else -1 if score <= 3 else 0
                self.rows.append(
                    Counted(
                        grain=Grain.ANSWERS,
                        at=at + timedelta(minutes=5),
                        keys=dict(keys),
                        call=call,
                        amounts=rated,
                        row=row,
                    )
                )
        self.rows.append(
            Counted(
                grain=Grain.VISITS, at=at, keys=dict(keys), amounts=visit, call=call, wait=min(wait, patience), row=row
            )
        )

    # -- answers

    def _chosen(self, grain: Grain, since: datetime, until: datetime, filters: Filters) -> Iterable[Counted]:
        for one in self.by_grain[grain]:
            if since <= one.at < until and all(
                self._key(one, dimension) in values for dimension, values in filters.items()
            ):
                yield one

    def _key(self, one: Counted, dimension: Dimension) -> str | None:
        if dimension in one.keys:
            return one.keys[dimension]
        local = one.at.astimezone(self.zone)
        match dimension:
            case Dimension.HALF_HOUR:
                return local.replace(minute=local.minute // 30 * 30, second=0, microsecond=0).isoformat()
            case Dimension.HOUR:
                return local.replace(minute=0, second=0, microsecond=0).isoformat()
            case Dimension.DAY:
                return local.date().isoformat()
            case Dimension.WEEK:
                return f"{local:%G}-W{local:%V}"
            case Dimension.MONTH:
                return f"{local:%Y-%m}"
            case Dimension.WEEKDAY_HOUR:
                return f"{local.isoweekday()}-{local:%H}"
            case _:
                return None

    def _sums(
        self, query: ReportQuery, since: datetime, until: datetime
    ) -> dict[tuple[str | None, ...], dict[str, tuple[float, float]]]:
        parts: dict[tuple[str | None, ...], dict[str, tuple[float, float]]] = defaultdict(dict)
        for name in query.metrics:
            metric = METRICS[name]
            asked = {*query.by, *query.filters}
            if not asked <= metric.dimensions:
                continue
            for amount, place in ((metric.amount, 0), (metric.over, 1)):
                if amount is None:
                    continue
                for one in self._chosen(amount.grain, since, until, query.filters):
                    if not (gives := one.amounts.get(amount.name, 0)):
                        continue
                    for key in {(), tuple(self._key(one, dimension) for dimension in query.by)}:
                        old = parts[key].get(name, (0.0, 0.0))
                        parts[key][name] = (old[0] + gives, old[1]) if place == 0 else (old[0], old[1] + gives)
        return parts

    def _figures(self, query: ReportQuery, sums: Mapping[str, tuple[float, float]]) -> dict[str, Figure]:
        out = {}
        for name in query.metrics:
            metric: Metric = METRICS[name]
            total, base = sums.get(name, (0.0, 0.0))
            if not {*query.by, *query.filters} <= metric.dimensions:
                out[name] = Figure(value=None, n=0)
                continue
            value = metric.value(round(total), round(base) if metric.over else None)
            out[name] = Figure(value=value, n=round(base if metric.over else total))
        return out

    def _there(self) -> None:
        if self.away:
            raise RemoteError("figures cannot be read: the database went away", remedy="see that PostgreSQL runs")

    async def query(self, query: ReportQuery) -> Report:
        self._there()
        self.asked.append(query)
        parts = self._sums(query, query.since, query.until)
        before: dict[tuple[str | None, ...], dict[str, tuple[float, float]]] = {}
        since_before = until_before = None
        back = timedelta()
        if query.compare is not None:
            back = timedelta(days=7) if query.compare is Compare.WEEK_BEFORE else query.until - query.since
            since_before, until_before = query.since - back, query.until - back
            earlier = self._sums(query, since_before, until_before)
            before = {
                tuple(self._moved(d, k, back) for d, k in zip(query.by, key, strict=False)): sums
                for key, sums in earlier.items()
            }
        order = [dimension.value for dimension in query.by]
        rows = [
            ReportRow(
                keys=dict(zip(order, key, strict=True)),
                figures=self._figures(query, parts.get(key, {})),
                before=self._figures(query, before.get(key, {})) if query.compare else None,
            )
            for key in sorted((key for key in parts if key), key=lambda key: tuple(part or "" for part in key))
        ]
        return Report(
            definition_version=DEFINITION_VERSION,
            zone=self.centre.time_zone,
            since=query.since,
            until=query.until,
            rows=tuple(rows) if query.by else (),
            totals=self._figures(query, parts.get((), {})),
            totals_before=self._figures(query, before.get((), {})) if query.compare else None,
            since_before=since_before,
            until_before=until_before,
            unfinished=query.until > self.now,
        )

    def _moved(self, dimension: Dimension, key: str | None, back: timedelta) -> str | None:
        """The key of the same place in the time that is asked for."""
        if key is None:
            return None
        if dimension in (Dimension.HALF_HOUR, Dimension.HOUR):
            local = datetime.fromisoformat(key).replace(tzinfo=None) + back
            return local.replace(tzinfo=self.zone).isoformat()
        if dimension is Dimension.DAY:
            return (date.fromisoformat(key) + back).isoformat()
        return key

    async def calls(self, query: CallsQuery) -> CountedCalls:
        self._there()
        metric = METRICS[query.metric]
        amount = metric.amount if query.part is Part.COUNTED or metric.over is None else metric.over
        found = [
            one
            for one in self._chosen(amount.grain, query.since, query.until, query.filters)
            if one.amounts.get(amount.name, 0)
        ]
        found.sort(key=lambda one: (one.at, one.call))
        scale = 1000.0 if amount.name.endswith("_ms") else 1.0
        first = int(query.after or "0")
        page = found[first : first + query.limit]
        return CountedCalls(
            calls=tuple(
                CountedCall(
                    call_id=CallId(one.call), at=one.at, queue=one.keys.get(Dimension.QUEUE), agent=one.keys.get(Dimension.AGENT),
                    amount=one.amounts[amount.name] / scale, outcome=one.keys.get(Dimension.OUTCOME), row=one.row,
                )
                for one in page
            ),
            next=str(first + len(page)) if first + len(page) < len(found) else "",
            total=sum(one.amounts[amount.name] for one in found) / scale,
        )  # fmt: skip

    async def spread(self, what: Spread, *, since: datetime, until: datetime, filters: Filters) -> SpreadAnswer:
        self._there()
        grain = Grain.VISITS if what in (Spread.WAIT, Spread.ABANDON_WAIT) else Grain.TALKS
        wanted = {Spread.WAIT: "answered", Spread.ABANDON_WAIT: "abandoned"}.get(what, "handled")
        chosen = [one for one in self._chosen(grain, since, until, filters) if one.amounts.get(wanted)]
        values = sorted(
            one.wait if grain is Grain.VISITS else one.talk if what is Spread.TALK else one.handle for one in chosen
        )
        edges = [0, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600]

        def at(share: float) -> float | None:
            return values[min(len(values) - 1, int(share * len(values)))] if values else None

        return SpreadAnswer(
            n=len(values), mean=sum(values) / len(values) if values else None, median=at(0.5), p80=at(0.8), p90=at(0.9), p95=at(0.95),
            most=values[-1] if values else None,
            bins=tuple(
                SpreadBin(low=low, high=high, count=sum(low <= value < (high or math.inf) for value in values))
                for low, high in zip(edges, [*edges[1:], None], strict=True)
            ),
        )  # fmt: skip

    async def funnel(
        self,
        *,
        since: datetime,
        until: datetime,
        flow: str = "",
        version: str = "",
        queues: Sequence[str] | None = None,
    ) -> Funnel:
        self._there()
        filters = {} if queues is None else {Dimension.QUEUE: tuple(queues)}
        calls = sum(1 for one in self._chosen(Grain.CALLS, since, until, filters))
        steps: Sequence[tuple[str, str, float, float, float, dict[str, float]]] = (
            ("welcome", "say", 1.0, 0.02, 6, {"language": 0.98}),
            ("language", "choose_language", 0.98, 0.03, 5, {"main_menu": 0.95}),
            ("main_menu", "menu", 0.95, 0.05, 11, {"order_number": 0.3, "to_support": 0.37, "to_sales": 0.23}),
            ("order_number", "collect", 0.3, 0.03, 14, {"order_status": 0.27}),
            ("order_status", "call_service", 0.27, 0.0, 1, {"say_status": 0.24, "to_support": 0.03}),
            ("say_status", "say", 0.24, 0.1, 12, {"": 0.14}),
            ("to_support", "queue", 0.4, 0.0, 48, {"": 0.4}),
            ("to_sales", "queue", 0.23, 0.0, 39, {"": 0.23}),
        )
        return Funnel(
            calls=calls,
            steps=tuple(
                FunnelStep(
                    flow="main", step=step, verb=verb, came=round(calls * came), gone=round(calls * gone), seconds=seconds,
                    to={name: round(calls * share) for name, share in to.items()},
                )
                for step, verb, came, gone, seconds, to in steps
            ),
        )  # fmt: skip
