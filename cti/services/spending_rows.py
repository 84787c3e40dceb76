"""What was spent, out of the book of legs (`tolls`)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from cti.model.tolls import CENTRE, MILLION, Limit, Used, Who
from cti.reports.slots import day_start
from cti.services import tolls
from cti.services.spending import CapRow, Spent, SpentRow
from cti.services.switchboard import Switchboard


def spent(board: Switchboard, now: datetime) -> Spent:
    """What was spent since midnight, and how much of each cap is used."""
    zone, book, rules = ZoneInfo(board.centre.time_zone), board.tolls.book, board.centre.outbound.tolls
    since = day_start(now.astimezone(zone).date(), zone)
    today = book.since(since, now)
    whose = dict.fromkeys((CENTRE, *today, *tolls.watched(board)))
    rows = []
    for who in whose:
        dials, talk, cost = today.get(who, (0, 0, 0))
        used = book.used(who, now)
        rows.append(
            SpentRow(
                scope=who[0].value,
                name=who[1],
                dials_today=dials,
                minutes_today=round(talk / 60_000, 1),
                cost_today=cost / MILLION,
                cost_this_hour=used.cost_hour / MILLION,
                running=sum(who in leg.scopes() for leg in book.legs.values()),
                caps=_caps(board, who, used, now),
            )
        )
    rows.sort(key=lambda row: (row.scope != CENTRE[0].value, -row.cost_today, -row.dials_today, row.scope, row.name))
    return Spent(since=since, currency=rules.currency, rows=tuple(rows))


def _caps(board: Switchboard, who: Who, used: Used, now: datetime) -> tuple[CapRow, ...]:
    return tuple(
        CapRow(limit=limit.value, cap=_unit(limit, cap), used=_used(limit, used), share=round(share, 4))
        for limit, cap, share in tolls.reached(board, who, now)
    )


def _unit(limit: Limit, value: int) -> float:
    return float(value) if limit in (Limit.DIALS, Limit.MINUTES) else value / MILLION


def _used(limit: Limit, used: Used) -> float:
    value = used.of(limit)
    return round(value / 60_000, 1) if limit is Limit.MINUTES else _unit(limit, value)
