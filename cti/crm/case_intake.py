"""What calls leave to be done: voicemails, messages, complaints recorded by flows, callbacks that reached nobody; and
follow-up calls that were dialled in vain, which are attempts whether or not somebody writes that down.

Facts of each journal come to Postgres in order, so how far they are taken in is one position a journal, kept in the same
transaction as what came of them. Each thing has a key made of its call besides: told twice (reconstructed after an outage,
or by two journals), it is still one task, one complaint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from cti.casework import causes
from cti.casework.complaints import ComplaintRules
from cti.casework.follow_ups import Outcome
from cti.casework.rows import NewComplaint
from cti.crm.case_base import CaseGround, complaint_rules, dumps, loads, write_event
from cti.crm.complaints import StoredComplaints
from cti.crm.follow_ups import StoredFollowUps
from cti.crm.trouble import naming
from cti.ids import CallId, CustomerId

KINDS = ("VoicemailLeft", "MessageRecorded", "CallbackFailed", "DialFailed")
IN_VAIN: Mapping[str, Outcome] = {"busy": "busy", "no_answer": "no_answer", "rejected": "no_answer"}
"""What became of a dialled follow-up -> its outcome. What failed on our own side is no attempt: the customer heard nothing."""
VOICEMAIL_WITHIN = timedelta(hours=4)
"""When a voicemail should have been listened to and answered."""
CALLBACK_WITHIN = timedelta(hours=2)
"""When somebody should try again whom the callbacks did not reach."""
CHUNK = 50_000
"""Facts looked through in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caller:
    number: str | None
    customer_id: int | None
    language: str
    queue: str | None
    choices: tuple[str, ...]


class CaseIntake:
    """Takes in what the journals' facts leave to be done."""

    def __init__(self, ground: CaseGround, complaints: StoredComplaints, follow_ups: StoredFollowUps) -> None:
        self._ground = ground
        self._complaints = complaints
        self._follow_ups = follow_ups

    async def take_in(self) -> int:
        """Take in what is new; how many tasks and complaints came of it. Raises `RemoteError`."""
        made, more = 0, True
        while more:
            with naming("what calls leave cannot be taken in"):
                async with self._ground.pool.acquire() as connection, connection.transaction():
                    found, more = await self._chunk(connection)
            made += found
        return made

    async def _chunk(self, connection: asyncpg.Connection) -> tuple[int, bool]:
        await connection.execute(
            "INSERT INTO crm.case_jobs (job, ran_at) VALUES ('intake', $1) ON CONFLICT (job) DO NOTHING",
            self._ground.now(),
        )
        # Locked, so that two bridges of one database take turns.
        kept = loads(
            await connection.fetchval("SELECT result::text FROM crm.case_jobs WHERE job = 'intake' FOR UPDATE")
        )
        rules, made, more = await complaint_rules(connection, self._ground.centre()), 0, False
        changed = False
        for journal in await connection.fetch("SELECT journal_id, next FROM cti.cursors ORDER BY journal_id"):
            begin = int(kept.get(journal["journal_id"], 0))
            end = min(journal["next"], begin + CHUNK)
            if end <= begin:
                continue
            more = more or end < journal["next"]
            rows = await connection.fetch(
                "SELECT kind, call_id, at, body FROM cti.facts WHERE journal_id = $1 AND position >= $2"
                " AND position < $3 AND kind = ANY($4::text[]) ORDER BY position",
                journal["journal_id"], begin, end, list(KINDS), timeout=60,
            )  # fmt: skip
            for row in rows:
                made += await self._one(connection, row["kind"], row["call_id"], row["at"], loads(row["body"]), rules)
            kept[journal["journal_id"]] = end
            changed = True
        if changed:
            await connection.execute(
                "UPDATE crm.case_jobs SET result = $1, ran_at = $2 WHERE job = 'intake'",
                dumps(kept), self._ground.now(),
            )  # fmt: skip
        return made, more

    async def _one(
        self,
        connection: asyncpg.Connection,
        kind: str,
        call_id: str,
        at: datetime,
        body: dict[str, Any],
        rules: ComplaintRules,
    ) -> bool:
        if kind == "VoicemailLeft":
            return await self._task(
                connection, "voicemail", f"voicemail:{call_id}:{body.get('path')}", call_id, at, VOICEMAIL_WITHIN,
                recording=f"voicemail:{body.get('path')}",
            )  # fmt: skip
        if kind == "DialFailed":
            return await self._tried(connection, call_id, at, body)
        if kind == "CallbackFailed":
            if body.get("retry_at"):
                return False
            return await self._task(
                connection, "callback", f"callback:{call_id}", call_id, at, CALLBACK_WITHIN,
                detail=f"{body.get('attempt', '')} x {body.get('status', '')}",
            )  # fmt: skip
        if body.get("kind") not in ("message", "complaint"):
            return False
        if body.get("kind") == "complaint" or body.get("flow") in rules.flows:
            return await self._complaint(connection, call_id, at, body, rules)
        return await self._task(
            connection, "voicemail", f"message:{call_id}:{body.get('path')}", call_id, at, VOICEMAIL_WITHIN,
            recording=f"recording:{body.get('path')}",
        )  # fmt: skip

    async def _tried(self, connection: asyncpg.Connection, call_id: str, at: datetime, body: dict[str, Any]) -> bool:
        asked = await connection.fetchval(
            "SELECT body->>'follow_up_id' FROM cti.facts WHERE call_id = $1 AND kind = 'DialAsked' LIMIT 1", call_id
        )
        outcome = IN_VAIN.get(str(body.get("status")))
        if outcome is None or not asked or not (asked.isascii() and asked.isdecimal() and len(asked) < 18):
            return False
        return await self._follow_ups.tried(
            connection, int(asked), CallId(call_id), outcome, at, by=str(body.get("agent_id") or "")
        )

    async def _complaint(
        self, connection: asyncpg.Connection, call_id: str, at: datetime, body: dict[str, Any], rules: ComplaintRules
    ) -> bool:
        caller = await _caller(connection, call_id)
        chosen = [(label, causes.by_choice(rules.causes, label)) for label in caller.choices]
        cause = next((path for _, path in reversed(chosen) if path), causes.UNCLASSIFIED)
        label = next((label for label, _ in reversed(chosen)), "")
        _, made = await self._complaints.register_in(
            connection,
            NewComplaint(
                source="line",
                key=f"line:{call_id}:{body.get('step')}",
                subject=label or "Complaint line",
                customer_id=CustomerId(caller.customer_id) if caller.customer_id is not None else None,
                number=caller.number,
                language=caller.language,
                call_id=CallId(call_id),
                recording=body.get("path"),
                cause=cause,
                queue=caller.queue if caller.queue in self._ground.centre().queues else None,
                opened_at=at,
            ),
            rules,
            by="",
        )
        return made

    async def _task(
        self,
        connection: asyncpg.Connection,
        kind: str,
        key: str,
        call_id: str,
        at: datetime,
        within: timedelta,
        *,
        recording: str | None = None,
        detail: str = "",
    ) -> bool:
        caller = await _caller(connection, call_id)
        number = await connection.fetchval(
            "INSERT INTO crm.tasks (kind, source_key, detail, customer_id, number, language, call_id, recording, queue,"
            " created_at, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
            " ON CONFLICT (source_key) DO NOTHING RETURNING task_id",
            kind, key, detail, caller.customer_id, caller.number, caller.language, call_id, recording,
            caller.queue if caller.queue in self._ground.centre().queues else None, at, at + within,
        )  # fmt: skip
        if number is None:
            return False
        await write_event(
            connection, at=at, subject="task", subject_id=number, kind="made", note=kind,
            customer_id=caller.customer_id,
        )  # fmt: skip
        return True


async def _caller(connection: asyncpg.Connection, call_id: str) -> _Caller:
    """Who called, as the facts of the call tell."""
    rows = await connection.fetch(
        "SELECT kind, body FROM cti.facts WHERE call_id = $1 AND kind IN ('CallStarted', 'CustomerMatched', 'CallQueued',"
        " 'LanguageChosen', 'FlowStepDone', 'CallDequeued') ORDER BY at, position",
        call_id,
    )
    number, customer_id, language, queue, choices = None, None, "", None, []
    for row in rows:
        body = loads(row["body"])
        match row["kind"]:
            case "CallStarted":
                number = body.get("caller_number") or number
            case "CustomerMatched":
                customer_id = body.get("customer_id") or customer_id
            case "CallQueued" | "CallDequeued":
                queue = body.get("queue") or queue
            case "LanguageChosen":
                language = body.get("language") or language
            case _ if body.get("choice"):
                choices.append(str(body["choice"]))
    if customer_id is not None and not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM crm.customers WHERE customer_id = $1)", customer_id
    ):
        customer_id = None
    return _Caller(number=number, customer_id=customer_id, language=language, queue=queue, choices=tuple(choices))
