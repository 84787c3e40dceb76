"""A believable year for the demo centre: purchases, complaints in all states, follow-up calls, tasks.

Loaded once, after the demo customers, when nothing has been bought yet. Everything is invented, always the same, and placed
backwards from the moment it is loaded.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from cti.casework import follow_ups as plans
from cti.casework.complaints import ComplaintRules, Severity, deadline
from cti.crm.case_base import dumps
from cti.crm.demo import customers

_PER_YEAR = {"vip": 26, "gold": 14, "silver": 7, "regular": 3}
_AMOUNT = {"vip": 900.0, "gold": 420.0, "silver": 210.0, "regular": 90.0}
_GOODS = (
    "Desk lamps",
    "Office chairs",
    "Paper, 40 boxes",
    "Coffee machine",
    "Service contract",
    "Headsets",
    "Spare parts",
)
_LEAVING = frozenset({11, 21, 28, 36, 44})
"""Customers who stopped buying some months ago, by their number in the demo file."""

_COMPLAINTS: tuple[tuple[int, str, str, str, str, str, float, str], ...] = (
    # customer, subject, cause, severity, state, owner, opened days ago, verdict
    (1, "Parcel left in the rain", "delivery/damaged", "high", "new", "", 0.1, ""),
    (14, "Wrong amount on the invoice", "billing/wrong_amount", "medium", "new", "", 0.4, ""),
    (23, "Waited 25 minutes on the line", "service/waiting", "low", "new", "", 1.1, ""),
    (7, "Third late delivery this month", "delivery/late", "high", "assigned", "1001", 0.7, ""),
    (38, "Charged twice for one order", "billing/double_charge", "medium", "assigned", "1002", 2.4, ""),
    (21, "椅子用了一周就坏了", "product/defect", "high", "in_progress", "1001", 1.3, ""),
    (28, "Refund still not paid", "billing/refund", "medium", "in_progress", "1003", 2.2, ""),
    (11, "Wrong items in the box", "delivery/missing", "medium", "in_progress", "1004", 4.5, ""),
    (45, "Was promised a call back", "service/promise", "low", "waiting", "1005", 3.0, ""),
    (31, "Courier never rings", "delivery/late", "medium", "waiting", "1001", 2.0, ""),
    (17, "Lamp flickers", "product/defect", "low", "resolved", "1002", 5.0, ""),
    (52, "Was short with me on the phone", "service/manner", "medium", "resolved", "1007", 6.0, ""),
    (2, "Late by four days", "delivery/late", "medium", "closed", "1001", 9.0, "satisfied"),
    (12, "配送延迟", "delivery/late", "medium", "closed", "1003", 12.0, "satisfied"),
    (16, "Late again", "delivery/late", "high", "closed", "1004", 15.0, "partly"),
    (26, "Box dented, contents fine", "delivery/damaged", "low", "closed", "1002", 17.0, "satisfied"),
    (34, "Invoice sent twice", "billing/double_charge", "low", "closed", "1001", 19.0, "satisfied"),
    (40, "Double charge, refunded", "billing/double_charge", "medium", "closed", "1007", 22.0, "satisfied"),
    (43, "Not the colour shown", "product/not_as_described", "low", "closed", "1005", 24.0, "partly"),
    (49, "Late and nobody called", "delivery/late", "high", "closed", "1001", 27.0, "satisfied"),
    (55, "Sold the wrong size", "service/wrong_information", "low", "closed", "1008", 28.0, "satisfied"),
    (57, "Spam, no complaint", "other", "low", "dismissed", "1002", 10.0, ""),
)

_QUESTIONS = [
    {
        "name": "satisfied",
        "kind": "scale",
        "titles": {"en": "How satisfied are you with your order?", "zh": "您对这次订单满意吗？"},
        "least": 1,
        "most": 5,
    },
    {"name": "complete", "kind": "yes_no", "titles": {"en": "Did everything arrive?", "zh": "货物都收到了吗？"}},
    {
        "name": "wish",
        "kind": "text",
        "titles": {"en": "What should we do better?", "zh": "您有什么建议？"},
        "needed": False,
    },
]
_PLANS: tuple[dict[str, Any], ...] = (
    {
        "name": "A week after a purchase",
        "trigger": "purchase",
        "after_days": 7,
        "tiers": ["vip", "gold"],
        "own_agent": True,
        "attempts": 3,
        "spacing_minutes": [120, 1440],
        "from": "00:00",
        "to": "24:00",
        "days": [0, 1, 2, 3, 4, 5, 6],
        "script": {
            "en": "Good morning, this is Harbour Services. You ordered from us last week: did everything arrive as it should?",
            "zh": "您好，这里是海港服务。您上周在我们这里订了货，想了解一下是否一切顺利。",
        },
        "questions": _QUESTIONS,
    },
    {
        "name": "After a complaint",
        "trigger": "complaint_closed",
        "after_days": 3,
        "attempts": 3,
        "from": "00:00",
        "to": "24:00",
        "days": [0, 1, 2, 3, 4, 5, 6],
        "questions": [
            {
                "name": "solved",
                "kind": "yes_no",
                "titles": {"en": "Is it solved for good?", "zh": "问题彻底解决了吗？"},
            },
            *_QUESTIONS[:1],
        ],
    },
)


async def load(pool: asyncpg.Pool) -> int:
    """Load it where nothing was bought yet, in one transaction; how many purchases were added."""
    async with pool.acquire() as connection, connection.transaction():
        now: datetime = await connection.fetchval("SELECT now()")
        if await connection.fetchval("SELECT EXISTS (SELECT FROM crm.transactions)"):
            return 0
        rows = await connection.fetch(
            "SELECT reference, customer_id, tier FROM crm.customers WHERE reference LIKE 'demo-%' ORDER BY reference"
        )
        people = {int(row["reference"].removeprefix("demo-")): row["customer_id"] for row in rows}
        if len(people) < len(customers()):
            return 0
        bought = await _purchases(connection, people, {row["customer_id"]: row["tier"] for row in rows}, now)
        await _complain(connection, people, now)
        await _plan(connection, people, now)
        await _to_do(connection, people, now)
    return bought


async def _purchases(
    connection: asyncpg.Connection, people: dict[int, int], tiers: dict[int, str], now: datetime
) -> int:
    chance = random.Random(20260301)  # noqa: S311 - the same every time
    rows = []
    for number, customer_id in people.items():
        tier = tiers[customer_id]
        count = _PER_YEAR.get(tier, 3) + chance.randrange(3)
        for index in range(count):
            days = 365 * (index + chance.random()) / count
            if number in _LEAVING and days < 80:
                continue
            amount = round(_AMOUNT.get(tier, 90.0) * (0.4 + 1.4 * chance.random()), 2)
            rows.append(
                (customer_id, now - timedelta(days=days), amount, f"demo-{number}-{index}", chance.choice(_GOODS), now)
            )
    await connection.executemany(
        "INSERT INTO crm.transactions (customer_id, at, amount, currency, reference, what, added_at)"
        " VALUES ($1, $2, $3, 'USD', $4, $5, $6)",
        rows,
    )
    return len(rows)


async def _complain(connection: asyncpg.Connection, people: dict[int, int], now: datetime) -> None:
    rules = ComplaintRules()
    for index, (who, subject, cause, severity, state, owner, days, verdict) in enumerate(_COMPLAINTS):
        opened = now - timedelta(days=days)
        due = deadline(rules, Severity(severity), opened)
        over = state in ("resolved", "closed", "dismissed")
        resolved = opened + (due - opened) * 0.6 if over else None
        closed = resolved + timedelta(hours=5) if resolved is not None and state != "resolved" else None
        number = await connection.fetchval(
            "INSERT INTO crm.complaints (source, source_key, customer_id, number, language, subject, text, cause, severity,"
            " state, owner, registered_by, opened_at, due_at, resolved_at, resolution, closed_at, verdict, changed_at)"
            " SELECT $1, $2, c.customer_id, (SELECT number FROM crm.phones p WHERE p.customer_id = c.customer_id LIMIT 1),"
            " c.language, $4, '', $5, $6, $7, nullif($8, ''), $9, $10, $11, $12, $13, $14, nullif($15, ''), $10"
            " FROM crm.customers c WHERE c.customer_id = $3 RETURNING complaint_id",
            ("call", "web", "line")[index % 3], f"demo:{index}", people[who], subject, cause, severity, state, owner,
            "1001" if index % 3 == 0 else "", opened, due, resolved,
            "Sent a replacement and refunded the shipping." if resolved is not None else "", closed, verdict,
        )  # fmt: skip
        steps = [("registered", "", severity, subject, opened)]
        if owner:
            steps.append(("assigned", "", owner, "", opened + timedelta(minutes=25)))
        if state not in ("new", "assigned"):
            steps.append(("moved:start", "assigned", "in_progress", "", opened + timedelta(minutes=50)))
        if state == "waiting":
            steps.append(("moved:wait", "in_progress", "waiting", "Asked the courier", opened + timedelta(hours=2)))
        if resolved is not None and state != "dismissed":
            steps.append(("moved:resolve", "in_progress", "resolved", "", resolved))
        if closed is not None:
            last = "moved:accept" if state == "closed" else "moved:dismiss"
            steps.append((last, "resolved", state, "", closed))
        await connection.executemany(
            "INSERT INTO crm.case_events (at, subject, subject_id, kind, author, before, after, note, customer_id)"
            " VALUES ($1, 'complaint', $2, $3, $4, $5, $6, $7, $8)",
            [
                (at, number, kind, owner if kind != "registered" else "", before, after, note, people[who])
                for kind, before, after, note, at in steps
            ],
        )


async def _plan(connection: asyncpg.Connection, people: dict[int, int], now: datetime) -> None:
    chance = random.Random(7)  # noqa: S311 - the same every time
    for body in _PLANS:
        plan = plans.read_plan(body, queues=(), tiers=tuple(_PER_YEAR))
        number = await connection.fetchval(
            "INSERT INTO crm.follow_up_plans (name, body, author, since, changed_at) VALUES ($1, $2, 'supervisor', $3, $3)"
            " ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING plan_id",
            plan.name, dumps(plans.plain(plan)), now - timedelta(days=3),
        )  # fmt: skip
        if plan.trigger != "purchase":
            continue
        states = ("done",) * 9 + ("unreached",) * 2 + ("due",) * 7
        for index, who in enumerate((1, 6, 7, 10, 14, 16, 20, 24, 27, 30, 33, 35, 41, 46, 48, 52, 3, 29)):
            state = states[index]
            due = now - timedelta(days=16 - index * 0.85) if state != "due" else now - timedelta(hours=3 * (index - 10))
            ended = due + timedelta(hours=4) if state != "due" else None
            score = 3 + chance.randrange(3)
            await connection.execute(
                "INSERT INTO crm.follow_ups (plan_id, customer_id, occasion, state, created_at, due_at, attempts, outcome,"
                " answers, note, ended_at, ended_by) VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, '', $9, $10)"
                " ON CONFLICT DO NOTHING",
                number, people[who], f"purchase:demo-{index}", state, due, {"done": 1, "unreached": 3}.get(state, 0),
                {"done": "reached", "unreached": "no_answer"}.get(state, ""),
                dumps({"satisfied": score, "complete": True} if state == "done" else {}), ended,
                "1001" if ended is not None else "",
            )  # fmt: skip


async def _to_do(connection: asyncpg.Connection, people: dict[int, int], now: datetime) -> None:
    tasks = (
        ("callback", "Call back about the service contract", 1, "1001", 0.5),
        ("callback", "", 38, None, -1.0),
        ("callback", "", 23, None, 1.0),
        ("web_callback", "Mateo García", 31, None, 0.8),
        ("to_do", "Send the spare parts list", 20, "1001", 4.0),
        ("to_do", "Check the new address", 40, "1002", 6.0),
        ("to_do", "确认对账单", 26, "1003", 3.0),
    )
    await connection.executemany(
        "INSERT INTO crm.tasks (kind, source_key, title, customer_id, owner, state, created_at, created_by, due_at, queue)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, $9) ON CONFLICT DO NOTHING",
        [
            (
                kind,
                f"demo:{index}",
                title,
                people[who],
                owner,
                "taken" if owner else "open",
                now - timedelta(hours=2),
                now + timedelta(hours=hours),
                None if owner else "support",
            )
            for index, (kind, title, who, owner, hours) in enumerate(tasks)
        ],
    )
