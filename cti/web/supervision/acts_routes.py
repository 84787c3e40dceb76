"""The audit log: a page of it, and all of it as a file."""

from __future__ import annotations

import csv
import io
import json

from aiohttp import hdrs, web

from cti.web.auth.guard import session_of
from cti.web.auth.scopes import scope_of
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Operation
from cti.web.supervision.queries import ActPage
from cti.web.supervision.schemas import ActList, ActRow, ActsQuery
from cti.web.wire import read_query, reply

MOST_ROWS = 50_000
"""Rows of a file at most."""
_PAGE = 500
_COLUMNS = ("at", "by", "role", "act", "subject", "queue", "before", "after", "reason")


async def _page(request: web.Request, query: ActsQuery, *, limit: int, before: str | None) -> ActPage:
    deps = request.app[DEPS]
    if deps.stored_acts is None:
        raise ApiError(503, "no_audit_log", "acts are not stored here", remedy="start the whole bridge")
    scope = scope_of(session_of(request), deps.centre)
    return await deps.stored_acts.acts(
        limit=limit,
        before=before,
        by=query.by,
        act=query.act,
        subject=query.subject,
        since=query.since,
        until=query.until,
        queues=sorted(scope) if scope is not None else None,
    )


async def acts(request: web.Request) -> web.Response:
    """A page of the audit log; a supervisor with queues of their own sees the acts on these."""
    query = read_query(request, ActsQuery)
    page = await _page(request, query, limit=query.limit, before=query.before)
    return reply(ActList(acts=tuple(ActRow.model_validate(dict(row)) for row in page.rows), next_before=page.next))


async def acts_file(request: web.Request) -> web.Response:
    """The same as a CSV file, at most `MOST_ROWS` lines."""
    query = read_query(request, ActsQuery)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    before, count = query.before, 0
    while count < MOST_ROWS:
        page = await _page(request, query, limit=_PAGE, before=before)
        for row in page.rows:
            writer.writerow(
                [
                    row["at"].isoformat(),
                    *(_plain(row[name]) for name in ("by", "role", "act", "subject", "queue")),
                    json.dumps(row["before"], ensure_ascii=False),
                    json.dumps(row["after"], ensure_ascii=False),
                    _plain(row["reason"]),
                ]
            )
            count += 1
        before = page.next
        if before is None:
            break
    return web.Response(
        body=out.getvalue().encode("utf-8-sig"),
        content_type="text/csv",
        charset="utf-8",
        headers={hdrs.CONTENT_DISPOSITION: 'attachment; filename="acts.csv"', hdrs.CACHE_CONTROL: "no-store"},
    )


def _plain(text: str | None) -> str:
    """A cell that no spreadsheet takes for a formula."""
    told = text or ""
    return f"'{told}" if told[:1] in ("=", "+", "-", "@", "\t", "\r") else told


OPERATIONS = (
    Operation(
        name="acts",
        method=hdrs.METH_GET,
        path="/api/v1/acts",
        handler=acts,
        summary="The audit log, the newest first",
        query=ActsQuery,
        answer=ActList,
        errors={503: "the database is away"},
    ),
    Operation(
        name="acts_file",
        method=hdrs.METH_GET,
        path="/api/v1/acts.csv",
        handler=acts_file,
        summary="The audit log as a file",
        query=ActsQuery,
        answer=str,
        media=("text/csv",),
        errors={503: "the database is away"},
    ),
)
