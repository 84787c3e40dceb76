"""Which queues a supervisor has, and what of each operation belongs to which queues. Every operation stands in `SCOPES`.

A supervisor with queues of their own sees and acts on calls, agents and queues of these only. Whoever has none: all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from aiohttp import web

from cti.errors import CtiError
from cti.ids import AgentId, CallId, QueueName
from cti.model.centre import Centre
from cti.web.auth.accounts import BUILT_IN, Account, Accounts
from cti.web.auth.permissions import PERMISSIONS, Role
from cti.web.auth.sessions import Session
from cti.web.cuts import Cut
from cti.web.deps import DEPS
from cti.web.errors import ApiError


class Scope(StrEnum):
    """What an operation is about, as its address names it."""

    CALL = "call"
    """The call `call_id`, live or over: its queue."""
    AGENT = "agent"
    """The agent `agent_id`: one of their queues."""
    QUEUE = "queue"
    """The queue `queue`."""
    ALERT = "alert"
    """The alert `alert`: its queue; one of the whole centre is of all at once."""
    CENTRE = "centre"
    """All queues at once: only for whoever may act on all."""
    ANSWER = "answer"
    """Of several queues: the operation itself tells of the asker's only, and refuses what names another."""
    NONE = "none"
    """Of no queue: the asker's own, what everybody may know, the customer file, forms, flows, prompts, settings."""


SCOPES: Mapping[str, Scope] = {
    "call": Scope.CALL,
    "call_decisions": Scope.CALL,
    "call_why": Scope.CALL,
    "call_timeline": Scope.CALL,
    "call_priority": Scope.CALL,
    "call_queue": Scope.CALL,
    "callback_cancel": Scope.CALL,
    "call_watch": Scope.CALL,
    "call_end": Scope.CALL,
    "call_send": Scope.CALL,
    "agent_set": Scope.AGENT,
    "agent_change": Scope.AGENT,
    "agent_reassign": Scope.AGENT,
    "queue_accuracy": Scope.QUEUE,
    "queue_force": Scope.QUEUE,
    "queue_announce": Scope.QUEUE,
    "centre_announce": Scope.CENTRE,
    "alert_acknowledge": Scope.ALERT,
    **dict.fromkeys(
        (
            "customer_export", "customer_everything", "customer_forget", "customer_imports", "customer_import",
            "customer_import_upload", "customer_import_preview", "customer_import_run", "customer_import_stop",
            "customer_import_problems", "tiers_compute", "transactions", "churn_compute", "case_rules_set",
            "follow_up_plan_add", "follow_up_plan_change", "follow_up_generate", "quality_form_add", "quality_form_change",
            "quality_form_copy", "quality_form_archive", "case_events",
        ),
        Scope.CENTRE,
    ),
    **dict.fromkeys(
        (
            "state", "feed", "calls", "callbacks", "alerts", "outbound_spent", "supervision", "watch_change", "watch_stop", "message_send",
            "messages", "acts", "acts_file", "report_query", "report_calls", "report_distribution", "report_funnel",
            "report_export", "reports_saved", "report_save", "report_forget", "report_schedules", "report_schedule_add",
            "report_schedule_change", "report_schedule_remove", "report_send", "staffing", "audit_targets",
            "audit_target_set", "audit_target_drop", "audit", "audit_actions", "audit_action_take", "audit_action_settle",
            "recordings", "recording", "recording_sound", "recording_peaks", "call_recording", "call_recording_act",
            "quality_plans", "quality_plan_add", "quality_plan_change", "quality_plan_draw", "quality_samples",
            "quality_sample_choose", "quality_sample_change", "quality_calibrations", "quality_calibration",
            "quality_calibration_open", "quality_calibration_close", "quality_scores", "quality_score",
            "quality_score_seen", "quality_score_reply", "quality_score_begin", "quality_score_draft",
            "quality_score_submit", "quality_score_revise", "quality_score_release", "quality_score_delete",
            "quality_figures", "quality_summary", "quality_counts", "quality_notes", "quality_note_write",
            "quality_note_withdraw", "quality_surveys", "quality_surveys_low", "quality_comments", "task_counts", "tasks",
            "task_make", "task_take", "task_done", "task_pass_on", "task_snooze", "task_recording", "complaints",
            "complaint", "complaint_register", "complaint_change", "complaint_causes", "follow_ups", "follow_up",
            "follow_up_next", "follow_up_result",
        ),
        Scope.ANSWER,
    ),
    **dict.fromkeys(
        (
            "login", "login_ways", "login_provider", "login_provider_back", "account", "account_session_end",
            "account_sessions_end", "password_change", "second_factor_begin", "second_factor_confirm",
            "second_factor_drop", "recovery_codes_renew", "second_factor_reset", "accounts", "tokens", "token_make",
            "token_revoke", "logout", "me", "agent", "agent_state", "agent_phone", "offer_reject", "call_hang_up", "call_customer",
            "call_wrap_up", "call_wrap_up_extend", "agent_dial", "agent_heartbeat", "call_quality", "call_hold",
            "call_transfer", "call_consult", "call_consult_complete", "call_consult_cancel", "call_consult_swap",
            "call_consult_join", "call_party_drop", "call_keys", "call_pick_up", "agent_waiting", "agent_destinations",
            "message_seen", "quality_note_seen", "quality_note_acknowledge", "supervisor_phone", "reports", "config",
            "config_check", "config_diff", "config_apply", "customers", "customer", "customer_create", "customer_change",
            "customer_notes", "customer_note_add", "customer_note_change", "customer_contacts", "customer_history",
            "customer_duplicates", "customer_merges", "customer_fields", "customer_fields_define", "customer_merge",
            "customer_merge_undo", "follow_up_plans", "case_rules", "tiers", "customer_tier", "customer_tier_override",
            "customer_tier_take_back", "churn", "churn_act", "quality_forms", "quality_form", "contact", "web_callback",
            "web_complaint", "flows", "flow", "flow_picture", "flow_versions", "flow_version", "flow_diff", "flows_check",
            "flows_apply", "flow_roll_back", "flow_remove", "flow_draft", "flow_draft_withdraw", "recording_event",
            "prompts", "prompt", "prompt_sound", "prompt_recording", "prompt_upload", "prompt_give_up", "prompt_use",
            "prompt_code", "centre", "webcall", "openapi", "healthz", "readyz", "metrics",
        ),
        Scope.NONE,
    ),
}  # fmt: skip
"""Operation -> what of it belongs to queues. What is not here is refused to supervisors of certain queues."""


def scope_of(session: Session, centre: Centre) -> frozenset[QueueName] | None:
    """The queues this account acts on, and this token if it is one for certain queues; None: all of them."""
    scope = scope_of_account(session.account, centre)
    if session.token is None or not session.token.queues:
        return scope
    wanted = frozenset(map(QueueName, session.token.queues))
    return wanted if scope is None else wanted & scope


def scope_of_account(account: Account, centre: Centre) -> frozenset[QueueName] | None:
    """The same without a log-in. Empty: none at all."""
    if account.role is Role.ADMIN:
        return None
    of_centre = centre.walls if account.role is Role.WALL else centre.supervisors
    if account.username not in BUILT_IN and account.username not in of_centre:
        if account.of_centre:
            return frozenset()  # the centre does not know them yet, or not any more: not all queues, but none
        if account.once_named:
            return frozenset(map(QueueName, account.queues))
    named = (*account.queues, *of_centre.get(account.username, ()))
    return frozenset(map(QueueName, named)) or None


def queues_of_user(accounts: Accounts, centre: Centre, username: str) -> frozenset[QueueName] | None:
    """The same of a user's name. Raises `CtiError` where nobody is called so any more: nobody knows which queues they had."""
    account = accounts.get(username)
    if account is None:
        raise CtiError(
            f"{username} has no account any more", remedy="have somebody else take it over: change it and save"
        )
    return scope_of_account(account, centre)


def cut_of(session: Session, centre: Centre) -> Cut:
    """What of the floor this account sees. (Agents' parts are not cut but their own: `cti.web.views`.)"""
    return Cut(queues=scope_of(session, centre), wall=session.account.role is Role.WALL)


def may(session: Session, operation: str, queues: Collection[QueueName] | None, centre: Centre) -> bool:
    """Whether this session may ask for `operation` where it is about these queues (None: about none in particular).

    What belongs to several queues (an agent) may be acted on by whoever acts on one of them.
    """
    roles = PERMISSIONS[operation]
    if roles is None:
        return True
    if session.account.role not in roles:
        return False
    scope = scope_of(session, centre)
    if scope is None or session.account.role is Role.AGENT or queues is None:
        return True
    if SCOPES.get(operation, Scope.CENTRE) is Scope.CENTRE:
        return False
    return not scope.isdisjoint(queues)


async def queues_asked(request: web.Request, operation: str) -> Collection[QueueName] | None:
    """The queues that a request is about; None: the operation belongs to none. Empty: nothing known by that name."""
    deps, path = request.app[DEPS], request.match_info
    match SCOPES.get(operation, Scope.CENTRE):
        case Scope.CALL:
            call_id = CallId(path["call_id"])
            row = deps.floor.view().calls.get(call_id)
            if "\0" in call_id:  # no id, and nothing that a database could be asked for
                return ()
            if row is not None:
                return {row.queue} - {None} if row.queue is not None else ()
            found = await deps.calls.one(call_id)
            queue = found.row.get("queue") if found is not None and found.row is not None else None
            return (QueueName(queue),) if queue else ()
        case Scope.AGENT:
            agent_id = AgentId(path["agent_id"])
            agent = deps.centre.agents.get(agent_id)
            usual = deps.supervision.usual_agent(agent_id) if deps.supervision is not None else None
            # Who gave an agent away for a while can take that back.
            return {queue for one in (agent, usual) if one is not None for queue in one.queues}
        case Scope.QUEUE:
            return (QueueName(path["queue"]),)
        case Scope.ALERT:
            name = path["alert"].partition(".")[0]
            return (QueueName(name),)  # "-" of the whole centre is no queue's name
        case Scope.CENTRE:
            return ()
        case _:
            return None


async def check_scope(request: web.Request, session: Session, operation: str) -> None:
    """Refuse what is about queues that are not this session's. Raises `ApiError` 403."""
    centre = request.app[DEPS].centre
    if scope_of(session, centre) is None:
        return
    if not may(session, operation, await queues_asked(request, operation), centre):
        raise not_your_queue()


def check_queues(request: web.Request, session: Session, operation: str, queues: Collection[QueueName]) -> None:
    """The same for queues that a request's body names. Raises `ApiError` 403."""
    scope = scope_of(session, request.app[DEPS].centre)
    if scope is not None and not scope.issuperset(queues):
        raise not_your_queue()


def not_your_queue() -> ApiError:
    """The refusal. The same whether or not what was asked about exists."""
    return ApiError(
        403,
        "not_your_queue",
        "this account does not act on that queue",
        remedy="ask for the queue in centre.yaml: supervisors",
    )
