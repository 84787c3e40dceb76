"""What an act has changed, for the audit log: the thing is read before and after, and the fields that differ are told.

Theory of operation. For each changing operation `CHANGES` says how what it changes is read: by the operation of the API that
shows it (asked with the same parts of the address, beside its guard: nobody sees the answer), and which of its fields may be
told. A list of fields, never all: names and numbers of customers, words and sounds are not in it. What is read is masked once
more, as logs are. Where a handler has told something itself (`acts.tell`), its word counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from aiohttp import web

from cti.ids import CallId
from cti.web.deps import DEPS, HANDLERS
from cti.web.errors import ApiError
from cti.web.wire import encode

log = structlog.get_logger(__name__)

LONGEST = 300
"""Letters of one value that are told."""
_NUMBER = re.compile(r"\+[0-9]{4,13}([0-9]{2})")
Fields = dict[str, str]
Pick = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The thing, in the answer of an operation that shows it."""

    by: str
    """The operation, by GET."""
    fields: tuple[str, ...]
    """What may be told of it; "body.*" is every field of that part."""
    at: str = ""
    """The part of the answer that is the thing."""
    row: tuple[str, str] | None = None
    """(list, key): the thing is the row of this list whose key the address names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The call that the address names, as the floor has it. Afterwards it is what the operation's own answer says: the floor's
    rows follow a moment later."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How to tell what an operation has changed."""

    of: Shown | Live | None = None
    afterwards: Mapping[str, str] | None = None
    """What is told of it then, instead of reading it again: it is gone, or pages learn of it a moment later."""
    answer: tuple[str, ...] = ()
    """Fields of the operation's own answer that tell what came of it."""
    answer_at: str = ""
    """The part of the answer they are in."""
    subject: tuple[str, str] | None = None
    """(kind, field of the answer): what the act is about, where the address does not name it."""


def _shown(by: str, *fields: str, at: str = "", row: tuple[str, str] | None = None) -> Change:
    return Change(of=Shown(by=by, fields=fields, at=at, row=row))


_COMPLAINT = ("state", "cause", "severity", "owner", "queue", "due_at", "escalation", "verdict")
_SOUND = _shown("prompt", "state", "recorded", "how", "seconds", "recordings", at="sound")
_SCORE = _shown("quality_score", "state", "total", "passed", "revision", at="score")
_TIER = _shown("customer_tier", "tier", "source")
_DRAFT = _shown("flow_versions", "version", "former", "draft")
_PLACE = ("queue", "place", "head_start")

CHANGES: Mapping[str, Change] = {
    # the floor
    "call_priority": Change(of=Live(fields=_PLACE), answer=_PLACE),
    "call_queue": Change(of=Live(fields=_PLACE), answer=_PLACE),
    "callback_cancel": Change(
        of=Live(fields=("queue", "callback", "attempt")), afterwards={"callback": "cancelled"}
    ),
    "alert_acknowledge": Change(
        of=Shown(by="alerts", fields=("level", "value", "acknowledged_by"), row=("alerts", "alert")), afterwards={}
    ),
    # the centre, its flows and prompts
    "config_apply": Change(of=Shown(by="config", fields=("version",)), answer=("changes",)),
    "flows_apply": Change(answer=("edition", "flows", "changes")),
    "flow_roll_back": _DRAFT,
    "flow_remove": Change(answer=("edition", "changes")),
    "flow_draft": _DRAFT,
    "flow_draft_withdraw": _DRAFT,
    "prompt_upload": _SOUND,
    "prompt_give_up": _SOUND,
    "prompt_use": _SOUND,
    # customers and casework
    "complaint_change": _shown("complaint", *_COMPLAINT, at="complaint"),
    "follow_up_plan_add": Change(answer=("active", "body.*"), subject=("plan", "plan_id")),
    "follow_up_plan_change": _shown("follow_up_plans", "active", "body.*", row=("plans", "plan_id")),
    "case_rules_set": _shown("case_rules", "version", "body.*"),
    "customer_tier_override": _TIER,
    "customer_tier_take_back": _TIER,
    "customer_fields_define": _shown("customer_fields", "fields"),
    "customer_merge": Change(answer=("customer_id", "merged_from"), subject=("customer", "customer_id")),
    "customer_merge_undo": Change(answer=("customer_id",), answer_at="gone"),
    "customer_forget": Change(answer=("customers", "notes", "changes", "calls", "facts", "recordings")),
    "customer_import_upload": Change(
        answer=("format", "rows", "state"), answer_at="item", subject=("import", "import_id")
    ),
    "customer_import_run": _shown("customer_import", "state", "added", "changed", "failed", at="item"),
    "customer_import_stop": _shown("customer_import", "state", "added", "changed", "failed", at="item"),
    "tiers_compute": Change(answer=("rules_version", "customers", "changed")),
    "transactions": Change(answer=("added", "known")),
    "follow_up_generate": Change(answer=("made", "dropped")),
    "churn_compute": Change(answer=("count",)),
    # quality
    "quality_form_add": Change(answer=("version", "body.*")),
    "quality_form_change": _shown("quality_form", "version", "archived", "body.*"),
    "quality_form_copy": Change(answer=("version",)),
    "quality_form_archive": _shown("quality_form", "archived"),
    "quality_plan_add": Change(answer=("active", "body.*")),
    "quality_plan_change": _shown("quality_plans", "active", "body.*", row=("plans", "plan_id")),
    "quality_sample_choose": Change(answer=("scorer", "due_at", "state")),
    "quality_sample_change": _shown("quality_samples", "scorer", "due_at", "state", row=("samples", "sample_id")),
    "quality_calibration_open": Change(answer=("scorers", "due_at"), answer_at="calibration"),
    "quality_calibration_close": _shown(
        "quality_calibrations", "submitted", "closed_at", row=("calibrations", "calibration_id")
    ),
    "quality_score_submit": _SCORE,
    "quality_score_revise": _SCORE,
    "quality_score_release": _SCORE,
    "quality_score_delete": _SCORE,
}  # fmt: skip
"""Operation -> how to tell what it has changed."""
TELLS = frozenset(
    {
        "call_watch", "watch_change", "watch_stop", "call_end", "call_send", "agent_set", "agent_change", "agent_reassign",
        "queue_force", "queue_announce", "centre_announce", "message_send", "report_save", "report_forget",
        "report_schedule_add", "report_schedule_change", "report_schedule_remove", "audit_target_set", "audit_target_drop",
        "audit_action_take", "audit_action_settle", "quality_note_write", "quality_note_withdraw", "quality_plan_draw",
        "token_make", "token_revoke",
    }
)  # fmt: skip
"""Operations whose handlers tell it themselves."""
PLAIN = frozenset(
    {
        "report_send", "churn_act",
        "account_session_end", "account_sessions_end", "password_change", "second_factor_confirm", "second_factor_drop",
        "second_factor_reset", "recovery_codes_renew",
    }
)  # fmt: skip
"""Operations of which that they were done is all there is to tell: what they change is a secret, or is nowhere to be read."""


class Watched:
    """One act, from before its handler until after it."""

    def __init__(self, request: web.Request, operation: str) -> None:
        self._request = request
        self._change = CHANGES.get(operation)
        self._operation = operation
        self._before: Fields | None = None

    async def look(self) -> None:
        """Before the handler."""
        if self._change is not None:
            self._before = await self._read(self._change.of)

    async def told(self, response: web.StreamResponse) -> tuple[Fields, Fields, str]:
        """After the handler has succeeded: what differs (before, after), and what the act is about where the answer says it."""
        change = self._change
        if change is None:
            return {}, {}, ""
        before, answer = self._before or {}, _json(response)
        after: Fields = {}
        if change.afterwards is not None:
            after = dict(change.afterwards)
        elif isinstance(change.of, Shown):
            after = await self._read(change.of) or {}
        after |= fields_of(_part(answer, change.answer_at), change.answer)
        subject = ""
        if change.subject is not None and isinstance(answer, Mapping):
            kind, field = change.subject
            named = _part(answer, change.answer_at).get(field)
            subject = f"{kind}:{named}" if named is not None else ""
        differs = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        return (
            {key: before[key] for key in differs if key in before},
            {key: after[key] for key in differs if key in after},
            subject,
        )

    async def _read(self, of: Shown | Live | None) -> Fields | None:
        """None: it is not there, or cannot be read. That must not stop the act."""
        try:
            if isinstance(of, Live):
                row = self._request.app[DEPS].floor.view().calls.get(CallId(self._request.match_info["call_id"]))
                return fields_of(orjson.loads(encode(row)), of.fields) if row is not None else None
            if of is None or (handler := self._request.app[HANDLERS].get(of.by)) is None:
                return None
            shown = _json(await handler(self._request))
            if of.row is not None:
                rows, key = of.row
                named = self._request.match_info[key]
                shown = next((one for one in shown[rows] if str(one[key]) == named), None)
            return fields_of(_part(shown, of.at), of.fields) if shown is not None else None
        except ApiError:
            return None
        except Exception as error:
            log.warning("act_not_read", operation=self._operation, error=type(error).__name__)
            return None


def _json(response: web.StreamResponse) -> Any:
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes) or response.content_type != "application/json":
        return None
    return orjson.loads(body)


def _part(value: Any, at: str) -> Any:
    found = value.get(at) if at and isinstance(value, Mapping) else value
    return found if isinstance(found, Mapping) else {}


def fields_of(value: Any, fields: tuple[str, ...]) -> Fields:
    """These fields of a value of JSON as they are told; what is not there, or empty, is left out."""
    found: dict[str, Any] = {}
    for field in fields:
        if field.endswith(".*"):
            found |= _part(value, field.removesuffix(".*"))
        elif isinstance(value, Mapping):
            found[field] = value.get(field)
    return {key: masked(_text(one)) for key, one in found.items() if one is not None and one not in ("", [], {})}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return "; ".join(map(str, value))
    return orjson.dumps(value).decode()


def masked(text: str) -> str:
    """Without telephone numbers but their last two digits, and not longer than is read."""
    text = _NUMBER.sub(r"+…\1", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
